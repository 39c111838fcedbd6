//! What a person orders: restart, scale, delete, get, sync; and of releases: cancel, retry, test.
//!
//! In: commands of the platform ([`read`]). Out: one result for each ([`write`]). Workers carry them out ([`Pool`]), in
//! order for one object and fair between environments ([`queue`]), each once ([`Ledger`]). A file per verb.
//! Never: an object outside of the environment's namespace, the value of a Secret.

mod delete_object;
mod get_object;
mod hands;
mod ledger;
mod order;
mod pool;
pub mod queue;
mod read;
mod release;
mod restart;
mod scale;
mod sync;

pub use hands::{Hands, Places};
pub use ledger::Ledger;
pub use order::{CommandId, ObjectName, Order, OrderEnd, OrderKey, OrderResult, Verb};
pub use pool::{CarryOut, Pool, Results};
pub use read::{read, write};
