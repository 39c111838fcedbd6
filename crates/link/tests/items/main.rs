//! Every sort of item goes over the wire as it is.

mod sorts;

use c7n_link::messages::{Body, Item, Say};
use c7n_link::{Config, Output, Role, Session};
use proptest::prelude::*;
use prost::Message;
use sorts::{any_item, one_of_each};

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_item_comes_out_as_it_went_in(say in any_item()) {
        let item = Item::from(say);
        prop_assert_eq!(Item::decode(item.encode_to_vec().as_slice()), Ok(item));
    }

    #[test]
    fn cutting_an_item_short_never_panics(say in any_item(), at in any::<prop::sample::Index>()) {
        let body = Body { items: vec![say.into()] }.encode_to_vec();
        let _ = Body::decode(&body[..at.index(body.len() + 1)]);
    }

    #[test]
    fn any_items_pass_two_sessions(says in proptest::collection::vec(any_item(), 1..40)) {
        // Given a newer item of the same topic takes an older one's place.
        let mut expected: Vec<Say> = Vec::new();
        for say in &says {
            expected.retain(|before| before.topic() != say.topic());
            expected.push(say.clone());
        }
        prop_assert_eq!(across(says), expected);
    }
}

#[test]
fn every_sort_is_taken_in_by_a_session() {
    let says = one_of_each();
    assert_eq!(across(says.clone()), says);
}

fn across(says: Vec<Say>) -> Vec<Say> {
    let config = Config {
        batch_bytes: 500,
        chunk_bytes: 120,
        compress_from: 300,
        window_bytes: 1500,
        ..Config::default()
    };
    let mut agent = Session::new(Role::Agent, config.clone());
    let mut platform = Session::new(Role::Platform, config);
    for say in says {
        agent.post(say);
    }
    platform.connected(0, None);
    agent.connected(0, Some(Default::default()));
    let mut heard = Vec::new();
    loop {
        let mut quiet = true;
        while let Some(output) = agent.poll() {
            if let Output::Send(frame) = output {
                platform.receive(0, &frame).expect("the agent speaks well");
                quiet = false;
            }
        }
        while let Some(output) = platform.poll() {
            quiet = false;
            match output {
                Output::Hello(_) => platform.accept(0, 1, Default::default()),
                Output::Send(frame) => agent.receive(0, &frame).expect("the platform speaks well"),
                Output::Deliver { epoch, seq, items } => {
                    heard.extend(items);
                    platform.committed(epoch, seq);
                }
                other => panic!("{other:?}"),
            }
        }
        if quiet {
            assert!(agent.outbox().is_empty());
            return heard;
        }
    }
}
