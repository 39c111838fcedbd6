//! Commands: stored, read, cancelled; each ends once.

use c7n_api::CommandState;
use reqwest::StatusCode;
use serde_json::json;

use crate::server::Server;

const COMMANDS: &str = "/projects/shop/environments/staging/commands";

#[tokio::test]
async fn a_command_is_stored_and_ends_once() {
    let server = Server::start().await;
    server.environment("shop").await;
    let object = json!({"group": "apps", "kind": "Deployment", "name": "web"});
    let scale = json!({"action": "scale", "object": object, "replicas": 3});

    let command = server
        .admin()
        .post(COMMANDS, scale.clone())
        .await
        .expect(StatusCode::CREATED);
    let id = command["id"].as_str().unwrap();
    let path = format!("{COMMANDS}/{id}");
    assert_eq!(command["command"], scale);
    assert_eq!(server.admin().get(&path).await.expect(StatusCode::OK), command);

    let cancelled = server.admin().delete(&path).await.expect(StatusCode::OK);
    assert_eq!(cancelled["state"], "cancelled");
    server.admin().delete(&path).await.refused(StatusCode::CONFLICT);
    let mut tx = server.platform.store().write().await.unwrap();
    let late = tx
        .finish_command(id, CommandState::Succeeded, None, Some(&json!({"late": true})))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert!(!late, "the first end counts");
    assert_eq!(server.admin().get(&path).await.body, cancelled);
}

#[tokio::test]
async fn a_viewer_looks_and_changes_nothing() {
    let server = Server::start().await;
    server.environment("shop").await;
    let viewer = server.member("vic", "shop", "viewer").await;
    let object = json!({"kind": "Pod", "name": "web"});
    let look = json!({"action": "get-object", "object": object});
    let delete = json!({"action": "delete-object", "object": object});
    viewer.post(COMMANDS, look).await.expect(StatusCode::CREATED);
    viewer.post(COMMANDS, delete).await.refused(StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_names_no_object_is_refused() {
    let server = Server::start().await;
    server.environment("shop").await;
    for object in [
        json!({"kind": "Pod", "name": ""}),
        json!({"kind": "Pod", "name": "../../secrets/x"}),
        json!({"kind": "Pod/exec", "name": "x"}),
        json!({"kind": "", "name": "x"}),
        json!({"group": "a/b", "kind": "Pod", "name": "x"}),
    ] {
        let command = json!({"action": "delete-object", "object": object});
        server
            .admin()
            .post(COMMANDS, command)
            .await
            .refused(StatusCode::UNPROCESSABLE_ENTITY);
    }
    server
        .admin()
        .post(COMMANDS, json!({"action": "format-disk"}))
        .await
        .refused(StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn the_queue_of_an_agent_has_an_end() {
    let server = Server::start().await;
    server.environment("shop").await;
    for _ in 0..100 {
        server
            .admin()
            .post(COMMANDS, json!({"action": "sync"}))
            .await
            .expect(StatusCode::CREATED);
    }
    server
        .admin()
        .post(COMMANDS, json!({"action": "sync"}))
        .await
        .refused(StatusCode::TOO_MANY_REQUESTS);
}
