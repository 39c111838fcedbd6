use serde_json::Value;

use super::{Health, text};

pub(super) fn claim(object: &Value) -> Health {
    match text(object, "/status/phase") {
        "Bound" => Health::healthy(),
        "Lost" => Health::degraded("the volume of this claim is lost"),
        _ => Health::progressing("no volume is bound to this claim yet"),
    }
}

pub(super) fn volume(object: &Value) -> Health {
    match text(object, "/status/phase") {
        "Failed" => Health::degraded(text(object, "/status/message")),
        "Pending" => Health::progressing("the volume is not available yet"),
        _ => Health::healthy(),
    }
}
