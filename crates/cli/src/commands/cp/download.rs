//! Out of a container.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::Copied;
use super::probe::{Container, What};
use super::progress::Progress;
use super::unpack::Unpack;
use super::untar::Untar;
use crate::streams::{Process, Said};

pub async fn download(container: &Container, path: &str, local: &Path) -> Result<Copied> {
    let found = container.look(path).await?;
    let shown = format!("{path} of pod {}", container.pod);
    match found.what {
        What::Nothing => bail!(
            "there is no {shown}\n  next: `c7n exec {} -- ls -l` shows what there is",
            container.pod
        ),
        What::Other => bail!("{shown} is neither a file nor a folder, and only those are copied"),
        What::Folder if !found.has_tar => bail!(
            "the container has no tar, and without it no folder can be copied\n  next: copy its files one by one"
        ),
        _ => {}
    }
    let real = OsString::from_vec(found.path.clone());
    let real = Path::new(&real);
    let (folder, name) = place(local, Path::new(path))?;
    let (above, root) = parted(real);
    let mut unpack = Unpack::new(&folder, &name, root.as_bytes())?;
    let real = real
        .to_str()
        .context("a path that is no UTF-8 cannot be copied")?;
    if found.has_tar {
        let entry = Path::new(".").join(root);
        let entry = entry
            .to_str()
            .context("a path that is no UTF-8 cannot be copied")?;
        let above = above
            .to_str()
            .context("a path that is no UTF-8 cannot be copied")?;
        let command = Container::program(
            &found,
            "exec tar cf - -C \"$1\" \"$2\"",
            &["tar", "cf", "-", "-C"],
            &[above, entry],
        );
        from_tar(container, &command, &mut unpack).await?;
    } else {
        eprintln!("c7n: the container has no tar: the file is copied by cat, and its mode is not kept");
        from_cat(
            container,
            &["sh", "-c", "exec cat < \"$1\"", "sh", real],
            &mut unpack,
        )
        .await?;
    }
    let mut checked = false;
    if let Some(sum) = unpack.sum().filter(|_| found.has_sum) {
        if container.sum(real).await? != sum {
            bail!(
                "{shown} changed while it was copied, or was damaged on its way; nothing was written\n  next: copy it again"
            );
        }
        checked = true;
    }
    let (files, bytes) = (unpack.files, unpack.bytes);
    unpack.finish()?;
    Ok(Copied {
        files,
        bytes,
        checked,
    })
}

async fn from_tar(container: &Container, command: &[&str], unpack: &mut Unpack) -> Result<()> {
    let mut untar = Untar::default();
    let mut progress = Progress::new();
    receive(container, command, |bytes| {
        untar.feed(bytes, |piece| unpack.take(piece))?;
        progress.at(unpack.files, unpack.bytes);
        Ok(())
    })
    .await?;
    if !untar.is_complete() {
        bail!("the copy is not whole: the container's tar ended in the middle\n  next: copy it again");
    }
    Ok(())
}

async fn from_cat(container: &Container, command: &[&str], unpack: &mut Unpack) -> Result<()> {
    unpack.single()?;
    let mut progress = Progress::new();
    receive(container, command, |bytes| {
        unpack.content(bytes)?;
        progress.at(unpack.files, unpack.bytes);
        Ok(())
    })
    .await?;
    unpack.end()
}

/// All that the program says, in order; an error when it does not end well.
async fn receive(
    container: &Container,
    command: &[&str],
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut process = Process::start(&container.place, container.wish(command, false)).await?;
    let mut complaint = Vec::new();
    let outcome = loop {
        match process.hear().await {
            Ok(Said::Output(bytes)) => {
                if let Err(error) = take(&bytes) {
                    process.leave().await;
                    return Err(error);
                }
            }
            Ok(Said::Room) => continue,
            Ok(Said::ErrorOutput(bytes)) => super::keep_end(&mut complaint, &bytes),
            Ok(Said::Finished(finished)) => break finished,
            Err(error) => return Err(error.context("the copy is not whole")),
        }
        process.consumed();
    };
    process.consumed();
    process.finish().await;
    super::check(command, &outcome, &complaint)
}

/// The folder that it goes into and its name there, as `cp` has it.
fn place(local: &Path, path: &Path) -> Result<(PathBuf, OsString)> {
    if local.is_dir() {
        let name = path
            .file_name()
            .context("a name for the copy is missing\n  next: write it after the folder")?;
        return Ok((local.to_owned(), name.to_owned()));
    }
    let name = local
        .file_name()
        .filter(|_| !local.as_os_str().as_bytes().ends_with(b"/"));
    let Some(name) = name else {
        bail!(
            "there is no folder {}\n  next: make it, or leave the slash at its end away",
            local.display()
        );
    };
    let folder = local.parent().filter(|folder| !folder.as_os_str().is_empty());
    Ok((folder.unwrap_or(Path::new(".")).to_owned(), name.to_owned()))
}

/// Where tar is to stand, and what it is to call by name.
fn parted(path: &Path) -> (&Path, &OsStr) {
    match (path.parent(), path.file_name()) {
        (Some(above), Some(name)) if above.as_os_str().is_empty() => (Path::new("."), name),
        (Some(above), Some(name)) => (above, name),
        _ => (path, OsStr::new(".")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_goes_where_cp_would_put_it() {
        let folder = tempfile::tempdir().unwrap();
        let at =
            |local: PathBuf| place(&local, Path::new("/var/data")).map(|(folder, name)| folder.join(name));
        assert_eq!(at(folder.path().into()).unwrap(), folder.path().join("data"));
        assert_eq!(at(folder.path().join("new")).unwrap(), folder.path().join("new"));
        assert_eq!(at("new".into()).unwrap(), Path::new("./new"));
        assert!(at(folder.path().join("missing/")).is_err());
        assert!(place(folder.path(), Path::new("/")).is_err());
    }

    #[test]
    fn tar_stands_above_what_it_reads() {
        let part = |path: &'static str| parted(Path::new(path));
        assert_eq!(part("/var/data"), (Path::new("/var"), OsStr::new("data")));
        assert_eq!(part("/data/"), (Path::new("/"), OsStr::new("data")));
        assert_eq!(part("data"), (Path::new("."), OsStr::new("data")));
        assert_eq!(part("/"), (Path::new("/"), OsStr::new(".")));
        assert_eq!(part(".."), (Path::new(".."), OsStr::new(".")));
    }
}
