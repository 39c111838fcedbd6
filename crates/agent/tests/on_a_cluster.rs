//! What the agent does to a cluster besides delivery, on a real API server: namespaces, commands, kinds.

mod ground;

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use c7n_agent::cluster::{Discovery, KindName};
use c7n_agent::commands::{
    CarryOut, CommandId, Hands, Ledger, ObjectName, Order, OrderEnd, OrderResult, Places, Verb,
};
use c7n_agent::environments::{EnvironmentId, Synced, clear, prepare_namespace};
use c7n_agent::releases::Orders;
use c7n_link::messages::{EnvironmentSpec, Removal};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use ground::Cluster;

const PATIENCE: Duration = Duration::from_secs(60);

/// One cluster for all promises: starting one takes seconds.
#[tokio::test(flavor = "multi_thread")]
async fn the_agent_on_a_cluster() -> Result<()> {
    let ground = Ground::start().await?;

    a_namespace_is_made_adopted_or_refused(&ground)
        .await
        .context("namespaces")?;
    a_removal_deletes_what_is_the_environments_and_nothing_else(&ground)
        .await
        .context("removal")?;
    commands_do_what_they_say_and_once(&ground)
        .await
        .context("commands")?;
    a_new_kind_is_found_without_a_restart(&ground)
        .await
        .context("kinds")?;
    the_program_waits_for_its_platform_and_stops_when_asked(&ground)
        .await
        .context("program")?;
    Ok(())
}

struct Ground {
    cluster: Cluster,
    discovery: Discovery,
}

impl Ground {
    async fn start() -> Result<Self> {
        let cluster = Cluster::start("agent").await?;
        let discovery = Discovery::start(cluster.access.client()).await?;
        Ok(Self { cluster, discovery })
    }

    async fn apply(&self, manifest: &str) -> Result<()> {
        self.cluster
            .kubectl()
            .kubectl_with_input(["apply", "-f", "-"], manifest.as_bytes())
            .await?;
        Ok(())
    }

    async fn json(&self, what: &str) -> Result<Value> {
        self.cluster.get(what).await
    }

    async fn is_there(&self, what: &str) -> bool {
        self.json(what).await.is_ok()
    }

    async fn prepare(&self, spec: &EnvironmentSpec) -> Result<(), String> {
        prepare_namespace(&self.cluster.access.client(), None, spec)
            .await
            .map_err(|obstacle| obstacle.0)
    }

    /// Clears until that goes well, as the agent does.
    async fn clear(&self, spec: &EnvironmentSpec) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            match clear(&self.cluster.access.client(), &self.discovery, spec).await {
                Ok(()) => return Ok(()),
                Err(obstacle) if Instant::now() > end => anyhow::bail!("still not cleared: {}", obstacle.0),
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    }
}

fn spec(id: &str, namespace: &str, removal: Removal) -> EnvironmentSpec {
    EnvironmentSpec {
        environment_id: id.into(),
        project: "shop".into(),
        name: id.into(),
        namespace: namespace.into(),
        removal: removal.into(),
        ..EnvironmentSpec::default()
    }
}

async fn a_namespace_is_made_adopted_or_refused(ground: &Ground) -> Result<()> {
    let first = spec("e1", "made", Removal::No);
    ground.prepare(&first).await.map_err(anyhow::Error::msg)?;
    ground.prepare(&first).await.map_err(anyhow::Error::msg)?;
    let made = ground.json("namespace made").await?;
    assert_eq!(made["metadata"]["labels"]["choerodon.io/env"], "e1");
    assert_eq!(
        made["metadata"]["annotations"]["choerodon.io/created-by"],
        "c7n-agent"
    );

    let refused = ground
        .prepare(&spec("e2", "made", Removal::No))
        .await
        .expect_err("the namespace has an owner");
    assert!(
        refused.contains("belongs to the environment shop/e1"),
        "{refused}"
    );
    assert!(
        ground
            .prepare(&spec("e2", "kube-system", Removal::No))
            .await
            .is_err()
    );

    ground.cluster.run("create namespace adopted").await?;
    ground
        .prepare(&spec("e2", "adopted", Removal::No))
        .await
        .map_err(anyhow::Error::msg)?;
    let adopted = ground.json("namespace adopted").await?;
    assert_eq!(adopted["metadata"]["labels"]["choerodon.io/env"], "e2");
    assert_eq!(
        adopted["metadata"]["annotations"]["choerodon.io/created-by"],
        Value::Null
    );
    Ok(())
}

