//! What is deployed by a call: a commit like every other, in the name of who asked.

use c7n_link::messages::{Health, ObjectKey, ObjectState, Say};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::chart::{Chart, web};
use crate::repository::{Clone, config_map};
use crate::server::{Answer, Person, answer};
use crate::shop::{STAGING, Shop, activation};

const VALUES: &str = "# how many\nreplicas: 1\nimage:\n  tag: \"7\"\n  pull: Always\n";

async fn shop_with_web(versions: &[(&str, &str)]) -> Shop {
    let shop = Shop::open().await;
    shop.server
        .admin()
        .post("/projects/shop/apps", json!({"name": "web"}))
        .await
        .expect(StatusCode::CREATED);
    for (version, values) in versions {
        publish(&shop, web(version, values)).await;
    }
    shop
}

async fn publish(shop: &Shop, archive: Vec<u8>) {
    let request = shop
        .server
        .admin()
        .request(Method::POST, "/projects/shop/charts")
        .header("content-type", "application/gzip")
        .body(archive);
    answer(request).await.expect(StatusCode::CREATED);
}

async fn call(person: &Person, path: &str, body: Value) -> Answer {
    person.post(&format!("{STAGING}/instances{path}"), body).await
}

/// It worked, and this is the commit.
fn commit(answer: Answer) -> String {
    let body = answer.expect(StatusCode::OK);
    body["commit"]
        .as_str()
        .unwrap_or_else(|| panic!("{body}"))
        .to_owned()
}

async fn show(clone: &Clone, revision: &str) -> String {
    clone
        .git(&["--git-dir", clone.bare_path().to_str().unwrap(), "show", revision])
        .await
}

