//! The Git host asks the platform who may do what; asked here with a real `git`.

use std::path::Path;
use std::process::Output;

use reqwest::StatusCode;
use serde_json::json;
use tokio::process::Command;

use crate::server::{Person, Server};

async fn run(folder: &Path, program: &str, arguments: &[&str], ssh: Option<&str>) -> Output {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(folder)
        .env("HOME", folder)
        .env("GIT_TERMINAL_PROMPT", "0");
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "ann")
        .env("GIT_AUTHOR_EMAIL", "a@b");
    command
        .env("GIT_COMMITTER_NAME", "ann")
        .env("GIT_COMMITTER_EMAIL", "a@b");
    if let Some(ssh) = ssh {
        command.env("GIT_SSH_COMMAND", ssh);
    }
    command.output().await.unwrap()
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A repository with one commit on `main`.
async fn commit(folder: &Path) {
    for arguments in [
        vec!["init", "--quiet", "--initial-branch=main"],
        vec!["commit", "--quiet", "--allow-empty", "--message=first"],
    ] {
        let output = run(folder, "git", &arguments, None).await;
        assert!(output.status.success(), "{}", words(&output));
    }
}

async fn over_http(folder: &Path, person: &Person, arguments: &[&str]) -> Output {
    let header = match &person.token {
        Some(token) => format!("http.extraHeader=Authorization: Bearer {token}"),
        None => "http.extraHeader=".to_owned(),
    };
    run(folder, "git", &[&["-c", &header], arguments].concat(), None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn developers_push_viewers_read_and_others_see_nothing() {
    let server = Server::start().await;
    let id = server.environment("shop").await;
    let url = format!("{}/git/shop/staging.git", server.url());
    let nothing = format!("{}/git/shop/nothing.git", server.url());
    let work = tempfile::tempdir().unwrap();
    commit(work.path()).await;
    let push = ["push", &url, "main"];
    let developer = server.member("dev", "shop", "developer").await;
    let viewer = server.member("vic", "shop", "viewer").await;
    let eve = server.user("eve").await;

    let pushed = over_http(work.path(), &developer, &push).await;
    assert!(pushed.status.success(), "{}", words(&pushed));
    let head = server
        .data
        .path()
        .join(format!("repositories/{id}.git/refs/heads/main"));
    assert!(head.exists(), "it lies in the repository of the environment");

    let read = over_http(work.path(), &viewer, &["ls-remote", &url]).await;
    assert!(read.status.success() && String::from_utf8_lossy(&read.stdout).contains("refs/heads/main"));
    let refused = over_http(work.path(), &viewer, &push).await;
    assert!(!refused.status.success());
    for person in [&eve, &server.stranger()] {
        let there = over_http(work.path(), person, &["ls-remote", &url]).await;
        let not_there = over_http(work.path(), person, &["ls-remote", &nothing]).await;
        assert!(!there.status.success());
        assert_eq!(
            words(&there),
            words(&not_there).replace("nothing.git", "staging.git")
        );
    }

    server
        .admin()
        .delete("/projects/shop/members/dev")
        .await
        .expect(StatusCode::NO_CONTENT);
    assert!(
        !over_http(work.path(), &developer, &["ls-remote", &url])
            .await
            .status
            .success(),
        "rights end at once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_users_and_agents_open_what_is_theirs() {
    let server = Server::start().await;
    let id = server.environment("shop").await;
    let work = tempfile::tempdir().unwrap();
    commit(work.path()).await;
    let addresses = server.platform.addresses();
    std::fs::write(
        work.path().join("known_hosts"),
        format!("{}\n", addresses.known_hosts.trim()),
    )
    .unwrap();
    for name in ["user", "agent"] {
        let made = run(
            work.path(),
            "ssh-keygen",
            &["-q", "-t", "ed25519", "-N", "", "-f", name],
            None,
        )
        .await;
        assert!(made.status.success(), "{}", words(&made));
    }
    let ssh = |key: &str| {
        let folder = work.path().display();
        format!(
            "ssh -F /dev/null -i {folder}/{key} -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes \
             -o UserKnownHostsFile={folder}/known_hosts -o GlobalKnownHostsFile=/dev/null -o BatchMode=yes"
        )
    };
    let url = format!("{}/shop/staging.git", addresses.ssh);
    let public = |key: &str| std::fs::read_to_string(work.path().join(format!("{key}.pub"))).unwrap();
    let developer = server.member("dev", "shop", "developer").await;

    let unknown = run(work.path(), "git", &["ls-remote", &url], Some(&ssh("user"))).await;
    assert!(!unknown.status.success(), "the key is not registered yet");
    let new = json!({"title": "laptop", "public_key": public("user")});
    developer.post("/me/keys", new).await.expect(StatusCode::CREATED);
    let pushed = run(work.path(), "git", &["push", &url, "main"], Some(&ssh("user"))).await;
    assert!(pushed.status.success(), "{}", words(&pushed));

    let key = c7n_platform::access::public_key::parse(&public("agent")).unwrap();
    server
        .sql(&format!(
            "UPDATE environments SET agent_fingerprint = '{}' WHERE id = '{id}'",
            key.fingerprint
        ))
        .await;
    let agent = ssh("agent");
    let read = run(work.path(), "git", &["ls-remote", &url], Some(&agent)).await;
    assert!(read.status.success(), "{}", words(&read));
    let tagged = run(
        work.path(),
        "git",
        &["push", &url, "main:refs/tags/agent-sync"],
        Some(&agent),
    )
    .await;
    assert!(tagged.status.success(), "{}", words(&tagged));
    let more = ["commit", "--quiet", "--allow-empty", "--message=second"];
    assert!(run(work.path(), "git", &more, None).await.status.success());
    for reference in [
        "refs/heads/main",
        "refs/heads/other",
        "refs/tags/devops-sync",
        "refs/tags/v1",
    ] {
        let moved = run(
            work.path(),
            "git",
            &["push", &url, &format!("+HEAD:{reference}")],
            Some(&agent),
        )
        .await;
        assert!(!moved.status.success(), "{reference}: {}", words(&moved));
    }
}
