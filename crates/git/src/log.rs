//! Who committed what and when.

use gix::bstr::ByteSlice;
use gix::revision::walk::Sorting;
use gix::traverse::commit::simple::CommitTimeOrder;

use crate::{CommitId, GitError, Repository, Result};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    pub id: CommitId,
    pub author: String,
    pub email: String,
    /// The first line of the message.
    pub subject: String,
    /// When it was committed: milliseconds since 1970 in UTC.
    pub time_ms: i64,
}

/// A subject is one line in a table, not a place to keep a novel in.
const MAX_SUBJECT: usize = 500;

impl Repository {
    pub fn commit_info(&self, commit: &CommitId) -> Result<CommitInfo> {
        let repository = self.local();
        describe(&self.find_commit(&repository, commit)?)
    }

    /// The commits reachable from `from` and not from `until`, newest first, at most `limit`.
    pub fn log(&self, from: &CommitId, until: Option<&CommitId>, limit: usize) -> Result<Vec<CommitInfo>> {
        let repository = self.local();
        self.find_commit(&repository, from)?;
        // A rewritten history may have lost `until`; then nothing is hidden.
        let hidden = until.filter(|id| self.contains(id)).map(|id| id.to_gix());
        let walk = repository
            .rev_walk([from.to_gix()])
            .sorting(Sorting::ByCommitTime(CommitTimeOrder::NewestFirst))
            .with_hidden(hidden)
            .all()
            .map_err(GitError::storage)?;
        let mut commits = Vec::new();
        for info in walk.take(limit) {
            let info = info.map_err(GitError::storage)?;
            commits.push(describe(&info.object().map_err(GitError::storage)?)?);
        }
        Ok(commits)
    }
}

fn describe(commit: &gix::Commit<'_>) -> Result<CommitInfo> {
    let author = commit.author().map_err(GitError::storage)?;
    let time = commit.time().map_err(GitError::storage)?;
    let subject = commit
        .message_raw_sloppy()
        .lines()
        .next()
        .unwrap_or_default()
        .to_str_lossy();
    Ok(CommitInfo {
        id: CommitId::from_gix(&commit.id),
        author: author.name.to_str_lossy().trim().to_owned(),
        email: author.email.to_str_lossy().trim().to_owned(),
        subject: subject.trim().chars().take(MAX_SUBJECT).collect(),
        time_ms: time.seconds.saturating_mul(1000),
    })
}
