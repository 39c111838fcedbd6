//! One pass: read the commit, see what lives, plan, write, delete, report.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use c7n_git::{CommitId, Mirror};
use c7n_link::messages::{EnvironmentSpec, ObjectResult};
use c7n_manifests::{
    APPLYSET_PARENT, Confinement, HeldReason, Live, ObjectId, Ownership, Plan, PrunePolicy, Tree, plan,
};
use tokio_util::sync::CancellationToken;

use super::apply::{Hand, kind_of};
use super::applyset::{Inventory, Open, Question};
use super::conflict::TakenBack;
use super::live::see;
use super::prune::prune;
use super::read::{Reader, confinement};
use super::report::{Course, Results, Subject, report};
use super::wave::write;
use super::{Converged, DeliveryContext, RetryNeed};
use crate::cluster::KindName;
use crate::state::applyset_of;

/// Delivers one environment, one commit after the other. What it remembers makes the next pass quick and can be lost.
pub struct Delivery {
    context: DeliveryContext,
    applyset: String,
    reader: Reader,
    inventory: Option<Inventory>,
    waited: BTreeSet<KindName>,
    taken_back: Mutex<TakenBack>,
    /// What incomplete attempts at this commit did.
    story: Option<(CommitId, Vec<ObjectResult>)>,
}

impl Delivery {
    pub fn new(context: DeliveryContext, spec: &EnvironmentSpec) -> Self {
        Self {
            context,
            applyset: applyset_of(&spec.namespace),
            reader: Reader::default(),
            inventory: None,
            waited: BTreeSet::new(),
            taken_back: Mutex::default(),
            story: None,
        }
    }

    /// Makes the cluster what the commit wants. What has begun when `cancel` comes is ended, and nothing more begun.
    pub async fn converge(
        &mut self,
        mirror: &Mirror,
        commit: &CommitId,
        spec: &EnvironmentSpec,
        cancel: &CancellationToken,
    ) -> Converged {
        let started_ms = now_ms();
        let mut results = Results::default();
        let mut planned = None;
        let course = match Box::pin(self.pass(mirror, commit, spec, cancel, &mut results, &mut planned)).await
        {
            Ok(()) if cancel.is_cancelled() => {
                Course::BrokenOff("the agent stops; what is missing is delivered by its next start".into())
            }
            Ok(()) => Course::Through,
            Err(text) => Course::BrokenOff(text),
        };
        if let Some((_, before)) = self.story.as_ref().filter(|(about, _)| about == commit) {
            results.continue_from(before);
        }
        let errors = &self.reader.tree().errors;
        let plan = planned.as_ref();
        let subject = Subject {
            spec,
            commit: commit.to_string(),
            started_ms,
            finished_ms: now_ms(),
        };
        let converged = report(subject, errors, plan, results, course);
        let complete = converged.retry == RetryNeed::Complete;
        self.story = (!complete).then(|| (*commit, converged.report.objects.clone()));
        converged
    }

    async fn pass(
        &mut self,
        mirror: &Mirror,
        commit: &CommitId,
        spec: &EnvironmentSpec,
        cancel: &CancellationToken,
        results: &mut Results,
        planned: &mut Option<Plan>,
    ) -> Result<(), String> {
        let confinement = confinement(&spec.namespace, &spec.allowed_cluster_kinds);
        self.read(mirror, commit, confinement).await?;
        let context = &self.context;
        let client = &context.client;
        let inventory = inventory(context, &mut self.inventory, spec).await?;
        let tree = self.reader.tree();
        let refreshed = tokio::sync::OnceCell::new();
        let hand = Hand {
            client,
            discovery: &context.discovery,
            state: &context.state,
            permits: &context.apply_permits,
            repository: mirror.repository(),
            environment: &spec.environment_id,
            namespace: &spec.namespace,
            applyset: &self.applyset,
            commit: commit.to_string(),
            taken_back: &self.taken_back,
            refreshed: &refreshed,
        };
        let live = Box::pin(see(&hand, &tree.objects, inventory.kinds(), &mut self.waited));
        let live = live.await.map_err(|failure| failure.message)?;

        let (decided, question) = decide(tree, &live, commit, spec, inventory.question());
        let decided = planned.insert(decided);
        results.planned(decided, &tree.objects, &live);
        let kinds = decided.waves.iter().flatten().map(|step| kind_of(&step.id));
        inventory
            .extend(client, &spec.namespace, kinds, question)
            .await
            .map_err(|error| error.to_string())?;
        for (object, done) in Box::pin(write(&hand, &tree.objects, decided, cancel)).await {
            match done {
                Ok(done) => results.applied(object, done.action, &done.drifted),
                Err(failure) => results.failed(object, failure),
            }
        }
        let known: HashMap<&ObjectId, &Live> = live.iter().map(|live| (&live.id, live)).collect();
        let mut pruned = BTreeSet::new();
        for (id, done) in prune(&hand, &live, decided, cancel).await {
            match done {
                Ok(()) => {
                    results.pruned(&id, known.get(&id).copied());
                    pruned.insert(id);
                }
                Err(failure) => results.not_pruned(&id, known.get(&id).copied(), failure),
            }
        }
        if cancel.is_cancelled() {
            return Ok(());
        }
        let members = members(tree, &live, &pruned);
        context.state.watch_kinds(members.iter().cloned());
        let open = if decided.held.is_none() && pruned.len() == decided.prune.len() {
            Open::Answered
        } else {
            Open::Still
        };
        inventory
            .shorten(client, &spec.namespace, members, open)
            .await
            .map_err(|error| error.to_string())
    }

