//! Which kinds are watched: those that every environment contains (R17), and those that were applied. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::{KindInfo, KindName, Kinds};

/// Group and kind. The last two are watched where their definitions are installed.
const ALWAYS: [(&str, &str); 18] = [
    ("", "Namespace"),
    ("", "ConfigMap"),
    ("", "Secret"),
    ("", "PersistentVolumeClaim"),
    ("", "PersistentVolume"),
    ("", "Service"),
    ("", "Pod"),
    ("", "Event"),
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "DaemonSet"),
    ("apps", "ReplicaSet"),
    ("batch", "Job"),
    ("batch", "CronJob"),
    ("discovery.k8s.io", "EndpointSlice"),
    ("networking.k8s.io", "Ingress"),
    ("choerodon.io", "C7NHelmRelease"),
    ("cert-manager.io", "Certificate"),
];

/// The kinds that need not be asked for.
pub fn always() -> BTreeSet<KindName> {
    ALWAYS
        .iter()
        .map(|(group, kind)| KindName::new(*group, *kind))
        .collect()
}

/// What the cluster offers of the kinds that are always watched and of those that were asked for.
pub fn to_watch(kinds: &Kinds, asked: &BTreeSet<KindName>) -> BTreeMap<KindName, KindInfo> {
    ALWAYS
        .iter()
        .map(|(group, kind)| KindName::new(*group, *kind))
        .chain(asked.iter().cloned())
        .filter_map(|name| {
            let info = kinds.preferred(&name)?;
            (info.can("list") && info.can("watch")).then(|| (name, info.clone()))
        })
        .collect()
}
