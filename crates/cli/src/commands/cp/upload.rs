//! Into a container.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::Copied;
use super::pack::Pack;
use super::probe::{Container, Found, What};
use super::progress::Progress;
use crate::streams::{Process, Said};

const CHUNK: usize = 32 << 10;
/// The output stays open at another number: once that of a process has ended, containerd gives it no more input, and what was under
/// way is lost without a word (`execIO.Attach` in its `internal/cri/io/exec_io.go`).
const BY_CAT: &str = "exec 3>&1; exec cat > \"$1\"";
/// Without a portion taken.
const STUCK: Duration = Duration::from_secs(20);

pub async fn upload(container: &Container, local: &Path, path: &str) -> Result<Copied> {
    // A link that is named is followed; one inside a folder is copied as a link.
    let local = std::fs::canonicalize(local).with_context(|| format!("reading {}", local.display()))?;
    let found = container.look(path).await?;
    let (folder, name) = place(path, &local, &found)?;
    let missing = match path.ends_with('/') {
        true => !matches!(found.what, What::Folder | What::Unknown),
        false => !found.has_folder,
    };
    // The API server says nothing of a program that has ended while input for it is under way: so this is found out before.
    if missing {
        bail!(
            "there is no folder {folder} in the container\n  next: make it with `c7n exec {} -- mkdir -p {folder}`",
            container.pod
        );
    }
    let target = format!("{}/{name}", folder.trim_end_matches('/'));
    let (copied, sum) = if found.has_tar {
        let mut pack = Pack::new(&local, name.as_ref());
        let mut progress = Progress::new();
        let command = Container::program(
            &found,
            "exec tar xmf - -C \"$1\"",
            &["tar", "xmf", "-", "-C"],
            &[&folder],
        );
        send(container, &command, || {
            let bytes = pack.next()?;
            progress.at(pack.files, pack.bytes);
            Ok(bytes)
        })
        .await?;
        pack.finish()?;
        (
            Copied {
                files: pack.files,
                bytes: pack.bytes,
                checked: false,
            },
            pack.sum(),
        )
    } else {
        by_cat(container, &local, &target, &found).await?
    };
    if !found.has_sum || !local.is_file() {
        return Ok(copied);
    }
    if container.sum(&target).await? != sum {
        bail!("{target} in the container is not what was sent\n  next: copy it again");
    }
    Ok(Copied {
        checked: true,
        ..copied
    })
}

async fn by_cat(
    container: &Container,
    local: &Path,
    target: &str,
    found: &Found,
) -> Result<(Copied, String)> {
    if !local.is_file() {
        bail!(
            "the container has no tar, and without it no folder can be copied\n  next: copy its files one by one"
        );
    }
    debug_assert!(found.has_shell);
    eprintln!("c7n: the container has no tar: the file is copied by cat, and its mode is not kept");
    let mut file = File::open(local)?;
    let mut progress = Progress::new();
    let (mut sum, mut total) = (Sha256::new(), 0);
    send(container, &["sh", "-c", BY_CAT, "sh", target], || {
        let mut chunk = vec![0; CHUNK];
        let count = file.read(&mut chunk)?;
        chunk.truncate(count);
        sum.update(&chunk);
        total += count as u64;
        progress.at(0, total);
        Ok((count > 0).then(|| Bytes::from(chunk)))
    })
    .await?;
    Ok((
        Copied {
            files: 1,
            bytes: total,
            checked: false,
        },
        super::hex(&sum.finalize()),
    ))
}

/// Feeds a program to its end, and wants it to end well.
async fn send(
    container: &Container,
    command: &[&str],
    mut next: impl FnMut() -> Result<Option<Bytes>>,
) -> Result<()> {
    let mut process = Process::start(&container.place, container.wish(command, true)).await?;
    let mut complaint = Vec::new();
    let mut open = true;
    let outcome = loop {
        while open && process.has_room() {
            match next() {
                Ok(Some(bytes)) => process.feed(bytes),
                Ok(None) => {
                    open = false;
                    process.end_input();
                }
                Err(error) => {
                    process.leave().await;
                    return Err(error.context("the copy in the pod is not whole"));
                }
            }
        }
        let heard = match timeout(STUCK, process.hear()).await {
            Ok(heard) => heard,
            // It complained, and takes nothing any more: it has ended, and the API server does not tell while input is under way.
            Err(_) if !complaint.is_empty() && !process.is_away() => {
                process.leave().await;
                bail!(
                    "the copy in the pod is not whole: {}\n  next: look at the place in the container, and copy it again",
                    String::from_utf8_lossy(&complaint).trim()
                );
            }
            Err(_) => continue,
        };
        match heard {
            Ok(Said::Room) => continue,
            Ok(Said::Output(_)) => {}
            Ok(Said::ErrorOutput(bytes)) => super::keep_end(&mut complaint, &bytes),
            Ok(Said::Finished(finished)) => break finished,
            Err(error) => return Err(error.context("the copy in the pod is not whole")),
        }
        process.consumed();
    };
    process.consumed();
    process.finish().await;
    super::check(command, &outcome, &complaint)?;
    if open {
        bail!("the container took only a part of it; the copy is not whole\n  next: copy it again");
    }
    Ok(())
}

/// The folder in the container and the name there, as `cp` has it.
fn place(path: &str, local: &Path, found: &Found) -> Result<(String, String)> {
    let own = local.file_name().and_then(|name| name.to_str());
    if found.what == What::Folder || path.ends_with('/') {
        let own =
            own.context("a name for the copy is missing, or is no UTF-8\n  next: write it after the folder")?;
        return Ok((path.to_owned(), own.to_owned()));
    }
    let (folder, name) = match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((folder, name)) => (folder, name),
        None => (".", path),
    };
    if matches!(name, "" | "." | "..") {
        bail!("`{path}` is no place for a copy\n  next: end it with a name");
    }
    Ok((folder.to_owned(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_goes_where_cp_would_put_it() {
        let at = |path: &str, what| {
            let found = Found {
                what,
                has_folder: true,
                has_shell: true,
                has_tar: true,
                has_sum: true,
                path: Vec::new(),
            };
            place(path, Path::new("/home/me/app.conf"), &found)
                .ok()
                .map(|(folder, name)| format!("{folder} {name}"))
        };
        assert_eq!(at("/etc", What::Folder).as_deref(), Some("/etc app.conf"));
        assert_eq!(
            at("/etc/new/", What::Nothing).as_deref(),
            Some("/etc/new/ app.conf")
        );
        assert_eq!(at("/etc/other", What::Nothing).as_deref(), Some("/etc other"));
        assert_eq!(at("/other", What::File).as_deref(), Some("/ other"));
        assert_eq!(at("other", What::Nothing).as_deref(), Some(". other"));
        assert_eq!(at("a/..", What::Unknown), None);
    }
}
