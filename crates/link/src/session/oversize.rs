//! What is too big for the link: told, never silently dropped, and never tried for ever.
//!
//! The peer closes the session over a message beyond its cap. An item that cannot fit must therefore not enter the outbox: it
//! would end every session from then on.

use prost::Message;

use super::Session;
use super::weigh::ELEMENT;
use crate::messages::{ClusterInfo, CommandOutcome, Hello, Say, Topic};

/// An item that was not sent for its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oversized {
    pub topic: Topic,
    pub size: usize,
    pub limit: usize,
}

/// Keys and lengths around an item in its message.
const WRAPPING: usize = 64;
/// As many are remembered; the rest would say the same.
const REMEMBERED: usize = 64;

impl Session {
    /// The item, or what is said in its place.
    pub(super) fn fitting(&mut self, say: Say) -> Option<Say> {
        let limit = self.config.max_message.saturating_sub(WRAPPING);
        let size = say.encoded_len();
        if size <= limit && self.fits_decoded(&say, size) {
            return Some(say);
        }
        let topic = say.topic();
        // What was said before on the topic is not true any more.
        self.outbox.withdraw(&topic);
        if self.oversized.len() < REMEMBERED {
            self.oversized.push(Oversized { topic, size, limit });
        }
        stand_in(say, size, limit).filter(|instead| instead.encoded_len() <= limit)
    }

    fn fits_decoded(&self, say: &Say, size: usize) -> bool {
        // Two bytes are the smallest element; below this there is nothing to count.
        if size.saturating_mul(ELEMENT) <= self.config.max_decoded {
            return true;
        }
        let body = crate::messages::Body {
            items: vec![say.clone().into()],
        };
        super::weigh::decoded_size(&body.encode_to_vec()).is_ok_and(|size| size <= self.config.max_decoded)
    }

    /// The first frame has a small budget. A cluster of thousands of nodes says them as an item, which has none.
    pub(super) fn within_budget(&mut self, mut hello: Hello) -> Hello {
        if hello.encoded_len() + WRAPPING > self.config.max_hello
            && let Some(cluster) = &mut hello.cluster
        {
            let short = ClusterInfo {
                kubernetes_version: cluster.kubernetes_version.clone(),
                nodes: Vec::new(),
            };
            let whole = std::mem::replace(cluster, short);
            self.post(Say::Cluster(whole));
        }
        hello
    }
}

/// The same topic in few words, for items that have a place for words.
fn stand_in(say: Say, size: usize, limit: usize) -> Option<Say> {
    let words = format!(
        "this is {size} bytes, more than the {limit} that the link between agent and platform carries"
    );
    match say {
        Say::Result(mut result) => {
            result.set_outcome(CommandOutcome::Failed);
            result.message = format!("the command was carried out, but its answer cannot be sent: {words}");
            result.payload.clear();
            Some(Say::Result(result))
        }
        Say::Delivery(mut report) => {
            report.objects.clear();
            report.file_errors.clear();
            report.held = None;
            report.message =
                format!("the report of this delivery cannot be sent: {words}; split the environment");
            Some(Say::Delivery(report))
        }
        Say::State(mut state) => {
            state.summary.clear();
            state.owners.clear();
            state.message = format!("the state of this object cannot be sent: {words}");
            Some(Say::State(state))
        }
        Say::EnvironmentStatus(mut status) => {
            status.message = format!("the status of this environment cannot be sent: {words}");
            Some(Say::EnvironmentStatus(status))
        }
        _ => None,
    }
}
