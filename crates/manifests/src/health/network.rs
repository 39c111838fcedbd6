//! Services and ingresses.

use serde_json::Value;

use super::Health;

pub(super) fn service(object: &Value) -> Health {
    if object["spec"]["type"] == "LoadBalancer" && !has_address(object) {
        return Health::progressing("waits for the address of a load balancer");
    }
    Health::healthy()
}

/// Many ingress controllers never report an address, so that its absence is told and not held against the ingress.
pub(super) fn ingress(object: &Value) -> Health {
    let mut health = Health::healthy();
    if !has_address(object) {
        health.message = "no address reported".to_owned();
    }
    health
}

fn has_address(object: &Value) -> bool {
    object["status"]["loadBalancer"]["ingress"]
        .as_array()
        .is_some_and(|ingress| !ingress.is_empty())
}
