//! One file to objects, or to everything that is wrong with it. Knows nothing of environments: see [`confine`](crate::confine).

use serde_json::Value;

use crate::{
    error::{ErrorCode, FileError},
    identity::{ManifestDigest, ObjectId},
    labels,
    yaml::{self, Fault, Kind, Limits, Node},
};

/// A place in a file, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

impl Position {
    pub const START: Self = Self { line: 1, column: 1 };

    pub(crate) fn new(line: usize, column: usize) -> Self {
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            line: narrow(line),
            column: narrow(column),
        }
    }
}

/// Where an object stands in its repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub file: String,
    /// Where the object begins.
    pub at: Position,
    /// Index of the document in the file, from 0; empty documents count.
    pub document: usize,
    /// Where `metadata.namespace` stands, if the manifest sets it.
    pub namespace_at: Option<Position>,
}

impl Source {
    pub fn line(&self) -> u32 {
        self.at.line
    }
}

/// One Kubernetes object as a file wants it.
#[derive(Clone, PartialEq)]
pub struct Object {
    pub id: ObjectId,
    /// `apps/v1`
    pub api_version: String,
    pub value: Value,
    pub digest: ManifestDigest,
    pub source: Source,
}

/// Without the manifest itself, which may hold a Secret's values.
impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Object")
            .field("id", &self.id)
            .field("api_version", &self.api_version)
            .field("digest", &self.digest)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// Whether a path of a repository is read as manifests: `.yaml`, `.yml` or `.json`, neither hidden nor in a hidden folder.
pub fn is_manifest_path(path: &str) -> bool {
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        if part.is_empty() || part.starts_with('.') {
            return false;
        }
        if parts.peek().is_none() {
            let extension = part.rsplit_once('.').map_or("", |(_, extension)| extension);
            return ["yaml", "yml", "json"]
                .iter()
                .any(|known| extension.eq_ignore_ascii_case(known));
        }
    }
    false
}

/// Reads one file: several documents, and lists in place of objects, are expanded; empty documents are skipped.
pub fn parse_file(path: &str, bytes: &[u8], limits: &Limits) -> Result<Vec<Object>, Vec<FileError>> {
    let composed = match yaml::read(bytes, limits) {
        Ok(composed) => composed,
        Err(faults) => return Err(faults.into_iter().map(|found| fault(path, found)).collect()),
    };
    let mut reader = Reader {
        path,
        objects: Vec::new(),
        errors: Vec::new(),
    };
    for (document, node) in composed.documents.into_iter().enumerate() {
        if !node.is_null() {
            reader.node(node, document, None);
        }
    }
    if reader.errors.is_empty() {
        Ok(reader.objects)
    } else {
        Err(reader.errors)
    }
}

pub(crate) fn fault(path: &str, fault: Fault) -> FileError {
    FileError {
        file: path.to_owned(),
        line: fault.at.line,
        column: fault.at.column,
        code: fault.code,
        object: None,
        message: fault.message,
    }
}

struct Reader<'a> {
    path: &'a str,
    objects: Vec<Object>,
    errors: Vec<FileError>,
}

/// What an item of a `DeploymentList` may leave out.
struct ListOf {
    api_version: String,
    kind: String,
}

