use anyhow::Result;
use c7n_api::{Drift, DriftedField};

use super::Global;
use crate::output::{self, Format, age, dash};

#[derive(clap::Args)]
pub struct DriftCommand {
    name: String,
}

pub async fn run(global: &Global, command: DriftCommand) -> Result<()> {
    let path = [
        "projects",
        global.project()?,
        "environments",
        &command.name,
        "drift",
    ];
    let found: Vec<Drift> = global.client()?.get(&path, &[]).await?;
    match global.output {
        Format::Table if found.is_empty() => eprintln!("nobody has changed anything by hand"),
        Format::Table => print!("{}", render(&found)),
        format => print!("{}", output::structured(format, &found)?),
    }
    Ok(())
}

/// A row for each field.
fn render(found: &[Drift]) -> String {
    let rows = found.iter().flat_map(|drift| {
        drift.fields.iter().map(|field| {
            vec![
                format!("{} {}", drift.object.kind, drift.object.name),
                field.field.clone(),
                changed(field),
                dash(drift.file.as_deref()),
                format!("{} ago", age(drift.repaired_ms)),
            ]
        })
    });
    output::table(
        &["OBJECT", "FIELD", "CHANGED", "FILE", "PUT BACK"],
        rows.collect(),
    )
}

fn changed(field: &DriftedField) -> String {
    match (&field.manager, field.time_ms) {
        (Some(manager), Some(ms)) => format!("by {manager}, {} ago", age(ms)),
        (Some(manager), None) => format!("by {manager}"),
        (None, _) => "taken out".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::now_ms;
    use c7n_api::ObjectRef;

    #[test]
    fn a_row_for_each_field_says_who_and_when() {
        let field = |field: &str, manager: Option<&str>| DriftedField {
            field: field.into(),
            manager: manager.map(str::to_owned),
            time_ms: manager.map(|_| now_ms() - 65_000),
        };
        let drift = Drift {
            object: ObjectRef {
                group: "apps".into(),
                kind: "Deployment".into(),
                name: "web".into(),
            },
            file: Some("web.yaml".into()),
            fields: vec![
                field(".spec.replicas", Some("kubectl-edit")),
                field(".metadata.labels.app", None),
            ],
            repaired_ms: now_ms() - 64_000,
        };
        insta::assert_snapshot!(render(&[drift]));
    }
}
