//! Images that cannot be had: which one, and why.

use serde_json::Value;

use super::{Clue, Clues, Trouble, newest, words};
use crate::health::conditions::word;

pub(super) const REASONS: [&str; 7] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
];

pub(super) fn unpulled(container: &str, image: &str, waiting: &Value) -> Trouble {
    let message = word(waiting, "message");
    let told = match word(waiting, "reason") {
        "ErrImageNeverPull" => {
            format!("the image {image} is not on the node, and its imagePullPolicy is Never")
        }
        "InvalidImageName" => format!("{image} is not the name of an image"),
        "ImageInspectError" => format!("the image {image} on the node cannot be read"),
        _ => match why(image, message) {
            Some(why) => format!("the image {image} cannot be pulled: {why}"),
            None => {
                let clues = Clues::Pull {
                    container: container.to_owned(),
                    image: image.to_owned(),
                };
                return Trouble::asks(format!("{container}: the image {image} cannot be pulled"), clues);
            }
        },
    };
    Trouble::told(format!("{container}: {told}"))
}

/// From the event, where the status only says that it waits before the next attempt.
pub(super) fn pull(events: &[Clue<'_>], container: &str, image: &str) -> Option<String> {
    let failed: Vec<Clue<'_>> = events
        .iter()
        .filter(|event| event.message.contains(image) && event.message.contains("ull"))
        .copied()
        .collect();
    let event = newest(&failed, &["Failed", "FailedPull"], &["Pulled"])?;
    let why = why(image, event.message)?;
    Some(format!("{container}: the image {image} cannot be pulled: {why}"))
}

/// What container runtimes and registries say, in plain words. `None` when the message gives no reason.
fn why(image: &str, message: &str) -> Option<String> {
    // The name of an image may have any of these words in it.
    let lower = unquoted(&message.replace(image, "")).to_lowercase();
    let has = |marks: &[&str]| marks.iter().any(|mark| lower.contains(mark));
    let host = host(image);
    let plain = if has(&["no such host", "server misbehaving", "name resolution"]) {
        format!("the host {host} is not known; is its name right, and does the node's DNS know it?")
    } else if has(&[
        "connection refused",
        "network is unreachable",
        "no route to host",
        "connection reset",
    ]) {
        format!("the registry {host} cannot be reached from the node")
    } else if has(&[
        "i/o timeout",
        "deadline exceeded",
        "handshake timeout",
        "timed out",
        "timeout awaiting",
    ]) {
        format!("the registry {host} does not answer in time")
    } else if has(&["x509", "certificate"]) {
        format!("the certificate of {host} is not trusted by the node")
    } else if has(&["server gave http response to https"]) {
        format!("the registry {host} speaks plain HTTP, and the node expects HTTPS")
    } else if has(&["toomanyrequests", "too many requests"]) {
        format!("the registry {host} refuses so many pulls; wait, or use credentials")
    } else if has(&[
        "unauthorized",
        "authentication required",
        "no basic auth",
        "insufficient_scope",
        "access denied",
        "authorization failed",
        "forbidden",
        "denied",
    ]) {
        format!("{host} refuses it: there is no such repository, or it needs credentials (imagePullSecrets)")
    } else if has(&["no match for platform", "no matching manifest"]) {
        "it is not there for the node's kind of processor".to_owned()
    } else if has(&["not found", "manifest unknown", "name unknown", "does not exist"]) {
        format!("{host} has no such image or tag")
    } else if has(&["no space left"]) {
        "the disk of the node is full".to_owned()
    } else {
        let last = words::behind(message, &[": "]).trim();
        if last.is_empty() || (lower.starts_with("back-off") && !lower.contains("err")) {
            return None;
        }
        last.to_owned()
    };
    Some(plain)
}

/// Without what stands in double quotes: names and addresses.
fn unquoted(message: &str) -> String {
    message.split('"').step_by(2).collect()
}

/// The part before the first slash if it looks like a host (as Docker's reference grammar has it), else Docker's own registry.
fn host(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "docker.io",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_images() {
        for (image, expected) in [
            ("nginx", "docker.io"),
            ("library/nginx:1", "docker.io"),
            ("localhost/x", "localhost"),
            ("r.example.com:5000/a/b@sha256:00", "r.example.com:5000"),
        ] {
            assert_eq!(host(image), expected, "{image}");
        }
    }

    #[test]
    fn a_back_off_alone_gives_no_reason() {
        assert_eq!(why("x", "Back-off pulling image \"x\""), None);
        assert_eq!(why("x", ""), None);
        let told = why(
            "x",
            "Back-off pulling image \"x\": ErrImagePull: rpc error: something odd",
        );
        assert_eq!(told.as_deref(), Some("something odd"));
    }

    #[test]
    fn the_name_of_an_image_is_no_reason() {
        let image = "r.local/unauthorized/certificate:1";
        let told = why(
            image,
            &format!("failed to resolve reference \"{image}\": {image}: not found"),
        );
        assert_eq!(told.as_deref(), Some("r.local has no such image or tag"));
    }
}
