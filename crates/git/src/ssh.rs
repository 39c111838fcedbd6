//! OpenSSH's settings for one remote: own key, pinned host keys, and one connection that later calls share.
//!
//! Everything lies in a private folder (0700) below the temporary folder and goes with it. The shared connection
//! (`ControlMaster`) saves the handshake, which is most of the time of a small fetch.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{GitError, Result};

/// How long an unused connection is kept: longer than an agent's own clock (60 s and jitter), so that it stays warm.
const PERSIST: Duration = Duration::from_secs(180);
/// `sun_path` holds 108 bytes, and ssh adds 17 of its own while it creates the socket.
const LONGEST_SOCKET_PATH: usize = 88;

/// Dropping it stops the shared connection and removes the folder.
#[derive(Debug)]
pub(crate) struct Ssh {
    folder: tempfile::TempDir,
    control: Option<PathBuf>,
}

impl Ssh {
    pub fn prepare(private_key: &Path, known_hosts: &str) -> Result<Self> {
        let fail = || GitError::io("preparing the settings of ssh");
        // A relative key would be looked for in the folder that git runs in.
        let private_key = std::path::absolute(private_key).map_err(fail())?;
        let folder = tempfile::Builder::new()
            .prefix("c7n-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .map_err(fail())?;
        let control = Some(folder.path().join("m"))
            .filter(|path| path.as_os_str().len() <= LONGEST_SOCKET_PATH && quoted(path).is_some());
        let ssh = Self { folder, control };
        fs::write(ssh.known_hosts(), known_hosts).map_err(fail())?;
        let config = ssh.config(&private_key).ok_or_else(|| GitError::Failed {
            what: "preparing the settings of ssh".into(),
            detail: format!(
                "the path {} has quotes or line breaks; choose another folder",
                private_key.display()
            ),
        })?;
        fs::write(ssh.folder.path().join("config"), config).map_err(fail())?;
        Ok(ssh)
    }

    /// The value of `GIT_SSH_COMMAND`.
    pub fn command(&self) -> OsString {
        let path = self.folder.path().join("config");
        // Git hands this to a shell, which need not stay.
        format!("exec ssh -F '{}'", path.to_string_lossy().replace('\'', r"'\''")).into()
    }

    /// A home folder with nothing in it that anybody else wrote.
    pub fn home(&self) -> &Path {
        self.folder.path()
    }

    /// Ends the shared connection; the next call opens a new one.
    pub fn disconnect(&self) {
        if let Some(path) = &self.control
            && path.exists()
        {
            // Nobody answers if the connection has just ended by itself.
            let _ = stop_master(path);
        }
    }

    fn known_hosts(&self) -> PathBuf {
        self.folder.path().join("known_hosts")
    }

    fn config(&self, private_key: &Path) -> Option<String> {
        let mut lines = vec![
            "Host *".to_owned(),
            format!("  IdentityFile {}", quoted(private_key)?),
            "  IdentitiesOnly yes".into(),
            "  IdentityAgent none".into(),
            "  PreferredAuthentications publickey".into(),
            "  BatchMode yes".into(),
            "  StrictHostKeyChecking yes".into(),
            format!("  UserKnownHostsFile {}", quoted(&self.known_hosts())?),
            "  GlobalKnownHostsFile /dev/null".into(),
            "  UpdateHostKeys no".into(),
            "  CheckHostIP no".into(),
            "  ForwardAgent no".into(),
            "  ClearAllForwardings yes".into(),
            "  PermitLocalCommand no".into(),
            "  Compression no".into(),
            "  ConnectTimeout 10".into(),
            "  ServerAliveInterval 15".into(),
            "  ServerAliveCountMax 2".into(),
            "  LogLevel ERROR".into(),
        ];
        if let Some(control) = &self.control {
            lines.push("  ControlMaster auto".into());
            lines.push(format!("  ControlPath {}", quoted(control)?));
            lines.push(format!("  ControlPersist {}", PERSIST.as_secs()));
        }
        Some(lines.join("\n") + "\n")
    }
}

impl Drop for Ssh {
    fn drop(&mut self) {
        self.disconnect();
    }
}

/// A line for `known_hosts`: `public_key` is `ssh-ed25519 AAAA...`.
pub fn known_hosts_line(host: &str, port: u16, public_key: &str) -> String {
    let key = public_key
        .split_whitespace()
        .take(2)
        .collect::<Vec<_>>()
        .join(" ");
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if port == 22 {
        format!("{host} {key}\n")
    } else {
        format!("[{host}]:{port} {key}\n")
    }
}

/// A path as `ssh_config` reads it: in quotes, `%` doubled.
fn quoted(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    let plain = !text.contains(['"', '\\']) && !text.contains(char::is_control) && !text.contains("${");
    plain.then(|| format!("\"{}\"", text.replace('%', "%%")))
}

/// `ssh -O exit` without a process: OpenSSH's PROTOCOL.mux, a hello and MUX_C_TERMINATE.
fn stop_master(socket: &Path) -> std::io::Result<()> {
    const HELLO: u32 = 0x0000_0001;
    const VERSION: u32 = 4;
    const TERMINATE: u32 = 0x1000_0005;
    let mut stream = UnixStream::connect(socket)?;
    stream.set_write_timeout(Some(Duration::from_millis(200)))?;
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    let mut message = Vec::new();
    for words in [[HELLO, VERSION], [TERMINATE, 1]] {
        message.extend_from_slice(&8u32.to_be_bytes());
        words
            .iter()
            .for_each(|word| message.extend_from_slice(&word.to_be_bytes()));
    }
    stream.write_all(&message)?;
    // Waiting for the answer means that the master has read the request before the folder goes away.
    let mut answer = [0u8; 64];
    while std::io::Read::read(&mut stream, &mut answer)? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_pin_the_host_and_the_key() {
        let ssh = Ssh::prepare(Path::new("/data/50%/id"), "[h]:22 ssh-ed25519 AAAA\n").unwrap();
        let config = fs::read_to_string(ssh.home().join("config")).unwrap();
        for line in [
            "StrictHostKeyChecking yes",
            "IdentitiesOnly yes",
            "IdentityFile \"/data/50%%/id\"",
            "BatchMode yes",
        ] {
            assert!(config.contains(line), "{line} in {config}");
        }
        let mode = fs::metadata(ssh.home()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "nobody else looks in");
    }

    #[test]
    fn a_path_that_would_break_the_settings_is_refused() {
        assert!(Ssh::prepare(Path::new("/data/\"\nProxyCommand whoami/id"), "").is_err());
    }

    #[test]
    fn known_hosts_lines_name_the_port_where_it_is_not_the_usual_one() {
        assert_eq!(
            known_hosts_line("h.example", 22, "ssh-ed25519 AAAA note"),
            "h.example ssh-ed25519 AAAA\n"
        );
        assert_eq!(
            known_hosts_line("127.0.0.1", 2222, "ssh-ed25519 AAAA"),
            "[127.0.0.1]:2222 ssh-ed25519 AAAA\n"
        );
    }
}
