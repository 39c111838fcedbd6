//! What to do next about an upgrade, from how the Deployment is found. Pure.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Of the command.
    pub id: String,
    pub image: String,
    /// How long the new version may take to report.
    pub patience_ms: i64,
}

/// What is under way, as the annotation has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub id: String,
    pub from: String,
    pub to: String,
    pub deadline_ms: i64,
    /// Why the old version was taken back, once it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<String>,
}

/// The Deployment, as it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub image: String,
    pub mark: Option<Mark>,
    /// Every pod is of the newest template and ready.
    pub rolled_out: bool,
    /// What keeps the new pods from being ready, if that is known.
    pub trouble: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Write the mark, and its `to` as image.
    Begin(Mark),
    /// Write the mark, and its `from` as image.
    Return(Mark),
    Wait,
    Succeeded(String),
    Failed(String),
}

pub fn decide(order: &Order, seen: &Seen, now_ms: i64) -> Step {
    let Some(mark) = seen.mark.as_ref().filter(|mark| mark.id == order.id) else {
        if seen.image == order.image {
            return Step::Succeeded(format!("{} runs already", order.image));
        }
        return Step::Begin(Mark {
            id: order.id.clone(),
            from: seen.image.clone(),
            to: order.image.clone(),
            deadline_ms: now_ms.saturating_add(order.patience_ms),
            returned: None,
        });
    };
    if let Some(words) = &mark.returned {
        return Step::Failed(words.clone());
    }
    if seen.image != mark.to {
        return Step::Failed(format!(
            "somebody else has set the image to {} meanwhile; that was left as it is",
            seen.image
        ));
    }
    if seen.rolled_out {
        return Step::Succeeded(format!("{} runs in place of {}", mark.to, mark.from));
    }
    if now_ms < mark.deadline_ms {
        return Step::Wait;
    }
    let why = seen.trouble.as_deref().unwrap_or("its pods did not become ready");
    Step::Return(Mark {
        returned: Some(format!(
            "{} did not report in time, so {} is back: {why}",
            mark.to, mark.from
        )),
        ..mark.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "agent:2";
    const OLD: &str = "agent:1";

    fn order() -> Order {
        Order {
            id: "c1".into(),
            image: NEW.into(),
            patience_ms: 1_000,
        }
    }

    fn mark(id: &str) -> Mark {
        Mark {
            id: id.into(),
            from: OLD.into(),
            to: NEW.into(),
            deadline_ms: 1_500,
            returned: None,
        }
    }

    fn seen(image: &str, mark: Option<Mark>) -> Seen {
        Seen {
            image: image.into(),
            mark,
            rolled_out: true,
            trouble: None,
        }
    }

    #[test]
    fn it_begins_once_and_ends_when_all_pods_are_new_and_ready() {
        assert_eq!(decide(&order(), &seen(OLD, None), 500), Step::Begin(mark("c1")));
        assert_eq!(
            decide(&order(), &seen(OLD, Some(mark("earlier"))), 500),
            Step::Begin(mark("c1")),
            "what an earlier one left is no matter"
        );
        let on_the_way = Seen {
            rolled_out: false,
            ..seen(NEW, Some(mark("c1")))
        };
        assert_eq!(decide(&order(), &on_the_way, 1_499), Step::Wait);
        // Usually it is the new version that sees this.
        let there = decide(&order(), &seen(NEW, Some(mark("c1"))), 9_999);
        assert_eq!(there, Step::Succeeded("agent:2 runs in place of agent:1".into()));
    }

    #[test]
    fn what_runs_already_is_left_alone() {
        assert!(
            matches!(decide(&order(), &seen(NEW, None), 0), Step::Succeeded(words) if words.contains("already"))
        );
    }

    #[test]
    fn one_that_does_not_report_is_taken_back_with_the_reason_and_fails_once() {
        let stuck = Seen {
            rolled_out: false,
            trouble: Some("pod agent-x: ErrImagePull".into()),
            ..seen(NEW, Some(mark("c1")))
        };
        let Step::Return(returned) = decide(&order(), &stuck, 1_500) else {
            panic!("it is taken back");
        };
        let words = returned.returned.clone().unwrap();
        assert!(
            words.contains("ErrImagePull") && words.contains("agent:1 is back"),
            "{words}"
        );
        // Whoever leads then, also after a crash between the two.
        assert_eq!(
            decide(&order(), &seen(OLD, Some(returned)), 1_600),
            Step::Failed(words)
        );
    }

    #[test]
    fn somebody_elses_change_is_not_undone() {
        let other = decide(&order(), &seen("agent:3", Some(mark("c1"))), 9_999);
        assert!(matches!(other, Step::Failed(words) if words.contains("agent:3")));
    }
}
