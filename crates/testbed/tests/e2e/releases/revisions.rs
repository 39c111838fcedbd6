//! Back to a revision, by the number that `helm history` shows: as a commit, like every change.

use anyhow::{Result, ensure};
use c7n_testbed::stack::eventually;

use super::{Scene, Wish};
use crate::stand::PATIENCE;

impl Scene {
    async fn shown(&self, name: &str) -> Result<String> {
        let project = self.stand.project.as_str();
        let show = ["instance", "show", "-p", project, "-e", "staging", name];
        self.stand.cli.run(&show).await
    }

    /// Exit code and complaint of `c7n rollback`.
    async fn roll_back(&self, name: &str, revision: &str) -> Result<(Option<i32>, String)> {
        let project = self.stand.project.as_str();
        let output = self
            .stand
            .cli
            .output(&[
                "rollback",
                "-p",
                project,
                "--env",
                "staging",
                "--timeout",
                "180",
                name,
                "--to-revision",
                revision,
            ])
            .await?;
        Ok((
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        ))
    }
}

#[tokio::test]
async fn a_revision_is_gone_back_to_by_its_commit() -> Result<()> {
    let scene = Scene::new("revisions").await?;
    let wish = |message: &str| {
        let values = format!("message: {message}");
        Wish::new("web", "web", "1.0.0").values(&values)
    };
    let first = scene.push(&[&wish("one")], "One").await?;
    scene.deployed("web", 1).await?;
    scene.push(&[&wish("two")], "Two").await?;
    scene.deployed("web", 2).await?;
    // A hand makes the third, which is put right by the fourth.
    scene.helm(&["rollback", "web", "1"]).await?;
    let status = scene.deployed("web", 4).await?;
    assert_eq!(status["history"][0]["commit"], first.as_str());
    assert!(status["history"][2]["commit"].is_null(), "{status}");

    let shown = eventually("the platform knows the revisions", PATIENCE, || async {
        let shown = scene.shown("web").await?;
        let lines: Vec<&str> = shown
            .lines()
            .skip_while(|line| !line.starts_with("revisions"))
            .take(4)
            .collect();
        ensure!(
            lines.len() == 4 && lines[0].contains("4    web-1.0.0, commit "),
            "{shown}"
        );
        Ok(lines.join("\n"))
    })
    .await
    .map_err(|error| scene.stand.explain(error))?;
    ensure!(shown.contains("3    no commit: made by hand"), "{shown}");
    ensure!(
        shown.contains(&format!("1    web-1.0.0, commit {}", &first[..8])),
        "{shown}"
    );

    let (code, words) = scene.roll_back("web", "3").await?;
    ensure!(code == Some(1) && words.contains("by hand"), "{words}");
    let (code, words) = scene.roll_back("web", "9").await?;
    ensure!(
        code == Some(1) && words.contains("no revision 9") && words.contains("1, 2, 4"),
        "{words}"
    );
    assert_eq!(scene.history("web").await?.len(), 4, "nothing was changed so far");

    let (code, words) = scene.roll_back("web", "1").await?;
    ensure!(code == Some(0), "{words}");
    scene.deployed("web", 5).await?;
    assert_eq!(
        scene.environment.get("configmap", "web").await?["data"]["message"],
        "one"
    );
    let log = scene
        .stand
        .cli
        .run(&["env", "history", "-p", &scene.stand.project, "staging"])
        .await?;
    ensure!(
        log.contains(&format!("Roll back web to {}", &first[..8])),
        "{log}"
    );
    Ok(())
}
