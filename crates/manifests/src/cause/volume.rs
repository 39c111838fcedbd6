//! Claims that wait, and volumes that cannot be mounted.

use super::{Clue, Clues, Trouble, newest, words};
use crate::health::Health;

pub(super) fn claim(health: &Health) -> Trouble {
    Trouble::asks(health.message.clone(), Clues::Claim)
}

pub(super) fn provision(events: &[Clue<'_>]) -> Option<String> {
    let telling = [
        "ProvisioningFailed",
        "FailedBinding",
        "VolumeMismatch",
        "ExternalProvisioning",
        "WaitForFirstConsumer",
        "WaitForPodScheduled",
    ];
    let event = newest(events, &telling, &["ProvisioningSucceeded"])?;
    let message = event.message;
    Some(match event.reason {
        "ProvisioningFailed" => match words::quoted(message, "storageclass.storage.k8s.io") {
            Some(class) if message.contains("not found") => {
                format!("no volume is made: the storage class {class} does not exist")
            }
            _ => format!("no volume is made: {message}"),
        },
        "FailedBinding" if message.contains("no storage class is set") => {
            "no volume fits, and no storage class is set that could make one".to_owned()
        }
        "WaitForFirstConsumer" | "WaitForPodScheduled" => "waits for a pod that uses it".to_owned(),
        // The first sentence says who is waited for; the others are advice.
        "ExternalProvisioning" => message.split(". ").next().unwrap_or(message).to_lowercase(),
        _ => message.to_owned(),
    })
}

/// `MountVolume.SetUp failed for volume "keys" : secret "db" not found`
pub(super) fn unmounted(reason: &str, message: &str) -> String {
    let verb = if reason == "FailedAttachVolume" {
        "attached"
    } else {
        "mounted"
    };
    let why = match message.split_once(" : ") {
        Some((_, why)) => why,
        None => words::behind(message, &["failed for volume "]),
    };
    match words::quoted(message, "volume") {
        Some(volume) => format!("the volume {volume} cannot be {verb}: {}", missing(why)),
        None => format!("a volume cannot be {verb}: {why}"),
    }
}

/// `secret "db" not found` as a person would say it; anything else as it is.
pub(super) fn missing(message: &str) -> String {
    for (kind, name) in [
        ("secret", "Secret"),
        ("configmap", "ConfigMap"),
        ("persistentvolumeclaim", "PersistentVolumeClaim"),
    ] {
        if message.contains("not found")
            && let Some(object) = words::quoted(message, &format!("{kind} "))
        {
            // With a namespace in some messages, without in others.
            return format!("the {name} {} is missing", words::behind(object, &["/"]));
        }
    }
    // couldn't find key password in Secret shop/db
    if let Some((_, rest)) = message.split_once("find key ")
        && let Some((key, place)) = rest.split_once(" in ")
        && let Some((kind, object)) = place.split_once(' ')
    {
        return format!("the {kind} {} has no key {key}", words::behind(object, &["/"]));
    }
    if let Some((_, rest)) = message.split_once("references non-existent ")
        && let Some((kind, key)) = rest.split_once(" key: ")
    {
        return format!("the {kind} has no key {key}");
    }
    message.to_owned()
}
