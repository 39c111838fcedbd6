//! Names of things: which kind, which object, which content. Nothing here looks inside a manifest except to digest it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A kind of object without its version: versions of one kind are views of the same objects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKind {
    /// Empty for the core group.
    pub group: String,
    pub kind: String,
}

impl GroupKind {
    pub fn new(group: impl Into<String>, kind: impl Into<String>) -> Self {
        Self {
            group: group.into(),
            kind: kind.into(),
        }
    }
}

/// As `kubectl` and the ApplySet convention write it: `Deployment.apps`, `ConfigMap`.
impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        Ok(())
    }
}

impl FromStr for GroupKind {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, group) = text.split_once('.').unwrap_or((text, ""));
        if kind.is_empty() || !kind.bytes().all(|b| b.is_ascii_alphanumeric()) || group.starts_with('.') {
            return Err(IdentityError::GroupKind(text.to_owned()));
        }
        Ok(Self::new(group, kind))
    }
}

impl Serialize for GroupKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GroupKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// What makes an object the same object from commit to commit and from file to cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    /// Empty for the core group.
    pub group: String,
    pub kind: String,
    /// `None` for cluster-scoped objects, and for namespaced ones until confinement has filled it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    pub name: String,
}

impl ObjectId {
    pub fn group_kind(&self) -> GroupKind {
        GroupKind::new(self.group.clone(), self.kind.clone())
    }
}

/// `apps/Deployment shop/web`, `ConfigMap shop/settings`, `Namespace shop`.
impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.group.is_empty() {
            write!(f, "{}/", self.group)?;
        }
        write!(f, "{} ", self.kind)?;
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)
    }
}

impl FromStr for ObjectId {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || IdentityError::ObjectId(text.to_owned());
        let (kind, name) = text.split_once(' ').ok_or_else(bad)?;
        let (group, kind) = kind.split_once('/').unwrap_or(("", kind));
        let (namespace, name) = match name.split_once('/') {
            Some((namespace, name)) => (Some(namespace.to_owned()), name),
            None => (None, name),
        };
        if kind.is_empty() || name.is_empty() || namespace.as_deref() == Some("") {
            return Err(bad());
        }
        Ok(Self {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace,
            name: name.to_owned(),
        })
    }
}

/// 128 bits over the canonical JSON (keys sorted, no spaces) of a manifest as its file says it.
///
/// Comments, key order, anchors and the style of scalars do not change it; neither does the namespace that confinement fills in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ManifestDigest(pub [u8; 16]);

impl ManifestDigest {
    pub fn of(value: &Value) -> Self {
        let mut text = Vec::with_capacity(1024);
        write_canonical(value, &mut text);
        let hash = Sha256::digest(&text);
        let mut short = [0; 16];
        short.copy_from_slice(&hash[..16]);
        Self(short)
    }
}

/// JSON with sorted keys, whatever map `serde_json` was built with.
fn write_canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            out.push(b'{');
            for (at, (key, value)) in entries.into_iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_scalar(key, out);
                out.push(b':');
                write_canonical(value, out);
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_canonical(item, out);
            }
            out.push(b']');
        }
        scalar => write_scalar(scalar, out),
    }
}

fn write_scalar<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    // Strings, numbers, booleans and null always serialise, and writing to a `Vec` cannot fail.
    let _ = serde_json::to_writer(out, value);
}

impl fmt::Display for ManifestDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ManifestDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ManifestDigest({self})")
    }
}

impl FromStr for ManifestDigest {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || IdentityError::Digest(text.to_owned());
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let mut bytes = [0; 16];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| bad())?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for ManifestDigest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ManifestDigest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error("`{0}` is not a kind; write it as `Kind` or `Kind.group`, for example `Deployment.apps`")]
    GroupKind(String),
    #[error(
        "`{0}` is not an object; write it as `group/Kind namespace/name`, for example `apps/Deployment shop/web`"
    )]
    ObjectId(String),
    #[error("`{0}` is not a manifest digest; it has 32 hexadecimal digits")]
    Digest(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            "apps/Deployment shop/web",
            "ConfigMap shop/settings",
            "Namespace shop",
        ] {
            assert_eq!(text.parse::<ObjectId>().unwrap().to_string(), text);
        }
        for text in ["Deployment.apps", "ConfigMap", "Issuer.cert-manager.io"] {
            assert_eq!(text.parse::<GroupKind>().unwrap().to_string(), text);
        }
        for text in ["", ".apps", "a b"] {
            assert!(text.parse::<GroupKind>().is_err(), "{text:?}");
        }
        for text in ["", "Pod", "Pod ", "Pod /x", "/ x"] {
            assert!(text.parse::<ObjectId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_digest_does_not_see_the_order_of_keys_and_does_see_the_order_of_lists() {
        let a = ManifestDigest::of(&json!({"b": 1, "a": {"d": [1, 2], "c": null}}));
        let b = ManifestDigest::of(&json!({"a": {"c": null, "d": [1, 2]}, "b": 1}));
        let c = ManifestDigest::of(&json!({"a": {"c": null, "d": [2, 1]}, "b": 1}));
        assert_eq!(a, b);
        assert_ne!(a, c);
        assert_eq!(a.to_string().parse(), Ok(a));
        assert!("zz".parse::<ManifestDigest>().is_err());
    }
}
