use std::collections::BTreeMap;

use anyhow::Result;
use c7n_api::{EventChange, Instance, Instances, Vitals};

use super::{Global, InEnvironment};
use crate::output::{Format, clock, now_ms, word};
use crate::stream::EventStream;

#[derive(clap::Args)]
#[command(after_help = "Example:
  c7n instance watch -p shop -e staging          all of them
  c7n instance watch -p shop -e staging web")]
pub struct Watch {
    /// Only this one
    name: Option<String>,
    #[command(flatten)]
    place: InEnvironment,
}

pub async fn run(global: &Global, watch: Watch) -> Result<()> {
    let client = global.client()?;
    let path = watch.place.path(global)?;
    let query = vec![
        ("project", global.project()?),
        ("environment", watch.place.env.as_str()),
    ];
    // The stream is open before the state is read, so that nothing falls between the two.
    let mut stream = EventStream::open(&client, query).await?;
    let mut screen = Screen {
        format: global.output,
        only: watch.name.as_deref(),
        shown: BTreeMap::new(),
    };
    let now: Instances = client.get(&path, &[]).await?;
    screen.show(now.instances, Vec::new(), now_ms())?;
    loop {
        let event = stream.next().await?;
        match event.change {
            EventChange::Instances { changed, gone, .. } => screen.show(changed, gone, event.time_ms)?,
            EventChange::Reset => {
                let now: Instances = client.get(&path, &[]).await?;
                let gone = screen.missing(&now.instances);
                screen.show(now.instances, gone, event.time_ms)?;
            }
            EventChange::EnvironmentDeleted { .. } => anyhow::bail!("the environment was deleted"),
            _ => {}
        }
    }
}

struct Screen<'a> {
    format: Format,
    only: Option<&'a str>,
    shown: BTreeMap<String, String>,
}

impl Screen<'_> {
    fn show(&mut self, changed: Vec<Instance>, gone: Vec<String>, at_ms: i64) -> Result<()> {
        let wanted = |name: &str| self.only.is_none_or(|only| only == name);
        for instance in changed.into_iter().filter(|instance| wanted(&instance.name)) {
            let line = line(&instance);
            if self.format != Format::Table {
                println!("{}", serde_json::to_string(&instance)?);
            } else if self.shown.get(&instance.name) != Some(&line) {
                println!("{}  {line}", clock(at_ms));
            }
            self.shown.insert(instance.name, line);
        }
        for name in gone.into_iter().filter(|name| wanted(name)) {
            if self.shown.remove(&name).is_some() && self.format == Format::Table {
                println!("{}  {name}  gone", clock(at_ms));
            }
        }
        Ok(())
    }

    fn missing(&self, now: &[Instance]) -> Vec<String> {
        let there = |name: &String| now.iter().any(|instance| instance.name == *name);
        self.shown.keys().filter(|name| !there(name)).cloned().collect()
    }
}

/// What a person wants to be told of again when it changes.
fn line(instance: &Instance) -> String {
    let Vitals {
        health,
        cause,
        pods_ready,
        pods,
        ..
    } = &instance.vitals;
    let mut line = format!("{}  {}  {pods_ready}/{pods} pods", instance.name, word(health));
    if let Some(revision) = instance.revision {
        line.push_str(&format!("  revision {revision}"));
    }
    if let Some(phase) = &instance.phase {
        line.push_str(&format!("  {phase}"));
    }
    if let Some(cause) = cause {
        line.push_str(&format!("  {}", cause.text));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::instance::tests::instance;

    #[test]
    fn a_line_has_what_may_change() {
        insta::assert_snapshot!(line(&instance("web", Some("Pod web-1-a: crashes"))), @"web  degraded  1/2 pods  revision 3  Upgrading  Pod web-1-a: crashes");
        insta::assert_snapshot!(line(&instance("web", None)), @"web  healthy  1/2 pods  revision 3  Upgrading");
    }
}
