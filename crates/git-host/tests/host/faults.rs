//! Mute servers, late calls, too much data, secrets.

use std::time::Duration;

use c7n_git::{GitError, Limits, Mirror, Remote, Secret, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::support::{AGENT_TOKEN, PATIENCE, Setup, connections_to, eventually, plain_git};

const MAIN: &str = "refs/heads/main";

fn hasty() -> Limits {
    Limits {
        fetch: Duration::from_millis(700),
        push: Duration::from_millis(700),
        ..Limits::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_accepts_and_says_nothing_costs_no_more_than_the_deadline() {
    let setup = Setup::new().await;
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = mute.local_addr().unwrap();
    let ssh = Remote {
        url: format!("ssh://git@{address}/x/y.git"),
        ..setup.ssh_remote(&setup.agent)
    };
    let http = Remote {
        url: format!("http://{address}/x/y.git"),
        ..setup.http_remote(AGENT_TOKEN)
    };
    for (name, remote) in [("ssh", ssh), ("http", http)] {
        let mirror = Mirror::open_with(setup.path(name), remote, hasty())
            .await
            .unwrap();
        // It would wait for ever.
        let outcome = timeout(PATIENCE, mirror.fetch(&[MAIN])).await.unwrap();
        assert!(matches!(outcome, Err(GitError::Timeout { .. })), "{outcome:?}");
        eventually("the programs are gone", || {
            processes_with(&address.to_string()) == 0
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_call_leaves_no_program_behind_and_the_next_one_works() {
    let setup = Setup::new().await;
    setup.pushed().await;
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = mute.local_addr().unwrap();
    let remote = Remote {
        url: format!("http://{address}/x/y.git"),
        ..setup.http_remote(AGENT_TOKEN)
    };
    let mirror = Mirror::open(setup.path("mirror"), remote).await.unwrap();
    let dropped = timeout(Duration::from_millis(300), mirror.fetch(&[MAIN])).await;
    assert!(dropped.is_err());
    eventually("the programs are gone", || {
        processes_with(&address.to_string()) == 0
    })
    .await;
    drop(mirror);
    // Given what a killed git may leave,
    for leftover in [
        "packed-refs.lock",
        "refs/heads/main.lock",
        "objects/pack/tmp_pack_x",
    ] {
        let path = setup.path("mirror").join(leftover);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    // when the mirror is opened again, then it works.
    let mirror = setup.agent_mirror().await;
    assert!(mirror.fetch(&[MAIN]).await.unwrap().refs[MAIN].is_some());
    assert!(!setup.path("mirror/objects/pack/tmp_pack_x").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_server_is_called_so() {
    let setup = Setup::new().await;
    // Taken, so that nobody else gets it, and nobody listens there.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = closed.local_addr().unwrap();
    let ssh = Remote {
        url: format!("ssh://git@{address}/x/y.git"),
        ..setup.ssh_remote(&setup.agent)
    };
    let http = Remote {
        url: format!("http://{address}/x/y.git"),
        ..setup.http_remote(AGENT_TOKEN)
    };
    for (name, remote) in [("ssh", ssh), ("http", http)] {
        let mirror = Mirror::open(setup.path(name), remote).await.unwrap();
        let outcome = mirror.fetch(&[MAIN]).await;
        assert!(
            matches!(outcome, Err(GitError::Unreachable { .. })),
            "{outcome:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_in_no_argument_and_in_no_error() {
    let setup = Setup::new().await;
    // Given a server that answers with the token in an error,
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let transport = Transport::Http {
        authorization: Secret::bearer("canary-0815"),
    };
    let remote = Remote::new(format!("http://{address}/x/y.git"), transport);
    let mirror = Mirror::open(setup.path("mirror"), remote).await.unwrap();
    assert!(!format!("{mirror:?}").contains("canary"));
    let answer = async {
        let (mut stream, _) = server.accept().await.unwrap();
        let request = read_request(&mut stream).await.unwrap();
        assert!(request.contains("Bearer canary-0815"));
        // while it is being asked, no process shows the token in its arguments,
        assert!(processes_with(&address.to_string()) > 0);
        assert_eq!(processes_with("canary-0815"), 0);
        let body = "canary-0815";
        let head = format!(
            "HTTP/1.1 500 canary-0815\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
    };
    // then neither does the error.
    let (outcome, ()) = tokio::join!(mirror.fetch(&[MAIN]), answer);
    let error = outcome.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("canary"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_not_follow_a_redirect() {
    let setup = Setup::new().await;
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let target = elsewhere.local_addr().unwrap();
    let remote = Remote {
        url: format!("http://{address}/x/y.git"),
        ..setup.http_remote(AGENT_TOKEN)
    };
    let mirror = Mirror::open(setup.path("mirror"), remote).await.unwrap();
    let redirect = async {
        let (mut stream, _) = server.accept().await.unwrap();
        read_request(&mut stream).await.unwrap();
        let head =
            format!("HTTP/1.1 302 Found\r\nLocation: http://{target}/x/y.git\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(mirror.fetch(&[MAIN]), redirect);
    assert!(outcome.is_err());
    assert!(
        timeout(Duration::from_millis(200), elsewhere.accept())
            .await
            .is_err()
    );
}

/// A request with its body, which comes in as many pieces as it likes.
async fn read_request(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |(_, length)| length.parse().unwrap());
            if body.len() >= length {
                return Ok(text);
            }
        }
        if stream.read_buf(&mut request).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Processes that have `text` in their arguments.
fn processes_with(text: &str) -> usize {
    let mut found = 0;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(line) = std::fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        if String::from_utf8_lossy(&line).contains(text) {
            found += 1;
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_is_too_large_is_refused_and_leaves_nothing() {
    let limits = c7n_git_host::Limits {
        push_bytes: 100 << 10,
        ..c7n_git_host::Limits::default()
    };
    let setup = Setup::with_limits(limits).await;
    let work = setup.pushed().await;
    let noise: Vec<u8> = (0..1u32 << 20)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8 ^ (i >> 3) as u8)
        .collect();
    std::fs::write(work.join("big.bin"), noise).unwrap();
    let before = setup.repository.resolve(MAIN).unwrap();
    setup.commit(&work, "big").await;
    let said = setup
        .git(&setup.user, &work, &["push", "-q", "origin", "main"])
        .await
        .bad();
    assert!(said.contains("exceeds maximum allowed size"), "{said}");
    assert_eq!(setup.repository.resolve(MAIN).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_that_brings_too_much_is_stopped_and_the_old_commit_stays() {
    let setup = Setup::new().await;
    setup.pushed().await;
    let old = {
        let mirror = setup.agent_mirror().await;
        mirror.fetch(&[MAIN]).await.unwrap().refs[MAIN]
    };
    // Given a server that sends a pack without end,
    let endless = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = endless.local_addr().unwrap();
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = endless.accept().await {
            tokio::spawn(endless_pack(stream));
        }
    });
    let limits = Limits {
        max_bytes: 4 << 20,
        fetch: Duration::from_secs(120),
        ..Limits::default()
    };
    let remote = Remote {
        url: format!("http://{address}/x/y.git"),
        ..setup.http_remote(AGENT_TOKEN)
    };
    let mirror = Mirror::open_with(setup.path("mirror"), remote, limits)
        .await
        .unwrap();
    // when it is fetched, then the limit ends it,
    let outcome = mirror.fetch(&[MAIN]).await;
    assert!(matches!(outcome, Err(GitError::TooBig { .. })), "{outcome:?}");
    // and the mirror still shows what it had.
    assert_eq!(mirror.repository().resolve(MAIN).unwrap(), old);
    server.abort();
}

/// Speaks just enough of protocol 2 for git to ask for a pack.
async fn endless_pack(mut stream: TcpStream) {
    let line = |text: &[u8]| [format!("{:04x}", text.len() + 4).as_bytes(), text].concat();
    let head = |kind: &str| {
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-{kind}\r\nConnection: close\r\n\r\n")
            .into_bytes()
    };
    let Ok(text) = read_request(&mut stream).await else {
        return;
    };
    let mut answer = Vec::new();
    let is_fetch = text.contains("command=fetch");
    if text.starts_with("GET") {
        answer.extend(head("advertisement"));
        for capability in ["version 2\n", "ls-refs\n", "fetch\n", "object-format=sha1\n"] {
            answer.extend(line(capability.as_bytes()));
        }
        answer.extend(b"0000");
    } else if !is_fetch {
        answer.extend(head("result"));
        answer.extend(line(format!("{} {MAIN}\n", "ab".repeat(20)).as_bytes()));
        answer.extend(b"0000");
    } else {
        answer.extend(head("result"));
        if !text.contains("0009done") {
            answer.extend(line(b"acknowledgments\n"));
            answer.extend(line(b"ready\n"));
            answer.extend(b"0001");
        }
        answer.extend(line(b"packfile\n"));
        // A pack of a million objects; the first is a blob of a gigabyte, deflated without compression.
        answer.extend(line(
            &[
                &[1u8][..],
                b"PACK",
                &2u32.to_be_bytes(),
                &1_000_000u32.to_be_bytes(),
            ]
            .concat(),
        ));
        answer.extend(line(&[1u8, 0xb0, 0x80, 0x80, 0x80, 0x40, 0x78, 0x01]));
    }
    if stream.write_all(&answer).await.is_err() || !is_fetch {
        return;
    }
    let stored = [&[0x00, 0xf0, 0xff, 0x0f, 0x00][..], &[0x61; 0xfff0][..]].concat();
    loop {
        // In pieces, as a side band carries them.
        for piece in stored.chunks(60_000) {
            let packet = line(&[&[1u8][..], piece].concat());
            if stream.write_all(&packet).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_never_logs_in_is_cut() {
    let limits = c7n_git_host::Limits {
        login: Duration::from_millis(300),
        ..c7n_git_host::Limits::default()
    };
    let setup = Setup::with_limits(limits).await;
    // Given a peer that says nothing, and one that greets and then says nothing,
    for greeting in ["", "SSH-2.0-slow\r\n"] {
        let mut stream = TcpStream::connect(setup.ssh).await.unwrap();
        stream.write_all(greeting.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        // then both are cut.
        let read = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(read.is_ok(), "{greeting:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_work_is_cut() {
    let limits = c7n_git_host::Limits {
        idle: Duration::from_secs(3),
        ..c7n_git_host::Limits::default()
    };
    let setup = Setup::with_limits(limits).await;
    setup.pushed().await;
    // Given an agent whose connection idles away,
    let mirror = setup.agent_mirror().await;
    mirror.fetch(&[MAIN]).await.unwrap();
    eventually("it is cut", || connections_to(setup.ssh.port()) == 0).await;
    // when it fetches again, then it connects anew without anybody noticing.
    mirror.fetch(&[MAIN]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stalls_is_cut_and_its_program_ends() {
    let limits = c7n_git_host::Limits {
        stall: Duration::from_secs(3),
        ..c7n_git_host::Limits::default()
    };
    let setup = Setup::with_limits(limits).await;
    setup.pushed().await;
    // Given a client that announces a request and never sends it,
    let mut stream = TcpStream::connect(setup.http).await.unwrap();
    let request = format!(
        "POST /git/shop/staging.git/git-upload-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {AGENT_TOKEN}\r\n\
         Content-Type: application/x-git-upload-pack-request\r\nContent-Length: 1000\r\n\r\n0011command=ls"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let repository = setup.repository.path().display().to_string();
    eventually("git is at work", || processes_with(&repository) > 0).await;
    // then git is gone soon.
    eventually("git is gone", || processes_with(&repository) == 0).await;
    // And so it is for a client that goes away at once.
    let mut stream = TcpStream::connect(setup.http).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    eventually("git is at work", || processes_with(&repository) > 0).await;
    drop(stream);
    eventually("git is gone", || processes_with(&repository) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_the_host_ends_what_is_at_work() {
    let setup = Setup::new().await;
    setup.pushed().await;
    let known = setup.path("known");
    std::fs::write(&known, setup.known_hosts()).unwrap();
    let mut ssh = tokio::process::Command::new("ssh");
    ssh.args([
        "-F",
        "/dev/null",
        "-o",
        "BatchMode=yes",
        "-o",
        "IdentitiesOnly=yes",
        "-i",
    ])
    .arg(&setup.user.private)
    .args(["-o", &format!("UserKnownHostsFile={}", known.display())])
    .args([
        "-p",
        &setup.ssh.port().to_string(),
        "git@127.0.0.1",
        "git-upload-pack '/shop/staging.git'",
    ])
    .stdin(std::process::Stdio::piped())
    .stdout(std::process::Stdio::null())
    .kill_on_drop(true);
    let mut client = ssh.spawn().unwrap();
    let repository = setup.repository.path().display().to_string();
    eventually("git is at work", || processes_with(&repository) > 0).await;
    timeout(PATIENCE, setup.host.close()).await.unwrap();
    assert_eq!(processes_with(&repository), 0);
    client.wait().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_objects_are_not_let_in() {
    let setup = Setup::new().await;
    let work = setup.pushed().await;
    // Given a commit whose tree holds a `.git` folder, as no honest git makes one,
    let blob = plain_git(&work, &["rev-parse", "HEAD:a.yaml"], &[]).await.good();
    let mut tree = b"100644 .GIT\0".to_vec();
    tree.extend((0..20).map(|i| u8::from_str_radix(&blob[2 * i..2 * i + 2], 16).unwrap()));
    std::fs::write(work.join("tree.bin"), tree).unwrap();
    let hash = ["hash-object", "-t", "tree", "-w", "--literally", "tree.bin"];
    let tree = plain_git(&work, &hash, &[]).await.good();
    let commit = plain_git(&work, &["commit-tree", tree.trim(), "-m", "bad"], &[])
        .await
        .good();
    let refspec = format!("{}:refs/heads/bad", commit.trim());
    // when it is pushed, then the host refuses it.
    let said = setup
        .git(&setup.user, &work, &["push", "origin", &refspec])
        .await
        .bad();
    assert!(said.contains("hasDotgit") || said.contains(".git"), "{said}");
    assert_eq!(setup.repository.resolve("refs/heads/bad").unwrap(), None);
}
