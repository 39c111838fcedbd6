//! Sync: fetch and converge now, and tell how it went.

use super::hands::Places;
use super::order::OrderResult;
use crate::environments::{EnvironmentId, PassEnd, SyncEnd};

/// Repeating it is harmless: it asks for what the agent does anyway.
pub(super) async fn sync(environments: &impl Places, id: &EnvironmentId) -> Result<OrderResult, String> {
    let Some(answer) = environments.ask_sync(id) else {
        return Err("many syncs already wait for this environment; they all end with the same pass".into());
    };
    let synced = answer
        .await
        .map_err(|_| "the environment was stopped before it had synced".to_owned())?;
    let message = synced.message;
    match synced.end {
        SyncEnd::Passed {
            commit,
            end: PassEnd::Complete,
        } => Ok(OrderResult::succeeded(format!("applied {commit}"))),
        SyncEnd::Passed { commit, .. } => Err(format!("commit {commit} is not wholly applied: {message}")),
        SyncEnd::NothingWanted => Ok(OrderResult::succeeded(message)),
        SyncEnd::FetchFailed => Err(message),
    }
}
