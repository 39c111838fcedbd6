//! Who may move which reference, and what the one who may not is told.

use c7n_git::{AGENT_SYNC, DEVOPS_SYNC, GitError};

use crate::support::{AGENT_TOKEN, Setup, TOKEN};

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_push_says_why() {
    let setup = Setup::new().await;
    let work = setup.pushed().await;
    let url = setup.http_url();
    for (target, words) in [
        (
            "refs/tags/devops-sync",
            "devops-sync is moved by the platform alone; push to main and it follows",
        ),
        (
            "refs/tags/agent-sync",
            "agent-sync is moved by this environment's agent alone",
        ),
        (
            "refs/tags/c7n-check-1",
            "agent-sync is moved by this environment's agent alone",
        ),
        ("refs/notes/x", "only branches and tags"),
    ] {
        let refspec = format!("HEAD:{target}");
        let over_ssh = setup
            .git(&setup.user, &work, &["push", "origin", &refspec])
            .await
            .bad();
        let over_http = setup
            .git_http(TOKEN, &work, &["push", &url, &refspec])
            .await
            .bad();
        for said in [over_ssh, over_http] {
            assert!(said.contains(words), "{target}: {said}");
        }
        assert_eq!(setup.repository.resolve(target).unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_pushes_no_branches() {
    let setup = Setup::new().await;
    let work = setup.pushed().await;
    for target in ["refs/heads/main2", "refs/tags/v1", "refs/tags/devops-sync"] {
        let refspec = format!("HEAD:{target}");
        setup
            .git(&setup.agent, &work, &["push", "origin", &refspec])
            .await
            .bad();
        setup
            .git_http(AGENT_TOKEN, &work, &["push", &setup.http_url(), &refspec])
            .await
            .bad();
        assert_eq!(setup.repository.resolve(target).unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refused_reference_does_not_hold_up_the_others() {
    let setup = Setup::new().await;
    let work = setup.pushed().await;
    setup
        .git(
            &setup.user,
            &work,
            &["push", "origin", "HEAD:next", "HEAD:refs/tags/devops-sync"],
        )
        .await
        .bad();
    assert!(setup.repository.resolve("refs/heads/next").unwrap().is_some());
    assert!(setup.repository.resolve(DEVOPS_SYNC).unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_moves_its_tag_by_compare_and_swap() {
    let setup = Setup::new().await;
    // Given an agent that has fetched two commits,
    let work = setup.pushed().await;
    std::fs::write(work.join("b.yaml"), "b: 1\n").unwrap();
    setup.commit(&work, "second").await;
    setup
        .git(
            &setup.user,
            &work,
            &["push", "-q", "origin", "main", "main~1:refs/heads/old"],
        )
        .await
        .good();
    let mirror = setup.agent_mirror().await;
    let seen = mirror
        .fetch(&["refs/heads/main", "refs/heads/old"])
        .await
        .unwrap();
    let (new, old) = (
        seen.refs["refs/heads/main"].unwrap(),
        seen.refs["refs/heads/old"].unwrap(),
    );
    // when it creates, moves and repeats, then each succeeds,
    mirror.push_tag(AGENT_SYNC, None, Some(&old)).await.unwrap();
    mirror.push_tag(AGENT_SYNC, Some(&old), Some(&new)).await.unwrap();
    mirror.push_tag(AGENT_SYNC, Some(&old), Some(&new)).await.unwrap();
    assert_eq!(setup.repository.resolve(AGENT_SYNC).unwrap(), Some(new));
    // and when it expects something else than is there, it is told what is.
    for expected in [None, Some(&old)] {
        let outcome = mirror.push_tag(AGENT_SYNC, expected, Some(&old)).await;
        let Err(GitError::RefChanged { found, .. }) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(found, Some(new));
    }
    // What is not its own it cannot move, and hears why.
    let outcome = mirror.push_tag(DEVOPS_SYNC, None, Some(&new)).await;
    let Err(GitError::RefRefused { message, .. }) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(
        message.contains("devops-sync is moved by the platform alone"),
        "{message}"
    );
    // Deleting its tag is its right.
    mirror.push_tag(AGENT_SYNC, Some(&new), None).await.unwrap();
    assert_eq!(setup.repository.resolve(AGENT_SYNC).unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_of_rights_leaves_nothing_behind() {
    let setup = Setup::new().await;
    // Given an empty repository, and later one with commits,
    let mirror = setup.agent_mirror().await;
    mirror.check_tag_rights().await.unwrap();
    setup.pushed().await;
    mirror.fetch(&["refs/heads/main"]).await.unwrap();
    mirror.check_tag_rights().await.unwrap();
    // then no tag is left there.
    assert_eq!(setup.repository.references("refs/tags/").unwrap(), Vec::new());
    // And whoever lacks the right hears about it.
    let reader = c7n_git::Mirror::open(setup.path("other"), setup.ssh_remote(&setup.user))
        .await
        .unwrap();
    assert!(matches!(
        reader.check_tag_rights().await,
        Err(GitError::RefRefused { .. })
    ));
}
