//! What a person asks for, checked, in the words of the link and of the audit log. Pure.

use c7n_api::{LogTarget, NewStream, ReadLogs, RunProcess, StreamKind};
use c7n_link::messages::{self, Wish};

const POSITIONS: usize = 1000;
const SELECTOR: usize = 1000;
const WORDS: usize = 256;
const COMMAND: usize = 16 << 10;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{title}")]
pub struct BadWish {
    pub title: String,
    pub next: &'static str,
}

#[derive(Debug, PartialEq)]
pub struct Asked {
    pub kind: StreamKind,
    pub wish: Wish,
    /// As the audit log names it.
    pub target: String,
    pub container: Option<String>,
    pub command: Vec<String>,
    /// Of the terminal at the start.
    pub terminal: Terminal,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terminal {
    pub is_one: bool,
    /// Columns and rows.
    pub size: Option<(u16, u16)>,
}

pub fn check(new: NewStream) -> Result<Asked, BadWish> {
    match new {
        NewStream::Logs(logs) => read_logs(logs),
        NewStream::Exec(process) => run_process(process),
        NewStream::PortForward { pod, port } => {
            subdomain("pod", &pod)?;
            if port == 0 {
                return Err(bad("there is no port 0", "give a port from 1 to 65535"));
            }
            Ok(Asked {
                kind: StreamKind::PortForward,
                target: format!("{pod}:{port}"),
                container: None,
                command: Vec::new(),
                terminal: Terminal::default(),
                wish: Wish::PortForward(messages::ForwardPort {
                    pod,
                    port: u32::from(port),
                }),
            })
        }
    }
}

fn read_logs(logs: ReadLogs) -> Result<Asked, BadWish> {
    container(logs.container.as_deref())?;
    if logs.container.is_some() && logs.all_containers {
        let next = "leave out one of `container` and `all_containers`";
        return Err(bad("one container and all of them are two wishes", next));
    }
    if logs.from.len() > POSITIONS {
        let next = "leave out the containers that have ended";
        return Err(bad(
            format!(
                "the log would go on at {} places; at most {POSITIONS} fit",
                logs.from.len()
            ),
            next,
        ));
    }
    for from in &logs.from {
        container(Some(&from.container))?;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if from.pod_uid.is_empty() || from.pod_uid.len() > 128 || !from.pod_uid.chars().all(fits) {
            let next = "give back the positions as the frames of the log had them";
            return Err(bad("a place in `from` has no uid of a pod", next));
        }
    }
    let since_ns = match logs.since_ms {
        None => None,
        Some(ms) => Some(
            ms.checked_mul(1_000_000)
                .filter(|ns| *ns >= 0)
                .ok_or_else(|| bad("`since_ms` is no time", "give milliseconds since 1970"))?,
        ),
    };
    let (target, told) = match logs.target {
        LogTarget::Pod(pod) => {
            subdomain("pod", &pod)?;
            (messages::LogTarget::Pod(pod.clone()), pod)
        }
        LogTarget::Instance(instance) => {
            subdomain("instance", &instance)?;
            let told = format!("instance {instance}");
            (messages::LogTarget::Release(instance), told)
        }
        LogTarget::Selector(selector) => {
            label_selector(&selector)?;
            let told = format!("selector {selector}");
            (messages::LogTarget::Selector(selector), told)
        }
    };
    let from = logs.from.into_iter().map(|from| messages::LogFrom {
        pod_uid: from.pod_uid,
        container: from.container,
        time_ns: from.time_ns,
        nth: from.nth,
        offset: from.offset,
    });
    Ok(Asked {
        kind: StreamKind::Logs,
        target: told,
        container: logs.container.clone(),
        command: Vec::new(),
        terminal: Terminal::default(),
        wish: Wish::Logs(messages::ReadLogs {
            target: Some(target),
            container: logs.container.unwrap_or_default(),
            all_containers: logs.all_containers,
            previous: logs.previous,
            follow: logs.follow,
            timestamps: logs.timestamps,
            since_ns,
            tail: logs.tail.map(i64::from),
            from: from.collect(),
        }),
    })
}

fn run_process(process: RunProcess) -> Result<Asked, BadWish> {
    subdomain("pod", &process.pod)?;
    container(process.container.as_deref())?;
    let length: usize = process.command.iter().map(|word| word.len() + 1).sum();
    if process.command.len() > WORDS || length > COMMAND {
        return Err(bad(
            format!(
                "the command is too long: at most {WORDS} words and {} KiB fit",
                COMMAND >> 10
            ),
            "put it into a script, and send that to a shell's standard input",
        ));
    }
    if process.command.iter().any(|word| word.contains('\0')) {
        return Err(bad("a word of the command has a NUL", "leave it out"));
    }
    if process.command.first().is_some_and(String::is_empty) {
        let next = "name a program, or leave the command out for a shell";
        return Err(bad("the command begins with an empty word", next));
    }
    let size = process
        .columns
        .zip(process.rows)
        .filter(|(columns, rows)| *columns > 0 && *rows > 0);
    let (columns, rows) = size.unwrap_or_default();
    Ok(Asked {
        kind: StreamKind::Exec,
        target: process.pod.clone(),
        container: process.container.clone(),
        command: process.command.clone(),
        terminal: Terminal {
            is_one: process.tty,
            size,
        },
        wish: Wish::Exec(messages::RunProcess {
            pod: process.pod,
            container: process.container.unwrap_or_default(),
            command: process.command,
            tty: process.tty,
            stdin: process.stdin,
            columns: u32::from(columns),
            rows: u32::from(rows),
        }),
    })
}

/// RFC 1123, as Kubernetes names pods; it ends up in paths of the API server.
fn subdomain(what: &str, name: &str) -> Result<(), BadWish> {
    let label = |label: &str| {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        edge(label.chars().next()) && edge(label.chars().last())
    };
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    if (1..=253).contains(&name.len()) && name.chars().all(fits) && name.split('.').all(label) {
        return Ok(());
    }
    let next = "give the name as `c7n env objects` shows it";
    Err(bad(format!("this is no name of a {what}"), next))
}

fn container(name: Option<&str>) -> Result<(), BadWish> {
    match name {
        Some(name) if name.len() > 63 || name.contains('.') => Err(bad(
            "this is no name of a container",
            "give the name as the pod has it, or leave it out",
        )),
        Some(name) => subdomain("container", name),
        None => Ok(()),
    }
}

/// What it means is the API server's to judge; here only what could not belong to one is turned away.
fn label_selector(selector: &str) -> Result<(), BadWish> {
    let fits = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '=' | '!' | ',' | '(' | ')' | ' ')
    };
    if (1..=SELECTOR).contains(&selector.len()) && selector.chars().all(fits) {
        return Ok(());
    }
    let next = "write it as kubectl has it, for instance `app=web,tier!=cache`, in up to 1,000 characters";
    Err(bad("this is no label selector", next))
}

