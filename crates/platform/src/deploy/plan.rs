//! What an operation wants of the repository.

use c7n_api::ValueConflict;
use c7n_git::FileEdit;

#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// For the audit log.
    pub verb: &'static str,
    pub message: String,
    pub edits: Vec<FileEdit>,
    /// The one that it is about.
    pub file: String,
    pub instance: Option<String>,
    pub chart: Option<String>,
    pub version: Option<String>,
    pub conflicts: Vec<ValueConflict>,
    pub conflicts_accepted: bool,
}

impl Plan {
    pub fn of_file(verb: &'static str, file: &str, content: Option<String>, message: String) -> Self {
        Self {
            verb,
            message,
            edits: vec![FileEdit {
                path: file.to_owned(),
                content: content.map(String::into_bytes),
            }],
            file: file.to_owned(),
            instance: None,
            chart: None,
            version: None,
            conflicts: Vec::new(),
            conflicts_accepted: false,
        }
    }

    pub fn of_instance(mut self, instance: &str) -> Self {
        self.instance = Some(instance.to_owned());
        self
    }

    pub fn of_chart(mut self, chart: &str, version: &str) -> Self {
        self.chart = Some(chart.to_owned());
        self.version = Some(version.to_owned());
        self
    }
}
