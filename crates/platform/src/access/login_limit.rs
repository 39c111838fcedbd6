//! How often one may try to sign in. Counts failures per user name and source, per source, and per user name.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(5 * 60);
const PER_NAME_AND_SOURCE: u32 = 10;
const PER_SOURCE: u32 = 50;
/// Higher, because anybody can use it up for somebody else.
const PER_NAME: u32 = 100;
/// Bounds the memory that strangers can take.
const REMEMBERED: usize = 10_000;

#[derive(Default)]
pub struct LoginLimit {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pairs: Failures<(String, IpAddr)>,
    sources: Failures<IpAddr>,
    names: Failures<String>,
}

struct Failures<K>(HashMap<K, (Instant, u32)>);

impl<K> Default for Failures<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl LoginLimit {
    /// Counts an attempt as failed until [`Self::succeeded`] says otherwise. The error is how long to wait.
    pub fn attempt(&self, name: &str, source: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = (name.to_owned(), source);
        let waits = [
            state.pairs.wait(&pair, PER_NAME_AND_SOURCE, now),
            state.sources.wait(&source, PER_SOURCE, now),
            state.names.wait(&pair.0, PER_NAME, now),
        ];
        if let Some(wait) = waits.into_iter().flatten().max() {
            return Err(wait);
        }
        state.names.count(pair.0.clone(), now);
        state.sources.count(source, now);
        state.pairs.count(pair, now);
        Ok(())
    }

    pub fn succeeded(&self, name: &str, source: IpAddr) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.pairs.0.remove(&(name.to_owned(), source));
        state.sources.uncount(&source);
        state.names.uncount(&name.to_owned());
    }
}

impl<K: Hash + Eq + Clone> Failures<K> {
    fn wait(&self, key: &K, limit: u32, now: Instant) -> Option<Duration> {
        let (since, count) = self.0.get(key)?;
        let left = (*since + WINDOW).checked_duration_since(now)?;
        (*count >= limit && !left.is_zero()).then_some(left)
    }

    fn count(&mut self, key: K, now: Instant) {
        if self.0.len() >= REMEMBERED && !self.0.contains_key(&key) {
            self.0
                .retain(|_, (since, _)| now.saturating_duration_since(*since) < WINDOW);
            while self.0.len() >= REMEMBERED {
                let Some(oldest) = self
                    .0
                    .iter()
                    .min_by_key(|(_, (since, _))| *since)
                    .map(|(k, _)| k.clone())
                else {
                    break;
                };
                self.0.remove(&oldest);
            }
        }
        let entry = self.0.entry(key).or_insert((now, 0));
        if now.saturating_duration_since(entry.0) >= WINDOW {
            *entry = (now, 0);
        }
        entry.1 += 1;
    }

    fn uncount(&mut self, key: &K) {
        if let Some((_, count)) = self.0.get_mut(key) {
            *count = count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn guessing_one_users_password_from_one_place_is_stopped_and_only_there() {
        let limit = LoginLimit::default();
        let now = Instant::now();
        for _ in 0..PER_NAME_AND_SOURCE {
            assert_eq!(limit.attempt("ann", HERE, now), Ok(()));
        }
        assert!(limit.attempt("ann", HERE, now).is_err());
        assert_eq!(limit.attempt("ann", THERE, now), Ok(()));
        assert_eq!(limit.attempt("bob", HERE, now), Ok(()));
        assert_eq!(limit.attempt("ann", HERE, now + WINDOW), Ok(()));
    }

    #[test]
    fn signing_in_rightly_never_uses_up_the_limit() {
        let limit = LoginLimit::default();
        for _ in 0..1000 {
            assert_eq!(limit.attempt("ann", HERE, Instant::now()), Ok(()));
            limit.succeeded("ann", HERE);
        }
    }

    #[test]
    fn strangers_cannot_take_all_memory() {
        let limit = LoginLimit::default();
        let now = Instant::now();
        for n in 0..(REMEMBERED + 100) {
            let source = IpAddr::V4(std::net::Ipv4Addr::from(u32::try_from(n).unwrap()));
            assert_eq!(limit.attempt(&format!("user-{n}"), source, now), Ok(()));
        }
        assert_eq!(limit.state.lock().unwrap().names.0.len(), REMEMBERED);
    }
}
