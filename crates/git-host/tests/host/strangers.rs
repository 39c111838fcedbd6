//! Who is not known, or not allowed, learns nothing.

use c7n_git::{GitError, Mirror, Remote, Transport, known_hosts_line};

use crate::http::ask;
use crate::support::Setup;

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_learns_nothing() {
    let setup = Setup::new().await;
    setup.pushed().await;
    let there = format!("ssh://git@{}/shop/staging.git", setup.ssh);
    let nowhere = format!("ssh://git@{}/shop/nowhere.git", setup.ssh);
    let first = setup
        .git(&setup.stranger, setup.dir.path(), &["ls-remote", &there])
        .await
        .bad();
    let second = setup
        .git(&setup.stranger, setup.dir.path(), &["ls-remote", &nowhere])
        .await
        .bad();
    assert_eq!(first, second);
    assert!(first.contains("Permission denied (publickey)"), "{first}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_key_without_rights_cannot_tell_what_exists() {
    let setup = Setup::new().await;
    setup.pushed().await;
    let there = format!("ssh://git@{}/shop/staging.git", setup.ssh);
    let nowhere = format!("ssh://git@{}/shop/nowhere.git", setup.ssh);
    let first = setup
        .git(&setup.outsider, setup.dir.path(), &["ls-remote", &there])
        .await
        .bad();
    let second = setup
        .git(&setup.outsider, setup.dir.path(), &["ls-remote", &nowhere])
        .await
        .bad();
    assert_eq!(first, second);
    assert!(
        first.contains("repository not found, or you have no access to it"),
        "{first}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_it_is_the_same() {
    let setup = Setup::new().await;
    setup.pushed().await;
    let body = |answer: String| {
        let status = answer.lines().next().unwrap_or_default().to_owned();
        (
            status,
            answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned(),
        )
    };
    for token in [
        "",
        "Authorization: Bearer wrong\r\n",
        "Authorization: Bearer outsider\r\n",
    ] {
        let mut answers = Vec::new();
        for name in ["staging", "nowhere", "..%2f"] {
            let request = format!("GET /git/shop/{name}.git/info/refs?service=git-upload-pack");
            answers.push(body(ask(&setup, &request, token).await));
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
        assert!(
            answers[0].0.contains("401") || answers[0].0.contains("404"),
            "{answers:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_taken_back_is_refused_on_a_connection_that_is_still_open() {
    let setup = Setup::new().await;
    setup.pushed().await;
    // Given an agent with an open connection,
    let mirror = setup.agent_mirror().await;
    mirror.fetch(&["refs/heads/main"]).await.unwrap();
    // when its key is taken back,
    setup.book.keys.lock().unwrap().clear();
    // then the next fetch on the same connection fails.
    let outcome = mirror.fetch(&["refs/heads/main"]).await;
    assert!(
        matches!(outcome, Err(GitError::RepositoryMissing { .. })),
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_another_key_is_not_talked_to() {
    let setup = Setup::new().await;
    setup.pushed().await;
    let with = |known_hosts: String| {
        let transport = Transport::Ssh {
            private_key: setup.agent.private.clone(),
            known_hosts,
        };
        Remote::new(setup.ssh_url(), transport)
    };
    let port = setup.ssh.port();
    // Given a wrong key, none at all, or the right one for another port,
    for known_hosts in [
        known_hosts_line("127.0.0.1", port, &setup.stranger.public),
        String::new(),
        known_hosts_line("127.0.0.1", 1, &setup.host_key),
    ] {
        // when the agent fetches, then it fails closed, and says so.
        let mirror = Mirror::open(setup.path("mirror"), with(known_hosts))
            .await
            .unwrap();
        let outcome = mirror.fetch(&["refs/heads/main"]).await;
        assert!(
            matches!(outcome, Err(GitError::HostKeyMismatch { .. })),
            "{outcome:?}"
        );
    }
    // And once the right line is handed out, the same mirror works.
    let mirror = Mirror::open(setup.path("mirror"), with(setup.known_hosts()))
        .await
        .unwrap();
    mirror.fetch(&["refs/heads/main"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_told_apart_by_the_agent() {
    let setup = Setup::new().await;
    setup.pushed().await;
    let stranger = Mirror::open(setup.path("m1"), setup.ssh_remote(&setup.stranger))
        .await
        .unwrap();
    let outcome = stranger.fetch(&["refs/heads/main"]).await;
    assert!(
        matches!(outcome, Err(GitError::AuthRefused { .. })),
        "{outcome:?}"
    );

    let wrong = Mirror::open(setup.path("m2"), setup.http_remote("wrong-canary"))
        .await
        .unwrap();
    let outcome = wrong.fetch(&["refs/heads/main"]).await;
    assert!(
        matches!(outcome, Err(GitError::AuthRefused { .. })),
        "{outcome:?}"
    );
    assert!(!format!("{outcome:?}").contains("canary"));

    let outsider = Mirror::open(setup.path("m3"), setup.http_remote("outsider"))
        .await
        .unwrap();
    let outcome = outsider.fetch(&["refs/heads/main"]).await;
    assert!(
        matches!(outcome, Err(GitError::RepositoryMissing { .. })),
        "{outcome:?}"
    );
}
