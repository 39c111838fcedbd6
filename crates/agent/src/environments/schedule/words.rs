//! What a schedule hears and says.

use c7n_git::CommitId;

/// What the platform wants of an environment; the highest generation counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    pub generation: u64,
    pub commit: Option<CommitId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    Started,
    Prepared {
        /// Where `devops-sync` stands in the mirror that an earlier run left.
        local: Option<CommitId>,
        tags: TagRights,
    },
    PrepareFailed,
    Wanted(Wanted),
    /// A fetch ended; the two tags as the remote has them.
    Fetched {
        parsed: Option<CommitId>,
        applied: Option<CommitId>,
    },
    /// The host does not know the key, or not this repository: the platform may not be done yet.
    FetchNotYet,
    FetchFailed,
    Converged {
        commit: CommitId,
        end: PassEnd,
    },
    TagsChecked,
    TagMoved {
        commit: CommitId,
    },
    /// The tag was moved by somebody else; it stands here.
    TagElsewhere {
        found: Option<CommitId>,
    },
    TagsFailed,
    /// A managed object is not what it was made.
    Drifted,
    /// The cluster knows other kinds than before.
    KindsChanged,
    /// A person wants a fetch and a pass now.
    SyncAsked,
    Tick,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagRights {
    Checked,
    Unchecked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassEnd {
    /// Everything of the commit is applied: the tag may move.
    Complete,
    /// Something waits for a person or for another commit; trying again changes nothing.
    Waits,
    /// Something failed that may go well later.
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Prepare,
    Fetch,
    Converge {
        commit: CommitId,
    },
    CheckTags,
    MoveTag {
        commit: CommitId,
    },
    /// The person who asked for a sync can be answered.
    Synced(SyncEnd),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncEnd {
    Passed { commit: CommitId, end: PassEnd },
    NothingWanted,
    FetchFailed,
}
