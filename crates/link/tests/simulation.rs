//! Seeded play of the dialogue: cuts, delays, doubled and late frames, crashes of either side, a database that is slow and
//! fails. Whatever happens, in the end the platform's database tells what the cluster holds.
//!
//! `C7N_SEEDS=5000` plays more seeds, `C7N_SEED=17` plays one again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use c7n_link::digest::{DigestTable, KindKey};
use c7n_link::messages::{
    Action, Command, CommandOutcome, CommandResult, Hello, KindDetail, ObjectDigest, ObjectKey, ObjectState,
    Say, Sync, Wanted, Welcome,
};
use c7n_link::reconcile::{differences, mismatches};
use c7n_link::{CommandLedger, Config, Entry, Output, Role, Session};

const ENVIRONMENT: &str = "environment";
const KIND: &str = "ConfigMap";

#[test]
fn the_platform_ends_up_with_what_the_cluster_holds() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("C7N_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("C7N_SEEDS").unwrap_or(400),
    };
    for seed in seeds {
        let played = std::panic::catch_unwind(|| World::new(seed).play());
        assert!(
            played.is_ok(),
            "seed {seed} failed; play it again with C7N_SEED={seed}"
        );
    }
}

/// SplitMix64: small, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn pick<T: Clone>(&mut self, from: impl Iterator<Item = T>) -> Option<T> {
        let all: Vec<T> = from.collect();
        let len = all.len() as u64;
        (len > 0).then(|| all[self.roll(len) as usize].clone())
    }
}

/// What survives everything: the cluster's API server and the platform's disk.
#[derive(Default)]
struct Cluster {
    objects: BTreeMap<String, u64>,
}

#[derive(Default)]
struct Database {
    epoch: u64,
    objects: BTreeMap<String, u64>,
    wanted: u64,
    commands: BTreeMap<String, Option<CommandOutcome>>,
}

struct Agent {
    session: Session,
    digests: DigestTable,
    ledger: CommandLedger,
    carried_out: BTreeMap<String, u32>,
    wanted: u64,
}

struct Platform {
    session: Session,
    /// Delivered, and not yet in the database.
    waiting: VecDeque<(u64, u64, Vec<Say>)>,
}

struct World {
    dice: Dice,
    now: u64,
    /// Without digests the acknowledgements alone must carry everything; then the agent must not lose its memory.
    with_digests: bool,
    cluster: Cluster,
    database: Database,
    agent: Agent,
    platform: Platform,
    connected: bool,
    to_platform: VecDeque<Bytes>,
    to_agent: VecDeque<Bytes>,
    /// Frames of sessions that are over.
    stale: Vec<Bytes>,
    next_version: u64,
    next_command: u64,
}

fn small() -> Config {
    // Small windows and chunks, so that every path is walked.
    Config {
        batch_bytes: 300,
        chunk_bytes: 90,
        window_bytes: 700,
        window_frames: 9,
        compress_from: 200,
        ..Config::default()
    }
}

fn new_agent(cluster: &Cluster) -> Agent {
    let mut digests = DigestTable::default();
    for (name, version) in &cluster.objects {
        digests.insert(&kind(), "ns", name, &version.to_be_bytes());
    }
    Agent {
        session: Session::new(Role::Agent, small()),
        digests,
        ledger: CommandLedger::new(100),
        carried_out: BTreeMap::new(),
        wanted: 0,
    }
}

fn new_platform() -> Platform {
    Platform {
        session: Session::new(Role::Platform, small()),
        waiting: VecDeque::new(),
    }
}

fn kind() -> KindKey {
    KindKey {
        environment_id: ENVIRONMENT.into(),
        group: String::new(),
        kind: KIND.into(),
    }
}

fn state(name: &str, version: Option<u64>) -> Say {
    Say::State(ObjectState {
        environment_id: ENVIRONMENT.into(),
        key: ObjectKey {
            group: String::new(),
            kind: KIND.into(),
            namespace: "ns".into(),
            name: name.into(),
        },
        deleted: version.is_none(),
        resource_version: version.map(|version| version.to_string()).unwrap_or_default(),
        // Some are bigger than a chunk.
        message: "x".repeat(version.unwrap_or_default() as usize % 7 * 40),
        ..ObjectState::default()
    })
}

