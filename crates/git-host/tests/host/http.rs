//! Clone, push and fetch over smart HTTP.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Setup, TOKEN, plain_git};

#[tokio::test(flavor = "multi_thread")]
async fn a_push_arrives_and_a_clone_has_it() {
    let setup = Setup::new().await;
    // Given a commit pushed over HTTP, larger than what git sends in one piece,
    let work = setup.work("work").await;
    for index in 0..200u32 {
        std::fs::write(work.join(format!("f{index}.bin")), noise(index, 16 << 10)).unwrap();
    }
    setup.commit(&work, "first").await;
    setup
        .git_http(TOKEN, &work, &["push", "-q", &setup.http_url(), "main"])
        .await
        .good();
    assert_eq!(setup.pushes(), 1);
    // when somebody clones, then every file is there,
    setup
        .git_http(
            "reader",
            setup.dir.path(),
            &["clone", "-q", &setup.http_url(), "copy"],
        )
        .await
        .good();
    assert_eq!(
        std::fs::read(setup.path("copy/f7.bin")).unwrap(),
        noise(7, 16 << 10)
    );
    // and with the older protocol too.
    let old = [
        "-c",
        "protocol.version=0",
        "clone",
        "-q",
        &setup.http_url(),
        "old",
    ];
    setup.git_http("reader", setup.dir.path(), &old).await.good();
    plain_git(&setup.path("old"), &["fsck", "--no-progress"], &[])
        .await
        .good();
}

fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut x = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    (0..length)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            x as u8
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn long_lists_of_known_commits_come_compressed_and_are_understood() {
    let setup = Setup::new().await;
    // Given a client that knows many commits, so that git compresses its request,
    let work = setup.pushed().await;
    setup
        .git(
            &setup.user,
            setup.dir.path(),
            &["clone", "-q", &setup.ssh_url(), "copy"],
        )
        .await
        .good();
    let copy = setup.path("copy");
    for index in 0..120 {
        let name = format!("own {index}");
        plain_git(&copy, &["commit", "-q", "--allow-empty", "-m", &name], &[])
            .await
            .good();
    }
    std::fs::write(work.join("b.yaml"), "b: 1\n").unwrap();
    setup.commit(&work, "second").await;
    setup
        .git(&setup.user, &work, &["push", "-q", "origin", "main"])
        .await
        .good();
    // when it fetches, then it succeeds.
    setup
        .git_http("reader", &copy, &["fetch", "-q", &setup.http_url(), "main"])
        .await
        .good();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_is_told_that_pushing_is_not_theirs() {
    let setup = Setup::new().await;
    let work = setup.pushed().await;
    let url = setup.http_url();
    let said = setup
        .git_http("reader", &work, &["push", &url, "main:other"])
        .await
        .bad();
    assert!(said.contains("403"), "{said}");
    let said = setup
        .git(&setup.reader, &work, &["push", "origin", "main:other"])
        .await
        .bad();
    assert!(said.contains("you may read here, not push"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_token_is_asked_for_one() {
    let setup = Setup::new().await;
    let answer = ask(
        &setup,
        "GET /git/shop/staging.git/info/refs?service=git-upload-pack",
        "",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(
        answer.to_lowercase().contains("www-authenticate: basic"),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_requests_are_turned_away() {
    let setup = Setup::new().await;
    let token = format!("Authorization: Bearer {TOKEN}\r\n");
    for (request, status) in [
        ("GET /git/shop/staging.git/info/refs", "403"),
        (
            "GET /git/shop/staging.git/info/refs?service=git-upload-archive",
            "403",
        ),
        (
            "GET /git/shop/..%2f..%2fx/info/refs?service=git-upload-pack",
            "404",
        ),
        ("GET /git/shop/staging.git/HEAD", "404"),
        ("POST /git/shop/staging.git/git-upload-pack", "415"),
    ] {
        let answer = ask(&setup, request, &token).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{request}: {answer}"
        );
    }
}

pub async fn ask(setup: &Setup, request: &str, headers: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(setup.http).await.unwrap();
    let text = format!(
        "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
