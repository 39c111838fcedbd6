//! Why nothing was committed.

use c7n_charts::values::ValuesError;
use c7n_git::GitError;
use c7n_manifests::FileError;
use c7n_manifests::edit::EditError;

use crate::catalogue::FactsError;
use crate::names::NameError;
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    #[error("the environment is being removed")]
    Removing,
    #[error("others push to this branch all the time, and were quicker every time")]
    Crowded,
    #[error("the environment has no instance {0}")]
    NoInstance(String),
    #[error("the instance {instance} is described twice, in {first} and in {second}")]
    Twice {
        instance: String,
        first: String,
        second: String,
    },
    #[error("{file} holds something that is no instance, and {instance} was to be written there")]
    InTheWay { instance: String, file: String },
    /// The files as they would be.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Files(Vec<FileError>),
    #[error("{path} is not what it was when you read it")]
    Changed { path: String },
    #[error("{0} is not in the repository")]
    NoFile(String),
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Values(#[from] ValuesError),
    #[error("{0}")]
    NoEarlier(String),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error(transparent)]
    Facts(#[from] FactsError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Store(#[from] StoreError),
}
