//! Instances: the Helm releases of an environment, with everything that they made.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{HealthStatus, LiveObject, ObjectRef};

/// The instances of an environment, and what belongs to none of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Instances {
    pub instances: Vec<Instance>,
    /// Of the objects that belong to the environment itself.
    pub environment: Vitals,
}

/// One Helm release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Instance {
    pub name: String,
    /// What is wanted. `null` while there are only objects of the release and no `C7NHelmRelease`.
    pub chart: Option<String>,
    pub version: Option<String>,
    pub repository: Option<String>,
    /// Name of the project's application that has this chart, if one has.
    pub app: Option<String>,
    /// What was reached: the release's newest revision, made of this chart (`name-version`).
    pub revision: Option<u32>,
    pub deployed: Option<String>,
    pub phase: Option<String>,
    /// The commit that the revision was made of.
    pub commit: Option<String>,
    /// The file that describes it.
    pub file: Option<String>,
    /// The revisions that Helm keeps, oldest first.
    #[serde(default)]
    pub revisions: Vec<InstanceRevision>,
    #[serde(flatten)]
    pub vitals: Vitals,
}

/// One revision of a release, as `helm history` numbers them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceRevision {
    pub revision: u32,
    /// The commit that it was made from; `null` for one that was made by hand, or failed.
    #[serde(default)]
    pub commit: Option<String>,
    /// `name-version`
    #[serde(default)]
    pub chart: Option<String>,
    /// RFC 3339.
    #[serde(default)]
    pub time: Option<String>,
}

/// How some objects are doing together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Vitals {
    /// That of the worst of them.
    pub health: HealthStatus,
    /// Why it is not healthy.
    pub cause: Option<Cause>,
    pub objects: u32,
    pub pods_ready: u32,
    pub pods: u32,
}

/// Why something is not healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cause {
    /// One sentence that names the object at the root.
    pub text: String,
    /// The last words of a container that crashed, as it wrote them: data of a stranger.
    pub log: Vec<String>,
    /// The object at the root.
    pub object: ObjectRef,
}

/// One instance with its objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceDetail {
    #[serde(flatten)]
    pub instance: Instance,
    pub tree: Vec<Branch>,
}

/// All live objects of an environment by instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ObjectTree {
    pub instances: Vec<InstanceDetail>,
    /// How the objects of the environment itself are doing, and which they are.
    pub environment: Vitals,
    pub own: Vec<Branch>,
}

/// An object, and below it those that it owns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Branch {
    pub object: LiveObject,
    #[schema(no_recursion)]
    pub owned: Vec<Branch>,
}
