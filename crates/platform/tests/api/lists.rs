//! What is listed and what can be read are one rule: no list shows what `GET` would refuse, and none hides what it gives.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use reqwest::StatusCode;
use serde_json::json;

use crate::server::Server;

const PROJECTS: usize = 6;
const PEOPLE: usize = 4;

#[tokio::test]
async fn no_list_shows_what_get_refuses() {
    let server = Server::start().await;
    let admin = server.admin();
    for p in 0..PROJECTS {
        server.project(&format!("p-{p}")).await;
    }
    let mut people = Vec::new();
    for n in 0..PEOPLE {
        people.push(server.user(&format!("u-{n}")).await);
    }
    let role = prop_oneof![
        Just(None),
        Just(Some("viewer")),
        Just(Some("developer")),
        Just(Some("owner"))
    ];
    let roles = prop::collection::vec(role, PROJECTS * PEOPLE);
    let mut runner = TestRunner::deterministic();
    for _ in 0..8 {
        let roles = roles.new_tree(&mut runner).unwrap().current();
        for (at, role) in roles.iter().enumerate() {
            let path = format!("/projects/p-{}/members/u-{}", at % PROJECTS, at / PROJECTS);
            match role {
                Some(role) => drop(
                    admin
                        .put(&path, json!({"role": role}))
                        .await
                        .expect(StatusCode::OK),
                ),
                None => drop(admin.delete(&path).await),
            }
        }
        for (n, person) in people.iter().enumerate() {
            let listed = person.get("/projects").await.expect(StatusCode::OK);
            let listed: Vec<_> = listed
                .as_array()
                .unwrap()
                .iter()
                .map(|p| p["name"].clone())
                .collect();
            for p in 0..PROJECTS {
                let name = format!("p-{p}");
                let member = roles[n * PROJECTS + p].is_some();
                assert_eq!(
                    listed.contains(&json!(name)),
                    member,
                    "{name} in the list of u-{n}"
                );
                for below in ["", "/clusters", "/environments", "/members"] {
                    let status = person.get(&format!("/projects/{name}{below}")).await.status;
                    let meant = if member {
                        StatusCode::OK
                    } else {
                        StatusCode::NOT_FOUND
                    };
                    assert_eq!(status, meant, "{name}{below} for u-{n}");
                }
            }
        }
    }
}
