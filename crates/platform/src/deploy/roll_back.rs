//! An instance as it was described at an earlier commit, as a new commit.

use c7n_api::InstanceRevision;
use c7n_git::{BlobId, CommitId};
use c7n_manifests::Limits;
use c7n_manifests::edit::replace_document;

use super::DeployError;
use super::plan::Plan;
use super::release::{self, Release};
use super::snapshot::Snapshot;

/// How far back the change before is looked for.
const COMMITS: usize = 2000;

pub struct RollBack {
    pub instance: String,
    pub to: Target,
}

pub enum Target {
    /// The state before the last change.
    LastChange,
    /// A commit or its first digits.
    Commit(String),
    /// The commit that a revision of the release was made from.
    Revision(u32),
}

/// What it was.
struct Earlier {
    commit: CommitId,
    file: String,
    text: String,
}

impl RollBack {
    pub(super) fn plan(
        &self,
        snapshot: &Snapshot,
        revisions: &[InstanceRevision],
    ) -> Result<Plan, DeployError> {
        let instance = self.instance.as_str();
        let now = Release::find(snapshot, instance)?;
        if let Some(now) = &now {
            now.check()?;
        }
        let file = now
            .as_ref()
            .map_or_else(|| release::file_of(instance), |now| now.file.to_owned());
        let current = now
            .as_ref()
            .and_then(|now| release::text_in(now.file, now.bytes, instance));
        let earlier = match &self.to {
            Target::Commit(to) => self.at(snapshot, to, &file)?,
            Target::Revision(number) => {
                let to = commit_of(&self.instance, *number, revisions)?;
                self.at(snapshot, to, &file)?
            }
            Target::LastChange => self.before_the_last_change(snapshot, &file, current.as_deref())?,
        };
        let content = match &now {
            Some(now) => replace_document(now.file, now.bytes, now.document, &earlier.text)?,
            None => release::content_with(snapshot, &earlier.file, instance, &earlier.text)?,
        };
        let target = if now.is_some() { &file } else { &earlier.file };
        let short: String = earlier.commit.to_string().chars().take(8).collect();
        let plan = Plan::of_file(
            "roll-back",
            target,
            Some(content),
            format!("Roll back {instance} to {short}"),
        );
        Ok(match chart_of(&earlier, instance) {
            Some((chart, version)) => plan.of_chart(&chart, &version),
            None => plan,
        }
        .of_instance(instance))
    }

    /// At a commit that somebody names; the file may have had another name then.
    fn at(&self, snapshot: &Snapshot, to: &str, file: &str) -> Result<Earlier, DeployError> {
        let commit = find_commit(snapshot, to)?;
        let tree = snapshot.repository.tree(&commit)?;
        let first = tree.files.get_key_value(file).into_iter();
        let all = first.chain(
            tree.files
                .iter()
                .filter(|(path, _)| c7n_manifests::is_manifest_path(path)),
        );
        for (path, blob) in all {
            if let Some(text) = self.text(snapshot, path, blob)? {
                return Ok(Earlier {
                    commit,
                    file: path.clone(),
                    text,
                });
            }
        }
        Err(DeployError::NoEarlier(format!(
            "at commit {to} nothing describes the instance {}",
            self.instance
        )))
    }

    fn before_the_last_change(
        &self,
        snapshot: &Snapshot,
        file: &str,
        current: Option<&str>,
    ) -> Result<Earlier, DeployError> {
        let nothing = || {
            DeployError::NoEarlier(format!(
                "{file} has never described the instance {} in another way",
                self.instance
            ))
        };
        let head = snapshot.head.ok_or_else(nothing)?;
        let mut seen: Option<BlobId> = snapshot.files.get(file).copied();
        for commit in snapshot.repository.log(&head, None, COMMITS)? {
            let blob = snapshot.repository.blob_at(&commit.id, file)?;
            if blob == seen {
                continue;
            }
            seen = blob;
            let Some(blob) = blob else { continue };
            if let Some(text) = self.text(snapshot, file, &blob)?
                && current != Some(text.as_str())
            {
                return Ok(Earlier {
                    commit: commit.id,
                    file: file.to_owned(),
                    text,
                });
            }
        }
        Err(nothing())
    }

