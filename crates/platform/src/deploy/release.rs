//! Where an instance is described, and what its description says.

use c7n_manifests::edit::{self, Edit};
use c7n_manifests::{Limits, Object, parse_file};
use serde_json::{Value, json};

use super::DeployError;
use super::plan::Plan;
use super::snapshot::Snapshot;
use crate::names::{self, NameError};

const GROUP: &str = "choerodon.io";
const API_VERSION: &str = "choerodon.io/v1alpha1";
const KIND: &str = "C7NHelmRelease";
/// Helm's own limit for the name of a release.
const LONGEST_NAME: usize = 53;

/// An instance as the repository describes it.
pub(super) struct Release<'a> {
    pub file: &'a str,
    pub bytes: &'a [u8],
    pub document: usize,
    object: &'a Object,
}

impl<'a> Release<'a> {
    /// `None` when nothing describes it.
    pub fn find(snapshot: &'a Snapshot, instance: &str) -> Result<Option<Self>, DeployError> {
        let mut found = Self::all(snapshot).filter(|release| release.name() == instance);
        let first = found.next();
        match (&first, found.next()) {
            (Some(first), Some(second)) => Err(DeployError::Twice {
                instance: instance.to_owned(),
                first: first.file.to_owned(),
                second: second.file.to_owned(),
            }),
            _ => Ok(first),
        }
    }

    /// Whatever instances are described.
    pub fn all(snapshot: &'a Snapshot) -> impl Iterator<Item = Self> {
        snapshot.manifests.iter().flat_map(|(file, manifest)| {
            let objects = manifest.outcome.iter().flatten();
            objects.filter(|object| is_release(object)).map(|object| Self {
                file,
                bytes: &manifest.bytes,
                document: object.source.document,
                object,
            })
        })
    }

    pub fn name(&self) -> &'a str {
        &self.object.id.name
    }

    /// The one that has to be there, in a place where it can be changed.
    pub fn existing(snapshot: &'a Snapshot, instance: &str) -> Result<Self, DeployError> {
        let found = Self::find(snapshot, instance)?;
        if found.is_none()
            && let Some(manifest) = snapshot.manifests.get(&file_of(instance))
            && let Err(faults) = &manifest.outcome
        {
            return Err(DeployError::Files(faults.clone()));
        }
        let found = found.ok_or_else(|| DeployError::NoInstance(instance.to_owned()))?;
        found.check()?;
        Ok(found)
    }

    /// Whether it can be changed where it is.
    pub fn check(&self) -> Result<(), DeployError> {
        Ok(edit::is_whole_document(self.bytes, self.object)?)
    }

    fn field(&self, name: &str) -> Option<&'a str> {
        self.object.value.get("spec")?.get(name)?.as_str()
    }

    pub fn chart_name(&self) -> &'a str {
        self.field("chartName").unwrap_or_default()
    }

    pub fn chart_version(&self) -> &'a str {
        self.field("chartVersion").unwrap_or_default()
    }

    pub fn repo_url(&self) -> &'a str {
        self.field("repoUrl").unwrap_or_default()
    }

    /// Empty where there are none.
    pub fn values(&self) -> &'a str {
        self.field("values").unwrap_or_default()
    }

    /// The file with this document changed.
    pub fn edited(&self, edits: &[Edit]) -> Result<String, DeployError> {
        Ok(edit::edit_document(self.file, self.bytes, self.document, edits)?)
    }

    pub fn plan(&self, verb: &'static str, edits: &[Edit], message: String) -> Result<Plan, DeployError> {
        let content = self.edited(edits)?;
        Ok(Plan::of_file(verb, self.file, Some(content), message).of_instance(&self.object.id.name))
    }
}

fn is_release(object: &Object) -> bool {
    object.id.group == GROUP && object.id.kind == KIND
}

/// The text of the document that describes the instance, in a file of long ago. `None` where none does.
pub(super) fn text_in(file: &str, bytes: &[u8], instance: &str) -> Option<String> {
    let objects = parse_file(file, bytes, &Limits::default()).ok()?;
    let object = objects
        .iter()
        .find(|object| is_release(object) && object.id.name == instance)?;
    edit::is_whole_document(bytes, object).ok()?;
    edit::document_text(file, bytes, object.source.document).ok()
}

