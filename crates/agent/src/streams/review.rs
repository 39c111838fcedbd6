//! Asks the cluster whether a person, by name, may do what is asked: at the start, and again while it goes on.
//!
//! Fails closed: who cannot be asked about is not let in, and not kept.

use std::time::Duration;

use c7n_link::messages::{LogTarget, OpenStream, Wish};
use c7n_stream::{End, EndCode};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::{sleep, timeout};

/// A right that was taken away is noticed within half a minute: this and the answer.
const EVERY: Duration = Duration::from_secs(20);
const ANSWER: Duration = Duration::from_secs(8);

pub struct Reviewer {
    reviews: Api<SubjectAccessReview>,
    review: SubjectAccessReview,
    /// In words, as in "may not read logs in shop".
    what: String,
}

impl Reviewer {
    /// `None` where the platform's own rights are enough.
    pub fn of(open: &OpenStream, client: Client, namespace: &str) -> Option<Self> {
        if open.reviewed_user.is_empty() {
            return None;
        }
        let (review, what) = question(open, namespace);
        Some(Self {
            reviews: Api::all(client),
            review,
            what,
        })
    }

    pub async fn review(&self) -> Result<(), End> {
        let params = PostParams::default();
        let asked = self.reviews.create(&params, &self.review);
        let refusal = match timeout(ANSWER, asked).await {
            Ok(Ok(answered)) => match answered.status {
                Some(status) if status.allowed => return Ok(()),
                Some(status) => status.reason.unwrap_or_default(),
                None => "it gave no answer".to_owned(),
            },
            Ok(Err(error)) => {
                format!("it cannot be asked: {error}; the agent's chart gives the right to ask")
            }
            Err(_) => "it did not answer in time".to_owned(),
        };
        let reason = if refusal.is_empty() {
            String::new()
        } else {
            format!(" ({refusal})")
        };
        Err(End::new(
            EndCode::Forbidden,
            format!(
                "the cluster says that {}{reason}; ask its administrator",
                self.what
            ),
        ))
    }

    /// Returns when the right is gone.
    pub async fn until_lost(&self) -> End {
        loop {
            sleep(EVERY).await;
            if let Err(end) = self.review().await {
                return end;
            }
        }
    }
}

fn question(open: &OpenStream, namespace: &str) -> (SubjectAccessReview, String) {
    let (verb, subresource, name, words) = match &open.wish {
        Some(Wish::Exec(wish)) => ("create", "exec", Some(wish.pod.clone()), "run processes in pods"),
        Some(Wish::PortForward(wish)) => (
            "create",
            "portforward",
            Some(wish.pod.clone()),
            "forward ports of pods",
        ),
        Some(Wish::Logs(wish)) => {
            let name = match &wish.target {
                Some(LogTarget::Pod(pod)) => Some(pod.clone()),
                _ => None,
            };
            ("get", "log", name, "read logs")
        }
        None => ("get", "log", None, "read logs"),
    };
    let user = &open.reviewed_user;
    let words = format!("{user} may not {words} in the namespace {namespace}");
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(user.clone()),
            resource_attributes: Some(ResourceAttributes {
                namespace: Some(namespace.to_owned()),
                verb: Some(verb.to_owned()),
                group: Some(String::new()),
                resource: Some("pods".to_owned()),
                subresource: Some(subresource.to_owned()),
                name,
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    (review, words)
}

#[cfg(test)]
mod tests {
    use c7n_link::messages::{ForwardPort, ReadLogs, RunProcess};

    use super::*;

    #[test]
    fn what_is_asked_is_what_kubectl_would_need() {
        let exec = Wish::Exec(RunProcess {
            pod: "web".into(),
            ..RunProcess::default()
        });
        let forward = Wish::PortForward(ForwardPort {
            pod: "web".into(),
            port: 80,
        });
        let log = |target| {
            Wish::Logs(ReadLogs {
                target: Some(target),
                ..ReadLogs::default()
            })
        };
        for (wish, verb, subresource, name) in [
            (exec, "create", "exec", Some("web")),
            (forward, "create", "portforward", Some("web")),
            (log(LogTarget::Pod("web".into())), "get", "log", Some("web")),
            (log(LogTarget::Release("shop".into())), "get", "log", None),
            (log(LogTarget::Selector("a=b".into())), "get", "log", None),
        ] {
            let open = OpenStream {
                reviewed_user: "ann".into(),
                wish: Some(wish),
                ..OpenStream::default()
            };
            let (review, words) = question(&open, "shop-staging");
            assert_eq!(review.spec.user.as_deref(), Some("ann"));
            let asked = review.spec.resource_attributes.unwrap();
            assert_eq!(asked.namespace.as_deref(), Some("shop-staging"));
            assert_eq!(asked.verb.as_deref(), Some(verb));
            assert_eq!(asked.subresource.as_deref(), Some(subresource));
            assert_eq!(asked.name.as_deref(), name);
            assert!(words.starts_with("ann may not "), "{words}");
        }
    }
}
