//! What may come over the wire from a peer that errs or means harm.

use bytes::Bytes;
use c7n_link::messages::{Body, CommandResult, Encoding, Frame, Hello, Item, Say, Welcome};
use c7n_link::{Config, Output, ProtocolError, Role, Session};
use proptest::prelude::*;
use prost::Message;

/// Two sessions that have introduced themselves.
fn pair() -> (Session, Session) {
    let (mut agent, mut platform) = (
        Session::new(Role::Agent, Config::default()),
        Session::new(Role::Platform, Config::default()),
    );
    platform.connected(0, None);
    agent.connected(0, Some(Hello::default()));
    pump(&mut agent, &mut platform);
    platform.accept(0, 1, Welcome::default());
    pump(&mut agent, &mut platform);
    assert!(agent.is_open() && platform.is_open());
    (agent, platform)
}

/// Carries frames both ways until nobody has anything to say; gives what was delivered to the platform.
fn pump(agent: &mut Session, platform: &mut Session) -> Vec<Say> {
    let mut delivered = Vec::new();
    loop {
        let mut quiet = true;
        while let Some(output) = agent.poll() {
            quiet = false;
            if let Output::Send(frame) = output {
                platform.receive(0, &frame).expect("the agent speaks well");
            }
        }
        while let Some(output) = platform.poll() {
            quiet = false;
            match output {
                Output::Send(frame) => agent.receive(0, &frame).expect("the platform speaks well"),
                Output::Deliver { epoch, seq, items } => {
                    delivered.extend(items);
                    platform.committed(epoch, seq);
                }
                _ => {}
            }
        }
        if quiet {
            return delivered;
        }
    }
}

fn result(payload: Vec<u8>) -> Say {
    Say::Result(CommandResult {
        command_id: "c".into(),
        payload: payload.into(),
        ..CommandResult::default()
    })
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(len)
    .collect()
}

#[test]
fn messages_of_many_mebibytes_pass_whole() {
    for size in [0, 1, 255 << 10, 256 << 10, 1 << 20, (8 << 20) + 1] {
        let (mut agent, mut platform) = pair();
        let said = result(noise(size));
        agent.post(said.clone());
        assert_eq!(pump(&mut agent, &mut platform), [said]);
        assert!(agent.outbox().is_empty(), "{size} bytes were acknowledged");
    }
}

#[test]
fn what_unpacks_to_too_much_is_refused() {
    let (_, mut platform) = pair();
    let bomb = zstd::bulk::compress(&vec![0; 65 << 20], 1).unwrap();
    assert!(bomb.len() < 1 << 20, "small on the wire");
    let frame = Frame {
        epoch: 1,
        seq: 1,
        encoding: Encoding::Zstd.into(),
        body: bomb.into(),
        ..Frame::default()
    };
    let error = platform.receive(0, &frame.encode_to_vec()).unwrap_err();
    assert!(matches!(error, ProtocolError::TooBig { .. }), "{error}");
    assert!(
        matches!(platform.poll(), Some(Output::Send(_))),
        "the peer is told"
    );
    assert!(matches!(platform.poll(), Some(Output::Close { .. })));
}

#[test]
fn endless_chunks_are_refused_at_the_limit() {
    let (_, mut platform) = pair();
    let piece = Bytes::from(vec![0; 512 << 10]);
    let refused = (1..).find_map(|seq| {
        let frame = Frame {
            epoch: 1,
            seq,
            more: true,
            body: piece.clone(),
            ..Frame::default()
        };
        platform
            .receive(0, &frame.encode_to_vec())
            .err()
            .map(|error| (seq, error))
    });
    let (seq, error) = refused.unwrap();
    assert!(
        seq <= 130 && matches!(error, ProtocolError::TooBig { .. }),
        "{seq} {error}"
    );
}

#[test]
fn a_first_frame_that_is_no_hello_or_too_big_is_refused() {
    for hello in [
        Frame {
            seq: 1,
            ..Frame::default()
        }
        .encode_to_vec(),
        vec![0xff; 100],
        Frame {
            body: vec![0; 70 << 10].into(),
            ..Frame::default()
        }
        .encode_to_vec(),
    ] {
        let mut platform = Session::new(Role::Platform, Config::default());
        platform.connected(0, None);
        assert!(platform.receive(0, &hello).is_err());
    }
}

#[test]
fn a_silent_peer_is_dead_within_thirty_seconds() {
    let (mut agent, _) = pair();
    let mut now = 0;
    let closed = loop {
        now = agent.next_deadline().unwrap().max(now + 1);
        agent.tick(now);
        while let Some(output) = agent.poll() {
            if let Output::Close { reason, .. } = output {
                assert!(reason.contains("nothing was heard"));
                break;
            }
        }
        if agent.next_deadline().is_none() {
            break now;
        }
    };
    assert!(closed <= 30_000, "{closed} ms");
}

#[test]
fn an_item_of_an_unknown_sort_is_passed_over_and_acknowledged() {
    let (mut agent, mut platform) = pair();
    // Field 99 of `Item`, as a later version might send it.
    let unknown = [0x9a, 0x06, 0x01, 0x00];
    let mut body = vec![0x0a, unknown.len() as u8];
    body.extend(unknown);
    body.extend(
        Body {
            items: vec![Item::from(result(vec![1]))],
        }
        .encode_to_vec(),
    );
    let frame = Frame {
        epoch: 1,
        seq: 1,
        body: body.into(),
        ..Frame::default()
    };
    platform.receive(0, &frame.encode_to_vec()).unwrap();
    let Some(Output::Deliver { items, seq, epoch }) = platform.poll() else {
        panic!("it is delivered")
    };
    assert_eq!(items, [result(vec![1])]);
    assert_eq!(platform.unknown_items(), 1);
    platform.committed(epoch, seq);
    assert!(
        matches!(platform.poll(), Some(Output::Send(_))),
        "it is acknowledged"
    );
    let _ = agent.poll();
}

#[test]
fn nothing_is_acknowledged_before_it_is_stored() {
    let (mut agent, mut platform) = pair();
    agent.post(result(vec![1]));
    while let Some(Output::Send(frame)) = agent.poll() {
        platform.receive(0, &frame).unwrap();
    }
    let Some(Output::Deliver { epoch, seq, .. }) = platform.poll() else {
        panic!("it is delivered")
    };
    assert_eq!(platform.poll(), None, "no acknowledgement yet");
    platform.committed(epoch + 1, seq);
    assert_eq!(
        platform.poll(),
        None,
        "a word about another session counts for nothing"
    );
    platform.committed(epoch, seq);
    assert!(matches!(platform.poll(), Some(Output::Send(_))));
}

proptest! {
    #[test]
    fn no_bytes_make_a_session_panic(first in proptest::collection::vec(any::<u8>(), 0..400), then in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut fresh = Session::new(Role::Platform, Config::default());
        fresh.connected(0, None);
        let _ = fresh.receive(0, &first);
        let (mut agent, mut platform) = pair();
        let _ = agent.receive(0, &first);
        let _ = platform.receive(0, &first);
        let _ = platform.receive(0, &then);
        while platform.poll().is_some() {}
    }

    #[test]
    fn no_well_formed_frame_makes_a_session_panic(epoch in 0_u64..3, seq in 0_u64..4, ack in 0_u64..4, more: bool, encoding in 0_i32..4, body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (mut agent, mut platform) = pair();
        let frame = Frame { epoch, seq, ack, more, encoding, body: body.into(), control: None }.encode_to_vec();
        let _ = agent.receive(0, &frame);
        let _ = platform.receive(0, &frame);
        while platform.poll().is_some() {}
    }
}
