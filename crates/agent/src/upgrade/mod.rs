//! The agent puts another version in its own place, and takes the old one back if the new one does not report.
//!
//! In: an order of the platform. Out: one result. What is under way stands in an annotation of the agent's own Deployment
//! ([`Mark`]), so that whichever copy leads next goes on with it: usually that is the new version itself. The Deployment
//! keeps the old pods until the new ones are ready (`maxUnavailable: 0`), and a new one is ready when it reaches API
//! server and platform.

mod plan;
mod run;

pub use plan::{Mark, Order, Seen, Step, decide};
pub use run::Upgrades;
