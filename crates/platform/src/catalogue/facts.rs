//! What is known of a chart before it is deployed: its exact version, its default values, its schema.
//!
//! Of uploaded charts the database knows all of it. Charts of other repositories are fetched with the application's
//! credentials and kept in a cache. Of a repository that no application of the project names nothing is known, and nothing is
//! fetched: a person with the right to deploy is not to make the platform visit any address they like.

use std::path::Path;
use std::sync::Arc;

use c7n_api::{App, AppVersion, AppVersionDetails, ChartChoice, ChartSource};
use c7n_charts::repository::{
    ChartClient, ChartClientOptions, ChartRef, Credentials, Provenance, RepositoryError,
};
use c7n_charts::{ChartArchive, ChartType, Constraint, Version};

use super::{Seal, SealError, UnpackError, Unpacker};
use crate::store::{Store, StoreError};

#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    #[error("the project has no application {0}")]
    NoApp(String),
    #[error("name an application, or a repository and a chart in it")]
    NoChart,
    #[error("{app} has no version for {wanted:?}; it has {known}")]
    NoVersion {
        app: String,
        wanted: String,
        known: String,
    },
    #[error("{repo_url} belongs to no application of the project, so its versions are not known here")]
    InexactVersion { repo_url: String },
    #[error("{0}")]
    BadVersion(String),
    #[error("the chart that the repository gives cannot be used: {0}")]
    Unpack(#[from] UnpackError),
    #[error(
        "{chart} {version} is a library chart: other charts use what is in it, and it installs nothing itself"
    )]
    Library { chart: String, version: String },
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One version of one chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub repo_url: String,
    pub chart: String,
    pub version: String,
    pub known: Known,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    Nothing,
    Chart {
        defaults: Option<String>,
        schema: Option<String>,
    },
}

/// Where a chart is.
enum Place {
    Uploaded(App),
    Outside(App, ChartSource),
    Unknown { repo_url: String, chart: String },
}

/// Cheap to clone.
#[derive(Clone)]
pub struct ChartFacts {
    store: Store,
    seal: Arc<Seal>,
    client: ChartClient,
    unpacker: Unpacker,
}

impl ChartFacts {
    /// Makes the folder of the cache in the data folder.
    pub fn new(
        store: Store,
        data: &Path,
        seal: Arc<Seal>,
        unpacker: Unpacker,
    ) -> Result<Self, RepositoryError> {
        let client = ChartClient::new(ChartClientOptions::new(data.join("chart-cache")))?;
        Ok(Self {
            store,
            seal,
            client,
            unpacker,
        })
    }

    /// Whether a client could believe these (PEM).
    pub fn check_authorities(&self, authorities: &str) -> Result<(), RepositoryError> {
        self.client.trusting(authorities.as_bytes()).map(drop)
    }

    /// Newest first.
    pub async fn versions(&self, app: &App) -> Result<Vec<AppVersion>, FactsError> {
        let Some(source) = &app.source else {
            return Ok(self.store.app_versions(&app.id).await?);
        };
        let credentials = self.credentials(app).await?;
        let versions = self
            .client(source)?
            .versions(&source.repo_url, &source.chart_name, credentials.as_ref())
            .await?;
        Ok(versions
            .iter()
            .map(|version| outside_version(app, version.as_str()))
            .collect())
    }

    pub async fn version(&self, app: &App, version: &str) -> Result<Option<AppVersionDetails>, FactsError> {
        let Some(source) = &app.source else {
            return Ok(self.store.app_version(&app.id, version).await?);
        };
        if Version::parse(version).is_err() {
            return Ok(None);
        }
        let chart = self.fetch(app, source, version).await?;
        let metadata = &chart.metadata;
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Ok(Some(AppVersionDetails {
            version: AppVersion {
                app_version: text(&metadata.app_version),
                description: text(&metadata.description),
                digest: Some(chart.digest.to_string()),
                size: i64::try_from(chart.size).ok(),
                deprecated: metadata.deprecated,
                library: is_library(&chart),
                ..outside_version(app, &metadata.version)
            },
            values: chart.values,
            schema: chart.schema,
            readme: chart.readme,
        }))
    }

    /// What somebody chose, made exact. What they did not say is as it is `now`.
    pub async fn resolve(
        &self,
        project_id: &str,
        choice: &ChartChoice,
        now: Option<(&str, &str)>,
    ) -> Result<Facts, FactsError> {
        let wanted = choice.version.as_deref().unwrap_or_default();
        match self.place(project_id, choice, now).await? {
            Place::Uploaded(app) => self.uploaded(&app, wanted).await,
            Place::Outside(app, source) => {
                let chart = self.fetch(&app, &source, wanted).await?;
                if is_library(&chart) {
                    return Err(FactsError::Library {
                        chart: source.chart_name,
                        version: chart.metadata.version,
                    });
                }
                Ok(Facts {
                    repo_url: source.repo_url,
                    chart: source.chart_name,
                    version: chart.metadata.version,
                    known: Known::Chart {
                        defaults: chart.values,
                        schema: chart.schema,
                    },
                })
            }
            Place::Unknown { repo_url, chart } => {
                if Version::parse(wanted).is_err() {
                    return Err(FactsError::InexactVersion { repo_url });
                }
                Ok(Facts {
                    repo_url,
                    chart,
                    version: wanted.to_owned(),
                    known: Known::Nothing,
                })
            }
        }
    }

