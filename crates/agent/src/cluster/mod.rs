//! The cluster that this agent serves: how it is reached, which one it is, and which kinds it knows.
//!
//! In: kubeconfig or the pod's service account. Out: [`ClusterAccess`] (client, uid, version, nodes) and [`Discovery`]
//! (the kinds, kept fresh). Writes nothing to the cluster.

mod access;
mod discovery;
mod kinds;
mod report;

pub(crate) use access::deadline;
pub use access::{CALL_DEADLINE, ClusterAccess, ClusterError, NodeInfo};
pub use discovery::Discovery;
pub use kinds::{KindInfo, KindName, Kinds, Scope};
pub use report::ClusterReport;
