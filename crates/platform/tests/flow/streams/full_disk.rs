//! A recording on a disk that fills: the session is cut, and it says why.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use c7n_stream::{End, EndCode, Finished, Frame, Part, Piece};
use futures_util::SinkExt;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::ends::told;
use super::site::{Running, Site, exec};
use crate::shop::STAGING;

/// A small file system, until dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, and said so, for who may not mount.
    fn mount(folder: &Path) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=512k,mode=0700", "c7n-test"])
            .arg(folder)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(folder.to_owned())),
            other => {
                eprintln!(
                    "NOT RUN: a full disk needs a file system of its own, and root to mount it: {other:?}"
                );
                None
            }
        }
    }

    fn fill(&self) {
        let mut filler = std::fs::File::create(self.0.join("filler")).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
    }

    fn empty(&self) {
        for entry in std::fs::read_dir(&self.0).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // At once, whoever still has a file of it open.
        let gone = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(
            gone.is_ok_and(|status| status.success()),
            "{} stays",
            self.0.display()
        );
    }
}

/// An environment that records, and where it does.
async fn recording() -> Option<(Site, SmallDisk)> {
    let site = Site::open().await;
    site.records().await;
    let disk = SmallDisk::mount(&site.server.data.path().join("recordings"))?;
    Some((site, disk))
}

/// The session ended like this for both, and is written down so.
async fn is_cut(site: &Site, id: &str, ends: [End; 2]) {
    let [end, of_agent] = ends;
    told(&end, EndCode::Failed);
    assert!(end.message.contains("the platform's disk"), "{end:?}");
    assert_eq!(of_agent, end, "the process ends with it");
    let record = site.ended_record(id).await;
    assert_eq!(record["end"], end.message);
    assert_eq!(record["recorded"], true);
    // What is there can be played: every line of it is whole.
    let text = site.recording(id).await;
    assert!(text.ends_with('\n') && text.lines().count() >= 1, "{text:?}");
    for line in text.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_floods_the_disk_is_cut() {
    let Some((mut site, disk)) = recording().await else {
        return;
    };
    let admin = site.server.admin();
    let Running {
        id,
        mut client,
        mut agent,
        ..
    } = site.joined(&admin, exec()).await;
    let flood = async {
        for seq in 0..30 {
            let part = Part::Output(Bytes::from(vec![b'x'; 30_000]));
            let frame = Frame::Piece(Piece { seq, part });
            // Refused from some moment on.
            let _ = agent.socket.send(Message::Binary(frame.encode())).await;
        }
        agent.ended().await
    };
    let (of_client, of_agent) = tokio::join!(client.ended(), flood);
    is_cut(&site, &id, [of_client, of_agent]).await;
    drop(disk);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_cut_when_others_have_filled_the_disk() {
    let Some((mut site, disk)) = recording().await else {
        return;
    };
    let admin = site.server.admin();
    let Running {
        id,
        mut client,
        mut agent,
        ..
    } = site.joined(&admin, exec()).await;
    disk.fill();
    // Little enough to wait for the next moment when it is written, and more than the rest of a page.
    agent.output(0, &"y".repeat(10_000)).await;
    let ends = [client.ended().await, agent.ended().await];
    is_cut(&site, &id, ends).await;

    // Nobody begins one without a recording either.
    disk.fill();
    let path = format!("{STAGING}/streams");
    let refused = admin.post(&path, exec()).await;
    let refused = refused.refused(StatusCode::INSUFFICIENT_STORAGE);
    assert_eq!(refused["code"], "no-recording");
    assert!(!refused["next"].as_str().unwrap().is_empty(), "{refused}");

    // When there is room again it is as before.
    disk.empty();
    let mut running = site.joined(&admin, exec()).await;
    running.agent.output(0, "here").await;
    running.client.said().await;
    running.agent.piece(1, Part::Finished(Finished::default())).await;
    running.client.said().await;
    running
        .agent
        .say(Frame::End(End::new(EndCode::Completed, "")))
        .await;
    running.client.ended().await;
    let record = site.ended_record(&running.id).await;
    assert_eq!(
        (&record["end"], &record["exit_code"]),
        (&json!("completed"), &json!(0))
    );
    drop(disk);
}