    fn text(&self, snapshot: &Snapshot, path: &str, blob: &BlobId) -> Result<Option<String>, DeployError> {
        let bytes = match snapshot.repository.read(blob, Limits::default().bytes as u64) {
            Err(c7n_git::GitError::TooBig { .. }) => return Ok(None),
            outcome => outcome?,
        };
        Ok(release::text_in(path, &bytes, &self.instance))
    }
}

/// The commit of a revision, or what to do without.
fn commit_of<'a>(
    instance: &str,
    number: u32,
    revisions: &'a [InstanceRevision],
) -> Result<&'a str, DeployError> {
    let known: Vec<String> = revisions
        .iter()
        .filter(|it| it.commit.is_some())
        .map(|it| it.revision.to_string())
        .collect();
    let known = match known.is_empty() {
        true => "none of its revisions is known to come from a commit".to_owned(),
        false => format!("those that come from a commit are {}", known.join(", ")),
    };
    match revisions.iter().find(|it| it.revision == number) {
        Some(InstanceRevision {
            commit: Some(commit), ..
        }) => Ok(commit),
        Some(_) => Err(DeployError::NoEarlier(format!(
            "revision {number} of {instance} has no commit: it was made with `helm` by hand, or failed; {known}. What it holds is \
             shown by `helm get values {instance} --revision {number}`, and can be pushed as a change of the file"
        ))),
        None => Err(DeployError::NoEarlier(format!(
            "{instance} has no revision {number} that the platform knows of; {known}. An older state is named by its commit: `c7n env \
             history` shows them"
        ))),
    }
}

fn find_commit(snapshot: &Snapshot, to: &str) -> Result<CommitId, DeployError> {
    let unknown = |why: &str| {
        DeployError::NoEarlier(format!(
            "{to:?} {why}; `c7n env history` shows the commits of this environment"
        ))
    };
    let is_hex = to.chars().all(|c| c.is_ascii_hexdigit());
    if !is_hex || !(4..=40).contains(&to.len()) {
        return Err(unknown("is no commit: it has 4 to 40 hexadecimal digits"));
    }
    let head = snapshot
        .head
        .ok_or_else(|| unknown("is not in the empty repository"))?;
    let wanted = to.to_ascii_lowercase();
    // Only commits of this branch: what was never delivered here is not rolled back to.
    let log = snapshot.repository.log(&head, None, COMMITS)?;
    let mut found = log
        .iter()
        .filter(|commit| commit.id.to_string().starts_with(&wanted));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one.id),
        (Some(_), Some(_)) => Err(unknown("are the first digits of several commits")),
        (None, _) => Err(unknown("is no commit of this branch")),
    }
}

fn chart_of(earlier: &Earlier, instance: &str) -> Option<(String, String)> {
    let objects =
        c7n_manifests::parse_file(&earlier.file, earlier.text.as_bytes(), &Limits::default()).ok()?;
    let object = objects.iter().find(|object| object.id.name == instance)?;
    let field = |name: &str| Some(object.value.get("spec")?.get(name)?.as_str()?.to_owned());
    Some((field("chartName")?, field("chartVersion")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(revision: u32, commit: Option<&str>) -> InstanceRevision {
        InstanceRevision {
            revision,
            commit: commit.map(str::to_owned),
            chart: None,
            time: None,
        }
    }

    #[test]
    fn a_revision_is_its_commit_and_one_without_says_what_to_do() {
        let known = [
            revision(2, Some("c2")),
            revision(3, None),
            revision(4, Some("c4")),
        ];
        assert_eq!(commit_of("web", 4, &known).ok(), Some("c4"));
        let text = |number, known: &[InstanceRevision]| match commit_of("web", number, known) {
            Err(error) => error.to_string(),
            Ok(commit) => commit.to_owned(),
        };
        let by_hand = text(3, &known);
        assert!(
            by_hand.contains("by hand") && by_hand.contains("2, 4"),
            "{by_hand}"
        );
        let none = text(1, &known);
        assert!(
            none.contains("no revision 1") && none.contains("c7n env history"),
            "{none}"
        );
        assert!(text(1, &[]).contains("none of its revisions"));
    }
}
