//! An agent whose only way out is a proxy with a password, towards a platform that an authority of its own vouches for.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use c7n_api::Activation;
use c7n_testbed::stack::{Agent, AgentOptions, Authority, ServerOptions, TlsEnd, eventually};

use crate::between::ConnectProxy;
use crate::stand::{PATIENCE, Stand, TestCluster, config_map};

pub(crate) const USER: &str = "agent";
/// With a character that cannot stand in a URL as it is.
pub(crate) const PASSWORD: &str = "w@rd-of-the-proxy";
pub(crate) const PASSWORD_IN_URL: &str = "w%40rd-of-the-proxy";

/// A platform behind TLS, and the proxy before it.
pub struct Walled {
    pub stand: Stand,
    pub proxy: ConnectProxy,
    pub end: TlsEnd,
    pub authority: PathBuf,
}

impl Walled {
    pub async fn start(name: &str) -> Result<Self> {
        let authority = Authority::new("an authority of one's own")?;
        let mut options = ServerOptions::new()?;
        let end = TlsEnd::start(&authority, options.listen).await?;
        let proxy = ConnectProxy::start(USER, PASSWORD).await?;
        options.public_url = Some(format!("https://{}", end.host()));
        let stand = Stand::with_options(name, options).await?;
        let file = stand.folder().join("ca.pem");
        std::fs::write(&file, &authority.pem)?;
        Ok(Self {
            stand,
            proxy,
            end,
            authority: file,
        })
    }

    pub fn connect(&self) -> String {
        format!("wss://{}/agent/", self.end.host())
    }

    pub fn proxy_url(&self) -> String {
        self.proxy.url(USER, PASSWORD_IN_URL)
    }

    /// What an agent says that cannot reach the platform: the line with this in it.
    async fn complaint(
        &self,
        name: &str,
        token: &str,
        authority: &Path,
        proxy: &str,
        words: &str,
    ) -> Result<String> {
        let options = AgentOptions {
            connect: self.connect(),
            cluster_id: "of-no-matter".into(),
            choerodon_id: String::new(),
            kubeconfig: TestCluster::A.kubeconfig()?,
            context: None,
            data: self.stand.folder().join(format!("agent-{name}")),
            arguments: vec!["--ca-file".into(), authority.display().to_string()],
            environment: vec![("HTTPS_PROXY".into(), proxy.into())],
            helm_worker: None,
        };
        let log = self.stand.folder().join(format!("agent-{name}.log"));
        let mut agent = Agent::start(self.stand.server.binaries(), options, token, &log)?;
        let said = eventually("the agent says what is in its way", PATIENCE, || async {
            let text = std::fs::read_to_string(&log)?;
            let line = text.lines().find(|line| line.contains(words));
            Ok(line.with_context(|| text.clone())?.to_owned())
        })
        .await;
        agent.kill().await?;
        said
    }
}

#[tokio::test]
async fn an_agent_converges_through_a_proxy_with_a_password_and_an_authority_of_its_own() -> Result<()> {
    let mut walled = Walled::start("walled").await?;
    let (connect, proxy) = (walled.connect(), walled.proxy_url());
    let authority = walled.authority.display().to_string();

    walled
        .stand
        .join_as(
            "east",
            &TestCluster::A.kubeconfig()?,
            &["--ca-file", &authority, "--git-transport", "http"],
            Some(&connect),
            &[("HTTPS_PROXY", &proxy)],
        )
        .await?;
    let joined = walled.proxy.asked().len();
    let environment = walled.stand.environment("staging").await?;
    for value in ["1", "2"] {
        environment.copy.write("a.yaml", &config_map("a", "k", value))?;
        let commit = environment.copy.publish(value).await?;
        walled.stand.converges("staging", &commit).await?;
        ensure!(environment.get("configmap", "a").await?["data"]["k"] == value);
    }

    // The link and Git go that way, nothing else does, and the API server is not asked through it.
    let asked = walled.proxy.asked();
    // Git asks without its password first, and again when the proxy wants one.
    let opened = asked.iter().filter(|it| it.let_through).count();
    ensure!(joined > 0 && opened > joined, "{joined} of {asked:?}");
    ensure!(asked.iter().all(|it| it.target == walled.end.host()), "{asked:?}");
    for agent in &walled.stand.agents {
        let log = std::fs::read_to_string(agent.log())?;
        ensure!(!log.contains(PASSWORD) && !log.contains(PASSWORD_IN_URL), "{log}");
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_authority_and_a_wrong_password_are_told_with_what_to_do() -> Result<()> {
    let walled = Walled::start("distrust").await?;
    let project = walled.stand.project.as_str();
    walled
        .stand
        .cli
        .run(&["cluster", "create", "-p", project, "east"])
        .await?;
    let activation: Activation = walled
        .stand
        .cli
        .json(&["cluster", "activation", "-p", project, "east"])
        .await?;
    let other = walled.stand.folder().join("other.pem");
    std::fs::write(&other, Authority::new("somebody else")?.pem)?;

    let said = walled
        .complaint(
            "distrusts",
            &activation.token,
            &other,
            &walled.proxy_url(),
            "certificate",
        )
        .await?;
    ensure!(
        said.contains("nobody vouches for") && said.contains("--ca-file"),
        "{said}"
    );

    let wrong = walled.proxy.url(USER, "guessed");
    let said = walled
        .complaint("guesses", &activation.token, &walled.authority, &wrong, "proxy")
        .await?;
    ensure!(
        said.contains("407") && said.contains("USER:PASSWORD@HOST:PORT") && !said.contains("guessed"),
        "{said}"
    );
    ensure!(
        walled.proxy.asked().iter().any(|it| !it.let_through),
        "{:?}",
        walled.proxy.asked()
    );

    // Neither has used the token up.
    let cluster = walled.stand.cluster("east").await?;
    ensure!(
        cluster.state != c7n_api::ClusterState::Running && cluster.agent_version.is_none(),
        "{cluster:?}"
    );
    Ok(())
}
