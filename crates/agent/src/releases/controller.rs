//! Whose turn it is: one task per release at a time, begun when something has changed, broken off when something newer is
//! wanted. Decides nothing about a release itself: that is the plan's.

mod slot;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use c7n_helm::{ClusterKinds, EngineError, HookRun, ReleaseId, Test};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::eyes::Eyes;
use super::hand::Hand;
use super::work::{self, Aim, Question, Stops, Verdict};
use slot::{Running, Slot, Turn};

/// Orders that may wait for the controller, which never waits itself.
const ORDERS: usize = 64;
/// Something is seen to change; more may come with it.
const SETTLE: Duration = Duration::from_millis(500);

/// What a person orders.
pub enum Order {
    Cancel {
        id: ReleaseId,
        answer: oneshot::Sender<Result<String, String>>,
    },
    Retry {
        id: ReleaseId,
        answer: oneshot::Sender<Result<String, String>>,
    },
    Test {
        id: ReleaseId,
        timeout: Duration,
        answer: oneshot::Sender<Result<Vec<HookRun>, EngineError>>,
    },
}

impl Order {
    fn id(&self) -> &ReleaseId {
        match self {
            Self::Cancel { id, .. } | Self::Retry { id, .. } | Self::Test { id, .. } => id,
        }
    }
}

pub struct Controller {
    hand: Arc<Hand>,
    eyes: Arc<Eyes>,
    orders: mpsc::Receiver<Order>,
    slots: HashMap<ReleaseId, Slot>,
    tasks: JoinSet<(ReleaseId, Verdict)>,
    /// Whose each task is, for the case that it panics.
    owners: HashMap<Id, ReleaseId>,
    shutdown: CancellationToken,
}

impl Controller {
    pub fn new(hand: Arc<Hand>, eyes: Arc<Eyes>, shutdown: CancellationToken) -> (Self, mpsc::Sender<Order>) {
        let (sender, orders) = mpsc::channel(ORDERS);
        let controller = Self {
            hand,
            eyes,
            orders,
            slots: HashMap::new(),
            tasks: JoinSet::new(),
            owners: HashMap::new(),
            shutdown,
        };
        (controller, sender)
    }

    /// Runs until the agent ends, and then until every operation has noted that it was broken off.
    pub async fn run(mut self) {
        let hand = self.hand.clone();
        let eyes = self.eyes.clone();
        let shutdown = self.shutdown.clone();
        let mut environments = hand.directory.changes();
        loop {
            let due = self.slots.values().filter_map(|slot| slot.due).min();
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = hand.table.rung() => {}
                () = eyes.rung() => self.touched(),
                Some(order) = self.orders.recv() => self.ordered(order),
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                Ok(()) = environments.changed() => hand.table.make_all_due(),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
            let now = Instant::now();
            let mut turns = hand.table.take_due();
            for (id, slot) in &mut self.slots {
                if slot.is_due(now) {
                    turns.insert(id.clone());
                }
            }
            for id in turns {
                self.consider(id);
            }
        }
        // Each was told by its token; the deadline is that of the whole agent.
        while self.tasks.join_next().await.is_some() {}
    }

    fn consider(&mut self, id: ReleaseId) {
        let Some(known) = self.hand.table.known(&id) else {
            return;
        };
        let resident = self.hand.directory.resident(&id.namespace);
        let (Some(release), Some(_)) = (known.release, resident) else {
            match self.slots.get_mut(&id).map(|slot| &slot.running) {
                Some(Some(running)) => running.stops.any.cancel(),
                Some(None) => {
                    self.slots.remove(&id);
                    self.hand.engine.forget(&id);
                }
                None => {}
            }
            return;
        };
        let now = Instant::now();
        let slot = self.slots.entry(id.clone()).or_insert_with(|| Slot::new(now));
        if let Some(running) = &slot.running {
            if running.is_superseded_by(&release) {
                tracing::info!(release = %id, "something newer is wanted: the operation is broken off");
                running.stops.any.cancel();
            }
            slot.again = true;
            return;
        }
        if slot.rests_until.is_some_and(|until| now < until) {
            slot.due = slot.rests_until;
            return;
        }
        let recorded = release.status.recorded(release.generation);
        let question = Question {
            release: &release,
            history: &known.history,
            recorded: &recorded,
            memory: &slot.memory,
            given_up: false,
        };
        let step = question.answer(&self.hand);
        match slot.turn(&step, &release, &known.history, self.hand.began, now) {
            Turn::Rest => {}
            Turn::Work => self.begin(id),
        }
    }

