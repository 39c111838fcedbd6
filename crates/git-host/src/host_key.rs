//! The host's own key: what clients pin, so it is made once and kept.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey};

use crate::HostError;

/// Reads the key, or makes it when the file is missing. A key that cannot be read is an error, never replaced:
/// every client would take the new one for a break-in.
pub(crate) fn ensure(path: &Path) -> Result<PrivateKey, HostError> {
    let bad = |reason: String| HostError::HostKey {
        path: path.to_owned(),
        reason,
    };
    if !path.exists() {
        let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519)
            .map_err(|error| bad(error.to_string()))?;
        write(path, &key).map_err(|error| bad(error.to_string()))?;
    }
    let key = russh::keys::load_secret_key(path, None).map_err(|error| bad(error.to_string()))?;
    match key.algorithm() {
        Algorithm::Ed25519 => Ok(key),
        other => Err(bad(format!(
            "it is of the kind {}, only ssh-ed25519 is used",
            other.as_str()
        ))),
    }
}

fn write(path: &Path, key: &PrivateKey) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let text = key.to_openssh(LineEnding::LF).map_err(std::io::Error::other)?;
    let draft = path.with_extension("new");
    let _ = fs::remove_file(&draft);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(draft, path)
}

pub(crate) fn public_line(key: &PrivateKey, path: &Path) -> Result<String, HostError> {
    let mut public = key.public_key().clone();
    public.set_comment("");
    let line = public.to_openssh().map_err(|error| HostError::HostKey {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    Ok(line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_host_key_is_made_once_and_kept_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ssh/host_ed25519");
        let first = public_line(&ensure(&path).unwrap(), &path).unwrap();
        let second = public_line(&ensure(&path).unwrap(), &path).unwrap();
        assert_eq!(first, second);
        assert!(first.starts_with("ssh-ed25519 AAAA"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_broken_host_key_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "broken").unwrap();
        assert!(ensure(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "broken");
    }
}
