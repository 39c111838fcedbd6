//! Why a deployment was refused, with what to do next.

use axum::http::StatusCode;
use c7n_charts::repository::RepositoryError;
use c7n_git::GitError;

use super::Failure;
use crate::catalogue::{FactsError, UnpackError};
use crate::deploy::DeployError;

impl From<DeployError> for Failure {
    fn from(error: DeployError) -> Self {
        let text = error.to_string();
        match error {
            DeployError::Removing => Self::conflict(text, "deploy to another"),
            DeployError::Crowded => Self::crowded(text).retry_after(1),
            DeployError::NoInstance(_) => Self::new(
                StatusCode::NOT_FOUND,
                "not-found",
                text,
                "deploy it first, or check the name in the environment's repository",
            ),
            DeployError::Twice { .. } => Self::conflict(text, "remove one of the two, then do it again"),
            DeployError::InTheWay { .. } => Self::conflict(text, "move that file, or choose another name"),
            DeployError::Files(_) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "bad-manifest",
                text,
                "nothing was written; mend what is named and do it again",
            ),
            DeployError::Changed { .. } => Self::new(
                StatusCode::CONFLICT,
                "changed",
                text,
                "read it again, and write with its blob id as `expected`",
            ),
            DeployError::NoFile(_) => Self::new(
                StatusCode::NOT_FOUND,
                "not-found",
                text,
                "GET …/files lists what is there",
            ),
            DeployError::Invalid(_) => Self::invalid(text, "mend it and do it again"),
            DeployError::Values(_) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "bad-values",
                text,
                "nothing was written; mend the values and do it again",
            ),
            DeployError::NoEarlier(_) => Self::new(
                StatusCode::NOT_FOUND,
                "not-found",
                text,
                "name another commit or revision",
            ),
            DeployError::Edit(_) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "cannot-edit",
                text,
                "nothing was written; change the file yourself and push it",
            ),
            DeployError::Name(error) => error.into(),
            DeployError::Facts(error) => error.into(),
            DeployError::Git(GitError::BadPath { .. } | GitError::TooBig { .. }) => {
                Self::invalid(text, "nothing was written; choose another path or a smaller file")
            }
            DeployError::Git(error) => error.into(),
            DeployError::Store(error) => error.into(),
        }
    }
}

impl From<FactsError> for Failure {
    fn from(error: FactsError) -> Self {
        let text = error.to_string();
        match error {
            FactsError::NoApp(_) => Self::new(
                StatusCode::NOT_FOUND,
                "not-found",
                text,
                "`c7n app list` shows them, `c7n app create` makes one",
            ),
            FactsError::NoChart => Self::invalid(text, "give `app`, or `repo_url` and `chart_name`"),
            FactsError::NoVersion { .. } => Self::new(
                StatusCode::NOT_FOUND,
                "no-version",
                text,
                "publish it first, or choose one that is there",
            ),
            FactsError::InexactVersion { .. } => Self::invalid(
                text,
                "write the exact version, or register the chart (`c7n app create NAME --repo URL`)",
            ),
            FactsError::BadVersion(_) => {
                Self::invalid(text, "write a version like 1.2.3, or a range like ^1.2")
            }
            FactsError::Unpack(UnpackError::Archive(_)) => {
                Self::invalid(text, "choose another version, or tell the keeper of the chart")
            }
            FactsError::Unpack(UnpackError::Busy) => Self::crowded(text),
            FactsError::Library { .. } => Self::invalid(
                text,
                "nothing was written; deploy a chart that names it in its dependencies",
            ),
            FactsError::Repository(error) => error.into(),
            FactsError::Seal(error) => Self::internal(&error),
            FactsError::Store(error) => error.into(),
        }
    }
}

impl From<RepositoryError> for Failure {
    fn from(error: RepositoryError) -> Self {
        let next = "look after that repository, its address and its credentials, then do it again";
        Self::new(
            StatusCode::BAD_GATEWAY,
            "chart-repository",
            error.to_string(),
            next,
        )
    }
}
