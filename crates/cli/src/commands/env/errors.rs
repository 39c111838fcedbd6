use anyhow::Result;
use c7n_api::EnvironmentError;

use super::Global;
use crate::output::{self, Format, short, word};

#[derive(clap::Args)]
pub struct Errors {
    name: String,
}

pub async fn run(global: &Global, errors: Errors) -> Result<()> {
    let path = [
        "projects",
        global.project()?,
        "environments",
        &errors.name,
        "errors",
    ];
    let found: Vec<EnvironmentError> = global.client()?.get(&path, &[]).await?;
    match global.output {
        Format::Table if found.is_empty() => eprintln!("no errors"),
        Format::Table => found.iter().for_each(|error| println!("{}", line(error))),
        format => print!("{}", output::structured(format, &found)?),
    }
    Ok(())
}

/// In the shape that compilers use, so that editors jump to the place.
fn line(error: &EnvironmentError) -> String {
    let column = error
        .column
        .map_or_else(String::new, |column| format!(":{column}"));
    let object = error
        .object
        .as_ref()
        .map_or_else(String::new, |object| format!("{object}: "));
    format!(
        "{}:{}{column}: {} [{}] ({} of {}): {object}{}",
        error.file,
        error.line,
        "error",
        error.code,
        word(&error.source),
        short(Some(&error.commit)),
        error.message
    )
}