impl World {
    fn new(seed: u64) -> Self {
        let cluster = Cluster::default();
        let agent = new_agent(&cluster);
        Self {
            dice: Dice(seed),
            now: 0,
            with_digests: seed.is_multiple_of(2),
            cluster,
            database: Database::default(),
            agent,
            platform: new_platform(),
            connected: false,
            to_platform: VecDeque::new(),
            to_agent: VecDeque::new(),
            stale: Vec::new(),
            next_version: 0,
            next_command: 0,
        }
    }

    fn play(mut self) {
        for _ in 0..600 {
            self.step();
            self.nothing_is_lost();
        }
        // The weather clears: everything must now come to rest by itself.
        if !self.connected {
            self.connect();
        }
        let mut idle = 0;
        for round in 0.. {
            assert!(round < 5000, "it never comes to rest");
            let busy = self.carry() | self.commit_one(false);
            self.tick(100);
            if !self.connected {
                self.connect();
            }
            idle = if busy { 0 } else { idle + 1 };
            if idle > 40 {
                break;
            }
        }
        self.check();
    }

    fn step(&mut self) {
        match self.dice.roll(100) {
            0..20 => self.change_object(),
            20..24 => self.delete_object(),
            24..28 => self.want_more(),
            28..32 => self.command(),
            32..60 => drop(self.carry_some()),
            60..80 => drop(self.commit_one(false)),
            80..82 => drop(self.commit_one(true)),
            82..85 => self.cut(),
            85..90 => {
                if !self.connected {
                    self.connect();
                }
            }
            90..92 => self.crash_platform(),
            92..93 => self.crash_agent(),
            93..95 => self.hear_late_word(),
            95..97 => self.hear_double(),
            _ => {
                let ms = self.dice.roll(9000);
                self.tick(ms);
            }
        }
    }

    // --- what happens in the world

    fn change_object(&mut self) {
        let name = format!("object-{}", self.dice.roll(12));
        self.next_version += 1;
        let version = self.next_version;
        if let Some(before) = self.cluster.objects.insert(name.clone(), version) {
            self.agent
                .digests
                .remove(&kind(), "ns", &name, &before.to_be_bytes());
        }
        self.agent
            .digests
            .insert(&kind(), "ns", &name, &version.to_be_bytes());
        self.agent.session.post(state(&name, Some(version)));
    }

    fn delete_object(&mut self) {
        if let Some(name) = self.dice.pick(self.cluster.objects.keys().cloned())
            && let Some(before) = self.cluster.objects.remove(&name)
        {
            self.agent
                .digests
                .remove(&kind(), "ns", &name, &before.to_be_bytes());
            self.agent.session.post(state(&name, None));
        }
    }

    fn want_more(&mut self) {
        self.database.wanted += 1;
        self.platform.session.post(wanted(self.database.wanted));
    }

    fn command(&mut self) {
        self.next_command += 1;
        let id = format!("command-{}", self.next_command);
        self.database.commands.insert(id.clone(), None);
        self.platform.session.post(command(&id));
    }

    fn connect(&mut self) {
        self.connected = true;
        self.platform.waiting.clear();
        self.platform.session.connected(self.now, None);
        self.agent.session.connected(
            self.now,
            Some(Hello {
                protocol_min: 1,
                protocol_max: 1,
                ..Hello::default()
            }),
        );
    }

    fn cut(&mut self) {
        if self.connected {
            self.connected = false;
            self.stale
                .extend(self.to_platform.drain(..).chain(self.to_agent.drain(..)));
            self.stale.truncate(50);
            self.agent.session.disconnected();
            self.platform.session.disconnected();
        }
    }

    fn crash_platform(&mut self) {
        self.cut();
        self.platform = new_platform();
    }

    fn crash_agent(&mut self) {
        if self.with_digests {
            self.cut();
            self.agent = new_agent(&self.cluster);
        }
    }

