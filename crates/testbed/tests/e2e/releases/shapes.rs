//! Charts of several shapes, through the whole product.

use anyhow::Result;
use serde_json::Value;

use super::{Scene, Wish};

#[tokio::test]
async fn charts_of_every_shape_are_deployed_and_removed() -> Result<()> {
    let scene = Scene::new("shapes").await?;
    let shapes = [
        "umbrella", "library", "lookup", "crds", "stateful", "many", "kinds",
    ];
    let mut wishes = Vec::new();
    for shape in shapes {
        scene.publish(shape)?;
        wishes.push(Wish::new(&format!("x-{shape}"), shape, "1.0.0"));
    }
    let text = "x".repeat(500_000);
    wishes.push(Wish::new("x-text", "many", "1.0.0").values(&format!("objects: 1\ntext: {text}")));

    scene
        .push(&wishes.iter().collect::<Vec<_>>(), "All shapes")
        .await?;
    for wish in &wishes {
        scene.deployed(&wish.name, 1).await?;
    }
    let mut listed = scene.listed().await?;
    listed.sort();
    let mut names: Vec<&str> = wishes.iter().map(|wish| wish.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(listed, names);

    let set = scene.environment.get("statefulset", "x-stateful").await?;
    assert_eq!(
        set["spec"]["template"]["metadata"]["labels"]["choerodon.io/release"],
        "x-stateful"
    );
    let claims = set["spec"]["volumeClaimTemplates"].to_string();
    assert!(!claims.contains("choerodon.io"), "{claims}");
    let maps: Value = scene
        .environment
        .kubectl
        .json(&[
            "get",
            "configmaps",
            "-n",
            &scene.environment.namespace,
            "-l",
            "choerodon.io/release=x-many",
        ])
        .await?;
    assert_eq!(maps["items"].as_array().map(Vec::len), Some(300));

    // Few at a time: many at once would wait for a person's word.
    for few in wishes.chunks(4) {
        for wish in few {
            scene.environment.copy.remove(&format!("{}.yaml", wish.name))?;
        }
        let commit = scene.environment.copy.publish("Remove some").await?;
        scene.stand.converges("staging", &commit).await?;
    }
    for wish in &wishes {
        scene
            .environment
            .disappears("c7nhelmrelease", &wish.name)
            .await
            .map_err(|error| scene.stand.explain(error))?;
    }
    assert!(scene.listed().await?.is_empty());
    Ok(())
}
