//! The platform's shell: its database, which outlives every process, and what it does with an end of a connection.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use c7n_link::Output;
use c7n_link::digest::DigestTable;
use c7n_link::messages::{Say, Welcome};
use c7n_link::reconcile::{differences, mismatches};

use super::agent::Served;
use super::line::PlatformEnd;
use super::words::{Name, command, kind, known_kind, wanted};

#[derive(Default)]
pub struct Database {
    /// Of the newest session.
    pub epoch: u64,
    pub objects: BTreeMap<Name, u64>,
    pub wanted: u64,
    /// Who carried it out.
    pub commands: BTreeMap<String, Option<String>>,
}

pub enum Commit {
    Nothing,
    Done,
    /// A word of a session that is not the newest: it counts no more.
    Fenced,
}

impl PlatformEnd {
    pub fn serve(&mut self, now: u64, database: &mut Database, out: &mut VecDeque<Bytes>) -> Served {
        let mut served = Served::Quiet;
        while let Some(output) = self.session.poll() {
            match output {
                Output::Send(frame) => out.push_back(frame),
                Output::Hello(_) => {
                    database.epoch += 1;
                    self.session.accept(now, database.epoch, Welcome::default());
                    self.session.post(wanted(database.wanted));
                    for id in database.open_commands() {
                        self.session.post(command(&id));
                    }
                }
                Output::Deliver { epoch, seq, items } => {
                    self.waiting.push_back((epoch, seq, items));
                    served = Served::Busy;
                }
                Output::Close { .. } => return Served::Closed,
                Output::Welcome(_) => unreachable!("platforms do not hear welcome"),
            }
        }
        served
    }

    /// The database takes in one delivery, and only then it is acknowledged.
    pub fn commit(&mut self, database: &mut Database) -> Commit {
        let Some((epoch, seq, items)) = self.waiting.pop_front() else {
            return Commit::Nothing;
        };
        if epoch != database.epoch {
            return Commit::Fenced;
        }
        for item in items {
            for question in database.store(item) {
                self.session.post(question);
            }
        }
        self.session.committed(epoch, seq);
        Commit::Done
    }
}

impl Database {
    pub fn open_commands(&self) -> Vec<String> {
        let open = self.commands.iter().filter(|(_, result)| result.is_none());
        open.map(|(id, _)| id.clone()).collect()
    }

    /// Answers what is to be asked.
    fn store(&mut self, item: Say) -> Vec<Say> {
        match item {
            Say::State(state) => {
                let name = (known_kind(&state.key.kind), state.key.name);
                if state.deleted {
                    self.objects.remove(&name);
                } else {
                    let version = state.resource_version.parse().expect("it is a number");
                    self.objects.insert(name, version);
                }
                Vec::new()
            }
            Say::Result(result) => {
                let entry = self.commands.get_mut(&result.command_id).expect("commanded");
                // The first result is the one.
                entry.get_or_insert(result.message);
                Vec::new()
            }
            Say::Digests(theirs) => {
                let mut ours = DigestTable::default();
                for ((of_kind, name), version) in &self.objects {
                    ours.insert(&kind(of_kind), "ns", name, &version.to_be_bytes());
                }
                let requests = mismatches(&ours, &theirs).into_iter();
                requests.map(Say::DetailRequest).collect()
            }
            Say::Detail(detail) => {
                let ours = self
                    .objects
                    .iter()
                    .filter(|((of_kind, _), _)| *of_kind == detail.kind)
                    .map(|((_, name), version)| {
                        let digest = Bytes::copy_from_slice(&version.to_be_bytes());
                        (("ns".to_owned(), name.clone()), digest)
                    });
                let found = differences(&ours.collect(), &detail);
                for key in found.gone {
                    self.objects.remove(&(known_kind(&key.kind), key.name));
                }
                found.request.map(Say::ObjectRequest).into_iter().collect()
            }
            other => unreachable!("{other:?}"),
        }
    }
}
