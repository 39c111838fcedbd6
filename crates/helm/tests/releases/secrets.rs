//! What a Secret holds is in no error, whoever quotes it (faults 24).

use anyhow::Result;
use c7n_helm::{EngineError, ReleaseId};
use c7n_testbed::stack::charts::ChartFolder;

use crate::ground::{Ground, install};

const CANARY: &str = "canary-c0ffee-4711";

pub async fn never_show_in_an_error(ground: &Ground) -> Result<()> {
    let namespace = ground.namespace("secrets").await?;
    let chart = ground.chart("secret")?;
    for wrong in ["type", "key", "label", "fail"] {
        let id = ReleaseId::new(&namespace, wrong);
        let values = format!("wrong: {wrong}\npassword: {CANARY}\n");

        let error = ground
            .install(install(&id, &chart, &values))
            .await
            .expect_err("it cannot go well");

        assert_clean(&error, wrong);
        if wrong != "fail" {
            assert!(
                matches!(&error, EngineError::Refused { object, .. } if *object == format!("Secret/{wrong}")),
                "{error}"
            );
        }
    }

    // A value that the schema does not take, and values that are no YAML.
    let schema = ground.chart("schema")?;
    for values in [
        format!("pin: {CANARY}\n"),
        format!("pin: [{CANARY}\n"),
        format!("- {CANARY}\n"),
        format!("{CANARY}: {CANARY}: {CANARY}"),
    ] {
        let id = ReleaseId::new(&namespace, "schema");
        let error = ground
            .install(install(&id, &schema, &values))
            .await
            .expect_err("it cannot go well");
        assert_clean(&error, &values);
        assert!(matches!(error, EngineError::Values { .. }), "{error}");
    }

    // A template that gives no YAML, and one whose function quotes its argument.
    for template in [
        "a: {{ .Values.password }}: b\n",
        "kind: {{ .Values.password | atoi | mustToJson | mustFromJson | div 1 0 }}\n",
        "kind: Secret\nmetadata: {name: x}\napiVersion: v1\ndata: {{ .Values.password | quote }}\n",
        "kind: ConfigMap\nmetadata: {name: x}\napiVersion: v1\ndata: {{ .Values.password | quote }}\n",
        "kind: {{ .Values.password | quote }}\nmetadata: {name: x}\napiVersion: v1\n",
        "{{ mustRegexMatch \"(\" .Values.password }}",
        "{{ toDate .Values.password .Values.password | mustToDate .Values.password }}",
    ] {
        let broken = ChartFolder::fixture("secret")?.with("templates/more.yaml", template);
        let id = ReleaseId::new(&namespace, "broken");
        let values = format!("wrong: none\npassword: {CANARY}\n");
        let error = ground
            .install(install(&id, &ground.pack(&broken)?, &values))
            .await
            .expect_err("it cannot go well");
        assert_clean(&error, template);
    }
    Ok(())
}

fn assert_clean(error: &EngineError, case: &str) {
    let encoded = "Y2FuYXJ5LWMwZmZlZS00NzEx";
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(
            !text.contains(CANARY) && !text.contains("c0ffee") && !text.contains(encoded),
            "{case}: {text}"
        );
    }
}
