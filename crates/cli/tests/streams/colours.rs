//! Colours are for a person who wants them (<https://no-color.org>).

use std::process::Stdio;

use c7n_stream::{End, EndCode, Frame, LogPosition, LogSourceState, Peer};
use c7n_testbed::terminal::Terminal;
use tokio::process::Command;

use crate::fake::{Fake, PATIENCE, position};

/// The log of two pods, whole.
async fn speak(fake: &mut Fake) {
    fake.opened().await;
    let mut seat = fake.seat(None).await;
    seat.say(Frame::Peer(Peer { present: true })).await;
    for (number, pod) in [(0, "web-a"), (1, "web-b")] {
        seat.source(number, pod, LogSourceState::Open).await;
        seat.bytes(number, "hello\n", position(1, LogPosition::WHOLE))
            .await;
    }
    seat.say(Frame::End(End::new(EndCode::Completed, ""))).await;
    // The socket is the person's to close.
    while seat.hear().await.is_some() {}
}

fn logs(fake: &Fake) -> Command {
    let mut command = fake.command(&["logs", "instance/web"]);
    command.env("TERM", "xterm").env_remove("NO_COLOR");
    command
}

async fn in_a_terminal(fake: &mut Fake, command: &Command) -> String {
    let mut terminal = Terminal::start(command, 80, 24).unwrap();
    speak(fake).await;
    let status = terminal.ends().await.unwrap();
    terminal.shows_times("hello\r\n", 2).await.unwrap();
    assert!(status.success(), "{}", terminal.shown());
    terminal.shown()
}

#[tokio::test]
async fn in_a_terminal_each_pod_has_a_colour_of_its_own() {
    let mut fake = Fake::start().await;
    let command = logs(&fake);
    let shown = in_a_terminal(&mut fake, &command).await;
    let colours: Vec<&str> = shown
        .lines()
        .filter_map(|line| line.strip_prefix("\x1b[")?.split_once('m'))
        .map(|(colour, rest)| {
            assert!(
                rest.starts_with("web-") && rest.ends_with(" |\x1b[0m hello"),
                "{rest:?}"
            );
            colour
        })
        .collect();
    assert_eq!(colours.len(), 2, "{shown:?}");
    assert_ne!(colours[0], colours[1]);
}

#[tokio::test]
async fn who_wants_no_colours_or_whose_terminal_has_none_gets_none() {
    let plain = "web-a | hello\r\nweb-b | hello\r\n";
    for (name, value) in [("NO_COLOR", "1"), ("NO_COLOR", "0"), ("TERM", "dumb")] {
        let mut fake = Fake::start().await;
        let mut command = logs(&fake);
        command.env(name, value);
        assert_eq!(in_a_terminal(&mut fake, &command).await, plain, "{name}={value}");
    }
    // Empty is as if it were not there.
    let mut fake = Fake::start().await;
    let mut command = logs(&fake);
    command.env("NO_COLOR", "");
    assert!(in_a_terminal(&mut fake, &command).await.contains("\x1b["));
}

#[tokio::test]
async fn what_goes_to_a_program_has_none() {
    let mut fake = Fake::start().await;
    let child = logs(&fake).stderr(Stdio::piped()).spawn().unwrap();
    let (output, ()) = tokio::join!(
        tokio::time::timeout(PATIENCE, child.wait_with_output()),
        speak(&mut fake)
    );
    let output = output.unwrap().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "web-a | hello\nweb-b | hello\n"
    );
    assert!(output.stderr.is_empty(), "{output:?}");
}
