//! What may come over the wire from a peer that errs or means harm.

use bytes::Bytes;
use c7n_link::messages::{
    Body, Bye, ClusterInfo, CommandOutcome, CommandResult, Control, Encoding, Frame, Hello, Item, Kind,
    Kinds, Node, Ping, Say, Topic, Welcome,
};
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

/// An agent whose caps are small enough to try them.
fn narrow() -> (Session, Session) {
    let config = Config {
        max_message: 10_000,
        ..Config::default()
    };
    let mut agent = Session::new(Role::Agent, config.clone());
    let mut platform = Session::new(Role::Platform, config);
    platform.connected(0, None);
    agent.connected(0, Some(Hello::default()));
    pump(&mut agent, &mut platform);
    platform.accept(0, 1, Welcome::default());
    pump(&mut agent, &mut platform);
    (agent, platform)
}

#[test]
fn an_answer_that_no_message_can_hold_ends_its_command_with_words() {
    let (mut agent, mut platform) = narrow();
    agent.post(result(noise(20_000)));
    let heard = pump(&mut agent, &mut platform);
    let [Say::Result(heard)] = &heard[..] else {
        panic!("{heard:?}")
    };
    assert_eq!(heard.outcome(), CommandOutcome::Failed);
    assert!(heard.message.contains("more than"), "{}", heard.message);
    assert!(agent.is_open() && agent.outbox().is_empty());
    assert_eq!(agent.take_oversized().len(), 1);
}

#[test]
fn an_item_without_a_place_for_words_is_reported_to_its_own_shell() {
    let (mut agent, mut platform) = narrow();
    let kinds = Kinds {
        kinds: vec![
            Kind {
                group: "x".repeat(100),
                ..Kind::default()
            };
            200
        ],
    };
    agent.post(Say::Kinds(Kinds::default()));
    agent.post(Say::Kinds(kinds));
    agent.post(result(vec![1]));
    assert_eq!(pump(&mut agent, &mut platform), [result(vec![1])]);
    let told = agent.take_oversized();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].topic, Topic::Kinds);
    assert!(agent.take_oversized().is_empty());
}

#[test]
fn what_just_fits_is_sent_as_it_is() {
    let (mut agent, mut platform) = narrow();
    let said = result(noise(9_900));
    agent.post(said.clone());
    assert_eq!(pump(&mut agent, &mut platform), [said]);
    assert!(agent.take_oversized().is_empty());
}

#[test]
fn a_cluster_of_many_nodes_connects_and_tells_them_all() {
    let info = ClusterInfo {
        kubernetes_version: "v1".into(),
        nodes: (0..5000)
            .map(|node| Node {
                name: format!("node-{node}.some.long.domain.example"),
                ready: true,
                kubelet_version: "v1".into(),
            })
            .collect(),
    };
    let (mut agent, mut platform) = (
        Session::new(Role::Agent, Config::default()),
        Session::new(Role::Platform, Config::default()),
    );
    platform.connected(0, None);
    agent.connected(
        0,
        Some(Hello {
            cluster: Some(info.clone()),
            ..Hello::default()
        }),
    );
    pump(&mut agent, &mut platform);
    platform.accept(0, 1, Welcome::default());
    assert_eq!(pump(&mut agent, &mut platform), [Say::Cluster(info)]);
}

#[test]
fn a_farewell_of_another_session_closes_nothing() {
    let (mut agent, mut platform) = pair();
    let bye = |epoch| {
        Frame {
            epoch,
            control: Some(Control::Bye(Bye::default())),
            ..Frame::default()
        }
        .encode_to_vec()
    };
    for session in [&mut agent, &mut platform] {
        session.receive(0, &bye(7)).unwrap();
        assert!(session.is_open() && session.poll().is_none());
        session.receive(0, &bye(1)).unwrap();
        assert!(!session.is_open());
    }
}

#[test]
fn words_of_another_session_do_not_keep_a_dead_peer_alive() {
    let (mut agent, _) = pair();
    let late = Frame {
        epoch: 7,
        ..Frame::default()
    }
    .encode_to_vec();
    for now in (0..40_000).step_by(1000) {
        agent.receive(now, &late).unwrap();
        agent.tick(now);
        while agent.poll().is_some() {}
    }
    assert!(!agent.is_open());
}

