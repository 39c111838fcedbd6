//! Which of the two ends of a copy is in a pod. Pure.

#[derive(Debug, PartialEq, Eq)]
pub enum Side<'a> {
    Here(&'a str),
    Pod { name: &'a str, path: &'a str },
}

impl<'a> Side<'a> {
    /// `NAME:PATH`. What has a slash before the colon is a path of this machine, but for `pod/NAME` and `instance/NAME`.
    pub fn read(text: &'a str) -> Self {
        let Some((name, path)) = text.split_once(':') else {
            return Self::Here(text);
        };
        let own = name
            .strip_prefix("pod/")
            .or_else(|| name.strip_prefix("instance/"))
            .unwrap_or(name);
        if own.is_empty() || own.contains('/') || own.starts_with('.') {
            return Self::Here(text);
        }
        // As kubectl has it: below where the container's programs start.
        let path = if path.is_empty() { "." } else { path };
        Self::Pod { name, path }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_tells_a_pod_from_a_path() {
        let pod = |name, path| Side::Pod { name, path };
        assert_eq!(Side::read("web-1:/tmp/a:b"), pod("web-1", "/tmp/a:b"));
        assert_eq!(Side::read("pod/web-1:a"), pod("pod/web-1", "a"));
        assert_eq!(Side::read("web:"), pod("web", "."));
        for here in ["/tmp/a:b", "./a:b", "../a:b", "a", "a/b:c", ":a"] {
            assert_eq!(Side::read(here), Side::Here(here));
        }
    }
}
