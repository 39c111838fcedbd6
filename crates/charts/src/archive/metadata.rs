//! `Chart.yaml`: its fields, and what Helm asks of them.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::Version;

/// What a chart says of itself. The same fields stand in an index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    pub api_version: ApiVersion,
    #[serde(default, deserialize_with = "text")]
    pub name: String,
    /// As it is written; [`Metadata::version`] has it parsed.
    #[serde(default, deserialize_with = "text")]
    pub version: String,
    #[serde(default, deserialize_with = "text", skip_serializing_if = "String::is_empty")]
    pub app_version: String,
    #[serde(default, deserialize_with = "text", skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(
        default,
        rename = "type",
        deserialize_with = "chart_type",
        skip_serializing_if = "Option::is_none"
    )]
    pub chart_type: Option<ChartType>,
    #[serde(default, deserialize_with = "text", skip_serializing_if = "String::is_empty")]
    pub kube_version: String,
    #[serde(default, deserialize_with = "text", skip_serializing_if = "String::is_empty")]
    pub home: String,
    #[serde(default, deserialize_with = "text", skip_serializing_if = "String::is_empty")]
    pub icon: String,
    #[serde(default, deserialize_with = "texts", skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    #[serde(default, deserialize_with = "texts", skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub maintainers: Vec<Maintainer>,
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub dependencies: Vec<Dependency>,
    #[serde(
        default,
        deserialize_with = "text_map",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub annotations: BTreeMap<String, String>,
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub deprecated: bool,
    /// Of the first version's charts, kept for indexes that have them.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "String::is_empty")]
    pub condition: String,
    #[serde(default, deserialize_with = "text", skip_serializing_if = "String::is_empty")]
    pub tags: String,
}

/// `v1` are charts of Helm 2 and later, `v2` of Helm 3 and later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApiVersion {
    V1,
    V2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChartType {
    Application,
    /// Only used by other charts; cannot be installed.
    Library,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintainer {
    #[serde(default, deserialize_with = "text", skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(default, deserialize_with = "text", skip_serializing_if = "String::is_empty")]
    pub email: String,
    #[serde(default, deserialize_with = "text", skip_serializing_if = "String::is_empty")]
    pub url: String,
}

/// A chart that this one brings along.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Dependency {
    #[serde(default, deserialize_with = "text")]
    pub name: String,
    /// A range, as a rule.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "String::is_empty")]
    pub version: String,
    #[serde(default, deserialize_with = "text")]
    pub repository: String,
    #[serde(default, deserialize_with = "text", skip_serializing_if = "String::is_empty")]
    pub condition: String,
    #[serde(default, deserialize_with = "texts", skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub enabled: bool,
    #[serde(
        default,
        rename = "import-values",
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub import_values: Vec<Value>,
    #[serde(default, deserialize_with = "text", skip_serializing_if = "String::is_empty")]
    pub alias: String,
}

/// A field that is not as it should be, of a file that the caller knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MetadataFault {
    pub field: String,
    pub reason: String,
}

impl Metadata {
    /// The fields of a document; [`Metadata::check`] judges them.
    pub(crate) fn from_json(document: Value) -> Result<Self, MetadataFault> {
        let Value::Object(fields) = &document else {
            return Err(fault("the file", "is not a mapping of fields"));
        };
        let api_version = fields.get("apiVersion").and_then(Value::as_str);
        if !matches!(api_version, Some("v1" | "v2")) {
            return Err(fault(
                "apiVersion",
                "must be v1 or v2; `apiVersion: v2` is right for charts of Helm 3 and later",
            ));
        }
        Self::deserialize(document).map_err(|error| fault("the file", &error.to_string()))
    }

    pub(crate) fn add_dependencies(&mut self, dependencies: Value) -> Result<(), MetadataFault> {
        if dependencies.is_null() {
            return Ok(());
        }
        self.dependencies = Vec::<Dependency>::deserialize(dependencies)
            .map_err(|error| fault("dependencies", &error.to_string()))?;
        Ok(())
    }

