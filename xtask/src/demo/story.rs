//! The steps of the demo, in the order of the way that a change takes.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use c7n_api::{Cluster, Environment};
use c7n_testbed::cluster::ClusterHandle;
use c7n_testbed::stack::{Access, Binaries, Cli, Joining, Server, WorkingCopy, eventually};

use super::Arguments;
use super::application::{Application, Definition};
use super::teller::Teller;

pub(super) const PROJECT: &str = "shop";
const PATIENCE: Duration = Duration::from_secs(90);

pub async fn tell(
    teller: &mut Teller,
    binaries: &Binaries,
    handle: &ClusterHandle,
    folder: &Path,
    arguments: &Arguments,
) -> Result<()> {
    let mut server = Server::start(binaries, &folder.join("platform")).await?;
    let cli = server.cli();
    teller.done(&format!("the platform listens at {}", server.first_run().url));

    let (access, public_key) = Access::new_ssh_key(&folder.join("person"), server.ssh_address()).await?;
    cli.run(&["key", "add", &public_key.to_string_lossy()]).await?;
    cli.run(&[
        "project",
        "create",
        PROJECT,
        "--allow",
        "CustomResourceDefinition.apiextensions.k8s.io",
    ])
    .await?;
    teller.done("project shop, and a key of yours for the Git host");

    let joining = Joining {
        project: PROJECT,
        cluster: "east",
        kubeconfig: &handle.kubeconfig,
        context: handle.context.as_deref(),
        folder,
        arguments: &[],
        connect: None,
        environment: &[],
        patience: PATIENCE,
    };
    let mut agent = joining.join(&server).await?;
    let shop = Shop {
        server: &server,
        cli,
        access,
        handle,
        folder,
        arguments,
    };
    let told = tokio::select! {
        told = shop.open(teller) => told,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    if told.is_ok() && !arguments.once {
        tokio::signal::ctrl_c().await?;
        println!();
    }
    // Ours is thrown away as a whole; a cluster of somebody else is left as it was found.
    let tidied = match handle.owned {
        true => Ok(()),
        false => shop.close(teller).await,
    };
    agent.stop().await?;
    server.stop().await?;
    told.and(tidied)
}

/// What the steps share once the cluster is joined.
pub(super) struct Shop<'a> {
    server: &'a Server,
    pub(super) cli: Cli,
    access: Access,
    handle: &'a ClusterHandle,
    pub(super) folder: &'a Path,
    pub(super) arguments: &'a Arguments,
}

impl Shop<'_> {
    async fn open(&self, teller: &mut Teller) -> Result<()> {
        let (cli, handle) = (&self.cli, self.handle);
        let cluster: Cluster = cli.json(&["cluster", "show", "-p", PROJECT, "east"]).await?;
        let nodes: Vec<String> = cluster.nodes.iter().map(|node| node.name.clone()).collect();
        teller.done(&format!(
            "cluster east is running: Kubernetes {}, nodes {}",
            cluster.kubernetes_version.as_deref().unwrap_or("?"),
            nodes.join(", ")
        ));

        let application = Application::new(self.arguments.image.clone());
        let staging = self.environment(teller, "staging").await?;
        application.write_first(&staging, Definition::Brought)?;
        let first = deliver(teller, cli, "staging", &staging, "Open the shop").await?;
        let production = self.environment(teller, "production").await?;
        application.write_first(&production, Definition::Left)?;
        deliver(teller, cli, "production", &production, "Open the shop").await?;

        application.write_second(&staging)?;
        let second = deliver(
            teller,
            cli,
            "staging",
            &staging,
            "A new colour, a clean-up job, no more reports",
        )
        .await?;
        ensure!(first != second, "the second push is a commit of its own");
        teller.show(&cli.run(&["env", "history", "-p", PROJECT, "staging"]).await?);
        teller.show(&cli.run(&["env", "objects", "-p", PROJECT, "staging"]).await?);
        gone(handle, "staging").await?;
        teller.done("what the second push dropped is gone from the cluster");
        self.instance(teller).await?;

        if !self.arguments.once {
            invite(self.server, cli, &staging, handle)?;
        }
        Ok(())
    }

    async fn environment(&self, teller: &mut Teller, name: &str) -> Result<WorkingCopy> {
        let namespace = format!("{PROJECT}-{name}");
        let taken = ["get", "namespace", &namespace, "--ignore-not-found", "-o", "name"];
        ensure!(
            self.handle.kubectl(taken).await?.trim().is_empty(),
            "the cluster has a namespace {namespace} already, which the demo leaves alone; delete it, or use another cluster"
        );
        let created: Environment = self
            .cli
            .json(&["env", "create", "-p", PROJECT, name, "--cluster", "east"])
            .await?;
        let (folder, access) = (self.folder.join(name), self.access.clone());
        let copy = WorkingCopy::init(&folder, &created.repository.ssh_url, access).await?;
        teller.done(&format!(
            "environment {name}: namespace {}, repository {}",
            created.namespace, created.repository.ssh_url
        ));
        Ok(copy)
    }

    /// Takes everything out of the cluster again.
    async fn close(&self, teller: &mut Teller) -> Result<()> {
        let list = ["env", "list", "-p", PROJECT];
        let environments: Vec<Environment> = self.cli.json(&list).await?;
        for environment in &environments {
            let delete = ["env", "delete", "-p", PROJECT, &environment.name, "--yes"];
            self.cli.run(&delete).await?;
        }
        eventually("the environments are gone", PATIENCE, || async {
            let left: Vec<Environment> = self.cli.json(&list).await?;
            ensure!(left.is_empty(), "{} are left: {left:?}", left.len());
            Ok(())
        })
        .await?;
        teller.done("what the demo made in your cluster is gone from it");
        Ok(())
    }
}

