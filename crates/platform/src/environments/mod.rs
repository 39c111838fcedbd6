//! Where an environment stands: the rules by which its row is read and written. Pure: no database, no clock.
//!
//! In: the three commits, what is wrong, what an agent reports. Out: whether it is converged, and the state of a commit.

use c7n_api::{CommitState, Commits, HeldDeletions};

/// Everything that may stand between an environment and what Git says.
pub struct Standing<'a> {
    pub commits: &'a Commits,
    pub file_errors: u32,
    pub failed_objects: u32,
    pub held: Option<&'a HeldDeletions>,
}

impl Standing<'_> {
    /// The newest commit, `devops-sync` and `agent-sync` are one commit, and nothing of it was left out (R9).
    pub fn is_converged(&self) -> bool {
        let Commits {
            newest,
            parsed,
            applied,
        } = self.commits;
        newest.is_some()
            && newest == parsed
            && parsed == applied
            && self.file_errors == 0
            && self.failed_objects == 0
            && self.held.is_none()
    }
}

/// The state of a commit after a report on it. `wanted` is the commit that the environment is wanted at, `agent_sync` where the
/// agent's tag is.
pub fn reported(
    before: CommitState,
    commit: &str,
    wanted: Option<&str>,
    agent_sync: Option<&str>,
) -> CommitState {
    match before {
        _ if agent_sync == Some(commit) => CommitState::Applied,
        // What was applied once stays so in the history, also when its last report is told again after a break.
        CommitState::Applied if wanted != Some(commit) => CommitState::Applied,
        _ if wanted == Some(commit) => CommitState::Delivering,
        _ => CommitState::Superseded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commits(newest: &str, parsed: &str, applied: &str) -> Commits {
        let filled = |commit: &str| (!commit.is_empty()).then(|| commit.to_owned());
        Commits {
            newest: filled(newest),
            parsed: filled(parsed),
            applied: filled(applied),
        }
    }

    fn standing(commits: &Commits) -> Standing<'_> {
        Standing {
            commits,
            file_errors: 0,
            failed_objects: 0,
            held: None,
        }
    }

    #[test]
    fn converged_is_one_commit_three_times() {
        assert!(standing(&commits("a", "a", "a")).is_converged());
        for apart in [("b", "a", "a"), ("b", "b", "a"), ("a", "a", ""), ("", "", "")] {
            let commits = commits(apart.0, apart.1, apart.2);
            assert!(!standing(&commits).is_converged(), "{apart:?}");
        }
    }

    #[test]
    fn nothing_that_was_left_out_counts_as_converged() {
        let same = commits("a", "a", "a");
        let held = HeldDeletions {
            commit: "a".into(),
            count: 1,
            total: 1,
            objects: Vec::new(),
        };
        for left_out in [
            Standing {
                file_errors: 1,
                ..standing(&same)
            },
            Standing {
                failed_objects: 1,
                ..standing(&same)
            },
            Standing {
                held: Some(&held),
                ..standing(&same)
            },
        ] {
            assert!(!left_out.is_converged());
        }
    }

    #[test]
    fn a_report_moves_its_commit_and_never_takes_back_what_was_applied() {
        use CommitState::{Applied, Delivering, Superseded, Wanted};
        for (before, wanted, agent_sync, after) in [
            (Wanted, Some("a"), None, Delivering),
            (Wanted, Some("a"), Some("older"), Delivering),
            (Delivering, Some("a"), Some("a"), Applied),
            (Delivering, Some("newer"), Some("older"), Superseded),
            (Superseded, Some("newer"), Some("a"), Applied),
            (Applied, Some("newer"), Some("newer"), Applied),
            // Wanted again, for instance after the tag was lost: it is to be applied again.
            (Applied, Some("a"), None, Delivering),
        ] {
            assert_eq!(
                reported(before, "a", wanted, agent_sync),
                after,
                "{before:?} {wanted:?} {agent_sync:?}"
            );
        }
    }
}
