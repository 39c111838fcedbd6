//! How the API server is reached, and which cluster it is.

use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Node};
use kube::api::ListParams;
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};

use crate::config::Config;
use crate::lease::{Fence, FenceLayer};

/// An ordinary call must be answered in this time. Watches have their own.
pub const CALL_DEADLINE: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error("cannot use the kubeconfig {path}: {cause}; check --kubeconfig and --context")]
    Kubeconfig {
        path: PathBuf,
        cause: kube::config::KubeconfigError,
    },
    #[error(
        "this program does not run in a pod with a service account ({0}); give it a kubeconfig with --kubeconfig FILE"
    )]
    NotInCluster(kube::config::InClusterError),
    #[error("the API server did not answer within {} s while the agent asked for {asked}", CALL_DEADLINE.as_secs())]
    Timeout { asked: &'static str },
    #[error("the API server refused {asked}: {cause}")]
    Refused {
        asked: &'static str,
        cause: Box<kube::Error>,
    },
    #[error("the namespace kube-system has no uid, so that this cluster cannot be told from others")]
    NoUid,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    pub name: String,
    pub ready: bool,
    pub kubelet_version: String,
}

impl ClusterError {
    /// Whether only a person can put it right.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Kubeconfig { .. } | Self::NotInCluster(_) | Self::NoUid => true,
            Self::Timeout { .. } => false,
            Self::Refused { .. } => self.is_status(401) || self.is_status(403),
        }
    }

    /// Whether the API server answered with this HTTP status.
    pub fn is_status(&self, code: u16) -> bool {
        matches!(self, Self::Refused { cause, .. } if matches!(&**cause, kube::Error::Api(status) if status.code == code))
    }
}

/// A client of the API server and what does not change while the agent runs.
#[derive(Clone)]
pub struct ClusterAccess {
    client: Client,
    plain: Client,
    /// For what is written by a copy that does not lead: the Lease.
    unfenced: Client,
    uid: String,
    own_namespace: Option<String>,
}

impl ClusterAccess {
    pub async fn connect(config: &Config, fence: &Fence) -> Result<Self, ClusterError> {
        let settings = settings(config).await?;
        let (client, plain, unfenced) = clients(settings, fence)?;
        // The uid of kube-system is what identifies a cluster: it is made once and survives upgrades and renames.
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let system = deadline(
            "the namespace kube-system",
            namespaces.get_metadata("kube-system"),
        )
        .await?;
        let uid = system.metadata.uid.ok_or(ClusterError::NoUid)?;
        let own_namespace = Self::own_namespace_of(config);
        Ok(Self {
            client,
            plain,
            unfenced,
            uid,
            own_namespace,
        })
    }

    /// The namespace of the pod. A kubeconfig names one as well, which is not the agent's.
    pub fn own_namespace_of(config: &Config) -> Option<String> {
        if config.kubeconfig.is_some() {
            return None;
        }
        kube::Config::incluster()
            .ok()
            .map(|settings| settings.default_namespace)
    }

    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// One that never repeats a call by itself: whoever has many to make must hear that the API server is busy, and give
    /// the place to others meanwhile.
    pub fn plain_client(&self) -> Client {
        self.plain.clone()
    }

    pub fn unfenced(&self) -> Client {
        self.unfenced.clone()
    }

    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// The namespace that the agent itself runs in, if it runs in the cluster.
    pub fn own_namespace(&self) -> Option<&str> {
        self.own_namespace.as_deref()
    }

    pub async fn version(&self) -> Result<String, ClusterError> {
        Ok(deadline("its version", self.client.apiserver_version())
            .await?
            .git_version)
    }

    pub async fn nodes(&self) -> Result<Vec<NodeInfo>, ClusterError> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let list = deadline("its nodes", nodes.list(&ListParams::default())).await?;
        let mut nodes: Vec<NodeInfo> = list.items.into_iter().map(node_info).collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(nodes)
    }
}

async fn settings(config: &Config) -> Result<kube::Config, ClusterError> {
    let Some(path) = &config.kubeconfig else {
        return kube::Config::incluster().map_err(ClusterError::NotInCluster);
    };
    let refused = |cause| ClusterError::Kubeconfig {
        path: path.clone(),
        cause,
    };
    let kubeconfig = Kubeconfig::read_from(path).map_err(refused)?;
    let names_proxy = kubeconfig
        .clusters
        .iter()
        .filter_map(|named| named.cluster.as_ref())
        .any(|cluster| cluster.proxy_url.is_some());
    let options = KubeConfigOptions {
        context: config.context.clone(),
        ..Default::default()
    };
    let mut settings = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(refused)?;
    if !names_proxy {
        // HTTPS_PROXY is the way to the platform; the API server is never asked through it, as in a pod.
        settings.proxy_url = None;
    }
    Ok(settings)
}

/// One that asks a busy API server again, as a single call wants it; one that does not; and one without the fence.
fn clients(mut settings: kube::Config, fence: &Fence) -> Result<(Client, Client, Client), ClusterError> {
    let refused = |cause| ClusterError::Refused {
        asked: "a client",
        cause: Box::new(cause),
    };
    let fenced = |settings: kube::Config| {
        let builder = ClientBuilder::try_from(settings).map_err(refused)?;
        Ok(builder.with_layer(&FenceLayer(fence.clone())).build())
    };
    let unfenced = Client::try_from(settings.clone()).map_err(refused)?;
    let client = fenced(settings.clone())?;
    settings.default_retry = false;
    Ok((client, fenced(settings)?, unfenced))
}

fn node_info(node: Node) -> NodeInfo {
    let status = node.status.unwrap_or_default();
    NodeInfo {
        name: node.metadata.name.unwrap_or_default(),
        ready: status
            .conditions
            .iter()
            .flatten()
            .any(|it| it.type_ == "Ready" && it.status == "True"),
        kubelet_version: status
            .node_info
            .map(|info| info.kubelet_version)
            .unwrap_or_default(),
    }
}

/// Runs one call under the deadline that every call has.
pub(crate) async fn deadline<T>(
    asked: &'static str,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, ClusterError> {
    match tokio::time::timeout(CALL_DEADLINE, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(cause)) => Err(ClusterError::Refused {
            asked,
            cause: Box::new(cause),
        }),
        Err(_) => Err(ClusterError::Timeout { asked }),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_plain_client_tells_at_once_that_the_server_is_busy() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (asked, mut calls) = tokio::sync::mpsc::channel(16);
        let server = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let _ = socket.read(&mut [0; 4096]).await;
                let _ = asked.send(()).await;
                let busy = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 4\r\n\
                            Connection: close\r\n\r\nbusy";
                let _ = socket.write_all(busy.as_bytes()).await;
            }
        });
        let (_, plain, _) = clients(kube::Config::new(url.parse().unwrap()), &Fence::open()).unwrap();

        let namespaces: Api<Namespace> = Api::all(plain);
        let refused = namespaces.get("default").await.unwrap_err();

        assert!(
            matches!(&refused, kube::Error::Api(status) if status.code == 429),
            "{refused}"
        );
        assert!(calls.recv().await.is_some());
        assert!(calls.try_recv().is_err(), "asked once");
        server.abort();
    }
}
