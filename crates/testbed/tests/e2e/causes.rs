//! What is wrong with an instance is said in one sentence that names the object at the root, within seconds.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use c7n_api::{Branch, HealthStatus, InstanceDetail, Instances};
use c7n_testbed::stack::eventually;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::stand::{PATIENCE, Stand, StandEnvironment};

#[tokio::test]
async fn an_instance_that_is_not_well_says_why() -> Result<()> {
    let stand = Stand::with_cluster("causes").await?;
    if !stand.has_real_node("east").await? {
        eprintln!("NOT RUN: causes that a kubelet tells need a real node, and cluster A has none");
        return Ok(());
    }
    let environment = stand.environment("staging").await?;
    let registry = Registry::open().await?;
    let image = format!("127.0.0.1:{}/shop/web:9", registry.port);
    // Only pods that ask for widgets meet the quota.
    let quota = "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: widgets}\nspec: {hard: {requests.example.com/widget: \"0\"}}\n";
    apply(&environment, quota).await?;
    let begun = Instant::now();
    let cases = [
        Case {
            name: "image",
            container: format!("image: {image}"),
            kind: "Pod",
            text: vec![
                format!("the image {image} cannot be pulled"),
                "has no such image or tag".into(),
            ],
            log: None,
        },
        Case {
            name: "crash",
            container: format!("{SAMPLE}, args: [job, -lines, \"1\", -fail]"),
            kind: "Pod",
            text: vec!["container web crashes with exit code 1".into()],
            log: Some("sample: told to fail by --fail"),
        },
        Case {
            name: "cpu",
            container: format!("{SAMPLE}, resources: {{requests: {{cpu: \"1000\"}}}}"),
            kind: "Pod",
            text: vec!["cannot be scheduled: 0/".into(), "insufficient cpu".into()],
            log: None,
        },
        Case {
            name: "quota",
            container: format!("{SAMPLE}, resources: {{limits: {{example.com/widget: 1}}}}"),
            kind: "ReplicaSet",
            text: vec!["its pods are refused: exceeded quota: widgets".into()],
            log: None,
        },
        Case {
            name: "probe",
            container: format!(
                "{SAMPLE}, args: [-listen, \"127.0.0.1:0\"], readinessProbe: {{tcpSocket: {{port: 9, host: 127.0.0.1}}, periodSeconds: 1}}"
            ),
            kind: "Pod",
            text: vec![
                "the readiness probe of container web fails:".into(),
                "connection refused".into(),
            ],
            log: None,
        },
        Case {
            name: "secret",
            container: format!(
                "{SAMPLE}, env: [{{name: P, valueFrom: {{secretKeyRef: {{name: db, key: password}}}}}}]"
            ),
            kind: "Pod",
            text: vec!["container web cannot be made: the Secret db is missing".into()],
            log: None,
        },
        Case {
            name: "well",
            container: format!("{SAMPLE}, args: [-listen, \"127.0.0.1:0\"]"),
            kind: "",
            text: Vec::new(),
            log: None,
        },
    ];
    for case in &cases {
        apply(&environment, &case.manifest()).await?;
    }
    for case in &cases {
        let shown = eventually(&format!("`{}` says why", case.name), PATIENCE, || async {
            let shown = show(&stand, case.name).await?;
            case.check(&shown)?;
            Ok(shown)
        })
        .await
        .map_err(|error| stand.explain(error))?;
        let cause = shown
            .instance
            .vitals
            .cause
            .map_or_else(|| "well".to_owned(), |cause| cause.text);
        println!("{:?}: {}: {cause}", begun.elapsed(), case.name);
    }

    // What is put right is well again, and the list has all of them.
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {password: x}\n";
    apply(&environment, secret).await?;
    eventually("the missing Secret is no cause any more", PATIENCE, || async {
        let all: Instances = stand
            .cli
            .json(&["instance", "list", "-p", &stand.project, "-e", "staging"])
            .await?;
        let names: Vec<&str> = all.instances.iter().map(|it| it.name.as_str()).collect();
        ensure!(
            names == ["cpu", "crash", "image", "probe", "quota", "secret", "well"],
            "{names:?}"
        );
        let text = all.instances[5]
            .vitals
            .cause
            .as_ref()
            .map_or("", |cause| &cause.text);
        ensure!(!text.contains("missing"), "{text}");
        Ok(())
    })
    .await
    .map_err(|error| stand.explain(error))?;
    Ok(())
}

