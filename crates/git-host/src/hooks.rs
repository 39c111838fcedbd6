//! Which references a push may move, told twice: as a function, and as the `update` hook that Git runs for each.
//!
//! The hook gets the role by the environment (`C7N_ROLE`). Without one it refuses everything.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use c7n_git::{AGENT_SYNC, CHECK_TAG_PREFIX, DEVOPS_SYNC};

use crate::RefRole;

pub(crate) const ROLE_VARIABLE: &str = "C7N_ROLE";

const PLATFORM_ONLY: &str = "devops-sync is moved by the platform alone; push to main and it follows";
const AGENT_ONLY: &str =
    "agent-sync is moved by this environment's agent alone; it follows when the change is delivered";
const NO_MORE_FOR_AGENTS: &str =
    "an agent moves agent-sync and nothing else; push branches with a user's key";
const BRANCHES_AND_TAGS: &str = "only branches and tags can be pushed here; use refs/heads/ or refs/tags/";
const NO_ROLE: &str = "pushes go through the c7n Git host; use the address that the environment's page shows";

/// Why `role` may not move `reference`, in words for the person who pushed; `None` where it may.
pub fn refusal_of(role: RefRole, reference: &str) -> Option<&'static str> {
    let belongs_to_agent = reference == AGENT_SYNC || reference.starts_with(CHECK_TAG_PREFIX);
    match role {
        _ if reference == DEVOPS_SYNC => Some(PLATFORM_ONLY),
        RefRole::Agent if belongs_to_agent => None,
        RefRole::Agent => Some(NO_MORE_FOR_AGENTS),
        RefRole::User if belongs_to_agent => Some(AGENT_ONLY),
        RefRole::User if reference.starts_with("refs/heads/") || reference.starts_with("refs/tags/") => None,
        RefRole::User => Some(BRANCHES_AND_TAGS),
    }
}

pub(crate) fn role_name(role: RefRole) -> &'static str {
    match role {
        RefRole::User => "user",
        RefRole::Agent => "agent",
    }
}

/// Writes the hook into `folder`, which [`crate::Host`] names as `core.hooksPath`; other hooks do not exist there.
pub(crate) fn write(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let draft = folder.join(".update.new");
    fs::write(&draft, script())?;
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o755))?;
    fs::rename(draft, folder.join("update"))
}

fn script() -> String {
    format!(
        r#"#!/bin/sh
# Written by c7n at every start; changes are lost. Arguments: reference, old id, new id.
refuse() {{
  echo "$1" >&2
  exit 1
}}
case "${ROLE_VARIABLE}:$1" in
  *:{DEVOPS_SYNC}) refuse "{PLATFORM_ONLY}" ;;
  agent:{AGENT_SYNC} | agent:{CHECK_TAG_PREFIX}*) exit 0 ;;
  agent:*) refuse "{NO_MORE_FOR_AGENTS}" ;;
  user:{AGENT_SYNC} | user:{CHECK_TAG_PREFIX}*) refuse "{AGENT_ONLY}" ;;
  user:refs/heads/* | user:refs/tags/*) exit 0 ;;
  user:*) refuse "{BRANCHES_AND_TAGS}" ;;
  *) refuse "{NO_ROLE}" ;;
esac
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCES: [&str; 8] = [
        DEVOPS_SYNC,
        AGENT_SYNC,
        "refs/tags/c7n-check-00ff",
        "refs/tags/v1",
        "refs/heads/main",
        "refs/heads/devops-sync",
        "refs/notes/x",
        "refs/tags/devops-sync2",
    ];

    #[test]
    fn the_hook_says_what_the_function_says() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        for role in [RefRole::User, RefRole::Agent] {
            for reference in REFERENCES {
                let output = std::process::Command::new(folder.path().join("update"))
                    .env(ROLE_VARIABLE, role_name(role))
                    .args([reference, "0", "1"])
                    .output()
                    .unwrap();
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                let expected = refusal_of(role, reference);
                assert_eq!(
                    output.status.success(),
                    expected.is_none(),
                    "{role:?} {reference}"
                );
                assert_eq!(said, expected.unwrap_or_default());
            }
        }
    }

    #[test]
    fn without_a_role_nothing_moves() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        for reference in REFERENCES {
            let mut hook = std::process::Command::new(folder.path().join("update"));
            assert!(
                !hook
                    .env_remove(ROLE_VARIABLE)
                    .args([reference, "0", "1"])
                    .output()
                    .unwrap()
                    .status
                    .success()
            );
        }
    }
}
