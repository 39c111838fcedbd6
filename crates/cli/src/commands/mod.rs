//! One file per command. A command reads its arguments, calls the API and prints.

mod app;
mod cluster;
mod completions;
mod cp;
mod deploy;
mod env;
mod exec;
mod forgotten;
mod instance;
mod key;
mod login;
mod logs;
mod port_forward;
mod project;
mod version;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::client::Client;
use crate::output::Format;
use crate::streams::Place;

/// Continuous delivery to any number of Kubernetes clusters.
#[derive(Parser)]
#[command(
    name = "c7n",
    version,
    disable_version_flag = true,
    after_help = "Examples:
  c7n login --server http://127.0.0.1:8080 --user admin
  c7n project create shop
  c7n cluster create -p shop east
  c7n cluster activation -p shop east      prints the command that joins the cluster
  c7n env create -p shop staging --cluster east
  c7n env watch -p shop staging            the three commits and the objects, live
  c7n app publish -p shop web-1.2.0.tgz
  c7n deploy -p shop web 1.2.0 --env staging
  c7n logs -p shop -e staging -f web
  c7n exec -p shop -e staging -it web"
)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Args)]
pub struct Global {
    /// URL of the platform; the default is the one of the last login
    #[arg(
        long,
        global = true,
        env = "C7N_SERVER",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub server: Option<String>,
    /// Project that the command is about
    #[arg(
        long,
        short,
        global = true,
        env = "C7N_PROJECT",
        hide_env_values = true,
        value_name = "NAME"
    )]
    pub project: Option<String>,
    /// How to print: the JSON and YAML are the API's own types and stay stable
    #[arg(long, short, global = true, default_value = "table")]
    pub output: Format,
    /// Do not ask before something is deleted
    #[arg(long, short = 'y', global = true)]
    pub yes: bool,
}

impl Global {
    pub fn client(&self) -> Result<Client> {
        Client::from_settings(self.server.clone())
    }

    pub fn project(&self) -> Result<&str> {
        self.project.as_deref().context(
            "which project?\n  next: name it with `-p NAME` or in C7N_PROJECT; `c7n project list` shows them",
        )
    }
}

/// Which environment it is about.
#[derive(clap::Args)]
pub struct InEnvironment {
    /// Name of the environment
    #[arg(long, short, value_name = "NAME")]
    env: String,
}

impl InEnvironment {
    fn place(&self, global: &Global) -> Result<Place> {
        Ok(Place::new(global.client()?, global.project()?, &self.env))
    }
}

#[derive(Subcommand)]
enum Command {
    /// Log in, and remember the server and a token
    Login(login::Login),
    /// Projects: what belongs together and who may touch it
    #[command(subcommand)]
    Project(project::Project),
    /// Clusters, and how they are joined
    #[command(subcommand)]
    Cluster(cluster::Cluster),
    /// Environments: one namespace of one cluster, and one Git repository
    #[command(subcommand)]
    Env(env::Env),
    /// Applications: named series of Helm charts that can be deployed
    #[command(subcommand)]
    App(app::App),
    /// Deploy an application to an environment, as a commit
    Deploy(deploy::Deploy),
    /// Move an instance to another version, carrying its values along
    Upgrade(deploy::Upgrade),
    /// Bring an instance back to what it was at an earlier commit
    Rollback(deploy::Rollback),
    /// Stop an instance: scaled to nothing, its size remembered
    Stop(deploy::Stop),
    /// Start an instance that was stopped
    Start(deploy::Start),
    /// Delete an instance from an environment
    Delete(deploy::Delete),
    /// Instances: the Helm releases of an environment, and why one is not well
    #[command(subcommand)]
    Instance(instance::InstanceCommand),
    /// Show what containers write: of a pod, or of all pods of an instance, also as it comes
    Logs(logs::LogsCommand),
    /// Run a program in a container, or a shell in a terminal
    Exec(exec::Exec),
    /// Copy files and folders into a container and out of it
    Cp(cp::Cp),
    /// Reach ports of a pod at this machine's own
    PortForward(port_forward::PortForward),
    /// Your SSH keys, for pushing to the Git host
    #[command(subcommand)]
    Key(key::Key),
    /// Print a script that completes c7n's commands in your shell
    Completions(completions::Completions),
    /// Versions of this program and of the server
    Version,
}

pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    let global = &arguments.global;
    match arguments.command {
        Command::Login(command) => login::run(global, command).await?,
        Command::Project(command) => project::run(global, command).await?,
        Command::Cluster(command) => cluster::run(global, command).await?,
        Command::Env(command) => return env::run(global, command).await,
        Command::App(command) => app::run(global, command).await?,
        Command::Deploy(command) => return deploy::deploy(global, command).await,
        Command::Upgrade(command) => return deploy::upgrade(global, command).await,
        Command::Rollback(command) => return deploy::rollback(global, command).await,
        Command::Stop(command) => return deploy::stop(global, command).await,
        Command::Start(command) => return deploy::start(global, command).await,
        Command::Delete(command) => return deploy::delete(global, command).await,
        Command::Instance(command) => instance::run(global, command).await?,
        Command::Logs(command) => return logs::run(global, command).await,
        Command::Exec(command) => return exec::run(global, command).await,
        Command::Cp(command) => cp::run(global, command).await?,
        Command::PortForward(command) => port_forward::run(global, command).await?,
        Command::Key(command) => key::run(global, command).await?,
        Command::Completions(command) => completions::run(&command),
        Command::Version => version::run(global).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks on a terminal; without one, only `--yes` says yes.
fn confirm(global: &Global, what: &str) -> Result<()> {
    use std::io::{BufRead, IsTerminal, Write};
    if global.yes {
        return Ok(());
    }
    let stdin = std::io::stdin();
    anyhow::ensure!(
        stdin.is_terminal(),
        "{what} needs a yes\n  next: repeat the command with `--yes`"
    );
    eprint!("{what}? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    anyhow::ensure!(matches!(answer.trim(), "y" | "Y" | "yes"), "nothing was done");
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        super::Arguments::command().debug_assert();
    }

    #[test]
    fn help_of_the_whole_and_of_env() {
        let mut command = super::Arguments::command().term_width(100);
        insta::assert_snapshot!("help", command.render_long_help().to_string());
        let env = command
            .find_subcommand_mut("env")
            .expect("there is an env command");
        insta::assert_snapshot!("help_env", env.render_help().to_string());
        for name in [
            "app",
            "deploy",
            "upgrade",
            "rollback",
            "stop",
            "delete",
            "logs",
            "exec",
            "cp",
            "port-forward",
        ] {
            let found = command.find_subcommand_mut(name).expect("it was declared above");
            insta::assert_snapshot!(format!("help_{name}"), found.render_long_help().to_string());
        }
        let instance = command
            .find_subcommand_mut("instance")
            .expect("there is an instance command");
        insta::assert_snapshot!("help_instance", instance.render_help().to_string());
    }
}
