//! A release touches and sees its own namespace alone (R4).

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use c7n_helm::{ClusterKinds, EngineError, ReleaseId};
use c7n_testbed::stack::charts::ChartFolder;

use crate::ground::{Ground, install, upgrade};

pub async fn to_its_own_namespace(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("confined").await?;
    let neighbour = ground.namespace("neighbour").await?;
    ground
        .kubectl
        .run(&[
            "create",
            "secret",
            "generic",
            "neighbours-own",
            "-n",
            &neighbour,
            "--from-literal=message=c3RvbGVu",
        ])
        .await?;

    let web = ChartFolder::fixture("web")?;
    for (name, template) in [
        (
            "plain",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: intruder, namespace: NEIGHBOUR}\n",
        ),
        (
            "list",
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: intruder, \
             namespace: NEIGHBOUR}\n",
        ),
        (
            "hook",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: intruder\n  namespace: NEIGHBOUR\n  annotations: \
             {helm.sh/hook: pre-install}\n",
        ),
    ] {
        let chart = web.clone().with(
            "templates/intruder.yaml",
            template.replace("NEIGHBOUR", &neighbour),
        );
        let id = ReleaseId::new(&namespace, name);
        let refused = ground
            .install(install(&id, &ground.pack(&chart)?, ""))
            .await
            .expect_err("it cannot go well");
        assert!(
            matches!(&refused, EngineError::Refused { object, .. } if object == "ConfigMap/intruder"),
            "{name}: {refused}"
        );
        assert!(!ground.is_there(&neighbour, "configmap/intruder").await?);
    }

    let spy = web.with(
        "templates/spy.yaml",
        format!(
            "{{{{- $stolen := lookup \"v1\" \"Secret\" \"{neighbour}\" \"neighbours-own\" }}}}\n{{{{- $all := lookup \"v1\" \
             \"Secret\" \"\" \"\" }}}}\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: found}}\ndata:\n  one: \
             {{{{ len $stolen | quote }}}}\n  all: {{{{ $all | toJson | contains \"neighbours-own\" | quote }}}}\n"
        ),
    );
    let id = ReleaseId::new(&namespace, "spy");
    ground.install(install(&id, &ground.pack(&spy)?, "")).await?;
    let seen = ground.get(&namespace, "configmap/found").await?;
    assert_eq!(seen["data"]["one"], "0");
    assert_eq!(seen["data"]["all"], "false");
    Ok(())
}

