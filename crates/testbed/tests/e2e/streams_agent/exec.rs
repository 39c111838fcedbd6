//! Processes and ports.

use std::time::Instant;

use anyhow::{Context, Result};
use bytes::Bytes;
use c7n_agent::streams::ExecIs;
use c7n_link::messages::{ForwardPort, RunProcess, Wish};
use c7n_stream::{EndCode, Frame, Part, Size};
use c7n_testbed::ends::Dice;
use c7n_testbed::ends::seam::{A_WHILE, PATIENCE, Person};
use tokio::time::timeout;

use super::Ground;

fn run(pod: &str, command: &[&str]) -> RunProcess {
    RunProcess {
        pod: pod.into(),
        command: command.iter().map(|it| (*it).to_owned()).collect(),
        ..RunProcess::default()
    }
}

impl Ground {
    async fn person(&self, wish: RunProcess) -> Result<Person> {
        Ok(Person::at(self.open(Wish::Exec(wish)).await?))
    }

    async fn refusal(&self, wish: RunProcess) -> Result<(EndCode, String)> {
        let end = self.open(Wish::Exec(wish)).await?.end().await?;
        Ok((end.code(), end.message))
    }
}

const IDLE: &str = "while :; do sleep 1; done";

#[tokio::test(flavor = "multi_thread")]
async fn streams_a_process_ends_with_its_exit_code_and_nothing_of_it_is_lost() -> Result<()> {
    let Some(ground) = Ground::start("exec", ExecIs::On).await? else {
        return Ok(());
    };
    ground.pod("web", "", &[("app", IDLE), ("side", IDLE)]).await?;

    // Exit code, both outputs apart.
    let mut person = ground
        .person(run("web", &["sh", "-c", "echo out; echo err >&2; exit 7"]))
        .await?;
    assert_eq!(person.exit_code().await.context("exit code")?, 7);
    assert_eq!(
        (&person.output[..], &person.error_output[..]),
        (&b"out\n"[..], &b"err\n"[..])
    );

    // The input ends, and binary noise comes back as it was.
    let noise: Vec<u8> = (0..300_000_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let mut person = ground
        .person(RunProcess {
            stdin: true,
            ..run("web", &["cat"])
        })
        .await?;
    person.types(&noise);
    person.input.push_back(Part::InputEnd);
    assert_eq!(person.exit_code().await.context("end of input")?, 0);
    assert!(person.output == noise);

    // As a shell has it.
    let mut person = ground.person(run("web", &["no-such-program"])).await?;
    assert_eq!(person.exit_code().await.context("no program")?, 127);
    let mut person = ground.person(run("web", &["/etc/passwd"])).await?;
    assert_eq!(person.exit_code().await.context("no right")?, 126);
    let mut person = ground.person(run("web", &["sh", "-c", "kill -9 $$"])).await?;
    assert_eq!(person.exit_code().await.context("killed")?, 137);

    // A shell is found, in a terminal of the size that it has.
    let mut person = ground
        .person(RunProcess {
            stdin: true,
            tty: true,
            columns: 91,
            rows: 33,
            ..run("web", &[])
        })
        .await?;
    person.types(b"stty size\n");
    let shows = |person: &Person, what: &str| String::from_utf8_lossy(&person.output).contains(what);
    person
        .talk(|person| shows(person, "33 91"))
        .await
        .context("size")?;
    person.input.push_back(Part::Resize(Size {
        columns: 120,
        rows: 40,
    }));
    person.types(b"sleep 1; stty size\n");
    person
        .talk(|person| shows(person, "40 120"))
        .await
        .context("resize")?;
    // Ctrl-C ends what runs, not the shell.
    person.types(b"echo go; sleep 1000\n");
    person
        .talk(|person| shows(person, "\r\ngo\r\n"))
        .await
        .context("it runs")?;
    person.types(b"\x03");
    person
        .talk(|person| shows(person, "^C"))
        .await
        .context("Ctrl-C")?;
    person.types(b"exit 5\n");
    assert_eq!(person.exit_code().await.context("shell")?, 5);

    ground.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_what_cannot_be_run_is_told_in_words() -> Result<()> {
    let Some(ground) = Ground::start("refusals", ExecIs::On).await? else {
        return Ok(());
    };
    ground.pod("web", "", &[("app", IDLE), ("side", IDLE)]).await?;
    ground
        .pod("over", "  restartPolicy: Never\n", &[("app", "exit 3")])
        .await?;
    ground
        .raw_pod(
            "bare",
            "",
            "{name: app, image: \"c7n.local/pause:1\", imagePullPolicy: IfNotPresent}",
        )
        .await?;
    let (code, words) = ground.refusal(run("gone", &["ls"])).await?;
    assert_eq!(code, EndCode::NotFound);
    assert!(words.starts_with("there is no pod gone"), "{words}");
    let named = RunProcess {
        container: "x".into(),
        ..run("web", &["ls"])
    };
    let (code, words) = ground.refusal(named).await?;
    assert_eq!(code, EndCode::NotFound);
    assert_eq!(words, "the pod web has no container x; it has app, side");
    let (code, words) = ground.refusal(run("bare", &[])).await?;
    assert_eq!(code, EndCode::NoShell, "{words}");
    assert!(
        words.contains("app (image c7n.local/pause:1) has neither bash nor sh"),
        "{words}"
    );
    c7n_testbed::stack::eventually("the container has ended", PATIENCE, || async {
        let (code, words) = ground.refusal(run("over", &["ls"])).await?;
        anyhow::ensure!(
            code == EndCode::NotFound && words.contains("exit code 3"),
            "{code:?} {words}"
        );
        Ok(())
    })
    .await?;

    // The environment of another, and a person whom the cluster does not know.
    let wish = || Wish::Exec(run("web", &["ls"]));
    let end = ground.open_as("", "e2", wish()).await?.end().await?;
    assert_eq!(end.code(), EndCode::NotFound, "{}", end.message);
    let end = ground.open_as("nobody", "e1", wish()).await?.end().await?;
    assert_eq!(end.code(), EndCode::Forbidden);
    assert!(
        end.message.contains("nobody may not run processes in pods"),
        "{}",
        end.message
    );

    // A port that nobody listens on.
    let wish = Wish::PortForward(ForwardPort {
        pod: "web".into(),
        port: 9,
    });
    let end = ground.open(wish).await?.end().await?;
    assert_eq!(end.code(), EndCode::NotFound);
    assert!(
        end.message
            .starts_with("nothing listens on port 9 of the pod web"),
        "{}",
        end.message
    );

    let Some(off) = Ground::start("off", ExecIs::Off).await? else {
        return Ok(());
    };
    let (code, words) = off.refusal(run("web", &["ls"])).await?;
    assert_eq!(code, EndCode::Forbidden);
    assert!(words.contains("--no-exec"), "{words}");
    off.end().await?;
    ground.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_a_process_goes_on_over_any_number_of_breaks() -> Result<()> {
    let Some(ground) = Ground::start("breaks", ExecIs::On).await? else {
        return Ok(());
    };
    ground.pod("web", "", &[("app", IDLE)]).await?;
    let text: Vec<u8> = (0..250_000)
        .flat_map(|line: u32| format!("{line}\n").into_bytes())
        .collect();
    for seed in 0..4 {
        let mut person = ground
            .person(RunProcess {
                stdin: true,
                ..run("web", &["cat"])
            })
            .await?;
        person.cuts = Some((Dice(seed), 30));
        person.types(&text);
        person.input.push_back(Part::InputEnd);
        assert_eq!(
            person.exit_code().await.with_context(|| format!("seed {seed}"))?,
            0
        );
        assert!(person.output == text, "seed {seed}: lost or doubled");
        assert!(person.broke >= 3, "seed {seed}: {} breaks", person.broke);
    }
    ground.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_a_burst_passes_and_a_reader_that_stalls_stops_it() -> Result<()> {
    let Some(ground) = Ground::start("burst", ExecIs::On).await? else {
        return Ok(());
    };
    ground.pod("web", "", &[("app", IDLE)]).await?;
    let burst = || run("web", &["busybox", "dd", "if=/dev/zero", "bs=64k", "count=800"]);
    let begun = Instant::now();
    let mut person = ground.person(burst()).await?;
    assert_eq!(person.exit_code().await?, 0);
    assert_eq!(person.output.len(), 50 << 20);
    println!("50 MiB of a process in {:?}", begun.elapsed());

    // Who reads without consuming gets a window and no more.
    let mut line = ground.open(Wish::Exec(burst())).await?;
    let Some(Frame::Piece(first)) = line.next().await? else {
        anyhow::bail!("no output")
    };
    let mut came = first.part.weight();
    while let Ok(frame) = timeout(A_WHILE * 4, line.next()).await {
        if let Some(Frame::Piece(piece)) = frame? {
            came += piece.part.weight();
        }
    }
    assert!(came <= c7n_stream::WINDOW, "{came} bytes");
    ground.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_a_port_is_forwarded() -> Result<()> {
    let Some(ground) = Ground::start("port", ExecIs::On).await? else {
        return Ok(());
    };
    ground
        .raw_pod(
            "site",
            "",
            "{name: app, image: \"c7n.local/sample:1\", imagePullPolicy: IfNotPresent, args: [-listen, \":8080\"]}",
        )
        .await?;
    let wish = || {
        Wish::PortForward(ForwardPort {
            pod: "site".into(),
            port: 8080,
        })
    };
    let page = c7n_testbed::stack::eventually("the page is there", PATIENCE, || async {
        let mut person = Person::at(ground.open(wish()).await?);
        let request = "GET / HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n";
        person
            .input
            .push_back(Part::Input(Bytes::from_static(request.as_bytes())));
        let end = person.talk(|_| false).await?.context("it ends")?;
        anyhow::ensure!(end.code() == EndCode::Completed, "{end:?}");
        assert_eq!(person.last, Some(Part::OutputEnd));
        Ok(String::from_utf8_lossy(&person.output).into_owned())
    })
    .await?;
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    ground.end().await
}
