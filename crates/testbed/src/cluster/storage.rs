//! Volumes: a pool of folders below the cluster's folder, and the default storage class they belong to.
//!
//! Claims bind at once to the smallest volume that fits. A volume whose claim goes is emptied and used again. Sizes are
//! a promise only: nothing limits what is written.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

const CLASS: &str = "local";
const SMALL: usize = 12;
const LARGE: usize = 4;

/// The folders are made, and described to Kubernetes.
pub fn create_pool(folder: &Path) -> Result<Vec<Value>> {
    let sizes = std::iter::repeat_n("1Gi", SMALL).chain(std::iter::repeat_n("10Gi", LARGE));
    let mut objects = vec![class()];
    for (number, size) in (1..).zip(sizes) {
        let name = format!("local-{number:02}");
        let path = folder.join("volumes").join(&name);
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        // Pods run as any user, and host paths know no fsGroup. Nobody else gets in: the cluster's folder is private.
        fs::set_permissions(&path, Permissions::from_mode(0o777))?;
        objects.push(volume(&name, &path, size));
    }
    Ok(objects)
}

fn class() -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": CLASS,
            "annotations": { "storageclass.kubernetes.io/is-default-class": "true" },
        },
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "Immediate",
    })
}

fn volume(name: &str, path: &Path, size: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": { "name": name },
        "spec": {
            "storageClassName": CLASS,
            "capacity": { "storage": size },
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Recycle",
            "hostPath": { "path": path, "type": "Directory" },
        },
    })
}