    async fn read(
        &mut self,
        mirror: &Mirror,
        commit: &CommitId,
        confinement: Confinement,
    ) -> Result<(), String> {
        let kinds = self.context.discovery.kinds();
        if self.reader.is_at(commit, &confinement, &kinds) {
            return Ok(());
        }
        let mut reader = std::mem::take(&mut self.reader);
        let (repository, at) = (mirror.repository().clone(), *commit);
        let read = tokio::task::spawn_blocking(move || {
            let outcome = reader.read(&repository, &at, confinement, kinds);
            (reader, outcome)
        });
        let (reader, outcome) = read
            .await
            .map_err(|error| format!("reading the commit {commit} broke ({error}); it is tried again"))?;
        self.reader = reader;
        let Err(error) = outcome else { return Ok(()) };
        if error.is_damage()
            && let Err(cause) = mirror.rebuild().await
        {
            tracing::warn!(%cause, "a damaged mirror cannot be emptied");
        }
        Err(format!("the commit {commit} cannot be read: {error}"))
    }
}

/// Kinds of which the environment has something, or wants to.
fn members(tree: &Tree, live: &[Live], pruned: &BTreeSet<ObjectId>) -> BTreeSet<KindName> {
    // Controllers copy labels: an EndpointSlice that has those of its Service is no member.
    let ours = |live: &&Live| {
        live.owner == Ownership::Ours && live.controller.is_none() && live.manifest_digest.is_some()
    };
    let stay = live
        .iter()
        .filter(ours)
        .filter(|live| !pruned.contains(&live.id))
        .map(|live| kind_of(&live.id));
    tree.objects
        .iter()
        .map(|object| kind_of(&object.id))
        .chain(stay)
        .collect()
}

async fn inventory<'a>(
    context: &DeliveryContext,
    remembered: &'a mut Option<Inventory>,
    spec: &EnvironmentSpec,
) -> Result<&'a mut Inventory, String> {
    let namespace = &spec.namespace;
    let known = match remembered.take() {
        Some(known) => known,
        None => Inventory::load(&context.client, namespace)
            .await
            .map_err(|error| error.to_string())?,
    };
    let known = remembered.insert(known);
    let secret = KindName::new("", "Secret");
    if context
        .state
        .exists(&spec.environment_id, &secret, namespace, APPLYSET_PARENT)
        == Some(false)
    {
        known.lost();
    }
    Ok(known)
}

/// The plan, with what a person has agreed to lose, and what to remember of what was asked.
fn decide(
    tree: &Tree,
    live: &[Live],
    commit: &CommitId,
    spec: &EnvironmentSpec,
    before: Option<&Question>,
) -> (Plan, Option<Question>) {
    let held = tree.held_files();
    let commit = commit.to_string();
    // What was held stays held, also when what is created since has made it a smaller share. A commit that corrects the file
    // after which something was asked has answered by that.
    let before = before.filter(|before| {
        before.commit == commit || !matches!(before.held.reason, HeldReason::PossiblyRenamed { .. })
    });
    let mut policy = PrunePolicy {
        asked: before.map(|before| before.held.clone()),
        ..PrunePolicy::default()
    };
    let first = plan(&tree.objects, live, &held, &policy);
    let Some(question) = first.held.clone() else {
        return (first, None);
    };
    let asked = |held| {
        Some(Question {
            commit: commit.clone(),
            held,
        })
    };
    if spec.confirmed_commit != commit {
        return (first, asked(question));
    }
    // The word was given for what this commit asked. Where nobody knows that any more, it is for the commit.
    let agreed = before
        .filter(|before| before.commit == commit && !before.held.objects.is_empty())
        .map_or(question, |before| before.held.clone());
    policy.confirmed = Some(agreed.objects.iter().cloned().collect());
    (plan(&tree.objects, live, &held, &policy), asked(agreed))
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
