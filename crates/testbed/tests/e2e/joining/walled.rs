//! A cluster whose only way out is a proxy with a password, towards a platform that an authority of its own vouches for: what
//! `proxied` shows of an agent, shown of our chart and image.

use anyhow::{Result, ensure};
use c7n_testbed::stack::{Authority, OTHER_NAME, ServerOptions, TlsEnd, eventually};
use serde_json::{Value, json};

use super::{Joined, PODS, image};
use crate::between::ConnectProxy;
use crate::cli_streams::logs::Followed;
use crate::cli_streams::two_clusters::pod as says;
use crate::proxied::{PASSWORD, PASSWORD_IN_URL, USER};
use crate::stand::{Stand, StandEnvironment, config_map};

/// Long enough for an installation, short enough to be waited for.
const CREDENTIAL_AGE: &str = "15s";

impl Joined {
    /// The same proxy for helm and for the pods, which get its password by a Secret.
    async fn start_walled(proxy: &str, authority: &Authority, options: ServerOptions) -> Result<Self> {
        let Some((repository, tag)) = image() else {
            anyhow::bail!("there is no image");
        };
        let (mut joined, command) = Self::told_how(Stand::with_options("podwall", options).await?).await?;
        joined.shell.push(("HTTPS_PROXY", proxy.to_owned()));
        let file = joined.stand.folder().join("ca.pem");
        std::fs::write(&file, &authority.pem)?;
        joined
            .kubectl
            .run(&["create", "namespace", &joined.namespace])
            .await?;
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": "way-out", "namespace": joined.namespace },
            "stringData": { "address": proxy },
        });
        joined.kubectl.apply(&secret.to_string()).await?;

        let mut values = joined.values_of_this_node(&repository, &tag).await?;
        values["replicas"] = json!(1);
        values["ca"] = json!({ "bundle": authority.pem });
        values["proxy"] = json!({ "existingSecret": "way-out", "existingSecretKey": "address" });
        values["config"] = json!({ "gitTransport": "http" });
        joined
            .install(&format!("{command} --ca-file {}", file.display()), values)
            .await?;
        Ok(joined)
    }

    async fn delivers(&self, environment: &StandEnvironment, value: &str) -> Result<()> {
        environment.copy.write("a.yaml", &config_map("a", "k", value))?;
        let commit = environment.copy.publish(value).await?;
        if let Err(error) = self.stand.converges("staging", &commit).await {
            return Err(self.explain(error).await);
        }
        ensure!(environment.get("configmap", "a").await?["data"]["k"] == value);
        Ok(())
    }

    /// A log that is followed while a process, which ends with a code of its own, writes a line into it.
    async fn streams(&self, environment: &StandEnvironment) -> Result<()> {
        let told = |error| async { Err(self.explain(error).await) };
        says(environment).await?;
        let project = self.stand.project.as_str();
        let arguments = |verb| vec![verb, "-p", project, "-e", environment.name.as_str()];
        let log = [arguments("logs"), vec!["-f", "pod/says"]].concat();
        let mut followed = Followed::start(self.stand.cli.command(&log))?;
        match followed.line().await {
            Ok(line) => ensure!(line == "hello from a container", "{line}"),
            Err(error) => return told(error).await,
        }
        let script = "echo in the process; echo from the process > /proc/1/fd/1; exit 3";
        let exec = [arguments("exec"), vec!["pod/says", "--", "sh", "-c", script]].concat();
        let output = tokio::time::timeout(PODS, self.stand.cli.output(&exec)).await??;
        if output.status.code() != Some(3) || output.stdout != b"in the process\n" {
            return told(anyhow::anyhow!("{output:?}")).await;
        }
        match followed.line().await {
            Ok(line) => ensure!(line == "from the process", "{line}"),
            Err(error) => return told(error).await,
        }
        followed.stop().await
    }

    async fn log(&self, pod: &str) -> Result<String> {
        self.kubectl.run(&["-n", &self.namespace, "logs", pod]).await
    }
}

fn name(pod: &Value) -> String {
    pod["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_pod_behind_a_proxy_and_an_authority_of_its_own_delivers_and_its_credential_rotates() -> Result<()>
{
    if image().is_none() {
        eprintln!("NOT RUN: joining for real needs a real node (C7N_TEST_AGENT_IMAGE is not set)");
        return Ok(());
    }
    let authority = Authority::new("an authority of one's own")?;
    let mut options = ServerOptions::new()?;
    let end = TlsEnd::start(&authority, options.listen).await?;
    let proxy = ConnectProxy::start(USER, PASSWORD).await?;
    let platform = format!("{OTHER_NAME}:{}", end.address.port());
    options.public_url = Some(format!("https://{platform}"));
    options
        .arguments
        .extend(["--credential-age".into(), CREDENTIAL_AGE.into()]);
    let url = proxy.url(USER, PASSWORD_IN_URL);
    let joined = Joined::start_walled(&url, &authority, options).await?;

    // The pod comes to the platform by a name that only the proxy knows, and an environment converges.
    joined.running().await?;
    let first = joined.credential().await?;
    let pod = name(&joined.ready_pods(1).await?[0]);
    let environment = joined.stand.environment("staging").await?;
    joined.delivers(&environment, "1").await?;

    // Each stream has a socket of its own, which finds the same way.
    let before = proxy.asked().iter().filter(|it| it.let_through).count();
    joined.streams(&environment).await?;
    let now = proxy.asked().iter().filter(|it| it.let_through).count();
    ensure!(
        now >= before + 2,
        "{now} ways after {before}: {:?}",
        proxy.asked()
    );

    // Its credential grows old: another is in the Secret, the old one opens nothing any more, and the agent goes on.
    let second = eventually("the Secret has another credential", PODS, || async {
        let now = joined.credential().await?;
        ensure!(now != first, "it is still the first one");
        Ok(now)
    })
    .await?;
    joined.delivers(&environment, "2").await?;
    // An error unless it is refused.
    joined.stand.refused_with(&first, "old").await?;
    let log = joined.log(&pod).await?;
    ensure!(log.contains("handed out a new credential"), "{log}");

    // A pod that is killed comes back with what is in the Secret: the token of the activation opens nothing either.
    joined.kill(&pod).await?;
    let next = eventually("another pod is ready", PODS, || async {
        let next = name(&joined.ready_pods(1).await?[0]);
        ensure!(next != pod, "{next} is not gone yet");
        Ok(next)
    })
    .await?;
    joined.delivers(&environment, "3").await?;
    let said = joined.stand.refused_with(&joined.token, "late").await?;
    ensure!(said.contains("used already"), "{said}");
    let log = [log, joined.log(&next).await?].concat();
    ensure!(!log.contains("the platform refused the"), "{log}");

    // All of it went through the proxy, which was asked for the platform alone.
    let asked = proxy.asked();
    ensure!(
        asked.iter().any(|it| it.let_through) && asked.iter().all(|it| it.target == platform),
        "{asked:?}"
    );
    // No secret is in a log, nor in what everybody sees who may look at pods.
    let pods = serde_json::to_string(&joined.pods().await?)?;
    for secret in [PASSWORD, PASSWORD_IN_URL, &first, &second] {
        ensure!(!log.contains(secret) && !pods.contains(secret), "{log}{pods}");
    }
    joined.leave().await
}