fn config_map(name: &str, namespace: &str, labels: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}, labels: {{{labels}}}}}\n"
    )
}

async fn a_removal_deletes_what_is_the_environments_and_nothing_else(ground: &Ground) -> Result<()> {
    let member = "applyset.kubernetes.io/part-of: applyset-x, choerodon.io/env: e2";
    ground.apply(&config_map("ours", "adopted", member)).await?;
    ground.apply(&config_map("theirs", "adopted", "app: x")).await?;
    ground.apply(&config_map("ours", "default", member)).await?;

    // An adopted namespace is never deleted, even if that is asked for.
    ground
        .clear(&spec("e2", "adopted", Removal::DeleteNamespace))
        .await?;
    assert!(!ground.is_there("configmap ours -n adopted").await);
    assert!(ground.is_there("configmap theirs -n adopted").await);
    assert!(
        ground.is_there("configmap ours -n default").await,
        "another namespace is another's"
    );
    let released = ground.json("namespace adopted").await?;
    assert_eq!(released["metadata"]["labels"]["choerodon.io/env"], Value::Null);

    ground
        .clear(&spec("e1", "made", Removal::DeleteNamespace))
        .await?;
    assert!(!ground.is_there("namespace made").await);
    ground
        .clear(&spec("e1", "made", Removal::DeleteNamespace))
        .await
        .context("clearing again")?;
    Ok(())
}

/// One environment, `e3` in the namespace `work`.
struct Work;

impl Places for Work {
    fn namespace(&self, id: &EnvironmentId) -> Option<String> {
        (id.as_str() == "e3").then(|| "work".to_owned())
    }

    fn ask_sync(&self, _: &EnvironmentId) -> Option<oneshot::Receiver<Synced>> {
        None
    }
}

async fn commands_do_what_they_say_and_once(ground: &Ground) -> Result<()> {
    ground.cluster.run("create namespace work").await?;
    ground.apply(DEPLOYMENT).await?;
    ground
        .apply(
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: work}\nstringData: {p: canary}\n",
        )
        .await?;
    let folder = tempfile::tempdir()?;
    let ledger = Ledger::open(folder.path())?;
    let hands = Hands::new(
        ground.cluster.access.client(),
        ground.discovery.clone(),
        Work,
        Orders::detached(),
    );
    let give = async |id: &str, verb: Verb| -> OrderResult {
        let order = Order {
            id: CommandId::new(id).expect("a plain id"),
            environment: EnvironmentId::new("e3").expect("a plain id"),
            verb,
            deadline: Instant::now() + PATIENCE,
        };
        hands.carry_out(&order, &ledger).await
    };
    let web = || object("apps", "Deployment", "web");

    // Restart: twice the same order is one rollout.
    for _ in 0..2 {
        let done = give(
            "c1",
            Verb::Restart {
                object: web(),
                created_ms: 1_700_000_000_000,
            },
        )
        .await;
        assert_eq!(done.end, OrderEnd::Succeeded, "{done:?}");
    }
    let deployment = ground.json("deployment web -n work").await?;
    assert_eq!(
        deployment["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"],
        "2023-11-14T22:13:20Z"
    );
    assert_eq!(deployment["metadata"]["generation"], 2);

    // Scale, until Git owns the number.
    let done = give(
        "c2",
        Verb::Scale {
            object: web(),
            replicas: 3,
        },
    )
    .await;
    assert_eq!(done.end, OrderEnd::Succeeded, "{done:?}");
    assert_eq!(
        ground.json("deployment web -n work").await?["spec"]["replicas"],
        3
    );
    let owned = "apply --server-side --force-conflicts --field-manager=c7n-agent -f -";
    ground
        .cluster
        .kubectl()
        .kubectl_with_input(owned.split(' '), DEPLOYMENT.as_bytes())
        .await?;
    let refused = give(
        "c3",
        Verb::Scale {
            object: web(),
            replicas: 5,
        },
    )
    .await;
    assert!(
        refused.end == OrderEnd::Failed && refused.message.contains("written in Git"),
        "{refused:?}"
    );

    // Get: a Secret's values stay.
    let got = give(
        "c4",
        Verb::GetObject {
            object: object("", "Secret", "s"),
        },
    )
    .await;
    let secret = got.answer.context("an answer")?;
    assert_eq!(secret["data"], serde_json::json!({ "p": null }));
    assert!(!secret.to_string().contains("Y2FuYXJ5"));

    // Delete: an order that is repeated does not hit the successor.
    assert_eq!(
        give(
            "c5",
            Verb::DeleteObject {
                object: object("", "Secret", "s")
            }
        )
        .await
        .end,
        OrderEnd::Succeeded
    );
    ground
        .apply("apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: work}\n")
        .await?;
    assert_eq!(
        give(
            "c5",
            Verb::DeleteObject {
                object: object("", "Secret", "s")
            }
        )
        .await
        .end,
        OrderEnd::Succeeded
    );
    assert!(ground.is_there("secret s -n work").await);

    // What cannot be is said with words.
    for (verb, words) in [
        (
            Verb::GetObject {
                object: object("", "ConfigMap", "none"),
            },
            "there is no ConfigMap/none",
        ),
        (
            Verb::GetObject {
                object: object("", "Node", "n"),
            },
            "whole cluster",
        ),
        (
            Verb::GetObject {
                object: object("x.io", "Foo", "f"),
            },
            "no kind \"Foo\" in group \"x.io\"",
        ),
        (
            Verb::Restart {
                object: object("", "Secret", "s"),
                created_ms: 1,
            },
            "cannot be restarted",
        ),
        (
            Verb::Scale {
                object: object("", "Secret", "s"),
                replicas: 1,
            },
            "no replicas",
        ),
    ] {
        let failed = give("c6", verb).await;
        assert!(
            failed.end == OrderEnd::Failed && failed.message.contains(words),
            "{words}: {failed:?}"
        );
    }
    Ok(())
}

