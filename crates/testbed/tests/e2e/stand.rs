//! A platform with its own project, clusters and agents, in a folder that goes away with the test.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use c7n_api::{
    Activation, Cluster, ClusterState, Environment, EnvironmentError, EnvironmentPhase, LiveObject,
};
use c7n_testbed::stack::{
    Access, Agent, AgentOptions, Binaries, Cli, Joining, Kubectl, Server, ServerOptions, WorkingCopy,
    cluster_becomes, eventually,
};

/// How long anything may take on a machine that does other things too.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The clusters that `cargo xtask test` has started: `a` with a real node where the machine allows it, `b` with a simulated one.
#[derive(Debug, Clone, Copy)]
pub enum TestCluster {
    A,
    B,
}

impl TestCluster {
    pub fn kubeconfig(self) -> Result<PathBuf> {
        let name = match self {
            Self::A => "C7N_TEST_KUBECONFIG_A",
            Self::B => "C7N_TEST_KUBECONFIG_B",
        };
        std::env::var_os(name).map(PathBuf::from).with_context(|| {
            format!("{name} is not set: run these tests with `cargo xtask test`, which starts the clusters")
        })
    }

    pub fn kubectl(self) -> Result<Kubectl> {
        let program =
            std::env::var_os("C7N_TEST_KUBECTL").map_or_else(|| PathBuf::from("kubectl"), PathBuf::from);
        Ok(Kubectl::new(&program, &self.kubeconfig()?, None))
    }
}

pub struct Stand {
    pub server: Server,
    pub agents: Vec<Agent>,
    pub cli: Cli,
    /// Also part of every namespace, so that tests do not meet in the cluster.
    pub project: String,
    access: Access,
    folder: tempfile::TempDir,
}

pub struct StandEnvironment {
    pub name: String,
    pub namespace: String,
    pub copy: WorkingCopy,
    pub kubectl: Kubectl,
}

impl Stand {
    /// A platform with one project, whose people push over SSH, and no cluster yet.
    pub async fn empty(name: &str) -> Result<Self> {
        Self::with_options(name, ServerOptions::new()?).await
    }

