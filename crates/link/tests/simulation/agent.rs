//! The agent's shell: one process.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use c7n_link::digest::DigestTable;
use c7n_link::messages::{CommandOutcome, CommandResult, KindDetail, ObjectDigest, Say};
use c7n_link::{Output, Role, Session};

use super::ledger::{Entry, Ledger};
use super::words::{Name, hello, kind, known_kind, small, state};

/// What the cluster's API server holds.
pub type Cluster = BTreeMap<Name, u64>;

pub struct Agent {
    pub process: u64,
    pub session: Session,
    /// Index of the connection.
    pub line: Option<usize>,
    /// Another process has been started in its place: it does not dial again.
    pub retired: bool,
    pub wanted: u64,
    /// Delivered, and not yet stored; a slow disk may end with it when another session is open.
    pub waiting: VecDeque<(u64, u64, Vec<Say>)>,
    pub running: Vec<String>,
    pub carried_out: BTreeMap<String, u32>,
    digests: Option<DigestTable>,
    ledger: Ledger,
}

/// What became of a round of service.
pub enum Served {
    Quiet,
    Busy,
    Closed,
}

impl Agent {
    pub fn new(process: u64, cluster: &Cluster, with_digests: bool) -> Self {
        let digests = with_digests.then(|| {
            let mut table = DigestTable::default();
            for ((of_kind, name), version) in cluster {
                table.insert(&kind(of_kind), "ns", name, &version.to_be_bytes());
            }
            table
        });
        Self {
            process,
            session: Session::new(Role::Agent, small()),
            line: None,
            retired: false,
            wanted: 0,
            waiting: VecDeque::new(),
            running: Vec::new(),
            carried_out: BTreeMap::new(),
            digests,
            ledger: Ledger::default(),
        }
    }

    pub fn dial(&mut self, now: u64, line: usize) {
        self.line = Some(line);
        self.session.connected(now, Some(hello()));
    }

    pub fn hang_up(&mut self) {
        self.line = None;
        self.session.disconnected();
    }

    /// The watch tells of a change.
    pub fn sees(&mut self, name: &Name, before: Option<u64>, after: Option<u64>) {
        if let Some(table) = &mut self.digests {
            let key = kind(name.0);
            if let Some(version) = before {
                table.remove(&key, "ns", &name.1, &version.to_be_bytes());
            }
            if let Some(version) = after {
                table.insert(&key, "ns", &name.1, &version.to_be_bytes());
            }
        }
        self.session.post(state(name, after));
    }

    pub fn finish(&mut self, index: usize) {
        let command_id = self.running.remove(index);
        *self.carried_out.entry(command_id.clone()).or_default() += 1;
        let result = CommandResult {
            command_id,
            outcome: CommandOutcome::Succeeded.into(),
            message: format!("by process {}", self.process),
            ..CommandResult::default()
        };
        self.ledger.finish(result.clone());
        self.session.post(Say::Result(result));
    }

    pub fn serve(&mut self, out: &mut VecDeque<Bytes>) -> Served {
        let mut served = Served::Quiet;
        while let Some(output) = self.session.poll() {
            match output {
                Output::Send(frame) => out.push_back(frame),
                Output::Welcome(_) => {
                    if let Some(table) = &self.digests {
                        self.session.post(Say::Digests(table.message()));
                    }
                }
                Output::Deliver { epoch, seq, items } => {
                    self.waiting.push_back((epoch, seq, items));
                    served = Served::Busy;
                }
                Output::Close { .. } => return Served::Closed,
                Output::Hello(_) => unreachable!("agents do not hear hello"),
            }
        }
        served
    }

    pub fn commit(&mut self, cluster: &Cluster) -> bool {
        let Some((epoch, seq, items)) = self.waiting.pop_front() else {
            return false;
        };
        for item in items {
            self.hears(item, cluster);
        }
        self.session.committed(epoch, seq);
        true
    }

    pub fn knows(&self, command_id: &str) -> bool {
        self.running.iter().any(|running| running == command_id) || self.carried_out.contains_key(command_id)
    }

    fn hears(&mut self, item: Say, cluster: &Cluster) {
        match item {
            Say::Environment(spec) => self.wanted = self.wanted.max(spec.generation),
            Say::Command(command) => match self.ledger.begin(&command.command_id) {
                Entry::Fresh => self.running.push(command.command_id),
                Entry::Running => {}
                Entry::Done(result) => self.session.post(Say::Result(result)),
            },
            Say::DetailRequest(request) => {
                let objects = cluster
                    .iter()
                    .filter(|((of_kind, _), _)| *of_kind == request.kind)
                    .map(|((_, name), version)| ObjectDigest {
                        namespace: "ns".into(),
                        name: name.clone(),
                        digest: Bytes::copy_from_slice(&version.to_be_bytes()),
                    });
                let detail = KindDetail {
                    objects: objects.collect(),
                    environment_id: request.environment_id,
                    group: request.group,
                    kind: request.kind,
                };
                self.session.post(Say::Detail(detail));
            }
            Say::ObjectRequest(request) => {
                for key in request.objects {
                    let name = (known_kind(&key.kind), key.name);
                    let version = cluster.get(&name).copied();
                    self.session.post(state(&name, version));
                }
            }
            other => unreachable!("{other:?}"),
        }
    }
}
