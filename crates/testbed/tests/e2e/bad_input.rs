//! What is wrong is told by file and line, and harms nothing else.

use anyhow::Result;
use c7n_testbed::stack::eventually;

use crate::stand::{PATIENCE, Stand, StandEnvironment, config_map};

const BROKEN: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: broken\n data: [\n";

#[tokio::test]
async fn a_broken_file_keeps_what_it_described_and_holds_back_only_itself() -> Result<()> {
    let stand = Stand::with_cluster("broken").await?;
    let environment = stand.environment("staging").await?;
    environment
        .copy
        .write("good.yaml", &config_map("good", "k", "1"))?;
    environment
        .copy
        .write("fragile.yaml", &config_map("fragile", "k", "1"))?;
    let first = environment.copy.publish("Both good").await?;
    stand.converges("staging", &first).await?;

    environment.copy.write("fragile.yaml", BROKEN)?;
    environment
        .copy
        .write("good.yaml", &config_map("good", "k", "2"))?;
    environment.copy.write("new.yaml", &config_map("new", "k", "1"))?;
    let second = environment.copy.publish("One broken").await?;

    let errors = stand
        .errors_become("staging", &[("fragile.yaml", 5, "yaml-syntax")])
        .await?;
    assert_eq!(errors[0].commit, second);
    value_becomes(&environment, "good", "2").await?;
    environment.appears("configmap", "new").await?;
    assert_eq!(environment.get("configmap", "fragile").await?["data"]["k"], "1");
    let seen = stand.show("staging").await?;
    assert!(
        !seen.converged,
        "an environment with a broken file is not converged"
    );
    assert_eq!(
        seen.commits.parsed.as_deref(),
        Some(second.as_str()),
        "devops-sync moves all the same"
    );
    assert_eq!(
        environment.tag("agent-sync").await?.as_deref(),
        Some(first.as_str()),
        "agent-sync does not"
    );

    environment
        .copy
        .write("fragile.yaml", &config_map("fragile", "k", "3"))?;
    let third = environment.copy.publish("Mended").await?;
    stand.converges("staging", &third).await?;
    assert!(stand.errors("staging").await?.is_empty());
    value_becomes(&environment, "fragile", "3").await
}

#[tokio::test]
async fn a_foreign_namespace_and_a_cluster_scoped_kind_are_refused_by_line() -> Result<()> {
    let stand = Stand::with_cluster("foreign").await?;
    let environment = stand.environment("staging").await?;
    environment.copy.write(
        "foreign.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: intruder\n  namespace: kube-system\n",
    )?;
    environment.copy.write(
        "admin.yaml",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata:\n  name: intruder\n\
         roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\n",
    )?;
    environment
        .copy
        .write("good.yaml", &config_map("good", "k", "1"))?;
    environment.copy.publish("An intruder").await?;

    let errors = stand
        .errors_become(
            "staging",
            &[
                ("admin.yaml", 1, "cluster-scoped"),
                ("foreign.yaml", 5, "foreign-namespace"),
            ],
        )
        .await?;
    environment.appears("configmap", "good").await?;
    assert!(
        environment
            .kubectl
            .find(&["-n", "kube-system", "configmap", "intruder"])
            .await?
            .is_none()
    );
    assert!(
        environment
            .kubectl
            .find(&["clusterrolebinding", "intruder"])
            .await?
            .is_none()
    );
    let foreign = errors
        .iter()
        .find(|error| error.file == "foreign.yaml")
        .map(|error| error.message.clone());
    assert!(
        foreign.is_some_and(|text| text.contains("kube-system") && text.contains(&environment.namespace))
    );
    Ok(())
}

#[tokio::test]
async fn an_unknown_kind_and_a_refused_object_fail_alone_and_are_tried_again() -> Result<()> {
    let stand = Stand::with_cluster("refused").await?;
    let environment = stand.environment("staging").await?;
    environment.copy.write(
        "unknown.yaml",
        "# a kind that comes later\napiVersion: later.example.com/v1\nkind: Latecomer\nmetadata:\n  name: late\n",
    )?;
    environment.copy.write(
        "refused.yaml",
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: refused\nspec:\n  ports:\n    - port: 700000\n",
    )?;
    environment
        .copy
        .write("good.yaml", &config_map("good", "k", "1"))?;
    let first = environment.copy.publish("Two that fail").await?;

    environment.appears("configmap", "good").await?;
    let errors = eventually("both failures are shown", PATIENCE, || async {
        let errors = stand.errors("staging").await?;
        anyhow::ensure!(errors.len() == 2, "the errors are {errors:#?}");
        Ok(errors)
    })
    .await
    .map_err(|error| stand.explain(error))?;
    let of = |file: &str| errors.iter().find(|error| error.file == file).cloned();
    let unknown = of("unknown.yaml").expect("the unknown kind is reported");
    assert_eq!(unknown.line, 2);
    assert!(unknown.message.contains("Latecomer"), "{}", unknown.message);
    let refused = of("refused.yaml").expect("the refused object is reported");
    assert!(
        refused.message.contains("700000") || refused.message.contains("65535"),
        "{}",
        refused.message
    );
    assert_ne!(
        environment.tag("agent-sync").await?.as_deref(),
        Some(first.as_str())
    );

    // The kind arrives by other hands: the object is delivered without a new push.
    environment
        .kubectl
        .apply(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: latecomers.later.example.com\n\
             spec:\n  group: later.example.com\n  scope: Namespaced\n  names: {plural: latecomers, singular: latecomer, kind: Latecomer}\n  \
             versions:\n    - name: v1\n      served: true\n      storage: true\n      schema:\n        openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}\n",
        )
        .await?;
    environment
        .appears("latecomers.later.example.com", "late")
        .await?;
    environment.copy.write(
        "refused.yaml",
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: refused\nspec:\n  ports:\n    - port: 7000\n",
    )?;
    let second = environment.copy.publish("Mended").await?;
    stand.converges("staging", &second).await?;
    environment
        .kubectl
        .run(&["delete", "crd", "latecomers.later.example.com"])
        .await?;
    Ok(())
}

#[tokio::test]
async fn two_files_that_claim_one_object_are_both_reported() -> Result<()> {
    let stand = Stand::with_cluster("claim").await?;
    let environment = stand.environment("staging").await?;
    environment.copy.write("a.yaml", &config_map("same", "k", "a"))?;
    environment.copy.write("b.yaml", &config_map("same", "k", "b"))?;
    environment.copy.write("c.yaml", &config_map("other", "k", "c"))?;
    environment.copy.publish("Twice").await?;

    stand
        .errors_become(
            "staging",
            &[
                ("a.yaml", 1, "duplicate-object"),
                ("b.yaml", 1, "duplicate-object"),
            ],
        )
        .await?;
    environment.appears("configmap", "other").await?;
    assert!(environment.find("configmap", "same").await?.is_none());
    Ok(())
}

async fn value_becomes(environment: &StandEnvironment, name: &str, value: &str) -> Result<()> {
    eventually(&format!("{name} becomes {value}"), PATIENCE, || async {
        let live = environment.get("configmap", name).await?;
        anyhow::ensure!(live["data"]["k"] == value, "it is {}", live["data"]);
        Ok(())
    })
    .await
}
