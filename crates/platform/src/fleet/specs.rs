//! Rows of the database in the words of the link.

use c7n_api::{NewCommand, ObjectRef};
use c7n_link::messages::{Action, Command, EnvironmentSpec, ObjectKey, Removal, Scale, Sync, UpgradeAgent};

use crate::store::{self, Addresses, PendingCommand, PendingUpgrade, SpecRow};

pub fn spec(row: SpecRow, addresses: &Addresses) -> EnvironmentSpec {
    let removal = match row.removal.as_deref().and_then(store::Removal::parse) {
        None => Removal::No,
        Some(store::Removal::KeepNamespace) => Removal::KeepNamespace,
        Some(store::Removal::DeleteNamespace) => Removal::DeleteNamespace,
    };
    EnvironmentSpec {
        ssh_url: format!("{}/{}/{}.git", addresses.ssh, row.project, row.name),
        http_url: format!("{}/git/{}/{}.git", addresses.http, row.project, row.name),
        ssh_host_keys: addresses.known_hosts.clone(),
        environment_id: row.id,
        project: row.project,
        name: row.name,
        namespace: row.namespace,
        branch: row.branch,
        wanted_commit: row.parsed_commit.unwrap_or_default(),
        generation: u64::try_from(row.generation).unwrap_or_default(),
        allowed_cluster_kinds: row.allowed_cluster_kinds,
        confirmed_commit: row.confirmed_commit.unwrap_or_default(),
        removal: removal.into(),
        registered_fingerprint: row.agent_fingerprint.unwrap_or_default(),
    }
}

pub fn upgrade(pending: PendingUpgrade) -> Command {
    Command {
        command_id: pending.id,
        environment_id: String::new(),
        deadline_ms: pending.deadline_ms,
        created_ms: pending.created_ms,
        action: Some(Action::UpgradeAgent(UpgradeAgent {
            image: pending.image,
            patience_ms: u64::try_from(pending.patience_ms).unwrap_or_default(),
        })),
    }
}

pub fn command(pending: PendingCommand) -> Command {
    let key = |object: ObjectRef| ObjectKey {
        group: object.group,
        kind: object.kind,
        namespace: pending.namespace.clone(),
        name: object.name,
    };
    let action = match pending.command {
        NewCommand::Sync => Action::Sync(Sync {}),
        NewCommand::Restart { object } => Action::Restart(key(object)),
        NewCommand::Scale { object, replicas } => Action::Scale(Scale {
            object: key(object),
            replicas,
        }),
        NewCommand::DeleteObject { object } => Action::DeleteObject(key(object)),
        NewCommand::GetObject { object } => Action::GetObject(key(object)),
        NewCommand::CancelRelease { object } => Action::CancelRelease(key(object)),
        NewCommand::RetryRelease { object } => Action::RetryRelease(key(object)),
        NewCommand::TestRelease { object } => Action::TestRelease(key(object)),
    };
    Command {
        command_id: pending.id,
        environment_id: pending.environment_id,
        deadline_ms: pending.deadline_ms,
        created_ms: pending.created_ms,
        action: Some(action),
    }
}
