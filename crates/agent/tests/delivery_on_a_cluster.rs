//! What a pass of delivery does to a real API server, and what the state index notices of it.

mod ground;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use c7n_agent::cluster::Discovery;
use c7n_agent::delivery::{Converged, Delivery, DeliveryContext, RetryNeed};
use c7n_agent::environments::{EnvironmentId, clear, prepare_namespace};
use c7n_agent::session::Outgoing;
use c7n_agent::state::StateIndex;
use c7n_git::{CommitId, Mirror, Remote, Transport};
use c7n_link::messages::{EnvironmentSpec, ObjectResult, Outcome, Removal};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use ground::Cluster;

const PATIENCE: Duration = Duration::from_secs(60);

/// One cluster for all promises: starting one takes seconds.
#[tokio::test(flavor = "multi_thread")]
async fn delivery_on_a_cluster() -> Result<()> {
    let ground = Ground {
        cluster: Cluster::start("delivery").await?,
        folder: tempfile::tempdir()?,
    };

    a_commit_is_applied_and_a_second_pass_writes_nothing(&ground)
        .await
        .context("apply")?;
    only_what_changed_is_written_and_what_is_gone_is_deleted(&ground)
        .await
        .context("change")?;
    a_broken_file_holds_back_only_itself(&ground)
        .await
        .context("broken file")?;
    drift_is_noticed_and_repaired(&ground).await.context("drift")?;
    fields_of_others_are_not_stolen(&ground)
        .await
        .context("conflict")?;
    an_autoscaler_keeps_its_replicas(&ground)
        .await
        .context("autoscaler")?;
    a_definition_and_its_objects_come_in_one_commit(&ground)
        .await
        .context("definition")?;
    an_unknown_kind_says_what_to_do(&ground)
        .await
        .context("unknown kind")?;
    a_mass_deletion_waits_for_a_word(&ground)
        .await
        .context("mass deletion")?;
    what_is_held_outlives_the_agent_and_the_next_commit(&ground)
        .await
        .context("held deletions and a restart")?;
    a_removal_that_keeps_the_namespace_takes_the_inventory_along(&ground)
        .await
        .context("removal")?;
    a_damaged_mirror_is_fetched_anew(&ground)
        .await
        .context("damaged mirror")?;
    words_about_a_secret_quote_no_value(&ground)
        .await
        .context("secret")?;
    one_file_of_a_thousand(&ground)
        .await
        .context("a thousand files")?;
    an_agent_that_may_see_only_its_namespaces_delivers_all_the_same(&ground)
        .await
        .context("few rights")?;
    Ok(())
}

struct Ground {
    cluster: Cluster,
    folder: tempfile::TempDir,
}

impl Ground {
    /// An environment of its own, whose agent has just started.
    async fn environment(&self, name: &str) -> Result<Environment<'_>> {
        let repository = self.folder.path().join(name);
        std::fs::create_dir_all(&repository)?;
        git(&repository, &["init", "--quiet", "--initial-branch", "main"]).await?;
        let remote = Remote::new(repository.to_str().context("a plain path")?, Transport::Local);
        let mirror = Mirror::open(self.folder.path().join(format!("{name}.mirror")), remote).await?;
        let spec = EnvironmentSpec {
            environment_id: format!("id-{name}"),
            project: "p".into(),
            name: name.into(),
            namespace: name.into(),
            allowed_cluster_kinds: vec!["CustomResourceDefinition.apiextensions.k8s.io".into()],
            ..EnvironmentSpec::default()
        };
        prepare_namespace(&self.cluster.access.client(), None, &spec)
            .await
            .map_err(|it| anyhow::anyhow!(it.0))?;
        let agent = Agent::start(self.cluster.access.client(), &spec).await?;
        Ok(Environment {
            ground: self,
            repository,
            mirror,
            spec,
            agent,
        })
    }
}

/// What an agent has in memory of one environment.
struct Agent {
    delivery: Delivery,
    state: StateIndex,
    drift: Arc<Notify>,
    stop: CancellationToken,
}