    /// The same where the server is told something of its own.
    pub async fn with_options(name: &str, options: ServerOptions) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(&format!("c7n-{name}-"))
            .tempdir()?;
        let binaries = Binaries::beside_me()?;
        let server = Server::start_with(&binaries, &folder.path().join("platform"), options).await?;
        Self::with_server(name, folder, server).await
    }

    async fn with_server(name: &str, folder: tempfile::TempDir, server: Server) -> Result<Self> {
        let cli = server.cli();
        let random: String = folder
            .path()
            .to_string_lossy()
            .chars()
            .rev()
            .take(5)
            .filter(char::is_ascii_alphanumeric)
            .collect();
        let project = format!("{name}-{}", random.to_lowercase());
        let (access, public) =
            Access::new_ssh_key(&folder.path().join("person"), server.ssh_address()).await?;
        cli.run(&["key", "add", &public.to_string_lossy()]).await?;
        cli.run(&[
            "project",
            "create",
            &project,
            "--allow",
            "CustomResourceDefinition.apiextensions.k8s.io",
        ])
        .await?;
        Ok(Self {
            server,
            agents: Vec::new(),
            cli,
            project,
            access,
            folder,
        })
    }

    /// The same with cluster `east` joined.
    pub async fn with_cluster(name: &str) -> Result<Self> {
        let mut stand = Self::empty(name).await?;
        stand.join("east", TestCluster::A, &[]).await?;
        Ok(stand)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn http_access(&self) -> Access {
        Access::Http {
            token: self.server.first_run().token.clone(),
        }
    }

    /// Creates the cluster's record, starts an agent for it and waits until it is running.
    pub async fn join(&mut self, name: &str, cluster: TestCluster, arguments: &[&str]) -> Result<()> {
        let kubeconfig = cluster.kubeconfig()?;
        self.join_as(name, &kubeconfig, arguments, None, &[]).await
    }

    /// The same by this kubeconfig, over this address, with these variables.
    pub async fn join_as(
        &mut self,
        name: &str,
        kubeconfig: &Path,
        arguments: &[&str],
        connect: Option<&str>,
        environment: &[(&str, &str)],
    ) -> Result<()> {
        let joining = Joining {
            project: &self.project,
            cluster: name,
            kubeconfig,
            context: None,
            folder: self.folder.path(),
            arguments,
            connect,
            environment,
            patience: PATIENCE,
        };
        let agent = joining.join(&self.server).await;
        self.agents.push(agent.map_err(|error| self.explain(error))?);
        Ok(())
    }

    /// Starts an agent and waits for nothing. `name` is of its folder and log.
    pub fn agent(
        &mut self,
        name: &str,
        cluster: TestCluster,
        activation: &Activation,
        arguments: &[String],
    ) -> Result<()> {
        let options = AgentOptions {
            connect: self.server.connect(),
            cluster_id: activation.cluster_id.clone(),
            choerodon_id: activation.choerodon_id.clone(),
            kubeconfig: cluster.kubeconfig()?,
            context: None,
            data: self.folder.path().join(format!("agent-{name}")),
            arguments: arguments.to_vec(),
            environment: Vec::new(),
            // Whoever starts an agent by this asks for no release.
            helm_worker: None,
        };
        let log = self.folder.path().join(format!("agent-{name}.log"));
        self.agents.push(Agent::start(
            self.server.binaries(),
            options,
            &activation.token,
            &log,
        )?);
        Ok(())
    }

    /// What an agent says that comes with this token and is turned away. It is started only for this.
    pub async fn refused_with(&self, token: &str, name: &str) -> Result<String> {
        let options = AgentOptions {
            connect: self.server.connect(),
            cluster_id: "of-no-matter".into(),
            choerodon_id: String::new(),
            kubeconfig: TestCluster::A.kubeconfig()?,
            context: None,
            data: self.folder.path().join(format!("agent-{name}")),
            arguments: Vec::new(),
            environment: Vec::new(),
            helm_worker: None,
        };
        let log = self.folder.path().join(format!("agent-{name}.log"));
        let mut agent = Agent::start(self.server.binaries(), options, token, &log)?;
        let said = eventually("the agent says why it is turned away", PATIENCE, || async {
            let text = std::fs::read_to_string(&log)?;
            let line = text.lines().find(|line| line.contains("refused the token"));
            Ok(line.with_context(|| text.clone())?.to_owned())
        })
        .await;
        agent.kill().await?;
        said
    }

    /// Asks an agent by its socket, as a kubelet would by `exec`.
    pub async fn probe(&self, socket: &Path, what: &str) -> Result<String> {
        let output = tokio::process::Command::new(&self.server.binaries().agent)
            .args(["probe", "--socket"])
            .arg(socket)
            .arg(what)
            .output()
            .await?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    pub async fn cluster(&self, name: &str) -> Result<Cluster> {
        self.cli
            .json(&["cluster", "show", "-p", &self.project, name])
            .await
    }

    /// Whether containers run on it.
    pub async fn has_real_node(&self, cluster: &str) -> Result<bool> {
        let nodes = self.cluster(cluster).await?.nodes;
        Ok(nodes.iter().any(|node| !node.kubelet_version.starts_with("kwok")))
    }

    pub async fn cluster_becomes(&self, name: &str, state: ClusterState) -> Result<()> {
        cluster_becomes(&self.cli, (&self.project, name), state, PATIENCE)
            .await
            .map_err(|error| self.explain(error))
    }

    /// An environment on cluster A that is ready, with a working copy.
    pub async fn environment(&self, name: &str) -> Result<StandEnvironment> {
        self.environment_on(name, "east", TestCluster::A, self.access.clone())
            .await
    }

    pub async fn environment_on(
        &self,
        name: &str,
        cluster: &str,
        on: TestCluster,
        access: Access,
    ) -> Result<StandEnvironment> {
        let created: Environment = self
            .cli
            .json(&["env", "create", "-p", &self.project, name, "--cluster", cluster])
            .await?;
        let url = match &access {
            Access::Ssh { .. } => &created.repository.ssh_url,
            Access::Http { .. } => &created.repository.http_url,
        };
        let copy = WorkingCopy::init(&self.folder.path().join("work").join(name), url, access).await?;
        eventually(&format!("environment {name} is ready"), PATIENCE, || async {
            let environment = self.show(name).await?;
            ensure!(
                environment.phase == EnvironmentPhase::Ready,
                "it is {:?}: {:?}",
                environment.phase,
                environment.message
            );
            Ok(())
        })
        .await
        .map_err(|error| self.explain(error))?;
        Ok(StandEnvironment {
            name: name.to_owned(),
            namespace: created.namespace,
            copy,
            kubectl: on.kubectl()?,
        })
    }

    pub async fn show(&self, environment: &str) -> Result<Environment> {
        self.cli
            .json(&["env", "show", "-p", &self.project, environment])
            .await
    }

    pub async fn errors(&self, environment: &str) -> Result<Vec<EnvironmentError>> {
        self.cli
            .json(&["env", "errors", "-p", &self.project, environment])
            .await
    }

    pub async fn objects(&self, environment: &str) -> Result<Vec<LiveObject>> {
        self.cli
            .json(&["env", "objects", "-p", &self.project, environment])
            .await
    }

    /// Until the newest commit, `devops-sync` and `agent-sync` are this commit and nothing is wrong.
    pub async fn converges(&self, environment: &str, commit: &str) -> Result<Environment> {
        eventually(
            &format!("{environment} converges at {commit}"),
            PATIENCE,
            || async {
                let seen = self.show(environment).await?;
                let wanted = Some(commit.to_owned());
                ensure!(
                    seen.converged
                        && seen.commits.newest == wanted
                        && seen.commits.parsed == wanted
                        && seen.commits.applied == wanted,
                    "it is {seen:?}, errors {:?}",
                    self.errors(environment).await?
                );
                Ok(seen)
            },
        )
        .await
        .map_err(|error| self.explain(error))
    }

    /// Until exactly these errors are shown, by file and line.
    pub async fn errors_become(
        &self,
        environment: &str,
        wanted: &[(&str, u32, &str)],
    ) -> Result<Vec<EnvironmentError>> {
        eventually(&format!("{environment} shows its errors"), PATIENCE, || async {
            let found = self.errors(environment).await?;
            let mut places: Vec<(&str, u32, &str)> = found
                .iter()
                .map(|error| (error.file.as_str(), error.line, error.code.as_str()))
                .collect();
            places.sort_unstable();
            let mut wanted = wanted.to_vec();
            wanted.sort_unstable();
            ensure!(places == wanted, "the errors are {found:#?}");
            Ok(found)
        })
        .await
        .map_err(|error| self.explain(error))
    }

    /// The ends of all logs, for the one who reads a failure.
    pub fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        let mut text = String::new();
        for log in std::iter::once(self.server.log())
            .chain(self.agents.iter().map(|agent| agent.log().to_path_buf()))
        {
            let content = std::fs::read_to_string(&log).unwrap_or_default();
            let lines: Vec<&str> = content.lines().collect();
            text.push_str(&format!(
                "\n--- {}\n{}",
                log.display(),
                lines[lines.len().saturating_sub(40)..].join("\n")
            ));
        }
        error.context(format!("with these logs:{text}\n"))
    }
}

