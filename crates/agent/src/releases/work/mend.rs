//! Drift of what Helm made: found, and put back or told.

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Job, Verdict};
use crate::cluster::{ClusterError, KindName, Scope, deadline};
use crate::delivery::TakenBack;
use crate::releases::drift::{Changed, Finding, HELM_MANAGER, compare, repaired};
use crate::releases::hand::timestamp;
use crate::releases::manifest::Made;
use crate::releases::spec::{DriftPolicy, Wish};

/// Objects that are asked for at once.
const AT_ONCE: usize = 8;
/// Objects that one sentence names.
const NAMED: usize = 5;

/// What was found about one object.
struct Found<'a> {
    made: &'a Made,
    live: Option<Value>,
    finding: Finding,
}

impl Job {
    pub(super) async fn check_drift(mut self, wish: &Wish) -> Result<Verdict, ClusterError> {
        let made = match self.deployed_objects().await {
            Ok((_, made)) => made,
            Err(words) => {
                tracing::debug!(release = %self.release.id, words, "drift cannot be looked for");
                return Ok(Verdict::DriftChecked);
            }
        };
        let looks: Vec<BoxFuture<'_, _>> = made.iter().map(|object| self.look_at(object).boxed()).collect();
        let found: Vec<Result<Found<'_>, ClusterError>> =
            stream::iter(looks).buffered(AT_ONCE).collect().await;
        let found: Vec<Found<'_>> = found.into_iter().collect::<Result<_, _>>()?;
        let drifted: Vec<&Found<'_>> = found.iter().filter(|it| it.finding != Finding::InSync).collect();
        let mut told = Vec::new();
        for it in drifted {
            let words = words(it);
            if wish.drift == DriftPolicy::Report || self.is_war(it) {
                told.push(words);
                continue;
            }
            match self.put_back(it.made, it.live.as_ref()).await {
                Ok(()) => tracing::info!(release = %self.release.id, drift = words, "put back"),
                Err(error) => told.push(format!("{words}; it cannot be put back: {error}")),
            }
        }
        let summary = (!told.is_empty()).then(|| {
            let more = told.len().saturating_sub(NAMED);
            told.truncate(NAMED);
            let mut text = told.join("; ");
            if more > 0 {
                text.push_str(&format!("; and {more} more objects"));
            }
            text
        });
        let now = timestamp();
        self.status
            .report_drift(summary.as_deref(), self.release.generation, &now);
        self.flush().await?;
        Ok(Verdict::DriftChecked)
    }

    async fn look_at<'a>(&self, made: &'a Made) -> Result<Found<'a>, ClusterError> {
        let Some(api) = self.api_of(made).await? else {
            // Its kind has gone, or may not be written here any more: it cannot be brought back.
            return Ok(Found {
                made,
                live: None,
                finding: Finding::InSync,
            });
        };
        let live = match deadline("an object of a release", api.get_opt(&made.name)).await {
            Ok(live) => live.map(|object| json!(object)),
            // What this agent may not see it cannot judge.
            Err(error) if error.is_status(403) => {
                return Ok(Found {
                    made,
                    live: None,
                    finding: Finding::InSync,
                });
            }
            Err(error) => return Err(error),
        };
        let finding = compare(&made.value, live.as_ref());
        Ok(Found { made, live, finding })
    }

    /// Applies the object again as Helm would.
    pub(super) async fn put_back(&self, made: &Made, live: Option<&Value>) -> Result<(), ClusterError> {
        let Some(api) = self.api_of(made).await? else {
            return Ok(());
        };
        let id = &self.release.id;
        let body = repaired(&made.value, live, &id.name, &id.namespace);
        let params = PatchParams::apply(HELM_MANAGER).force();
        let patch = Patch::Apply(&body);
        deadline("an object to be put back", api.patch(&made.name, &params, &patch))
            .await
            .map(drop)
    }

    async fn api_of(&self, made: &Made) -> Result<Option<Api<DynamicObject>>, ClusterError> {
        let name = KindName::new(made.group.clone(), made.kind.clone());
        let Some(preferred) = self.hand.discovery.find(&name).await? else {
            return Ok(None);
        };
        let kinds = self.hand.discovery.kinds();
        let info = kinds.in_version(&name, &made.version).unwrap_or(&preferred);
        if !is_inside(info.scope, &name, &self.resident.cluster_kinds) {
            return Ok(None);
        }
        let client = self.hand.client.clone();
        Ok(Some(match info.scope {
            Scope::Namespaced => Api::namespaced_with(client, &made.namespace, &info.resource),
            Scope::Cluster => Api::all_with(client, &info.resource),
        }))
    }

    /// Somebody takes it again and again: from then on it is only told (fault 11).
    fn is_war(&self, found: &Found<'_>) -> bool {
        let id = c7n_manifests::ObjectId {
            group: found.made.group.clone(),
            kind: found.made.kind.clone(),
            namespace: Some(found.made.namespace.clone()),
            name: found.made.name.clone(),
        };
        let now = Instant::now();
        let mut taken = self.hand.taken_back();
        let war = taken.count(&id, now) >= TakenBack::PEACE;
        if !war {
            taken.note(&id, now);
        }
        war
    }
}

/// Whether the release may hold such an object, as its worker judges it: the record that it was read from may be forged.
fn is_inside(scope: Scope, kind: &KindName, cluster_kinds: &[String]) -> bool {
    match scope {
        Scope::Namespaced => true,
        Scope::Cluster => cluster_kinds.contains(&kind.to_string()),
    }
}

fn words(found: &Found<'_>) -> String {
    let title = found.made.title();
    match &found.finding {
        Finding::InSync => title,
        Finding::Missing => format!("{title} was deleted"),
        Finding::Changed { fields } => {
            let field = |it: &Changed| match &it.manager {
                Some(manager) => format!("{} by {manager}", it.field),
                None => format!("{} taken away", it.field),
            };
            let mut named: Vec<String> = fields.iter().take(NAMED).map(field).collect();
            if fields.len() > NAMED {
                named.push(format!("and {} more fields", fields.len() - NAMED));
            }
            format!("{title} was changed: {}", named.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_put_back_that_the_worker_would_not_write() {
        let role = KindName::new("rbac.authorization.k8s.io".to_owned(), "ClusterRole".to_owned());
        let allowed = ["ClusterRole.rbac.authorization.k8s.io".to_owned()];
        assert!(is_inside(Scope::Cluster, &role, &allowed));
        assert!(!is_inside(Scope::Cluster, &role, &["ClusterRole".to_owned()]));
        assert!(!is_inside(Scope::Cluster, &role, &[]));
        assert!(is_inside(Scope::Namespaced, &role, &[]));
    }
}
