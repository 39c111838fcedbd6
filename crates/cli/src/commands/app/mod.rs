mod create;
mod delete;
mod delete_version;
mod list;
mod publish;
mod show;
mod token;
mod versions;

use anyhow::Result;
use clap::Subcommand;

use super::Global;
use crate::output::{Row, age, dash};

#[derive(Subcommand)]
pub enum App {
    /// Create an application, for charts of yours or of another repository
    Create(create::Create),
    /// List the applications of a project
    List,
    /// Show an application, or one version of it with its default values
    Show(show::Show),
    /// Publish a chart's archive as a new version
    Publish(publish::Publish),
    /// List the versions of an application, newest first
    Versions(versions::Versions),
    /// Delete an application with its versions
    Delete(delete::Delete),
    /// Delete one published version of an application
    DeleteVersion(delete_version::DeleteVersion),
    /// Tokens with which plain helm reads the charts of a project
    #[command(subcommand)]
    Token(token::Token),
}

pub async fn run(global: &Global, command: App) -> Result<()> {
    match command {
        App::Create(command) => create::run(global, command).await,
        App::List => list::run(global).await,
        App::Show(command) => show::run(global, command).await,
        App::Publish(command) => publish::run(global, command).await,
        App::Versions(command) => versions::run(global, command).await,
        App::Delete(command) => delete::run(global, command).await,
        App::DeleteVersion(command) => delete_version::run(global, command).await,
        App::Token(command) => token::run(global, command).await,
    }
}

impl Row for c7n_api::App {
    const HEAD: &'static [&'static str] = &["NAME", "NEWEST", "VERSIONS", "REPOSITORY", "DESCRIPTION"];
    fn cells(&self) -> Vec<String> {
        let uploaded = self.source.is_none();
        vec![
            self.name.clone(),
            dash(self.newest.as_deref()),
            if uploaded {
                self.versions.to_string()
            } else {
                "-".to_owned()
            },
            self.repo_url.clone(),
            dash(self.description.as_deref()),
        ]
    }
}

impl Row for c7n_api::AppVersion {
    const HEAD: &'static [&'static str] = &["VERSION", "APP VERSION", "PUBLISHED", "BY", "DESCRIPTION"];
    fn cells(&self) -> Vec<String> {
        let deprecated = if self.deprecated { " (deprecated)" } else { "" };
        let signed = if self.signed { " (signed)" } else { "" };
        let library = if self.library { " (library)" } else { "" };
        vec![
            format!("{}{library}{signed}{deprecated}", self.version),
            dash(self.app_version.as_deref()),
            self.created_ms
                .map_or_else(|| "-".to_owned(), |created| format!("{} ago", age(created))),
            dash(self.created_by.as_deref()),
            dash(self.description.as_deref()),
        ]
    }
}
