//! Where the program of the Helm workers is.

use std::path::{Path, PathBuf};

use crate::config::Config;

const NAME: &str = "c7n-helm";

/// As it was told, else beside the agent itself, else in the search path.
pub fn find(config: &Config) -> PathBuf {
    if let Some(told) = &config.helm_worker {
        return std::path::absolute(told).unwrap_or_else(|_| told.clone());
    }
    let own = std::env::current_exe().unwrap_or_default();
    let search = std::env::var_os("PATH").unwrap_or_default();
    look(own.parent(), std::env::split_paths(&search))
}

/// Where nothing is found, the place beside the agent is what the error names.
fn look(beside: Option<&Path>, path: impl Iterator<Item = PathBuf>) -> PathBuf {
    let beside = beside.map(|folder| folder.join(NAME));
    beside
        .iter()
        .cloned()
        .chain(path.map(|folder| folder.join(NAME)))
        .find(|place| place.is_file())
        .or(beside)
        .unwrap_or_else(|| PathBuf::from(NAME))
}

/// Tells in the log when there is none. Everything else goes on.
pub fn warn_if_missing(program: &Path) {
    if !program.is_file() {
        tracing::warn!(
            program = %program.display(),
            "the program of the Helm workers is not there, so that no release can be changed; \
             put c7n-helm beside the agent, or name it with --helm-worker. Everything else goes on"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_beside_the_agent_comes_first() {
        let (beside, path) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let search = || [path.path().to_owned()].into_iter();
        assert_eq!(look(Some(beside.path()), search()), beside.path().join(NAME));

        std::fs::write(path.path().join(NAME), "").unwrap();
        assert_eq!(look(Some(beside.path()), search()), path.path().join(NAME));
        std::fs::write(beside.path().join(NAME), "").unwrap();
        assert_eq!(look(Some(beside.path()), search()), beside.path().join(NAME));
    }
}
