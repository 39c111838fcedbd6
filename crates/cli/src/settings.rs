//! What `c7n login` remembers: a server and a token, in a file that only its owner can read.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// No `Debug`: it holds a token.
#[derive(Clone, Serialize, Deserialize)]
pub struct Settings {
    pub server: String,
    pub token: String,
}

impl Settings {
    /// `$C7N_CONFIG`, else `$XDG_CONFIG_HOME/c7n/login.json`, else `~/.config/c7n/login.json`.
    pub fn path() -> Result<PathBuf> {
        if let Some(path) = std::env::var_os("C7N_CONFIG") {
            return Ok(path.into());
        }
        let folder = match std::env::var_os("XDG_CONFIG_HOME") {
            Some(folder) => PathBuf::from(folder),
            None => {
                PathBuf::from(std::env::var_os("HOME").context("HOME is not set; name a file in C7N_CONFIG")?)
                    .join(".config")
            }
        };
        Ok(folder.join("c7n").join("login.json"))
    }

    pub fn load() -> Result<Option<Self>> {
        let path = Self::path()?;
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        let settings = serde_json::from_slice(&text)
            .with_context(|| format!("{} is not what `c7n login` wrote; log in again", path.display()))?;
        Ok(Some(settings))
    }

    /// Written beside and renamed, so that a crash leaves the old file or the new one.
    pub fn save(&self) -> Result<PathBuf> {
        let path = Self::path()?;
        let folder = path.parent().context("the settings file has no folder")?;
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let beside = path.with_extension("new");
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)
            .with_context(|| format!("writing {}", beside.display()))?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        fs::rename(&beside, &path).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }
}
