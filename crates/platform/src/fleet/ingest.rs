//! What an agent says, into the database: one transaction for all that came, acknowledged after its commit.

use std::collections::BTreeMap;

use c7n_api::{CommandState, EnvironmentPhase, Node};
use c7n_link::digest::KindKey;
use c7n_link::messages::{
    self, CommandOutcome, CommandResult, DeliveryReport, Digests, EnvironmentStatus, KindDetail, ObjectState,
    Say,
};
use c7n_link::reconcile::{differences, mismatches};

use super::words::{self, filled};
use crate::repositories::Repositories;
use crate::store::{NewDelivery, NewState, StateChanges, Store, StoreError, Tx, Whose, now_ms};

pub struct Delivered {
    pub epoch: u64,
    pub seq: u64,
    pub items: Vec<Say>,
}

/// What was stored, and what follows from it.
pub struct Taken {
    pub epoch: u64,
    pub seq: u64,
    pub questions: Vec<Say>,
    /// Commands that have their end.
    pub ended: Vec<String>,
    /// Environments whose agent's key is known from now on.
    pub registered: Vec<String>,
    /// Environments whose objects have changed.
    pub changed: Vec<String>,
}

pub async fn store(
    store: Store,
    repositories: Repositories,
    cluster: String,
    epoch: i64,
    batch: Vec<Delivered>,
) -> Result<Taken, StoreError> {
    let mut taken = Taken {
        epoch: 0,
        seq: 0,
        questions: Vec::new(),
        ended: Vec::new(),
        registered: Vec::new(),
        changed: Vec::new(),
    };
    let mut ingest = Ingest {
        cluster: &cluster,
        changes: BTreeMap::new(),
        owned: BTreeMap::new(),
        removed: Vec::new(),
        digests: None,
    };
    let mut tx = store.write().await?;
    if !tx.is_newest_session(&cluster, epoch).await? {
        // An older session's word counts no more; it is closed by the newer one.
        return Ok(taken);
    }
    for delivered in batch {
        (taken.epoch, taken.seq) = (delivered.epoch, delivered.seq);
        for item in delivered.items {
            ingest.item(&mut tx, item, &mut taken).await?;
        }
    }
    let changes = std::mem::take(&mut ingest.changes);
    for (environment, changes) in changes {
        tx.states_changed(&environment, changes).await?;
        taken.changed.push(environment);
    }
    tx.seen(&cluster).await?;
    let (removed, digests) = (ingest.removed, ingest.digests);
    tx.commit().await?;
    // Compared with everything that came in the same batch, and without holding the writer.
    if let Some(theirs) = digests {
        let ours = store.state_digests(&cluster).await?;
        let differing = mismatches(&ours, &theirs);
        taken
            .questions
            .extend(differing.into_iter().map(Say::DetailRequest));
    }
    for environment in removed {
        repositories.remove(&environment).await;
    }
    Ok(taken)
}

struct Ingest<'a> {
    cluster: &'a str,
    changes: BTreeMap<String, StateChanges>,
    /// Environments asked about, and whether they are this cluster's.
    owned: BTreeMap<String, bool>,
    removed: Vec<String>,
    digests: Option<Digests>,
}

