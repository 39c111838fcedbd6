//! Whoever has no right is refused, and learns nothing.

use anyhow::Result;
use c7n_testbed::stack::{Access, WorkingCopy};

use crate::stand::{Stand, config_map};

#[tokio::test]
async fn a_wrong_token_is_refused_alike_for_what_is_there_and_what_is_not() -> Result<()> {
    let stand = Stand::with_cluster("stranger").await?;
    let environment = stand.environment("staging").await?;
    let stranger = stand.cli.with_token("c7n_wrong");

    let there = stranger
        .output(&["env", "show", "-p", &stand.project, "staging"])
        .await?;
    let not_there = stranger
        .output(&["env", "show", "-p", "no-such-project", "nothing"])
        .await?;

    assert_eq!(there.status.code(), Some(1));
    assert_eq!(there.stderr, not_there.stderr);
    assert!(
        !String::from_utf8_lossy(&there.stderr).contains("c7n_wrong"),
        "a token is never repeated"
    );

    // The Git host answers the same way, over HTTP and over SSH.
    let wrong = Access::Http {
        token: "c7n_wrong".to_owned(),
    };
    let http = stand.show("staging").await?.repository.http_url;
    let refused = refusal(&stand, "wrong-there", &http, wrong.clone()).await?;
    let missing = refusal(
        &stand,
        "wrong-missing",
        &http.replace("staging", "nothing"),
        wrong,
    )
    .await?;
    assert_eq!(refused.replace("staging", "nothing"), missing);

    let (unknown_key, _) =
        Access::new_ssh_key(&stand.folder().join("stranger"), stand.server.ssh_address()).await?;
    let ssh = stand.show("staging").await?.repository.ssh_url;
    let refused = refusal(&stand, "key", &ssh, unknown_key).await?;
    assert!(refused.contains("Permission denied"), "{refused}");
    environment.copy.git(&["ls-remote", "origin"]).await?;
    Ok(())
}

#[tokio::test]
async fn the_two_tags_are_moved_only_by_their_owners() -> Result<()> {
    let stand = Stand::with_cluster("tags").await?;
    let environment = stand.environment("staging").await?;
    environment.copy.write("a.yaml", &config_map("a", "k", "1"))?;
    let first = environment.copy.publish("One").await?;
    stand.converges("staging", &first).await?;
    environment.copy.commit("Not pushed").await?;

    for tag in ["devops-sync", "agent-sync"] {
        let moved = environment
            .copy
            .git(&["push", "--force", "origin", &format!("HEAD:refs/tags/{tag}")])
            .await;
        let text = moved.expect_err("a person cannot move the tag").to_string();
        assert!(
            text.contains(tag) && text.contains("moved by"),
            "the refusal says why: {text}"
        );
        let deleted = environment
            .copy
            .git(&["push", "origin", "--delete", &format!("refs/tags/{tag}")])
            .await;
        assert!(deleted.is_err(), "a person cannot delete the tag");
        assert_eq!(environment.tag(tag).await?.as_deref(), Some(first.as_str()));
    }
    Ok(())
}

async fn refusal(stand: &Stand, folder: &str, url: &str, access: Access) -> Result<String> {
    let copy = WorkingCopy::init(&stand.folder().join(folder), url, access).await?;
    Ok(copy
        .git(&["ls-remote", "origin"])
        .await
        .expect_err("a stranger is refused")
        .to_string())
}
