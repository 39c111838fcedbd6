//! All streams that are open: found by their tickets, counted by user and by cluster.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::joint::Joint;
use super::state::Side;
use super::tickets::TicketHash;

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub per_user: usize,
    pub per_cluster: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMany {
    #[error("you have {0} streams open, and no more are allowed")]
    OfUser(usize),
    #[error("{0} streams of this cluster are open, and no more are allowed")]
    OfCluster(usize),
}

pub(super) struct Registry {
    limits: Limits,
    books: Arc<Mutex<Books>>,
}

#[derive(Default)]
struct Books {
    tickets: HashMap<TicketHash, Expected>,
    users: HashMap<String, usize>,
    clusters: HashMap<String, usize>,
    count: usize,
}

struct Expected {
    joint: Arc<Joint>,
    side: Side,
}

impl Registry {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            books: Arc::default(),
        }
    }

    pub fn count(&self) -> usize {
        self.books.lock().unwrap_or_else(PoisonError::into_inner).count
    }

    /// Counts one more, until the place is dropped.
    pub fn reserve(&self, user: &str, cluster: &str) -> Result<Place, TooMany> {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = |counts: &HashMap<String, usize>, key: &str| counts.get(key).copied().unwrap_or(0);
        if taken(&books.users, user) >= self.limits.per_user {
            return Err(TooMany::OfUser(self.limits.per_user));
        }
        if taken(&books.clusters, cluster) >= self.limits.per_cluster {
            return Err(TooMany::OfCluster(self.limits.per_cluster));
        }
        *books.users.entry(user.to_owned()).or_default() += 1;
        *books.clusters.entry(cluster.to_owned()).or_default() += 1;
        books.count += 1;
        Ok(Place {
            books: Arc::clone(&self.books),
            user: user.to_owned(),
            cluster: cluster.to_owned(),
        })
    }

    /// Somebody may come with this ticket, which the stream knows already. Not to a stream that is closed.
    pub fn expect(&self, ticket: TicketHash, joint: &Arc<Joint>, side: Side) {
        let expected = Expected {
            joint: Arc::clone(joint),
            side,
        };
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        if !joint.is_closed() {
            books.tickets.insert(ticket, expected);
        }
    }

    pub fn find(&self, ticket: &TicketHash) -> Option<(Arc<Joint>, Side)> {
        let books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let expected = books.tickets.get(ticket)?;
        Some((Arc::clone(&expected.joint), expected.side))
    }

    /// Nobody can come any more.
    pub fn close(&self, joint: &Joint) {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        joint.close();
        for ticket in joint.state().tickets() {
            books.tickets.remove(ticket);
        }
    }

    /// Whoever asks for it holds the stream: the last one to let it go must not be in here, where its place is given back.
    pub fn forget<'a>(&self, tickets: impl IntoIterator<Item = &'a TicketHash>) {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        for ticket in tickets {
            books.tickets.remove(ticket);
        }
    }
}

/// One stream among those that are counted.
pub(super) struct Place {
    books: Arc<Mutex<Books>>,
    user: String,
    cluster: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.count -= 1;
        let books = &mut *books;
        for (counts, key) in [
            (&mut books.users, &self.user),
            (&mut books.clusters, &self.cluster),
        ] {
            if let Some(count) = counts.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_user_and_by_cluster_and_given_back() {
        let registry = Registry::new(Limits {
            per_user: 2,
            per_cluster: 3,
        });
        let one = registry.reserve("ann", "east").ok();
        let _two = registry.reserve("ann", "west").ok();
        assert_eq!(registry.reserve("ann", "north").err(), Some(TooMany::OfUser(2)));
        let _three = registry.reserve("bob", "east").ok();
        let _four = registry.reserve("eve", "east").ok();
        assert_eq!(registry.reserve("joe", "east").err(), Some(TooMany::OfCluster(3)));
        assert_eq!(registry.count(), 4);

        drop(one);
        assert_eq!(registry.count(), 3);
        assert!(registry.reserve("ann", "east").is_ok());
        assert_eq!(registry.count(), 3, "a place that nobody keeps is free again");
    }
}
