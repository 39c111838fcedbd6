//! From the platform's command to an order, and from the result to the platform's. Pure but for the two clocks given in.

use std::time::Duration;

use bytes::Bytes;
use c7n_link::messages::{Action, Command, CommandOutcome, CommandResult, ObjectKey};
use tokio::time::Instant;

use super::order::{CommandId, ObjectName, Order, OrderEnd, OrderResult, Verb};
use crate::cluster::KindName;
use crate::environments::EnvironmentId;

/// A command without a deadline, or with one far away, is not waited for longer than this.
const LONGEST: Duration = Duration::from_secs(3600);

/// Reads a command. `Err` is the result to answer with; `None` what cannot even be answered.
pub fn read(command: Command, now: Instant, now_ms: i64) -> Option<Result<Order, OrderResult>> {
    let id = CommandId::new(command.command_id)?;
    let Some(environment) = EnvironmentId::new(&command.environment_id) else {
        return Some(Err(OrderResult::failed("the command names no environment")));
    };
    let created_ms = command.created_ms;
    let verb = match command.action {
        Some(Action::Sync(_)) => Verb::Sync,
        Some(Action::Restart(object)) => Verb::Restart {
            object: name(object),
            created_ms,
        },
        Some(Action::Scale(scale)) => Verb::Scale {
            object: name(scale.object),
            replicas: scale.replicas,
        },
        Some(Action::DeleteObject(object)) => Verb::DeleteObject { object: name(object) },
        Some(Action::GetObject(object)) => Verb::GetObject { object: name(object) },
        Some(Action::CancelRelease(object)) => Verb::CancelRelease { object: name(object) },
        Some(Action::RetryRelease(object)) => Verb::RetryRelease { object: name(object) },
        Some(Action::TestRelease(object)) => Verb::TestRelease { object: name(object) },
        Some(Action::UpgradeAgent(_)) => {
            return Some(Err(OrderResult::failed("an upgrade is of no environment")));
        }
        None => {
            let words =
                "this agent is too old to understand the command; upgrade it and give the command again";
            return Some(Err(OrderResult::failed(words)));
        }
    };
    let deadline = now + time_left(command.deadline_ms, created_ms, now_ms);
    Some(Ok(Order {
        id,
        environment,
        verb,
        deadline,
    }))
}

/// How long the command may take. The two machines' clocks may differ: the agent never gives it more time than the
/// platform meant from the start to the end.
fn time_left(deadline_ms: i64, created_ms: i64, now_ms: i64) -> Duration {
    if deadline_ms <= 0 {
        return LONGEST;
    }
    let left = deadline_ms.saturating_sub(now_ms);
    let meant = if created_ms > 0 {
        deadline_ms.saturating_sub(created_ms)
    } else {
        left
    };
    Duration::from_millis(left.min(meant).max(0).unsigned_abs()).min(LONGEST)
}

fn name(key: ObjectKey) -> ObjectName {
    ObjectName {
        kind: KindName::new(key.group, key.kind),
        name: key.name,
    }
}

pub fn write(id: &str, result: &OrderResult) -> CommandResult {
    let outcome = match result.end {
        OrderEnd::Succeeded => CommandOutcome::Succeeded,
        OrderEnd::Failed => CommandOutcome::Failed,
        OrderEnd::Cancelled => CommandOutcome::Cancelled,
        OrderEnd::Expired => CommandOutcome::Expired,
    };
    let payload = result
        .answer
        .as_ref()
        .map(|answer| Bytes::from(answer.to_string()))
        .unwrap_or_default();
    CommandResult {
        command_id: id.to_owned(),
        outcome: outcome.into(),
        message: result.message.clone(),
        payload,
    }
}

#[cfg(test)]
mod tests {
    use c7n_link::messages::{Scale, Sync};

    use super::*;

    fn command(action: Option<Action>) -> Command {
        Command {
            command_id: "c1".into(),
            environment_id: "e1".into(),
            deadline_ms: 60_000,
            created_ms: 30_000,
            action,
        }
    }

    #[tokio::test]
    async fn a_command_becomes_an_order_with_the_time_that_is_left() {
        let now = Instant::now();
        let object = ObjectKey {
            group: "apps".into(),
            kind: "Deployment".into(),
            name: "web".into(),
            ..Default::default()
        };
        let order = read(
            command(Some(Action::Scale(Scale { object, replicas: 3 }))),
            now,
            40_000,
        )
        .unwrap()
        .unwrap();
        assert_eq!(order.deadline, now + Duration::from_secs(20));
        let Verb::Scale { object, replicas: 3 } = order.verb else {
            panic!("{:?}", order.verb)
        };
        assert_eq!(object.to_string(), "Deployment.apps/web");
    }

    #[test]
    fn a_clock_that_is_wrong_neither_lengthens_nor_shortens_beyond_reason() {
        assert_eq!(
            time_left(60_000, 30_000, -86_400_000),
            Duration::from_secs(30),
            "a day behind"
        );
        assert_eq!(
            time_left(60_000, 30_000, 86_400_000),
            Duration::ZERO,
            "a day ahead"
        );
        assert_eq!(time_left(0, 0, 5), LONGEST);
        assert_eq!(time_left(i64::MAX, 0, i64::MIN), LONGEST);
    }

    #[tokio::test]
    async fn what_is_not_understood_is_answered_with_words() {
        let now = Instant::now();
        let unknown = read(command(None), now, 0).unwrap().unwrap_err();
        assert!(unknown.message.contains("upgrade"), "{unknown:?}");
        assert!(
            read(
                Command {
                    command_id: "../x".into(),
                    ..command(None)
                },
                now,
                0
            )
            .is_none()
        );
        let nowhere = Command {
            environment_id: String::new(),
            ..command(Some(Action::Sync(Sync {})))
        };
        assert!(read(nowhere, now, 0).unwrap().is_err());
    }

    #[test]
    fn an_answer_travels_as_json() {
        let result = write("c1", &OrderResult::answered(serde_json::json!({ "kind": "Pod" })));
        assert_eq!(result.outcome(), CommandOutcome::Succeeded);
        assert_eq!(result.payload, r#"{"kind":"Pod"}"#);
    }
}
