//! Why an archive is not a chart.

/// Names the file inside the archive, where there is one, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    #[error("this is not a gzip archive; make the chart's archive with `helm package`")]
    NotGzip,
    #[error(
        "the archive is cut short or damaged ({0}); transfer it again, or make it anew with `helm package`"
    )]
    Damaged(String),
    #[error(
        "the archive is over the limit of {limit} {what}; leave out what the chart does not need (.helmignore)"
    )]
    OverBudget { what: &'static str, limit: u64 },
    #[error(
        "{file}: has {size} bytes, and at most {limit} are allowed in one file of a chart; make it smaller"
    )]
    FileTooBig { file: String, size: u64, limit: u64 },
    #[error("{file}: {reason}; make the archive with `helm package`")]
    Path { file: String, reason: &'static str },
    #[error(
        "{file}: is a {what}; a chart's archive has plain files and folders alone, put the file itself in"
    )]
    Special { file: String, what: &'static str },
    #[error("{file}: is in the archive twice; make the archive with `helm package`")]
    Twice { file: String },
    #[error("there is no Chart.yaml in the archive's top folder; make the archive with `helm package`")]
    NoChartYaml,
    #[error("{file}: is not UTF-8 text; save it as UTF-8")]
    NotText { file: String },
    #[error("{file}: {reason}")]
    Yaml { file: String, reason: String },
    #[error("{file}: {field}: {reason}")]
    Metadata {
        file: String,
        field: String,
        reason: String,
    },
    #[error("the archive cannot be read: {0}")]
    Read(String),
}
