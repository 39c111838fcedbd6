//! Clone, push and fetch over SSH.

use crate::support::{Setup, plain_git};

#[tokio::test(flavor = "multi_thread")]
async fn a_push_arrives_and_a_clone_has_it() {
    let setup = Setup::new().await;
    // Given a pushed commit,
    let work = setup.pushed().await;
    assert_eq!(setup.pushes(), 1);
    // when somebody clones,
    setup
        .git(
            &setup.reader,
            setup.dir.path(),
            &["clone", "-q", &setup.ssh_url(), "copy"],
        )
        .await
        .good();
    // then the file is there,
    assert_eq!(
        std::fs::read_to_string(setup.path("copy/a.yaml")).unwrap(),
        "a: 1\n"
    );
    // and a later commit comes with a fetch.
    std::fs::write(work.join("b.yaml"), "b: 1\n").unwrap();
    let newest = setup.commit(&work, "second").await;
    setup
        .git(&setup.user, &work, &["push", "-q", "origin", "main"])
        .await
        .good();
    setup
        .git(&setup.reader, &setup.path("copy"), &["fetch", "-q"])
        .await
        .good();
    let fetched = plain_git(&setup.path("copy"), &["rev-parse", "origin/main"], &[])
        .await
        .good();
    assert_eq!(fetched.trim(), newest);
    // Reading is no push.
    assert_eq!(setup.pushes(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_thousand_files_are_pushed_and_cloned_by_eight_at_once() {
    let setup = Setup::new().await;
    // Given three thousand files, some megabytes in all, that do not compress well,
    let work = setup.work("work").await;
    for index in 0..3000u64 {
        let folder = work.join(format!("d{}", index % 40));
        std::fs::create_dir_all(&folder).unwrap();
        let noise: String = (0..60)
            .map(|line| format!("k{line}: {:x}\n", mix(index * 64 + line)))
            .collect();
        std::fs::write(folder.join(format!("f{index}.yaml")), noise).unwrap();
    }
    setup.commit(&work, "many").await;
    // when they are pushed,
    setup
        .git(&setup.user, &work, &["push", "-q", "origin", "main"])
        .await
        .good();
    // then eight clones at the same time all get every one of them.
    let url = setup.ssh_url();
    let names: Vec<String> = (0..8).map(|index| format!("clone{index}")).collect();
    let clones = names.iter().map(|name| async {
        setup
            .git(
                &setup.reader,
                setup.dir.path(),
                &["clone", "-q", "--bare", &url, name],
            )
            .await
            .good();
        let files = plain_git(&setup.path(name), &["ls-tree", "-r", "--name-only", "main"], &[])
            .await
            .good();
        assert_eq!(files.lines().count(), 3000);
        plain_git(&setup.path(name), &["fsck", "--no-progress"], &[])
            .await
            .good();
    });
    futures_util::future::join_all(clones).await;
}

fn mix(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_commit_can_be_fetched_by_its_name() {
    let setup = Setup::new().await;
    // Given a commit that no reference shows any more,
    let work = setup.pushed().await;
    std::fs::write(work.join("a.yaml"), "a: 2\n").unwrap();
    let lost = setup.commit(&work, "lost").await;
    setup
        .git(&setup.user, &work, &["push", "-q", "origin", "main"])
        .await
        .good();
    setup
        .git(
            &setup.user,
            &work,
            &["push", "-q", "--force", "origin", "HEAD~1:main"],
        )
        .await
        .good();
    // when it is asked for by name, then it comes.
    let copy = setup.work("copy").await;
    setup
        .git(&setup.reader, &copy, &["fetch", "-q", "origin", &lost])
        .await
        .good();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_is_answered_with_friendly_words() {
    let setup = Setup::new().await;
    let known_hosts = setup.path("known");
    std::fs::write(&known_hosts, setup.known_hosts()).unwrap();
    let talk = |extra: &'static [&'static str]| {
        let mut ssh = tokio::process::Command::new("ssh");
        ssh.args([
            "-F",
            "/dev/null",
            "-o",
            "BatchMode=yes",
            "-o",
            "LogLevel=ERROR",
            "-o",
            "IdentitiesOnly=yes",
        ])
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", known_hosts.display()))
        .arg("-i")
        .arg(&setup.user.private)
        .args(["-p", &setup.ssh.port().to_string(), "git@127.0.0.1"])
        .args(extra)
        .stdin(std::process::Stdio::null());
        ssh
    };
    let output = talk(&[]).output().await.unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no shell here"));
    assert_eq!(output.status.code(), Some(1));
    // And nothing but the two programs can be run.
    let output = talk(&["cat /etc/passwd"]).output().await.unwrap();
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("only git clone, fetch and push"));
}
