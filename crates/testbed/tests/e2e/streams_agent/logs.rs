//! Logs of containers that write, restart, come and go.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use c7n_agent::streams::ExecIs;
use c7n_link::messages::{LogFrom, LogTarget, ReadLogs, Wish};
use c7n_stream::{End, EndCode, Frame, LogPosition, LogSourceState};
use c7n_testbed::ends::Dice;
use c7n_testbed::ends::seam::{Line, PATIENCE};
use c7n_testbed::stack::eventually;

use super::Ground;

fn of_pod(pod: &str) -> ReadLogs {
    ReadLogs {
        target: Some(LogTarget::Pod(pod.into())),
        ..ReadLogs::default()
    }
}

/// What a person has of a log, over all the streams that they opened for it.
#[derive(Default)]
struct Shown {
    /// By pod and container, what came.
    text: BTreeMap<(String, String), Vec<u8>>,
    /// By pod's uid and container, how far.
    newest: BTreeMap<(String, String), LogPosition>,
    notices: Vec<String>,
    waits: Vec<String>,
    opened: usize,
}

impl Shown {
    fn of(&self, container: &str) -> String {
        let parts = self.text.iter().filter(|((_, it), _)| it == container);
        parts
            .map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned())
            .collect()
    }

    fn from(&self) -> Vec<LogFrom> {
        let one = |((pod_uid, container), position): (&(String, String), &LogPosition)| LogFrom {
            pod_uid: pod_uid.clone(),
            container: container.clone(),
            time_ns: position.time_ns,
            nth: position.nth,
            offset: position.offset,
        };
        self.newest.iter().map(one).collect()
    }

    /// Until `enough`, so many frames, or the end.
    async fn read(
        &mut self,
        line: &mut Line,
        most: u64,
        enough: impl Fn(&Self) -> bool,
    ) -> Result<Option<End>> {
        let mut sources = BTreeMap::new();
        for _ in 0..most {
            if enough(self) {
                return Ok(None);
            }
            match line.next().await?.context("it is closed without a word")? {
                Frame::End(end) => return Ok(Some(end)),
                Frame::LogSource(source) => match source.state() {
                    LogSourceState::Waiting => self.waits.push(source.message),
                    LogSourceState::Open => {
                        self.opened += 1;
                        sources.insert(source.source, source);
                    }
                    LogSourceState::Failed => self.notices.push(source.message),
                    _ => {}
                },
                Frame::LogBytes(bytes) => {
                    let source = sources.get(&bytes.source).context("a source that was opened")?;
                    let text = self.text.entry((source.pod.clone(), source.container.clone()));
                    text.or_default().extend_from_slice(&bytes.bytes);
                    let newest = self
                        .newest
                        .entry((source.pod_uid.clone(), source.container.clone()));
                    let newest = newest.or_default();
                    ensure!(bytes.end > *newest, "{:?} after {newest:?}", bytes.end);
                    *newest = bytes.end;
                }
                Frame::LogNotice(notice) => self.notices.push(notice.text),
                other => anyhow::bail!("{other:?}"),
            }
        }
        Ok(None)
    }
}

impl Ground {
    async fn shown(&self, wish: ReadLogs) -> Result<(Shown, End)> {
        let mut shown = Shown::default();
        let mut line = self.open(Wish::Logs(wish)).await?;
        let end = shown.read(&mut line, u64::MAX, |_| false).await?;
        Ok((shown, end.context("it ends")?))
    }