impl Agent {
    async fn start(client: Client, spec: &EnvironmentSpec) -> Result<Self> {
        let stop = CancellationToken::new();
        let discovery = Discovery::start(client.clone()).await?;
        let tracker = TaskTracker::new();
        let outgoing = Outgoing::detached();
        let state = StateIndex::new(
            client.clone(),
            discovery.clone(),
            outgoing,
            &tracker,
            stop.clone(),
        );
        tracker.spawn(discovery.clone().keep_fresh(stop.clone()));
        let id = EnvironmentId::new(&spec.environment_id).context("a plain id")?;
        let drift = state.environment_added(&id, &spec.namespace);
        let context = DeliveryContext {
            client,
            discovery,
            state: state.clone(),
            apply_permits: Arc::new(Semaphore::new(16)),
        };
        Ok(Self {
            delivery: Delivery::new(context, spec),
            state,
            drift,
            stop,
        })
    }
}

struct Environment<'a> {
    ground: &'a Ground,
    repository: PathBuf,
    mirror: Mirror,
    spec: EnvironmentSpec,
    agent: Agent,
}

impl Environment<'_> {
    fn write(&self, file: &str, text: &str) -> Result<()> {
        Ok(std::fs::write(self.repository.join(file), text)?)
    }

    fn delete(&self, file: &str) -> Result<()> {
        Ok(std::fs::remove_file(self.repository.join(file))?)
    }

    async fn commit(&self) -> Result<CommitId> {
        git(&self.repository, &["add", "--all"]).await?;
        git(
            &self.repository,
            &["commit", "--quiet", "--allow-empty", "--message", "change"],
        )
        .await?;
        let fetched = self.mirror.fetch(&["refs/heads/main"]).await?;
        fetched.refs["refs/heads/main"].context("there is a commit")
    }

    async fn converge(&mut self, commit: &CommitId) -> Converged {
        let cancel = CancellationToken::new();
        Box::pin(
            self.agent
                .delivery
                .converge(&self.mirror, commit, &self.spec, &cancel),
        )
        .await
    }

    async fn deliver(&mut self) -> Result<Converged> {
        let commit = self.commit().await?;
        Ok(self.converge(&commit).await)
    }

    async fn restart(&mut self) -> Result<()> {
        self.restart_as(self.ground.cluster.access.client()).await
    }

    async fn restart_as(&mut self, client: Client) -> Result<()> {
        self.agent.stop.cancel();
        self.agent = Agent::start(client, &self.spec).await?;
        Ok(())
    }

    async fn get(&self, what: &str) -> Result<Value> {
        self.ground
            .cluster
            .get(&format!("-n {} {what}", self.spec.namespace))
            .await
    }

    async fn run(&self, line: &str) -> Result<String> {
        self.ground
            .cluster
            .run(&format!("-n {} {line}", self.spec.namespace))
            .await
    }

    /// Waits for the watch to notice, and for it to be quiet again.
    async fn drifted(&self) -> Result<()> {
        timeout(PATIENCE, self.agent.drift.notified())
            .await
            .context("no drift was noticed")
    }

    async fn versions(&self) -> Result<BTreeMap<String, String>> {
        let list = self.get("deployments,configmaps,secrets").await?;
        let items = list["items"].as_array().context("a list")?;
        let name = |item: &Value, key: &str| item["metadata"][key].as_str().unwrap_or_default().to_owned();
        Ok(items
            .iter()
            .filter(|item| item["metadata"]["labels"]["choerodon.io/env"].is_string())
            .map(|item| {
                (
                    format!("{} {}", item["kind"], name(item, "name")),
                    name(item, "resourceVersion"),
                )
            })
            .collect())
    }
}

async fn git(folder: &Path, arguments: &[&str]) -> Result<()> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")])
        .envs([("GIT_AUTHOR_NAME", "A"), ("GIT_AUTHOR_EMAIL", "a@b.c")])
        .envs([("GIT_COMMITTER_NAME", "A"), ("GIT_COMMITTER_EMAIL", "a@b.c")])
        .output()
        .await?;
    ensure!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  key: \"{value}\"\n")
}

fn deployment(name: &str, replicas: u32) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\nspec:\n  replicas: {replicas}\n  selector:\n    \
         matchLabels: {{app: {name}}}\n  template:\n    metadata:\n      labels: {{app: {name}}}\n    spec:\n      \
         containers:\n        - name: web\n          image: sample\n          resources: {{requests: {{cpu: 1000m}}}}\n"
    )
}

