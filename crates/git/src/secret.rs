//! A string that nothing prints.

use std::fmt;

/// The value of an `Authorization` header, or another secret. Only [`Secret::reveal`] gives it away.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// `Bearer TOKEN`, as an `Authorization` header wants it.
    pub fn bearer(token: &str) -> Self {
        Self(format!("Bearer {token}"))
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// `text` with the secret, and the token inside of it, struck out.
    pub(crate) fn strike_from(&self, text: &str) -> String {
        let token = self.0.split_once(' ').map_or("", |(_, token)| token);
        let mut clean = text.to_owned();
        for needle in [self.0.as_str(), token] {
            if !needle.is_empty() {
                clean = clean.replace(needle, "[secret]");
            }
        }
        clean
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_neither_printed_nor_left_in_a_text() {
        let secret = Secret::bearer("canary-4711");
        assert!(!format!("{secret:?}").contains("canary"));
        assert!(
            !secret
                .strike_from("fatal: header 'Bearer canary-4711' or canary-4711")
                .contains("canary")
        );
    }
}
