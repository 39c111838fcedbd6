//! Logs and exec of two clusters, when everybody's only way is a proxy with a password.

use anyhow::{Result, ensure};
use c7n_testbed::stack::{Cli, eventually};

use super::complaint;
use crate::proxied::Walled;
use crate::stand::{PATIENCE, StandEnvironment, TestCluster};

#[tokio::test]
async fn logs_and_exec_reach_two_clusters_through_a_proxy_with_a_password() -> Result<()> {
    let mut walled = Walled::start("walled-streams").await?;
    let (connect, proxy) = (walled.connect(), walled.proxy_url());
    let authority = walled.authority.display().to_string();
    let arguments = ["--ca-file", authority.as_str(), "--git-transport", "http"];
    for (name, cluster) in [("east", TestCluster::A), ("west", TestCluster::B)] {
        let kubeconfig = cluster.kubeconfig()?;
        walled
            .stand
            .join_as(
                name,
                &kubeconfig,
                &arguments,
                Some(&connect),
                &[("HTTPS_PROXY", &proxy)],
            )
            .await?;
    }
    let stand = &walled.stand;
    let east = stand.environment("east").await?;
    let west = stand
        .environment_on("west", "west", TestCluster::B, stand.http_access())
        .await?;
    let cli = Cli::new(
        stand.server.binaries(),
        &format!("https://{}", walled.end.host()),
        &stand.server.first_run().token,
        stand.folder(),
    );

    for (environment, cluster) in [(&east, "east"), (&west, "west")] {
        // A played pod says what kwok says, and a process in it is one of this machine: the way is the same.
        let said = match stand.has_real_node(cluster).await? {
            true => "hello from a container",
            false => "this pod is played by kwok",
        };
        pod(environment).await?;
        let run = async |verb: &str, rest: &[&str]| -> Result<String> {
            let place = [
                verb,
                "-p",
                stand.project.as_str(),
                "-e",
                environment.name.as_str(),
            ];
            let mut command = cli.command(&[&place, rest].concat());
            command
                .env("HTTPS_PROXY", &proxy)
                .env("SSL_CERT_FILE", &authority)
                .env_remove("NO_PROXY");
            let output = tokio::time::timeout(PATIENCE, command.output()).await??;
            ensure!(
                output.status.success(),
                "{verb} on {cluster}: {}",
                complaint(&output)
            );
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let before = walled.proxy.asked().len();
        eventually("the log is read", PATIENCE, || async {
            let log = run("logs", &["pod/says"]).await?;
            ensure!(log.contains(said), "{log:?}");
            Ok(())
        })
        .await
        .map_err(|error| stand.explain(error))?;
        let echoed = run("exec", &["pod/says", "--", "sh", "-c", "echo $((40 + 2))"]).await;
        ensure!(echoed.map_err(|error| stand.explain(error))? == "42\n");
        let asked = walled.proxy.asked();
        ensure!(asked.len() > before, "nothing went through the proxy");
    }
    let asked = walled.proxy.asked();
    ensure!(asked.iter().all(|it| it.target == walled.end.host()), "{asked:?}");
    Ok(())
}

/// Says one line and waits.
pub async fn pod(environment: &StandEnvironment) -> Result<()> {
    let pod = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "says", "namespace": environment.namespace },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "app",
                "image": "c7n.local/sample:1",
                "imagePullPolicy": "IfNotPresent",
                "command": ["sh", "-c", "echo hello from a container; sleep 1000"],
            }],
        },
    });
    environment.kubectl.apply(&pod.to_string()).await?;
    eventually("the pod runs", PATIENCE, || async {
        let pod = environment.get("pod", "says").await?;
        ensure!(pod["status"]["phase"] == "Running", "{}", pod["status"]);
        Ok(())
    })
    .await
}
