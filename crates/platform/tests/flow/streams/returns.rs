//! Who comes back after a break, byte for byte while its seat is kept, and too late after that.

use std::time::Duration;

use bytes::Bytes;
use c7n_stream::{EndCode, Frame, Part, Pipe};
use serde_json::json;

use super::ends::{StreamEnd, join_agent, join_client, reveal, told};
use super::site::{Running, Site, exec};
use crate::shop::eventually;

/// One end, with what it says and what it has heard.
struct Talker {
    socket: Option<StreamEnd>,
    pipe: Pipe,
    to_say: Vec<Part>,
    heard: Vec<u8>,
}

const PORTION: usize = 10_000;

impl Talker {
    fn new(socket: StreamEnd, words: &[u8], part: fn(Bytes) -> Part) -> Self {
        let portions = words.chunks(PORTION).map(Bytes::copy_from_slice);
        Self {
            socket: Some(socket),
            pipe: Pipe::new(),
            to_say: portions.map(part).rev().collect(),
            heard: Vec::new(),
        }
    }

    fn socket(&mut self) -> &mut StreamEnd {
        self.socket.as_mut().unwrap()
    }

    async fn say_all(&mut self) {
        loop {
            while self.pipe.has_room()
                && let Some(part) = self.to_say.pop()
            {
                self.pipe.offer(part);
            }
            match self.pipe.poll() {
                Some(frame) => self.socket().say(frame).await,
                None => return,
            }
        }
    }

    fn take(&mut self, frame: Option<Frame>) {
        let frame = frame.expect("the socket is closed");
        if let Some(Part::Input(bytes) | Part::Output(bytes)) = self.pipe.receive(frame).unwrap() {
            self.heard.extend_from_slice(&bytes);
            self.pipe.consumed();
        }
    }

    /// Its way breaks; with the ticket for coming back.
    fn lost(&mut self) -> Bytes {
        self.socket.take().unwrap().resume
    }

    fn back(&mut self, socket: StreamEnd) {
        self.socket = Some(socket);
        self.pipe.rejoined();
    }
}

async fn talk(client: &mut Talker, agent: &mut Talker, enough: impl Fn(&Talker, &Talker) -> bool) {
    while !enough(client, agent) {
        client.say_all().await;
        agent.say_all().await;
        tokio::select! {
            frame = client.socket.as_mut().unwrap().said() => client.take(frame),
            frame = agent.socket.as_mut().unwrap().said() => agent.take(frame),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_while_the_seat_is_kept_goes_on_byte_for_byte() {
    // What is left of it is for the way back, on a machine that has other things to do.
    let kept = Duration::from_secs(12);
    let most = Duration::from_secs(8);
    let mut site = Site::open_with(|config| config.stream_times.patience = kept).await;
    let admin = site.server.admin();
    let Running {
        id, client, agent, ..
    } = site.joined(&admin, exec()).await;
    // More than a window in each direction.
    let noise = |seed: u32| -> Vec<u8> {
        let bytes = (0..700_000_u32).map(|at| (at.wrapping_mul(seed) >> 24) as u8);
        bytes.collect()
    };
    let (typed, shown) = (noise(2_654_435_761), noise(2_246_822_519));
    let mut client = Talker::new(client, &typed, Part::Input);
    let mut agent = Talker::new(agent, &shown, Part::Output);
    talk(&mut client, &mut agent, |client, agent| {
        client.heard.len() > 100_000 && agent.heard.len() > 100_000
    })
    .await;

    // One way breaks, the other end talks on into the void, and then its way breaks too.
    let of_client = client.lost();
    agent.say_all().await;
    let of_agent = agent.lost();
    tokio::time::sleep(most).await;
    client.back(join_client(&site.server, &reveal(&of_client)).await.unwrap());
    let back = join_agent(&site.server, &site.credential, &of_agent).await;
    agent.back(back.unwrap());
    talk(&mut client, &mut agent, |client, agent| {
        client.heard.len() >= shown.len() && agent.heard.len() >= typed.len()
    })
    .await;

    assert!(client.heard == shown && agent.heard == typed);
    assert!(site.record(&id).await["ended_ms"].is_null(), "it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_later_finds_it_over_and_written_down() {
    let mut site = Site::open_with(|config| config.stream_times.patience = Duration::from_secs(1)).await;
    let admin = site.server.admin();
    for lost in ["the person's end", "the cluster's end"] {
        let Running {
            id, client, agent, ..
        } = site.joined(&admin, exec()).await;
        let (gone, mut stays) = match lost {
            "the person's end" => (client, agent),
            _ => (agent, client),
        };
        let ticket = gone.resume.clone();
        drop(gone);

        // Who stayed is told and its connection closed: the agent ends the process then.
        let end = stays.ended().await;
        told(&end, EndCode::PeerLost);
        assert!(end.message.starts_with(lost), "{end:?}");
        let record = site.ended_record(&id).await;
        assert_eq!(record["end"], end.message);
        assert_eq!(record["exit_code"], json!(null));
        let line = format!("environment/staging/stream/{id}/exec/web-0");
        assert!(site.server.audited("stream.end").await.contains(&line));

        // Who comes late is told that there is nothing, and why that may be.
        let refused = match lost {
            "the person's end" => join_client(&site.server, &reveal(&ticket)).await,
            _ => join_agent(&site.server, &site.credential, &ticket).await,
        };
        let refused = refused.err().unwrap();
        assert_eq!(refused.status, 401);
        assert!(refused.words.contains("is too old"), "{refused:?}");
    }
    eventually("nothing is left", async || {
        site.server.platform.open_streams() == 0
    })
    .await;
}
