//! Delete an object: what Git describes, or what has a controller, comes back new.

use kube::api::{DeleteParams, Preconditions, PropagationPolicy};

use super::hands::{Target, explain};
use super::ledger::Ledger;
use super::order::{CommandId, OrderResult};
use crate::cluster::deadline;

/// The uid that the first attempt finds is written down before anything is deleted: a repeated attempt cannot hit the
/// successor, which in a StatefulSet has the same name.
pub(super) async fn delete_object(
    target: Target<'_>,
    id: &CommandId,
    ledger: &Ledger,
) -> Result<OrderResult, String> {
    let object = target.object;
    let uid = match ledger.memo(id) {
        Some(uid) => uid,
        None => {
            let found = deadline("an object", target.api.get_metadata(&object.name))
                .await
                .map_err(|error| explain(object, &error))?;
            let uid = found.metadata.uid.unwrap_or_default();
            let kept = ledger.remember(id, uid.clone()).await;
            kept.map_err(|cause| {
                format!("nothing was deleted: the agent cannot write down what it would delete: {cause}")
            })?;
            uid
        }
    };
    let params = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Background),
        preconditions: Some(Preconditions {
            uid: Some(uid),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    match deadline("a deletion", target.api.delete(&object.name, &params)).await {
        Ok(_) => Ok(OrderResult::succeeded(format!("{object} is deleted"))),
        // Gone, or another one of the same name is there by now.
        Err(error) if error.is_status(404) || error.is_status(409) => {
            Ok(OrderResult::succeeded(format!("{object} was deleted")))
        }
        Err(error) => Err(explain(object, &error)),
    }
}
