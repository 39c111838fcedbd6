//! What a worker sees of this machine: its own folders and how to reach the cluster, nothing else.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use tokio::process::Command;

use super::WorkerOptions;

/// How the web is reached and whom TLS trusts, which the cluster's address may need.
const HANDED_ON: [&str; 10] = [
    "PATH",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "KUBERNETES_SERVICE_HOST",
];

/// The command that starts a worker. Nothing of what is secret is in its arguments or its environment.
pub fn command(options: &WorkerOptions) -> io::Result<Command> {
    let home = &options.home;
    for folder in ["", "cache", "config", "data", "plugins", "tmp"] {
        private_folder(&home.join(folder))?;
    }
    let mut command = Command::new(&options.program);
    command.env_clear();
    for name in HANDED_ON {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
        .current_dir(home)
        .env("HOME", home)
        .env("TMPDIR", home.join("tmp"))
        .env("HELM_CACHE_HOME", home.join("cache"))
        .env("HELM_CONFIG_HOME", home.join("config"))
        .env("HELM_DATA_HOME", home.join("data"))
        .env("HELM_PLUGINS", home.join("plugins"))
        .env("C7N_HELM_KUBECONFIG", &options.kubeconfig)
        .env("C7N_HELM_MEMORY", OsString::from(options.memory.to_string()));
    Ok(command)
}

fn private_folder(folder: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::DirBuilder::new().mode(0o700).recursive(true).create(folder)
        }
        outcome => outcome,
    }
}
