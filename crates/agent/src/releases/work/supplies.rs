//! What an operation of Helm needs beside the object: the chart, fetched and verified, and the keys of its signature.

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
    pub provenance: Option<Provenance>,
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
        let provenance = match (&wish.keyring_secret, &fetched.prov) {
            (None, _) => None,
            (Some(_), None) => {
                let words =
                    "spec.provenance asks for a signature, and the repository has no .prov file for it";
                return Err(failed(words.to_owned(), Prospect::Lasting));
            }
            (Some(secret), Some(prov)) => {
                let keyring = self.hand.keyring(namespace, secret).await.map_err(of_secret)?;
                let file = format!("{}.{}.keyring", self.release.id.namespace, self.release.id.name);
                let path = self.hand.folder.join("keyrings").join(file);
                let written = {
                    let path = path.clone();
                    tokio::task::spawn_blocking(move || files::replace_lightly(&path, &keyring)).await
                };
                if !matches!(written, Ok(Ok(()))) {
                    let words = format!("the keyring cannot be written to {}", path.display());
                    return Err(failed(words, Prospect::Passing));
                }
                Some(Provenance {
                    prov: prov.clone(),
                    keyring: path,
                })
            }
        };
        Ok(Supplies { fetched, provenance })
    }
}
