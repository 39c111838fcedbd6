//! The committed description is the one that the handlers make.

use reqwest::StatusCode;

use crate::server::Server;

#[test]
fn the_committed_description_has_not_drifted() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let made = c7n_platform::api::document().to_pretty_json().unwrap();
    assert!(
        committed.trim_end() == made,
        "openapi.json has drifted; look at what changed, then run \
         `cargo run -p c7n-platform --bin c7n-server -- openapi > crates/platform/openapi.json`"
    );
}

#[tokio::test]
async fn it_is_served_to_everybody() {
    let server = Server::start().await;
    let served = server
        .stranger()
        .get("/openapi.json")
        .await
        .expect(StatusCode::OK);
    assert_eq!(served["openapi"], "3.1.0");
    assert!(served["paths"]["/api/v1/projects/{project}"]["get"]["security"].is_array());
    assert!(served["paths"]["/api/v1/login"]["post"]["security"].is_null());
}
