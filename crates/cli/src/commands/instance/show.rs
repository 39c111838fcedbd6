use anyhow::Result;
use c7n_api::{InstanceDetail, InstanceRevision};

use super::{Global, InEnvironment};
use crate::commands::env::tree;
use crate::output::{self, Format, dash, short, word};

#[derive(clap::Args)]
#[command(after_help = "Example:
  c7n instance show -p shop -e staging web")]
pub struct Show {
    name: String,
    #[command(flatten)]
    place: InEnvironment,
}

pub async fn run(global: &Global, show: Show) -> Result<()> {
    let path = [&show.place.path(global)?[..], &[show.name.as_str()]].concat();
    let found: InstanceDetail = global.client()?.get(&path, &[]).await?;
    match global.output {
        Format::Table => print!("{}\n{}", card(&found), tree::render(&found.tree)),
        format => print!("{}", output::structured(format, &found)?),
    }
    Ok(())
}

fn card(found: &InstanceDetail) -> String {
    let instance = &found.instance;
    let vitals = &instance.vitals;
    let wanted = match (&instance.chart, &instance.version) {
        (Some(chart), Some(version)) => {
            format!("{chart} {version} from {}", dash(instance.repository.as_deref()))
        }
        _ => "-".to_owned(),
    };
    let reached = match (instance.revision, &instance.deployed) {
        (Some(revision), deployed) => {
            format!(
                "revision {revision}, {}, commit {}",
                dash(deployed.as_deref()),
                short(instance.commit.as_deref())
            )
        }
        (None, _) => "-".to_owned(),
    };
    let mut rows = vec![
        ("instance", instance.name.clone()),
        ("app", dash(instance.app.as_deref())),
        ("file", dash(instance.file.as_deref())),
        ("wanted", wanted),
        ("deployed", reached),
        ("phase", dash(instance.phase.as_deref())),
        ("health", word(&vitals.health)),
        ("pods", format!("{} of {} ready", vitals.pods_ready, vitals.pods)),
    ];
    if let Some(cause) = &vitals.cause {
        rows.push(("cause", cause.text.clone()));
        rows.extend(cause.log.iter().map(|line| ("", format!("| {line}"))));
    }
    let past = instance.revisions.iter().rev().enumerate();
    rows.extend(past.map(|(at, past)| (if at == 0 { "revisions" } else { "" }, past_line(past))));
    rows.into_iter()
        .map(|(name, value)| format!("{name:<12} {value}\n"))
        .collect()
}

fn past_line(past: &InstanceRevision) -> String {
    let commit = match &past.commit {
        Some(commit) => format!("commit {}", short(Some(commit))),
        None => "no commit: made by hand, or failed".to_owned(),
    };
    let words = [past.chart.as_deref(), Some(&commit), past.time.as_deref()];
    let words: Vec<&str> = words.into_iter().flatten().collect();
    format!("{:<4} {}", past.revision, words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::instance::tests::instance;

    #[test]
    fn a_card_tells_what_is_wanted_what_was_reached_and_what_is_wrong() {
        let found = InstanceDetail {
            instance: instance("web", Some("Pod web-1-a: container web crashes with exit code 1")),
            tree: Vec::new(),
        };
        insta::assert_snapshot!(card(&found));
    }
}