/// Commits, pushes and follows the commit until everything is healthy.
async fn deliver(
    teller: &mut Teller,
    cli: &Cli,
    environment: &str,
    copy: &WorkingCopy,
    message: &str,
) -> Result<String> {
    let commit = copy.commit(message).await?;
    let short = commit.get(..8).context("a commit id is long enough")?.to_owned();
    teller.say(&format!("git push to {environment}: {short} \"{message}\""));
    copy.push().await?;
    teller.done("the push returned");
    let seconds = PATIENCE.as_secs().to_string();
    let watch = |until| {
        [
            "env",
            "watch",
            "-p",
            PROJECT,
            environment,
            "--until",
            until,
            "--commit",
            &commit,
            "--timeout",
            &seconds,
        ]
        .map(str::to_owned)
    };
    for (until, told) in [
        ("converged", "newest, devops-sync and agent-sync are one commit"),
        ("healthy", "every object is healthy"),
    ] {
        let arguments = watch(until);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        if let Err(error) = cli.run(&arguments).await {
            let errors = cli
                .run(&["env", "errors", "-p", PROJECT, environment])
                .await
                .unwrap_or_default();
            let objects = cli
                .run(&["env", "objects", "-p", PROJECT, environment])
                .await
                .unwrap_or_default();
            return Err(error.context(format!(
                "{environment} did not become {until}\n{errors}\n{objects}"
            )));
        }
        teller.done(&format!("{environment} at {short}: {told}"));
    }
    Ok(commit)
}

/// An independent look at the cluster.
async fn gone(handle: &ClusterHandle, environment: &str) -> Result<()> {
    let namespace = format!("{PROJECT}-{environment}");
    let left = handle
        .kubectl([
            "get",
            "cronjob",
            "report",
            "-n",
            &namespace,
            "--ignore-not-found",
            "-o",
            "name",
        ])
        .await?;
    ensure!(
        left.trim().is_empty(),
        "the dropped CronJob is still in {namespace}"
    );
    Ok(())
}

fn invite(server: &Server, cli: &Cli, staging: &WorkingCopy, handle: &ClusterHandle) -> Result<()> {
    let first = server.first_run();
    let program = cli
        .command(&[])
        .as_std()
        .get_program()
        .to_string_lossy()
        .into_owned();
    println!(
        "
It stays up until Ctrl-C. In another shell:

  export PATH={}:$PATH KUBECONFIG={}
  echo {} | c7n login --server {} --user {}
  c7n env watch -p {PROJECT} staging

and in a third one change something and push it:

  cd {}
  sed -i 's/blue/red/' web/settings.yaml
  {} git commit -am 'Red' && git push origin main

Deploy, roll back and stop an application: `c7n rollback -p {PROJECT} greeter --env production`, `c7n deploy --help`.
Then break a file, delete an object with kubectl, or look at `c7n env --help`.
The API describes itself at {}/api/v1/openapi.json.
",
        Path::new(&program).parent().unwrap_or(Path::new(".")).display(),
        handle.kubeconfig.display(),
        first.password,
        first.url,
        first.username,
        staging.folder().display(),
        staging_environment(staging),
        first.url,
    );
    Ok(())
}

/// The variables with which the ordinary git uses the demo's key.
fn staging_environment(copy: &WorkingCopy) -> String {
    let command = copy.command(&[]);
    let ssh = command
        .as_std()
        .get_envs()
        .find(|(name, _)| *name == "GIT_SSH_COMMAND")
        .and_then(|(_, value)| value);
    match ssh {
        Some(value) => format!("export GIT_SSH_COMMAND='{}';", value.to_string_lossy()),
        None => String::new(),
    }
}
