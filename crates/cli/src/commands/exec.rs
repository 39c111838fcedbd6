//! `c7n exec`: a program in a container, as if it ran here.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Result;
use c7n_api::RunProcess;
use c7n_stream::Finished;
use tokio::signal::unix::Signal;

use super::{Global, InEnvironment};
use crate::streams::{Out, Process, Raw, Said, Signals, Stdin, Writer, is_broken_pipe, size, window_changes};

/// What shells say of a program that wrote to where nobody reads (128 + SIGPIPE).
const BROKEN_PIPE: u8 = 141;
const INTERRUPTED: u8 = 130;
const CTRL_C: u8 = 3;

#[derive(clap::Args)]
#[command(
    after_help = "The exit status is the program's own; 128 + N where signal N ended it.

Examples:
  c7n exec -p shop -e staging -it web                       a shell in web's first ready pod
  c7n exec -p shop -e staging web-5d9c7b-x2x4z -- env       one program; its output can be piped on
  c7n exec -p shop -e staging -i web-5d9c7b-x2x4z -- psql < changes.sql
  c7n exec -p shop -e staging -it web-5d9c7b-x2x4z -c sidecar -- vi /etc/hosts"
)]
pub struct Exec {
    /// A pod, or an instance: then its first ready pod; `pod/NAME` and `instance/NAME` say which
    #[arg(value_name = "POD|INSTANCE")]
    name: String,
    #[command(flatten)]
    place: InEnvironment,
    /// Pass standard input on
    #[arg(long, short = 'i')]
    stdin: bool,
    /// In a terminal
    #[arg(long, short)]
    tty: bool,
    /// This container; the default is the one that kubectl would take
    #[arg(long, short, value_name = "NAME")]
    container: Option<String>,
    /// Program and its arguments; without it the shell that is found, in a terminal when there is one
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub async fn run(global: &Global, exec: Exec) -> Result<ExitCode> {
    let place = exec.place.place(global)?;
    let mut signals = Signals::listen()?;
    let mut changes = window_changes()?;
    let shell = exec.command.is_empty();
    let terminal = std::io::stdin().is_terminal();
    if exec.tty && !terminal {
        eprintln!("c7n: standard input is no terminal; going on without one");
    }
    let tty = terminal && (exec.tty || (shell && !exec.stdin));
    let stdin = exec.stdin || shell;
    let size = tty.then(size).flatten();
    let wish = RunProcess {
        pod: place.pod(&exec.name).await?,
        container: exec.container,
        command: exec.command,
        tty,
        stdin,
        columns: size.and_then(|size| size.columns.try_into().ok()),
        rows: size.and_then(|size| size.rows.try_into().ok()),
    };
    let starting = Process::start(&place, wish);
    let process = tokio::select! {
        process = starting => process?,
        status = signals.next() => return Ok(ExitCode::from(status)),
    };
    // From here on what is typed belongs to the pod; whatever happens, the guard gives it back.
    let raw = tty.then(Raw::enter).transpose()?;
    let mut session = Session {
        process,
        writer: Writer::start()?,
        waiting: VecDeque::new(),
        stdin: stdin.then(Stdin::start).transpose()?,
        tty,
    };
    let outcome = session.run(&mut signals, &mut changes).await;
    if let Ok(Over::Finished(_)) = &outcome {
        session.process.finish().await;
    } else {
        session.process.leave().await;
    }
    drop(raw);
    match outcome? {
        Over::Finished(finished) => {
            // Why it could not be run; nothing when it ran.
            if !finished.message.is_empty() {
                eprintln!("c7n: {}", finished.message);
            }
            Ok(ExitCode::from(status(&finished)))
        }
        Over::Left(status) => Ok(ExitCode::from(status)),
    }
}

struct Session {
    process: Process,
    writer: Writer,
    /// What came and waits for the writer; the pipe's window is its bound.
    waiting: VecDeque<Out>,
    stdin: Option<Stdin>,
    tty: bool,
}

enum Over {
    Finished(Finished),
    /// With this exit status.
    Left(u8),
}

impl Session {
    async fn run(&mut self, signals: &mut Signals, changes: &mut Signal) -> Result<Over> {
        let mut finished = None;
        loop {
            while self.writer.has_room()
                && let Some(out) = self.waiting.pop_front()
            {
                self.writer.write(out)?;
            }
            // Everything that came before the end is written first.
            if self.writer.is_idle()
                && let Some(finished) = finished.take()
            {
                self.process.consumed();
                return Ok(Over::Finished(finished));
            }
            let has_room = self.process.has_room() && finished.is_none();
            let input = async {
                match &mut self.stdin {
                    Some(stdin) => stdin.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                written = self.writer.written() => match written {
                    Ok(()) => self.process.consumed(),
                    Err(error) if is_broken_pipe(&error) => return Ok(Over::Left(BROKEN_PIPE)),
                    Err(error) => return Err(error.into()),
                },
                said = self.process.hear(), if finished.is_none() => match said? {
                    Said::Output(bytes) => self.waiting.push_back(Out::Stdout(bytes)),
                    Said::ErrorOutput(bytes) => self.waiting.push_back(Out::Stderr(bytes)),
                    Said::Finished(how) => finished = Some(how),
                    Said::Room => {}
                },
                input = input, if has_room => match input? {
                    Some(bytes) if self.tty && self.process.is_away() && bytes.contains(&CTRL_C) => {
                        return Ok(Over::Left(INTERRUPTED));
                    }
                    Some(bytes) => self.process.feed(bytes),
                    None => {
                        self.stdin = None;
                        self.process.end_input();
                    }
                },
                _ = changes.recv(), if self.tty => {
                    if let Some(size) = size() {
                        self.process.resize(size);
                    }
                }
                status = signals.next() => return Ok(Over::Left(status)),
            }
        }
    }
}

/// What a shell can tell.
fn status(finished: &Finished) -> u8 {
    u8::try_from(finished.exit_code).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_no_shell_can_tell_is_still_a_failure() {
        let told = |exit_code| {
            status(&Finished {
                exit_code,
                message: String::new(),
            })
        };
        assert_eq!([0, 3, 137, 255, 256, -1].map(told), [0, 3, 137, 255, 1, 1]);
    }
}