fn outcomes(converged: &Converged) -> Vec<String> {
    let tell = |it: &ObjectResult| format!("{:?} {} {}", it.outcome(), it.key.kind, it.key.name);
    let mut told: Vec<String> = converged.report.objects.iter().map(tell).collect();
    told.sort();
    told
}

#[track_caller]
fn complete(converged: &Converged) {
    assert_eq!(converged.retry, RetryNeed::Complete, "{:?}", converged.report);
}

fn only(converged: &Converged, outcome: Outcome) -> &ObjectResult {
    let mut found = converged
        .report
        .objects
        .iter()
        .filter(|it| it.outcome() == outcome);
    let first = found
        .next()
        .unwrap_or_else(|| panic!("no {outcome:?} in {:?}", converged.report));
    assert!(found.next().is_none(), "{:?}", converged.report);
    first
}

async fn a_commit_is_applied_and_a_second_pass_writes_nothing(ground: &Ground) -> Result<()> {
    let mut environment = ground.environment("first").await?;
    environment.write("web.yaml", &deployment("web", 2))?;
    environment.write("settings.yaml", &config_map("settings", "0644"))?;
    environment.write(
        "secret.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {password: x}\n",
    )?;
    let commit = environment.commit().await?;

    let converged = environment.converge(&commit).await;

    complete(&converged);
    assert_eq!(
        outcomes(&converged),
        [
            "Applied ConfigMap settings",
            "Applied Deployment web",
            "Applied Secret db"
        ]
    );
    let applied = &converged.report.objects[0];
    assert_eq!((applied.file.as_str(), applied.line), ("settings.yaml", 1));
    let web = environment.get("deployment web").await?;
    assert_eq!(web["metadata"]["labels"]["choerodon.io/env"], "id-first");
    assert_eq!(
        web["metadata"]["annotations"]["choerodon.io/commit"],
        commit.to_string()
    );
    let parent = environment.get("secret c7n-environment").await?;
    let annotations = &parent["metadata"]["annotations"];
    assert_eq!(
        annotations["applyset.kubernetes.io/contains-group-kinds"],
        "ConfigMap,Deployment.apps,Secret"
    );
    let id = &parent["metadata"]["labels"]["applyset.kubernetes.io/id"];
    assert_eq!(web["metadata"]["labels"]["applyset.kubernetes.io/part-of"], *id);

    for restart in [false, true] {
        if restart {
            environment.restart().await?;
        }
        let before = environment.versions().await?;
        let again = environment.converge(&commit).await;
        complete(&again);
        assert_eq!(outcomes(&again), [""; 0], "restarted: {restart}");
        assert_eq!(environment.versions().await?, before, "restarted: {restart}");
    }
    Ok(())
}

async fn only_what_changed_is_written_and_what_is_gone_is_deleted(ground: &Ground) -> Result<()> {
    let mut environment = ground.environment("change").await?;
    environment.write("a.yaml", &config_map("a", "1"))?;
    environment.write("b.yaml", &config_map("b", "1"))?;
    environment.write("web.yaml", &deployment("web", 0))?;
    complete(&environment.deliver().await?);

    environment.write("a.yaml", &config_map("a", "2"))?;
    environment.delete("web.yaml")?;
    let converged = environment.deliver().await?;

    complete(&converged);
    assert_eq!(
        outcomes(&converged),
        ["Applied ConfigMap a", "Pruned Deployment web"]
    );
    assert_eq!(only(&converged, Outcome::Pruned).file, "web.yaml");
    assert_eq!(environment.get("configmap a").await?["data"]["key"], "2");
    assert!(environment.get("deployment web").await.is_err());
    let parent = environment.get("secret c7n-environment").await?;
    assert_eq!(
        parent["metadata"]["annotations"]["applyset.kubernetes.io/contains-group-kinds"],
        "ConfigMap"
    );
    Ok(())
}

