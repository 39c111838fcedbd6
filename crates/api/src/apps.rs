//! The catalogue: applications, and the versions of their charts.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A named series of versions of one Helm chart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct App {
    pub id: String,
    /// Name of the project.
    pub project: String,
    /// What its chart is called, too.
    pub name: String,
    pub description: Option<String>,
    /// Where its versions come from; `null`: they are uploaded.
    pub source: Option<ChartSource>,
    /// What a `C7NHelmRelease` names as `repoUrl`.
    pub repo_url: String,
    /// Newest uploaded version that is no prerelease, else the newest prerelease.
    pub newest: Option<String>,
    /// How many versions are uploaded.
    pub versions: u32,
    pub created_ms: i64,
}

/// A chart of a repository that is not the platform's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChartSource {
    /// `http://`, `https://` or `oci://`.
    pub repo_url: String,
    pub chart_name: String,
    /// Set where the platform logs in there.
    pub username: Option<String>,
    /// The authorities that vouch for it, in PEM, beside those of the system.
    pub authorities: Option<String>,
}

/// No `Debug`: it may hold a password.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct NewApp {
    /// A DNS label (RFC 1123), unique in the project. For uploaded charts it is the chart's name.
    pub name: String,
    pub description: Option<String>,
    /// For a chart that stays in another repository.
    pub source: Option<NewChartSource>,
}

/// No `Debug`: it may hold a password.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct NewChartSource {
    /// `http://`, `https://` or `oci://`, without credentials in it.
    pub repo_url: String,
    /// Defaults to the application's name.
    pub chart_name: Option<String>,
    pub username: Option<String>,
    /// Kept encrypted, never shown, and sent to the host of `repo_url` alone.
    pub password: Option<String>,
    /// Certificates, in PEM, of the authorities that vouch for it, if they are not the system's. Agents are told by their chart's
    /// value `ca.bundle`.
    pub authorities: Option<String>,
}

/// One version of an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AppVersion {
    pub app: String,
    pub version: String,
    /// Of what the chart installs.
    pub app_version: Option<String>,
    pub description: Option<String>,
    /// `sha256:` and 64 hexadecimal digits, where it is known.
    pub digest: Option<String>,
    /// Bytes of the archive, where it is known.
    pub size: Option<i64>,
    pub deprecated: bool,
    /// Whether it is only for other charts, which name it in their dependencies: it cannot be deployed. Of a chart of another
    /// repository this is known of a single version and not in lists.
    pub library: bool,
    /// Whether its provenance file is kept beside it.
    pub signed: bool,
    pub created_by: Option<String>,
    pub created_ms: Option<i64>,
}

/// A version with what its chart says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AppVersionDetails {
    pub version: AppVersion,
    /// `values.yaml`: the defaults, with comments.
    pub values: Option<String>,
    /// `values.schema.json`
    pub schema: Option<String>,
    pub readme: Option<String>,
}
