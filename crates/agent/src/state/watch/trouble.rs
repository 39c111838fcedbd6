//! What an answer of the API server means for a list or a watch.

use std::time::Duration;

/// Why a list or watch did not go on.
pub(in crate::state) enum Trouble {
    Forbidden,
    /// What it began from is too old: list anew.
    Expired,
    Other {
        text: String,
        retry_after: Option<Duration>,
    },
}

impl Trouble {
    pub(super) fn of(cause: kube::Error) -> Self {
        match &cause {
            kube::Error::Api(status) if status.code == 403 => Self::Forbidden,
            kube::Error::Api(status) if status.code == 410 || status.reason == "Expired" => Self::Expired,
            kube::Error::Api(status) => {
                let seconds = status
                    .details
                    .as_ref()
                    .map_or(0, |details| details.retry_after_seconds);
                let retry_after = (seconds > 0).then(|| Duration::from_secs(seconds.into()));
                Self::Other {
                    text: status.message.clone(),
                    retry_after,
                }
            }
            _ => Self::other(cause.to_string()),
        }
    }

    pub(super) fn other(text: impl Into<String>) -> Self {
        Self::Other {
            text: text.into(),
            retry_after: None,
        }
    }
}
