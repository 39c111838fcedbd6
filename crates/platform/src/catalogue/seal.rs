//! Passwords of other repositories, sealed with AES-256-GCM under a key that lies in the data folder, apart from the database.
//!
//! A copy of the database alone tells nothing. A sealed text is bound to the application it belongs to.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};

use crate::private_file;

const KEY_LEN: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error(
        "the key {path} cannot be used: {source}; it belongs to the data folder, restore it from the same backup"
    )]
    Key { path: PathBuf, source: io::Error },
    #[error("the key {0} is not of this platform; restore the one that its database was used with")]
    Odd(PathBuf),
    #[error(
        "a stored password cannot be read: the key of the data folder is another than it was sealed with; \
         register the application again"
    )]
    Broken,
}

/// No `Debug`: it holds the key.
pub struct Seal {
    key: RandomizedNonceKey,
}

impl Seal {
    /// Reads the key of the data folder; makes it the first time.
    pub fn open(data: &Path) -> Result<Self, SealError> {
        let path = data.join("catalogue.key");
        let fail = |source| SealError::Key {
            path: path.clone(),
            source,
        };
        let bytes = match read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut fresh = [0; KEY_LEN];
                rand::fill(&mut fresh);
                private_file::write(&path, &fresh).map_err(fail)?;
                fresh.to_vec()
            }
            outcome => outcome.map_err(fail)?,
        };
        let key = RandomizedNonceKey::new(&AES_256_GCM, &bytes).map_err(|_| SealError::Odd(path.clone()))?;
        Ok(Self { key })
    }

    /// Nonce, then text and tag.
    pub fn seal(&self, owner: &str, text: &str) -> Result<Vec<u8>, SealError> {
        let mut bytes = text.as_bytes().to_vec();
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(owner.as_bytes()), &mut bytes)
            .map_err(|_| SealError::Broken)?;
        Ok([nonce.as_ref().as_slice(), &bytes].concat())
    }

    pub fn open_sealed(&self, owner: &str, sealed: &[u8]) -> Result<String, SealError> {
        let (nonce, bytes) = sealed.split_at_checked(NONCE_LEN).ok_or(SealError::Broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Broken)?;
        let mut bytes = bytes.to_vec();
        let text = self
            .key
            .open_in_place(nonce, Aad::from(owner.as_bytes()), &mut bytes)
            .map_err(|_| SealError::Broken)?;
        String::from_utf8(text.to_vec()).map_err(|_| SealError::Broken)
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // A key is short; a file that is not one is not read into memory.
    std::fs::File::open(path)?
        .take(KEY_LEN as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_owner_and_with_this_key_alone() {
        let data = tempfile::tempdir().unwrap();
        let seal = Seal::open(data.path()).unwrap();
        let sealed = seal.seal("app-1", "hunter2").unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"hunter2"));
        assert_ne!(sealed, seal.seal("app-1", "hunter2").unwrap());
        let again = Seal::open(data.path()).unwrap();
        assert_eq!(again.open_sealed("app-1", &sealed).unwrap(), "hunter2");
        assert!(again.open_sealed("app-2", &sealed).is_err());
        let mut bent = sealed.clone();
        bent[NONCE_LEN] ^= 1;
        assert!(again.open_sealed("app-1", &bent).is_err());
        assert!(again.open_sealed("app-1", &sealed[..5]).is_err());

        use std::os::unix::fs::PermissionsExt;
        let key = data.path().join("catalogue.key");
        assert_eq!(
            std::fs::metadata(&key).unwrap().permissions().mode() & 0o777,
            0o600
        );
        std::fs::write(&key, "short").unwrap();
        assert!(matches!(Seal::open(data.path()), Err(SealError::Odd(_))));
    }
}
