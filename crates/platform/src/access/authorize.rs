//! The one place where it is decided who may do what. Pure: the caller brings the facts.

use c7n_api::{Caller, Role};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    User(Caller),
    /// The agent of a cluster. Reached by the key of one environment, it speaks for that one alone.
    Agent {
        cluster: String,
        environment: Option<String>,
    },
}

impl Actor {
    /// As the audit log names them.
    pub fn name(&self) -> String {
        match self {
            Self::User(caller) => format!("user:{}", caller.username),
            Self::Agent { cluster, .. } => format!("cluster:{cluster}"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Read it.
    See,
    /// Push to its repository.
    Push,
    /// Give commands to it; confirm deletions.
    Command,
    /// Create and delete what belongs to it, its members included.
    Manage,
    /// Move the agent's own tags.
    Tag,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// The platform itself: its users. To see it is to be signed in.
    Platform,
    /// A project, with the role that the asking user has in it.
    Project { role: Option<Role> },
    Environment {
        role: Option<Role>,
        id: &'a str,
        cluster: &'a str,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// They may not even know that it is there.
    Hidden,
    /// They see it, and would need this role.
    Needs(Role),
    /// Only administrators may.
    NeedsAdministrator,
}

pub fn authorize(actor: &Actor, verb: Verb, resource: Resource<'_>) -> Result<(), Denial> {
    match (actor, resource) {
        // Not even administrators move the agent's tags: they would say what is not so.
        (Actor::User(user), Resource::Platform | Resource::Project { .. } | Resource::Environment { .. })
            if user.administrator && verb != Verb::Tag =>
        {
            Ok(())
        }
        (Actor::User(_), Resource::Platform) if verb == Verb::See => Ok(()),
        (Actor::User(_), Resource::Platform) => Err(Denial::NeedsAdministrator),
        (Actor::User(_), Resource::Project { role } | Resource::Environment { role, .. }) => {
            let needed = match verb {
                Verb::See => Role::Viewer,
                Verb::Push | Verb::Command => Role::Developer,
                Verb::Manage => Role::Owner,
                Verb::Tag => return Err(Denial::Hidden),
            };
            match role {
                None => Err(Denial::Hidden),
                Some(role) if rank(role) >= rank(needed) => Ok(()),
                Some(_) => Err(Denial::Needs(needed)),
            }
        }
        (
            Actor::Agent { cluster, environment },
            Resource::Environment {
                id, cluster: owner, ..
            },
        ) if cluster == owner && environment.as_deref().is_none_or(|own| own == id) => match verb {
            Verb::See | Verb::Tag => Ok(()),
            Verb::Push | Verb::Command | Verb::Manage => Err(Denial::Hidden),
        },
        (Actor::Agent { .. }, _) => Err(Denial::Hidden),
    }
}

fn rank(role: Role) -> u8 {
    match role {
        Role::Viewer => 1,
        Role::Developer => 2,
        Role::Owner => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERBS: [Verb; 5] = [Verb::See, Verb::Push, Verb::Command, Verb::Manage, Verb::Tag];

    fn user(administrator: bool) -> Actor {
        Actor::User(Caller {
            id: "u".into(),
            username: "ann".into(),
            administrator,
        })
    }

    fn may(actor: &Actor, resource: Resource<'_>) -> Vec<Verb> {
        VERBS
            .into_iter()
            .filter(|verb| authorize(actor, *verb, resource).is_ok())
            .collect()
    }

    #[test]
    fn each_role_includes_the_ones_before_it() {
        let project = |role| Resource::Project { role };
        assert_eq!(may(&user(false), project(None)), []);
        assert_eq!(may(&user(false), project(Some(Role::Viewer))), [Verb::See]);
        assert_eq!(may(&user(false), project(Some(Role::Developer))), VERBS[..3]);
        assert_eq!(may(&user(false), project(Some(Role::Owner))), VERBS[..4]);
        assert_eq!(may(&user(true), project(None)), VERBS[..4]);
    }

    #[test]
    fn who_is_no_member_learns_nothing() {
        for verb in VERBS {
            let denied = authorize(&user(false), verb, Resource::Project { role: None });
            assert_eq!(denied, Err(Denial::Hidden), "{verb:?}");
        }
    }

    #[test]
    fn an_agent_reaches_only_its_own_environments_and_never_pushes() {
        let agent = |environment: Option<&str>| Actor::Agent {
            cluster: "c".into(),
            environment: environment.map(Into::into),
        };
        let environment = |id, cluster| Resource::Environment {
            role: None,
            id,
            cluster,
        };
        assert_eq!(may(&agent(None), environment("e", "c")), [Verb::See, Verb::Tag]);
        assert_eq!(
            may(&agent(Some("e")), environment("e", "c")),
            [Verb::See, Verb::Tag]
        );
        assert_eq!(may(&agent(Some("other")), environment("e", "c")), []);
        assert_eq!(may(&agent(None), environment("e", "other")), []);
        assert_eq!(may(&agent(None), Resource::Project { role: None }), []);
        assert_eq!(may(&agent(None), Resource::Platform), []);
    }
}
