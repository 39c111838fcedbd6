//! What a person sees in the terminal.

use anyhow::{Result, ensure};
use c7n_testbed::stack::eventually;

use crate::stand::{PATIENCE, Stand, config_map};

#[tokio::test]
async fn watch_ends_when_the_commit_has_arrived_and_history_tells_the_story() -> Result<()> {
    let stand = Stand::with_cluster("cli").await?;
    let environment = stand.environment("staging").await?;
    let watch = [
        "env",
        "watch",
        "-p",
        stand.project.as_str(),
        "staging",
        "--until",
        "healthy",
        "--timeout",
        "60",
    ];
    environment.copy.write("a.yaml", &config_map("a", "k", "1"))?;
    let commit = environment.copy.commit("Add a").await?;
    let watching = tokio::spawn(
        stand
            .cli
            .command(&[&watch[..], &["--commit", &commit]].concat())
            .output(),
    );

    environment.copy.push().await?;

    let seen = watching.await??;
    let text = String::from_utf8(seen.stdout)?;
    assert!(
        seen.status.success(),
        "{text} {}",
        String::from_utf8_lossy(&seen.stderr)
    );
    let short = &commit[..8];
    assert!(
        text.contains(&format!(
            "newest {short}  devops-sync {short}  agent-sync {short}  converged"
        )),
        "{text}"
    );

    let history = stand
        .cli
        .run(&["env", "history", "-p", &stand.project, "staging"])
        .await?;
    assert!(
        history.contains(short) && history.contains("+1 ~0 -0") && history.contains("applied"),
        "{history}"
    );
    eventually("the object is shown", PATIENCE, || async {
        let tree = stand
            .cli
            .run(&["env", "objects", "-p", &stand.project, "staging"])
            .await?;
        ensure!(tree.contains("ConfigMap a") && tree.contains("a.yaml"), "{tree}");
        Ok(())
    })
    .await?;

    let late = stand
        .cli
        .output(&[&watch[..7], &["--timeout", "1", "--commit", "ffff"]].concat())
        .await?;
    assert_eq!(
        late.status.code(),
        Some(3),
        "a wait that ran out of time has a status of its own"
    );
    Ok(())
}

#[tokio::test]
async fn login_remembers_and_mistakes_are_explained() -> Result<()> {
    let stand = Stand::empty("login").await?;
    let mut login = stand.cli.command(&["login", "--user", "admin"]);
    login
        .env_remove("C7N_TOKEN")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = login.spawn()?;
    let mut stdin = child.stdin.take().expect("it is piped");
    tokio::io::AsyncWriteExt::write_all(
        &mut stdin,
        format!("{}\n", stand.server.first_run().password).as_bytes(),
    )
    .await?;
    drop(stdin);
    let done = child.wait_with_output().await?;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));

    let remembered = stand
        .cli
        .command(&["project", "list"])
        .env_remove("C7N_TOKEN")
        .env_remove("C7N_SERVER")
        .output()
        .await?;
    assert!(String::from_utf8_lossy(&remembered.stdout).contains(&stand.project));

    let wrong_name = stand.cli.output(&["project", "create", "Not A Name"]).await?;
    let text = String::from_utf8_lossy(&wrong_name.stderr).into_owned();
    assert!(text.contains("next:") && text.contains("lower-case"), "{text}");
    let usage = stand.cli.output(&["env", "create"]).await?;
    assert_eq!(usage.status.code(), Some(2));
    Ok(())
}
