//! What is deployed by a call instead of a push. Each of these becomes a commit.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ChangeRecord;

/// Whether something is done or only shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    #[default]
    Commit,
    /// Nothing is written; the answer says what would be.
    DryRun,
}

/// A chart and where it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChartChoice {
    /// Name of an application of the project; or else `repo_url` and `chart_name`.
    pub app: Option<String>,
    pub repo_url: Option<String>,
    pub chart_name: Option<String>,
    /// A version or a range as Helm has them (`^1.2`); the newest stable one unless said.
    pub version: Option<String>,
}

/// Values of an instance, the later winning over the earlier: what is there, `values`, `set`, `set_string`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewValues {
    /// YAML that takes the place of the values that are there.
    pub values: Option<String>,
    /// `key.inner=value`, as `helm --set` reads it.
    #[serde(default)]
    pub set: Vec<String>,
    /// The same, always as text.
    #[serde(default)]
    pub set_string: Vec<String>,
}

/// Deploy a chart as an instance. One of this name that is there already is changed.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct DeployInstance {
    /// Of the instance; the chart's name unless said.
    pub name: Option<String>,
    pub chart: ChartChoice,
    /// Secret in the environment's namespace with the credentials of the chart's repository, for the agent that fetches it.
    pub repo_secret: Option<String>,
    #[serde(default)]
    pub values: NewValues,
    #[serde(default)]
    pub mode: Mode,
}

/// Move an instance to another version, carrying its values along.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct UpgradeInstance {
    /// What stays unsaid stays as it is, but for the version: the newest stable one.
    #[serde(default)]
    pub chart: ChartChoice,
    #[serde(default)]
    pub values: NewValues,
    /// What becomes of values that the new version means otherwise than the old one.
    #[serde(default)]
    pub conflicts: OnConflict,
    #[serde(default)]
    pub mode: Mode,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnConflict {
    /// Show them and write nothing.
    #[default]
    Refuse,
    /// Keep the instance's own values.
    KeepMine,
}

/// Bring an instance back to what it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RollBackInstance {
    /// A commit or its first digits; the one before the last change unless said.
    pub to: Option<String>,
    /// Instead of a commit: the number of a revision, as `helm history` shows them.
    #[serde(default)]
    pub to_revision: Option<u32>,
    #[serde(default)]
    pub mode: Mode,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangeInstance {
    #[serde(default)]
    pub mode: Mode,
}

/// Write a file of the repository.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct PutFile {
    pub content: String,
    /// Blob id of the content that this one replaces; `null`: there must be none.
    pub expected: Option<String>,
    /// Of the commit.
    pub message: Option<String>,
    #[serde(default)]
    pub mode: Mode,
}

/// A file of the repository at the head of the branch.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RepositoryFile {
    pub path: String,
    pub blob: String,
    pub commit: String,
    /// `null` in lists.
    pub content: Option<String>,
}

/// What a call has written, or would write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deployed {
    /// The commit; `null` when nothing was written.
    pub commit: Option<String>,
    /// Why nothing was written.
    pub unwritten: Option<Unwritten>,
    /// The instance, where it is about one.
    pub instance: Option<String>,
    /// `name` and `version` of the chart that the instance has now.
    pub chart: Option<String>,
    pub version: Option<String>,
    pub file: String,
    pub changes: Vec<ChangeRecord>,
    /// Unified diff of the file.
    pub diff: String,
    pub conflicts: Vec<ValueConflict>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unwritten {
    DryRun,
    /// It is as it was asked for already.
    NothingToChange,
    /// Somebody has to decide about `conflicts`.
    Conflicts,
}

/// A value that the instance sets, and whose default is another in the new version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ValueConflict {
    /// `image.tag`
    pub path: String,
    /// YAML of each; `null` where there is none.
    pub old_default: Option<String>,
    pub new_default: Option<String>,
    pub mine: Option<String>,
    pub message: String,
}
