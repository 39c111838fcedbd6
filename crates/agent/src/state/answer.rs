//! What the platform asks for: digests after a break, the list of a set, the state of an object.
//!
//! Digests are told when everything has been listed, because a set that is half known looks like one of which half is
//! gone; after some patience they are told as they are, and questions about sets that are not known yet wait.

use std::time::Duration;

use c7n_link::messages::{DetailRequest, ObjectRequest, Say};

use super::{Shared, StateIndex, Table};
use crate::cluster::KindName;

/// A kind that cannot be listed must not keep the others from being compared.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

impl StateIndex {
    /// A session has begun: the platform is told the digests.
    pub fn session_opened(&self) {
        self.shared.with_table(|table| table.digests_due = true);
        self.shared.answer_what_is_due();
        self.shared.wanted.notify_one();
    }

    pub fn detail_requested(&self, request: DetailRequest) {
        self.shared.with_table(|table| {
            let known = |other: &DetailRequest| *other == request;
            if !table.details_due.iter().any(known) {
                table.details_due.push(request.clone());
            }
            // The platform remembers a kind that nobody has applied since this agent began.
            table.asked.insert(KindName::new(request.group, request.kind));
        });
        self.shared.wanted.notify_one();
        self.shared.answer_what_is_due();
    }

    pub fn object_requested(&self, request: ObjectRequest) {
        self.shared.with_table(|table| {
            let name = KindName::new(request.group.clone(), request.kind.clone());
            if !knows(table, &self.shared, &request.environment_id, &name) {
                return;
            }
            let states = request
                .objects
                .iter()
                .filter_map(|key| table.index.object(&request.environment_id, key));
            self.shared
                .outgoing
                .post_all(states.map(Say::State).collect::<Vec<_>>());
        });
    }
}

impl Shared {
    pub(super) fn answer_what_is_due(&self) {
        self.with_table(|table| {
            if table.digests_due && self.outgoing.is_connected() && self.is_settled(table) {
                self.tell_digests(table);
            }
            let due = std::mem::take(&mut table.details_due);
            for request in due {
                let name = KindName::new(request.group.clone(), request.kind.clone());
                match table.index.detail(&request.environment_id, &name) {
                    // An environment that this agent does not have: to say that it is empty would be a lie.
                    None => {}
                    Some(detail) if knows(table, self, &request.environment_id, &name) => {
                        self.post(Say::Detail(detail))
                    }
                    Some(_) => table.details_due.push(request),
                }
            }
        });
    }

    /// Everything that ought to be watched is, and has been listed.
    fn is_settled(&self, table: &Table) -> bool {
        let kinds = self.discovery.kinds();
        let wanted = super::kinds::to_watch(&kinds, &table.asked);
        table.index.is_settled() && wanted.keys().all(|name| table.index.info(name).is_some())
    }

    pub(super) fn digests_are_due(&self) -> bool {
        self.with_table(|table| table.digests_due) && self.outgoing.is_connected()
    }

    /// Waited long enough.
    pub(super) fn tell_digests_anyway(&self) {
        self.with_table(|table| {
            if table.digests_due && self.outgoing.is_connected() {
                self.tell_digests(table);
            }
        });
    }

    fn tell_digests(&self, table: &mut Table) {
        table.digests_due = false;
        if !table.causes_told {
            table.causes_told = true;
            self.outgoing
                .post_all(table.index.causes().map(Say::State).collect::<Vec<_>>());
        }
        self.post(Say::Digests(table.index.digests()));
    }
}

/// Whether it is known what the environment has of the kind. Of a kind that the cluster does not have, nothing.
fn knows(table: &Table, shared: &Shared, environment: &str, name: &KindName) -> bool {
    table.index.covers(name, environment) || shared.discovery.kinds().preferred(name).is_none()
}
