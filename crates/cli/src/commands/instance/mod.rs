mod list;
mod show;
mod watch;

use anyhow::Result;
use c7n_api::{Instance, Vitals};
use clap::Subcommand;

use super::{Global, InEnvironment};
use crate::output::{Row, dash, word};

#[derive(Subcommand)]
pub enum InstanceCommand {
    /// List the instances of an environment with their health and its cause
    List(list::List),
    /// Show one instance with everything that it made
    Show(show::Show),
    /// Print each change of an instance's health as it happens
    Watch(watch::Watch),
}

pub async fn run(global: &Global, command: InstanceCommand) -> Result<()> {
    match command {
        InstanceCommand::List(command) => list::run(global, command).await,
        InstanceCommand::Show(command) => show::run(global, command).await,
        InstanceCommand::Watch(command) => watch::run(global, command).await,
    }
}

impl InEnvironment {
    fn path<'a>(&'a self, global: &'a Global) -> Result<[&'a str; 5]> {
        Ok([
            "projects",
            global.project()?,
            "environments",
            &self.env,
            "instances",
        ])
    }
}

impl Row for Instance {
    const HEAD: &'static [&'static str] = &[
        "NAME", "APP", "CHART", "VERSION", "REVISION", "HEALTH", "PODS", "CAUSE",
    ];
    fn cells(&self) -> Vec<String> {
        let revision = self.revision.map(|revision| revision.to_string());
        let mut cells = vec![
            self.name.clone(),
            dash(self.app.as_deref()),
            dash(self.chart.as_deref()),
            dash(self.version.as_deref()),
            dash(revision.as_deref()),
        ];
        cells.extend(vital_cells(&self.vitals));
        cells
    }
}

fn vital_cells(vitals: &Vitals) -> [String; 3] {
    [
        word(&vitals.health),
        format!("{}/{}", vitals.pods_ready, vitals.pods),
        dash(vitals.cause.as_ref().map(|cause| cause.text.as_str())),
    ]
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use c7n_api::{Cause, HealthStatus, InstanceRevision, ObjectRef};

    pub fn instance(name: &str, cause: Option<&str>) -> Instance {
        Instance {
            name: name.into(),
            chart: Some("web".into()),
            version: Some("1.2.3".into()),
            repository: Some("https://charts.example.com".into()),
            app: Some("front".into()),
            revision: Some(3),
            deployed: Some("web-1.2.2".into()),
            phase: Some("Upgrading".into()),
            commit: Some("c0ffee00c0ffee00".into()),
            file: Some("web.yaml".into()),
            revisions: vec![
                InstanceRevision {
                    revision: 2,
                    commit: None,
                    chart: None,
                    time: Some("2026-01-02T03:04:05Z".into()),
                },
                InstanceRevision {
                    revision: 3,
                    commit: Some("c0ffee00c0ffee00".into()),
                    chart: Some("web-1.2.2".into()),
                    time: Some("2026-01-03T03:04:05Z".into()),
                },
            ],
            vitals: Vitals {
                health: cause.map_or(HealthStatus::Healthy, |_| HealthStatus::Degraded),
                cause: cause.map(|text| Cause {
                    text: text.into(),
                    log: vec!["no database".into(), "bye".into()],
                    object: ObjectRef {
                        group: String::new(),
                        kind: "Pod".into(),
                        name: "web-1-a".into(),
                    },
                }),
                objects: 4,
                pods_ready: 1,
                pods: 2,
            },
        }
    }
}
