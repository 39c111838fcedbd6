//! Which commit each revision of a release was made from, as the object's status keeps it. Pure.
//!
//! Labels in Helm's storage cannot tell: what `helm upgrade` and `helm rollback` make by hand inherits them. Here a revision
//! is written down with its number by who made it.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::history::History;

/// As many as Helm keeps.
const MOST: usize = 10;

/// One revision, by the number that `helm history` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Past {
    pub revision: u32,
    /// Absent of what was made by hand, or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart: Option<String>,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

/// The revisions up to the newest, oldest first: those that Helm has kept, with what is known of them.
pub fn add(known: &[Past], kept: &History, newest: Past) -> Vec<Past> {
    let unknown = |revision: u32, made_ms: i64| Past {
        revision,
        commit: None,
        chart: None,
        time: Timestamp::from_millisecond(made_ms)
            .ok()
            .filter(|_| made_ms > 0)
            .and_then(|time| Timestamp::from_second(time.as_second()).ok())
            .map(|time| time.to_string()),
    };
    let mut all: BTreeMap<u32, Past> = kept
        .range(..newest.revision)
        .map(|(number, kept)| {
            let known = known.iter().find(|past| past.revision == *number).cloned();
            (*number, known.unwrap_or_else(|| unknown(*number, kept.made_ms)))
        })
        .collect();
    all.insert(newest.revision, newest);
    let surplus = all.len().saturating_sub(MOST);
    all.into_values().skip(surplus).collect()
}

#[cfg(test)]
mod tests {
    use c7n_helm::ReleaseStatus;

    use super::*;
    use crate::releases::history::Revision;

    fn past(revision: u32, commit: Option<&str>) -> Past {
        Past {
            revision,
            commit: commit.map(str::to_owned),
            chart: commit.map(|_| "web-1.0.0".to_owned()),
            time: Some("1970-01-01T00:00:01Z".to_owned()),
        }
    }

    fn kept(numbers: std::ops::RangeInclusive<u32>) -> History {
        numbers
            .map(|number| {
                let revision = Revision {
                    number,
                    status: ReleaseStatus::Superseded,
                    digest: None,
                    made_ms: 1_500,
                };
                (number, revision)
            })
            .collect()
    }

    #[test]
    fn what_was_made_by_hand_has_no_commit_and_what_helm_forgot_is_not_told() {
        let known = [past(1, Some("a")), past(2, Some("b"))];
        let all = add(&known, &kept(2..=3), past(4, Some("d")));
        let hand = Past {
            chart: None,
            ..past(3, None)
        };
        assert_eq!(all, [past(2, Some("b")), hand, past(4, Some("d"))]);
    }

    #[test]
    fn a_release_that_begins_again_owes_nothing_to_the_one_before() {
        let known = [past(1, Some("a")), past(2, Some("b"))];
        assert_eq!(
            add(&known, &History::new(), past(1, Some("c"))),
            [past(1, Some("c"))]
        );
        // The same is said again, as after a kill.
        assert_eq!(add(&known, &kept(1..=2), past(2, Some("b"))), known);
    }

    #[test]
    fn it_is_as_short_as_helms_own() {
        let all = add(&[], &kept(1..=30), past(31, None));
        assert_eq!((all.len(), all[0].revision), (MOST, 22));
    }
}