impl Reader<'_> {
    fn node(&mut self, mut node: Node, document: usize, list: Option<&ListOf>) {
        let at = node.at;
        if !matches!(node.kind, Kind::Map(_)) {
            let message = format!(
                "this is {} and not a Kubernetes object; an object begins with apiVersion, kind and metadata. \
                 Move files that are no manifests out of the environment's folder",
                node.describe()
            );
            return self.error(at, ErrorCode::NotAnObject, None, message);
        }
        let api_version = match list {
            Some(list) if node.get("apiVersion").is_none() => Some(list.api_version.clone()),
            _ => self.api_version(&node),
        };
        let kind = match list {
            Some(list) if node.get("kind").is_none() => Some(list.kind.clone()),
            _ => self.kind(&node),
        };
        let (Some(api_version), Some(kind)) = (api_version, kind) else {
            return;
        };

        if kind.ends_with("List") && matches!(node.get("items").map(|items| &items.kind), Some(Kind::List(_)))
        {
            self.list(node, document, api_version, &kind);
            return;
        }
        let group = api_version
            .split_once('/')
            .map_or("", |(group, _)| group)
            .to_owned();
        let Some((name, namespace, namespace_at)) = self.metadata(&node, &group, &kind) else {
            return;
        };
        if list.is_some() {
            complete(&mut node, &api_version, &kind);
        }
        let value = node.into_json();
        let digest = ManifestDigest::of(&value);
        let source = Source {
            file: self.path.to_owned(),
            at,
            document,
            namespace_at,
        };
        let id = ObjectId {
            group,
            kind,
            namespace,
            name,
        };
        self.objects.push(Object {
            id,
            api_version,
            value,
            digest,
            source,
        });
    }

    /// `kubectl get -o yaml` writes lists; each item is an object of its own.
    fn list(&mut self, node: Node, document: usize, api_version: String, kind: &str) {
        let item_kind = kind.strip_suffix("List").unwrap_or_default().to_owned();
        let defaults = (!item_kind.is_empty()).then_some(ListOf {
            api_version,
            kind: item_kind,
        });
        let Kind::Map(entries) = node.kind else { return };
        for entry in entries {
            if let ("items", Kind::List(items)) = (entry.key.as_str(), entry.value.kind) {
                for item in items {
                    self.node(item, document, defaults.as_ref());
                }
            }
        }
    }

    fn api_version(&mut self, node: &Node) -> Option<String> {
        let Some(found) = node.get("apiVersion").filter(|found| !found.is_null()) else {
            let message = "the object has no apiVersion; add it, for example `apiVersion: apps/v1`. \
                           Move files that are no manifests out of the environment's folder";
            self.error(node.at, ErrorCode::MissingApiVersion, None, message.to_owned());
            return None;
        };
        match found.as_str().filter(|text| is_api_version(text)) {
            Some(text) => Some(text.to_owned()),
            None => {
                let message = "apiVersion is not `version` or `group/version`, for example `v1` or `apps/v1`; correct it";
                self.error(found.at, ErrorCode::InvalidApiVersion, None, message.to_owned());
                None
            }
        }
    }

    fn kind(&mut self, node: &Node) -> Option<String> {
        let Some(found) = node.get("kind").filter(|found| !found.is_null()) else {
            let message = "the object has no kind; add it, for example `kind: Deployment`".to_owned();
            self.error(node.at, ErrorCode::MissingKind, None, message);
            return None;
        };
        match found.as_str().filter(|text| is_kind(text)) {
            Some(text) => Some(text.to_owned()),
            None => {
                let message =
                    "kind is not a name of letters and digits, for example `Deployment`; correct it"
                        .to_owned();
                self.error(found.at, ErrorCode::InvalidKind, None, message);
                None
            }
        }
    }

    fn metadata(
        &mut self,
        node: &Node,
        group: &str,
        kind: &str,
    ) -> Option<(String, Option<String>, Option<Position>)> {
        let before = self.errors.len();
        let shown = if group.is_empty() {
            kind.to_owned()
        } else {
            format!("{group}/{kind}")
        };
        let Some(metadata) = node
            .get("metadata")
            .filter(|found| matches!(found.kind, Kind::Map(_)))
        else {
            let at = node.get("metadata").map_or(node.at, |found| found.at);
            let message = format!("the {kind} has no metadata.name; add it");
            self.error(at, ErrorCode::MissingName, Some(shown), message);
            return None;
        };
        let name = match metadata.get("name").map(|found| (found, found.as_str())) {
            Some((found, Some(name))) if is_path_segment(name) => Some((found, name.to_owned())),
            Some((found, None)) if !found.is_null() => {
                let message = format!(
                    "metadata.name is {}, and a name is text; put it in quotes",
                    found.describe()
                );
                self.error(found.at, ErrorCode::InvalidName, Some(shown.clone()), message);
                None
            }
            Some((found, Some(name))) if !name.is_empty() => {
                let message = "metadata.name cannot be a name: it has at most 253 characters, no `/`, `%` or spaces; correct it";
                self.error(
                    found.at,
                    ErrorCode::InvalidName,
                    Some(shown.clone()),
                    message.to_owned(),
                );
                None
            }
            _ => {
                let message = match metadata.get("generateName") {
                    Some(_) => format!(
                        "the {kind} has generateName, and every apply would make another one; give it a metadata.name"
                    ),
                    None => format!("the {kind} has no metadata.name; add it"),
                };
                self.error(metadata.at, ErrorCode::MissingName, Some(shown.clone()), message);
                None
            }
        };
        let shown = match &name {
            Some((_, name)) => format!("{shown} {name}"),
            None => shown,
        };
        let namespace = match metadata.get("namespace") {
            None => None,
            Some(found) if found.is_null() || found.as_str() == Some("") => None,
            Some(found) => match found.as_str().filter(|text| is_dns_label(text)) {
                Some(text) => Some((text.to_owned(), found.at)),
                None => {
                    let message = "metadata.namespace is not a namespace: lower-case letters, digits and `-`, at most 63; \
                                   correct it or leave it out";
                    self.error(
                        found.at,
                        ErrorCode::InvalidNamespace,
                        Some(shown.clone()),
                        message.to_owned(),
                    );
                    None
                }
            },
        };
        self.strings(metadata, "labels", &shown);
        self.strings(metadata, "annotations", &shown);
        let (_, name) = name?;
        if self.errors.len() > before {
            return None;
        }
        let (namespace, namespace_at) = namespace.unzip();
        Some((name, namespace, namespace_at))
    }

    /// Labels and annotations: text only, and none that the product keeps for itself.
    fn strings(&mut self, metadata: &Node, field: &str, object: &str) {
        let Some(found) = metadata.get(field).filter(|found| !found.is_null()) else {
            return;
        };
        if !matches!(found.kind, Kind::Map(_)) {
            let message = format!(
                "metadata.{field} is {} and not a mapping; correct it",
                found.describe()
            );
            return self.error(
                found.at,
                ErrorCode::InvalidMetadata,
                Some(object.to_owned()),
                message,
            );
        }
        for entry in found.entries() {
            if labels::is_reserved(&entry.key) {
                let message = format!(
                    "metadata.{field} sets `{}`, which the product keeps to tell whose object this is; remove it",
                    entry.key
                );
                self.error(
                    entry.key_at,
                    ErrorCode::ReservedLabel,
                    Some(object.to_owned()),
                    message,
                );
            } else if entry.value.as_str().is_none() && !entry.value.is_null() {
                let message = format!(
                    "metadata.{field} has {} for `{}`, and Kubernetes takes text only; put it in quotes",
                    entry.value.describe(),
                    entry.key
                );
                self.error(
                    entry.value.at,
                    ErrorCode::InvalidMetadata,
                    Some(object.to_owned()),
                    message,
                );
            }
        }
    }

    fn error(&mut self, at: Position, code: ErrorCode, object: Option<String>, message: String) {
        let file = self.path.to_owned();
        self.errors.push(FileError {
            file,
            line: at.line,
            column: at.column,
            code,
            object,
            message,
        });
    }
}

