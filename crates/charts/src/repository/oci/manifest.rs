//! The manifest of a chart in a registry.

use serde::Deserialize;

use crate::Digest;

const CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
const CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// What Helm before 3.7 wrote.
const OLD_CHART: &str = "application/tar+gzip";
const PROVENANCE: &str = "application/vnd.cncf.helm.chart.provenance.v1.prov";

/// What is asked for. An index of manifests is no chart.
pub(super) const ACCEPT: &str =
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    pub chart: Blob,
    pub provenance: Option<Blob>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blob {
    pub digest: Digest,
    pub size: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ManifestError {
    /// Something else than a chart; its media type.
    NotAChart(String),
    Unreadable(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    media_type: String,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
}

impl Manifest {
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let document: Document =
            serde_json::from_slice(bytes).map_err(|error| ManifestError::Unreadable(error.to_string()))?;
        let config = document.config.map(|config| config.media_type);
        match config.as_deref() {
            Some(CONFIG) => {}
            Some(other) => return Err(ManifestError::NotAChart(shorten(other))),
            None => return Err(ManifestError::NotAChart(shorten(&document.media_type))),
        }
        let blob = |types: &[&str]| {
            document
                .layers
                .iter()
                .find(|layer| types.contains(&layer.media_type.as_str()))
                .map(|layer| {
                    let digest = layer.digest.parse().map_err(|_| {
                        ManifestError::Unreadable(format!(
                            "`{}` is not a SHA-256 digest",
                            shorten(&layer.digest)
                        ))
                    })?;
                    Ok(Blob {
                        digest,
                        size: layer.size,
                    })
                })
                .transpose()
        };
        Ok(Self {
            chart: blob(&[CHART, OLD_CHART])?
                .ok_or_else(|| ManifestError::Unreadable("it has no layer with the chart".to_owned()))?,
            provenance: blob(&[PROVENANCE])?,
        })
    }
}

fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn the_layers_of_a_chart_are_found() {
        let text = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"{CONFIG}","digest":"{DIGEST}","size":1}},"layers":[
              {{"mediaType":"{PROVENANCE}","digest":"{DIGEST}","size":2}},{{"mediaType":"{CHART}","digest":"{DIGEST}","size":3}}]}}"#
        );

        let manifest = Manifest::parse(text.as_bytes()).unwrap();

        assert_eq!(
            (manifest.chart.size, manifest.provenance.map(|blob| blob.size)),
            (3, Some(2))
        );
    }

    #[test]
    fn what_is_no_chart_says_what_it_is() {
        let image =
            r#"{"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"x","size":1}}"#;
        assert_eq!(
            Manifest::parse(image.as_bytes()),
            Err(ManifestError::NotAChart(
                "application/vnd.oci.image.config.v1+json".to_owned()
            ))
        );
        for text in [
            "".to_owned(),
            "<html>".to_owned(),
            format!(r#"{{"config":{{"mediaType":"{CONFIG}","digest":"x","size":1}},"layers":[]}}"#),
            format!(
                r#"{{"config":{{"mediaType":"{CONFIG}","digest":"x","size":1}},"layers":[{{"mediaType":"{CHART}","digest":"sha512:1","size":1}}]}}"#
            ),
        ] {
            let refused = Manifest::parse(text.as_bytes());
            assert!(
                matches!(refused, Err(ManifestError::Unreadable(_))),
                "{refused:?}"
            );
        }
    }
}
