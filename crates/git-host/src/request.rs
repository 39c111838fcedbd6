//! What a client asks for, taken apart strictly: two programs, one shape of path.

use std::fmt;

/// `PROJECT/ENVIRONMENT`, without a leading slash and without `.git`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RepositoryPath {
    pub project: String,
    pub environment: String,
}

impl RepositoryPath {
    /// Takes `/PROJECT/ENVIRONMENT.git`, the slash and the ending being optional.
    pub fn parse(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let (project, environment) = path.split_once('/')?;
        let environment = environment.strip_suffix(".git").unwrap_or(environment);
        let both = is_name(project) && is_name(environment);
        both.then(|| Self {
            project: project.to_owned(),
            environment: environment.to_owned(),
        })
    }
}

impl fmt::Display for RepositoryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.git", self.project, self.environment)
    }
}

fn is_name(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// The two halves of Git's dialogue, named as the programs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// Clone and fetch.
    UploadPack,
    /// Push.
    ReceivePack,
}

impl Service {
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "git-upload-pack" => Some(Self::UploadPack),
            "git-receive-pack" => Some(Self::ReceivePack),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }

    pub fn subcommand(self) -> &'static str {
        match self {
            Self::UploadPack => "upload-pack",
            Self::ReceivePack => "receive-pack",
        }
    }

    pub fn wish(self) -> crate::Wish {
        match self {
            Self::UploadPack => crate::Wish::Read,
            Self::ReceivePack => crate::Wish::Write,
        }
    }
}

/// `git-upload-pack 'PATH'`, as Git sends it over SSH. Anything else is `None`.
pub(crate) fn parse_exec(command: &[u8]) -> Option<(Service, RepositoryPath)> {
    let (program, quoted) = std::str::from_utf8(command).ok()?.split_once(' ')?;
    let path = quoted.strip_prefix('\'')?.strip_suffix('\'')?;
    Some((Service::parse(program)?, RepositoryPath::parse(path)?))
}

/// The protocol version of `GIT_PROTOCOL` or `Git-Protocol`; anything but a plain version is as if it were not sent.
pub(crate) fn parse_protocol(value: &str) -> Option<&'static str> {
    match value {
        "version=2" => Some("version=2"),
        "version=1" => Some("version=1"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_sends_is_understood() {
        let (service, path) = parse_exec(b"git-upload-pack '/shop/staging.git'").unwrap();
        assert_eq!(service, Service::UploadPack);
        assert_eq!(path.to_string(), "shop/staging.git");
        assert_eq!(
            parse_exec(b"git-receive-pack 'shop/staging'").unwrap().0,
            Service::ReceivePack
        );
    }

    #[test]
    fn nothing_else_is() {
        for command in [
            "",
            "ls",
            "sh -c whoami",
            "git-upload-pack",
            "git-upload-pack /shop/staging.git",
            "git-upload-pack '/shop/staging.git'; whoami",
            "git-upload-pack '/shop/staging.git' --x",
            "git-upload-pack --upload-pack='x' '/shop/staging.git'",
            "git-upload-pack '/shop/../staging.git'",
            "git-upload-pack '/../staging.git'",
            "git-upload-pack '/shop/a/b.git'",
            "git-upload-pack '/shop/'\\''x.git'",
            "git-upload-pack '/-x/staging.git'",
            "git-upload-pack '/shop/.git'",
            "git-upload-pack '//staging.git'",
            "git-upload-archive '/shop/staging.git'",
            "git-upload-pack '/shop/sta\nging.git'",
        ] {
            assert!(parse_exec(command.as_bytes()).is_none(), "{command}");
        }
    }
}
