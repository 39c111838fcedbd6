//! How a registry asks who we are: `WWW-Authenticate` (RFC 9110 section 11.6.1, and the token protocol of CNCF Distribution).

/// The first way of proving who we are that we know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    /// A token from elsewhere.
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

impl Challenge {
    /// Bearer is preferred where a registry offers both: Basic would send the password with each request.
    pub fn parse<'a>(headers: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut basic = None;
        for header in headers {
            // Servers write their names as they like.
            let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
            if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Self::Basic);
            } else if scheme.eq_ignore_ascii_case("bearer") {
                let mut found = (None, None, None);
                for (name, value) in parameters(rest) {
                    match name.to_ascii_lowercase().as_str() {
                        "realm" => found.0 = Some(value),
                        "service" => found.1 = Some(value),
                        "scope" => found.2 = Some(value),
                        _ => {}
                    }
                }
                if let (Some(realm), service, scope) = found {
                    return Some(Self::Bearer {
                        realm,
                        service,
                        scope,
                    });
                }
            }
        }
        basic
    }
}

/// `name=value, name="quoted \" value"`
fn parameters(mut text: &str) -> Vec<(&str, String)> {
    let mut found = Vec::new();
    while let Some((name, rest)) = text.split_once('=') {
        let name = name.trim_matches([' ', ',', '\t']);
        let rest = rest.trim_start();
        let (value, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_value(quoted),
            None => {
                let (value, after) = rest.split_once(',').unwrap_or((rest, ""));
                (value.trim().to_owned(), after)
            }
        };
        found.push((name, value));
        text = after;
    }
    found
}

fn quoted_value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        }
    }

    #[test]
    fn challenges_are_read_in_every_way_of_writing_them() {
        for (headers, challenge) in [
            (
                &[
                    r#"Bearer realm="https://auth/token",service="r.example.org",scope="repository:a/b:pull,push""#,
                ][..],
                Some(bearer(
                    "https://auth/token",
                    Some("r.example.org"),
                    Some("repository:a/b:pull,push"),
                )),
            ),
            (
                &["bearer REALM=https://a/t, error=\"x\""],
                Some(bearer("https://a/t", None, None)),
            ),
            (&[r#"Bearer realm="a\"b""#], Some(bearer("a\"b", None, None))),
            (&["Basic realm=\"x\""], Some(Challenge::Basic)),
            (&["Basic"], Some(Challenge::Basic)),
            (
                &["Basic realm=x", "Bearer realm=y"],
                Some(bearer("y", None, None)),
            ),
            (&["Bearer service=x"], None),
            (&["Digest realm=x"], None),
            (&[], None),
        ] {
            assert_eq!(
                Challenge::parse(headers.iter().copied()),
                challenge,
                "{headers:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(header in "(Bearer )?\\PC{0,80}") {
            let _ = Challenge::parse([header.as_str()]);
        }
    }
}