pub async fn to_kinds_that_are_allowed(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("kinds").await?;
    let name = format!("admin-{namespace}");
    let role = "ClusterRole.rbac.authorization.k8s.io".to_owned();
    let admin = ChartFolder::fixture("web")?.with(
        "templates/role.yaml",
        format!("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: {name}}}\nrules: []\n"),
    );
    let chart = ground.pack(&admin)?;
    let id = ReleaseId::new(&namespace, "admin");
    let only = |kinds: &[&String]| ClusterKinds::Only(kinds.iter().map(|kind| (*kind).clone()).collect());

    let mut request = install(&id, &chart, "");
    request.deployment.cluster_kinds = only(&[]);
    let refused = ground.install(request).await.expect_err("it cannot go well");
    assert!(
        matches!(&refused, EngineError::Refused { reason, .. } if reason.contains(&role)),
        "{refused}"
    );
    assert!(
        !ground
            .is_there(&namespace, &format!("clusterrole/{name}"))
            .await?
    );
    let mut request = install(&id, &chart, "");
    request.deployment.cluster_kinds = only(&[&role]);
    ground.install(request).await?;
    assert!(
        ground
            .is_there(&namespace, &format!("clusterrole/{name}"))
            .await?
    );
    // Deleting is writing.
    let mut request = upgrade(&id, &ground.chart("web")?, "", 2);
    request.deployment.cluster_kinds = only(&[]);
    let refused = ground.upgrade(request).await.expect_err("it cannot go well");
    assert!(matches!(refused, EngineError::Refused { .. }), "{refused}");

    // Looking is bounded like writing.
    let looks = ChartFolder::fixture("web")?.with(
        "templates/looks.yaml",
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: seen}}\ndata:\n  role: \
             {{{{ len (lookup \"rbac.authorization.k8s.io/v1\" \"ClusterRole\" \"\" \"{name}\") | quote }}}}\n  all: {{{{ len (lookup \
             \"v1\" \"Namespace\" \"\" \"\") | quote }}}}\n  own: {{{{ len (lookup \"v1\" \"Namespace\" \"\" .Release.Namespace) | \
             quote }}}}\n"
        ),
    );
    let looks = ground.pack(&looks)?;
    for (kinds, role_is_seen, release) in [(only(&[]), false, "blind"), (only(&[&role]), true, "sees")] {
        let id = ReleaseId::new(&namespace, release);
        let mut request = install(&id, &looks, "");
        request.deployment.cluster_kinds = kinds;
        ground.install(request).await?;
        let seen = ground.get(&namespace, "configmap/seen").await?;
        assert_eq!(seen["data"]["role"] != "0", role_is_seen, "{seen}");
        assert_eq!(seen["data"]["all"], "0");
        assert_eq!(seen["data"]["own"], "0");
        ground.uninstall(&id, c7n_helm::History::Forget).await?;
    }

    // CRDs of a chart's crds/ are for everybody; where others have installed them, the chart may be.
    let crds = ground.chart("crds")?;
    let id = ReleaseId::new(&namespace, "gadget");
    let mut request = install(&id, &crds, "");
    request.deployment.cluster_kinds = only(&[]);
    let refused = ground
        .install(request.clone())
        .await
        .expect_err("it cannot go well");
    assert!(
        matches!(&refused, EngineError::Refused { object, .. } if object.contains("gadgets.charts.c7n.local")),
        "{refused}"
    );
    let definition = ChartFolder::fixture("crds")?.file("crds/gadget.yaml")?;
    ground.kubectl.apply(&definition).await?;
    ground
        .kubectl
        .run(&[
            "wait",
            "--for=condition=Established",
            "crd/gadgets.charts.c7n.local",
        ])
        .await?;
    ground.install(request).await?;
    ground
        .kubectl
        .run(&["delete", "crd", "gadgets.charts.c7n.local"])
        .await?;
    Ok(())
}

/// Whoever may write Secrets in the namespace may write Helm's records.
pub async fn whatever_its_records_say(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("forged").await?;
    let neighbour = ground.namespace("victim").await?;
    ground
        .kubectl
        .run(&["create", "configmap", "precious", "-n", &neighbour])
        .await?;
    let id = ReleaseId::new(&namespace, "web");
    let chart = ground.chart("web")?;
    ground.install(install(&id, &chart, "")).await?;
    let intruder = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: precious, namespace: {neighbour}}}\ndata: {{mine: now}}\n"
    );
    for (revision, status) in [(2, "deployed"), (3, "superseded")] {
        let record = serde_json::json!({
            "name": "web", "namespace": namespace, "version": revision, "manifest": intruder,
            "info": { "status": status }, "chart": { "metadata": { "name": "web", "version": "1.0.0" } },
        });
        let once = STANDARD.encode(record.to_string());
        let secret = serde_json::json!({
            "apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
            "metadata": {
                "name": format!("sh.helm.release.v1.web.v{revision}"), "namespace": namespace,
                "labels": { "owner": "helm", "name": "web", "version": revision.to_string(), "status": status },
            },
            "data": { "release": STANDARD.encode(once) },
        });
        ground.kubectl.apply(&secret.to_string()).await?;
    }

    let upgraded = ground.upgrade(upgrade(&id, &chart, "", 2)).await;
    assert!(
        matches!(upgraded, Err(EngineError::Refused { .. })),
        "{upgraded:?}"
    );
    let back = ground.rollback(&id, 2).await;
    assert!(matches!(back, Err(EngineError::Refused { .. })), "{back:?}");
    let precious = ground
        .get(&neighbour, "configmap/precious")
        .await
        .context("it is still there")?;
    assert!(precious["data"].is_null(), "{precious}");
    Ok(())
}
