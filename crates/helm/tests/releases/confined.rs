//! A release touches and sees its own namespace alone (R4).

use anyhow::Result;
use c7n_helm::{EngineError, ReleaseId};
use c7n_testbed::stack::charts::ChartFolder;

use crate::ground::{Ground, install};

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
