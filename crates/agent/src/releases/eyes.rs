//! Sees that an object which Helm made is not as it was: for the state's watches, which see every object anyway.
//!
//! Kept per object is a digest of the fields that Helm owns. Whatever else happens to an object, its status above all, is
//! no matter. Pure but for a lock and a bell.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use c7n_helm::ReleaseId;
use c7n_manifests::ManifestDigest;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::drift::helms;

/// More objects than this are not kept; their drift is found by the slow clock.
const MOST: usize = 200_000;

#[derive(Default)]
pub struct Eyes {
    inner: Mutex<Inner>,
    bell: Notify,
}

#[derive(Default)]
struct Inner {
    /// By uid.
    seen: HashMap<Box<str>, ManifestDigest>,
    touched: HashSet<ReleaseId>,
}

impl Eyes {
    pub async fn rung(&self) {
        self.bell.notified().await;
    }

    /// The releases of which an object was touched.
    pub fn take(&self) -> HashSet<ReleaseId> {
        self.locked(|inner| std::mem::take(&mut inner.touched))
    }

    /// The object as it is now.
    pub fn seen(&self, object: &Value) {
        let Some((id, uid)) = made_by_helm(object) else {
            return;
        };
        let digest = ManifestDigest::of(&json!([helms(object), is_at_rest(object)]));
        let touched = self.locked(|inner| {
            if inner.seen.len() >= MOST && !inner.seen.contains_key(uid) {
                return false;
            }
            let before = inner.seen.insert(uid.into(), digest);
            let touched = before.is_some_and(|before| before != digest);
            if touched {
                inner.touched.insert(id);
            }
            touched
        });
        if touched {
            self.bell.notify_one();
        }
    }

    /// The object has gone.
    pub fn gone(&self, object: &Value) {
        let Some((id, uid)) = made_by_helm(object) else {
            return;
        };
        self.locked(|inner| {
            inner.seen.remove(uid);
            inner.touched.insert(id);
        });
        self.bell.notify_one();
    }

    fn locked<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        // No work under this lock can leave it half-changed.
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A stopped workload that is started by hand changes nothing that Helm owns any more.
fn is_at_rest(object: &Value) -> bool {
    object["spec"]["replicas"] == 0 || object["spec"]["suspend"] == true
}

/// The release that the object is of, by Helm's own marks.
fn made_by_helm(object: &Value) -> Option<(ReleaseId, &str)> {
    let metadata = &object["metadata"];
    let annotation = |key: &str| metadata["annotations"][key].as_str();
    let id = ReleaseId::new(
        annotation("meta.helm.sh/release-namespace")?,
        annotation("meta.helm.sh/release-name")?,
    );
    Some((id, metadata["uid"].as_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(helms: Value, status: i64) -> Value {
        json!({
            "metadata": {
                "uid": "u1", "name": "web",
                "annotations": { "meta.helm.sh/release-name": "web", "meta.helm.sh/release-namespace": "shop" },
                "managedFields": [
                    { "manager": "helm", "operation": "Apply", "fieldsV1": helms },
                    { "manager": "kube-controller-manager", "subresource": "status", "fieldsV1": { "f:status": {} } },
                ],
            },
            "status": { "replicas": status },
        })
    }

    #[test]
    fn a_status_is_no_touch_and_a_taken_field_is() {
        let eyes = Eyes::default();
        let both = json!({ "f:spec": { "f:replicas": {}, "f:paused": {} } });
        eyes.seen(&object(both.clone(), 0));
        eyes.seen(&object(both, 1));
        assert!(eyes.take().is_empty());

        eyes.seen(&object(json!({ "f:spec": { "f:paused": {} } }), 1));
        assert_eq!(eyes.take(), HashSet::from([ReleaseId::new("shop", "web")]));
    }

    #[test]
    fn a_deletion_is_a_touch_and_others_objects_are_none() {
        let eyes = Eyes::default();
        eyes.gone(&object(json!({}), 0));
        assert_eq!(eyes.take().len(), 1);
        eyes.gone(&json!({ "metadata": { "uid": "u2", "annotations": {} } }));
        eyes.seen(&json!({ "metadata": { "uid": "u2" } }));
        assert!(eyes.take().is_empty());
    }
}