#[tokio::test]
async fn objects_of_a_release_are_shown_below_their_instance() -> Result<()> {
    let stand = Stand::with_cluster("instances").await?;
    let environment = stand.environment("staging").await?;
    let case = Case {
        name: "web",
        container: SAMPLE.to_owned(),
        kind: "",
        text: Vec::new(),
        log: None,
    };
    apply(&environment, &case.manifest()).await?;
    environment
        .copy
        .write("settings.yaml", &crate::stand::config_map("settings", "k", "v"))?;
    let commit = environment.copy.publish("Settings").await?;
    stand.converges("staging", &commit).await?;
    eventually("the pod is seen below its instance", PATIENCE, || async {
        let shown = show(&stand, "web").await?;
        ensure!(
            path_to("Pod", &shown.tree).as_deref() == Some("Deployment/ReplicaSet/Pod"),
            "{shown:#?}"
        );
        Ok(())
    })
    .await
    .map_err(|error| stand.explain(error))?;
    let text = stand
        .cli
        .run(&["env", "objects", "-p", &stand.project, "staging"])
        .await?;
    let (instance, own) = text
        .split_once("\nenvironment ")
        .context("both parts are shown")?;
    ensure!(
        instance.contains("instance web") && instance.contains("Pod web-"),
        "{text}"
    );
    ensure!(
        own.contains("ConfigMap settings") && !own.contains("Pod web-"),
        "{text}"
    );

    // A file may not say that an object is of a release: who made it is the product's to say.
    environment.copy.write(
        "fraud.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: fraud\n  labels: {choerodon.io/release: web}\n",
    )?;
    environment.copy.publish("A label that is reserved").await?;
    eventually("the label is refused", PATIENCE, || async {
        let errors = stand.errors("staging").await?;
        ensure!(
            errors.iter().any(|error| error.file == "fraud.yaml"),
            "{errors:?}"
        );
        Ok(())
    })
    .await
    .map_err(|error| stand.explain(error))?;
    Ok(())
}

const SAMPLE: &str = "image: \"c7n.local/sample:1\", imagePullPolicy: IfNotPresent";

struct Case {
    name: &'static str,
    container: String,
    /// Of the object at the root; empty for one that is well.
    kind: &'static str,
    text: Vec<String>,
    log: Option<&'static str>,
}

impl Case {
    /// As a release leaves it: the label is on the Deployment, and the pods are known by who made them.
    fn manifest(&self) -> String {
        let Self { name, container, .. } = self;
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, labels: {{choerodon.io/release: {name}}}}}\nspec:\n  \
             selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      \
             terminationGracePeriodSeconds: 1\n      containers:\n        - {{name: web, {container}}}\n"
        )
    }

    fn check(&self, shown: &InstanceDetail) -> Result<()> {
        let vitals = &shown.instance.vitals;
        if self.kind.is_empty() {
            ensure!(
                vitals.health == HealthStatus::Healthy && vitals.cause.is_none(),
                "{vitals:?}"
            );
            return Ok(());
        }
        let cause = vitals
            .cause
            .as_ref()
            .with_context(|| format!("no cause: {vitals:?}"))?;
        ensure!(cause.object.kind == self.kind, "{cause:?}");
        ensure!(
            cause.text.starts_with(&format!("{} {}-", self.kind, self.name)),
            "the object is not named: {cause:?}"
        );
        for part in &self.text {
            ensure!(cause.text.contains(part.as_str()), "no `{part}`: {cause:?}");
        }
        if let Some(line) = self.log {
            ensure!(
                cause.log.iter().any(|said| said == line),
                "no `{line}`: {cause:?}"
            );
        }
        Ok(())
    }
}

async fn apply(environment: &StandEnvironment, manifest: &str) -> Result<()> {
    // Into the flow mapping of the metadata, wherever that stands first.
    let manifest = manifest.replacen(
        "metadata: {name:",
        &format!("metadata: {{namespace: {}, name:", environment.namespace),
        1,
    );
    environment.kubectl.apply(&manifest).await
}

async fn show(stand: &Stand, name: &str) -> Result<InstanceDetail> {
    stand
        .cli
        .json(&["instance", "show", "-p", &stand.project, "-e", "staging", name])
        .await
}

/// Kinds from the top down to the first object of this kind.
fn path_to(kind: &str, tree: &[Branch]) -> Option<String> {
    tree.iter().find_map(|branch| {
        if branch.object.kind == kind {
            return Some(kind.to_owned());
        }
        Some(format!(
            "{}/{}",
            branch.object.kind,
            path_to(kind, &branch.owned)?
        ))
    })
}

/// A registry that has nothing.
struct Registry {
    port: u16,
    _serving: JoinSet<()>,
}

impl Registry {
    async fn open() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut socket, _)) = listener.accept().await {
                connections.spawn(async move {
                    let (read, mut write) = socket.split();
                    let mut lines = BufReader::new(read).lines();
                    while let Ok(Some(line)) = lines.next_line().await {
                        if !line.is_empty() {
                            continue;
                        }
                        let answer = "HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n";
                        if write.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Ok(Self {
            port,
            _serving: serving,
        })
    }
}
