use anyhow::Result;
use c7n_api::StreamSettings;

use super::Global;
use crate::output::{self, Row};

#[derive(clap::Args)]
#[command(after_help = "Without flags: shows the settings. They hold for what is opened afterwards.")]
pub struct Settings {
    name: String,
    /// Record what terminals show
    #[arg(long, value_name = "BOOL")]
    record_exec: Option<bool>,
    /// Also ask the cluster whether the user, by name, may do it
    #[arg(long, value_name = "BOOL")]
    review_access: Option<bool>,
    /// End a terminal when nothing was typed or shown for so long
    #[arg(long, value_name = "MINUTES")]
    idle_minutes: Option<u32>,
}

pub async fn run(global: &Global, command: Settings) -> Result<()> {
    let client = global.client()?;
    let path = [
        "projects",
        global.project()?,
        "environments",
        &command.name,
        "stream-settings",
    ];
    let present: StreamSettings = client.get(&path, &[]).await?;
    let wanted = StreamSettings {
        record_exec: command.record_exec.unwrap_or(present.record_exec),
        review_access: command.review_access.unwrap_or(present.review_access),
        idle_minutes: command.idle_minutes.unwrap_or(present.idle_minutes),
    };
    let now = match wanted == present {
        true => present,
        false => client.put(&path, &wanted).await?,
    };
    output::print_one(global.output, &now)
}

impl Row for StreamSettings {
    const HEAD: &'static [&'static str] = &["RECORD-EXEC", "REVIEW-ACCESS", "IDLE"];
    fn cells(&self) -> Vec<String> {
        vec![
            self.record_exec.to_string(),
            self.review_access.to_string(),
            format!("{}m", self.idle_minutes),
        ]
    }
}
