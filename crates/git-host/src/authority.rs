//! Who may do what is decided elsewhere; these are the questions that are asked there.

use std::path::PathBuf;

use futures_util::future::BoxFuture;

use crate::RepositoryPath;

/// Somebody whose key or token is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    pub kind: ActorKind,
    /// Whatever the authority calls them by.
    pub id: String,
    /// For logs.
    pub name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActorKind {
    User,
    /// The agent of one environment.
    Agent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Read,
    Write,
}

/// Leave to work on one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The bare repository on disk.
    pub path: PathBuf,
    pub role: RefRole,
    /// What the authority calls the repository by.
    pub repository: String,
}

/// Which references a push may move; see [`crate::refusal_of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefRole {
    /// Branches and tags, but not the tags of c7n itself.
    User,
    /// `agent-sync` and nothing else.
    Agent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is not there, or it is not theirs to see: the answer is the same.
    Hidden,
    /// They may see it, and this is why they may not do that.
    Stated(String),
}

pub trait Authority: Send + Sync + 'static {
    /// `fingerprint` is `SHA256:...`, as `ssh-keygen -l` shows it.
    fn by_key<'a>(&'a self, fingerprint: &'a str) -> BoxFuture<'a, Option<Actor>>;

    fn by_token<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Option<Actor>>;

    fn access<'a>(
        &'a self,
        actor: &'a Actor,
        repository: &'a RepositoryPath,
        wish: Wish,
    ) -> BoxFuture<'a, Result<Grant, Refusal>>;

    /// A `git receive-pack` ended well; something may have been pushed. The client waits for the answer: be quick.
    fn pushed<'a>(&'a self, grant: &'a Grant, actor: &'a Actor) -> BoxFuture<'a, ()>;
}