    async fn uploaded(&self, app: &App, wanted: &str) -> Result<Facts, FactsError> {
        let versions = self.store.app_versions(&app.id).await?;
        let exactly = versions.iter().find(|version| version.version == wanted);
        let chosen = match exactly {
            Some(version) => Some(version),
            None => {
                let range =
                    Constraint::parse(wanted).map_err(|error| FactsError::BadVersion(error.to_string()))?;
                let holds = |version: &&AppVersion| {
                    Version::parse(&version.version).is_ok_and(|version| range.holds(&version))
                };
                versions.iter().find(holds)
            }
        };
        let chosen = chosen.ok_or_else(|| {
            let newest: Vec<&str> = versions
                .iter()
                .take(5)
                .map(|version| version.version.as_str())
                .collect();
            FactsError::NoVersion {
                app: app.name.clone(),
                wanted: if wanted.is_empty() {
                    "the newest stable"
                } else {
                    wanted
                }
                .to_owned(),
                known: if newest.is_empty() {
                    "none".to_owned()
                } else {
                    newest.join(", ")
                },
            }
        })?;
        if chosen.library {
            return Err(FactsError::Library {
                chart: app.name.clone(),
                version: chosen.version.clone(),
            });
        }
        let details = self.store.app_version(&app.id, &chosen.version).await?;
        let (defaults, schema) = details.map_or((None, None), |details| (details.values, details.schema));
        Ok(Facts {
            repo_url: app.repo_url.clone(),
            chart: app.name.clone(),
            version: chosen.version.clone(),
            known: Known::Chart { defaults, schema },
        })
    }

    async fn place(
        &self,
        project_id: &str,
        choice: &ChartChoice,
        now: Option<(&str, &str)>,
    ) -> Result<Place, FactsError> {
        let of = |app: App| match app.source.clone() {
            Some(source) => Place::Outside(app, source),
            None => Place::Uploaded(app),
        };
        if let Some(name) = &choice.app {
            let app = self.store.app(project_id, name).await?;
            return Ok(of(app.ok_or_else(|| FactsError::NoApp(name.clone()))?));
        }
        let repo_url = choice.repo_url.as_deref().or(now.map(|now| now.0));
        let chart = choice.chart_name.as_deref().or(now.map(|now| now.1));
        let (Some(repo_url), Some(chart)) = (repo_url, chart) else {
            return Err(FactsError::NoChart);
        };
        let repo_url = repo_url.trim_end_matches('/');
        let known = self.store.app_charts(project_id).await?;
        let app = match known.of(repo_url, chart) {
            Some(name) => self.store.app(project_id, name).await?,
            None => None,
        };
        Ok(match app {
            Some(app) => of(app),
            None => Place::Unknown {
                repo_url: repo_url.to_owned(),
                chart: chart.to_owned(),
            },
        })
    }

    async fn fetch(&self, app: &App, source: &ChartSource, wanted: &str) -> Result<ChartArchive, FactsError> {
        let credentials = self.credentials(app).await?;
        let chart = ChartRef {
            repo_url: source.repo_url.clone(),
            name: source.chart_name.clone(),
            version: wanted.to_owned(),
        };
        let fetched = self
            .client(source)?
            .fetch(&chart, credentials.as_ref(), Provenance::Unwanted)
            .await?;
        let read = self.unpacker.read(move || std::fs::File::open(&fetched.archive));
        Ok(read.await?)
    }

    /// One for the moment where a source has authorities of its own: to make it costs less than the request that follows.
    fn client(&self, source: &ChartSource) -> Result<ChartClient, RepositoryError> {
        match &source.authorities {
            Some(authorities) => self.client.trusting(authorities.as_bytes()),
            None => Ok(self.client.clone()),
        }
    }

    async fn credentials(&self, app: &App) -> Result<Option<Credentials>, FactsError> {
        let Some(sealed) = self.store.app_password(&app.id).await? else {
            return Ok(None);
        };
        let password = self.seal.open_sealed(&app.id, &sealed)?;
        let username = app.source.as_ref().and_then(|source| source.username.clone());
        Ok(Some(match username {
            Some(username) => Credentials::basic(username, password),
            None => Credentials::token(password),
        }))
    }
}

fn is_library(chart: &ChartArchive) -> bool {
    chart.metadata.chart_type() == ChartType::Library
}

fn outside_version(app: &App, version: &str) -> AppVersion {
    AppVersion {
        app: app.name.clone(),
        version: version.to_owned(),
        app_version: None,
        description: None,
        digest: None,
        size: None,
        deprecated: false,
        library: false,
        signed: false,
        created_by: None,
        created_ms: None,
    }
}
