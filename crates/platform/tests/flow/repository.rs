//! A developer's clone, and what is pushed from it with the real `git`.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use c7n_git::{CommitId, DEVOPS_SYNC, Repository};
use tempfile::TempDir;
use tokio::process::Command;

use crate::server::Server;

pub struct Clone {
    folder: TempDir,
    url: String,
    authorization: String,
    bare: PathBuf,
}

impl Clone {
    pub async fn new(server: &Server, environment: &str) -> Self {
        let clone = Self {
            folder: tempfile::tempdir().unwrap(),
            url: format!("{}/git/shop/staging.git", server.url()),
            authorization: format!(
                "http.extraHeader=Authorization: Bearer {}",
                server.first_run.token
            ),
            bare: server.data.path().join(format!("repositories/{environment}.git")),
        };
        clone.git(&["init", "--quiet", "--initial-branch=main"]).await;
        clone
    }

    pub async fn git(&self, arguments: &[&str]) -> String {
        git(self.folder.path(), arguments).await
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub fn write(&self, file: &str, text: &str) {
        std::fs::create_dir_all(self.path(file).parent().unwrap()).unwrap();
        std::fs::write(self.path(file), text).unwrap();
    }

    /// Commits everything that is there; the id.
    pub async fn commit(&self) -> String {
        self.git(&["add", "--all"]).await;
        self.git(&["commit", "--quiet", "--allow-empty", "--message=change"])
            .await;
        self.head().await
    }

    pub async fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"]).await
    }

    pub async fn push(&self) {
        self.push_as("+HEAD:refs/heads/main").await;
    }

    pub async fn push_as(&self, reference: &str) {
        self.git(&["-c", &self.authorization, "push", "--quiet", &self.url, reference])
            .await;
    }

    /// Commits and pushes; the id.
    pub async fn publish(&self) -> String {
        let commit = self.commit().await;
        self.push().await;
        commit
    }

    /// As the platform has it.
    pub fn bare(&self) -> Repository {
        Repository::open(&self.bare).unwrap()
    }

    pub fn devops_sync(&self) -> Option<String> {
        self.bare()
            .resolve(DEVOPS_SYNC)
            .unwrap()
            .map(|commit| commit.to_string())
    }

    pub fn move_devops_sync(&self, from: &str, to: Option<&str>) {
        let id = |commit: &str| -> CommitId { commit.parse().unwrap() };
        let to = to.map(id);
        self.bare()
            .move_tag(DEVOPS_SYNC, Some(&id(from)), to.as_ref())
            .unwrap();
    }

    /// When the platform's repository had the branch where it is.
    pub fn pushed_at(&self) -> SystemTime {
        std::fs::metadata(self.bare.join("refs/heads/main"))
            .unwrap()
            .modified()
            .unwrap()
    }

    pub fn bare_path(&self) -> &Path {
        &self.bare
    }
}

pub async fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env("HOME", folder)
        .envs([
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_AUTHOR_NAME", "ann"),
            ("GIT_AUTHOR_EMAIL", "a@b"),
            ("GIT_COMMITTER_NAME", "ann"),
            ("GIT_COMMITTER_EMAIL", "a@b"),
        ])
        .output()
        .await
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {words}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  key: \"{value}\"\n")
}
