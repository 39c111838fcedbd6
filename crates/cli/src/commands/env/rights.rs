use anyhow::{Result, bail};
use c7n_api::{StreamRights, UserStreamRights};
use clap::ValueEnum;

use super::Global;
use crate::client::Refused;
use crate::output::{self, Row};

#[derive(clap::Args)]
#[command(
    after_help = "Without a user: lists who has rights of their own. Without --logs and --exec: shows those of the user.\n\
    Developers may read logs, and owners also run processes, unless it is said otherwise here."
)]
pub struct Rights {
    name: String,
    /// A member of the project
    user: Option<String>,
    /// May the user read logs?
    #[arg(long, value_name = "WORD", requires = "user")]
    logs: Option<Word>,
    /// May the user run processes, copy files and forward ports?
    #[arg(long, value_name = "WORD", requires = "user")]
    exec: Option<Word>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Word {
    Yes,
    No,
    /// As their role in the project says
    Role,
}

impl Word {
    fn right(self) -> Option<bool> {
        match self {
            Self::Yes => Some(true),
            Self::No => Some(false),
            Self::Role => None,
        }
    }
}

pub async fn run(global: &Global, command: Rights) -> Result<()> {
    let client = global.client()?;
    let all = [
        "projects",
        global.project()?,
        "environments",
        &command.name,
        "rights",
    ];
    let Some(user) = &command.user else {
        let found: Vec<UserStreamRights> = client.get(&all, &[]).await?;
        return output::print_list(global.output, &found);
    };
    let of_user = [all.as_slice(), &[user.as_str()]].concat();
    let present = match client.get::<UserStreamRights>(&of_user, &[]).await {
        Ok(own) => Some(own),
        Err(error) if is_missing(&error) => None,
        Err(error) => return Err(error),
    };
    if command.logs.is_none() && command.exec.is_none() {
        match present {
            Some(own) => return output::print_one(global.output, &own),
            None => bail!(
                "{user} has no rights of their own here\n  next: their role decides; give some with --logs and --exec"
            ),
        }
    }
    let new = changed(present.as_ref().map(|own| own.rights), command.logs, command.exec);
    if new != StreamRights::default() {
        let now: UserStreamRights = client.put(&of_user, &new).await?;
        return output::print_one(global.output, &now);
    }
    if present.is_some() {
        client.delete(&of_user, &[]).await?;
    }
    eprintln!("the role of {user} decides again");
    Ok(())
}

/// What is not said stays as it is.
fn changed(present: Option<StreamRights>, logs: Option<Word>, exec: Option<Word>) -> StreamRights {
    let present = present.unwrap_or_default();
    StreamRights {
        logs: logs.map_or(present.logs, Word::right),
        exec: exec.map_or(present.exec, Word::right),
    }
}

fn is_missing(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<Refused>()
        .is_some_and(|refused| refused.0.status == 404)
}

impl Row for UserStreamRights {
    const HEAD: &'static [&'static str] = &["USER", "LOGS", "EXEC"];
    fn cells(&self) -> Vec<String> {
        let word = |right: Option<bool>| match right {
            Some(true) => "yes",
            Some(false) => "no",
            None => "by role",
        };
        vec![
            self.username.clone(),
            word(self.rights.logs).to_owned(),
            word(self.rights.exec).to_owned(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_stays_as_it_is() {
        let rights = |logs, exec| StreamRights { logs, exec };
        let table = [
            (None, Some(Word::Yes), None, rights(Some(true), None)),
            (
                Some(rights(Some(true), Some(false))),
                None,
                Some(Word::Role),
                rights(Some(true), None),
            ),
            (
                Some(rights(Some(true), None)),
                Some(Word::No),
                Some(Word::Yes),
                rights(Some(false), Some(true)),
            ),
        ];
        for (present, logs, exec, expected) in table {
            assert_eq!(changed(present, logs, exec), expected);
        }
    }
}
