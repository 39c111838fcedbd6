use std::process::ExitCode;

use anyhow::Result;
use c7n_api::{ChartChoice, OnConflict, UpgradeInstance};

use super::follow::Goal;
use super::values::Values;
use super::{Global, Where, carry_out};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  c7n upgrade -p shop web --env staging                 to the newest stable version
  c7n upgrade -p shop web 1.3.0 --env staging --set replicas=3
  c7n upgrade -p shop web 2.0.0 --env staging --accept-conflicts

Values are merged three ways: the old version's defaults, the new one's, the instance's own. A value that the instance sets
and whose default has changed is a conflict: it is shown and nothing is written, unless --accept-conflicts keeps the
instance's own. The status is 0 when it is delivered and healthy, 1 when it failed, 3 when time ran out, 4 for conflicts.")]
pub struct Upgrade {
    /// Name of the instance
    instance: String,
    /// Version or range (`^1.2`); the newest stable one unless given
    version: Option<String>,
    /// Move to another application's chart
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// Keep the instance's own values where defaults have changed
    #[arg(long)]
    accept_conflicts: bool,
    #[command(flatten)]
    values: Values,
    #[command(flatten)]
    at: Where,
}

pub async fn upgrade(global: &Global, upgrade: Upgrade) -> Result<ExitCode> {
    let body = UpgradeInstance {
        chart: ChartChoice {
            app: upgrade.app,
            version: upgrade.version,
            ..ChartChoice::default()
        },
        values: upgrade.values.read()?,
        conflicts: if upgrade.accept_conflicts {
            OnConflict::KeepMine
        } else {
            OnConflict::Refuse
        },
        mode: upgrade.at.mode(),
    };
    carry_out(global, &upgrade.at, Goal::Healthy, async |client, path| {
        let path = [path, &["instances", &upgrade.instance, "upgrade"]].concat();
        client.post(&path, &body).await
    })
    .await
}
