//! What a container can do for a copy, and what is at a path in it.

use anyhow::{Result, bail};
use c7n_api::RunProcess;

use crate::streams::{Place, Process};

/// Says what there is, a word a line, and at the end where it really is.
const SCRIPT: &str = r#"p=$1
[ -d "$p" ] && echo folder
[ -f "$p" ] && echo file
[ -e "$p" ] && echo there
d=${p%/*}; [ "$d" = "$p" ] && d=.
[ -d "${d:-/}" ] && echo above
command -v tar >/dev/null 2>&1 && echo tar
command -v sha256sum >/dev/null 2>&1 && echo sha256sum
r=$(readlink -f "$p" 2>/dev/null) && [ -n "$r" ] && p=$r
printf 'at %s' "$p""#;

/// A container to copy from or to.
#[derive(Clone)]
pub struct Container {
    pub place: Place,
    pub pod: String,
    pub name: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    pub what: What,
    /// The folder that it would be in is there; what is not known is taken for so.
    pub has_folder: bool,
    pub has_shell: bool,
    pub has_tar: bool,
    pub has_sum: bool,
    /// Without links on the way, where the container can tell.
    pub path: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    File,
    Folder,
    /// A device or the like.
    Other,
    Nothing,
    /// The container has no shell to ask.
    Unknown,
}

impl Container {
    pub fn wish(&self, command: &[&str], stdin: bool) -> RunProcess {
        RunProcess {
            pod: self.pod.clone(),
            container: self.name.clone(),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            tty: false,
            stdin,
            columns: None,
            rows: None,
        }
    }

    /// A program with its arguments, by the shell where there is one: busybox has programs in itself that have no file.
    pub fn program<'a>(
        found: &Found,
        script: &'a str,
        direct: &[&'a str],
        arguments: &[&'a str],
    ) -> Vec<&'a str> {
        match found.has_shell {
            true => [&["sh", "-c", script, "sh"], arguments].concat(),
            false => [direct, arguments].concat(),
        }
    }

    pub async fn look(&self, path: &str) -> Result<Found> {
        let command = ["sh", "-c", SCRIPT, "sh", path];
        let outcome = Process::run(&self.place, self.wish(&command, false)).await?;
        match outcome.exit_code {
            0 => read(&outcome.output),
            126 | 127 => Ok(Found::without_shell(path)),
            code => bail!(
                "looking at {path} in the container ended with {code}: {}",
                outcome.complaint
            ),
        }
    }

    /// SHA-256 of a file as the container sees it.
    pub async fn sum(&self, path: &str) -> Result<String> {
        let command = ["sh", "-c", "exec sha256sum < \"$1\"", "sh", path];
        let outcome = Process::run(&self.place, self.wish(&command, false)).await?;
        let text = String::from_utf8_lossy(&outcome.output).into_owned();
        match text.split_whitespace().next() {
            Some(sum) if outcome.exit_code == 0 && sum.len() == 64 => Ok(sum.to_owned()),
            _ => bail!(
                "the copy cannot be checked: sha256sum in the container ended with {}: {}",
                outcome.exit_code,
                outcome.complaint
            ),
        }
    }
}

impl Found {
    /// Whether there is tar is found out by calling it.
    fn without_shell(path: &str) -> Self {
        Self {
            what: What::Unknown,
            has_folder: true,
            has_shell: false,
            has_tar: true,
            has_sum: false,
            path: path.into(),
        }
    }
}

fn read(output: &[u8]) -> Result<Found> {
    let mut found = Found {
        what: What::Nothing,
        has_folder: false,
        has_shell: true,
        has_tar: false,
        has_sum: false,
        path: Vec::new(),
    };
    let mut rest = output;
    loop {
        if let Some(path) = rest.strip_prefix(b"at ") {
            found.path = path.to_vec();
            return Ok(found);
        }
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            bail!("the container's shell does not answer as shells do\n  next: try `c7n exec` and see");
        };
        match &rest[..end] {
            b"folder" => found.what = What::Folder,
            b"file" => found.what = What::File,
            b"there" if found.what == What::Nothing => found.what = What::Other,
            b"above" => found.has_folder = true,
            b"tar" => found.has_tar = true,
            b"sha256sum" => found.has_sum = true,
            _ => {}
        }
        rest = &rest[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_of_a_shell_is_read() {
        let found = read(b"folder\nthere\ntar\nat /srv/da\nta").unwrap();
        assert_eq!(found.what, What::Folder);
        assert!(found.has_tar && !found.has_sum);
        assert_eq!(found.path, b"/srv/da\nta");
        assert_eq!(read(b"there\nat /dev/null").unwrap().what, What::Other);
        assert_eq!(read(b"tar\nsha256sum\nat /x").unwrap().what, What::Nothing);
        assert!(read(b"no").is_err());
    }

    /// The real thing, where this machine has a shell.
    #[test]
    fn a_shell_understands_the_script() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("real file");
        std::fs::write(&real, "x").unwrap();
        std::os::unix::fs::symlink(&real, folder.path().join("link")).unwrap();
        let ask = |path: &std::path::Path| {
            let output = std::process::Command::new("sh")
                .args(["-c", SCRIPT, "sh"])
                .arg(path)
                .output()
                .unwrap();
            read(&output.stdout).unwrap()
        };
        let found = ask(&folder.path().join("link"));
        assert_eq!(found.what, What::File);
        assert!(found.path.ends_with(b"/real file"), "{found:?}");
        assert_eq!(ask(folder.path()).what, What::Folder);
        let nothing = ask(&folder.path().join("nothing"));
        assert_eq!((nothing.what, nothing.has_folder), (What::Nothing, true));
        assert!(!ask(&folder.path().join("no/thing")).has_folder);
        assert!(ask("/nothing".as_ref()).has_folder && ask("nothing".as_ref()).has_folder);
    }
}
