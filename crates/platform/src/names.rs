//! What a name may be: DNS labels (RFC 1123), because names become namespaces, paths of repositories and parts of URLs.

/// Kubernetes keeps these for itself, and the agent's own home is not to be delivered into.
const SYSTEM_NAMESPACES: &[&str] = &[
    "default",
    "kube-system",
    "kube-public",
    "kube-node-lease",
    "choerodon",
];
const LONGEST: usize = 63;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("the {what} is empty")]
    Empty { what: &'static str },
    #[error("the {what} has {length} characters; at most {LONGEST} fit")]
    Long { what: &'static str, length: usize },
    #[error("the {what} {name:?} has a {character:?}; only lower-case letters, digits and dashes fit")]
    Character {
        what: &'static str,
        name: String,
        character: char,
    },
    #[error("the {what} {name:?} begins or ends with a dash")]
    Dash { what: &'static str, name: String },
    #[error("the {what} {name:?} looks like an id")]
    Id { what: &'static str, name: String },
    #[error("the namespace {0:?} belongs to Kubernetes or to the agent")]
    SystemNamespace(String),
    #[error("{0:?} is no name of a branch that Git would take")]
    Branch(String),
    #[error(
        "the user name {0:?} has a character that does not fit; letters, digits, '.', '_' and '-' do, up to 64 of them"
    )]
    Username(String),
}

/// A DNS label. It may not look like an id either: a path segment is an id or a name.
pub fn label(what: &'static str, name: &str) -> Result<(), NameError> {
    let owned = || name.to_owned();
    if name.is_empty() {
        return Err(NameError::Empty { what });
    }
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if let Some(character) = name.chars().find(|c| !fits(*c)) {
        let name = name.chars().take(LONGEST).collect();
        return Err(NameError::Character {
            what,
            name,
            character,
        });
    }
    if name.len() > LONGEST {
        return Err(NameError::Long {
            what,
            length: name.len(),
        });
    }
    if name.starts_with('-') || name.ends_with('-') {
        return Err(NameError::Dash { what, name: owned() });
    }
    if uuid::Uuid::try_parse(name).is_ok() {
        return Err(NameError::Id { what, name: owned() });
    }
    Ok(())
}

pub fn namespace(name: &str) -> Result<(), NameError> {
    label("namespace", name)?;
    if SYSTEM_NAMESPACES.contains(&name) || name.starts_with("kube-") {
        return Err(NameError::SystemNamespace(name.to_owned()));
    }
    Ok(())
}

/// The rules of `git check-ref-format --branch`, as far as a branch needs them.
pub fn branch(name: &str) -> Result<(), NameError> {
    let part_fits = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    let character_fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let fits = name.len() <= 200
        && !name.starts_with('-')
        && !name.ends_with('.')
        && !name.contains("..")
        && name != "HEAD"
        && name.chars().all(character_fits)
        && name.split('/').all(part_fits);
    if fits {
        Ok(())
    } else {
        Err(NameError::Branch(name.chars().take(200).collect()))
    }
}

pub fn username(name: &str) -> Result<(), NameError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=64).contains(&name.len()) && name.chars().all(fits) && !name.starts_with('.') {
        Ok(())
    } else {
        Err(NameError::Username(name.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        for good in ["a", "0", "staging", "shop-eu-1", &"a".repeat(63)] {
            assert_eq!(label("name", good), Ok(()), "{good}");
        }
        let bad = [
            "",
            "A",
            "a_b",
            "a.b",
            "-a",
            "a-",
            "ä",
            "a/b",
            &"a".repeat(64),
            "0192f0c1-0000-7000-8000-000000000000",
        ];
        for bad in bad {
            assert!(label("name", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn namespaces_of_the_system_are_refused() {
        for bad in [
            "default",
            "kube-system",
            "kube-public",
            "kube-node-lease",
            "kube-anything",
            "choerodon",
        ] {
            assert!(namespace(bad).is_err(), "{bad}");
        }
        assert_eq!(namespace("shop-staging"), Ok(()));
    }

    #[test]
    fn branches_are_what_git_takes() {
        for good in ["main", "release/1.0", "a-b_c"] {
            assert_eq!(branch(good), Ok(()), "{good}");
        }
        for bad in [
            "", "-x", "a..b", "a/", "/a", "a//b", "a.lock", ".a", "a b", "a~b", "HEAD", "a.",
        ] {
            assert!(branch(bad).is_err(), "{bad}");
        }
    }
}