impl StandEnvironment {
    /// The object as the API server has it now.
    pub async fn find(&self, kind: &str, name: &str) -> Result<Option<serde_json::Value>> {
        self.kubectl.find(&["-n", &self.namespace, kind, name]).await
    }

    pub async fn get(&self, kind: &str, name: &str) -> Result<serde_json::Value> {
        self.find(kind, name)
            .await?
            .with_context(|| format!("there is no {kind} {name} in {}", self.namespace))
    }

    pub async fn appears(&self, kind: &str, name: &str) -> Result<serde_json::Value> {
        eventually(&format!("{kind} {name} appears"), PATIENCE, || {
            self.get(kind, name)
        })
        .await
    }

    pub async fn disappears(&self, kind: &str, name: &str) -> Result<()> {
        eventually(&format!("{kind} {name} disappears"), PATIENCE, || async {
            ensure!(self.find(kind, name).await?.is_none(), "it is still there");
            Ok(())
        })
        .await
    }

    /// A Secret as somebody makes it by hand, with none of its values in an argument.
    pub async fn put_secret(&self, name: &str, values: &[(&str, &[u8])]) -> Result<()> {
        let data: serde_json::Map<String, serde_json::Value> = values
            .iter()
            .map(|(key, value)| ((*key).to_owned(), STANDARD.encode(value).into()))
            .collect();
        let object = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": self.namespace},
            "data": data,
        });
        self.kubectl.apply(&object.to_string()).await
    }

    /// The tag as the Git host shows it to anybody who may read.
    pub async fn tag(&self, name: &str) -> Result<Option<String>> {
        let listed = self
            .copy
            .git(&["ls-remote", "origin", &format!("refs/tags/{name}")])
            .await?;
        Ok(listed.split_whitespace().next().map(str::to_owned))
    }
}

pub fn config_map(name: &str, key: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  {key}: {value:?}\n")
}
