//! Container images made by hand: an OCI archive with the images of a local cluster, for `ctr images import`.
//!
//! In: static programs. Out: bytes that depend on these programs alone (OCI image layout 1.0, layers not compressed).

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::tar::Tar;

/// Holds a pod's namespaces.
pub const PAUSE: &str = "c7n.local/pause:1";
/// The application that demo and tests deliver, and its next version.
pub const SAMPLE: [&str; 2] = ["c7n.local/sample:1", "c7n.local/sample:2"];

/// What `kubectl exec` finds besides `sample` when this machine has a static busybox.
const APPLETS: [&str; 26] = [
    "cat", "cp", "date", "df", "echo", "env", "find", "free", "grep", "head", "hostname", "id", "kill", "ls",
    "mkdir", "mount", "nc", "ps", "rm", "sh", "sleep", "stty", "tail", "top", "vi", "wget",
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
    let pause = layout.layer(pause_layer(&contents.pause));
    let settings = json!({ "Entrypoint": ["/pause"], "User": NOBODY });
    layout.image(PAUSE, &pause, &settings);

    let sample = layout.layer(sample_layer(contents));
    for name in SAMPLE {
        let version = name.rsplit(':').next().unwrap_or_default();
        let settings = json!({
            "Entrypoint": ["/bin/sample"],
            "Env": ["PATH=/bin", format!("VERSION={version}")],
            "ExposedPorts": { "8080/tcp": {} },
            "User": NOBODY,
        });
        layout.image(name, &sample, &settings);
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

/// An OCI image layout under construction.
#[derive(Default)]
struct Layout {
    /// Sorted, so that the order of building leaves no trace.
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: Vec<Value>,
}

impl Layout {
    /// Keeps the bytes; returns their descriptor.
    fn blob(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest: String = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let descriptor =
            json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len() });
        self.blobs.insert(digest, bytes);
        descriptor
    }

    fn layer(&mut self, tar: Vec<u8>) -> Value {
        self.blob("application/vnd.oci.image.layer.v1.tar", tar)
    }

    fn image(&mut self, name: &str, layer: &Value, settings: &Value) {
        let config = json!({
            "architecture": go_architecture(),
            "os": "linux",
            "config": settings,
            "rootfs": { "type": "layers", "diff_ids": [layer["digest"]] },
        });
        let config = self.blob(
            "application/vnd.oci.image.config.v1+json",
            config.to_string().into_bytes(),
        );
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [layer] });
        let mut descriptor = self.blob(media_type, manifest.to_string().into_bytes());
        // containerd's key for the whole name; the standard one holds only a tag.
        descriptor["annotations"] = json!({ "io.containerd.image.name": name });
        self.manifests.push(descriptor);
    }

    fn finish(self) -> Vec<u8> {
        let mut archive = Tar::default();
        archive.file("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#);
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": self.manifests,
        });
        archive.file("index.json", 0o644, index.to_string().as_bytes());
        for (digest, bytes) in &self.blobs {
            archive.file(&format!("blobs/sha256/{digest}"), 0o644, bytes);
        }
        archive.finish()
    }
}

fn go_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
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

    #[test]
    fn every_descriptor_leads_to_a_blob_of_its_size() {
        let mut layout = Layout::default();
        let layer = layout.layer(b"tar".to_vec());
        layout.image("c7n.local/one:1", &layer, &json!({}));
        layout.image("c7n.local/one:2", &layer, &json!({ "User": "1" }));

        assert_eq!(layout.blobs.len(), 1 + 2 * 2);
        for descriptor in &layout.manifests {
            let blob = |descriptor: &Value| {
                let digest = descriptor["digest"]
                    .as_str()
                    .unwrap()
                    .strip_prefix("sha256:")
                    .unwrap()
                    .to_owned();
                let bytes = layout.blobs[&digest].clone();
                assert_eq!(descriptor["size"], bytes.len());
                bytes
            };
            let manifest: Value = serde_json::from_slice(&blob(descriptor)).unwrap();
            let config: Value = serde_json::from_slice(&blob(&manifest["config"])).unwrap();
            assert_eq!(config["rootfs"]["diff_ids"][0], manifest["layers"][0]["digest"]);
            assert_eq!(blob(&manifest["layers"][0]), b"tar");
        }
    }
}