async fn a_broken_file_holds_back_only_itself(ground: &Ground) -> Result<()> {
    let mut environment = ground.environment("broken").await?;
    environment.write("a.yaml", &config_map("a", "1"))?;
    environment.write("b.yaml", &config_map("b", "1"))?;
    complete(&environment.deliver().await?);

    environment.write("a.yaml", "kind: [\n")?;
    environment.write("b.yaml", &config_map("b", "2"))?;
    environment.write(
        "c.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: kube-system}\n",
    )?;
    let converged = environment.deliver().await?;

    assert_eq!(converged.retry, RetryNeed::Waits);
    assert_eq!(outcomes(&converged), ["Applied ConfigMap b"]);
    let files: Vec<&str> = converged
        .report
        .file_errors
        .iter()
        .map(|it| it.file.as_str())
        .collect();
    assert_eq!(files, ["a.yaml", "c.yaml"]);
    assert_eq!(
        environment.get("configmap a").await?["data"]["key"],
        "1",
        "as it was"
    );
    assert!(ground.cluster.get("-n kube-system configmap c").await.is_err());
    Ok(())
}

async fn drift_is_noticed_and_repaired(ground: &Ground) -> Result<()> {
    let mut environment = ground.environment("drift").await?;
    environment.write("a.yaml", &config_map("a", "1"))?;
    environment.write("web.yaml", &deployment("web", 0))?;
    let commit = environment.commit().await?;
    complete(&environment.converge(&commit).await);
    // The watch has shown what was written, and that was no drift.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(
        timeout(Duration::from_millis(10), environment.agent.drift.notified())
            .await
            .is_err()
    );

    environment
        .run("patch configmap a --type=merge -p {\"data\":{\"key\":\"by-hand\"}}")
        .await?;
    environment.drifted().await?;
    let repaired = environment.converge(&commit).await;
    complete(&repaired);
    assert_eq!(only(&repaired, Outcome::Applied).code, "repaired");
    assert_eq!(environment.get("configmap a").await?["data"]["key"], "1");

    environment.run("delete configmap a").await?;
    environment.drifted().await?;
    complete(&environment.converge(&commit).await);
    assert_eq!(environment.get("configmap a").await?["data"]["key"], "1");

    // While no agent looked.
    environment.agent.stop.cancel();
    environment.run("scale deployment web --replicas=3").await?;
    environment.restart().await?;
    let repaired = environment.converge(&commit).await;
    assert_eq!(outcomes(&repaired), ["Applied Deployment web"]);
    assert_eq!(environment.get("deployment web").await?["spec"]["replicas"], 0);
    complete(&environment.converge(&commit).await);
    Ok(())
}

async fn fields_of_others_are_not_stolen(ground: &Ground) -> Result<()> {
    let mut environment = ground.environment("conflict").await?;
    let theirs = config_map("a", "theirs");
    let arguments = [
        "-n",
        "conflict",
        "apply",
        "--server-side",
        "--field-manager=other",
        "-f",
        "-",
    ];
    ground
        .cluster
        .kubectl()
        .kubectl_with_input(arguments, theirs.as_bytes())
        .await?;
    environment.write("a.yaml", &config_map("a", "ours"))?;
    environment.write("b.yaml", &config_map("b", "1"))?;
    let commit = environment.commit().await?;

    for _ in 0..2 {
        let converged = environment.converge(&commit).await;
        assert_eq!(converged.retry, RetryNeed::Again);
        let failed = only(&converged, Outcome::Failed);
        assert_eq!(failed.code, "conflict");
        assert!(
            failed.message.contains(".data.key by \"other\""),
            "{}",
            failed.message
        );
        assert_eq!(environment.get("configmap a").await?["data"]["key"], "theirs");
    }
    assert_eq!(
        environment.get("configmap b").await?["data"]["key"],
        "1",
        "the rest goes on"
    );

    // Who takes a field again and again wins in the end, and it is told.
    environment.delete("a.yaml")?;
    let commit = environment.commit().await?;
    complete(&environment.converge(&commit).await);
    let forced = [
        "-n",
        "conflict",
        "apply",
        "--server-side",
        "--field-manager=other",
        "--force-conflicts",
        "-f",
        "-",
    ];
    let mut last = None;
    for round in 0..4 {
        let theirs = config_map("b", &format!("theirs-{round}"));
        ground
            .cluster
            .kubectl()
            .kubectl_with_input(forced, theirs.as_bytes())
            .await?;
        environment.drifted().await?;
        last = Some(environment.converge(&commit).await);
    }
    let last = last.context("there were rounds")?;
    assert_eq!(only(&last, Outcome::Failed).code, "conflict");
    assert_eq!(environment.get("configmap b").await?["data"]["key"], "theirs-3");
    Ok(())
}

