//! Objects of the kinds that applications are made of: created, changed, deleted, and seen with their health.

use anyhow::{Result, ensure};
use c7n_api::HealthStatus;
use c7n_testbed::stack::eventually;

use crate::stand::{PATIENCE, Stand};

#[tokio::test]
async fn every_kind_is_created_changed_and_deleted() -> Result<()> {
    let stand = Stand::with_cluster("kinds").await?;
    let environment = stand.environment("staging").await?;
    let group = format!("{}.example.com", stand.project);
    for (file, text) in application(&group, "1") {
        environment.copy.write(file, &text)?;
    }
    let first = environment.copy.publish("All kinds").await?;
    stand.converges("staging", &first).await?;
    eventually("healthy objects are counted", PATIENCE, || async {
        let seen = stand.show("staging").await?;
        ensure!(seen.health.healthy > 0, "{:?}", seen.health);
        Ok(())
    })
    .await
    .map_err(|error| stand.explain(error))?;

    let kinds = [
        ("deployment", "web"),
        ("statefulset", "store"),
        ("daemonset", "watcher"),
        ("service", "web"),
        ("ingress", "web"),
        ("configmap", "settings"),
        ("secret", "keys"),
        ("cronjob", "report"),
        ("job", "setup"),
        ("persistentvolumeclaim", "data"),
        ("serviceaccount", "web"),
        ("role", "web"),
        ("rolebinding", "web"),
        ("networkpolicy", "web"),
        ("poddisruptionbudget", "web"),
        ("horizontalpodautoscaler", "web"),
    ];
    let custom = format!("banners.{group}");
    for (kind, name) in kinds.iter().copied().chain([(custom.as_str(), "hello")]) {
        let live = environment.get(kind, name).await?;
        assert_eq!(live["metadata"]["labels"]["round"], "1", "{kind} {name}");
        ensure!(
            live["metadata"]["labels"]["applyset.kubernetes.io/part-of"].is_string(),
            "{kind} {name} is not a member of the ApplySet"
        );
    }
    environment.kubectl.json(&["get", "crd", &custom]).await?;

    for (file, text) in application(&group, "2") {
        // A job's template cannot change, which is Kubernetes' rule and not ours.
        environment.copy.write(file, &text)?;
    }
    let second = environment.copy.publish("All kinds changed").await?;
    stand.converges("staging", &second).await?;
    for (kind, name) in kinds.iter().copied().chain([(custom.as_str(), "hello")]) {
        assert_eq!(
            environment.get(kind, name).await?["metadata"]["labels"]["round"],
            "2",
            "{kind} {name}"
        );
    }

    for (file, _) in application(&group, "2") {
        environment.copy.remove(file)?;
    }
    environment
        .copy
        .write("last.yaml", &crate::stand::config_map("last", "k", "v"))?;
    let third = environment.copy.publish("All kinds deleted").await?;
    eventually("the deletions are held", PATIENCE, || async {
        ensure!(stand.show("staging").await?.held.is_some(), "nothing is held");
        Ok(())
    })
    .await
    .map_err(|error| stand.explain(error))?;
    stand
        .cli
        .run(&[
            "env",
            "confirm-deletions",
            "-p",
            &stand.project,
            "staging",
            "--yes",
        ])
        .await?;
    stand.converges("staging", &third).await?;
    for (kind, name) in kinds {
        environment.disappears(kind, name).await?;
    }
    eventually("the definition is gone", PATIENCE, || async {
        ensure!(
            environment.kubectl.find(&["crd", &custom]).await?.is_none(),
            "it is still there"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn pods_of_a_deployment_are_seen_below_it_and_become_healthy() -> Result<()> {
    let stand = Stand::with_cluster("pods").await?;
    let environment = stand.environment("staging").await?;
    environment
        .copy
        .write("web.yaml", &deployment("1", "c7n.local/sample:1"))?;
    let commit = environment.copy.publish("Web").await?;
    stand.converges("staging", &commit).await?;

    let objects = eventually("the pods are healthy", PATIENCE, || async {
        let objects = stand.objects("staging").await?;
        let healthy = objects
            .iter()
            .filter(|object| object.kind == "Pod" && object.health == HealthStatus::Healthy)
            .count();
        ensure!(healthy == 2, "{objects:#?}");
        Ok(objects)
    })
    .await
    .map_err(|error| stand.explain(error))?;
    let of = |kind: &str| {
        objects
            .iter()
            .find(|object| object.kind == kind)
            .expect("it is listed")
    };
    assert_eq!(of("Pod").owners[0].uid, of("ReplicaSet").uid);
    assert_eq!(of("ReplicaSet").owners[0].uid, of("Deployment").uid);
    assert!(of("Deployment").managed && !of("Pod").managed);
    assert_eq!(of("Deployment").file.as_deref(), Some("web.yaml"));

    // An image that nobody has: the pod says so in words.
    environment
        .copy
        .write("web.yaml", &deployment("2", "c7n.local/no-such-image:9"))?;
    environment.copy.publish("A wrong image").await?;
    if stand.has_real_node("east").await? {
        eventually("the missing image is named", PATIENCE, || async {
            let objects = stand.objects("staging").await?;
            let told = objects.iter().any(|object| {
                object.kind == "Pod"
                    && object
                        .message
                        .as_ref()
                        .is_some_and(|message| message.contains("Image"))
            });
            ensure!(told, "{objects:#?}");
            Ok(())
        })
        .await
        .map_err(|error| stand.explain(error))?;
    }
    Ok(())
}

fn deployment(round: &str, image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  labels: {{round: \"{round}\"}}\nspec:\n  replicas: 2\n  \
         selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    spec:\n      containers:\n        \
         - name: web\n          image: {image}\n          imagePullPolicy: IfNotPresent\n"
    )
}

fn application(group: &str, round: &str) -> Vec<(&'static str, String)> {
    let meta = |name: &str| format!("metadata:\n  name: {name}\n  labels: {{round: \"{round}\"}}\n");
    let pod = "    metadata: {labels: {app: x}}\n    spec:\n      containers:\n        - {name: x, image: c7n.local/sample:1, imagePullPolicy: IfNotPresent}\n";
    vec![
        ("web/deployment.yaml", deployment(round, "c7n.local/sample:1")),
        (
            "web/service.yaml",
            format!(
                "apiVersion: v1\nkind: Service\n{}spec:\n  selector: {{app: web}}\n  ports: [{{port: 80, targetPort: 8080}}]\n",
                meta("web")
            ),
        ),
        (
            "web/ingress.yaml",
            format!(
                "apiVersion: networking.k8s.io/v1\nkind: Ingress\n{}spec:\n  rules:\n    - host: web.example.com\n      http:\n        paths:\n          \
                 - {{path: /, pathType: Prefix, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}\n",
                meta("web")
            ),
        ),
        (
            "web/settings.yaml",
            format!(
                "apiVersion: v1\nkind: ConfigMap\n{}data: {{round: \"{round}\"}}\n---\napiVersion: v1\nkind: Secret\n{}stringData: {{password: \"{round}\"}}\n",
                meta("settings"),
                meta("keys")
            ),
        ),
        (
            "web/rights.yaml",
            format!(
                "apiVersion: v1\nkind: ServiceAccount\n{m}---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\n{m}rules: [{{apiGroups: [\"\"], resources: [configmaps], verbs: [get]}}]\n---\n\
                 apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\n{m}roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: web}}\nsubjects: [{{kind: ServiceAccount, name: web}}]\n",
                m = meta("web")
            ),
        ),
        (
            "web/limits.yaml",
            format!(
                "apiVersion: v1\nkind: List\nitems:\n  - apiVersion: policy/v1\n    kind: PodDisruptionBudget\n    metadata: {{name: web, labels: {{round: \"{round}\"}}}}\n    \
                 spec: {{minAvailable: 1, selector: {{matchLabels: {{app: web}}}}}}\n  - apiVersion: networking.k8s.io/v1\n    kind: NetworkPolicy\n    \
                 metadata: {{name: web, labels: {{round: \"{round}\"}}}}\n    spec: {{podSelector: {{}}, policyTypes: [Egress], egress: [{{}}]}}\n  \
                 - apiVersion: autoscaling/v2\n    kind: HorizontalPodAutoscaler\n    metadata: {{name: web, labels: {{round: \"{round}\"}}}}\n    \
                 spec: {{scaleTargetRef: {{apiVersion: apps/v1, kind: StatefulSet, name: store}}, maxReplicas: 2}}\n"
            ),
        ),
        (
            "store/store.yaml",
            format!(
                "apiVersion: apps/v1\nkind: StatefulSet\n{}spec:\n  serviceName: store\n  selector: {{matchLabels: {{app: x}}}}\n  template:\n{pod}",
                meta("store")
            ),
        ),
        (
            "store/claim.yaml",
            format!(
                "apiVersion: v1\nkind: PersistentVolumeClaim\n{}spec:\n  accessModes: [ReadWriteOnce]\n  resources: {{requests: {{storage: 10Mi}}}}\n",
                meta("data")
            ),
        ),
        (
            "jobs/watcher.yaml",
            format!(
                "apiVersion: apps/v1\nkind: DaemonSet\n{}spec:\n  selector: {{matchLabels: {{app: x}}}}\n  template:\n{pod}",
                meta("watcher")
            ),
        ),
        (
            "jobs/report.yaml",
            format!(
                "apiVersion: batch/v1\nkind: CronJob\n{}spec:\n  schedule: \"0 3 * * *\"\n  jobTemplate:\n    spec:\n      template:\n        spec:\n          restartPolicy: Never\n          \
                 containers: [{{name: report, image: \"c7n.local/sample:1\", args: [job]}}]\n",
                meta("report")
            ),
        ),
        (
            "jobs/setup.yaml",
            format!(
                "apiVersion: batch/v1\nkind: Job\n{}spec:\n  template:\n    spec:\n      restartPolicy: Never\n      \
                 containers: [{{name: setup, image: \"c7n.local/sample:1\", args: [job]}}]\n",
                meta("setup")
            ),
        ),
        (
            "banner/definition.yaml",
            format!(
                "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n{}spec:\n  group: {group}\n  scope: Namespaced\n  \
                 names: {{plural: banners, singular: banner, kind: Banner}}\n  versions:\n    - name: v1\n      served: true\n      storage: true\n      schema:\n        \
                 openAPIV3Schema: {{type: object, properties: {{spec: {{type: object, properties: {{text: {{type: string}}}}}}}}}}\n",
                meta(&format!("banners.{group}"))
            ),
        ),
        (
            "banner/hello.yaml",
            format!(
                "apiVersion: {group}/v1\nkind: Banner\n{}spec: {{text: hello {round}}}\n",
                meta("hello")
            ),
        ),
    ]
}
