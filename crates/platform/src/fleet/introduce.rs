//! Taking an agent in: whether it speaks our language, whether it is in the cluster that its credential is for, and what it must
//! know to begin.

use std::time::Duration;

use c7n_api::Node;
use c7n_link::messages::{ByeCode, CancelCommand, Hello, Say, Welcome};
use c7n_link::{Config, negotiate};
use tokio::time::timeout;

use super::session::{COME_BACK_MS, DELETED, Line, Opened};
use super::specs;
use crate::access::tokens;
use crate::store::{Introduction, Opening, Purpose, StoreError};

/// How long an agent waits for its turn to be introduced before it is asked to come back.
const TURN: Duration = Duration::from_secs(10);

impl Line {
    pub(super) async fn introduce(&mut self, hello: Hello) {
        let Some(protocol) = negotiate(&hello) else {
            let reason = format!(
                "this platform speaks version {} to {} of the dialogue and the agent {} to {}; update the older of the two",
                c7n_link::PROTOCOL_MIN,
                c7n_link::PROTOCOL_MAX,
                hello.protocol_min,
                hello.protocol_max
            );
            self.complain(&format!("its agent was refused: {reason}")).await;
            return self.session.refuse(ByeCode::Incompatible, &reason, 0);
        };
        if hello.cluster_uid.is_empty() {
            let reason = "the agent does not say which cluster it is in; it must be allowed to read the namespace kube-system";
            self.complain(&format!("its agent was refused: {reason}")).await;
            return self.session.refuse(ByeCode::Refused, reason, 0);
        }
        let fleet = self.fleet.clone();
        // The semaphore is never closed.
        let Ok(_turn) = timeout(TURN, fleet.inner.introductions.acquire()).await else {
            let reason = "too many agents connect at this moment";
            return self.session.refuse(ByeCode::Overloaded, reason, COME_BACK_MS);
        };
        match self.open(&hello, protocol).await {
            Ok(()) => {}
            Err(error) => {
                tracing::error!(%error, "a session could not be opened");
                self.session.refuse(
                    ByeCode::Overloaded,
                    "the platform's database cannot answer at this moment",
                    COME_BACK_MS,
                );
            }
        }
    }

    /// Leaves a word for the people who look at the cluster.
    async fn complain(&mut self, message: &str) {
        let (cluster, store) = (&self.credential.cluster_id, &self.fleet.inner.store);
        let told = async {
            let mut tx = store.write().await?;
            tx.cluster_message(cluster, Some(message)).await?;
            tx.commit().await
        };
        if let Err(error) = told.await {
            tracing::warn!(%cluster, %message, %error, "this could not be stored");
        }
    }

    async fn open(&mut self, hello: &Hello, protocol: u32) -> Result<(), StoreError> {
        let store = self.fleet.inner.store.clone();
        let cluster = self.credential.cluster_id.clone();
        let info = hello.cluster.clone().unwrap_or_default();
        let nodes: Vec<Node> = info.nodes.into_iter().map(node).collect();
        let said = Introduction {
            uid: &hello.cluster_uid,
            agent_version: &hello.agent_version,
            agent_features: &hello.features,
            kubernetes_version: &info.kubernetes_version,
            nodes: &nodes,
        };
        let mut tx = store.write().await?;
        let opening = tx.open_session(&cluster, &said).await?;
        let mut swapped = None;
        if let Opening::Epoch(_) = opening {
            match self.credential.purpose {
                Purpose::Activation => {
                    let issued = tokens::issue();
                    tx.add_session_credential(&cluster, &issued.hash).await?;
                    swapped = Some(issued.token);
                }
                Purpose::Session => tx.consume_activation(&self.credential).await?,
            }
        }
        tx.commit().await?;
        let epoch = match opening {
            Opening::Epoch(epoch) => epoch,
            Opening::Gone => {
                self.session.refuse(ByeCode::Refused, DELETED, 0);
                return Ok(());
            }
            Opening::OtherCluster => {
                let reason = "this credential belongs to another cluster; get one for this cluster with `c7n cluster activation`";
                self.session.refuse(ByeCode::Refused, reason, 0);
                return Ok(());
            }
        };
        tracing::info!(%cluster, epoch, agent = %hello.agent_version, "an agent is connected");
        self.opened = Some(Opened {
            epoch,
            mailbox: self.fleet.present(&cluster, epoch),
        });
        self.plan_rotation(hello);
        if store.newest_epoch(&cluster).await?.is_none() {
            // Deleted before there was a mailbox to tell it to.
            self.session.refuse(ByeCode::Refused, DELETED, 0);
            return Ok(());
        }
        let rows = store.specs(&cluster).await?;
        let welcome = Welcome {
            protocol,
            features: c7n_link::features(),
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            heartbeat_ms: u32::try_from(Config::default().heartbeat_ms).unwrap_or(u32::MAX),
            credential: swapped.unwrap_or_default(),
            environments: rows.iter().map(|row| row.id.clone()).collect(),
        };
        let addresses = store.addresses();
        for row in rows {
            self.session.post(Say::Environment(specs::spec(row, &addresses)));
        }
        // What was called off while nobody was connected.
        for command_id in store.cancelled_commands(&cluster).await? {
            self.session.post(Say::Cancel(CancelCommand { command_id }));
        }
        self.post_commands().await?;
        let now = self.now();
        self.session
            .accept(now, u64::try_from(epoch).unwrap_or_default(), welcome);
        Ok(())
    }
}

pub(super) fn node(node: c7n_link::messages::Node) -> Node {
    Node {
        name: node.name,
        ready: node.ready,
        kubelet_version: node.kubelet_version,
    }
}
