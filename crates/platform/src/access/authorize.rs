//! The one place where it is decided who may do what. Pure: the caller brings the facts.

use c7n_api::{Caller, Role, StreamRights};

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
    /// Read the logs of its containers.
    Logs,
    /// Run processes in its containers, copy files, forward ports.
    Exec,
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
        /// What an owner gave or took from this user, in this environment alone.
        streams: StreamRights,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// They may not even know that it is there.
    Hidden,
    /// They see it, and would need this role.
    Needs(Role),
    /// They see it, and would need the right to do this (in words), which their role has not or which was taken from them.
    NeedsRight(&'static str),
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
        (Actor::User(_), Resource::Project { role }) => of_member(role, verb, StreamRights::default()),
        (Actor::User(_), Resource::Environment { role, streams, .. }) => of_member(role, verb, streams),
        (
            Actor::Agent { cluster, environment },
            Resource::Environment {
                id, cluster: owner, ..
            },
        ) if cluster == owner && environment.as_deref().is_none_or(|own| own == id) => match verb {
            Verb::See | Verb::Tag => Ok(()),
            Verb::Push | Verb::Command | Verb::Manage | Verb::Logs | Verb::Exec => Err(Denial::Hidden),
        },
        (Actor::Agent { .. }, _) => Err(Denial::Hidden),
    }
}

/// Rights of one's own go before what the role says, in both directions; without a role there are none.
fn of_member(role: Option<Role>, verb: Verb, streams: StreamRights) -> Result<(), Denial> {
    let role = role.ok_or(Denial::Hidden)?;
    let (needed, own, denial) = match verb {
        Verb::See => (Role::Viewer, None, Denial::Needs(Role::Viewer)),
        Verb::Push | Verb::Command => (Role::Developer, None, Denial::Needs(Role::Developer)),
        Verb::Manage => (Role::Owner, None, Denial::Needs(Role::Owner)),
        Verb::Logs => (Role::Developer, streams.logs, Denial::NeedsRight("read logs")),
        Verb::Exec => (
            Role::Owner,
            streams.exec,
            Denial::NeedsRight("run processes and forward ports"),
        ),
        Verb::Tag => return Err(Denial::Hidden),
    };
    if own.unwrap_or(rank(role) >= rank(needed)) {
        Ok(())
    } else {
        Err(denial)
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

    const VERBS: [Verb; 7] = [
        Verb::See,
        Verb::Push,
        Verb::Command,
        Verb::Manage,
        Verb::Tag,
        Verb::Logs,
        Verb::Exec,
    ];

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
        let developer = [Verb::See, Verb::Push, Verb::Command, Verb::Logs];
        let owner = [
            Verb::See,
            Verb::Push,
            Verb::Command,
            Verb::Manage,
            Verb::Logs,
            Verb::Exec,
        ];
        assert_eq!(may(&user(false), project(Some(Role::Developer))), developer);
        assert_eq!(may(&user(false), project(Some(Role::Owner))), owner);
        assert_eq!(may(&user(true), project(None)), owner);
    }

    #[test]
    fn rights_of_ones_own_go_before_the_role_and_never_beyond_streams() {
        const ALL: Option<bool> = Some(true);
        const NO: Option<bool> = Some(false);
        let (viewer, developer, owner) = (Some(Role::Viewer), Some(Role::Developer), Some(Role::Owner));
        // role, own right to logs and to exec; may read logs, may exec
        let table = [
            (None, None, None, false, false),
            (None, ALL, ALL, false, false),
            (viewer, None, None, false, false),
            (viewer, ALL, None, true, false),
            (viewer, None, ALL, false, true),
            (viewer, ALL, ALL, true, true),
            (developer, None, None, true, false),
            (developer, NO, None, false, false),
            (developer, None, ALL, true, true),
            (developer, NO, ALL, false, true),
            (owner, None, None, true, true),
            (owner, NO, None, false, true),
            (owner, None, NO, true, false),
            (owner, NO, NO, false, false),
        ];
        for (role, logs, exec, may_logs, may_exec) in table {
            let streams = StreamRights { logs, exec };
            let environment = |streams| Resource::Environment {
                role,
                id: "e",
                cluster: "c",
                streams,
            };
            let asked = |verb| authorize(&user(false), verb, environment(streams));
            assert_eq!(asked(Verb::Logs).is_ok(), may_logs, "{role:?} {streams:?}");
            assert_eq!(asked(Verb::Exec).is_ok(), may_exec, "{role:?} {streams:?}");
            if role.is_none() {
                assert_eq!(asked(Verb::Exec), Err(Denial::Hidden));
            }
            let others = |streams| {
                let mut verbs = may(&user(false), environment(streams));
                verbs.retain(|verb| !matches!(verb, Verb::Logs | Verb::Exec));
                verbs
            };
            assert_eq!(others(streams), others(StreamRights::default()), "{role:?}");
            // Nobody takes anything from administrators.
            assert!(authorize(&user(true), Verb::Exec, environment(streams)).is_ok());
        }
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
            streams: StreamRights::default(),
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