    fn hear_late_word(&mut self) {
        if let Some(word) = self.dice.pick(self.stale.iter().cloned()) {
            let session = if self.dice.roll(2) == 0 {
                &mut self.agent.session
            } else {
                &mut self.platform.session
            };
            if session.is_open() && !is_introduction(&word) {
                session
                    .receive(self.now, &word)
                    .expect("a late word of another session is ignored");
            }
        }
    }

    fn hear_double(&mut self) {
        if let Some(word) = self.to_platform.front().cloned()
            && self.platform.session.is_open()
            && !is_introduction(&word)
        {
            self.to_platform.push_front(word);
        }
    }

    fn tick(&mut self, ms: u64) {
        self.now += ms;
        self.agent.session.tick(self.now);
        self.platform.session.tick(self.now);
    }

    // --- the shells

    fn carry_some(&mut self) -> bool {
        let mut busy = false;
        for _ in 0..=self.dice.roll(4) {
            busy |= self.carry();
        }
        busy
    }

    /// One frame each way, and whatever the sessions want done.
    fn carry(&mut self) -> bool {
        let mut busy = self.serve();
        if let Some(frame) = self.to_platform.pop_front() {
            self.platform
                .session
                .receive(self.now, &frame)
                .expect("the agent speaks well");
            busy = true;
        }
        if let Some(frame) = self.to_agent.pop_front() {
            self.agent
                .session
                .receive(self.now, &frame)
                .expect("the platform speaks well");
            busy = true;
        }
        self.serve() | busy
    }

    fn serve(&mut self) -> bool {
        if !self.connected {
            return false;
        }
        let mut busy = false;
        while let Some(output) = self.agent.session.poll() {
            match output {
                Output::Send(frame) => self.to_platform.push_back(frame),
                Output::Welcome(_) => {
                    if self.with_digests {
                        let digests = self.agent.digests.message();
                        self.agent.session.post(Say::Digests(digests));
                    }
                }
                Output::Deliver { epoch, seq, items } => {
                    for item in items {
                        self.agent_hears(item);
                    }
                    self.agent.session.committed(epoch, seq);
                    busy = true;
                }
                Output::Close { .. } => {
                    self.cut();
                    return true;
                }
                Output::Hello(_) => unreachable!("agents do not hear hello"),
            }
        }
        while let Some(output) = self.platform.session.poll() {
            match output {
                Output::Send(frame) => self.to_agent.push_back(frame),
                Output::Hello(_) => {
                    self.database.epoch += 1;
                    self.platform
                        .session
                        .accept(self.now, self.database.epoch, Welcome::default());
                    self.platform.session.post(wanted(self.database.wanted));
                    for (id, _) in self
                        .database
                        .commands
                        .iter()
                        .filter(|(_, result)| result.is_none())
                    {
                        self.platform.session.post(command(id));
                    }
                }
                Output::Deliver { epoch, seq, items } => self.platform.waiting.push_back((epoch, seq, items)),
                Output::Close { .. } => {
                    self.cut();
                    return true;
                }
                Output::Welcome(_) => unreachable!("platforms do not hear welcome"),
            }
        }
        busy
    }

    fn agent_hears(&mut self, item: Say) {
        match item {
            Say::Wanted(wanted) => self.agent.wanted = self.agent.wanted.max(wanted.generation),
            Say::Command(command) => match self.agent.ledger.begin(&command.command_id) {
                Entry::Fresh => {
                    *self
                        .agent
                        .carried_out
                        .entry(command.command_id.clone())
                        .or_default() += 1;
                    let result = CommandResult {
                        command_id: command.command_id,
                        outcome: CommandOutcome::Succeeded.into(),
                        ..CommandResult::default()
                    };
                    self.agent.ledger.finish(result.clone());
                    self.agent.session.post(Say::Result(result));
                }
                Entry::Running => {}
                Entry::Done(result) => self.agent.session.post(Say::Result(result)),
            },
            Say::DetailRequest(request) => {
                let objects = self.cluster.objects.iter().map(|(name, version)| ObjectDigest {
                    namespace: "ns".into(),
                    name: name.clone(),
                    digest: Bytes::copy_from_slice(&version.to_be_bytes()),
                });
                let detail = KindDetail {
                    environment_id: request.environment_id,
                    group: request.group,
                    kind: request.kind,
                    objects: objects.collect(),
                };
                self.agent.session.post(Say::Detail(detail));
            }
            Say::ObjectRequest(request) => {
                for key in request.objects {
                    let version = self.cluster.objects.get(&key.name).copied();
                    self.agent.session.post(state(&key.name, version));
                }
            }
            other => unreachable!("{other:?}"),
        }
    }

