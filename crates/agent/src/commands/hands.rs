//! Carries orders out on the cluster: finds the kind and the place, and hands on to the file of the verb.

use kube::Client;
use kube::api::{Api, DynamicObject};
use tokio::sync::oneshot;

use super::delete_object::delete_object;
use super::get_object::get_object;
use super::ledger::Ledger;
use super::order::{ObjectName, Order, OrderResult, Verb};
use super::pool::CarryOut;
use super::release;
use super::restart::restart;
use super::scale::scale;
use super::sync::sync;
use crate::cluster::{ClusterError, Discovery, KindInfo, Scope};
use crate::environments::{Directory, EnvironmentId, Synced};
use crate::releases::Orders;

/// Fields written on a person's word. Not the manager of delivery, which would take them back with its next apply.
pub(super) const FIELD_MANAGER: &str = "c7n-command";

/// What commands must know of environments.
pub trait Places: Send + Sync + 'static {
    /// The namespace of the environment, if there is one.
    fn namespace(&self, id: &EnvironmentId) -> Option<String>;
    /// Asks for a fetch and a pass. `None` if too many ask already.
    fn ask_sync(&self, id: &EnvironmentId) -> Option<oneshot::Receiver<Synced>>;
}

impl Places for Directory {
    fn namespace(&self, id: &EnvironmentId) -> Option<String> {
        Directory::namespace(self, id)
    }

    fn ask_sync(&self, id: &EnvironmentId) -> Option<oneshot::Receiver<Synced>> {
        Directory::ask_sync(self, id)
    }
}

pub struct Hands<P> {
    client: Client,
    discovery: Discovery,
    environments: P,
    releases: Orders,
}

/// An object in its place.
pub(super) struct Target<'a> {
    pub api: Api<DynamicObject>,
    pub kind: KindInfo,
    pub object: &'a ObjectName,
}

impl<P: Places> Hands<P> {
    pub fn new(client: Client, discovery: Discovery, environments: P, releases: Orders) -> Self {
        Self {
            client,
            discovery,
            environments,
            releases,
        }
    }

    async fn attempt(&self, order: &Order, ledger: &Ledger) -> Result<OrderResult, String> {
        let Some(namespace) = self.environments.namespace(&order.environment) else {
            return Err("this agent does not know the environment; it may have been removed".into());
        };
        match &order.verb {
            Verb::Sync => sync(&self.environments, &order.environment).await,
            Verb::Restart { object, created_ms } => {
                restart(self.target(object, &namespace).await?, *created_ms).await
            }
            Verb::Scale { object, replicas } => {
                scale(self.target(object, &namespace).await?, *replicas).await
            }
            Verb::DeleteObject { object } => {
                delete_object(self.target(object, &namespace).await?, &order.id, ledger).await
            }
            Verb::GetObject { object } => get_object(self.target(object, &namespace).await?).await,
            Verb::CancelRelease { object } => release::cancel(&self.releases, &namespace, object).await,
            Verb::RetryRelease { object } => release::retry(&self.releases, &namespace, object).await,
            Verb::TestRelease { object } => release::test(&self.releases, &namespace, object).await,
        }
    }

    /// Commands act in the namespace of their environment and nowhere else.
    async fn target<'a>(&self, object: &'a ObjectName, namespace: &str) -> Result<Target<'a>, String> {
        let kind = self
            .discovery
            .find(&object.kind)
            .await
            .map_err(|error| error.to_string())?;
        let Some(kind) = kind else {
            return Err(format!(
                "no kind {:?} in group {:?} on this cluster; check the spelling with `kubectl api-resources`",
                object.kind.kind, object.kind.group
            ));
        };
        if kind.scope == Scope::Cluster {
            let kind = &object.kind;
            return Err(format!(
                "{kind} belongs to the whole cluster; commands act in the environment's namespace only"
            ));
        }
        let api = Api::namespaced_with(self.client.clone(), namespace, &kind.resource);
        Ok(Target { api, kind, object })
    }
}

impl<P: Places> CarryOut for Hands<P> {
    async fn carry_out(&self, order: &Order, ledger: &Ledger) -> OrderResult {
        Box::pin(self.attempt(order, ledger))
            .await
            .unwrap_or_else(OrderResult::failed)
    }
}

/// What went wrong with an object, for people.
pub(super) fn explain(object: &ObjectName, error: &ClusterError) -> String {
    if error.is_status(404) {
        return format!("there is no {object} in this environment");
    }
    error.to_string()
}
