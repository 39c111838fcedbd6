//! Commands to the agent: given, then waited for.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use c7n_api::{Command, CommandState, NewCommand, ObjectRef};

use super::Global;
use crate::output::{self, Format, now_ms};

#[derive(clap::Args)]
pub struct Sync {
    name: String,
}

#[derive(clap::Args)]
#[command(after_help = "Example:
  c7n env restart -p shop staging Deployment.apps web")]
pub struct Restart {
    name: String,
    #[command(flatten)]
    object: Object,
}

#[derive(clap::Args)]
#[command(after_help = "Example:
  c7n env scale -p shop staging Deployment.apps web --replicas 3")]
pub struct Scale {
    name: String,
    #[command(flatten)]
    object: Object,
    #[arg(long)]
    replicas: u32,
}

#[derive(clap::Args)]
#[command(after_help = "Example:
  c7n env get -p shop staging Pod web-5d9c7b-x2x4z -o yaml")]
pub struct Get {
    name: String,
    #[command(flatten)]
    object: Object,
}

#[derive(clap::Args)]
#[command(after_help = "Example:
  c7n env retry-release -p shop staging web")]
pub struct Release {
    name: String,
    /// Name of the C7NHelmRelease
    #[arg(value_name = "RELEASE")]
    release: String,
}

impl Release {
    fn reference(&self) -> ObjectRef {
        ObjectRef {
            group: "choerodon.io".to_owned(),
            kind: "C7NHelmRelease".to_owned(),
            name: self.release.clone(),
        }
    }
}

#[derive(clap::Args)]
struct Object {
    /// For instance `Pod` or `Deployment.apps`
    #[arg(value_name = "KIND[.GROUP]")]
    kind: String,
    #[arg(value_name = "OBJECT")]
    object: String,
}

impl Object {
    fn reference(self) -> ObjectRef {
        let (kind, group) = self.kind.split_once('.').unwrap_or((&self.kind, ""));
        ObjectRef {
            group: group.to_owned(),
            kind: kind.to_owned(),
            name: self.object,
        }
    }
}

pub async fn sync(global: &Global, sync: Sync) -> Result<()> {
    carry_out(global, &sync.name, NewCommand::Sync).await.map(report)
}

pub async fn restart(global: &Global, restart: Restart) -> Result<()> {
    let command = NewCommand::Restart {
        object: restart.object.reference(),
    };
    carry_out(global, &restart.name, command).await.map(report)
}

pub async fn scale(global: &Global, scale: Scale) -> Result<()> {
    let command = NewCommand::Scale {
        object: scale.object.reference(),
        replicas: scale.replicas,
    };
    carry_out(global, &scale.name, command).await.map(report)
}

pub async fn get(global: &Global, get: Get) -> Result<()> {
    let done = carry_out(
        global,
        &get.name,
        NewCommand::GetObject {
            object: get.object.reference(),
        },
    )
    .await?;
    let object = done.result.context("the agent answered without the object")?;
    let format = if global.output == Format::Table {
        Format::Yaml
    } else {
        global.output
    };
    print!("{}", output::structured(format, &object)?);
    Ok(())
}

pub async fn cancel_release(global: &Global, release: Release) -> Result<()> {
    let command = NewCommand::CancelRelease {
        object: release.reference(),
    };
    carry_out(global, &release.name, command).await.map(report)
}

pub async fn retry_release(global: &Global, release: Release) -> Result<()> {
    let command = NewCommand::RetryRelease {
        object: release.reference(),
    };
    carry_out(global, &release.name, command).await.map(report)
}

pub async fn test_release(global: &Global, release: Release) -> Result<()> {
    let command = NewCommand::TestRelease {
        object: release.reference(),
    };
    let done = carry_out(global, &release.name, command).await?;
    let tests = done.result.context("the agent answered without the tests")?;
    let format = if global.output == Format::Table {
        Format::Yaml
    } else {
        global.output
    };
    print!("{}", output::structured(format, &tests)?);
    Ok(())
}

fn report(command: Command) {
    let took = command
        .finished_ms
        .map_or(0, |finished| finished - command.created_ms);
    eprintln!("{} ({took} ms)", command.message.as_deref().unwrap_or("done"));
}

async fn carry_out(global: &Global, environment: &str, command: NewCommand) -> Result<Command> {
    let client = global.client()?;
    let path = [
        "projects",
        global.project()?,
        "environments",
        environment,
        "commands",
    ];
    let mut command: Command = client.post(&path, &command).await?;
    let mut pause = Duration::from_millis(20);
    while command.state == CommandState::Pending {
        // The platform ends every command by its deadline; a little later it is our wait that ends.
        if now_ms() > command.deadline_ms + 10_000 {
            bail!(
                "command {} is still pending after its deadline\n  next: `c7n cluster show` tells whether the agent is connected",
                command.id
            );
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
        command = client
            .get(&[path.as_slice(), &[command.id.as_str()]].concat(), &[])
            .await?;
    }
    match command.state {
        CommandState::Succeeded => Ok(command),
        state => bail!(
            "{}: {}",
            output::word(&state),
            command.message.as_deref().unwrap_or("no reason was given")
        ),
    }
}
