//! How long things take; run with `cargo test -p c7n-git-host --release -- --ignored --nocapture timings`.

use std::time::{Duration, Instant};

use c7n_git::{AGENT_SYNC, CommitId, Mirror};

use crate::support::{AGENT_TOKEN, Setup};

const MAIN: &str = "refs/heads/main";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures, promises nothing"]
async fn timings() {
    let setup = Setup::new().await;
    let work = setup.pushed().await;
    for index in 0..200 {
        std::fs::write(work.join(format!("f{index}.yaml")), format!("n: {index}\n")).unwrap();
    }
    setup.commit(&work, "files").await;
    setup
        .git(&setup.user, &work, &["push", "-q", "origin", "main"])
        .await
        .good();

    let mut cold = Vec::new();
    let mut bare = Vec::new();
    for index in 0..6 {
        let mirror = Mirror::open(
            setup.path(&format!("cold{index}")),
            setup.ssh_remote(&setup.agent),
        )
        .await
        .unwrap();
        cold.push(timed(mirror.fetch(&[MAIN])).await.0);
        mirror.close();
        next_commit(&setup, &work, 1000 + index).await;
        bare.push(timed(mirror.fetch(&[MAIN])).await.0);
    }
    print("SSH, first fetch of all (new connection)", &mut cold);
    print("SSH, small commit, new connection", &mut bare);

    let ssh = setup.agent_mirror().await;
    let http = Mirror::open(setup.path("http"), setup.http_remote(AGENT_TOKEN))
        .await
        .unwrap();
    for mirror in [&ssh, &http] {
        mirror.fetch(&[MAIN]).await.unwrap();
    }
    let [mut warm, mut over_http, mut nothing, mut diff, mut tag, mut local] = [const { Vec::new() }; 6];
    let mut tagged: Option<CommitId> = None;
    let mut old = ssh.repository().resolve(MAIN).unwrap().unwrap();
    for index in 0..20 {
        next_commit(&setup, &work, index).await;
        let (elapsed, fetched) = timed(ssh.fetch(&[MAIN])).await;
        warm.push(elapsed);
        let new = fetched.unwrap().refs[MAIN].unwrap();
        let started = Instant::now();
        let changes = ssh.repository().changed(&old, &new).unwrap();
        diff.push(started.elapsed());
        assert_eq!(changes.len(), 1);
        over_http.push(timed(http.fetch(&[MAIN])).await.0);
        nothing.push(timed(ssh.fetch(&[MAIN])).await.0);
        tag.push(
            timed(ssh.push_tag(AGENT_SYNC, tagged.as_ref(), Some(&new)))
                .await
                .0,
        );
        let started = Instant::now();
        setup
            .repository
            .move_tag("refs/tags/devops-sync", tagged.as_ref(), Some(&new))
            .unwrap();
        local.push(started.elapsed());
        tagged = Some(new);
        old = new;
    }
    print("SSH, small commit, shared connection", &mut warm);
    print("SSH, nothing new, shared connection", &mut nothing);
    print("HTTP, small commit", &mut over_http);
    print("tree diff, 1 of 201 files", &mut diff);
    print("tag push over SSH, shared connection", &mut tag);
    print("tag moved locally", &mut local);
}

async fn next_commit(setup: &Setup, work: &std::path::Path, index: u32) {
    std::fs::write(work.join("f1.yaml"), format!("n: x{index}\n")).unwrap();
    setup.commit(work, "next").await;
    setup
        .git(&setup.user, work, &["push", "-q", "origin", "main"])
        .await
        .good();
}

async fn timed<T>(work: impl Future<Output = T>) -> (Duration, T) {
    let started = Instant::now();
    let outcome = work.await;
    (started.elapsed(), outcome)
}

fn print(what: &str, times: &mut [Duration]) {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!(
        "{what:45} median {:>9.2?}  p90 {:>9.2?}  worst {:>9.2?}",
        at(50),
        at(90),
        at(100)
    );
}
