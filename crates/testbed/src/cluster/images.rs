//! The images of a local cluster, in one OCI archive for `ctr images import`.
//!
//! In: static programs. Out: bytes that depend on these programs alone.

use std::collections::BTreeMap;

use c7n_pack::oci::{Image, Layout, Packing};
use c7n_pack::tar::Tar;
use serde_json::json;

/// Holds a pod's namespaces.
pub const PAUSE: &str = "c7n.local/pause:1";
/// The application that demo and tests deliver, and its next version.
pub const SAMPLE: [&str; 2] = ["c7n.local/sample:1", "c7n.local/sample:2"];

/// What `kubectl exec` finds besides `sample` when this machine has a static busybox.
const APPLETS: [&str; 30] = [
    "cat",
    "cp",
    "date",
    "df",
    "echo",
    "env",
    "find",
    "free",
    "grep",
    "head",
    "hostname",
    "id",
    "kill",
    "ls",
    "mkdir",
    "mount",
    "nc",
    "ps",
    "readlink",
    "rm",
    "sh",
    "sha256sum",
    "sleep",
    "stty",
    "tail",
    "tar",
    "test",
    "top",
    "vi",
    "wget",
];

const NOBODY: &str = "65532:65532";

/// The programs that go into images.
pub struct Contents {
    pub pause: Vec<u8>,
    pub sample: Vec<u8>,
    pub busybox: Option<Vec<u8>>,
}

/// All images in one archive.
pub fn archive(contents: &Contents) -> Vec<u8> {
    let mut layout = Layout::default();
    let pause = [layout.layer(pause_layer(&contents.pause), Packing::Plain)];
    layout.image(&Image {
        name: PAUSE,
        layers: &pause,
        settings: json!({ "Entrypoint": ["/pause"], "User": NOBODY }),
        annotations: BTreeMap::new(),
    });

    let sample = [layout.layer(sample_layer(contents), Packing::Plain)];
    for name in SAMPLE {
        let version = name.rsplit(':').next().unwrap_or_default();
        layout.image(&Image {
            name,
            layers: &sample,
            settings: json!({
                "Entrypoint": ["/bin/sample"],
                "Env": ["PATH=/bin", format!("VERSION={version}")],
                "ExposedPorts": { "8080/tcp": {} },
                "User": NOBODY,
            }),
            annotations: BTreeMap::new(),
        });
    }
    layout.finish()
}

fn pause_layer(program: &[u8]) -> Vec<u8> {
    let mut layer = Tar::default();
    layer.file("pause", 0o755, program);
    layer.finish()
}

fn sample_layer(contents: &Contents) -> Vec<u8> {
    let mut layer = Tar::default();
    layer.folder("bin/", 0o755);
    layer.file("bin/sample", 0o755, &contents.sample);
    if let Some(busybox) = &contents.busybox {
        layer.file("bin/busybox", 0o755, busybox);
        for applet in APPLETS {
            layer.link(&format!("bin/{applet}"), "busybox");
        }
    }
    layer.folder("etc/", 0o755);
    layer.file(
        "etc/passwd",
        0o644,
        b"root:x:0:0::/:/bin/sh\nnonroot:x:65532:65532::/tmp:/bin/sh\n",
    );
    layer.file("etc/group", 0o644, b"root:x:0:\nnonroot:x:65532:\n");
    layer.folder("tmp/", 0o1777);
    layer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(sample: &[u8]) -> Contents {
        Contents {
            pause: b"pause".to_vec(),
            sample: sample.to_vec(),
            busybox: Some(b"busybox".to_vec()),
        }
    }

    #[test]
    fn the_same_programs_give_the_same_bytes_and_others_give_others() {
        assert_eq!(archive(&contents(b"one")), archive(&contents(b"one")));
        assert_ne!(archive(&contents(b"one")), archive(&contents(b"two")));
    }
}
