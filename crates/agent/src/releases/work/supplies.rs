//! What an operation of Helm needs beside the object: the chart, fetched and verified, and the keys of its signature.

use std::path::{Path, PathBuf};

use c7n_helm::Provenance;
use tokio::time::timeout;

use super::Job;
use crate::files;
use crate::releases::hand::SecretError;
use crate::releases::memory::Prospect;
use crate::releases::source::{Fetched, Signature, SourceError, Wanted};
use crate::releases::spec::Wish;

/// What an operation needs that is not in the object.
pub(super) struct Supplies {
    pub fetched: Fetched,
    signed: Option<Signed>,
}

struct Signed {
    prov: PathBuf,
    keyring: Keyring,
}

impl Supplies {
    pub fn provenance(&self) -> Option<Provenance> {
        self.signed.as_ref().map(|signed| Provenance {
            prov: signed.prov.clone(),
            keyring: signed.keyring.0.clone(),
        })
    }
}

/// A keyring on disk, there for one operation.
struct Keyring(PathBuf);

impl Drop for Keyring {
    fn drop(&mut self) {
        if let Err(error) = files::remove(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "a keyring that is used no more cannot be removed");
        }
    }
}

fn keyrings(folder: &Path) -> PathBuf {
    folder.join("keyrings")
}

/// Removes what a killed run left.
pub fn clear_keyrings(folder: &Path) {
    let folder = keyrings(folder);
    if let Err(error) = files::remove_folder(&folder) {
        tracing::warn!(path = %folder.display(), %error, "keyrings of an earlier run cannot be removed");
    }
}

/// Why there is nothing to begin with.
pub(super) enum Missing {
    Cancelled,
    Failed {
        reason: &'static str,
        words: String,
        prospect: Prospect,
    },
}

impl Job {
    pub(super) async fn supplies(&self, wish: &Wish) -> Result<Supplies, Missing> {
        let namespace = &self.release.id.namespace;
        let of_secret = |error: SecretError| Missing::Failed {
            reason: "SecretMissing",
            words: error.to_string(),
            prospect: Prospect::Passing,
        };
        let credentials = self
            .hand
            .credentials(namespace, wish.repo_secret.as_deref())
            .await
            .map_err(of_secret)?;
        let wanted = Wanted {
            repo_url: wish.repo_url.clone(),
            name: wish.chart_name.clone(),
            version: wish.chart_version.clone(),
            signature: match wish.keyring_secret {
                Some(_) => Signature::Asked,
                None => Signature::NotAsked,
            },
        };
        let work = self
            .hand
            .source
            .fetch(&wanted, credentials.as_ref(), &self.stops.any);
        let failed = |words: String, prospect| Missing::Failed {
            reason: "FetchFailed",
            words: format!("the chart {} cannot be fetched: {words}", wish.chart()),
            prospect,
        };
        let fetched = match timeout(wish.timeout, work).await {
            Ok(Ok(fetched)) => fetched,
            Ok(Err(SourceError::Cancelled)) => return Err(Missing::Cancelled),
            Ok(Err(SourceError::Away(words))) => return Err(failed(words, Prospect::Passing)),
            Ok(Err(SourceError::Refused(words))) => return Err(failed(words, Prospect::Lasting)),
            Err(_) => {
                let words = "the repository did not deliver it in time".to_owned();
                return Err(failed(words, Prospect::Passing));
            }
        };
        let signed = match (&wish.keyring_secret, &fetched.prov) {
            (None, _) => None,
            (Some(_), None) => {
                let words =
                    "spec.provenance asks for a signature, and the repository has no .prov file for it";
                return Err(failed(words.to_owned(), Prospect::Lasting));
            }
            (Some(secret), Some(prov)) => {
                let keyring = self.hand.keyring(namespace, secret).await.map_err(of_secret)?;
                let file = format!("{}.{}.keyring", self.release.id.namespace, self.release.id.name);
                let path = keyrings(&self.hand.folder).join(file);
                let keyring_file = Keyring(path.clone());
                let written = {
                    let path = path.clone();
                    tokio::task::spawn_blocking(move || files::replace_lightly(&path, &keyring)).await
                };
                if !matches!(written, Ok(Ok(()))) {
                    let words = format!("the keyring cannot be written to {}", path.display());
                    return Err(failed(words, Prospect::Passing));
                }
                Some(Signed {
                    prov: prov.clone(),
                    keyring: keyring_file,
                })
            }
        };
        Ok(Supplies { fetched, signed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_keyring_outlives_its_operation_or_a_kill() {
        let folder = tempfile::tempdir().unwrap();
        let path = keyrings(folder.path()).join("shop.web.keyring");
        files::replace_lightly(&path, b"keys").unwrap();
        drop(Keyring(path.clone()));
        assert!(!path.exists());

        files::replace_lightly(&path, b"keys").unwrap();
        clear_keyrings(folder.path());
        assert!(!path.exists());
        clear_keyrings(folder.path());
    }
}
