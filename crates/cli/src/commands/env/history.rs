use anyhow::Result;
use c7n_api::{Change, HistoryEntry, Page};

use super::Global;
use crate::output::{self, Format, Row, age, short, word};

#[derive(clap::Args)]
pub struct History {
    name: String,
    /// How many commits, newest first
    #[arg(long, default_value_t = 20)]
    limit: u32,
}

pub async fn run(global: &Global, history: History) -> Result<()> {
    let path = [
        "projects",
        global.project()?,
        "environments",
        &history.name,
        "history",
    ];
    let page: Page<HistoryEntry> = global
        .client()?
        .get(&path, &[("limit", &history.limit.to_string())])
        .await?;
    output::print_list(global.output, &page.items)?;
    if global.output == Format::Table && page.next.is_some() {
        eprintln!("older commits are not shown; `--limit` shows more");
    }
    Ok(())
}

impl Row for HistoryEntry {
    const HEAD: &'static [&'static str] = &["COMMIT", "AGE", "AUTHOR", "STATE", "CHANGES", "TOOK", "SUBJECT"];
    fn cells(&self) -> Vec<String> {
        let count = |change: Change| {
            self.records
                .iter()
                .filter(|record| record.change == change)
                .count()
        };
        let took = self
            .delivery
            .as_ref()
            .and_then(|delivery| Some(delivery.finished_ms? - self.parsed_ms));
        vec![
            short(Some(&self.commit.id)),
            age(self.parsed_ms),
            self.commit.author.clone(),
            word(&self.state),
            format!(
                "+{} ~{} -{}",
                count(Change::Create),
                count(Change::Update),
                count(Change::Delete)
            ),
            took.map_or_else(|| "-".to_owned(), |took| format!("{} ms", took.max(0))),
            self.commit.subject.clone(),
        ]
    }
}
