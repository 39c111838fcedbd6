//! Nothing is dropped for its size.

use anyhow::Result;

use crate::stand::Stand;

#[tokio::test]
async fn an_object_of_more_than_a_mebibyte_goes_there_and_comes_back() -> Result<()> {
    let stand = Stand::with_cluster("big").await?;
    let environment = stand.environment("staging").await?;
    // Text that does not compress, just below what a ConfigMap may hold.
    let mut state = 1_u64;
    let noise: String = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + u8::try_from(state >> 59).unwrap_or_default() % 26)
    })
    .take(1_040_000)
    .collect();
    let manifest = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: big\n  annotations: {{more: \"{}\"}}\ndata:\n  noise: \"{noise}\"\n",
        "x".repeat(30_000)
    );
    environment.copy.write("big.yaml", &manifest)?;
    let commit = environment.copy.publish("Big").await?;
    stand.converges("staging", &commit).await?;

    let text = stand
        .cli
        .run(&[
            "env",
            "get",
            "-p",
            &stand.project,
            "staging",
            "ConfigMap",
            "big",
            "-o",
            "json",
        ])
        .await?;

    assert!(text.len() > 1 << 20, "the answer has {} bytes", text.len());
    let object: serde_json::Value = serde_json::from_str(&text)?;
    assert_eq!(object["data"]["noise"], noise);
    Ok(())
}