/// Writes what the list said for its items into an item.
fn complete(node: &mut Node, api_version: &str, kind: &str) {
    let at = node.at;
    if let Kind::Map(entries) = &mut node.kind {
        for (key, text) in [("apiVersion", api_version), ("kind", kind)] {
            if !entries.iter().any(|entry| entry.key == key) {
                let value = Node {
                    at,
                    kind: Kind::String(text.to_owned()),
                };
                entries.push(yaml::Entry {
                    key: key.to_owned(),
                    key_at: at,
                    value,
                });
            }
        }
    }
}

fn is_api_version(text: &str) -> bool {
    match text.split_once('/') {
        Some((group, version)) => is_dns_subdomain(group) && is_dns_label(version),
        None => is_dns_label(text),
    }
}

fn is_kind(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// RFC 1123; also what Kubernetes asks of a namespace.
fn is_dns_label(text: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    text.len() <= 63
        && bytes.first().is_some_and(|&b| alphanumeric(b))
        && bytes.last().is_some_and(|&b| alphanumeric(b))
        && bytes.iter().all(|&b| alphanumeric(b) || b == b'-')
}

fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label)
}

/// What every kind has in common (`IsValidPathSegmentName`): the name becomes part of a URL. Kinds ask for more, and say so.
fn is_path_segment(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text != "."
        && text != ".."
        && text
            .chars()
            .all(|c| !c.is_control() && !c.is_whitespace() && c != '/' && c != '%')
}
