use std::process::ExitCode;

use anyhow::Result;
use c7n_api::{ChartChoice, DeployInstance};

use super::follow::Goal;
use super::values::Values;
use super::{Global, Where, carry_out};

#[derive(clap::Args)]
#[command(after_help = "Examples:
  c7n deploy -p shop web 1.2.0 --env staging
  c7n deploy -p shop web '^1.2' --env staging --name web-blue -f values.yaml --set image.tag=7
  c7n deploy -p shop redis 20.1.0 --repo https://charts.example.com/stable --env staging
  c7n deploy -p shop cache 20.1.0 --env staging --repo-secret registry-password
  c7n deploy -p shop web 1.3.0 --env staging --dry-run      shows the diff and writes nothing

The status is 0 when it is delivered and healthy, 1 when it failed, 3 when time ran out.")]
pub struct Deploy {
    /// Application of the project; with --repo, name of the chart there
    app: String,
    /// Version or range (`^1.2`); the newest stable one unless given
    version: Option<String>,
    /// Name of the instance; the chart's name unless given
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Repository of a chart that is no application of the project
    #[arg(long, value_name = "URL")]
    repo: Option<String>,
    /// Secret in the environment's namespace with the repository's credentials (`username` and `password`, or `token`)
    #[arg(long, value_name = "SECRET")]
    repo_secret: Option<String>,
    #[command(flatten)]
    values: Values,
    #[command(flatten)]
    at: Where,
}

pub async fn deploy(global: &Global, deploy: Deploy) -> Result<ExitCode> {
    let chart = match deploy.repo {
        Some(repo_url) => ChartChoice {
            repo_url: Some(repo_url),
            chart_name: Some(deploy.app),
            version: deploy.version,
            app: None,
        },
        None => ChartChoice {
            app: Some(deploy.app),
            version: deploy.version,
            ..ChartChoice::default()
        },
    };
    let body = DeployInstance {
        name: deploy.name,
        chart,
        repo_secret: deploy.repo_secret,
        values: deploy.values.read()?,
        mode: deploy.at.mode(),
    };
    carry_out(global, &deploy.at, Goal::Healthy, async |client, path| {
        client.post(&[path, &["instances"]].concat(), &body).await
    })
    .await
}
