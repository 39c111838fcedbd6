//! What the files of a repository mean, and what follows from it for a cluster.
//!
//! In come bytes of files, what the cluster has, and the rules of an environment. Out go objects or errors with line and column
//! ([`parse_file`], [`assemble`]), the difference between two commits ([`compare`]), a [`Plan`] of writes and deletions ([`plan`]),
//! and what a live object looks like to a person ([`health`], [`summary`]). [`edit`] changes files without touching what is around. Both the platform and the agent use it, so that they
//! can never disagree about what a file means.
//!
//! Everything here is a function of its arguments: no network, no disk, no clock, no tasks. Values of Secrets are never put into
//! an error, a summary or a log line.
//!
//! ```
//! use c7n_manifests::{Confinement, Limits, PrunePolicy, assemble, builtin_scope, parse_file, plan};
//!
//! let file = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {mode: \"0644\"}\n";
//! let parsed = parse_file("settings.yaml", file, &Limits::default());
//! let tree = assemble([("settings.yaml".to_owned(), parsed)], &Confinement::to("shop"), &builtin_scope);
//! assert_eq!(tree.objects[0].id.to_string(), "ConfigMap shop/settings");
//!
//! let plan = plan(&tree.objects, &[], &tree.held_files(), &PrunePolicy::default());
//! assert_eq!(plan.writes(), 1);
//! ```

mod applyset;
mod assemble;
mod cause;
mod compare;
mod confine;
mod drifted;
pub mod edit;
mod error;
mod fields;
mod health;
mod identity;
pub mod labels;
mod ownership;
mod parse;
mod plan;
mod summary;
mod survey;
mod yaml;

pub use applyset::{APPLYSET_PARENT, applyset_id, decorate};
pub use assemble::{Tree, assemble};
pub use cause::{Clue, Crash, Run, Trouble, last_words, trouble};
pub use compare::{Change, Index, Indexed, Record, carry_over, compare};
pub use confine::{Confinement, Scope, builtin_scope, confine, crd_scopes};
pub use drifted::{DriftedField, Manager, drifted_fields};
pub use error::{ErrorCode, FileError};
pub use fields::{FieldPath, uncovered_fields};
pub use health::{Health, HealthStatus, health};
pub use identity::{GroupKind, IdentityError, ManifestDigest, ObjectId};
pub use ownership::{drift, owned_fields, owned_fields_cover, owned_fields_digest};
pub use parse::{Object, Position, Source, is_manifest_path, parse_file};
pub use plan::{
    Action, Drift, HeldPrune, HeldReason, Lifecycle, Live, Ownership, Plan, PrunePolicy, Refusal, Refused,
    Step, Wave, plan, wave_of,
};
pub use summary::{state_digest, summary};
pub use survey::{Survey, survey};
pub use yaml::{Limits, yaml_to_json};
