//! Runs a process in a container: what is typed goes in, what is shown comes out, and the exit code at the end.
//!
//! A v4 API server (before Kubernetes 1.30) cannot be told that the input has ended: a process that reads to the end goes on
//! until its person leaves.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use c7n_link::messages::RunProcess;
use c7n_stream::{End, EndCode, Finished, Part, Size};
use kube::Client;
use kube::api::AttachParams;
use tokio::time::timeout;

use super::pod::{self, Channels, Closes, Heard, Over, PodWire};
use super::pump::{self, Started, Starting};
use super::seat::{Gate, Seat};
use super::status::{self, ProcessEnd};
use super::{Ground, target};

mod channel {
    pub const STDIN: u8 = 0;
    pub const STDOUT: u8 = 1;
    pub const STDERR: u8 = 2;
    pub const STATUS: u8 = 3;
    pub const RESIZE: u8 = 4;
    /// Of v5: the channel in the next byte is closed.
    pub const CLOSE: u8 = 255;
}

/// One process instead of a question first: whoever has bash gets it. Without sh there may still be bash.
const SHELLS: [&[&str]; 2] = [
    &[
        "sh",
        "-c",
        "command -v bash >/dev/null 2>&1 && exec bash || exec sh",
    ],
    &["bash"],
];
/// By then a shell that is not there was found missing: in a terminal it shows a prompt otherwise, elsewhere it is silent.
const SHELL_SHOWS: Duration = Duration::from_secs(10);
const SHELL_STARTS: Duration = Duration::from_secs(2);

pub async fn run(ground: &Ground, wish: RunProcess, gate: &Gate, seat: &mut Seat) -> Option<End> {
    let starting: Starting = Box::pin(start(
        ground.client.clone(),
        ground.plain.clone(),
        ground.namespace.clone(),
        wish,
    ));
    pump::run(ground, gate, seat, starting, None).await
}

async fn start(client: Client, plain: Client, namespace: String, wish: RunProcess) -> Result<Started, End> {
    let pod = pod::find(&client, &namespace, &wish.pod).await?;
    let container = target::container(&pod, &wish.container)?;
    target::must_run(&pod, &container)?;
    let attempt = Attempt {
        plain: &plain,
        namespace: &namespace,
        container: &container,
        wish: &wish,
    };
    if !wish.command.is_empty() {
        let program = Program::Named(wish.command[0].clone());
        let (wire, channels) = attempt.open(&wish.command, program).await?;
        return Ok(started(wire, channels, None));
    }
    let none = no_shell(&pod::image_words(&pod, &container), &wish.pod);
    let patience = if wish.tty { SHELL_SHOWS } else { SHELL_STARTS };
    for shell in SHELLS {
        let command: Vec<String> = shell.iter().map(|it| (*it).to_owned()).collect();
        let (mut wire, mut channels) = attempt.open(&command, Program::Shell(none.clone())).await?;
        let first = match timeout(patience, wire.next()).await {
            Err(_) => None,
            Ok(Ok(bytes)) => {
                channels.peek(&bytes);
                Some(bytes)
            }
            Ok(Err(broken)) => {
                return Err(match channels.over(&broken.0) {
                    Over::Trouble(end) => end,
                    _ => closed_early(&broken.0),
                });
            }
        };
        if !matches!(channels.status, Some(ProcessEnd::NoSuchProgram(_))) {
            return Ok(started(wire, channels, first));
        }
        wire.close().await;
    }
    Err(none)
}

fn started(wire: PodWire, channels: ExecChannels, first: Option<Bytes>) -> Started {
    Started {
        wire,
        channels: Box::new(channels),
        first,
    }
}

fn no_shell(container: &str, pod: &str) -> End {
    End::new(
        EndCode::NoShell,
        format!(
            "the container {container} has neither bash nor sh; name a program that it has, as in `c7n exec {pod} -- PROGRAM`"
        ),
    )
}

fn closed_early(why: &str) -> End {
    End::new(
        EndCode::Failed,
        format!(
            "the API server broke off before it told how the process ended ({why}); it may still run: look with `c7n exec`"
        ),
    )
}

struct Attempt<'a> {
    plain: &'a Client,
    namespace: &'a str,
    container: &'a str,
    wish: &'a RunProcess,
}

impl Attempt<'_> {
    async fn open(&self, command: &[String], program: Program) -> Result<(PodWire, ExecChannels), End> {
        let wish = self.wish;
        let params = AttachParams::default()
            .container(self.container)
            .stdin(wish.stdin)
            .stdout(true)
            // A terminal has one output.
            .stderr(!wish.tty)
            .tty(wish.tty);
        let what = format!(
            "a process in the container {} of the pod {}",
            self.container, wish.pod
        );
        let request = pod::request(self.namespace)
            .exec(&wish.pod, command.iter().cloned(), &params)
            .map_err(|error| {
                End::new(
                    EndCode::ProtocolError,
                    format!("{what} cannot be asked for: {error}; name a command"),
                )
            })?;
        let (mut wire, closes) = pod::connect(self.plain, request, &what).await?;
        let mut channels = ExecChannels {
            closes,
            stdin: wish.stdin,
            program,
            status: None,
        };
        if wish.tty && wish.columns > 0 && wish.rows > 0 {
            let size = Size {
                columns: wish.columns,
                rows: wish.rows,
            };
            if let Ok(Some(bytes)) = channels.say(&Part::Resize(size)) {
                wire.writer.send(bytes);
            }
        }
        Ok((wire, channels))
    }
}

/// `v4.channel.k8s.io` and `v5.channel.k8s.io`: the first byte of each message says what it is.
struct ExecChannels {
    closes: Closes,
    stdin: bool,
    program: Program,
    status: Option<ProcessEnd>,
}

