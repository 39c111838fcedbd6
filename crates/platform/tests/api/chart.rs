//! Archives of small charts, as `helm package` makes them.

use std::path::Path;
use std::process::Command;

pub struct Chart<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub values: &'a str,
    pub schema: Option<&'a str>,
}

impl Chart<'_> {
    pub fn archive(&self) -> Vec<u8> {
        self.archive_with("")
    }

    /// With these lines at the end of its Chart.yaml.
    pub fn archive_with(&self, more: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let chart = folder.path().join(self.name);
        std::fs::create_dir_all(chart.join("templates")).unwrap();
        let Self { name, version, .. } = self;
        let metadata = format!(
            "apiVersion: v2\nname: {name}\nversion: {version}\nappVersion: \"7\"\ndescription: The shop's {name}\n{more}"
        );
        std::fs::write(chart.join("Chart.yaml"), metadata).unwrap();
        std::fs::write(chart.join("values.yaml"), self.values).unwrap();
        std::fs::write(chart.join("README.md"), format!("# {name}\n")).unwrap();
        if let Some(schema) = self.schema {
            std::fs::write(chart.join("values.schema.json"), schema).unwrap();
        }
        let template = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  values: {{{{ .Values | toJson | quote }}}}\n"
        );
        std::fs::write(chart.join("templates/map.yaml"), template).unwrap();
        pack(folder.path(), name)
    }
}

fn pack(folder: &Path, name: &str) -> Vec<u8> {
    let output = Command::new("tar")
        .args([
            "--sort=name",
            "--mtime=@0",
            "--owner=0",
            "--group=0",
            "-czf",
            "-",
            name,
        ])
        .env("GZIP", "-n")
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success());
    output.stdout
}

pub fn web(version: &str, values: &str) -> Vec<u8> {
    let chart = Chart {
        name: "web",
        version,
        values,
        schema: None,
    };
    chart.archive()
}
