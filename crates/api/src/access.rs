//! Who calls, and with what.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Trade a password for a token.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct Login {
    pub username: String,
    pub password: String,
    /// What the token is called in the list of tokens, for instance the name of the machine.
    pub token_name: Option<String>,
}

/// A token, shown this once. The platform keeps only its hash.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct IssuedToken {
    pub token: String,
    pub name: String,
    pub expires_ms: Option<i64>,
}

/// The caller, as the platform knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Caller {
    pub id: String,
    pub username: String,
    pub administrator: bool,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct NewUser {
    pub username: String,
    pub password: String,
    #[serde(default)]
    pub administrator: bool,
}

/// A public key with which its owner reaches the Git host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SshKey {
    pub id: String,
    pub title: String,
    /// SHA-256 fingerprint as `ssh-keygen -l` prints it.
    pub fingerprint: String,
    pub created_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewSshKey {
    pub title: String,
    /// One line in the format of `id_ed25519.pub`.
    pub public_key: String,
}

/// What a member may do in a project; each role includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Sees everything but secrets.
    Viewer,
    /// Pushes to repositories and gives commands.
    Developer,
    /// Creates and deletes clusters, environments and members.
    Owner,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Member {
    pub username: String,
    pub role: Role,
}

/// A token as it is listed; the token itself is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    pub id: String,
    pub name: String,
    pub created_ms: i64,
    pub expires_ms: Option<i64>,
    /// To the hour.
    pub last_used_ms: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewToken {
    /// What the token is for, for instance the name of a machine.
    pub name: String,
    /// Without it the token works until it is deleted.
    pub expires_ms: Option<i64>,
}

/// The role to give to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewRole {
    pub role: Role,
}
