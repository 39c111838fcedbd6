//! Packs a repository now and then, off the hot path.

use std::time::Duration;

use crate::command::{Run, locked_down};
use crate::{Repository, Result};

impl Repository {
    /// `git gc --auto`: cheap when nothing has piled up. What nobody refers to is kept for an hour, so that a push or
    /// fetch that is under way loses nothing.
    pub async fn maintain(&self) -> Result<()> {
        let set = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let config = [
            set("gc.auto", "2000"),
            set("gc.autoPackLimit", "30"),
            set("gc.autoDetach", "false"),
            set("gc.pruneExpire", "1.hour.ago"),
            set("pack.threads", "1"),
            set("pack.windowMemory", "64m"),
            set("core.bigFileThreshold", "8m"),
            set("safe.directory", "*"),
        ];
        let mut command = locked_down(self.path(), &config);
        command
            .env("GIT_DIR", self.path())
            .args(["gc", "--auto", "--quiet"]);
        let run = Run {
            command,
            what: format!("packing {}", self.path().display()),
            deadline: Duration::from_secs(1800),
            growth: None,
        };
        run.succeed().await
    }
}
