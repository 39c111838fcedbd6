//! Values from the command line, in Helm's order: files first, then `--set`, then `--set-string`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use c7n_api::NewValues;

#[derive(clap::Args)]
pub struct Values {
    /// File of values that takes the place of the instance's values; `-` reads standard input
    #[arg(long = "values", short = 'f', value_name = "FILE")]
    file: Option<PathBuf>,
    /// Set a value, as `helm --set` reads it (`image.tag=7,replicas=2`); may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The same, always as text
    #[arg(long, value_name = "KEY=VALUE")]
    set_string: Vec<String>,
}

impl Values {
    pub fn read(self) -> Result<NewValues> {
        let values = match &self.file {
            None => None,
            Some(file) if file.as_os_str() == "-" => Some(
                std::io::read_to_string(std::io::stdin()).context("reading values from standard input")?,
            ),
            Some(file) => {
                Some(std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?)
            }
        };
        Ok(NewValues {
            values,
            set: self.set,
            set_string: self.set_string,
        })
    }
}