async fn an_autoscaler_keeps_its_replicas(ground: &Ground) -> Result<()> {
    let mut environment = ground.environment("autoscaler").await?;
    environment.write("web.yaml", &deployment("web", 0))?;
    let commit = environment.commit().await?;
    complete(&environment.converge(&commit).await);
    let path =
        "/apis/apps/v1/namespaces/autoscaler/deployments/web/scale?fieldManager=kube-controller-manager";
    let scale = environment.run(&format!("get --raw {path}")).await?;
    let mut scale: Value = serde_json::from_str(&scale)?;
    scale["spec"]["replicas"] = 2.into();
    // Whatever the Deployment's controller has written meanwhile.
    scale["metadata"]["resourceVersion"].take();
    let arguments = ["replace", "--raw", path, "-f", "-"];
    ground
        .cluster
        .kubectl()
        .kubectl_with_input(arguments, scale.to_string().as_bytes())
        .await?;
    environment.drifted().await?;

    let converged = environment.converge(&commit).await;

    let failed = only(&converged, Outcome::Failed);
    assert!(
        failed
            .message
            .contains(".spec.replicas by \"kube-controller-manager\" (scale)"),
        "{}",
        failed.message
    );
    assert_eq!(environment.get("deployment web").await?["spec"]["replicas"], 2);
    Ok(())
}

const DEFINITION: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  names: {kind: Widget, plural: widgets}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}
"#;

fn widget(size: &str) -> String {
    format!("apiVersion: example.com/v1\nkind: Widget\nmetadata: {{name: w}}\nspec: {{size: {size}}}\n")
}

async fn a_definition_and_its_objects_come_in_one_commit(ground: &Ground) -> Result<()> {
    let mut environment = ground.environment("definition").await?;
    environment.write("a-widget.yaml", &widget("1"))?;
    environment.write("z-crd.yaml", DEFINITION)?;
    let converged = environment.deliver().await?;
    complete(&converged);
    assert_eq!(environment.get("widget w").await?["spec"]["size"], 1);

    // A kind that was applied is watched.
    environment.run("delete widget w").await?;
    environment.drifted().await?;
    let commit = environment.commit().await?;
    assert_eq!(
        outcomes(&environment.converge(&commit).await),
        ["Applied Widget w"]
    );

    environment.write("a-widget.yaml", &widget("big"))?;
    let converged = environment.deliver().await?;
    assert_eq!(only(&converged, Outcome::Failed).code, "invalid");

    environment.delete("a-widget.yaml")?;
    let converged = environment.deliver().await?;
    complete(&converged);
    assert_eq!(outcomes(&converged), ["Pruned Widget w"]);
    Ok(())
}

async fn an_unknown_kind_says_what_to_do(ground: &Ground) -> Result<()> {
    let mut environment = ground.environment("unknown").await?;
    environment.write(
        "foo.yaml",
        "apiVersion: bar.io/v1\nkind: Foo\nmetadata: {name: f}\n",
    )?;
    environment.write("a.yaml", &config_map("a", "1"))?;
    let converged = environment.deliver().await?;
    assert_eq!(converged.retry, RetryNeed::Again);
    let failed = only(&converged, Outcome::Failed);
    assert_eq!(
        (failed.code.as_str(), failed.file.as_str()),
        ("unknown-kind", "foo.yaml")
    );
    assert!(
        failed
            .message
            .starts_with("no kind \"Foo\" in group \"bar.io/v1\" on this cluster"),
        "{}",
        failed.message
    );
    assert!(environment.get("configmap a").await.is_ok());
    Ok(())
}

