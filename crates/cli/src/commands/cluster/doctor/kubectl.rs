//! Asks the cluster through the `kubectl` of the person who asks, with their kubeconfig and their rights.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::judge::{Installed, Right, wanted_rights};
use super::platform::{now, timestamp};

const DEADLINE: Duration = Duration::from_secs(30);
/// An image may have to be pulled first.
const POD_DEADLINE: Duration = Duration::from_secs(120);

pub async fn helm_version() -> Option<String> {
    let output = Command::new("helm")
        .args(["version", "--short"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(DEADLINE, output).await.ok()?.ok()?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !version.is_empty()).then_some(version)
}

/// Whose network a pod uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    Pod,
    Node,
}

pub struct Asker {
    context: Option<String>,
}

impl Asker {
    pub fn new(context: Option<String>) -> Self {
        Self { context }
    }

    /// Of the API server.
    pub async fn version(&self) -> Result<String, String> {
        let answer = self.json(&["version"], None).await?;
        answer["serverVersion"]["gitVersion"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| "the cluster does not answer".to_owned())
    }

    pub async fn context_name(&self) -> String {
        match &self.context {
            Some(context) => context.clone(),
            None => self
                .run(&["config", "current-context"], None, DEADLINE)
                .await
                .map_or_else(|_| "this cluster".to_owned(), |name| name.trim().to_owned()),
        }
    }

    /// The API server's clock minus ours: the time that it would write on a new object.
    pub async fn clock(&self) -> Option<i64> {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "c7n-doctor", "namespace": "default" },
        });
        let made = self
            .json(&["create", "--dry-run=server", "-f", "-"], Some(&object))
            .await
            .ok()?;
        Some(timestamp(made["metadata"]["creationTimestamp"].as_str()?)? - now())
    }

    /// What may not be done.
    pub async fn rights(&self, namespace: &str) -> Result<Vec<Right>, String> {
        let wanted = wanted_rights(namespace);
        let reviews: Vec<Value> = wanted.iter().map(review).collect();
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": reviews });
        let text = self
            .run(&["create", "-f", "-", "--output=json"], Some(&list), DEADLINE)
            .await?;
        let answers = documents(&text)?;
        if answers.len() != wanted.len() {
            return Err(format!(
                "{} of {} questions were answered",
                answers.len(),
                wanted.len()
            ));
        }
        Ok(wanted
            .into_iter()
            .zip(answers)
            .filter(|(_, answer)| answer["status"]["allowed"] != true)
            .map(|(right, _)| right)
            .collect())
    }

    pub async fn installed(&self) -> Result<Vec<Installed>, String> {
        let selector = "--selector=app.kubernetes.io/name=choerodon-cluster-agent";
        let found = self
            .json(&["get", "deployments", "--all-namespaces", selector], None)
            .await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(found["items"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|deployment| Installed {
                namespace: text(&deployment["metadata"]["namespace"]),
                release: text(&deployment["metadata"]["labels"]["app.kubernetes.io/instance"]),
                cluster_id: deployment["spec"]["template"]["spec"]["containers"][0]["env"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .find(|variable| variable["name"] == "C7N_CLUSTER_ID")
                    .map(|variable| text(&variable["value"]))
                    .unwrap_or_default(),
            })
            .collect())
    }

    /// From a pod that lives for seconds, with nothing but the agent's own program in it.
    pub async fn reach_from_inside(
        &self,
        namespace: &str,
        image: &str,
        connect: &str,
        network: Network,
    ) -> Result<String, String> {
        let name = format!("c7n-doctor-{}", std::process::id());
        let overrides = json!({ "spec": {
            "automountServiceAccountToken": false,
            "hostNetwork": network == Network::Node,
            "securityContext": { "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" } },
            "containers": [{
                "name": name,
                "image": image,
                "command": ["/usr/local/bin/c7n-agent", "reach", "--connect", connect],
                "securityContext": {
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": { "drop": ["ALL"] },
                },
            }],
        }});
        let namespace = match self.run(&["get", "namespace", namespace], None, DEADLINE).await {
            Ok(_) => namespace,
            Err(_) => "default",
        };
        let overrides = format!("--overrides={overrides}");
        let image = format!("--image={image}");
        let arguments = [
            "run",
            &name,
            "--namespace",
            namespace,
            "--restart=Never",
            "--rm",
            "--attach",
            "--quiet",
            &image,
            &overrides,
        ];
        let reached = self.run(&arguments, None, POD_DEADLINE).await;
        if reached.is_err() {
            let delete = [
                "delete",
                "pod",
                &name,
                "--namespace",
                namespace,
                "--ignore-not-found",
                "--wait=false",
            ];
            let _ = self.run(&delete, None, DEADLINE).await;
        }
        reached.map(|words| words.lines().next().unwrap_or_default().trim().to_owned())
    }

    async fn json(&self, arguments: &[&str], input: Option<&Value>) -> Result<Value, String> {
        let text = self
            .run(&[arguments, &["--output=json"]].concat(), input, DEADLINE)
            .await?;
        serde_json::from_str(&text).map_err(|error| format!("kubectl's answer makes no sense: {error}"))
    }

    async fn run(
        &self,
        arguments: &[&str],
        input: Option<&Value>,
        deadline: Duration,
    ) -> Result<String, String> {
        let mut command = Command::new("kubectl");
        if let Some(context) = &self.context {
            command.args(["--context", context]);
        }
        let mut child = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                format!("`kubectl` cannot be run ({error}); it is needed to look at the cluster: https://kubernetes.io/docs/tasks/tools")
            })?;
        let stdin = child.stdin.take();
        let talk = async {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                // It may end before it has read everything; its message says why.
                let _ = stdin.write_all(input.to_string().as_bytes()).await;
            }
            child.wait_with_output().await
        };
        let output = timeout(deadline, talk)
            .await
            .map_err(|_| format!("kubectl did not end within {} s", deadline.as_secs()))?
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(said.trim().lines().last().unwrap_or("kubectl failed").to_owned())
    }
}

/// kubectl prints what it created one after the other.
fn documents(text: &str) -> Result<Vec<Value>, String> {
    serde_json::Deserializer::from_str(text)
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(|error| format!("kubectl's answer makes no sense: {error}"))
}

fn review(right: &Right) -> Value {
    json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": {
            "verb": right.verb,
            "group": right.group,
            "resource": right.resource,
            "namespace": right.namespace,
        }},
    })
}
