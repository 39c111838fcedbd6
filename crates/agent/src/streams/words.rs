//! What the API server and the kubelet say, in words for a person.

use c7n_stream::{End, EndCode};
use kube::Error;
use kube::client::UpgradeConnectionError;

/// Why the API server did not do this; `what` as in "the log of container web".
pub fn refused(error: &Error, what: &str) -> End {
    match error {
        Error::Api(status) => by_status(status.code, &status.message, what),
        Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(status)) => {
            by_status(status.as_u16(), "it does not take a WebSocket here", what)
        }
        other => End::new(
            EndCode::Failed,
            format!("the API server cannot be asked for {what}: {other}; try again"),
        ),
    }
}

fn by_status(code: u16, message: &str, what: &str) -> End {
    let said = message.trim().trim_end_matches('.');
    match code {
        403 => End::new(
            EndCode::Forbidden,
            format!(
                "the API server does not allow the agent {what}: {said}; give its service account the right"
            ),
        ),
        404 => End::new(
            EndCode::NotFound,
            format!("the API server does not find {what}: {said}; look which pods there are"),
        ),
        400 => End::new(
            EndCode::NotFound,
            format!("the API server cannot give {what}: {said}; look at the state of the pod"),
        ),
        429 => End::new(
            EndCode::Busy,
            format!("the API server is too busy for {what}: {said}; try again later"),
        ),
        _ => End::new(
            EndCode::Failed,
            format!("the API server cannot give {what}: {said}; look at the node of the pod, or try again"),
        ),
    }
}

pub fn late(what: &str) -> End {
    End::new(
        EndCode::Failed,
        format!("the API server did not answer in time for {what}; try again"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_code_and_ends_with_what_to_do() {
        for (status, code) in [
            (403, EndCode::Forbidden),
            (404, EndCode::NotFound),
            (400, EndCode::NotFound),
            (429, EndCode::Busy),
            (500, EndCode::Failed),
            (502, EndCode::Failed),
        ] {
            let end = by_status(status, "said so.", "the log of web");
            assert_eq!(end.code(), code, "{status}");
            assert!(
                end.message.contains("the log of web: said so; "),
                "{}",
                end.message
            );
        }
    }
}