fn bad(title: impl Into<String>, next: &'static str) -> BadWish {
    BadWish {
        title: title.into(),
        next,
    }
}

#[cfg(test)]
mod tests {
    use c7n_api::LogFrom;

    use super::*;

    fn logs(target: LogTarget) -> ReadLogs {
        ReadLogs {
            target,
            container: None,
            all_containers: false,
            previous: false,
            follow: true,
            timestamps: false,
            since_ms: None,
            tail: None,
            from: Vec::new(),
        }
    }

    fn process(command: &[&str]) -> RunProcess {
        RunProcess {
            pod: "web-0".into(),
            container: Some("main".into()),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            tty: true,
            stdin: true,
            columns: Some(80),
            rows: Some(24),
        }
    }

    #[test]
    fn what_fits_goes_to_the_agent_and_into_the_log() {
        let asked = check(NewStream::Logs(logs(LogTarget::Instance("shop".into())))).unwrap();
        assert_eq!(
            (asked.kind, asked.target.as_str()),
            (StreamKind::Logs, "instance shop")
        );
        assert!(
            matches!(asked.wish, Wish::Logs(logs) if logs.target == Some(messages::LogTarget::Release("shop".into())))
        );
        let asked = check(NewStream::Exec(process(&["sh", "-c", "id"]))).unwrap();
        assert_eq!(asked.command, ["sh", "-c", "id"]);
        assert_eq!(asked.terminal.size, Some((80, 24)));
        let pod = "web-0".to_owned();
        let asked = check(NewStream::PortForward { pod, port: 80 }).unwrap();
        assert_eq!(asked.target, "web-0:80");
        let since = ReadLogs {
            since_ms: Some(5),
            ..logs(LogTarget::Selector("app in (a,b), tier!=x".into()))
        };
        let asked = check(NewStream::Logs(since)).unwrap();
        assert!(matches!(asked.wish, Wish::Logs(logs) if logs.since_ns == Some(5_000_000)));
    }

    #[test]
    fn what_could_not_be_is_turned_away_with_what_to_do() {
        let pod = |name: &str| NewStream::Logs(logs(LogTarget::Pod(name.into())));
        let long = "a".repeat(254);
        let names = [
            "", "..", "a/b", "A", "a b", "-a", "a-", "a..b", "a%2f", "a\n", "ä", &long,
        ];
        let mut wishes: Vec<NewStream> = names.into_iter().map(pod).collect();
        let selector = |text: &str| NewStream::Logs(logs(LogTarget::Selector(text.into())));
        wishes.extend(["", "a=b&c=d", "a\r\n", &"a".repeat(1001)].map(selector));
        let ok = || logs(LogTarget::Pod("web-0".into()));
        let from = LogFrom {
            pod_uid: "u".into(),
            container: "main".into(),
            time_ns: 0,
            nth: 1,
            offset: 0,
        };
        wishes.push(NewStream::Logs(ReadLogs {
            from: vec![from.clone(); 1001],
            ..ok()
        }));
        wishes.push(NewStream::Logs(ReadLogs {
            from: vec![LogFrom {
                pod_uid: "a/b".into(),
                ..from
            }],
            ..ok()
        }));
        wishes.push(NewStream::Logs(ReadLogs {
            since_ms: Some(i64::MAX),
            ..ok()
        }));
        wishes.push(NewStream::Logs(ReadLogs {
            container: Some("main".into()),
            all_containers: true,
            ..ok()
        }));
        wishes.push(NewStream::Exec(process(&["a\0b"])));
        wishes.push(NewStream::Exec(process(&[""])));
        wishes.push(NewStream::Exec(process(&["x"; 257])));
        wishes.push(NewStream::Exec(process(&[&"x".repeat(17 << 10)])));
        let container = Some("a.b".to_owned());
        wishes.push(NewStream::Exec(RunProcess {
            container,
            ..process(&[])
        }));
        let pod = "web-0".to_owned();
        wishes.push(NewStream::PortForward { pod, port: 0 });
        for wish in wishes {
            let bad = check(wish.clone()).expect_err(&format!("{wish:?}"));
            assert!(!bad.title.is_empty() && !bad.next.is_empty());
        }
    }
}
