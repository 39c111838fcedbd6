//! One number for many objects, kept up to date object by object.

use std::collections::BTreeMap;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::messages::{Digests, KindDigest};

/// Digest of a set of objects: the sum, modulo 2^128, of a hash of each. It does not depend on the order, and adding or
/// removing an object costs one hash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StateDigest {
    count: u64,
    sum: u128,
}

impl StateDigest {
    pub fn insert(&mut self, namespace: &str, name: &str, digest: &[u8]) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(hash(namespace, name, digest));
    }

    /// Takes out exactly what was put in. What was not in makes the digest wrong until it is put in, and nothing worse: the
    /// peer finds it differing, and asks.
    pub fn remove(&mut self, namespace: &str, name: &str, digest: &[u8]) {
        self.count = self.count.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(hash(namespace, name, digest));
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn bytes(&self) -> Bytes {
        Bytes::copy_from_slice(&self.sum.to_be_bytes())
    }

    pub fn agrees_with(&self, told: &KindDigest) -> bool {
        self.count == told.count && self.sum.to_be_bytes() == *told.digest
    }
}

/// First half of SHA-256 over the parts, each behind its length, so that no two objects run into each other.
fn hash(namespace: &str, name: &str, digest: &[u8]) -> u128 {
    let mut hasher = Sha256::new();
    for part in [namespace.as_bytes(), name.as_bytes(), digest] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let mut half = [0; 16];
    half.copy_from_slice(&hasher.finalize()[..16]);
    u128::from_be_bytes(half)
}

/// Names one set of objects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KindKey {
    pub environment_id: String,
    pub group: String,
    pub kind: String,
}

/// A digest for every environment and kind. Sets that became empty are left out.
#[derive(Debug, Clone, Default)]
pub struct DigestTable {
    sets: BTreeMap<KindKey, StateDigest>,
}

impl DigestTable {
    pub fn insert(&mut self, key: &KindKey, namespace: &str, name: &str, digest: &[u8]) {
        self.sets
            .entry(key.clone())
            .or_default()
            .insert(namespace, name, digest);
    }

    pub fn remove(&mut self, key: &KindKey, namespace: &str, name: &str, digest: &[u8]) {
        if let Some(set) = self.sets.get_mut(key) {
            set.remove(namespace, name, digest);
            if set.count == 0 {
                self.sets.remove(key);
            }
        }
    }

    pub fn get(&self, key: &KindKey) -> StateDigest {
        self.sets.get(key).copied().unwrap_or_default()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&KindKey, &StateDigest)> {
        self.sets.iter()
    }

    pub fn forget_environment(&mut self, environment_id: &str) {
        self.sets.retain(|key, _| key.environment_id != environment_id);
    }

    pub fn message(&self) -> Digests {
        let entries = self.sets.iter().map(|(key, set)| KindDigest {
            environment_id: key.environment_id.clone(),
            group: key.group.clone(),
            kind: key.kind.clone(),
            count: set.count,
            digest: set.bytes(),
        });
        Digests {
            entries: entries.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_order_does_not_matter_and_removal_undoes(objects in proptest::collection::vec(("[a-c]{1,2}", "[a-c]{1,3}", any::<[u8; 4]>()), 0..20)) {
            let (mut forth, mut back) = (StateDigest::default(), StateDigest::default());
            for (namespace, name, digest) in &objects {
                forth.insert(namespace, name, digest);
            }
            for (namespace, name, digest) in objects.iter().rev() {
                back.insert(namespace, name, digest);
            }
            prop_assert_eq!(forth, back);
            for (namespace, name, digest) in &objects {
                forth.remove(namespace, name, digest);
            }
            prop_assert_eq!(forth, StateDigest::default());
        }
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let (mut a, mut b) = (StateDigest::default(), StateDigest::default());
        a.insert("ab", "c", b"x");
        b.insert("a", "bc", b"x");
        assert_ne!(a, b);
    }
}