    fn begin(&mut self, id: ReleaseId) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let stops = stops(&self.shutdown);
        let aim = Aim::default();
        let work = work::step(
            self.hand.clone(),
            id.clone(),
            slot.memory.clone(),
            stops.clone(),
            aim.clone(),
        );
        let of = id.clone();
        let task = self.tasks.spawn(async move { (of, Box::pin(work).await) });
        self.owners.insert(task.id(), id);
        slot.begun(Running { stops, aim });
    }

    fn ended(&mut self, ended: Result<(Id, (ReleaseId, Verdict)), JoinError>) {
        let (id, verdict) = match ended {
            Ok((task, (id, verdict))) => {
                self.owners.remove(&task);
                (id, verdict)
            }
            Err(error) => {
                let Some(id) = self.owners.remove(&error.id()) else {
                    return;
                };
                tracing::error!(release = %id, %error, "a release's task broke; it is begun again");
                (id, Verdict::Trouble(error.to_string()))
            }
        };
        let now = (Instant::now(), self.hand.now());
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.ended(verdict, now, rand::random());
        }
        self.hand.table.make_due(id);
    }

    /// Objects that Helm made were seen to change.
    fn touched(&mut self) {
        for id in self.eyes.take() {
            if let Some(slot) = self.slots.get_mut(&id) {
                slot.touched(Instant::now() + SETTLE);
            }
        }
    }

    fn ordered(&mut self, order: Order) {
        let id = order.id().clone();
        let is_ours = self.slots.contains_key(&id);
        match order {
            Order::Cancel { answer, .. } => {
                let running = self.slots.get(&id).and_then(|slot| slot.running.as_ref());
                let said = match running {
                    Some(running) => {
                        running.stops.person.cancel();
                        Ok(format!(
                            "what goes on with the release {} is being cancelled",
                            id.name
                        ))
                    }
                    None => Err(format!("nothing goes on with the release {}", id.name)),
                };
                // Who asked may have gone.
                let _ = answer.send(said);
            }
            Order::Retry { answer, .. } => {
                let said = match self.slots.get_mut(&id) {
                    Some(slot) => {
                        slot.order_retry();
                        Ok(format!("the release {} is tried again now", id.name))
                    }
                    None => Err(unknown(&id)),
                };
                let _ = answer.send(said);
                self.hand.table.make_due(id);
            }
            Order::Test { timeout, answer, .. } => {
                let busy = self.slots.get(&id).is_some_and(|slot| slot.running.is_some());
                if !is_ours || busy {
                    let refusal = match busy {
                        true => EngineError::Busy,
                        false => EngineError::NotFound { what: unknown(&id) },
                    };
                    let _ = answer.send(Err(refusal));
                    return;
                }
                self.begin_test(id, timeout, answer);
            }
        }
    }

    fn begin_test(
        &mut self,
        id: ReleaseId,
        timeout: Duration,
        answer: oneshot::Sender<Result<Vec<HookRun>, EngineError>>,
    ) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let stops = stops(&self.shutdown);
        let (hand, of, any) = (self.hand.clone(), id.clone(), stops.any.clone());
        let resident = self.hand.directory.resident(&id.namespace);
        let cluster_kinds =
            ClusterKinds::Only(resident.map_or_else(Vec::new, |resident| resident.cluster_kinds));
        let task = self.tasks.spawn(async move {
            let request = Test {
                id: of.clone(),
                cluster_kinds,
                timeout,
            };
            let work = hand.engine.test(request, &any);
            let outcome = work.await.map(|done| done.hooks);
            // A test that nobody waits for any more has still told its hooks.
            let _ = answer.send(outcome);
            (of, Verdict::Rests)
        });
        let known = self.hand.table.known(&id);
        let release = known.and_then(|known| known.release);
        self.owners.insert(task.id(), id);
        slot.begun(Running {
            stops,
            aim: release.as_ref().map(Aim::at).unwrap_or_default(),
        });
    }
}

fn stops(shutdown: &CancellationToken) -> Stops {
    let person = shutdown.child_token();
    Stops {
        shutdown: shutdown.clone(),
        any: person.child_token(),
        person,
    }
}

fn unknown(id: &ReleaseId) -> String {
    format!(
        "this agent keeps no C7NHelmRelease {} in {}; check the name with `kubectl get c7nhr -n {}`",
        id.name, id.namespace, id.namespace
    )
}
