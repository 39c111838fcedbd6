//! `c7n cp`: files and folders into a container and out of it, by the container's own tar.
//!
//! | | |
//! |---|---|
//! | `side` | which of the two is in a pod |
//! | `probe` | what the container can do, and what is at a path in it |
//! | `pack` | this machine's files as an archive |
//! | `untar`, `inside`, `unpack` | a stranger's archive: read, judged, written |

mod download;
mod inside;
mod pack;
mod probe;
mod progress;
mod side;
#[cfg(test)]
mod tests;
mod unpack;
mod untar;
mod upload;

use std::path::Path;

use anyhow::{Result, bail};
use c7n_stream::Finished;

use super::{Global, InEnvironment};
use crate::streams::{Place, Signals};
use probe::Container;
use side::Side;

/// Of what tar complains of, the end is kept.
const COMPLAINT: usize = 4 << 10;

#[derive(clap::Args)]
#[command(
    after_help = "A folder is copied with everything in it. What is there already is overwritten. Links that lead out of what was asked
for, devices and pipes are left out, and told. A file is checked by sha256sum where the container has it.

Examples:
  c7n cp -p shop -e staging web-5d9c7b-x2x4z:/var/log/app.log .
  c7n cp -p shop -e staging web:/srv/data data              of the first ready pod of instance web
  c7n cp -p shop -e staging app.conf web-5d9c7b-x2x4z:/etc/app/ -c sidecar"
)]
pub struct Cp {
    /// A path of this machine, or POD:PATH; INSTANCE:PATH is of its first ready pod
    #[arg(value_name = "FROM")]
    from: String,
    /// The other one
    #[arg(value_name = "TO")]
    to: String,
    #[command(flatten)]
    place: InEnvironment,
    /// This container; the default is the one that kubectl would take
    #[arg(long, short, value_name = "NAME")]
    container: Option<String>,
}

/// What was copied.
struct Copied {
    files: u64,
    bytes: u64,
    checked: bool,
}

pub async fn run(global: &Global, cp: Cp) -> Result<()> {
    let place = cp.place.place(global)?;
    let mut signals = Signals::listen()?;
    let copied = tokio::select! {
        copied = copy(&place, &cp) => copied?,
        // What is half written goes away, and the program in the container ends.
        _ = signals.next() => bail!("interrupted; the copy is not whole"),
    };
    let checked = if copied.checked {
        ", checked by SHA-256"
    } else {
        ""
    };
    eprintln!(
        "{} in {} files{checked}",
        progress::size(copied.bytes),
        copied.files
    );
    Ok(())
}

async fn copy(place: &Place, cp: &Cp) -> Result<Copied> {
    let container = async |pod: &str| -> Result<Container> {
        Ok(Container {
            place: place.clone(),
            pod: place.pod(pod).await?,
            name: cp.container.clone(),
        })
    };
    match (Side::read(&cp.from), Side::read(&cp.to)) {
        (Side::Pod { name, path }, Side::Here(local)) => {
            download::download(&container(name).await?, path, Path::new(local)).await
        }
        (Side::Here(local), Side::Pod { name, path }) => {
            upload::upload(&container(name).await?, Path::new(local), path).await
        }
        (Side::Here(_), Side::Here(_)) => {
            bail!("neither of the two is in a pod\n  next: write that one as POD:PATH")
        }
        (Side::Pod { .. }, Side::Pod { .. }) => {
            bail!("both are in pods\n  next: copy to this machine first, and then into the other pod")
        }
    }
}

/// An error when the program did not end well.
fn check(command: &[&str], finished: &Finished, complaint: &[u8]) -> Result<()> {
    if finished.exit_code == 0 {
        return Ok(());
    }
    // Called by no shell, because there is none, and not there.
    if command[0] == "tar" && matches!(finished.exit_code, 126 | 127) {
        bail!(
            "the container has neither a shell nor tar, and without them nothing can be copied\n  \
             next: name a container of the pod that has them with `-c`"
        );
    }
    let complaint = String::from_utf8_lossy(complaint);
    let complaint = match complaint.trim() {
        "" => finished.message.trim(),
        complaint => complaint,
    };
    bail!(
        "the copy is not whole; the container's side of it ended with {}: {complaint}",
        finished.exit_code
    )
}

fn keep_end(kept: &mut Vec<u8>, more: &[u8]) {
    kept.extend_from_slice(more);
    kept.drain(..kept.len().saturating_sub(COMPLAINT));
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
