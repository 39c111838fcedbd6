//! What a person reads about a commit that was made, or was not.

use std::process::ExitCode;

use anyhow::Result;
use c7n_api::{Change, Deployed, Unwritten, ValueConflict};

use super::{Global, Where};
use crate::output::{self, Format, short};

const CONFLICTS: u8 = 4;

pub fn committed(done: &Deployed, commit: &str) -> String {
    let what = match (&done.instance, &done.chart, &done.version) {
        (Some(instance), Some(chart), Some(version)) => format!("{instance} ({chart} {version})"),
        (Some(instance), _, _) => instance.clone(),
        _ => done.file.clone(),
    };
    format!("{what}: commit {} changes {}", short(Some(commit)), done.file)
}

/// `None` when there is a commit.
pub fn unwritten(global: &Global, at: &Where, done: &Deployed) -> Result<Option<ExitCode>> {
    let Some(why) = done.unwritten else {
        return Ok(None);
    };
    if global.output != Format::Table {
        print!("{}", output::structured(global.output, done)?);
    }
    if global.output == Format::Table && (why != Unwritten::Conflicts || at.dry_run) {
        print!("{}", done.diff);
    }
    for change in &done.changes {
        let sign = match change.change {
            Change::Create => '+',
            Change::Update => '~',
            Change::Delete => '-',
        };
        eprintln!("{sign} {} {}  {}", change.kind, change.name, change.file);
    }
    Ok(Some(match why {
        Unwritten::DryRun => ExitCode::SUCCESS,
        Unwritten::NothingToChange => {
            eprintln!("nothing to change: it is described like this already");
            ExitCode::SUCCESS
        }
        Unwritten::Conflicts => {
            eprint!("{}", conflicts(&done.conflicts));
            ExitCode::from(CONFLICTS)
        }
    }))
}

fn conflicts(conflicts: &[ValueConflict]) -> String {
    let mut text =
        "nothing was written: these values of the instance meet other defaults in the new version\n"
            .to_owned();
    for conflict in conflicts {
        text.push_str(&format!("  {}\n", conflict.path));
        let rows = [
            ("old default", &conflict.old_default),
            ("new default", &conflict.new_default),
            ("yours", &conflict.mine),
        ];
        for (name, value) in rows {
            let value = value.as_deref().map_or("(none)", str::trim_end);
            text.push_str(&format!(
                "    {name:<12} {}\n",
                value.replace('\n', "\n                 ")
            ));
        }
        text.push_str(&format!("    {}\n", conflict.message));
    }
    text.push_str("  next: `--accept-conflicts` keeps yours; `--set KEY=VALUE` decides otherwise\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_shows_all_three_sides_and_the_way_on() {
        let conflict = ValueConflict {
            path: "image.tag".into(),
            old_default: Some("\"7\"\n".into()),
            new_default: Some("\"8\"\n".into()),
            mine: Some("\"7-alpine\"\n".into()),
            message: "the default has changed, and you have set another".into(),
        };
        let gone = ValueConflict {
            path: "sidecar".into(),
            old_default: Some("enabled: false\nport: 1\n".into()),
            new_default: None,
            mine: Some("enabled: true\n".into()),
            message: "the new version no longer knows it".into(),
        };
        insta::assert_snapshot!(conflicts(&[conflict, gone]));
    }

    #[test]
    fn a_commit_is_told_in_one_line() {
        let done = Deployed {
            commit: Some("ab".repeat(20)),
            unwritten: None,
            instance: Some("web".into()),
            chart: Some("web".into()),
            version: Some("1.2.0".into()),
            file: "releases/web.yaml".into(),
            changes: Vec::new(),
            diff: String::new(),
            conflicts: Vec::new(),
        };
        insta::assert_snapshot!(committed(&done, &"ab".repeat(20)), @"web (web 1.2.0): commit abababab changes releases/web.yaml");
    }
}
