use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use c7n_api::{App, NewApp, NewChartSource};

use super::Global;
use crate::output;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  c7n app create -p shop web                 its charts are published with `c7n app publish`
  c7n app create -p shop redis --repo https://charts.example.com/stable
  c7n app create -p shop cache --repo oci://registry.example.com/charts --chart redis \\
      --username robot --password-file ./password
  c7n app create -p shop api --repo https://charts.corp.internal --ca-file ./corp-ca.pem")]
pub struct Create {
    /// Name of the application; for published charts it is the chart's name
    name: String,
    /// One sentence about it
    #[arg(long)]
    description: Option<String>,
    /// Address of another chart repository (https:// or oci://) that has its versions
    #[arg(long, value_name = "URL")]
    repo: Option<String>,
    /// Name of the chart in that repository; the default is the application's name
    #[arg(long, requires = "repo", value_name = "NAME")]
    chart: Option<String>,
    /// User name for that repository
    #[arg(long, requires = "repo", value_name = "NAME")]
    username: Option<String>,
    /// File with the password or token for that repository; `-` reads it from standard input
    #[arg(long, requires = "repo", value_name = "FILE")]
    password_file: Option<String>,
    /// File with the certificates (PEM) of the authorities that vouch for that repository, if they are not the system's
    #[arg(long, requires = "repo", value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

pub async fn run(global: &Global, create: Create) -> Result<()> {
    let project = global.project()?;
    let password = create.password_file.as_deref().map(read_password).transpose()?;
    let has_password = password.is_some();
    let authorities = create.ca_file.as_deref().map(read_authorities).transpose()?;
    let has_authorities = authorities.is_some();
    let body = NewApp {
        name: create.name,
        description: create.description,
        source: create.repo.map(|repo_url| NewChartSource {
            repo_url,
            chart_name: create.chart,
            username: create.username,
            password,
            authorities,
        }),
    };
    let app: App = global
        .client()?
        .post(&["projects", project, "apps"], &body)
        .await?;
    output::print_one(global.output, &app)?;
    match app.source {
        None => eprintln!(
            "next: `helm package` the chart, then `c7n app publish -p {project} {}-VERSION.tgz`",
            app.name
        ),
        Some(_) => eprintln!(
            "next: `c7n app versions -p {project} {}` lists what can be deployed{}{}",
            app.name,
            match has_password {
                true => "; agents fetch it with a Secret of the environment: `c7n deploy --repo-secret`",
                false => "",
            },
            match has_authorities {
                true => "; agents believe these authorities by the value ca.bundle of their chart",
                false => "",
            }
        ),
    }
    Ok(())
}

fn read_authorities(file: &Path) -> Result<String> {
    let pem = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let is_some = pem.contains("-----BEGIN CERTIFICATE-----");
    ensure!(is_some, "{} holds no certificate in PEM", file.display());
    Ok(pem)
}

/// Never an argument: those can be read by everybody on the machine.
fn read_password(file: &str) -> Result<String> {
    let text = match file {
        "-" => {
            std::io::read_to_string(std::io::stdin()).context("reading the password from standard input")?
        }
        _ => std::fs::read_to_string(file).with_context(|| format!("reading {file}"))?,
    };
    let password = text.trim_end_matches(['\n', '\r']);
    ensure!(!password.is_empty(), "{file} holds no password");
    Ok(password.to_owned())
}