/// Where an instance is written that nobody has written elsewhere.
pub(super) fn file_of(instance: &str) -> String {
    format!("releases/{instance}.yaml")
}

/// The whole content of a file that gets one more document.
pub(super) fn content_with(
    snapshot: &Snapshot,
    file: &str,
    instance: &str,
    document: &str,
) -> Result<String, DeployError> {
    let in_the_way = || DeployError::InTheWay {
        instance: instance.to_owned(),
        file: file.to_owned(),
    };
    match (snapshot.manifests.get(file), snapshot.files.contains_key(file)) {
        (None, false) => Ok(document.to_owned()),
        (None, true) => Err(in_the_way()),
        (Some(manifest), _) => {
            if let Err(faults) = &manifest.outcome {
                return Err(DeployError::Files(faults.clone()));
            }
            let before = std::str::from_utf8(&manifest.bytes).map_err(|_| in_the_way())?;
            let is_empty = before.trim().is_empty();
            let gap = if before.ends_with('\n') || is_empty {
                ""
            } else {
                "\n"
            };
            let separator = if is_empty { "" } else { "---\n" };
            Ok(format!(
                "{}{gap}{separator}{document}",
                if is_empty { "" } else { before }
            ))
        }
    }
}

/// What an instance is made of.
pub(super) struct Chart<'a> {
    pub repo_url: &'a str,
    pub name: &'a str,
    pub version: &'a str,
    pub repo_secret: Option<&'a str>,
}

/// A new description, in the order in which people write them.
pub(super) fn document(instance: &str, chart: &Chart<'_>, values: &str) -> String {
    let mut object = json!({
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": instance},
        "spec": {
            "chartName": chart.name,
            "chartVersion": chart.version,
            "repoUrl": chart.repo_url,
        },
    });
    if let Some(secret) = chart.repo_secret {
        object["spec"]["repoSecret"] = Value::from(secret);
    }
    if !values.is_empty() {
        object["spec"]["values"] = Value::from(values);
    }
    edit::render(&object)
}

pub(super) fn check_name(instance: &str) -> Result<(), DeployError> {
    names::label("instance name", instance)?;
    if instance.len() > LONGEST_NAME {
        return Err(NameError::Long {
            what: "instance name",
            length: instance.len(),
        }
        .into());
    }
    Ok(())
}

/// A Secret of the environment's namespace, by its name alone.
pub(super) fn check_secret(name: &str) -> Result<(), DeployError> {
    let is_outer = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    let fits = (1..=253).contains(&bytes.len())
        && bytes
            .iter()
            .all(|&byte| is_outer(byte) || matches!(byte, b'-' | b'.'))
        && bytes.first().is_some_and(|&byte| is_outer(byte))
        && bytes.last().is_some_and(|&byte| is_outer(byte));
    if fits {
        return Ok(());
    }
    // Not shown again: somebody may have given the secret in place of its name.
    Err(DeployError::Invalid(
        "the repository's Secret is given by its name: lower-case letters, digits, `-` and `.`".to_owned(),
    ))
}

/// What the agent will be able to fetch from, as far as the text tells.
pub fn check_repository(repo_url: &str, chart_name: &str) -> Result<(), DeployError> {
    let invalid = |text: String| Err(DeployError::Invalid(text));
    let rest = ["http://", "https://", "oci://"]
        .iter()
        .find_map(|scheme| repo_url.strip_prefix(scheme));
    let Some(rest) = rest else {
        return invalid(format!(
            "{repo_url:?} is no repository: it begins with https://, http:// or oci://"
        ));
    };
    if rest.split('/').next().unwrap_or_default().contains('@') {
        // Not shown again: it holds a secret.
        return invalid("the repository's address holds credentials; give them apart from it".to_owned());
    }
    if rest.is_empty()
        || repo_url.len() > 1000
        || repo_url.chars().any(|c| c.is_whitespace() || c.is_control())
    {
        return invalid("the repository's address has no host, is too long, or has spaces in it".to_owned());
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if chart_name.is_empty()
        || chart_name.len() > 250
        || chart_name.starts_with('.')
        || !chart_name.chars().all(fits)
    {
        return invalid(format!("{chart_name:?} is no name of a chart"));
    }
    Ok(())
}
