//! Moves tags of the remote by compare-and-swap, and finds out whether they may be moved.

use crate::classify::gist;
use crate::command::Output;
use crate::repository::check_reference;
use crate::{CHECK_TAG_PREFIX, CommitId, GitError, Mirror, Result};

impl Mirror {
    /// Sets `reference` on the remote to `new` (`None` deletes it) if it shows `expected` there (`None`: nothing).
    ///
    /// `new` must have been fetched before. Where the remote already shows `new`, that is success.
    pub async fn push_tag(
        &self,
        reference: &str,
        expected: Option<&CommitId>,
        new: Option<&CommitId>,
    ) -> Result<()> {
        check_reference(reference)?;
        let lease = expected.map(CommitId::to_string).unwrap_or_default();
        let new = new.map(CommitId::to_string).unwrap_or_default();
        let mut run = self.run("pushing", self.limits.push);
        for argument in [
            "push".to_owned(),
            "--porcelain".into(),
            "--no-verify".into(),
            "--no-follow-tags".into(),
            "--recurse-submodules=no".into(),
            format!("--force-with-lease={reference}:{lease}"),
            "--".into(),
            self.address.url.clone(),
            format!("{new}:{reference}"),
        ] {
            run.argument(argument);
        }
        let output = self.output(run).await?;
        if output.success {
            return Ok(());
        }
        match rejection(&output) {
            Some(Rejection::Changed) => Err(GitError::RefChanged {
                reference: reference.to_owned(),
                expected: expected.copied(),
                found: self.remote_reference(reference).await.unwrap_or_default(),
            }),
            Some(Rejection::Refused(message)) => Err(GitError::RefRefused {
                reference: reference.to_owned(),
                message: self.clean(&message),
            }),
            None => Err(self.failure("pushing", &output.stderr)),
        }
    }

    /// What the remote shows now, without fetching it.
    async fn remote_reference(&self, reference: &str) -> Result<Option<CommitId>> {
        let mut run = self.run("asking", self.limits.push);
        for argument in ["ls-remote", "--quiet", "--", &self.address.url, reference] {
            run.argument(argument);
        }
        let output = self.output(run).await?;
        if !output.success {
            return Err(self.failure("asking", &output.stderr));
        }
        let line = output
            .stdout
            .lines()
            .find(|line| line.ends_with(&format!("\t{reference}")));
        line.and_then(|line| line.get(..40)).map(str::parse).transpose()
    }

    /// Creates a tag with a random name over there and deletes it again: proves that tags may be moved.
    pub async fn check_tag_rights(&self) -> Result<()> {
        let reference = format!("{CHECK_TAG_PREFIX}{:016x}", rand::random::<u64>());
        let commit = self.any_commit()?;
        self.push_tag(&reference, None, Some(&commit)).await?;
        // A lost answer must not leave the tag behind: one more try.
        match self.push_tag(&reference, Some(&commit), None).await {
            Err(error) if error.is_transient() => self.push_tag(&reference, Some(&commit), None).await,
            outcome => outcome,
        }
    }

    /// A commit to point a tag at: one that the remote has, or an empty one made here.
    fn any_commit(&self) -> Result<CommitId> {
        if let Some((_, commit)) = self.repository.references("refs/")?.into_iter().next() {
            return Ok(commit);
        }
        let repository = self.repository.local();
        let tree = repository
            .write_object(gix::objs::Tree::empty())
            .map_err(GitError::storage)?
            .detach();
        let nobody = gix::actor::Signature {
            name: "c7n".into(),
            email: "c7n@localhost".into(),
            time: gix::date::Time::new(0, 0),
        };
        let commit = gix::objs::Commit {
            tree,
            parents: Vec::new().into(),
            author: nobody.clone(),
            committer: nobody,
            encoding: None,
            message: "c7n checks that it may create and delete tags\n".into(),
            extra_headers: Vec::new(),
        };
        Ok(CommitId::from_gix(
            &repository.write_object(&commit).map_err(GitError::storage)?,
        ))
    }
}

enum Rejection {
    Changed,
    Refused(String),
}

/// Reads what `git push --porcelain` says about the one reference: `!<TAB>from:to<TAB>[rejected] (reason)`.
fn rejection(output: &Output) -> Option<Rejection> {
    let summary = output.stdout.lines().find_map(|line| line.strip_prefix("!\t"))?;
    let summary = summary.split_once('\t').map_or(summary, |(_, summary)| summary);
    let changed = [
        "stale info",
        "cannot lock ref",
        "failed to update ref",
        "already exists",
        "incorrect old value",
    ];
    if changed.iter().any(|reason| summary.contains(reason)) {
        return Some(Rejection::Changed);
    }
    let said: Vec<&str> = output
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("remote:"))
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("error: hook declined"))
        .collect();
    let message = if said.is_empty() {
        gist(summary)
    } else {
        said.join(" ")
    };
    Some(Rejection::Refused(message))
}