    /// Once the container has written this.
    async fn wrote(&self, pod: &str, what: &str) -> Result<()> {
        eventually(&format!("{pod} writes {what}"), PATIENCE, || async {
            let log = self
                .kubectl
                .run(&["-n", &self.namespace, "logs", pod, "--all-containers"])
                .await?;
            ensure!(log.contains(what), "{log:.200}");
            Ok(())
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_a_log_is_shown_as_it_was_written() -> Result<()> {
    let Some(ground) = Ground::start("logs", ExecIs::On).await? else {
        return Ok(());
    };
    let init = "  initContainers: [{name: migrate, image: \"c7n.local/sample:1\", imagePullPolicy: IfNotPresent, \
                command: [sh, -c, \"echo migrated\"]}]\n";
    let long = "i=0; while [ $i -lt 5 ]; do echo line $i; i=$((i+1)); done; busybox dd if=/dev/zero bs=50000 count=1 2>/dev/null \
                | busybox tr '\\0' x; echo; printf 'bin\\001\\033[31mred\\n'; echo end; sleep 10000";
    ground
        .pod("web", init, &[("app", long), ("side", "echo side; sleep 10000")])
        .await?;
    ground.wrote("web", "end").await?;
    ground.wrote("web", "side").await?;
    let lines = "line 0\nline 1\nline 2\nline 3\nline 4\n";
    let wanted = format!("{lines}{}\nbin\u{1}\u{1b}[31mred\nend\n", "x".repeat(50_000));

    let (shown, end) = ground.shown(of_pod("web")).await?;
    assert_eq!(end.code(), EndCode::Completed, "{end:?}");
    assert_eq!(shown.of("app"), wanted);
    assert_eq!(shown.of("side"), "", "of one container");

    let all = ReadLogs {
        all_containers: true,
        ..of_pod("web")
    };
    let (shown, _) = ground.shown(all).await?;
    assert_eq!(
        (shown.of("migrate"), shown.of("side")),
        ("migrated\n".into(), "side\n".into())
    );
    assert_eq!(shown.of("app"), wanted);

    let tail = ReadLogs {
        tail: Some(1),
        timestamps: true,
        ..of_pod("web")
    };
    let (shown, _) = ground.shown(tail).await?;
    let last = shown.of("app");
    assert!(
        last.starts_with("20") && last.ends_with("Z end\n") || last.contains(" end\n"),
        "{last}"
    );

    let future = ReadLogs {
        since_ns: Some(i64::MAX / 2),
        ..of_pod("web")
    };
    assert_eq!(ground.shown(future).await?.0.of("app"), "");

    let by_release = ReadLogs {
        target: Some(LogTarget::Release("rel-web".into())),
        container: "side".into(),
        ..ReadLogs::default()
    };
    assert_eq!(ground.shown(by_release).await?.0.of("side"), "side\n");
    for (selector, code) in [("app=nobody", EndCode::NotFound), ("a in (", EndCode::NotFound)] {
        let wish = ReadLogs {
            target: Some(LogTarget::Selector(selector.into())),
            ..ReadLogs::default()
        };
        let (_, end) = ground.shown(wish).await?;
        assert_eq!(end.code(), code, "{end:?}");
    }
    let (_, end) = ground.shown(of_pod("gone")).await?;
    assert_eq!(end.code(), EndCode::NotFound);
    let none_before = ReadLogs {
        previous: true,
        ..of_pod("web")
    };
    let (_, end) = ground.shown(none_before).await?;
    assert!(
        end.code() == EndCode::NotFound && end.message.contains("previous"),
        "{end:?}"
    );
    ground.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_a_log_goes_on_over_restarts_and_ends_with_its_pod() -> Result<()> {
    let Some(ground) = Ground::start("restarts", ExecIs::On).await? else {
        return Ok(());
    };
    // Its runs are counted in a volume; the third stays.
    let script = "n=$(cat /data/n 2>/dev/null || echo 0); n=$((n+1)); echo $n > /data/n; echo run $n begins; sleep 2; \
                  echo run $n ends; [ $n -ge 3 ] && sleep 10000; exit 1";
    let container = format!(
        "{{name: app, image: \"c7n.local/sample:1\", imagePullPolicy: IfNotPresent, command: [sh, -c, {script:?}], \
         volumeMounts: [{{name: data, mountPath: /data}}]}}"
    );
    ground
        .raw_pod("crash", "  volumes: [{name: data, emptyDir: {}}]\n", &container)
        .await?;
    let follow = ReadLogs {
        follow: true,
        ..of_pod("crash")
    };
    let mut shown = Shown::default();
    let mut line = ground.open(Wish::Logs(follow.clone())).await?;
    shown
        .read(&mut line, u64::MAX, |shown| {
            shown.of("app").contains("run 3 ends")
        })
        .await?;
    let all = "run 1 begins\nrun 1 ends\nrun 2 begins\nrun 2 ends\nrun 3 begins\nrun 3 ends\n";
    assert_eq!(shown.of("app"), all);

    let previous = ReadLogs {
        previous: true,
        ..of_pod("crash")
    };
    assert_eq!(
        ground.shown(previous).await?.0.of("app"),
        "run 2 begins\nrun 2 ends\n"
    );

    // Who was in the second run when the line broke gets the rest of it, and the third.
    let mut place = Shown::default();
    let mut stamped = of_pod("crash");
    stamped.previous = true;
    let mut before = ground.open(Wish::Logs(stamped)).await?;
    place
        .read(&mut before, u64::MAX, |it| !it.newest.is_empty())
        .await?;
    let whole = place.of("app");
    let (uid, position) = place.newest.iter().next().context("a place")?;
    // One byte into the first line that came.
    let cut = LogFrom {
        pod_uid: uid.0.clone(),
        container: "app".into(),
        time_ns: position.time_ns,
        nth: position.nth,
        offset: 4,
    };
    let resumed = ReadLogs {
        from: vec![cut],
        ..of_pod("crash")
    };
    let (rest, _) = ground.shown(resumed).await?;
    let last_line = whole.lines().last().context("a line")?;
    let after = &all[all.find(last_line).context("it is of the log")? + 4..];
    assert_eq!(rest.of("app"), after);

    // The pod goes: so does the log.
    ground
        .kubectl
        .run(&[
            "-n",
            &ground.namespace,
            "delete",
            "pod",
            "crash",
            "--wait=false",
            "--grace-period=0",
            "--force",
        ])
        .await?;
    let end = shown
        .read(&mut line, u64::MAX, |_| false)
        .await?
        .context("it ends")?;
    assert_eq!(end.code(), EndCode::Completed, "{end:?}");
    assert_eq!(shown.of("app"), all, "nothing twice");
    ground.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_pods_come_and_go_while_they_are_followed() -> Result<()> {
    let Some(ground) = Ground::start("crowd", ExecIs::On).await? else {
        return Ok(());
    };
    let wish = ReadLogs {
        target: Some(LogTarget::Selector(
            "choerodon.io/release in (rel-one, rel-two)".into(),
        )),
        follow: true,
        ..ReadLogs::default()
    };
    let mut shown = Shown::default();
    let mut line = ground.open(Wish::Logs(wish)).await?;
    shown
        .read(&mut line, u64::MAX, |it| !it.notices.is_empty())
        .await?;
    ground
        .pod("one", "", &[("app", "echo I am one; sleep 10000")])
        .await?;
    shown
        .read(&mut line, u64::MAX, |it| it.of("app").contains("one"))
        .await?;
    ground
        .pod("two", "", &[("app", "echo I am two; sleep 10000")])
        .await?;
    shown
        .read(&mut line, u64::MAX, |it| it.of("app").contains("two"))
        .await?;
    ground
        .kubectl
        .run(&[
            "-n",
            &ground.namespace,
            "delete",
            "pod",
            "one",
            "--grace-period=0",
            "--force",
        ])
        .await?;
    ground
        .pod("one", "", &[("app", "echo again; sleep 10000")])
        .await?;
    shown
        .read(&mut line, u64::MAX, |it| it.of("app").contains("again"))
        .await?;
    assert_eq!(shown.of("app"), "I am one\nagain\nI am two\n");
    line.send(Frame::End(End::new(EndCode::Left, ""))).await?;
    drop(line);
    ground.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_a_log_is_gone_on_with_at_any_byte() -> Result<()> {
    let Some(ground) = Ground::start("resume", ExecIs::On).await? else {
        return Ok(());
    };
    // Both outputs, lines of all lengths, as fast as a shell can.
    let script = "i=0; while [ $i -lt 15000 ]; do echo out $i; echo err $i >&2; i=$((i+1)); \
                  [ $((i % 500)) = 0 ] && busybox printf '%040000d\\n' $i; done; echo done; sleep 10000";
    ground.pod("count", "", &[("app", script)]).await?;
    let follow = ReadLogs {
        follow: true,
        ..of_pod("count")
    };
    for seed in 0..3 {
        // The first of them while it is written.
        let mut dice = Dice(seed);
        let (mut shown, mut streams) = (Shown::default(), 0);
        let complete = |shown: &Shown| {
            let text = shown.of("app");
            ["\nout 14999\n", "\nerr 14999\n", "\ndone\n"]
                .iter()
                .all(|last| text.contains(last))
        };
        loop {
            let wish = ReadLogs {
                from: shown.from(),
                ..follow.clone()
            };
            let mut line = ground.open(Wish::Logs(wish)).await?;
            streams += 1;
            let most = dice.roll(12) + 2;
            let bytes = shown.of("app").len();
            shown.read(&mut line, most, |it| complete(it)).await?;
            line.cut();
            if complete(&shown) {
                break;
            }
            ensure!(streams < 2000, "seed {seed}: stuck at {bytes} bytes");
        }
        let text = shown.of("app");
        let kubectl = ground
            .kubectl
            .run(&["-n", &ground.namespace, "logs", "count"])
            .await?;
        let differs = text
            .lines()
            .zip(kubectl.lines())
            .find(|(ours, theirs)| ours != theirs);
        assert!(
            text == kubectl,
            "seed {seed}: {} bytes of {}: {differs:.200?}",
            text.len(),
            kubectl.len()
        );
        assert!(streams > 5, "seed {seed}: {streams} streams");
        println!("seed {seed}: {} bytes over {streams} streams", text.len());
    }
    ground.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_a_burst_of_fifty_megabytes_is_followed_to_its_end() -> Result<()> {
    let Some(ground) = Ground::start("flood", ExecIs::On).await? else {
        return Ok(());
    };
    // In long lines: what the kubelet turns over more than once while it is read is lost, and each line costs it something.
    let script = "until [ -e /dev/shm/go ]; do sleep 0.1; done; \
                  busybox awk 'BEGIN {for (i = 1; i <= 6400; i++) printf \"%08000d\\n\", i}'; sleep 10000";
    ground.pod("flood", "", &[("app", script)]).await?;
    let follow = ReadLogs {
        follow: true,
        ..of_pod("flood")
    };
    let begun = Instant::now();
    let mut line = ground.open(Wish::Logs(follow)).await?;
    while !matches!(line.next().await?.context("it goes on")?, Frame::LogSource(_)) {}
    let go = [
        "-n",
        &ground.namespace,
        "exec",
        "flood",
        "--",
        "sh",
        "-c",
        ": > /dev/shm/go",
    ];
    ground.kubectl.run(&go).await?;
    let (mut next, mut rest, mut bytes) = (1_u64, Vec::new(), 0);
    while next <= 6400 {
        match line.next().await?.context("it goes on")? {
            Frame::LogBytes(frame) => {
                bytes += frame.bytes.len();
                rest.extend_from_slice(&frame.bytes);
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    let text = String::from_utf8(rest.drain(..=end).collect())?;
                    ensure!(
                        text.trim_end().parse() == Ok(next) && text.len() == 8001,
                        "{text:.60} where {next} is due"
                    );
                    next += 1;
                }
            }
            Frame::LogSource(_) => {}
            other => anyhow::bail!("{other:?}"),
        }
    }
    println!("{bytes} bytes of a log in {:?}", begun.elapsed());
    drop(line);
    ground.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_a_log_ends_when_the_cluster_takes_the_right_away_or_the_agent_stops() -> Result<()> {
    let Some(ground) = Ground::start("rights", ExecIs::On).await? else {
        return Ok(());
    };
    ground
        .pod("web", "", &[("app", "echo here; sleep 10000")])
        .await?;
    let kubectl = |line: &'static str| {
        let words: Vec<String> = ["-n", &ground.namespace]
            .into_iter()
            .chain(line.split(' '))
            .map(str::to_owned)
            .collect();
        let ground = &ground;
        async move {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            ground.kubectl.run(&words).await
        }
    };
    kubectl("create role reader --verb=get --resource=pods/log").await?;
    kubectl("create rolebinding reader --role=reader --user=ann").await?;
    let follow = || {
        Wish::Logs(ReadLogs {
            follow: true,
            ..of_pod("web")
        })
    };
    // Who was just given it may have to wait for the API server's memory.
    let (mut line, mut shown) = eventually("ann may read", PATIENCE, || async {
        let mut line = ground.open_as("ann", super::ENVIRONMENT, follow()).await?;
        let mut shown = Shown::default();
        let end = shown
            .read(&mut line, u64::MAX, |it| it.of("app") == "here\n")
            .await?;
        ensure!(end.is_none(), "{end:?}");
        Ok((line, shown))
    })
    .await?;
    let mut others = ground.open(follow()).await?;
    let mut seen = Shown::default();
    seen.read(&mut others, u64::MAX, |it| it.of("app") == "here\n")
        .await?;

    kubectl("delete rolebinding reader").await?;
    let begun = Instant::now();
    let end = shown
        .read(&mut line, u64::MAX, |_| false)
        .await?
        .context("it ends")?;
    assert_eq!(end.code(), EndCode::Forbidden, "{end:?}");
    assert!(end.message.contains("ann may not read logs"), "{end:?}");
    println!("the right was gone after {:?}", begun.elapsed());

    ground.shutdown.cancel();
    let end = seen
        .read(&mut others, u64::MAX, |_| false)
        .await?
        .context("it ends")?;
    assert_eq!(end.code(), EndCode::GoingAway, "{end:?}");
    ground.end().await
}