impl Ingest<'_> {
    async fn item(&mut self, tx: &mut Tx, item: Say, taken: &mut Taken) -> Result<(), StoreError> {
        match item {
            Say::State(state) => {
                if self.owns(tx, &state.environment_id).await? {
                    self.state(tx, state).await?;
                }
            }
            Say::EnvironmentStatus(status) => {
                if self.owns(tx, &status.environment_id).await? {
                    self.status(tx, status, taken).await?;
                }
            }
            Say::Delivery(report) => {
                if self.owns(tx, &report.environment_id).await? {
                    delivery(tx, report).await?;
                }
            }
            Say::Result(result) => match tx.whose_command(self.cluster, &result.command_id).await? {
                Whose::Own => {
                    taken.ended.push(result.command_id.clone());
                    command_result(tx, result).await?;
                }
                Whose::Foreign => self.alarm(tx, "a command").await?,
                // It went with its environment, or it is of none.
                Whose::Nobodys => self.upgraded(tx, result, taken).await?,
            },
            Say::Digests(mut theirs) => {
                let mut own = Vec::with_capacity(theirs.entries.len());
                for entry in theirs.entries {
                    if self.owns(tx, &entry.environment_id).await? {
                        own.push(entry);
                    }
                }
                theirs.entries = own;
                self.digests = Some(theirs);
            }
            Say::Detail(detail) => {
                if self.owns(tx, &detail.environment_id).await? {
                    self.detail(tx, detail, taken).await?;
                }
            }
            Say::Cluster(info) => {
                let nodes: Vec<Node> = info.nodes.into_iter().map(super::introduce::node).collect();
                tx.cluster_info(self.cluster, &info.kubernetes_version, &nodes)
                    .await?;
            }
            Say::Kinds(kinds) => {
                let offered: Vec<crate::intake::OfferedKind> =
                    kinds.kinds.into_iter().map(Into::into).collect();
                tx.cluster_kinds(self.cluster, &crate::store::json(&offered)?)
                    .await?;
            }
            // What only the platform says.
            Say::Environment(_)
            | Say::Command(_)
            | Say::Cancel(_)
            | Say::DetailRequest(_)
            | Say::ObjectRequest(_)
            | Say::Credential(_)
            | Say::OpenStream(_) => {}
        }
        Ok(())
    }

    /// An agent speaks for its own cluster only. An environment that is gone is no offence: its last words may come late.
    async fn owns(&mut self, tx: &mut Tx, environment: &str) -> Result<bool, StoreError> {
        if let Some(known) = self.owned.get(environment) {
            return Ok(*known);
        }
        let whose = tx.whose_environment(self.cluster, environment).await?;
        self.owned.insert(environment.to_owned(), whose == Whose::Own);
        if whose == Whose::Foreign {
            self.alarm(tx, "an environment").await?;
        }
        Ok(whose == Whose::Own)
    }

    async fn alarm(&self, tx: &mut Tx, what: &str) -> Result<(), StoreError> {
        tracing::warn!(cluster = %self.cluster, %what, "an agent spoke of what is not its own; it was refused");
        tx.cluster_message(self.cluster, Some(&not_its_own(what))).await
    }

    async fn state(&mut self, tx: &mut Tx, state: ObjectState) -> Result<(), StoreError> {
        let environment = state.environment_id.clone();
        let changes = self.changes.entry(environment.clone()).or_default();
        if state.deleted {
            return tx.drop_state(&environment, &state.key, changes).await;
        }
        let object = words::live_object(&state, now_ms());
        let new = NewState {
            object: &object,
            resource_version: &state.resource_version,
            digest: &state.digest,
        };
        tx.put_state(&environment, &new, changes).await
    }

    async fn detail(&mut self, tx: &mut Tx, detail: KindDetail, taken: &mut Taken) -> Result<(), StoreError> {
        let set = KindKey {
            environment_id: detail.environment_id.clone(),
            group: detail.group.clone(),
            kind: detail.kind.clone(),
        };
        let ours = tx.kind_digests(&set).await?;
        let found = differences(&ours, &detail);
        let changes = self.changes.entry(detail.environment_id).or_default();
        for key in &found.gone {
            tx.drop_state(&set.environment_id, key, changes).await?;
        }
        taken.questions.extend(found.request.map(Say::ObjectRequest));
        Ok(())
    }

    async fn status(
        &mut self,
        tx: &mut Tx,
        status: EnvironmentStatus,
        taken: &mut Taken,
    ) -> Result<(), StoreError> {
        let phase = match status.phase() {
            messages::EnvironmentPhase::Preparing => EnvironmentPhase::Preparing,
            messages::EnvironmentPhase::Ready => EnvironmentPhase::Ready,
            messages::EnvironmentPhase::Failed => EnvironmentPhase::Failed,
            messages::EnvironmentPhase::Removed => {
                if tx.is_removal_asked(&status.environment_id).await? {
                    self.changes.remove(&status.environment_id);
                    tx.delete_environment(&status.environment_id).await?;
                    self.owned.insert(status.environment_id.clone(), false);
                    self.removed.push(status.environment_id);
                }
                return Ok(());
            }
        };
        if !status.public_key.is_empty() {
            self.key(tx, &status, taken).await?;
        }
        tx.environment_phase(&status.environment_id, phase, filled(&status.message))
            .await
    }

    async fn upgraded(
        &self,
        tx: &mut Tx,
        result: CommandResult,
        taken: &mut Taken,
    ) -> Result<(), StoreError> {
        match tx.whose_upgrade(self.cluster, &result.command_id).await? {
            Whose::Own => {
                let state = end(result.outcome());
                tx.finish_upgrade(&result.command_id, state, filled(&result.message))
                    .await?;
                taken.ended.push(result.command_id);
                Ok(())
            }
            Whose::Foreign => self.alarm(tx, "an upgrade").await,
            Whose::Nobodys => Ok(()),
        }
    }

    async fn key(
        &self,
        tx: &mut Tx,
        status: &EnvironmentStatus,
        taken: &mut Taken,
    ) -> Result<(), StoreError> {
        let environment = &status.environment_id;
        let fingerprint = match c7n_git_host::fingerprint(&status.public_key) {
            Ok(fingerprint) => fingerprint,
            Err(error) => {
                tracing::warn!(%environment, %error, "an agent sent a key that cannot be used");
                return Ok(());
            }
        };
        if tx.is_key_of_another(environment, &fingerprint).await? {
            return self.alarm(tx, "the key of an environment").await;
        }
        if tx
            .register_key(environment, &status.public_key, &fingerprint)
            .await?
        {
            taken.registered.push(environment.clone());
        }
        Ok(())
    }
}

fn end(outcome: CommandOutcome) -> CommandState {
    match outcome {
        CommandOutcome::Succeeded => CommandState::Succeeded,
        CommandOutcome::Failed | CommandOutcome::Unspecified => CommandState::Failed,
        CommandOutcome::Cancelled => CommandState::Cancelled,
        CommandOutcome::Expired => CommandState::Expired,
    }
}

async fn command_result(tx: &mut Tx, result: CommandResult) -> Result<(), StoreError> {
    let state = end(result.outcome());
    let payload = serde_json::from_slice(&result.payload).ok();
    tx.finish_command(
        &result.command_id,
        state,
        filled(&result.message),
        payload.as_ref(),
    )
    .await?;
    Ok(())
}

async fn delivery(tx: &mut Tx, said: DeliveryReport) -> Result<(), StoreError> {
    let report = words::report(&said);
    let new = NewDelivery {
        environment: &said.environment_id,
        delivery: &report.delivery,
        agent_sync: filled(&said.agent_sync),
        held: report.held.as_ref(),
        failed_objects: report.failed_objects,
        errors: &report.errors,
        message: filled(&said.message),
    };
    tx.put_delivery(&new).await
}

/// What people read of an agent that wants what is another's.
pub(super) fn not_its_own(what: &str) -> String {
    format!("its agent spoke of {what} that is not its own and was refused; check who holds its credential")
}
