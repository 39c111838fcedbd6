//! What an agent's mirror sees of the remote.

use std::collections::BTreeMap;

use c7n_git::{DEVOPS_SYNC, Mirror, RefusedKind};

use crate::support::{AGENT_TOKEN, Setup, connections_to, eventually, plain_git};

const MAIN: &str = "refs/heads/main";

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_brings_what_was_asked_for_and_nothing_else() {
    let setup = Setup::new().await;
    let work = setup.pushed().await;
    setup
        .git(
            &setup.user,
            &work,
            &["push", "-q", "origin", "HEAD:other", "HEAD:refs/tags/v1"],
        )
        .await
        .good();
    for remote in [setup.ssh_remote(&setup.agent), setup.http_remote(AGENT_TOKEN)] {
        let dir = setup.path(&format!("mirror-{}", remote.url.len()));
        let mirror = Mirror::open(dir, remote).await.unwrap();
        // Given a tag that is not there yet,
        let fetched = mirror.fetch(&[DEVOPS_SYNC, MAIN]).await.unwrap();
        let head = setup.repository.resolve(MAIN).unwrap();
        assert_eq!(
            fetched.refs,
            BTreeMap::from([(DEVOPS_SYNC.to_owned(), None), (MAIN.to_owned(), head)])
        );
        // then only the asked references are in the mirror,
        let names: Vec<String> = mirror
            .repository()
            .references("refs/")
            .unwrap()
            .into_iter()
            .map(|(n, _)| n)
            .collect();
        assert_eq!(names, [MAIN]);
        // and its files can be read.
        let tree = mirror.repository().tree(&head.unwrap()).unwrap();
        assert_eq!(
            mirror.repository().read(&tree.files["a.yaml"], 100).unwrap(),
            b"a: 1\n"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rewritten_history_and_deleted_references_are_followed() {
    let setup = Setup::new().await;
    let work = setup.pushed().await;
    let first = setup.repository.resolve(MAIN).unwrap().unwrap();
    setup
        .repository
        .move_tag(DEVOPS_SYNC, None, Some(&first))
        .unwrap();
    let mirror = setup.agent_mirror().await;
    assert_eq!(
        mirror.fetch(&[DEVOPS_SYNC]).await.unwrap().refs[DEVOPS_SYNC],
        Some(first)
    );
    // Given a history that shares nothing with the old one,
    plain_git(&work, &["checkout", "-q", "--orphan", "new"], &[])
        .await
        .good();
    setup.commit(&work, "anew").await;
    setup
        .git(
            &setup.user,
            &work,
            &["push", "-q", "--force", "origin", "HEAD:main"],
        )
        .await
        .good();
    let second = setup.repository.resolve(MAIN).unwrap().unwrap();
    setup
        .repository
        .move_tag(DEVOPS_SYNC, Some(&first), Some(&second))
        .unwrap();
    // when the mirror fetches, then it shows the new one,
    assert_eq!(
        mirror.fetch(&[DEVOPS_SYNC]).await.unwrap().refs[DEVOPS_SYNC],
        Some(second)
    );
    assert!(!mirror.repository().is_ancestor(&first, &second).unwrap());
    // and a deleted tag is gone here too.
    setup
        .repository
        .move_tag(DEVOPS_SYNC, Some(&second), None)
        .unwrap();
    assert_eq!(
        mirror.fetch(&[DEVOPS_SYNC]).await.unwrap().refs[DEVOPS_SYNC],
        None
    );
    assert_eq!(mirror.repository().resolve(DEVOPS_SYNC).unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_and_submodules_are_refused_with_their_path_and_the_rest_is_read() {
    let setup = Setup::new().await;
    let work = setup.pushed().await;
    std::fs::create_dir(work.join("inner")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", work.join("inner/link.yaml")).unwrap();
    std::fs::write(work.join("inner/real.yaml"), "r: 1\n").unwrap();
    let first = setup.repository.resolve(MAIN).unwrap().unwrap();
    let gitlink = format!("160000,{first},vendor/sub");
    plain_git(&work, &["add", "-A"], &[]).await.good();
    plain_git(&work, &["update-index", "--add", "--cacheinfo", &gitlink], &[])
        .await
        .good();
    plain_git(&work, &["commit", "-q", "-m", "odd"], &[]).await.good();
    setup
        .git(&setup.user, &work, &["push", "-q", "origin", "main"])
        .await
        .good();
    // When the agent reads that commit,
    let mirror = setup.agent_mirror().await;
    let second = mirror.fetch(&[MAIN]).await.unwrap().refs[MAIN].unwrap();
    let tree = mirror.repository().tree(&second).unwrap();
    // then the plain files are there, and the others named.
    assert_eq!(
        tree.files.keys().collect::<Vec<_>>(),
        ["a.yaml", "inner/real.yaml"]
    );
    let refused: Vec<_> = tree
        .refused
        .iter()
        .map(|refused| (refused.path.as_str(), refused.kind))
        .collect();
    assert_eq!(
        refused,
        [
            ("inner/link.yaml", RefusedKind::Symlink),
            ("vendor/sub", RefusedKind::Submodule)
        ]
    );
    let changed = mirror.repository().changed(&first, &second).unwrap();
    let seen: Vec<_> = changed
        .iter()
        .map(|c| (c.path.as_str(), c.after.is_some(), c.refused))
        .collect();
    assert_eq!(
        seen,
        [
            ("inner/link.yaml", false, Some(RefusedKind::Symlink)),
            ("inner/real.yaml", true, None),
            ("vendor/sub", false, Some(RefusedKind::Submodule)),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shared_connection_ends_with_the_mirror() {
    let setup = Setup::new().await;
    setup.pushed().await;
    // Given a mirror that has fetched, so that its connection is kept,
    let mirror = setup.agent_mirror().await;
    mirror.fetch(&[MAIN]).await.unwrap();
    let port = setup.ssh.port();
    assert_eq!(connections_to(port), 1);
    // when it fetches again, then it is the same one,
    mirror.fetch(&[MAIN]).await.unwrap();
    assert_eq!(connections_to(port), 1);
    // and when the mirror is dropped, it is gone.
    drop(mirror);
    eventually("the connection ends", || connections_to(port) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_is_packed_reads_on() {
    let setup = Setup::new().await;
    setup.pushed().await;
    let mirror = setup.agent_mirror().await;
    let head = mirror.fetch(&[MAIN]).await.unwrap().refs[MAIN].unwrap();
    mirror.maintain().await.unwrap();
    // Packed by somebody else while the repository is open here.
    plain_git(mirror.repository().path(), &["gc", "-q"], &[])
        .await
        .good();
    assert_eq!(mirror.repository().tree(&head).unwrap().files.len(), 1);
    mirror.fetch(&[MAIN]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_mirror_is_fetched_anew() {
    let setup = Setup::new().await;
    let work = setup.pushed().await;
    let mirror = setup.agent_mirror().await;
    mirror.fetch(&[MAIN]).await.unwrap();
    // Given a mirror whose objects a power cut has emptied,
    let mut emptied = 0;
    for folder in std::fs::read_dir(mirror.repository().path().join("objects"))
        .unwrap()
        .flatten()
    {
        for file in std::fs::read_dir(folder.path()).unwrap().flatten() {
            std::fs::remove_file(file.path()).unwrap();
            std::fs::write(file.path(), "").unwrap();
            emptied += 1;
        }
    }
    assert!(emptied > 0);
    std::fs::write(work.join("b.yaml"), "b: 1\n").unwrap();
    setup.commit(&work, "second").await;
    setup
        .git(&setup.user, &work, &["push", "-q", "origin", "main"])
        .await
        .good();
    // when it fetches, then everything is there again.
    let head = mirror.fetch(&[MAIN]).await.unwrap().refs[MAIN].unwrap();
    let tree = mirror.repository().tree(&head).unwrap();
    assert_eq!(tree.files.len(), 2);
    for blob in tree.files.values() {
        mirror.repository().read(blob, 100).unwrap();
    }
    // And so it is when somebody asks for it.
    mirror.rebuild().await.unwrap();
    assert_eq!(mirror.fetch(&[MAIN]).await.unwrap().refs[MAIN], Some(head));
}
