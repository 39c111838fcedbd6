//! Cancel, retry, test: what a person orders of a Helm release.
//!
//! Given twice, each does no more than given once: a second cancel finds nothing to cancel, a second retry nothing that
//! has failed, and a test runs again.

use super::order::{ObjectName, OrderResult};
use crate::releases::{Orders, crd};

pub(super) async fn cancel(
    releases: &Orders,
    namespace: &str,
    object: &ObjectName,
) -> Result<OrderResult, String> {
    check(object)?;
    let said = releases.cancel(namespace, &object.name).await?;
    Ok(OrderResult::succeeded(said))
}

pub(super) async fn retry(
    releases: &Orders,
    namespace: &str,
    object: &ObjectName,
) -> Result<OrderResult, String> {
    check(object)?;
    let said = releases.retry(namespace, &object.name).await?;
    Ok(OrderResult::succeeded(said))
}

pub(super) async fn test(
    releases: &Orders,
    namespace: &str,
    object: &ObjectName,
) -> Result<OrderResult, String> {
    check(object)?;
    let answer = releases.test(namespace, &object.name).await?;
    Ok(OrderResult::answered(answer))
}

fn check(object: &ObjectName) -> Result<(), String> {
    if object.kind.group == crd::GROUP && object.kind.kind == crd::KIND {
        return Ok(());
    }
    Err(format!(
        "{object} is no release; give a {}.{}",
        crd::KIND,
        crd::GROUP
    ))
}
