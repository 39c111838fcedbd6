//! Our own charts: what Helm makes of them, and which mistakes they refuse.

use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, Result, ensure};
use c7n_testbed::programs::{self, Program};
use c7n_testbed::stack::Binaries;
use serde_json::Value;
use tokio::process::Command;

use crate::stand::TestCluster;

const CHARTS: [&str; 2] = ["choerodon-cluster-agent", "c7n-server"];

pub(crate) fn chart(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../charts")
        .join(name)
}

pub(crate) async fn helm(arguments: &[&str]) -> Result<Output> {
    let program = programs::ensure(Program::Helm).await?;
    let folder = tempfile::tempdir()?;
    Ok(Command::new(program)
        .args(arguments)
        // Nothing of the person who runs the tests.
        .env("HOME", folder.path())
        .env("KUBECONFIG", "/dev/null")
        .output()
        .await?)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What `helm template` prints, with the values that the activation command sets and some more.
async fn rendered(name: &str, more: &[&str]) -> Result<Output> {
    let folder = chart(name);
    let folder = folder.to_str().context("a plain path")?;
    let joined = format!("{folder}/ci/joined-values.yaml");
    let mut arguments = vec!["template", name, folder, "--namespace", "choerodon"];
    if name == CHARTS[0] {
        arguments.extend(["--values", &joined]);
    }
    arguments.extend(more);
    helm(&arguments).await
}

async fn template(name: &str, more: &[&str]) -> Result<String> {
    let output = rendered(name, more).await?;
    ensure!(output.status.success(), "{}", text(&output.stderr));
    Ok(text(&output.stdout))
}

/// Where a value of our own choosing is: everything that the agent's chart can be told, told.
const EVERYTHING: &[&str] = &[
    "--set=rbac.mode=namespace",
    "--set=rbac.namespaces={shop,bank}",
    "--set-json=rbac.extraRules=[{\"apiGroups\":[\"certificates.k8s.io\"],\"resources\":[\"certificatesigningrequests/approval\"],\"verbs\":[\"update\"]}]",
    "--set=hostNetwork=true,kubernetesService.host=127.0.0.1,kubernetesService.port=6443",
    "--set=proxy.https=http://proxy.example.com:3128,proxy.noProxy=example.org",
    "--set-string=ca.bundle=-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
    "--set=config.existingSecret=mine,config.existingSecretKey=word,config.token=",
    "--set=image.repository=registry.example.com/c7n-agent",
    "--set=image.digest=sha256:0000000000000000000000000000000000000000000000000000000000000000",
    "--set=imagePullSecrets[0].name=pull",
    "--set=priorityClassName=system-cluster-critical",
    "--set=nodeSelector.disk=ssd",
    "--set=replicas=1",
    "--set=tolerations[0].operator=Exists",
    "--set=networkPolicy.enabled=false",
    "--set=exec.enabled=false",
    "--set=extraEnv[0].name=A,extraEnv[0].value=b",
];

#[tokio::test]
async fn helm_finds_nothing_to_complain_of() -> Result<()> {
    for name in CHARTS {
        let folder = chart(name);
        let folder = folder.to_str().context("a plain path")?;
        for more in [&[][..], &["--values", "ci"][..]] {
            let values = format!("{folder}/ci/joined-values.yaml");
            let more: Vec<&str> = match more {
                [] => Vec::new(),
                _ if name == CHARTS[0] => vec!["--values", &values],
                _ => continue,
            };
            let output = helm(&[&["lint", "--strict", folder][..], &more].concat()).await?;
            ensure!(
                output.status.success(),
                "{name} {more:?}: {} {}",
                text(&output.stdout),
                text(&output.stderr)
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_agents_chart_is_what_it_was() -> Result<()> {
    insta::assert_snapshot!("agent", template(CHARTS[0], &[]).await?);
    insta::assert_snapshot!("agent_everything", template(CHARTS[0], EVERYTHING).await?);
    Ok(())
}

#[tokio::test]
async fn the_servers_chart_is_what_it_was() -> Result<()> {
    insta::assert_snapshot!("server", template(CHARTS[1], &[]).await?);
    let more = [
        "--set=ingress.enabled=true,ingress.host=c7n.example.com,ingress.tlsSecret=tls,ingress.className=nginx",
        "--set=service.type=LoadBalancer,config.publicSshUrl=ssh://git@git.example.com:22",
        "--set=config.agentImage=registry.example.com/c7n-agent:1,config.existingSecret=more",
        "--set=persistence.storageClass=fast,persistence.size=50Gi",
        "--set-json=networkPolicy.from=[{\"ipBlock\":{\"cidr\":\"10.0.0.0/8\"}}]",
        // Helm reads numbers as floating ones: a big one must not become `2e+06`.
        "--set=config.streamsPerUser=1,config.streamsPerCluster=2000000,config.recordingDays=3650,config.recordingMib=1024",
    ];
    insta::assert_snapshot!("server_everything", template(CHARTS[1], &more).await?);
    Ok(())
}

#[tokio::test]
async fn the_servers_chart_says_the_same_as_the_server() -> Result<()> {
    let program = Binaries::beside_me()?.server;
    let help = Command::new(program).arg("--help").output().await?;
    let in_one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let help = in_one_line(&text(&help.stdout));
    let chart = in_one_line(&template(CHARTS[1], &[]).await?);
    for variable in [
        "C7N_CREDENTIAL_AGE",
        "C7N_STREAMS_PER_USER",
        "C7N_STREAMS_PER_CLUSTER",
        "C7N_RECORDING_DAYS",
        "C7N_RECORDING_MIB",
    ] {
        let default = help
            .split_once(&format!("[env: {variable}=] [default: "))
            .and_then(|(_, rest)| rest.split(']').next())
            .with_context(|| format!("the server knows no {variable} with a default: {help}"))?;
        ensure!(
            chart.contains(&format!("- name: {variable} value: \"{default}\"")),
            "{variable} is {default} for the server, and something else for the chart"
        );
    }
    Ok(())
}

#[tokio::test]
async fn mistakes_are_refused_with_the_value_they_are_in() -> Result<()> {
    let agent = CHARTS[0];
    let server = CHARTS[1];
    for (chart, wrong, words) in [
        (agent, "--set=confg.connect=x", "confg"),
        (agent, "--set=config.tokn=x", "tokn"),
        (agent, "--set=config.connect=https://c7n.example.com", "connect"),
        (
            agent,
            "--set=config.connect=wss://user:secret@c7n.example.com/agent/",
            "connect",
        ),
        (
            agent,
            "--set=config.connect=wss://c7n.example.com/agent/?token=x",
            "connect",
        ),
        (agent, "--set=config.connect=", "c7n cluster activation"),
        (agent, "--set=config.clusterId=", "c7n cluster activation"),
        (agent, "--set=replicas=0", "replicas"),
        (agent, "--set=image.digest=sha256:12", "digest"),
        (agent, "--set=rbac.mode=everything", "mode"),
        (agent, "--set=rbac.mode=namespace", "rbac.namespaces"),
        (
            agent,
            "--set-json=rbac.extraRules=[{\"apiGroups\":[\"\"],\"resources\":[\"pods\"],\"verbs\":[\"*\"]}]",
            "verbs",
        ),
        (agent, "--set=health.port=80", "port"),
        (
            agent,
            "--set=terminationGracePeriodSeconds=1",
            "terminationGracePeriodSeconds",
        ),
        (agent, "--set=ca.bundle=no certificate", "bundle"),
        (server, "--set=replicas=2", "replicas"),
        (server, "--set=config.publicUrl=c7n.example.com", "publicUrl"),
        (
            server,
            "--set=config.publicSshUrl=ssh://c7n.example.com",
            "publicSshUrl",
        ),
        (server, "--set=ingress.enabled=true", "ingress.host"),
        (server, "--set=persistence.accessMode=ReadWriteMany", "accessMode"),
        (server, "--set=config.streamsPerUser=0", "streamsPerUser"),
        (server, "--set=config.streamsPerCluster=many", "streamsPerCluster"),
        (server, "--set=config.recordingDays=3651", "recordingDays"),
        (server, "--set=config.recordingMib=0.5", "recordingMib"),
        (server, "--set=nothing.like=this", "nothing"),
    ] {
        let output = rendered(chart, &[wrong]).await?;
        let said = text(&output.stderr);
        ensure!(!output.status.success(), "{chart} {wrong} was taken");
        ensure!(said.contains(words), "{chart} {wrong}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn every_value_is_described() -> Result<()> {
    for name in CHARTS {
        let schema: Value = serde_json::from_slice(&std::fs::read(chart(name).join("values.schema.json"))?)?;
        let readme = std::fs::read_to_string(chart(name).join("README.md"))?;
        ensure!(schema["additionalProperties"] == false);
        let mut values = Vec::new();
        leaves(&schema, String::new(), &mut values);
        for value in values.iter().filter(|value| *value != "global") {
            // Resources are described as a whole.
            let value = value
                .split_once("resources.")
                .map_or(value.as_str(), |_| "resources");
            ensure!(
                readme.contains(&format!("`{value}`")),
                "{name}: README.md does not describe {value}"
            );
        }
    }
    Ok(())
}

fn leaves(schema: &Value, path: String, found: &mut Vec<String>) {
    match schema["properties"].as_object() {
        None => found.push(path),
        Some(properties) => {
            for (name, below) in properties {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                leaves(below, path, found);
            }
        }
    }
}

/// The API server itself is asked: it knows the kinds, and what the restricted standard forbids.
#[tokio::test]
async fn the_api_server_takes_them_and_finds_the_pods_restricted() -> Result<()> {
    let kubectl = TestCluster::B.kubectl()?;
    let namespace = format!("charts-{}", std::process::id());
    kubectl
        .apply(&format!(
            "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {namespace}\n  labels:\n    \
             pod-security.kubernetes.io/warn: restricted\n    pod-security.kubernetes.io/enforce: restricted\n"
        ))
        .await?;
    let folder = tempfile::tempdir()?;
    let mut said = Vec::new();
    for (name, more) in [(CHARTS[0], &[][..]), (CHARTS[1], &[])] {
        let manifest = template(name, more).await?;
        let file = folder.path().join(format!("{name}.yaml"));
        std::fs::write(
            &file,
            manifest.replace("namespace: choerodon", &format!("namespace: {namespace}")),
        )?;
        let output = kubectl
            .command(&["apply", "--dry-run=server", "--server-side", "-f"])
            .arg(&file)
            .output()
            .await?;
        said.push((name, output.status.success(), text(&output.stderr)));
    }
    kubectl
        .run(&["delete", "namespace", &namespace, "--wait=false"])
        .await?;
    for (name, taken, words) in said {
        ensure!(taken, "{name}: {words}");
        ensure!(!words.contains("Warning"), "{name}: {words}");
    }
    Ok(())
}