async fn a_mass_deletion_waits_for_a_word(ground: &Ground) -> Result<()> {
    let mut environment = ground.environment("mass").await?;
    for number in 0..10 {
        environment.write(&format!("{number}.yaml"), &config_map(&format!("c{number}"), "1"))?;
    }
    complete(&environment.deliver().await?);
    (0..10).try_for_each(|number| environment.delete(&format!("{number}.yaml")))?;
    let commit = environment.commit().await?;

    let held = environment.converge(&commit).await;
    assert_eq!(held.retry, RetryNeed::Waits);
    let question = held.report.held.context("a question")?;
    assert_eq!((question.count, question.total), (10, 10));
    assert!(environment.get("configmap c0").await.is_ok());

    environment.spec.confirmed_commit = commit.to_string();
    let converged = environment.converge(&commit).await;
    complete(&converged);
    assert!(environment.get("configmap c0").await.is_err());
    Ok(())
}

async fn what_is_held_outlives_the_agent_and_the_next_commit(ground: &Ground) -> Result<()> {
    let mut environment = ground.environment("remembered").await?;
    for number in 0..10 {
        environment.write(&format!("{number}.yaml"), &config_map(&format!("c{number}"), "1"))?;
    }
    complete(&environment.deliver().await?);
    // Half of it goes, and so much comes that half is a sixth afterwards.
    (0..5).try_for_each(|number| environment.delete(&format!("{number}.yaml")))?;
    (10..30).try_for_each(|number| {
        environment.write(&format!("{number}.yaml"), &config_map(&format!("c{number}"), "1"))
    })?;
    let commit = environment.commit().await?;

    // An agent that is stopped before its first write has asked already: none of them can make the question small.
    let stopped = CancellationToken::new();
    stopped.cancel();
    let delivery = &mut environment.agent.delivery;
    Box::pin(delivery.converge(&environment.mirror, &commit, &environment.spec, &stopped)).await;
    assert!(environment.get("configmap c10").await.is_err());
    let parent = environment.get("secret c7n-environment").await?;
    let asked = &parent["metadata"]["annotations"]["choerodon.io/held-deletions"];
    assert!(
        asked.as_str().is_some_and(|asked| asked.contains("\"c4\"")),
        "{asked}"
    );

    environment.restart().await?;
    let held = environment.converge(&commit).await;
    assert_eq!(held.report.held.map(|held| held.count), Some(5));
    assert!(environment.get("configmap c10").await.is_ok());

    environment.restart().await?;
    let held = environment.converge(&commit).await;
    let held = held.report.held.context("still a question after a restart")?;
    assert_eq!((held.count, held.total), (5, 30));

    environment.write("30.yaml", &config_map("c30", "1"))?;
    let commit = environment.commit().await?;
    let held = environment.converge(&commit).await;
    assert_eq!(
        held.report.held.map(|held| held.count),
        Some(5),
        "the next commit asks too"
    );
    assert!(environment.get("configmap c0").await.is_ok());

    environment.spec.confirmed_commit = commit.to_string();
    environment.restart().await?;
    complete(&environment.converge(&commit).await);
    assert!(environment.get("configmap c0").await.is_err());
    let parent = environment.get("secret c7n-environment").await?;
    assert!(parent["metadata"]["annotations"]["choerodon.io/held-deletions"].is_null());
    Ok(())
}

