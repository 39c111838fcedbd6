//! What is pushed: a shop of a dozen objects, and its next version.

use anyhow::Result;
use c7n_testbed::stack::WorkingCopy;

const IMAGE: &str = "c7n.local/sample:";

macro_rules! files {
    ($folder:literal: $($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../demo/", $folder, "/", $path)))),*]
    };
}

/// Every file of the first version.
const FIRST: &[(&str, &str)] = files!("first":
    "web/deployment.yaml", "web/service.yaml", "web/settings.yaml", "web/rights.yaml",
    "store/store.yaml", "store/claim.yaml",
    "jobs/report.yaml", "jobs/limits.yaml",
    "banner/definition.yaml", "banner/hello.yaml",
);

/// What the second version changes and adds.
const SECOND: &[(&str, &str)] = files!("second":
    "web/deployment.yaml", "web/settings.yaml", "banner/hello.yaml", "jobs/cleanup.yaml",
);

/// What the second version drops.
const DROPPED: &[&str] = &["jobs/report.yaml"];

/// The definition of the custom kind belongs to the whole cluster: one environment brings it.
const DEFINITION: &str = "banner/definition.yaml";

pub struct Application {
    image: Option<String>,
}

impl Application {
    pub fn new(image: Option<String>) -> Self {
        Self { image }
    }

    pub fn write_first(&self, copy: &WorkingCopy, brings_definition: Definition) -> Result<()> {
        for (path, text) in FIRST {
            if *path != DEFINITION || brings_definition == Definition::Brought {
                copy.write(path, &self.with_image(text))?;
            }
        }
        Ok(())
    }

    pub fn write_second(&self, copy: &WorkingCopy) -> Result<()> {
        for (path, text) in SECOND {
            copy.write(path, &self.with_image(text))?;
        }
        DROPPED.iter().try_for_each(|path| copy.remove(path))
    }

    fn with_image(&self, text: &str) -> String {
        match &self.image {
            None => text.to_owned(),
            Some(image) => text
                .replace(&format!("{IMAGE}1"), image)
                .replace(&format!("{IMAGE}2"), image),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Definition {
    Brought,
    Left,
}
