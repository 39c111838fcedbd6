//! What git and ssh say, turned into errors that a program can tell apart.

use crate::GitError;

/// What the words of git and ssh about a failed conversation with `host` mean.
pub(crate) fn classify(what: &str, host: &str, url: &str, stderr: &str) -> GitError {
    let says = |needles: &[&str]| needles.iter().any(|needle| stderr.contains(needle));
    let host = host.to_owned();
    if says(&[
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "Host key verification failed",
        "host key is known for",
    ]) {
        return GitError::HostKeyMismatch { host };
    }
    if says(&[
        "Permission denied (",
        "Authentication failed",
        "could not read Username",
        "could not read Password",
        "The requested URL returned error: 401",
        "The requested URL returned error: 403",
        "Too many authentication failures",
        "Access denied",
    ]) {
        return GitError::AuthRefused { host };
    }
    if says(&[
        "epository not found",
        "does not appear to be a git repository",
        "could not be found",
        "The requested URL returned error: 404",
        "' not found",
        "does not exist",
    ]) {
        return GitError::RepositoryMissing { url: url.to_owned() };
    }
    if says(&[
        "Could not resolve host",
        "Connection refused",
        "Connection timed out",
        "Operation timed out",
        "timed out",
        "No route to host",
        "Network is unreachable",
        "Connection reset",
        "Connection closed",
        "closed by remote host",
        "Failed to connect",
        "Couldn't connect",
        "Broken pipe",
        "early EOF",
        "remote end hung up",
        "The requested URL returned error: 5",
        "Name or service not known",
        "Temporary failure in name resolution",
    ]) {
        return GitError::Unreachable {
            host,
            detail: gist(stderr),
        };
    }
    GitError::Failed {
        what: what.to_owned(),
        detail: gist(stderr),
    }
}

/// The lines that say something, without the advice that follows them.
pub(crate) fn gist(stderr: &str) -> String {
    let lines: Vec<&str> = stderr
        .lines()
        .map(str::trim)
        .filter(|line| {
            !line.is_empty()
                && !line.starts_with("Please make sure")
                && !line.starts_with("and the repository")
        })
        .collect();
    let text: String = lines.join("; ").chars().take(500).collect();
    if text.is_empty() {
        "git gave no reason".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_apart() {
        let kind = |stderr: &str| classify("fetching", "h", "ssh://h/x", stderr);
        assert!(matches!(
            kind("Host key verification failed."),
            GitError::HostKeyMismatch { .. }
        ));
        assert!(matches!(
            kind("git@h: Permission denied (publickey)."),
            GitError::AuthRefused { .. }
        ));
        assert!(matches!(
            kind("ssh: connect to host h port 22: Connection refused"),
            GitError::Unreachable { .. }
        ));
        assert!(matches!(
            kind("ERROR: Repository not found."),
            GitError::RepositoryMissing { .. }
        ));
        assert!(matches!(kind("fatal: bad object"), GitError::Failed { .. }));
    }
}
