//! Answers the Git host's questions: whose key or token it is, and what they may do with a repository.

use std::sync::Arc;

use c7n_api::StreamRights;
use c7n_git_host::{Actor as GitActor, ActorKind, Authority, Grant, RefRole, Refusal, RepositoryPath, Wish};
use futures_util::future::{BoxFuture, FutureExt};

use super::{Actor, Denial, Resource, Verb, authorize, tokens};
use crate::repositories::Repositories;
use crate::store::{KeyOwner, Store, StoreError};

/// Told of each push, with the id of the environment; only a hint, and quick.
pub type Pushed = Arc<dyn Fn(&str) + Send + Sync>;

pub struct GitAccess {
    store: Store,
    repositories: Repositories,
    pushed: Pushed,
}

impl GitAccess {
    pub fn new(store: Store, repositories: Repositories, pushed: Pushed) -> Self {
        Self {
            store,
            repositories,
            pushed,
        }
    }

    async fn owner_of_key(&self, fingerprint: &str) -> Result<Option<GitActor>, StoreError> {
        Ok(self.store.key_owner(fingerprint).await?.map(|owner| match owner {
            KeyOwner::User(caller) => GitActor {
                kind: ActorKind::User,
                id: caller.id,
                name: format!("user:{}", caller.username),
            },
            KeyOwner::Agent { environment, cluster } => agent(&cluster, Some(&environment)),
        }))
    }

    async fn owner_of_token(&self, token: &str) -> Result<Option<GitActor>, StoreError> {
        let hash = tokens::hash(token);
        if let Some(owner) = self.store.token_owner(&hash).await? {
            let name = format!("user:{}", owner.caller.username);
            return Ok(Some(GitActor {
                kind: ActorKind::User,
                id: owner.caller.id,
                name,
            }));
        }
        let cluster = self.store.cluster_of_credential(&hash).await?;
        Ok(cluster.map(|cluster| agent(&cluster, None)))
    }

    /// What the actor is called is turned into what they are now: rights may have changed since the login.
    async fn decide(
        &self,
        actor: &GitActor,
        path: &RepositoryPath,
        wish: Wish,
    ) -> Result<Result<Grant, Refusal>, StoreError> {
        let found = self
            .store
            .environment_of_repository(&path.project, &path.environment)
            .await?;
        let Some(row) = found else {
            return Ok(Err(Refusal::Hidden));
        };
        let (who, user_role, ref_role) = match actor.kind {
            ActorKind::User => match self.store.user_in_project(&actor.id, &row.project_id).await? {
                Some((caller, role)) => (Actor::User(caller), role, RefRole::User),
                None => return Ok(Err(Refusal::Hidden)),
            },
            ActorKind::Agent => (agent_of(&actor.id), None, RefRole::Agent),
        };
        let verb = match (wish, ref_role) {
            (Wish::Read, _) => Verb::See,
            (Wish::Write, RefRole::User) => Verb::Push,
            (Wish::Write, RefRole::Agent) => Verb::Tag,
        };
        let resource = Resource::Environment {
            role: user_role,
            id: &row.id,
            cluster: &row.cluster_id,
            // They are no rights to the repository.
            streams: StreamRights::default(),
        };
        Ok(match authorize(&who, verb, resource) {
            Err(Denial::Hidden) => Err(Refusal::Hidden),
            Err(Denial::Needs(_) | Denial::NeedsRight(_) | Denial::NeedsAdministrator) => {
                Err(Refusal::Stated(
                    "you may read this repository; to push you need the role developer in its project, \
                 which an owner of the project can give you"
                        .to_owned(),
                ))
            }
            Ok(()) if row.removal.is_some() && verb == Verb::Push => Err(Refusal::Stated(
                "this environment is being removed; nothing more can be pushed to it".to_owned(),
            )),
            Ok(()) => Ok(Grant {
                path: self.repositories.path(&row.id),
                role: ref_role,
                repository: row.id,
            }),
        })
    }
}

impl Authority for GitAccess {
    fn by_key<'a>(&'a self, fingerprint: &'a str) -> BoxFuture<'a, Option<GitActor>> {
        async move { self.owner_of_key(fingerprint).await.unwrap_or_else(unknown) }.boxed()
    }

    fn by_token<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Option<GitActor>> {
        async move { self.owner_of_token(token).await.unwrap_or_else(unknown) }.boxed()
    }

    fn access<'a>(
        &'a self,
        actor: &'a GitActor,
        repository: &'a RepositoryPath,
        wish: Wish,
    ) -> BoxFuture<'a, Result<Grant, Refusal>> {
        async move {
            self.decide(actor, repository, wish)
                .await
                .unwrap_or_else(|error| {
                    tracing::error!(%error, "the database cannot say who may use a repository");
                    Err(Refusal::Stated(
                        "the platform cannot answer at this moment; try again soon".to_owned(),
                    ))
                })
        }
        .boxed()
    }

    fn pushed<'a>(&'a self, grant: &'a Grant, actor: &'a GitActor) -> BoxFuture<'a, ()> {
        if actor.kind == ActorKind::User {
            tracing::info!(environment = %grant.repository, actor = %actor.name, "pushed");
            (self.pushed)(&grant.repository);
        }
        futures_util::future::ready(()).boxed()
    }
}

/// Fails closed: who cannot be looked up is nobody.
fn unknown(error: StoreError) -> Option<GitActor> {
    tracing::error!(%error, "the database cannot say whose key or token this is");
    None
}

// `CLUSTER/ENVIRONMENT` when reached by the key of an environment, `CLUSTER/` by the credential of the cluster.
fn agent(cluster: &str, environment: Option<&str>) -> GitActor {
    let id = format!("{cluster}/{}", environment.unwrap_or_default());
    GitActor {
        kind: ActorKind::Agent,
        id,
        name: format!("cluster:{cluster}"),
    }
}

fn agent_of(id: &str) -> Actor {
    let (cluster, environment) = id.split_once('/').unwrap_or((id, ""));
    let environment = (!environment.is_empty()).then(|| environment.to_owned());
    Actor::Agent {
        cluster: cluster.to_owned(),
        environment,
    }
}