#[test]
fn late_words_do_not_disturb_an_introduction() {
    let mut agent = Session::new(Role::Agent, Config::default());
    agent.connected(0, Some(Hello::default()));
    let frame = |epoch, control| {
        Frame {
            epoch,
            control: Some(control),
            ..Frame::default()
        }
        .encode_to_vec()
    };
    agent.receive(0, &frame(7, Control::Bye(Bye::default()))).unwrap();
    agent
        .receive(0, &frame(7, Control::Ping(Ping { nonce: 1 })))
        .unwrap();
    agent
        .receive(0, &frame(8, Control::Welcome(Welcome::default())))
        .unwrap();
    assert!(agent.is_open() && agent.epoch() == 8);
}

#[test]
fn who_dials_and_says_nothing_is_closed_within_ten_seconds() {
    let mut platform = Session::new(Role::Platform, Config::default());
    platform.connected(0, None);
    assert_eq!(platform.next_deadline(), Some(10_000));
    platform.tick(10_000);
    assert_eq!(platform.next_deadline(), None);
}

#[test]
fn two_bytes_that_stand_for_hundreds_are_refused() {
    // Given millions of empty items, and millions of empty entries in one item.
    let items = [0x0a, 0x00].repeat(4 << 20);
    let mut digests = vec![0x2a];
    prost::encoding::encode_varint(items.len() as u64, &mut digests);
    digests.extend(&items);
    let mut entries = vec![0x0a];
    prost::encoding::encode_varint(digests.len() as u64, &mut entries);
    entries.extend(&digests);
    for body in [items, entries] {
        let (_, mut platform) = pair();
        let frame = Frame {
            epoch: 1,
            seq: 1,
            encoding: Encoding::Zstd.into(),
            body: zstd::bulk::compress(&body, 1).unwrap().into(),
            ..Frame::default()
        };
        let error = platform.receive(0, &frame.encode_to_vec()).unwrap_err();
        assert!(
            matches!(
                error,
                ProtocolError::TooBig {
                    what: "decoded message",
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn a_window_of_more_than_a_message_is_not_made_ready() {
    // RFC 8878: magic number, no content size, a window of 128 MiB, one empty last block.
    let greedy = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 0x01, 0x00, 0x00];
    let (_, mut platform) = pair();
    let frame = Frame {
        epoch: 1,
        seq: 1,
        encoding: Encoding::Zstd.into(),
        body: Bytes::copy_from_slice(&greedy),
        ..Frame::default()
    };
    let error = platform.receive(0, &frame.encode_to_vec()).unwrap_err();
    assert!(matches!(error, ProtocolError::Malformed(_)), "{error}");
}

#[test]
fn what_a_broken_session_left_uncommitted_does_not_weigh_on_the_next() {
    let config = Config {
        max_message: 10_000,
        window_bytes: 10_000,
        ..Config::default()
    };
    let mut agent = Session::new(Role::Agent, config.clone());
    for epoch in 1..20 {
        let mut platform = Session::new(Role::Platform, config.clone());
        platform.post(result(noise(9_000)));
        platform.connected(0, None);
        agent.connected(0, Some(Hello::default()));
        while let Some(output) = agent.poll() {
            if let Output::Send(frame) = output {
                platform.receive(0, &frame).unwrap();
            }
        }
        platform.accept(0, epoch, Welcome::default());
        while let Some(output) = platform.poll() {
            if let Output::Send(frame) = output {
                agent.receive(0, &frame).unwrap();
            }
        }
        assert!(agent.is_open());
        agent.disconnected();
    }
}

#[test]
fn who_does_not_wait_for_acknowledgements_is_closed() {
    let (_, mut platform) = pair();
    // Given frames that are nearly nothing on the wire and a lot when unpacked, and a database that is slow.
    let body = Body {
        items: vec![result(vec![0; 8 << 20]).into()],
    };
    let packed = Bytes::from(zstd::bulk::compress(&body.encode_to_vec(), 1).unwrap());
    let refused = (1..100).find(|seq| {
        let frame = Frame {
            epoch: 1,
            seq: *seq,
            encoding: Encoding::Zstd.into(),
            body: packed.clone(),
            ..Frame::default()
        };
        platform.receive(0, &frame.encode_to_vec()).is_err()
    });
    assert_eq!(
        refused,
        Some(9),
        "two windows and one whole message are the most that is kept"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn messages_of_one_to_eight_mebibytes_pass_in_pieces(size in (1_usize << 20)..(8 << 20), zeros in 0_usize..100) {
        let mut payload = noise(size);
        payload[..size * zeros / 100].fill(0);
        let (mut agent, mut platform) = pair();
        let said = result(payload);
        agent.post(said.clone());
        let small = Say::EnvironmentStatus(Default::default());
        agent.post(small.clone());
        prop_assert!(pump(&mut agent, &mut platform) == [said, small]);
        prop_assert!(agent.outbox().is_empty());
    }
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
