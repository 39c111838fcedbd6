//! Kubeconfigs with everything inside: no other file is needed to use one. JSON is YAML, so these are JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::certificates::Identity;

pub fn render(cluster: &str, api_port: u16, authority_pem: &str, identity: &Identity) -> Vec<u8> {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": cluster, "cluster": {
            "server": format!("https://127.0.0.1:{api_port}"),
            "certificate-authority-data": STANDARD.encode(authority_pem),
        }}],
        "users": [{ "name": cluster, "user": {
            "client-certificate-data": STANDARD.encode(&identity.certificate),
            "client-key-data": STANDARD.encode(&identity.key),
        }}],
        "contexts": [{ "name": cluster, "context": { "cluster": cluster, "user": cluster } }],
        "current-context": cluster,
    });
    format!("{config:#}\n").into_bytes()
}
