//! Picks the loopback ports of a cluster.
//!
//! Not from the range the kernel lends to outgoing connections: such a port could be taken between choice and use.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Below the usual `ip_local_port_range` (32768 and up), above what services commonly use.
const RANGE: Range<u16> = 21_000..32_000;

/// Where a cluster's programs listen on 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    pub etcd: u16,
    pub etcd_peer: u16,
    pub api: u16,
    pub kubelet: u16,
    pub kwok: u16,
}

impl Ports {
    /// `taken` are the ports that other clusters have been promised, whether they listen yet or not.
    pub fn pick(name: &str, taken: &BTreeSet<u16>) -> Result<Self> {
        let is_free = |port| !taken.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        let [etcd, etcd_peer, api, kubelet, kwok] = choose(spread(name), is_free)
            .context("no five free ports between 21000 and 32000 on 127.0.0.1")?;
        Ok(Self {
            etcd,
            etcd_peer,
            api,
            kubelet,
            kwok,
        })
    }

    pub fn all(&self) -> [u16; 5] {
        [self.etcd, self.etcd_peer, self.api, self.kubelet, self.kwok]
    }
}

/// Clusters of different names begin to look at different places, so that a name tends to keep its ports.
fn spread(name: &str) -> u16 {
    name.bytes().fold(0_u16, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u16::from(byte))
    })
}

fn choose<const N: usize>(offset: u16, is_free: impl Fn(u16) -> bool) -> Option<[u16; N]> {
    let begin = usize::from(offset) % RANGE.len();
    let found: Vec<u16> = RANGE
        .cycle()
        .skip(begin)
        .take(RANGE.len())
        .filter(|port| is_free(*port))
        .take(N)
        .collect();
    found.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_distinct_and_skip_those_in_use() {
        let ports: [u16; 3] = choose(0, |port| port % 2 == 0 && port != 21_002).unwrap();
        assert_eq!(ports, [21_000, 21_004, 21_006]);
    }

    #[test]
    fn the_search_goes_round_the_range_once() {
        let ports: [u16; 2] = choose(10_999, |_| true).unwrap();
        assert_eq!(ports, [31_999, 21_000]);
        assert_eq!(choose::<1>(5, |_| false), None);
    }

    #[test]
    fn a_port_somebody_listens_on_or_was_promised_is_not_picked() {
        // A cluster that another program starts right now may be faster.
        let mut tries = (0..20).filter_map(|_| {
            let picked = Ports::pick("one", &BTreeSet::new()).unwrap();
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, picked.etcd)).ok()?;
            Some((picked, listener))
        });
        let (first, _listener) = tries.next().unwrap();
        let taken = BTreeSet::from([first.api]);
        let second = Ports::pick("one", &taken).unwrap();
        assert!(!second.all().contains(&first.etcd));
        assert!(!second.all().contains(&first.api));
    }
}