async fn file(clone: &Clone, name: &str) -> String {
    show(clone, &format!("main:{name}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_a_commit_that_goes_the_way_of_a_push() {
    let mut shop = shop_with_web(&[("1.2.0", VALUES), ("1.3.0", VALUES)]).await;
    let developer = shop.server.member("dev", "shop", "developer").await;
    let clone = shop.clone().await;
    let asked =
        json!({"chart": {"app": "web", "version": "~1.2"}, "values": {"values": "# mine\nreplicas: 2"}});

    let mut dry = asked.clone();
    dry["mode"] = json!("dry-run");
    let shown = call(&developer, "", dry).await.expect(StatusCode::OK);
    assert_eq!(
        (&shown["commit"], &shown["unwritten"]),
        (&Value::Null, &json!("dry-run"))
    );
    assert_eq!(clone.bare().resolve("refs/heads/main").unwrap(), None);

    let done = call(&developer, "", asked.clone()).await.expect(StatusCode::OK);
    let first = done["commit"].as_str().unwrap().to_owned();
    shop.agent.wanted(&first).await;

    assert_eq!(clone.devops_sync(), Some(first.clone()));
    let text = file(&clone, "releases/web.yaml").await;
    insta::assert_snapshot!("release", text.replace(&shop.server.url(), "URL"));
    assert_eq!(shown["diff"], done["diff"]);
    assert_eq!(
        done["changes"],
        json!([{"change": "create", "group": "choerodon.io", "kind": "C7NHelmRelease", "name": "web", "file": "releases/web.yaml"}])
    );
    let history = shop.get(&format!("{STAGING}/history")).await;
    assert_eq!(history["items"][0]["commit"]["author"], "dev");
    assert_eq!(history["items"][0]["commit"]["subject"], "Deploy web: web 1.2.0");
    let audited: Vec<(String, String, String)> =
        sqlx::query_as("SELECT actor, verb, resource FROM audit WHERE verb = 'deploy'")
            .fetch_all(shop.server.platform.store().readers())
            .await
            .unwrap();
    assert_eq!(audited.len(), 1);
    assert_eq!(
        (audited[0].0.as_str(), audited[0].1.as_str()),
        ("user:dev", "deploy")
    );
    assert!(audited[0].2.contains(&first), "{audited:?}");

    // The same again is nothing new.
    let again = call(&developer, "", asked).await.expect(StatusCode::OK);
    assert_eq!(again["unwritten"], "nothing-to-change");
    assert_eq!(
        clone
            .bare()
            .resolve("refs/heads/main")
            .unwrap()
            .unwrap()
            .to_string(),
        first
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_who_may_push_deploy() {
    let shop = shop_with_web(&[("1.2.0", VALUES)]).await;
    let viewer = shop.server.member("vic", "shop", "viewer").await;
    let stranger = shop.server.user("str").await;
    let asked = json!({"chart": {"app": "web"}});
    call(&viewer, "", asked.clone())
        .await
        .refused(StatusCode::FORBIDDEN);
    call(&stranger, "", asked.clone())
        .await
        .refused(StatusCode::NOT_FOUND);
    call(&shop.server.holder_of(&shop.credential), "", asked)
        .await
        .refused(StatusCode::UNAUTHORIZED);
    for path in ["/web/upgrade", "/web/rollback", "/web/stop", "/web/start"] {
        call(&viewer, path, json!({}))
            .await
            .refused(StatusCode::FORBIDDEN);
    }
    viewer
        .delete(&format!("{STAGING}/instances/web"))
        .await
        .refused(StatusCode::FORBIDDEN);
    let put = json!({"content": "a: 1\n", "expected": null});
    viewer
        .put(&format!("{STAGING}/files/a.yaml"), put)
        .await
        .refused(StatusCode::FORBIDDEN);
}

const HAND_WRITTEN: &str = "\
# The front of the shop. Ask ann before you touch it.
apiVersion: v1
kind: ConfigMap
metadata: {name: motd}   # flow style, as somebody likes it
data: {text: hello}
---
apiVersion: choerodon.io/v1alpha1
kind: C7NHelmRelease
metadata:
  name: web
spec:
  repoUrl: \"URL/charts/shop\"
  chartName: web
  # 1.3 needs the new gateway
  chartVersion: 1.2.0   # pinned
  values: |
    # two for now
    replicas: 2

# that was all
";

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_somebody_wrote_stays_theirs() {
    let mut shop = shop_with_web(&[("1.2.0", VALUES), ("1.3.0", VALUES)]).await;
    let clone = shop.clone().await;
    let written = HAND_WRITTEN.replace("URL", &shop.server.url());
    clone.write("front/all.yaml", &written);
    shop.agent.wanted(&clone.publish().await).await;
    let admin = shop.server.admin();

    let upgraded = commit(call(&admin, "/web/upgrade", json!({"chart": {"version": "1.3.0"}})).await);
    shop.agent.wanted(&upgraded).await;
    let now = file(&clone, "front/all.yaml").await;
    assert_eq!(
        format!("{now}\n"),
        written.replace("chartVersion: 1.2.0   # pinned", "chartVersion: 1.3.0   # pinned")
    );

    commit(call(&admin, "/web/stop", json!({})).await);
    assert_eq!(
        format!("{}\n", file(&clone, "front/all.yaml").await),
        format!("{now}\n").replace("    replicas: 2\n", "    replicas: 2\n  stopped: true\n")
    );
    commit(call(&admin, "/web/start", json!({})).await);
    assert_eq!(file(&clone, "front/all.yaml").await, now);

    let back = commit(call(&admin, "/web/rollback", json!({"to": clone.head().await})).await);
    assert_eq!(format!("{}\n", file(&clone, "front/all.yaml").await), written);
    shop.agent.wanted(&back).await;

    let gone = admin.delete(&format!("{STAGING}/instances/web")).await;
    let gone = commit(gone);
    shop.agent.wanted(&gone).await;
    let left = file(&clone, "front/all.yaml").await;
    assert!(
        left.starts_with("# The front of the shop.") && !left.contains("C7NHelmRelease"),
        "{left}"
    );
    // What was deleted comes back from history.
    call(&admin, "/web/rollback", json!({}))
        .await
        .refused(StatusCode::NOT_FOUND);
    commit(call(&admin, "/web/rollback", json!({"to": &back[..10]})).await);
    assert_eq!(format!("{}\n", file(&clone, "front/all.yaml").await), written);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_goes_one_change_back_and_forth() {
    let shop = shop_with_web(&[("1.2.0", VALUES), ("1.3.0", VALUES)]).await;
    let admin = shop.server.admin();
    let clone = shop.clone().await;
    commit(call(&admin, "", json!({"chart": {"app": "web", "version": "1.2.0"}})).await);
    let first = file(&clone, "releases/web.yaml").await;
    commit(call(&admin, "/web/upgrade", json!({})).await);
    let second = file(&clone, "releases/web.yaml").await;
    assert_ne!(first, second);
    // Commits of others between do not count.
    let other = json!({"content": config_map("a", "1"), "expected": null});
    commit(admin.put(&format!("{STAGING}/files/a.yaml"), other).await);

    let done = call(&admin, "/web/rollback", json!({}))
        .await
        .expect(StatusCode::OK);
    assert_eq!(done["version"], "1.2.0");
    assert_eq!(file(&clone, "releases/web.yaml").await, first);
    commit(call(&admin, "/web/rollback", json!({})).await);
    assert_eq!(file(&clone, "releases/web.yaml").await, second);
    call(&admin, "/web/rollback", json!({"to": "ffffffff"}))
        .await
        .refused(StatusCode::NOT_FOUND);

    let deleted = commit(admin.delete(&format!("{STAGING}/instances/web")).await);
    assert_eq!(
        clone.bare().tree(&deleted.parse().unwrap()).unwrap().files.len(),
        1
    );
    commit(call(&admin, "/web/rollback", json!({})).await);
    assert_eq!(file(&clone, "releases/web.yaml").await, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_deploy_at_once_all_get_their_commit() {
    let shop = shop_with_web(&[("1.2.0", VALUES)]).await;
    let clone = shop.clone().await;
    let calls = (0..6).map(|number| {
        let admin = shop.server.admin();
        tokio::spawn(async move {
            let asked = json!({"name": format!("web-{number}"), "chart": {"app": "web"}});
            commit(call(&admin, "", asked).await)
        })
    });
    let mut commits = std::collections::BTreeSet::new();
    for call in calls.collect::<Vec<_>>() {
        commits.insert(call.await.unwrap());
    }
    assert_eq!(commits.len(), 6);
    let head = clone.bare().resolve("refs/heads/main").unwrap().unwrap();
    assert_eq!(clone.bare().tree(&head).unwrap().files.len(), 6);
    let fsck = [
        "--git-dir",
        clone.bare_path().to_str().unwrap(),
        "fsck",
        "--strict",
        "--no-dangling",
    ];
    assert_eq!(clone.git(&fsck).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_written_by_who_has_seen_it_and_only_if_it_can_be_delivered() {
    let mut shop = Shop::open().await;
    let clone = shop.clone().await;
    let admin = shop.server.admin();
    let path = format!("{STAGING}/files/conf%2Fa.yaml");
    let put = |content: &str, expected: Value| json!({"content": content, "expected": expected, "message": "Say hello"});

    let made = commit(admin.put(&path, put(&config_map("a", "1"), Value::Null)).await);
    shop.agent.wanted(&made).await;
    admin
        .put(&path, put(&config_map("a", "2"), Value::Null))
        .await
        .refused(StatusCode::CONFLICT);
    let there = admin.get(&path).await.expect(StatusCode::OK);
    assert_eq!(
        (&there["content"], &there["commit"]),
        (&json!(config_map("a", "1")), &json!(made))
    );
    let blob = there["blob"].clone();
    assert_eq!(
        shop.get(&format!("{STAGING}/files")).await[0]["path"],
        "conf/a.yaml"
    );

    let broken = admin
        .put(
            &path,
            put("apiVersion: v1\nkind: ConfigMap\nmetadata: [\n", blob.clone()),
        )
        .await;
    let broken = broken.refused(StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        broken["title"].as_str().unwrap().starts_with("conf/a.yaml:4:"),
        "{broken}"
    );
    let foreign = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: kube-system\n";
    let foreign = admin.put(&path, put(foreign, blob.clone())).await;
    let foreign = foreign.refused(StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        foreign["title"].as_str().unwrap().starts_with("conf/a.yaml:5:"),
        "{foreign}"
    );
    let twice = format!("{STAGING}/files/b.yaml");
    admin
        .put(&twice, put(&config_map("a", "2"), Value::Null))
        .await
        .refused(StatusCode::UNPROCESSABLE_ENTITY);
    for bad in ["..%2Fx.yaml", ".git%2Fconfig", "conf"] {
        let bad = format!("{STAGING}/files/{bad}");
        let answer = admin.put(&bad, put("x", Value::Null)).await;
        assert_eq!(
            answer.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{bad} {}",
            answer.body
        );
    }
    assert_eq!(
        clone
            .bare()
            .resolve("refs/heads/main")
            .unwrap()
            .unwrap()
            .to_string(),
        made
    );

    let expected = blob.as_str().unwrap();
    admin
        .delete(&format!("{path}?expected={}", "0".repeat(40)))
        .await
        .refused(StatusCode::CONFLICT);
    let removed = commit(admin.delete(&format!("{path}?expected={expected}")).await);
    shop.agent.wanted(&removed).await;
    assert!(
        clone
            .bare()
            .tree(&removed.parse().unwrap())
            .unwrap()
            .files
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_deployed_is_refused_in_words() {
    let shop = shop_with_web(&[("1.2.0", VALUES)]).await;
    let admin = shop.server.admin();
    let refused = async |body: Value, status: StatusCode| {
        let problem = call(&admin, "", body).await.refused(status);
        problem["title"].as_str().unwrap().to_owned()
    };
    let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
    let chart = json!({"app": "web"});
    let words = [
        refused(json!({"chart": {"app": "none"}}), StatusCode::NOT_FOUND).await,
        refused(
            json!({"chart": {"app": "web", "version": "^2"}}),
            StatusCode::NOT_FOUND,
        )
        .await,
        refused(json!({"chart": {"app": "web", "version": "?"}}), unprocessable).await,
        refused(json!({"chart": {}}), unprocessable).await,
        refused(
            json!({"chart": {"repo_url": "https://x", "chart_name": "y", "version": "^1"}}),
            unprocessable,
        )
        .await,
        refused(json!({"chart": chart, "name": "No_name"}), unprocessable).await,
        refused(
            json!({"chart": chart, "values": {"values": "a: [1\n"}}),
            unprocessable,
        )
        .await,
        refused(
            json!({"chart": chart, "values": {"values": "- a\n"}}),
            unprocessable,
        )
        .await,
    ];
    insta::assert_snapshot!("refusals", words.join("\n"));
    call(&admin, "/none/stop", json!({}))
        .await
        .refused(StatusCode::NOT_FOUND);

    let clone = shop.clone().await;
    clone.write(
        "all.yaml",
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: choerodon.io/v1alpha1\n  kind: C7NHelmRelease\n  metadata:\n    name: web\n",
    );
    clone.publish().await;
    let listed = call(&admin, "/web/stop", json!({})).await.refused(unprocessable);
    assert!(
        listed["title"]
            .as_str()
            .unwrap()
            .starts_with("all.yaml:4: the object is an item of a List"),
        "{listed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_held_to_the_schema_of_the_chart() {
    let shop = shop_with_web(&[]).await;
    let schema = r#"{"type": "object", "properties": {"replicas": {"type": "integer", "minimum": 1}}}"#;
    let chart = Chart {
        name: "web",
        version: "1.2.0",
        values: VALUES,
        schema: Some(schema),
    };
    publish(&shop, chart.archive()).await;
    let admin = shop.server.admin();
    let with = |values: &str| json!({"chart": {"app": "web"}, "values": {"values": values}});
    let refused = call(&admin, "", with("replicas: many\n")).await;
    let refused = refused.refused(StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        refused["title"].as_str().unwrap().contains("replicas"),
        "{refused}"
    );
    commit(call(&admin, "", with("replicas: 3\n")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_set_one_by_one_and_comments_stay() {
    let shop = shop_with_web(&[("1.2.0", VALUES)]).await;
    let admin = shop.server.admin();
    let clone = shop.clone().await;
    let asked = json!({"chart": {"app": "web"}, "values": {"values": "# mine\nreplicas: 2 # two\n"}});
    commit(call(&admin, "", asked).await);
    let asked = json!({"chart": {"app": "web"}, "values": {"set": ["replicas=3,image.tag=8"], "set_string": ["image.pull=true"]}});
    commit(call(&admin, "", asked).await);
    let text = file(&clone, "releases/web.yaml").await;
    let values = text.split_once("values: |\n").unwrap().1;
    assert_eq!(
        values,
        "    # mine\n    replicas: 3 # two\n    image:\n      pull: \"true\"\n      tag: 8"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_carries_values_along_and_asks_where_it_cannot_know() {
    let newer = VALUES.replace("tag: \"7\"", "tag: \"8\"");
    let shop = shop_with_web(&[("1.2.0", VALUES), ("1.3.0", &newer)]).await;
    let admin = shop.server.admin();
    let clone = shop.clone().await;
    let mine = "# mine\nimage:\n  tag: 7-alpine\n";
    let asked = json!({"chart": {"app": "web", "version": "1.2.0"}, "values": {"values": mine}});
    let first = commit(call(&admin, "", asked).await);

    let stopped = call(&admin, "/web/upgrade", json!({}))
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        (&stopped["commit"], &stopped["unwritten"]),
        (&Value::Null, &json!("conflicts"))
    );
    assert_eq!(stopped["conflicts"][0]["path"], "image.tag", "{stopped}");
    assert_eq!(
        clone
            .bare()
            .resolve("refs/heads/main")
            .unwrap()
            .unwrap()
            .to_string(),
        first
    );

    commit(call(&admin, "/web/upgrade", json!({"conflicts": "keep-mine"})).await);
    let text = file(&clone, "releases/web.yaml").await;
    assert!(text.contains("chartVersion: 1.3.0"), "{text}");
    assert!(
        text.ends_with("  values: |\n    # mine\n    image:\n      tag: 7-alpine"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_reads_the_charts_of_the_projects_it_delivers_for() {
    let shop = shop_with_web(&[("1.2.0", VALUES)]).await;
    shop.neighbour().await;
    let url = shop.server.url();
    let status = async |project: &str, credential: &str| {
        let request = reqwest::Client::new().get(format!("{url}/charts/{project}/index.yaml"));
        request.bearer_auth(credential).send().await.unwrap().status()
    };
    assert_eq!(status("shop", &shop.credential).await, StatusCode::OK);
    assert_eq!(status("bank", &shop.credential).await, StatusCode::NOT_FOUND);
    let unused = activation(&shop.server, "shop", "east").await;
    assert_eq!(
        status("shop", &unused).await,
        StatusCode::UNAUTHORIZED,
        "it is no credential yet"
    );
}

fn library(version: &str) -> Vec<u8> {
    let chart = Chart {
        name: "web",
        version,
        values: "",
        schema: None,
    };
    chart.archive_with("type: library\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_is_published_and_never_deployed() {
    let shop = shop_with_web(&[("1.0.0", VALUES)]).await;
    let admin = shop.server.admin();
    publish(&shop, library("1.1.0")).await;

    let versions = shop.get("/projects/shop/apps/web/versions").await;
    let shown: Vec<_> = versions
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (&it["version"], &it["library"]))
        .collect();
    assert_eq!(
        shown,
        [(&json!("1.1.0"), &json!(true)), (&json!("1.0.0"), &json!(false))]
    );

    commit(call(&admin, "", json!({"chart": {"app": "web", "version": "1.0.0"}})).await);
    for (path, version) in [("", "1.1.0"), ("", "^1"), ("/web/upgrade", "1.1.0")] {
        let body = json!({"chart": {"app": "web", "version": version}});
        let refused = call(&admin, path, body)
            .await
            .refused(StatusCode::UNPROCESSABLE_ENTITY);
        let told = refused.to_string();
        assert!(
            told.contains("web 1.1.0 is a library chart") && told.contains("dependencies"),
            "{told}"
        );
    }
    let clone = shop.clone().await;
    let written = file(&clone, "releases/web.yaml").await;
    assert!(written.contains("1.0.0"), "{written}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_deleted_once_no_instance_is_made_of_it() {
    let mut shop = shop_with_web(&[("1.0.0", VALUES), ("1.1.0", VALUES)]).await;
    let admin = shop.server.admin();
    let old = "/projects/shop/apps/web/versions/1.0.0";
    commit(call(&admin, "", json!({"chart": {"app": "web", "version": "1.0.0"}})).await);

    // The commit alone is a use of it: no agent has told of the instance yet.
    let refused = admin.delete(old).await.refused(StatusCode::CONFLICT);
    assert_eq!(refused["title"], "web 1.0.0 is used by staging/web");
    assert!(refused["next"].as_str().unwrap().contains("upgrade"), "{refused}");

    commit(call(&admin, "/web/upgrade", json!({"chart": {"version": "1.1.0"}})).await);
    // Nor is it free while the cluster has it still.
    let live = |version: &str, digest: &'static [u8]| ObjectState {
        environment_id: shop.id.clone(),
        key: ObjectKey {
            group: "choerodon.io".into(),
            kind: "C7NHelmRelease".into(),
            namespace: "shop-staging".into(),
            name: "web".into(),
        },
        version: "v1alpha1".into(),
        uid: "uid-web".into(),
        health: Health::Healthy.into(),
        digest: digest.into(),
        summary: [
            ("chart", "web"),
            ("version", version),
            ("repository", &format!("{}/charts/shop", shop.server.url())),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into(),
        ..ObjectState::default()
    };
    let (old_state, new_state) = (live("1.0.0", b"old"), live("1.1.0", b"new"));
    shop.agent.post(Say::State(old_state));
    shop.agent.settled().await;
    let refused = admin.delete(old).await.refused(StatusCode::CONFLICT);
    assert_eq!(refused["title"], "web 1.0.0 is used by staging/web");
    // By its repository and chart it is known as the application.
    let listed = shop.get(&format!("{STAGING}/instances")).await;
    assert_eq!(listed["instances"][0]["app"], "web");
    let shown = shop.get(&format!("{STAGING}/instances/web")).await;
    assert_eq!(shown["app"], "web");
    shop.agent.post(Say::State(new_state));
    shop.agent.settled().await;

    let person = shop.server.member("dev", "shop", "developer").await;
    person.delete(old).await.refused(StatusCode::FORBIDDEN);
    admin.delete(old).await.expect(StatusCode::NO_CONTENT);
    admin.delete(old).await.refused(StatusCode::NOT_FOUND);
    let app = shop.get("/projects/shop/apps/web").await;
    assert_eq!((&app["versions"], &app["newest"]), (&json!(1), &json!("1.1.0")));
    let answer = call(
        &admin,
        "",
        json!({"name": "again", "chart": {"app": "web", "version": "1.0.0"}}),
    )
    .await;
    answer.refused(StatusCode::NOT_FOUND);
}
