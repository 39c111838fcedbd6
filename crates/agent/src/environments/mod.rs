//! One actor per environment: its namespace, its key, its mirror, and when it is converged.
//!
//! In: specifications and wanted commits from the platform, drift from the watch, wishes to sync from commands. Out:
//! passes of delivery, the tag `agent-sync`, status and reports. While the platform is away the actors go on from disk.
//!
//! - [`schedule`]: when what is done (pure)
//! - `status`: what the platform is told (pure)
//! - `actor`: carries the schedule out
//! - `supervisor`: keeps the actors
//! - `namespace`, `clear`: what is done to the cluster before and after

mod actor;
mod clear;
mod directory;
mod folder;
mod id;
mod namespace;
pub mod schedule;
mod status;
mod supervisor;
mod untold;
mod world;

pub use clear::clear;
pub use directory::{Directory, Resident, Synced};
pub use id::{EnvironmentId, is_plain_id};
pub use namespace::prepare_namespace;
pub use schedule::{PassEnd, SyncEnd};
pub use supervisor::Environments;
pub use world::{Deliver, Obstacle, Pass, World};
