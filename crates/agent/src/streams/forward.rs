//! Forwards one connection to a port of a pod.
//!
//! The protocol (`v4.channel.k8s.io`) has no half-close: a pod cannot be told that the person's side has said all. It goes on
//! to be listened to, and is given up when nothing came of it for [`QUIET`], although it was read and had taken everything.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use c7n_link::messages::ForwardPort;
use c7n_stream::{End, EndCode, Part};
use kube::Client;

use super::pod::{self, Channels, Heard, Over};
use super::pump::{self, Started, Starting};
use super::seat::{Gate, Seat};
use super::{Ground, target};

const QUIET: Duration = Duration::from_secs(30);
const DATA: u8 = 0;
const ERROR: u8 = 1;
/// The first message of each channel is the port.
const PORT: usize = 2;

pub async fn run(ground: &Ground, wish: ForwardPort, gate: &Gate, seat: &mut Seat) -> Option<End> {
    let starting: Starting = Box::pin(start(
        ground.client.clone(),
        ground.plain.clone(),
        ground.namespace.clone(),
        wish,
    ));
    pump::run(ground, gate, seat, starting, Some(QUIET)).await
}

async fn start(client: Client, plain: Client, namespace: String, wish: ForwardPort) -> Result<Started, End> {
    let port = u16::try_from(wish.port)
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| {
            End::new(
                EndCode::NotFound,
                format!("{} is no port; name one from 1 to 65535", wish.port),
            )
        })?;
    let pod = pod::find(&client, &namespace, &wish.pod).await?;
    let running = pod
        .status
        .as_ref()
        .is_some_and(|it| it.phase.as_deref() == Some("Running"));
    if !running {
        return Err(End::new(
            EndCode::NotFound,
            format!(
                "the pod {} does not run: {}; try again when it does",
                wish.pod,
                target::why_not(&pod, None)
            ),
        ));
    }
    let what = format!("port {port} of the pod {}", wish.pod);
    let request = pod::request(&namespace)
        .portforward(&wish.pod, &[port])
        .map_err(|error| {
            End::new(
                EndCode::ProtocolError,
                format!("{what} cannot be asked for: {error}; name another"),
            )
        })?;
    let (wire, _) = pod::connect(&plain, request, &what).await?;
    Ok(Started {
        wire,
        channels: Box::new(PortChannels {
            what,
            heads: [PORT; 2],
            error: Vec::new(),
        }),
        first: None,
    })
}

struct PortChannels {
    what: String,
    /// How much of the port is still to come, on each channel.
    heads: [usize; 2],
    error: Vec<u8>,
}

impl Channels for PortChannels {
    fn hear(&mut self, mut message: Bytes) -> Heard {
        let Some(&channel @ (DATA | ERROR)) = message.first() else {
            return Heard::Nothing;
        };
        message.advance(1);
        let head = &mut self.heads[usize::from(channel)];
        let skipped = (*head).min(message.len());
        *head -= skipped;
        message.advance(skipped);
        if channel == DATA {
            return Heard::Output(message);
        }
        // A sentence of the kubelet's.
        let room = 4096_usize.saturating_sub(self.error.len());
        self.error.extend_from_slice(&message[..message.len().min(room)]);
        Heard::Nothing
    }

    fn say(&mut self, part: &Part) -> Result<Option<Bytes>, &'static str> {
        match part {
            Part::Input(bytes) => {
                let mut message = BytesMut::with_capacity(1 + bytes.len());
                message.put_u8(DATA);
                message.put_slice(bytes);
                Ok(Some(message.freeze()))
            }
            Part::InputEnd => Ok(None),
            _ => Err("what does not belong to a port-forward"),
        }
    }

    fn has_ended(&self) -> bool {
        !self.error.is_empty()
    }

    fn over(&mut self, _: &str) -> Over {
        if self.error.is_empty() {
            return Over::OutputEnd;
        }
        let said = String::from_utf8_lossy(&self.error).trim().to_owned();
        let end = if said.contains("refused") {
            End::new(
                EndCode::NotFound,
                format!(
                    "nothing listens on {} ({said}); name the port that its program listens on",
                    self.what
                ),
            )
        } else {
            End::new(
                EndCode::Failed,
                format!(
                    "{} cannot be reached: {said}; look at the state of the pod, or try again",
                    self.what
                ),
            )
        };
        Over::Trouble(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channels() -> PortChannels {
        PortChannels {
            what: "port 80 of the pod web".into(),
            heads: [PORT; 2],
            error: Vec::new(),
        }
    }

    fn heard(channels: &mut PortChannels, message: &'static [u8]) -> Vec<u8> {
        match channels.hear(Bytes::from_static(message)) {
            Heard::Output(bytes) => bytes.to_vec(),
            other => {
                assert_eq!(other, Heard::Nothing);
                Vec::new()
            }
        }
    }

    #[test]
    fn the_port_before_the_bytes_is_passed_over_however_it_is_cut() {
        for messages in [
            &[&b"\x00\x50\x00"[..], b"\x01\x50\x00", b"\x00abc", b"\x00d"][..],
            &[b"\x00\x50\x00abc", b"\x00d"],
            &[b"\x00\x50", b"\x00\x00a", b"", b"\x07x", b"\x00bcd"],
        ] {
            let mut channels = channels();
            let all: Vec<u8> = messages
                .iter()
                .flat_map(|message| heard(&mut channels, message))
                .collect();
            assert_eq!(all, b"abcd");
            assert_eq!(channels.over("closed"), Over::OutputEnd);
        }
    }

    #[test]
    fn what_the_kubelet_complains_of_is_told() {
        for (said, code) in [
            (
                &b"\x01\x50\x00dial tcp4 127.0.0.1:80: connect: connection refused"[..],
                EndCode::NotFound,
            ),
            (b"\x01\x50\x00network namespace is gone", EndCode::Failed),
        ] {
            let mut channels = channels();
            channels.hear(Bytes::from_static(said));
            let Over::Trouble(end) = channels.over("closed") else {
                panic!("it is trouble")
            };
            assert_eq!(end.code(), code);
            assert!(end.message.contains("port 80 of the pod web"), "{}", end.message);
        }
    }
}
