//! Breaks that last: what the person is told meanwhile, who comes back in time, and how it ends for who does not.

use std::collections::VecDeque;
use std::process::Stdio;
use std::time::{Duration, Instant};

use bytes::Bytes;
use c7n_stream::{End, EndCode, Finished, Frame, Part, Peer, Pipe};
use c7n_testbed::terminal::Terminal;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr};
use tokio::time::timeout;

use crate::fake::{Fake, PATIENCE, Seat, ticket};
use crate::pod::say_all;

/// `c7n exec` of a program whose words are waited for.
struct Running {
    child: Child,
    words: Lines<BufReader<ChildStderr>>,
}

impl Running {
    async fn start(fake: &mut Fake) -> (Self, Seat) {
        let mut command = fake.command(&["exec", "-i", "pod/web-a"]);
        command.arg("--").arg("work").stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let words = BufReader::new(child.stderr.take().unwrap()).lines();
        fake.opened().await;
        let mut seat = fake.seat(Some(1)).await;
        seat.say(Frame::Peer(Peer { present: true })).await;
        (Self { child, words }, seat)
    }

    async fn word(&mut self) -> String {
        let word = timeout(PATIENCE, self.words.next_line()).await;
        word.expect("nothing is told").unwrap().expect("it ended")
    }

    /// All that it tells from now on, and its exit status.
    async fn ends(mut self) -> (String, Option<i32>) {
        let mut words = String::new();
        while let Some(word) = timeout(PATIENCE, self.words.next_line()).await.unwrap().unwrap() {
            words = words + &word + "\n";
        }
        let status = timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        (words, status.code())
    }
}

#[tokio::test]
async fn who_is_away_for_almost_the_whole_time_goes_on_byte_for_byte() {
    const KEPT: Duration = Duration::from_secs(4);
    let noise: Vec<u8> = (0..1_500_000_u32).map(|at| (at % 251) as u8).collect();
    let mut fake = Fake::start().await;
    fake.patience = KEPT;
    let (mut running, mut seat) = Running::start(&mut fake).await;
    let mut stdin = running.child.stdin.take().unwrap();
    let sent = noise.clone();
    let feeding = tokio::spawn(async move { stdin.write_all(&sent).await });
    let mut stdout = running.child.stdout.take().unwrap();
    let shown = tokio::spawn(async move {
        let mut shown = Vec::new();
        stdout.read_to_end(&mut shown).await.map(|_| shown)
    });

    // A pod that says back what it hears, as fast as that is taken, and a break in the middle of both directions.
    let (mut pod, mut heard, mut broken) = (Pipe::new(), Vec::new(), false);
    let (mut echo, mut ended) = (VecDeque::new(), false);
    loop {
        while pod.has_room()
            && let Some(bytes) = echo.pop_front()
        {
            pod.offer(Part::Output(bytes));
            pod.consumed();
        }
        say_all(&mut seat, &mut pod).await;
        if ended && echo.is_empty() {
            break;
        }
        let frame = seat.hear().await.expect("the person goes");
        match pod.receive(frame).unwrap() {
            Some(Part::Input(bytes)) => {
                heard.extend_from_slice(&bytes);
                echo.push_back(bytes);
            }
            Some(Part::InputEnd) => ended = true,
            Some(other) => panic!("{other:?}"),
            None => {}
        }
        if heard.len() > 600_000 && !broken {
            broken = true;
            // Said into a socket that nobody reads any more.
            let _lost = pod.poll();
            fake.away(true);
            drop(seat);
            let cut = Instant::now();
            assert_eq!(
                running.word().await,
                "c7n: the connection is lost; trying again for 4 s"
            );
            tokio::time::sleep((KEPT * 9 / 10).saturating_sub(cut.elapsed())).await;
            fake.away(false);
            seat = fake.seat(Some(2)).await;
            assert_eq!(seat.ticket, ticket(1));
            pod.rejoined();
            seat.say(Frame::Peer(Peer { present: true })).await;
            assert_eq!(running.word().await, "c7n: it goes on");
        }
    }
    pod.consumed();
    feeding.await.unwrap().unwrap();
    assert!(broken && heard == noise, "{} bytes", heard.len());
    pod.offer(Part::Finished(Finished {
        exit_code: 5,
        message: String::new(),
    }));
    while !pod.is_settled() {
        say_all(&mut seat, &mut pod).await;
        pod.receive(seat.hear().await.expect("the person goes")).unwrap();
    }
    seat.say(Frame::End(End::new(EndCode::Completed, ""))).await;
    assert_eq!(running.ends().await, (String::new(), Some(5)));
    assert!(shown.await.unwrap().unwrap() == noise);
}

