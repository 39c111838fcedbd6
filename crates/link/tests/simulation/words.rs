//! What is said in the play.

use c7n_link::Config;
use c7n_link::digest::KindKey;
use c7n_link::messages::{
    Action, Command, Control, EnvironmentSpec, Frame, Hello, ObjectKey, ObjectState, Say, Sync,
};
use prost::Message;

pub const ENVIRONMENT: &str = "environment";
pub const KINDS: [&str; 3] = ["ConfigMap", "Pod", "Service"];

/// Kind and name; all live in one namespace.
pub type Name = (&'static str, String);

pub fn kind(kind: &str) -> KindKey {
    KindKey {
        environment_id: ENVIRONMENT.into(),
        group: String::new(),
        kind: kind.into(),
    }
}

pub fn known_kind(name: &str) -> &'static str {
    KINDS
        .into_iter()
        .find(|kind| *kind == name)
        .expect("only these are in the play")
}

pub fn state(name: &Name, version: Option<u64>) -> Say {
    Say::State(ObjectState {
        environment_id: ENVIRONMENT.into(),
        key: ObjectKey {
            group: String::new(),
            kind: name.0.into(),
            namespace: "ns".into(),
            name: name.1.clone(),
        },
        deleted: version.is_none(),
        resource_version: version.map(|version| version.to_string()).unwrap_or_default(),
        // Some are bigger than a chunk.
        message: "x".repeat(version.unwrap_or_default() as usize % 7 * 40),
        ..ObjectState::default()
    })
}

pub fn wanted(generation: u64) -> Say {
    Say::Environment(EnvironmentSpec {
        environment_id: ENVIRONMENT.into(),
        generation,
        ..EnvironmentSpec::default()
    })
}

pub fn command(id: &str) -> Say {
    Say::Command(Command {
        command_id: id.into(),
        action: Some(Action::Sync(Sync {})),
        ..Command::default()
    })
}

pub fn hello() -> Hello {
    Hello {
        protocol_min: 1,
        protocol_max: 1,
        ..Hello::default()
    }
}

/// Small windows and chunks, so that every path is walked.
pub fn small() -> Config {
    Config {
        batch_bytes: 300,
        chunk_bytes: 90,
        window_bytes: 700,
        window_frames: 9,
        compress_from: 200,
        max_message: 1000,
        ..Config::default()
    }
}

/// Whether the frame belongs to a numbered session. Introductions and what precedes them can only come over the connection
/// itself, which TCP keeps from mixing with another.
pub fn is_numbered(frame: &[u8]) -> bool {
    Frame::decode(frame).is_ok_and(|frame| {
        frame.epoch > 0 && !matches!(frame.control, Some(Control::Welcome(_) | Control::Hello(_)))
    })
}