/// What is run, and what is said when it is not there.
enum Program {
    Named(String),
    Shell(End),
}

impl ExecChannels {
    /// Notes the end of the process, if this is it.
    fn peek(&mut self, message: &[u8]) {
        if let Some((&channel::STATUS, status)) = message.split_first()
            && !status.is_empty()
        {
            self.status = Some(status::read(status));
        }
    }
}

impl Channels for ExecChannels {
    fn hear(&mut self, mut message: Bytes) -> Heard {
        self.peek(&message);
        if message.len() < 2 {
            return Heard::Nothing;
        }
        match message.split_to(1)[0] {
            channel::STDOUT => Heard::Output(message),
            channel::STDERR => Heard::ErrorOutput(message),
            _ => Heard::Nothing,
        }
    }

    fn say(&mut self, part: &Part) -> Result<Option<Bytes>, &'static str> {
        Ok(match part {
            Part::Input(_) | Part::InputEnd if !self.stdin => None,
            Part::Input(bytes) => Some(tagged(channel::STDIN, bytes)),
            Part::InputEnd => (self.closes == Closes::Yes).then(|| tagged(channel::CLOSE, &[channel::STDIN])),
            Part::Resize(size) => {
                let json = format!("{{\"Width\":{},\"Height\":{}}}", size.columns, size.rows);
                Some(tagged(channel::RESIZE, json.as_bytes()))
            }
            Part::Output(_) | Part::ErrorOutput(_) | Part::OutputEnd | Part::Finished(_) => {
                return Err("what only a pod says");
            }
        })
    }

    fn has_ended(&self) -> bool {
        self.status.is_some()
    }

    fn over(&mut self, why: &str) -> Over {
        let could_not = |exit_code, how: &str, said: &str| match &self.program {
            Program::Named(program) => Over::Finished(Finished {
                exit_code,
                message: format!(
                    "{program} {how} in the container ({said}); look what it has, and name a program of it"
                ),
            }),
            Program::Shell(none) => Over::Trouble(none.clone()),
        };
        match &self.status {
            Some(ProcessEnd::Exited(finished)) => Over::Finished(finished.clone()),
            // As a shell has it.
            Some(ProcessEnd::NoSuchProgram(said)) => could_not(127, "is not there", said),
            Some(ProcessEnd::NotPermitted(said)) => could_not(126, "may not be run", said),
            Some(ProcessEnd::Failed(said)) => Over::Trouble(End::new(
                EndCode::Failed,
                format!(
                    "the process could not be run to its end: {}; look at the state of the pod, or try again",
                    said.trim_end_matches('.')
                ),
            )),
            None => Over::Trouble(closed_early(why)),
        }
    }
}

fn tagged(channel: u8, bytes: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(1 + bytes.len());
    message.put_u8(channel);
    message.put_slice(bytes);
    message.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channels(closes: Closes, stdin: bool) -> ExecChannels {
        ExecChannels {
            closes,
            stdin,
            program: Program::Named("ls".to_owned()),
            status: None,
        }
    }

    #[test]
    fn each_channel_is_heard_apart() {
        let mut exec = channels(Closes::Yes, true);
        for (message, heard) in [
            (&b"\x01out"[..], Heard::Output(Bytes::from_static(b"out"))),
            (b"\x02err", Heard::ErrorOutput(Bytes::from_static(b"err"))),
            // An empty message opens a channel.
            (b"\x01", Heard::Nothing),
            (b"", Heard::Nothing),
            (b"\x03", Heard::Nothing),
            (b"\xff\x01", Heard::Nothing),
        ] {
            assert_eq!(exec.hear(Bytes::from_static(message)), heard);
        }
        assert!(matches!(exec.over("closed"), Over::Trouble(end) if end.code() == EndCode::Failed));
        exec.hear(Bytes::from_static(b"\x03{\"status\":\"Success\"}"));
        assert_eq!(exec.over("closed"), Over::Finished(Finished::default()));
    }

    #[test]
    fn what_is_said_depends_on_what_the_api_server_can() {
        let input = Part::Input(Bytes::from_static(b"ls\n"));
        let size = Part::Resize(Size {
            columns: 80,
            rows: 24,
        });
        let said = |closes, stdin, part: &Part| channels(closes, stdin).say(part).unwrap();
        assert_eq!(
            said(Closes::Yes, true, &input),
            Some(Bytes::from_static(b"\x00ls\n"))
        );
        assert_eq!(said(Closes::Yes, false, &input), None);
        assert_eq!(
            said(Closes::Yes, true, &Part::InputEnd),
            Some(Bytes::from_static(b"\xff\x00"))
        );
        assert_eq!(said(Closes::No, true, &Part::InputEnd), None);
        assert_eq!(
            said(Closes::Yes, true, &size),
            Some(Bytes::from_static(b"\x04{\"Width\":80,\"Height\":24}"))
        );
        assert!(channels(Closes::Yes, true).say(&Part::OutputEnd).is_err());
    }

    #[test]
    fn a_program_that_is_not_there_ends_as_in_a_shell() {
        let mut exec = channels(Closes::Yes, false);
        exec.status = Some(ProcessEnd::NoSuchProgram("no such file".into()));
        assert!(matches!(
            exec.over("closed"),
            Over::Finished(Finished { exit_code: 127, .. })
        ));
        exec.status = Some(ProcessEnd::NotPermitted("denied".into()));
        assert!(matches!(
            exec.over("closed"),
            Over::Finished(Finished { exit_code: 126, .. })
        ));
    }
}
