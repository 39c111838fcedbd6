//! The agent's streams between a played platform and a played API server: for what a real one of today does not do, and for
//! more of them than a real kubelet carries.

use std::sync::Arc;

use anyhow::{Context, Result};
use c7n_agent::cluster::ClusterAccess;
use c7n_agent::config::{Config, Token};
use c7n_agent::lease::Fence;
use c7n_agent::session::Door;
use c7n_agent::streams::{ExecIs, Streams};
use c7n_link::messages::{LogTarget, OpenStream, ReadLogs, RunProcess, Wish};
use c7n_testbed::ends::api_server::{ApiServer, Exec, POD};
use c7n_testbed::ends::seam::{CREDENTIAL, Line, PATIENCE, Seam};
use clap::Parser;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const ENVIRONMENT: &str = "e1";

pub struct Ground {
    pub streams: Streams,
    pub tracker: TaskTracker,
    pub seam: Seam,
    pub server: ApiServer,
    shutdown: CancellationToken,
}

impl Ground {
    pub async fn start(exec: Exec) -> Result<Self> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let server = ApiServer::start(exec).await?;
        let kubeconfig = tempfile::NamedTempFile::new()?;
        std::fs::write(&kubeconfig, server.kubeconfig().to_string())?;
        let config = Config::try_parse_from([
            "c7n-agent",
            "--connect=ws://127.0.0.1:1/agent/",
            "--cluster-id=c1",
            "--kubeconfig",
            kubeconfig.path().to_str().context("a plain path")?,
        ])?;
        let access = ClusterAccess::connect(&config, &Fence::open()).await?;
        let seam = Seam::start().await?;
        let door = Door::new(&seam.connect(), None, 1 << 20)?;
        // Receivers keep what was sent last, and nothing changes it.
        let credential = watch::Sender::new(Some(Token::new(CREDENTIAL))).subscribe();
        let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let streams = Streams::new(
            door,
            credential,
            &access,
            Arc::new(|id| (id.as_str() == ENVIRONMENT).then(|| "shop".to_owned())),
            ExecIs::On,
            tracker.clone(),
            shutdown.clone(),
        );
        Ok(Self {
            streams,
            tracker,
            seam,
            server,
            shutdown,
        })
    }

    pub async fn open(&self, wish: Wish) -> Result<Line> {
        let (ticket, line) = self.seam.expect();
        self.streams.open(OpenStream {
            stream_id: "s".into(),
            ticket,
            environment_id: ENVIRONMENT.into(),
            reviewed_user: String::new(),
            wish: Some(wish),
        });
        line.seated().await
    }

    pub async fn end(self) -> Result<()> {
        self.shutdown.cancel();
        self.tracker.close();
        tokio::time::timeout(PATIENCE, self.tracker.wait())
            .await
            .context("a stream does not end")
    }
}

/// The log of the pod, as it comes.
pub fn follow() -> Wish {
    Wish::Logs(ReadLogs {
        target: Some(LogTarget::Pod(POD.into())),
        follow: true,
        ..ReadLogs::default()
    })
}

pub fn run(command: &str) -> Wish {
    Wish::Exec(RunProcess {
        pod: POD.into(),
        command: vec![command.into()],
        stdin: true,
        ..RunProcess::default()
    })
}
