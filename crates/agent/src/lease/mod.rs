//! Which of the agent's copies works: the one that holds the Lease (`coordination.k8s.io`).
//!
//! In: the Lease as the API server has it, the clock of this machine. Out: a word that this copy leads, and a word that
//! it does so no longer. The others stand by; one takes over at once when the leader gives the Lease back, and when it
//! has not been renewed for its duration otherwise. Times of other machines are never compared with ours: what counts
//! is for how long we have seen no change.
//!
//! Nothing is written after the Lease is lost: the leader may write until its [`Fence`] falls, which is before anybody
//! else may take the Lease, and the API client itself asks the fence before each request. A process that was stopped and
//! goes on later finds the fence fallen.

mod election;
mod fence;
mod keep;

pub use election::{Decision, Election, Seen, Terms, Write};
pub use fence::{Fence, FenceLayer, NotLeading};
pub use keep::{Keeper, Standing};