fn object(group: &str, kind: &str, name: &str) -> ObjectName {
    ObjectName {
        kind: KindName::new(group, kind),
        name: name.into(),
    }
}

async fn a_new_kind_is_found_without_a_restart(ground: &Ground) -> Result<()> {
    let shutdown = CancellationToken::new();
    let watching = tokio::spawn(ground.discovery.clone().keep_fresh(shutdown.clone()));
    let widget = KindName::new("example.com", "Widget");
    assert!(ground.discovery.find(&widget).await?.is_none());

    let mut changes = ground.discovery.changes();
    ground.apply(DEFINITION).await?;

    let appears = async {
        while changes.borrow_and_update().preferred(&widget).is_none() {
            changes.changed().await?;
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, appears)
        .await
        .context("the kind is not found")??;
    shutdown.cancel();
    watching.await?;
    Ok(())
}

async fn the_program_waits_for_its_platform_and_stops_when_asked(ground: &Ground) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_c7n-agent"));
        command
            // Nobody listens here.
            .args([
                "--connect=ws://127.0.0.1:9/agent/",
                "--cluster-id=c1",
                "--log-format=json",
                "--kubeconfig",
            ])
            .arg(&ground.cluster.kubectl().kubeconfig)
            .arg("--data-dir")
            .arg(folder.path())
            .env("C7N_TOKEN", "canary-token")
            .env("C7N_LOG", "trace")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command.spawn()
    };
    let mut first = start()?;
    let mut lines = BufReader::new(first.stderr.take().context("a log")?).lines();
    let mut log = String::new();
    let dialled = async {
        while let Some(line) = lines.next_line().await? {
            log.push_str(&line);
            if line.contains("cannot be reached") {
                return Ok(());
            }
        }
        anyhow::bail!("the program ended: {log}")
    };
    timeout(PATIENCE, dialled)
        .await
        .context("the program does not dial")??;

    let second = timeout(PATIENCE, start()?.wait_with_output()).await??;
    let refusal = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(
        !second.status.success() && refusal.contains("another agent already runs"),
        "{refusal}"
    );

    let pid = first.id().context("it runs")?.to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .await?
            .success()
    );
    let rest = async {
        while let Ok(Some(line)) = lines.next_line().await {
            log.push_str(&line)
        }
    };
    timeout(PATIENCE, rest).await?;
    assert!(timeout(PATIENCE, first.wait()).await??.success());
    assert!(!log.contains("canary-token"), "the token is in the log");
    Ok(())
}

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: work}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: example.com/web:1}]}
";

const DEFINITION: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";