#[tokio::test]
async fn when_the_time_is_over_it_is_given_up_and_told() {
    let mut fake = Fake::start().await;
    fake.patience = Duration::from_secs(2);
    let (mut running, seat) = Running::start(&mut fake).await;
    fake.away(true);
    drop(seat);
    let cut = Instant::now();
    assert_eq!(
        running.word().await,
        "c7n: the connection is lost; trying again for 2 s"
    );
    fake.turned_away().await;
    let (words, status) = running.ends().await;
    assert!(cut.elapsed() >= fake.patience, "{:?}", cut.elapsed());
    assert_eq!(status, Some(1), "{words}");
    assert!(
        words
            .starts_with("c7n: it is over: the connection was lost and could not be made again within 2 s: ")
            && words.ends_with("\n  next: is the server running, and is its URL right?\n"),
        "{words}"
    );
}

#[tokio::test]
async fn a_seat_that_is_not_there_any_more_is_told() {
    let mut fake = Fake::start().await;
    let (running, seat) = Running::start(&mut fake).await;
    fake.forgets();
    drop(seat);
    let told = "c7n: it is over: the connection was lost, and meanwhile the server ended this or was started anew\n  \
                next: run the command again\n";
    assert_eq!(running.ends().await, (told.to_owned(), Some(1)));
}

#[tokio::test]
async fn who_comes_back_to_an_end_hears_why() {
    let mut fake = Fake::start().await;
    let (running, seat) = Running::start(&mut fake).await;
    drop(seat);
    let mut seat = fake.seat(Some(2)).await;
    let end = End::new(
        EndCode::Forbidden,
        "the right to this was taken away; ask an owner",
    );
    seat.say(Frame::End(end)).await;
    let told = "c7n: the right to this was taken away; ask an owner\n";
    assert_eq!(running.ends().await, (told.to_owned(), Some(1)));
}

/// A shell in a terminal that has shown its prompt.
async fn shell(fake: &mut Fake) -> (Terminal, Seat) {
    let mut command = fake.command(&["exec", "-it", "pod/web-a"]);
    command.args(["--", "sh"]);
    let terminal = Terminal::start(&command, 80, 24).unwrap();
    assert_eq!(fake.opened().await["tty"], true);
    let mut seat = fake.seat(Some(1)).await;
    seat.say(Frame::Peer(Peer { present: true })).await;
    let mut pod = Pipe::new();
    pod.offer(Part::Output(Bytes::from_static(b"$ ")));
    say_all(&mut seat, &mut pod).await;
    terminal.shows("$ ").await.unwrap();
    assert!(terminal.is_raw().unwrap());
    (terminal, seat)
}

#[tokio::test]
async fn a_terminal_is_put_back_when_it_is_given_up() {
    let mut fake = Fake::start().await;
    fake.patience = Duration::from_secs(2);
    let (mut terminal, seat) = shell(&mut fake).await;
    fake.away(true);
    drop(seat);
    terminal
        .shows("\r\nc7n: the connection is lost; trying again for 2 s (Ctrl-C ends it)\r\n")
        .await
        .unwrap();
    let status = terminal.ends().await.unwrap();
    assert_eq!(status.code(), Some(1), "{}", terminal.shown());
    terminal.check_restored().unwrap();
    // Below what was shown before, and at the margin.
    terminal.shows("\r\nc7n: it is over: ").await.unwrap();
    terminal.shows("\r\n  next: is the server running").await.unwrap();
}

#[tokio::test]
async fn who_does_not_want_to_wait_leaves() {
    let mut fake = Fake::start().await;
    let (mut terminal, seat) = shell(&mut fake).await;
    fake.away(true);
    drop(seat);
    terminal.shows("(Ctrl-C ends it)").await.unwrap();
    terminal.type_in("\x03").unwrap();
    let status = terminal.ends().await.unwrap();
    assert_eq!(status.code(), Some(130), "{}", terminal.shown());
    terminal.check_restored().unwrap();
}
