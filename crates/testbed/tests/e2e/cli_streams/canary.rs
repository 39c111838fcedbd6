//! What nobody else may see: the token, the ticket, what is typed.

use anyhow::{Context, Result, ensure};
use c7n_testbed::stack::Cli;
use c7n_testbed::terminal::Terminal;

use super::Scene;
use super::cutter::Cutter;

const TYPED: &str = "canary-that-is-typed-7319";

#[tokio::test]
async fn no_token_no_ticket_and_nothing_typed_is_in_a_log_a_url_or_the_list_of_processes() -> Result<()> {
    let Some(scene) = Scene::open("canary").await? else {
        return Ok(());
    };
    scene.idle_pod("web-a", "web").await?;
    let server = &scene.stand.server;
    let listen = server.connect();
    let listen = listen.trim_start_matches("ws://").trim_end_matches("/agent/");
    let way = Cutter::start(listen.parse()?).await?;
    let token = server.first_run().token.as_str();
    let cli = Cli::new(
        server.binaries(),
        &format!("http://{}", way.address),
        token,
        scene.stand.folder(),
    );
    let mut terminal = Terminal::start(&cli.command(&scene.arguments("exec", &["-it", "web-a"])), 80, 24)?;
    terminal.answers("echo rea''dy\r", "ready").await?;
    terminal.type_in(&format!("echo {TYPED}\r"))?;
    // As it is typed, and as it is answered.
    terminal.shows_times(TYPED, 2).await?;
    // Once more, so that a ticket of a resumption passes too.
    way.cut();
    terminal.answers("echo aft''er\r", "after").await?;

    let passed = String::from_utf8_lossy(&way.heard()).into_owned();
    let tickets: Vec<&str> = passed
        .split("c7n.ticket.")
        .skip(1)
        .map(|rest| rest.split(['\r', ',', ' ']).next().unwrap_or_default())
        .collect();
    ensure!(
        tickets.len() >= 2 && tickets.iter().all(|ticket| ticket.len() == 22),
        "{tickets:?}"
    );
    let secrets: Vec<&str> = tickets.iter().copied().chain([token, TYPED]).collect();

    // In no line that asks for something.
    for line in passed.lines().filter(|line| line.contains(" HTTP/1.1")) {
        ensure!(secrets.iter().all(|secret| !line.contains(secret)), "{line}");
    }
    // In no argument of any process.
    let pid = terminal.pid().context("it has ended")?;
    let own = std::fs::read(format!("/proc/{pid}/cmdline"))?;
    ensure!(
        String::from_utf8_lossy(&own).contains("exec"),
        "it is not the program: {own:?}"
    );
    for process in std::fs::read_dir("/proc")?.flatten() {
        let arguments = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&arguments);
        ensure!(
            secrets.iter().all(|secret| !arguments.contains(secret)),
            "{arguments}"
        );
    }
    terminal.type_in("exit\r")?;
    ensure!(terminal.ends().await?.success());
    // In no log.
    let logs =
        std::iter::once(server.log()).chain(scene.stand.agents.iter().map(|agent| agent.log().to_path_buf()));
    for log in logs {
        let text = std::fs::read_to_string(&log)?;
        ensure!(!text.is_empty(), "{} is empty", log.display());
        for secret in &secrets {
            ensure!(!text.contains(secret), "{} has {secret}", log.display());
        }
    }
    Ok(())
}
