//! Builds a program with the Go tool: under a lock, into a name of its own, moved into place when whole.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Program, cache};

/// A machine ten times slower than the one the expected times are from.
const BUILD_DEADLINE: Duration = Duration::from_secs(45 * 60);

pub(super) fn ensure_blocking(program: Program) -> Result<PathBuf> {
    let place = cache::place(program)?;
    if place.is_file() {
        return Ok(place);
    }
    let folder = place
        .parent()
        .context("a program's place always lies in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let _lock = lock(&folder.join(format!(".{}.lock", program.name())), program)?;
    if !place.is_file() {
        build(program, folder, &place)?;
    }
    Ok(place)
}

/// Held until dropped: two processes that need the same program build it once.
fn lock(path: &Path, program: Program) -> Result<File> {
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    let deadline = Instant::now() + BUILD_DEADLINE;
    let mut announced = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
            Err(TryLockError::WouldBlock) if Instant::now() > deadline => {
                bail!(
                    "another process has been building {} for too long (it holds {})",
                    program.name(),
                    path.display()
                );
            }
            Err(TryLockError::WouldBlock) => {
                if !announced {
                    eprintln!("waiting for another process that builds {}", program.name());
                    announced = true;
                }
                thread::sleep(Duration::from_millis(300));
            }
        }
    }
}

fn build(program: Program, folder: &Path, place: &Path) -> Result<()> {
    let recipe = program.recipe();
    let unfinished = folder.join(format!(".{}.{}", program.name(), std::process::id()));
    eprintln!(
        "building {} {} (about {} the first time) ...",
        program.name(),
        recipe.version,
        human(recipe.expected)
    );
    let begun = Instant::now();
    let child = Command::new("go")
        .arg("build")
        .args(["-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", &recipe.linker_flags, "-o"])
        .arg(&unfinished)
        .arg(recipe.package)
        .current_dir(cache::module_folder(&recipe))
        // Static, and no C compiler needed.
        .env("CGO_ENABLED", "0")
        .env_remove("GOFLAGS")
        .stdin(Stdio::null())
        .spawn()
        .context("cannot run `go`: install Go 1.26 or newer (https://go.dev/dl), the cluster's programs are built with it")?;
    let status = wait(child, BUILD_DEADLINE).with_context(|| format!("building {}", program.name()))?;
    if !status.success() {
        let _ = fs::remove_file(&unfinished);
        bail!(
            "`go build {}` failed ({status}); its messages are above",
            recipe.package
        );
    }
    fs::rename(&unfinished, place).with_context(|| format!("cannot move {} into place", program.name()))?;
    eprintln!("built {} in {}", program.name(), human(begun.elapsed()));
    Ok(())
}

fn wait(mut child: Child, deadline: Duration) -> Result<ExitStatus> {
    let until = Instant::now() + deadline;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > until {
            child.kill()?;
            child.wait()?;
            bail!("gave up after {}", human(deadline));
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn human(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds < 90 => format!("{seconds} s"),
        seconds => format!("{} min", (seconds + 30) / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_a_person_would() {
        assert_eq!(human(Duration::from_secs(23)), "23 s");
        assert_eq!(human(Duration::from_secs(184)), "3 min");
    }
}
