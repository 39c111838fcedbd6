use anyhow::Result;
use c7n_api::{Page, StreamRecord};

use super::Global;
use crate::output::{self, Format, Row, age, dash, word};

#[derive(clap::Args)]
pub struct Sessions {
    name: String,
    /// How many, newest first
    #[arg(long, default_value_t = 20)]
    limit: u32,
}

pub async fn run(global: &Global, command: Sessions) -> Result<()> {
    let path = [
        "projects",
        global.project()?,
        "environments",
        &command.name,
        "streams",
    ];
    let page: Page<StreamRecord> = global
        .client()?
        .get(&path, &[("limit", &command.limit.to_string())])
        .await?;
    output::print_list(global.output, &page.items)?;
    if global.output == Format::Table && page.next.is_some() {
        eprintln!("older ones are not shown; `--limit` shows more");
    }
    Ok(())
}

impl Row for StreamRecord {
    const HEAD: &'static [&'static str] = &[
        "ID", "KIND", "USER", "TARGET", "COMMAND", "AGE", "TOOK", "EXIT", "END", "RECORDED",
    ];
    fn cells(&self) -> Vec<String> {
        let target = match &self.container {
            Some(container) => format!("{}/{container}", self.target),
            None => self.target.clone(),
        };
        let took = self
            .ended_ms
            .map(|ended| format!("{} s", (ended - self.opened_ms).max(0) / 1000));
        vec![
            self.id.clone(),
            word(&self.kind),
            self.username.clone(),
            target,
            dash(Some(&shortened(&self.command.join(" ")))),
            age(self.opened_ms),
            dash(took.as_deref()),
            dash(self.exit_code.map(|code| code.to_string()).as_deref()),
            match self.ended_ms {
                Some(_) => dash(self.end.as_deref()),
                None => "goes on".to_owned(),
            },
            if self.recorded { "yes" } else { "no" }.to_owned(),
        ]
    }
}

/// On one line, and not all of a long script; nothing that a terminal would act upon.
fn shortened(command: &str) -> String {
    const LONGEST: usize = 40;
    let plain: String = command.escape_debug().to_string();
    match plain.chars().count() > LONGEST {
        true => plain.chars().take(LONGEST - 1).chain(['…']).collect(),
        false => plain,
    }
}

#[cfg(test)]
mod tests {
    use c7n_api::StreamKind;

    use super::*;

    #[test]
    fn a_row_says_who_did_what_where_and_how_it_ended() {
        let now = output::now_ms();
        let record = StreamRecord {
            id: "0192f0c1".into(),
            kind: StreamKind::Exec,
            username: "ann".into(),
            environment: "staging".into(),
            target: "web-0".into(),
            container: Some("main".into()),
            command: vec![
                "sh".into(),
                "-c".into(),
                "echo \u{1b}[31m; sleep 1000000000000000000000".into(),
            ],
            opened_ms: now - 65_000,
            ended_ms: Some(now - 60_000),
            exit_code: Some(130),
            end: Some("completed".into()),
            bytes_in: 1,
            bytes_out: 2,
            recorded: true,
        };
        let open = StreamRecord {
            kind: StreamKind::Logs,
            container: None,
            command: Vec::new(),
            ended_ms: None,
            exit_code: None,
            end: None,
            recorded: false,
            ..record.clone()
        };
        let told = |record: &StreamRecord| {
            let mut cells = record.cells();
            assert!(cells.remove(5).ends_with('s'), "its age");
            cells
        };
        let command = r"sh -c echo \u{1b}[31m; sleep 1000000000…";
        let ended = [
            "0192f0c1",
            "exec",
            "ann",
            "web-0/main",
            command,
            "5 s",
            "130",
            "completed",
            "yes",
        ];
        assert_eq!(told(&record), ended);
        let running = ["0192f0c1", "logs", "ann", "web-0", "-", "-", "-", "goes on", "no"];
        assert_eq!(told(&open), running);
    }
}