async fn a_removal_that_keeps_the_namespace_takes_the_inventory_along(ground: &Ground) -> Result<()> {
    let mut environment = ground.environment("kept").await?;
    environment.write("a.yaml", &config_map("a", "1"))?;
    complete(&environment.deliver().await?);
    environment.run("create configmap theirs").await?;
    assert!(environment.get("secret c7n-environment").await.is_ok());

    environment.spec.removal = Removal::KeepNamespace.into();
    let client = ground.cluster.access.client();
    let discovery = Discovery::start(client.clone()).await?;
    let cleared = async {
        while let Err(obstacle) = clear(&client, &discovery, &environment.spec).await {
            eprintln!("not yet: {}", obstacle.0);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, cleared).await.context("it is not cleared")?;

    assert!(environment.get("configmap a").await.is_err());
    assert!(environment.get("secret c7n-environment").await.is_err());
    assert!(environment.get("configmap theirs").await.is_ok());
    let namespace = ground.cluster.get("namespace kept").await?;
    assert!(namespace["metadata"]["labels"]["choerodon.io/env"].is_null());
    Ok(())
}

async fn a_damaged_mirror_is_fetched_anew(ground: &Ground) -> Result<()> {
    let mut environment = ground.environment("damaged").await?;
    environment.write("a.yaml", &config_map("a", "1"))?;
    let commit = environment.commit().await?;
    // What a power cut may leave: a reference without what it shows.
    let objects = environment.mirror.repository().path().join("objects");
    for folder in std::fs::read_dir(&objects)?.flatten() {
        for file in std::fs::read_dir(folder.path())?.flatten() {
            std::fs::remove_file(file.path())?;
        }
    }

    let failed = environment.converge(&commit).await;
    assert_eq!(failed.retry, RetryNeed::Again);
    environment.mirror.fetch(&["refs/heads/main"]).await?;

    complete(&environment.converge(&commit).await);
    Ok(())
}

async fn words_about_a_secret_quote_no_value(ground: &Ground) -> Result<()> {
    let mut environment = ground.environment("secret").await?;
    let bad = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\ntype: kubernetes.io/dockerconfigjson\n";
    for content in [
        "data: {password: canary-value}\n",
        "data: {password: {x: canary-value}}\n",
        "stringData: {a: canary-value}\n",
    ] {
        environment.write("secret.yaml", &format!("{bad}{content}"))?;
        let converged = environment.deliver().await?;
        let failed = only(&converged, Outcome::Failed);
        ensure!(!failed.message.contains("canary"), "{}", failed.message);
        ensure!(
            failed.message.contains("refused the Secret"),
            "{}",
            failed.message
        );
    }
    Ok(())
}

async fn one_file_of_a_thousand(ground: &Ground) -> Result<()> {
    let mut environment = ground.environment("thousand").await?;
    for number in 0..1_000 {
        environment.write(&format!("{number}.yaml"), &config_map(&format!("c{number}"), "1"))?;
    }
    let commit = environment.commit().await?;
    let begun = Instant::now();
    complete(&environment.converge(&commit).await);
    eprintln!(
        "1,000 objects: {:?}; {} objects known",
        begun.elapsed(),
        environment.agent.state.len()
    );
    let begun = Instant::now();
    assert_eq!(outcomes(&environment.converge(&commit).await), [""; 0]);
    eprintln!("nothing changed: {:?}", begun.elapsed());
    for round in 2..7 {
        environment.write("500.yaml", &config_map("c500", &round.to_string()))?;
        let commit = environment.commit().await?;
        let begun = Instant::now();
        let converged = environment.converge(&commit).await;
        eprintln!("one file changed: {:?}", begun.elapsed());
        assert_eq!(outcomes(&converged), ["Applied ConfigMap c500"]);
    }
    environment.restart().await?;
    let commit = environment.commit().await?;
    let begun = Instant::now();
    assert_eq!(outcomes(&environment.converge(&commit).await), [""; 0]);
    eprintln!("after a restart: {:?}", begun.elapsed());
    Ok(())
}

async fn an_agent_that_may_see_only_its_namespaces_delivers_all_the_same(ground: &Ground) -> Result<()> {
    let mut environment = ground.environment("narrow").await?;
    environment.run("create serviceaccount agent").await?;
    environment
        .run("create rolebinding agent --clusterrole=admin --serviceaccount=narrow:agent")
        .await?;
    let kubeconfig = Kubeconfig::read_from(&ground.cluster.kubectl().kubeconfig)?;
    let mut settings =
        kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    settings.auth_info.impersonate = Some("system:serviceaccount:narrow:agent".into());
    environment.restart_as(Client::try_from(settings)?).await?;

    environment.write("a.yaml", &config_map("a", "1"))?;
    environment.write("b.yaml", &config_map("b", "1"))?;
    let commit = environment.commit().await?;
    complete(&environment.converge(&commit).await);

    environment.run("delete configmap a").await?;
    environment.drifted().await?;
    assert_eq!(
        outcomes(&environment.converge(&commit).await),
        ["Applied ConfigMap a"]
    );
    environment.delete("a.yaml")?;
    assert_eq!(outcomes(&environment.deliver().await?), ["Pruned ConfigMap a"]);
    Ok(())
}
