//! The programs a local cluster runs, and the product's own Helm worker, each built once from a Go module of this
//! repository and kept in a cache.
//!
//! In: the Go modules (their files name every version and checksum). Out: the path of a program that runs.
//! Never: a program from the internet that was built by someone else, or a second build of the same one.

mod build;
mod cache;
pub mod packages;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

pub use cache::cache_folder;

/// Kubernetes 1.34 is the newest line whose kubelet accepts cgroup v1.
pub const KUBERNETES_VERSION: &str = "v1.34.4";

const ETCD_VERSION: &str = "v3.6.8";
const KWOK_VERSION: &str = "v0.7.0";
const HELM_VERSION: &str = "v4.3.1";
const REGISTRY_VERSION: &str = "v3.1.2";

/// A program that is built from a Go module of this repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Program {
    Etcd,
    KubeApiserver,
    KubeControllerManager,
    KubeScheduler,
    Kubelet,
    Kubectl,
    Kwok,
    Helm,
    /// Ours, and part of the product: changes releases for the agent.
    HelmWorker,
    /// A container registry, for charts.
    Registry,
    /// Ours: the image that holds a pod's namespaces.
    Pause,
    /// Ours: the application that demo and tests deliver.
    Sample,
}

/// How a program is built.
pub(crate) struct Recipe {
    /// Folder of the Go module, from the root of the repository.
    pub module: &'static str,
    /// Go package of the command.
    pub package: &'static str,
    pub version: &'static str,
    pub linker_flags: String,
    /// A cold build on two cores, to tell the user what to expect.
    pub expected: Duration,
}

impl Program {
    pub const ALL: [Program; 12] = [
        Program::Etcd,
        Program::KubeApiserver,
        Program::KubeControllerManager,
        Program::KubeScheduler,
        Program::Kubelet,
        Program::Kubectl,
        Program::Kwok,
        Program::Helm,
        Program::HelmWorker,
        Program::Registry,
        Program::Pause,
        Program::Sample,
    ];

    /// The file's name.
    pub fn name(self) -> &'static str {
        match self {
            Program::Etcd => "etcd",
            Program::KubeApiserver => "kube-apiserver",
            Program::KubeControllerManager => "kube-controller-manager",
            Program::KubeScheduler => "kube-scheduler",
            Program::Kubelet => "kubelet",
            Program::Kubectl => "kubectl",
            Program::Kwok => "kwok",
            Program::Helm => "helm",
            Program::HelmWorker => "c7n-helm",
            Program::Registry => "registry",
            Program::Pause => "pause",
            Program::Sample => "sample",
        }
    }

    pub(crate) fn recipe(self) -> Recipe {
        let kubernetes = |package, seconds| Recipe {
            module: "tools/kubernetes",
            package,
            version: KUBERNETES_VERSION,
            linker_flags: kubernetes_linker_flags(),
            expected: Duration::from_secs(seconds),
        };
        let plain = |module, package, version, seconds| Recipe {
            module,
            package,
            version,
            linker_flags: "-s -w".to_owned(),
            expected: Duration::from_secs(seconds),
        };
        match self {
            Program::KubeApiserver => kubernetes("k8s.io/kubernetes/cmd/kube-apiserver", 184),
            Program::KubeControllerManager => kubernetes("k8s.io/kubernetes/cmd/kube-controller-manager", 48),
            Program::KubeScheduler => kubernetes("k8s.io/kubernetes/cmd/kube-scheduler", 5),
            Program::Kubelet => kubernetes("k8s.io/kubernetes/cmd/kubelet", 16),
            Program::Kubectl => kubernetes("k8s.io/kubernetes/cmd/kubectl", 21),
            Program::Etcd => plain("tools/etcd", "go.etcd.io/etcd/server/v3", ETCD_VERSION, 23),
            Program::Helm => plain("tools/helm", "helm.sh/helm/v4/cmd/helm", HELM_VERSION, 72),
            Program::HelmWorker => plain("helm", ".", HELM_VERSION, 80),
            Program::Registry => plain("tools/registry", ".", REGISTRY_VERSION, 40),
            Program::Kwok => Recipe {
                linker_flags: format!("-s -w -X sigs.k8s.io/kwok/pkg/consts.Version={KWOK_VERSION}"),
                ..plain("tools/kwok", "sigs.k8s.io/kwok/cmd/kwok", KWOK_VERSION, 59)
            },
            Program::Pause => plain("tools/images", "./pause", "1", 1),
            Program::Sample => plain("tools/images", "./sample", "1", 2),
        }
    }
}

/// Released programs get their version from the linker; without it clients refuse to compare versions.
fn kubernetes_linker_flags() -> String {
    let version = "k8s.io/component-base/version";
    let client = "k8s.io/client-go/pkg/version";
    [
        ("gitVersion", KUBERNETES_VERSION),
        ("gitMajor", "1"),
        ("gitMinor", "34"),
        ("gitCommit", "from-go-module"),
        ("gitTreeState", "clean"),
    ]
    .iter()
    .fold("-s -w".to_owned(), |flags, (field, value)| {
        format!("{flags} -X {version}.{field}={value} -X {client}.{field}={value}")
    })
}

/// The program's path; builds it first if this machine has not got it yet.
pub async fn ensure(program: Program) -> Result<PathBuf> {
    tokio::task::spawn_blocking(move || build::ensure_blocking(program))
        .await
        .context("the build was cancelled")?
}

/// The paths of several programs, in the order asked for. One after another: a Go build takes every core by itself.
pub async fn ensure_each(programs: &[Program]) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::with_capacity(programs.len());
    for program in programs {
        paths.push(ensure(*program).await?);
    }
    Ok(paths)
}

/// Builds whatever is missing.
pub async fn ensure_all() -> Result<()> {
    ensure_each(&Program::ALL).await.map(|_| ())
}