    /// The rules of Helm.
    pub(crate) fn check(&self) -> Result<(), MetadataFault> {
        check_name(&self.name)?;
        if self.version.is_empty() {
            return Err(fault("version", "is missing; write a version like 1.2.3"));
        }
        Version::parse(&self.version).map_err(|error| fault("version", &error.to_string()))?;
        let mut names = HashSet::new();
        for dependency in &self.dependencies {
            let alias = &dependency.alias;
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if !alias.chars().all(is_plain) {
                let reason = format!("the alias `{alias}` may have letters, digits, `-` and `_` alone");
                return Err(fault("dependencies", &reason));
            }
            let name = if alias.is_empty() { &dependency.name } else { alias };
            if !names.insert(name) {
                let reason = format!("`{name}` stands there twice; give one of the two another `alias`");
                return Err(fault("dependencies", &reason));
            }
        }
        Ok(())
    }

    /// The version, for comparing. Every checked chart has one.
    pub fn version(&self) -> Option<Version> {
        Version::parse(&self.version).ok()
    }

    /// What it is if nothing is said: an application.
    pub fn chart_type(&self) -> ChartType {
        self.chart_type.unwrap_or(ChartType::Application)
    }
}

/// What Helm can pull and install. Names become parts of paths and URLs.
fn check_name(name: &str) -> Result<(), MetadataFault> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() {
        return Err(fault("name", "is missing; write the chart's name"));
    }
    if name.len() > 250 || name.starts_with('.') || !name.chars().all(is_plain) {
        return Err(fault(
            "name",
            "may have letters, digits, `-`, `_` and `.` alone, and does not begin with a dot",
        ));
    }
    Ok(())
}

/// What Helm's conventions ask of a name that is published anew: lower-case letters, digits and `-`.
pub fn check_published_name(name: &str) -> Result<(), &'static str> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty()
        || name.len() > 53
        || name.starts_with('-')
        || name.ends_with('-')
        || !name.chars().all(is_plain)
    {
        return Err(
            "a chart's name has up to 53 lower-case letters, digits and `-`, and neither begins nor ends with `-`",
        );
    }
    Ok(())
}

fn fault(field: &str, reason: &str) -> MetadataFault {
    MetadataFault {
        field: field.to_owned(),
        reason: reason.to_owned(),
    }
}

/// Text, or a number or boolean that Helm would read as text; `null` is nothing. Without control characters, as Helm has it.
pub(crate) fn text<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    to_text(Value::deserialize(input)?).ok_or_else(|| serde::de::Error::custom("text is expected here"))
}

fn texts<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    let values = Option::<Vec<Value>>::deserialize(input)?.unwrap_or_default();
    let texts = values.into_iter().map(to_text).collect::<Option<_>>();
    texts.ok_or_else(|| serde::de::Error::custom("a list of texts is expected here"))
}

fn text_map<'de, D: Deserializer<'de>>(input: D) -> Result<BTreeMap<String, String>, D::Error> {
    let values = Option::<BTreeMap<String, Value>>::deserialize(input)?.unwrap_or_default();
    let texts = values
        .into_iter()
        .map(|(key, value)| Some((key, to_text(value)?)))
        .collect::<Option<_>>();
    texts.ok_or_else(|| serde::de::Error::custom("a mapping of texts is expected here"))
}

fn to_text(value: Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(clean(&text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn clean(text: &str) -> String {
    text.chars()
        .filter_map(|c| match c {
            // Line breaks of descriptions and annotations stay: a console shows them.
            '\n' => Some('\n'),
            _ if c.is_whitespace() => Some(' '),
            _ if c.is_control() => None,
            _ => Some(c),
        })
        .collect()
}

/// An empty type is no type.
fn chart_type<'de, D: Deserializer<'de>>(input: D) -> Result<Option<ChartType>, D::Error> {
    match Option::<String>::deserialize(input)?.as_deref() {
        None | Some("") => Ok(None),
        Some("application") => Ok(Some(ChartType::Application)),
        Some("library") => Ok(Some(ChartType::Library)),
        Some(_) => Err(serde::de::Error::custom(
            "the type must be application or library",
        )),
    }
}

/// `null` is what is not there.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(input: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(input)?.unwrap_or_default())
}
