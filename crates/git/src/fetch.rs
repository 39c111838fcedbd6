//! Brings the asked references of a mirror to the remote's state.
//!
//! Over SSH and from a folder by `git fetch-pack`: one program that talks to the remote and one that unpacks. `git fetch` would
//! start a third to walk what came, and that is a fifth of a small fetch. The walk would find nothing: what the remote sends
//! completes what our own references reach, those are moved only after all of it was unpacked, and whoever reads a damaged
//! mirror has it fetched anew. Over HTTP `git fetch` is the only one that can.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use gix::refs::transaction::{Change, LogChange, PreviousValue, RefEdit};

use crate::command::{Growth, Output};
use crate::repository::check_reference;
use crate::sweep::sweep;
use crate::{CommitId, GitError, Mirror, Repository, Result, Transport};

/// What a fetch saw: for every asked reference the commit it shows, or `None` where the remote has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetched {
    pub refs: BTreeMap<String, Option<CommitId>>,
}

impl Mirror {
    /// Brings `references` up to the remote's state, forced where history was rewritten, deleted where they are gone.
    /// Everything else of the remote is left alone.
    pub async fn fetch(&self, references: &[&str]) -> Result<Fetched> {
        references
            .iter()
            .try_for_each(|reference| check_reference(reference))?;
        let _turn = self.fetching.lock().await;
        if self.unswept.swap(true, Ordering::Relaxed) {
            self.on_disk(sweep).await?;
        }
        let gone = match self.bring(references).await? {
            Ok(gone) => gone,
            Err(stderr) if is_corruption(&stderr) => {
                tracing::warn!(mirror = %self.repository.path().display(), "the mirror is damaged, fetching it anew");
                self.empty().await?;
                self.bring(references)
                    .await?
                    .map_err(|stderr| self.failure("fetching", &stderr))?
            }
            Err(stderr) => return Err(self.failure("fetching", &stderr)),
        };
        self.unswept.store(false, Ordering::Relaxed);
        self.collect(references, &gone)
    }

    /// The references that the remote does not have, or what git complained of.
    async fn bring<'a>(&self, references: &[&'a str]) -> Result<Result<Vec<&'a str>, String>> {
        match &self.remote.transport {
            Transport::Http { .. } => self.bring_with_fetch(references).await,
            Transport::Ssh { .. } | Transport::Local => self.bring_with_fetch_pack(references).await,
        }
    }

    async fn bring_with_fetch_pack<'a>(
        &self,
        references: &[&'a str],
    ) -> Result<Result<Vec<&'a str>, String>> {
        let how = [
            "fetch-pack",
            "--quiet",
            "--no-progress",
            "--thin",
            &self.address.url,
        ];
        let output = self.fetching(&[&how, references].concat()).await?;
        let shown: BTreeMap<&str, &str> = output
            .stdout
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(id, reference)| (reference, id))
            .collect();
        let (present, gone): (Vec<&str>, Vec<&str>) = references
            .iter()
            .partition(|reference| shown.contains_key(**reference));
        // It fails when one is missing, and has brought the others.
        let empty = output.stderr.contains("no matching remote head");
        let is_told = |reference: &&str| {
            let told = format!("no such remote ref {reference}");
            empty || output.stderr.lines().any(|line| line.ends_with(&told))
        };
        // It complains of what is damaged here, and calls it a success all the same.
        let failed = !gone.iter().all(is_told) || (gone.is_empty() && !output.success);
        if failed || is_corruption(&output.stderr) {
            return Ok(Err(output.stderr));
        }
        for reference in present {
            let id: CommitId = shown[reference].parse()?;
            self.repository.set(reference, &id)?;
        }
        Ok(Ok(gone))
    }

    async fn bring_with_fetch<'a>(&self, references: &[&'a str]) -> Result<Result<Vec<&'a str>, String>> {
        let mut wanted = references.to_vec();
        let mut gone = Vec::new();
        while !wanted.is_empty() {
            let refspecs: Vec<String> = wanted
                .iter()
                .map(|reference| format!("+{reference}:{reference}"))
                .collect();
            let options = [
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-auto-maintenance",
                "--no-write-fetch-head",
                "--no-recurse-submodules",
                "--no-show-forced-updates",
                "--",
                &self.address.url,
            ];
            let refspecs: Vec<&str> = refspecs.iter().map(String::as_str).collect();
            let output = self.fetching(&[&options, refspecs.as_slice()].concat()).await?;
            if output.success {
                break;
            }
            // Git names one missing reference at a time.
            let Some(at) = missing_reference(&output.stderr, &wanted) else {
                return Ok(Err(output.stderr));
            };
            gone.push(wanted.remove(at));
        }
        Ok(Ok(gone))
    }

    async fn fetching(&self, arguments: &[&str]) -> Result<Output> {
        let mut run = self.run("fetching", self.limits.fetch);
        run.growth = Some(Growth {
            repository: self.repository.path().to_owned(),
            limit: self.limits.max_bytes,
        });
        for argument in arguments {
            run.argument(argument);
        }
        self.output(run).await
    }

    fn collect(&self, references: &[&str], gone: &[&str]) -> Result<Fetched> {
        let mut refs = BTreeMap::new();
        for reference in references {
            let shown = self.repository.resolve(reference)?;
            if gone.contains(reference) {
                if let Some(old) = &shown {
                    self.repository.move_tag(reference, Some(old), None)?;
                }
                refs.insert((*reference).to_owned(), None);
            } else {
                refs.insert((*reference).to_owned(), shown);
            }
        }
        Ok(Fetched { refs })
    }
}

impl Repository {
    /// Sets the reference, whatever it shows. `id` may be of an annotated tag.
    fn set(&self, reference: &str, id: &CommitId) -> Result<()> {
        let name = reference.try_into().map_err(|_| GitError::BadReference {
            reference: reference.into(),
        })?;
        let edit = RefEdit {
            change: Change::Update {
                log: LogChange::default(),
                expected: PreviousValue::Any,
                new: gix::refs::Target::Object(id.to_gix()),
            },
            name,
            deref: false,
        };
        self.local()
            .edit_references_as([edit], None)
            .map(drop)
            .map_err(GitError::storage)
    }
}

fn missing_reference(stderr: &str, wanted: &[&str]) -> Option<usize> {
    let line = stderr
        .lines()
        .find_map(|line| line.split_once("couldn't find remote ref "))?
        .1
        .trim();
    wanted.iter().position(|reference| *reference == line)
}

/// Words of git about its own objects, not about the remote's.
fn is_corruption(stderr: &str) -> bool {
    let said = |words: &str| {
        stderr
            .lines()
            .any(|line| !line.starts_with("remote:") && line.contains(words))
    };
    [
        "is corrupt",
        "is empty",
        "bad object",
        "unable to read tree",
        "inflate: data stream error",
        "unable to unpack",
    ]
    .into_iter()
    .any(said)
}
