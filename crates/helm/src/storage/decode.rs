//! From a Secret's bytes to a revision: base64 (Helm's own, beside that of Kubernetes), gzip, JSON.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use k8s_openapi::api::core::v1::Secret;
use serde::Deserialize;

use super::{ApplyMethod, Revision, RevisionHead};

/// A Secret holds 1 MiB at most.
const MAX_ENCODED: usize = 2 << 20;
/// A record of 1 MiB unpacks to a few; more than this is a bomb.
const MAX_DECODED: u64 = 64 << 20;
const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 0x08];

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the Secret is no record of a Helm release")]
    NotARevision,
    #[error("the record is larger than {limit} bytes; it was not written by Helm")]
    TooLarge { limit: u64 },
    #[error("the record cannot be read ({reason}); `helm history` will not read it either")]
    Broken { reason: &'static str },
}

impl Revision {
    /// Reads a revision's Secret.
    pub fn decode(secret: &Secret) -> Result<Self, DecodeError> {
        let head = RevisionHead::of(&secret.metadata).ok_or(DecodeError::NotARevision)?;
        let data = secret
            .data
            .as_ref()
            .and_then(|data| data.get("release"))
            .ok_or(DecodeError::NotARevision)?;
        let json = unpack(&data.0)?;
        let record: Record = serde_json::from_slice(&json).map_err(|_| DecodeError::Broken {
            // serde's own words could quote it
            reason: "it is not the JSON of a release",
        })?;
        Ok(record.into_revision(head))
    }
}

fn unpack(encoded: &[u8]) -> Result<Vec<u8>, DecodeError> {
    if encoded.len() > MAX_ENCODED {
        return Err(DecodeError::TooLarge {
            limit: MAX_ENCODED as u64,
        });
    }
    let packed = STANDARD.decode(encoded).map_err(|_| DecodeError::Broken {
        reason: "it is not base64",
    })?;
    // Helm reads records that are not packed, and so do we.
    if !packed.starts_with(&GZIP_MAGIC) {
        return Ok(packed);
    }
    let mut json = Vec::new();
    GzDecoder::new(packed.as_slice())
        .take(MAX_DECODED + 1)
        .read_to_end(&mut json)
        .map_err(|_| DecodeError::Broken {
            reason: "it does not unpack",
        })?;
    if json.len() as u64 > MAX_DECODED {
        return Err(DecodeError::TooLarge { limit: MAX_DECODED });
    }
    Ok(json)
}

/// The part of Helm's record that we read; what is null is as if it were missing.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Record {
    info: Option<Info>,
    chart: Option<Chart>,
    manifest: Option<String>,
    apply_method: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Info {
    first_deployed: Option<String>,
    last_deployed: Option<String>,
    description: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Chart {
    metadata: Option<Metadata>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    version: Option<String>,
    app_version: Option<String>,
}

impl Record {
    fn into_revision(self, head: RevisionHead) -> Revision {
        let info = self.info.unwrap_or_default();
        let chart = self.chart.and_then(|chart| chart.metadata).unwrap_or_default();
        Revision {
            head,
            chart: chart.name.unwrap_or_default(),
            chart_version: chart.version.unwrap_or_default(),
            app_version: chart.app_version.unwrap_or_default(),
            description: info.description.unwrap_or_default(),
            first_deployed: info.first_deployed.unwrap_or_default(),
            last_deployed: info.last_deployed.unwrap_or_default(),
            manifest: self.manifest.unwrap_or_default(),
            applied: match self.apply_method.as_deref() {
                Some("ssa") => ApplyMethod::ServerSide,
                _ => ApplyMethod::ClientSide,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use k8s_openapi::ByteString;
    use serde_json::json;

    use super::*;
    use crate::ReleaseStatus;

    fn packed(json: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(json).unwrap();
        STANDARD.encode(encoder.finish().unwrap()).into_bytes()
    }

    fn secret(release: Vec<u8>) -> Secret {
        serde_json::from_value::<Secret>(json!({
            "metadata": {
                "name": "sh.helm.release.v1.web.v3",
                "namespace": "shop",
                "labels": { "owner": "helm", "name": "web", "version": "3", "status": "deployed" },
            },
            "type": super::super::SECRET_TYPE,
        }))
        .map(|mut secret| {
            secret.data = Some([("release".to_owned(), ByteString(release))].into());
            secret
        })
        .unwrap()
    }

    fn record() -> Vec<u8> {
        json!({
            "name": "web",
            "info": { "first_deployed": "2026-01-02T03:04:05Z", "status": "deployed", "description": "Upgrade complete" },
            "chart": { "metadata": { "name": "web", "version": "1.2.3", "appVersion": "7" }, "templates": null },
            "config": { "password": "canary" },
            "manifest": "---\nkind: ConfigMap\n",
            "version": 3,
            "namespace": "shop",
            "apply_method": "ssa",
        })
        .to_string()
        .into_bytes()
    }

    #[test]
    fn a_record_is_read_packed_or_not() {
        for release in [packed(&record()), STANDARD.encode(record()).into_bytes()] {
            let revision = Revision::decode(&secret(release)).unwrap();
            assert_eq!(revision.head.status, ReleaseStatus::Deployed);
            assert_eq!(revision.chart_name(), "web-1.2.3");
            assert_eq!(revision.app_version, "7");
            assert_eq!(revision.manifest, "---\nkind: ConfigMap\n");
            assert_eq!(revision.applied, ApplyMethod::ServerSide);
            assert!(revision.manifest_digest().starts_with("sha256:"));
            assert!(!format!("{revision:?}").contains("ConfigMap"));
        }
    }

    #[test]
    fn what_is_no_record_is_an_error_that_quotes_nothing() {
        let mut bare = secret(Vec::new());
        bare.data = None;
        assert_eq!(Revision::decode(&bare), Err(DecodeError::NotARevision));
        for release in [
            b"!canary!".to_vec(),
            packed(b"canary"),
            packed(br#"{"manifest": ["canary"]}"#),
            STANDARD.encode(&packed(&record())[..40]).into_bytes(),
            STANDARD.encode([0x1f, 0x8b, 0x08, 0xff, 0x00]).into_bytes(),
        ] {
            let error = Revision::decode(&secret(release)).unwrap_err();
            assert!(matches!(error, DecodeError::Broken { .. }), "{error}");
            assert!(!error.to_string().contains("canary"));
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        let bomb = packed(&vec![b' '; usize::try_from(MAX_DECODED).unwrap() + 2]);
        assert!(bomb.len() < MAX_ENCODED);
        assert_eq!(
            Revision::decode(&secret(bomb)),
            Err(DecodeError::TooLarge { limit: MAX_DECODED })
        );
        let long = vec![b'A'; MAX_ENCODED + 1];
        assert!(matches!(
            Revision::decode(&secret(long)),
            Err(DecodeError::TooLarge { .. })
        ));
    }
}
