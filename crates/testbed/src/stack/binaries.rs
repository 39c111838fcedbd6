//! Where the compiled programs are: beside the program that runs now.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

#[derive(Debug, Clone)]
pub struct Binaries {
    pub server: PathBuf,
    pub agent: PathBuf,
    pub cli: PathBuf,
}

impl Binaries {
    /// Works from `target/debug/xtask` as well as from a test in `target/debug/deps`.
    pub fn beside_me() -> Result<Self> {
        let me = std::env::current_exe()?;
        let mut folder = me.parent().unwrap_or(Path::new(".")).to_path_buf();
        if folder.ends_with("deps") {
            folder.pop();
        }
        Self::inside(&folder)
    }

    pub fn inside(folder: &Path) -> Result<Self> {
        let found = Self {
            server: folder.join("c7n-server"),
            agent: folder.join("c7n-agent"),
            cli: folder.join("c7n"),
        };
        for program in [&found.server, &found.agent, &found.cli] {
            ensure!(
                program.exists(),
                "{} is not built; run the tests with `cargo xtask test`, or build with `cargo build --workspace`",
                program.display()
            );
        }
        Ok(found)
    }
}
