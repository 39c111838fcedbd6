//! How a public key is called: what an authority keeps of the keys that people and agents hand in.

use russh::keys::{Algorithm, HashAlg, PublicKey};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    #[error("this is no public key; paste the one line of the file that ends in .pub")]
    Unreadable,
    #[error("a key of the kind {0} is not taken; make one with: ssh-keygen -t ed25519")]
    Kind(String),
}

/// `SHA256:...` of a line like `ssh-ed25519 AAAA... name`, as [`crate::Authority::by_key`] gets it.
pub fn fingerprint(public_key: &str) -> Result<String, BadKey> {
    let key = PublicKey::from_openssh(public_key.trim()).map_err(|_| BadKey::Unreadable)?;
    match key.algorithm() {
        Algorithm::Ed25519 => Ok(key.fingerprint(HashAlg::Sha256).to_string()),
        other => Err(BadKey::Kind(other.as_str().to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_the_one_that_ssh_keygen_shows() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let keygen = |arguments: &[&str]| {
            let output = std::process::Command::new("ssh-keygen")
                .args(arguments)
                .arg("-f")
                .arg(&file)
                .output()
                .unwrap();
            assert!(output.status.success());
            String::from_utf8(output.stdout).unwrap()
        };
        keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "me"]);
        let shown = keygen(&["-l"]);
        let line = std::fs::read_to_string(file.with_extension("pub")).unwrap();
        assert_eq!(shown.split(' ').nth(1).unwrap(), fingerprint(&line).unwrap());
    }

    #[test]
    fn other_keys_are_refused_with_words() {
        assert_eq!(fingerprint("nonsense"), Err(BadKey::Unreadable));
        let ecdsa = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=";
        assert!(matches!(fingerprint(ecdsa), Err(BadKey::Kind(_))));
    }
}
