//! Container images made by hand: an OCI archive (image layout 1.0), for `ctr images import` or any registry's tools.
//!
//! In: layers as tar archives, settings. Out: bytes that depend on these alone.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::gzip::{Effort, gzip};
use crate::sha256;
use crate::tar::Tar;

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// containerd's key for the whole name; the standard one holds only a tag.
const NAME: &str = "io.containerd.image.name";
const TAG: &str = "org.opencontainers.image.ref.name";

/// How a layer is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    Plain,
    Gzip(Effort),
}

/// A layer that an archive holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    descriptor: Value,
    diff_id: String,
}

/// One image over some layers, the lowest first.
#[derive(Debug, Clone)]
pub struct Image<'a> {
    /// `REPOSITORY:TAG`
    pub name: &'a str,
    pub layers: &'a [Layer],
    /// The `config` of the OCI image configuration.
    pub settings: Value,
    pub annotations: BTreeMap<String, String>,
}

/// An OCI image layout under construction.
#[derive(Default)]
pub struct Layout {
    /// Sorted, so that the order of building leaves no trace.
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: Vec<Value>,
}

impl Layout {
    pub fn layer(&mut self, tar: Vec<u8>, packing: Packing) -> Layer {
        let diff_id = format!("sha256:{}", sha256(&tar));
        let descriptor = match packing {
            Packing::Plain => self.blob("application/vnd.oci.image.layer.v1.tar", tar),
            Packing::Gzip(effort) => {
                self.blob("application/vnd.oci.image.layer.v1.tar+gzip", gzip(&tar, effort))
            }
        };
        Layer { descriptor, diff_id }
    }

    /// Adds the image; returns the digest of its manifest.
    pub fn image(&mut self, image: &Image<'_>) -> String {
        let diff_ids: Vec<&str> = image.layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        let config = json!({
            "architecture": go_architecture(),
            "os": "linux",
            "config": image.settings,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = self.blob(CONFIG, config.to_string().into_bytes());
        let layers: Vec<&Value> = image.layers.iter().map(|layer| &layer.descriptor).collect();
        let mut manifest =
            json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        if !image.annotations.is_empty() {
            manifest["annotations"] = json!(image.annotations);
        }
        let mut descriptor = self.blob(MANIFEST, manifest.to_string().into_bytes());
        let mut names = Map::new();
        names.insert(NAME.to_owned(), image.name.into());
        if let Some((_, tag)) = image.name.rsplit_once(':') {
            names.insert(TAG.to_owned(), tag.into());
        }
        descriptor["annotations"] = Value::Object(names);
        let digest = descriptor["digest"].as_str().unwrap_or_default().to_owned();
        self.manifests.push(descriptor);
        digest
    }

    pub fn finish(self) -> Vec<u8> {
        let mut archive = Tar::default();
        archive.file("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#);
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": self.manifests });
        archive.file("index.json", 0o644, index.to_string().as_bytes());
        for (digest, bytes) in &self.blobs {
            archive.file(&format!("blobs/sha256/{digest}"), 0o644, bytes);
        }
        archive.finish()
    }

    /// Keeps the bytes; returns their descriptor.
    fn blob(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest = sha256(&bytes);
        let descriptor =
            json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len() });
        self.blobs.insert(digest, bytes);
        descriptor
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

    #[test]
    fn every_descriptor_leads_to_a_blob_of_its_size() {
        let mut layout = Layout::default();
        let plain = layout.layer(b"tar".to_vec(), Packing::Plain);
        let packed = layout.layer(b"tar".to_vec(), Packing::Gzip(Effort::Fast));
        assert_eq!(plain.diff_id, packed.diff_id, "it names what is inside");
        for (name, layer) in [("c7n.local/one:1", &plain), ("c7n.local/one:2", &packed)] {
            layout.image(&Image {
                name,
                layers: std::slice::from_ref(layer),
                settings: json!({}),
                annotations: BTreeMap::new(),
            });
        }

        assert_eq!(
            layout.blobs.len(),
            2 + 2 + 1,
            "layers, manifests, one configuration"
        );
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
            assert_eq!(
                config["rootfs"]["diff_ids"][0],
                format!("sha256:{}", sha256(b"tar"))
            );
            blob(&manifest["layers"][0]);
        }
    }

    #[test]
    fn the_same_content_gives_the_same_bytes_and_other_content_gives_others() {
        let archive = |content: &[u8]| {
            let mut layout = Layout::default();
            let layers = [layout.layer(content.to_vec(), Packing::Gzip(Effort::Fast))];
            layout.image(&Image {
                name: "c7n.local/one:1",
                layers: &layers,
                settings: json!({ "User": "1" }),
                annotations: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            });
            layout.finish()
        };
        assert_eq!(archive(b"one"), archive(b"one"));
        assert_ne!(archive(b"one"), archive(b"two"));
    }
}
