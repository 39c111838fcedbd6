//! `/healthz` and `/readyz`, for the kubelet: whether the process answers, and whether this copy can do its part.
//!
//! In: words of those who know ([`Readiness`]). Out: one line of text by a small port, or by a socket in the pod. Nothing
//! else is served there, nothing is read but the first line, and no secret is among the words.

mod listen;
mod probe;
mod readiness;

pub use listen::{HealthListen, Listener};
pub use probe::{Probe, ask};
pub use readiness::Readiness;