    /// The database takes in one delivery, or fails, which ends the session.
    fn commit_one(&mut self, fails: bool) -> bool {
        let Some((epoch, seq, items)) = self.platform.waiting.pop_front() else {
            return false;
        };
        if fails {
            self.cut();
            return true;
        }
        if epoch != self.database.epoch || !self.connected {
            return true;
        }
        for item in items {
            self.store(item);
        }
        self.platform.session.committed(epoch, seq);
        true
    }

    fn store(&mut self, item: Say) {
        match item {
            Say::State(state) if state.deleted => drop(self.database.objects.remove(&state.key.name)),
            Say::State(state) => {
                self.database.objects.insert(
                    state.key.name,
                    state.resource_version.parse().expect("it is a number"),
                );
            }
            Say::Result(result) => {
                let entry = self
                    .database
                    .commands
                    .get_mut(&result.command_id)
                    .expect("it was commanded");
                *entry = Some(result.outcome());
            }
            Say::Digests(theirs) => {
                let mut ours = DigestTable::default();
                for (name, version) in &self.database.objects {
                    ours.insert(&kind(), "ns", name, &version.to_be_bytes());
                }
                for request in mismatches(&ours, &theirs) {
                    self.platform.session.post(Say::DetailRequest(request));
                }
            }
            Say::Detail(detail) => {
                let ours = self.database.objects.iter().map(|(name, version)| {
                    (
                        ("ns".to_owned(), name.clone()),
                        Bytes::copy_from_slice(&version.to_be_bytes()),
                    )
                });
                let found = differences(&ours.collect(), &detail);
                for key in found.gone {
                    self.database.objects.remove(&key.name);
                }
                if let Some(request) = found.request {
                    self.platform.session.post(Say::ObjectRequest(request));
                }
            }
            other => unreachable!("{other:?}"),
        }
    }

    /// What the database does not have is still to be said: acknowledgements never run ahead of the database.
    fn nothing_is_lost(&self) {
        if self.with_digests {
            return;
        }
        let names: BTreeSet<&String> = self
            .cluster
            .objects
            .keys()
            .chain(self.database.objects.keys())
            .collect();
        for name in names {
            let stored = self.cluster.objects.get(name) == self.database.objects.get(name);
            assert!(
                stored || self.agent.session.outbox().contains(&state(name, None).topic()),
                "{name} is lost"
            );
        }
    }

    fn check(&self) {
        assert_eq!(
            self.database.objects, self.cluster.objects,
            "the platform tells what the cluster holds"
        );
        assert_eq!(
            self.agent.wanted, self.database.wanted,
            "the agent knows the newest wish"
        );
        let open: BTreeSet<_> = self
            .database
            .commands
            .iter()
            .filter(|(_, result)| result.is_none())
            .map(|(id, _)| id)
            .collect();
        assert!(open.is_empty(), "commands without a result: {open:?}");
        assert!(
            self.agent.carried_out.values().all(|times| *times == 1),
            "a command was carried out twice"
        );
        assert!(
            self.agent.session.outbox().is_empty(),
            "the agent has nothing left to say"
        );
        assert!(
            self.platform.session.outbox().is_empty(),
            "the platform has nothing left to say"
        );
    }
}

fn is_introduction(frame: &Bytes) -> bool {
    use prost::Message;
    c7n_link::messages::Frame::decode(frame.clone()).is_ok_and(|frame| frame.control.is_some())
}

fn wanted(generation: u64) -> Say {
    Say::Wanted(Wanted {
        environment_id: ENVIRONMENT.into(),
        generation,
        ..Wanted::default()
    })
}

fn command(id: &str) -> Say {
    Say::Command(Command {
        command_id: id.into(),
        action: Some(Action::Sync(Sync {})),
        ..Command::default()
    })
}
