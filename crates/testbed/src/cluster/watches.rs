//! How many files a kubelet may watch: one for each log that somebody follows.

use std::fs;
use std::io;

const SETTING: &str = "/proc/sys/fs/inotify/max_user_instances";
/// As distributions for nodes set it; the kernel's own 128 are used up by a few readers of logs.
const ENOUGH: u32 = 8192;

/// Raises the machine's limit where it is lower. It stays so afterwards: more is allowed, and nothing is taken.
pub fn allow_many() {
    if let Err(error) = raise() {
        eprintln!(
            "note: {SETTING} cannot be raised to {ENOUGH} ({error}); beyond it logs cannot be followed on the real node"
        );
    }
}

fn raise() -> io::Result<()> {
    let now: u32 = fs::read_to_string(SETTING)?
        .trim()
        .parse()
        .map_err(io::Error::other)?;
    if now < ENOUGH {
        fs::write(SETTING, ENOUGH.to_string())?;
    }
    Ok(())
}
