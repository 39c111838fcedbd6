//! A provenance file as `helm package --sign` makes it: Chart.yaml and the digest of the archive, under a signature.
//!
//! Read only so far as to know which archive it is of. Whether the signature holds is judged by those who have the keys.

use crate::Digest;

const HEAD: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProvenanceError {
    #[error("it is no signed text; `helm package --sign` makes one beside the archive")]
    NotSigned,
    #[error("it says nothing of {0}; give the one that was made together with this archive, under its name")]
    Silent(String),
    #[error("it was signed for another archive {0}; give the one that was made together with this archive")]
    OtherArchive(String),
}

/// Whether this is a provenance file of the archive of this name and digest.
pub fn check_provenance(text: &str, file: &str, digest: &Digest) -> Result<(), ProvenanceError> {
    let signed = text
        .trim_start()
        .strip_prefix(HEAD)
        .and_then(|rest| rest.split_once(SIGNATURE));
    let (signed, _) = signed.ok_or(ProvenanceError::NotSigned)?;
    let told = signed.lines().find_map(|line| {
        let (name, digest) = line.trim().split_once(": ")?;
        (name.trim_matches(['"', '\'']) == file).then_some(digest.trim())
    });
    match told {
        None => Err(ProvenanceError::Silent(file.to_owned())),
        Some(told) if told == digest.to_string() => Ok(()),
        Some(_) => Err(ProvenanceError::OtherArchive(file.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_of_one_archive() {
        let digest = Digest::of(b"archive");
        let text = |file: &str, digest: &Digest| {
            format!(
                "{HEAD}\nHash: SHA512\n\napiVersion: v2\nname: web\nversion: 1.0.0\n\n...\nfiles:\n  {file}: {digest}\n{SIGNATURE}\n\n\
                 wsBc\n-----END PGP SIGNATURE-----"
            )
        };
        let check = |text: &str| check_provenance(text, "web-1.0.0.tgz", &digest);
        assert_eq!(check(&text("web-1.0.0.tgz", &digest)), Ok(()));
        for (wrong, error) in [
            (
                text("web-1.0.1.tgz", &digest),
                ProvenanceError::Silent("web-1.0.0.tgz".into()),
            ),
            (
                text("web-1.0.0.tgz", &Digest::of(b"other")),
                ProvenanceError::OtherArchive("web-1.0.0.tgz".into()),
            ),
            ("web-1.0.0.tgz: x".to_owned(), ProvenanceError::NotSigned),
            (HEAD.to_owned(), ProvenanceError::NotSigned),
            (String::new(), ProvenanceError::NotSigned),
        ] {
            assert_eq!(check(&wrong), Err(error), "{wrong}");
        }
    }
}
