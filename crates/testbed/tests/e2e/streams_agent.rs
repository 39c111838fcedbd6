//! The agent's end of logs, exec and port-forward on a real kubelet; the platform and the person are played.

mod exec;
mod leaks;
mod logs;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use c7n_agent::cluster::ClusterAccess;
use c7n_agent::config::{Config, Token};
use c7n_agent::lease::Fence;
use c7n_agent::session::Door;
use c7n_agent::streams::{ExecIs, Streams};
use c7n_link::messages::{OpenStream, Wish};
use c7n_testbed::ends::seam::{self, Line, PATIENCE, Seam};
use c7n_testbed::stack::{Kubectl, eventually};
use clap::Parser;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::stand::TestCluster;

const ENVIRONMENT: &str = "e1";

/// The agent's streams over a namespace of their own.
struct Ground {
    streams: Streams,
    tracker: TaskTracker,
    shutdown: CancellationToken,
    seam: Seam,
    api: CountedWay,
    kubectl: Kubectl,
    namespace: String,
}

impl Ground {
    /// `None` where containers do not run.
    async fn start(name: &str, exec: ExecIs) -> Result<Option<Self>> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let kubectl = TestCluster::A.kubectl()?;
        let nodes = kubectl.run(&[
            "get",
            "nodes",
            "-o",
            "jsonpath={.items[*].status.nodeInfo.kubeletVersion}",
        ]);
        if nodes.await?.split(' ').all(|version| version.starts_with("kwok")) {
            eprintln!("NOT RUN: streams need a real node, and cluster A has none");
            return Ok(None);
        }
        let namespace = format!("streams-{name}-{}", std::process::id());
        kubectl.run(&["create", "namespace", &namespace]).await?;
        let api = CountedWay::open().await?;
        let config = Config::try_parse_from([
            "c7n-agent",
            "--connect=ws://127.0.0.1:1/agent/",
            "--cluster-id=c1",
            "--kubeconfig",
            api.kubeconfig.path().to_str().context("a plain path")?,
        ])?;
        let access = ClusterAccess::connect(&config, &Fence::open()).await?;
        let seam = Seam::start().await?;
        let door = Door::new(&seam.connect(), None, 1 << 20)?;
        // Kept by the sender's clones in the receivers: nothing changes it.
        let credential = watch::Sender::new(Some(Token::new(seam::CREDENTIAL))).subscribe();
        let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let home = namespace.clone();
        let streams = Streams::new(
            door,
            credential,
            &access,
            Arc::new(move |id| (id.as_str() == ENVIRONMENT).then(|| home.clone())),
            exec,
            tracker.clone(),
            shutdown.clone(),
        );
        Ok(Some(Self {
            streams,
            tracker,
            shutdown,
            seam,
            api,
            kubectl,
            namespace,
        }))
    }

    /// A pod of the sample image whose containers run these scripts, and are there.
    async fn pod(&self, name: &str, more: &str, containers: &[(&str, &str)]) -> Result<()> {
        let containers: Vec<String> = containers
            .iter()
            .map(|(name, script)| {
                format!(
                    "{{name: {name}, image: \"c7n.local/sample:1\", imagePullPolicy: IfNotPresent, command: [sh, -c, {script:?}]}}"
                )
            })
            .collect();
        self.raw_pod(name, more, &containers.join(", ")).await
    }

    async fn raw_pod(&self, name: &str, more: &str, containers: &str) -> Result<()> {
        let manifest = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {}, labels: {{app: {name}, choerodon.io/release: rel-{name}}}}}\n\
             spec:\n  terminationGracePeriodSeconds: 0\n  automountServiceAccountToken: false\n{more}  containers: [{containers}]\n",
            self.namespace
        );
        eventually("the namespace takes pods", PATIENCE, || {
            self.kubectl.apply(&manifest)
        })
        .await?;
        eventually(&format!("the pod {name} was started"), PATIENCE, || async {
            let pod = self
                .kubectl
                .json(&["-n", &self.namespace, "get", "pod", name])
                .await?;
            ensure!(pod["status"]["phase"] != "Pending", "it is {}", pod["status"]);
            Ok(())
        })
        .await
    }

    /// The platform asks for a stream, and hands over the person's line to it.
    async fn open(&self, wish: Wish) -> Result<Line> {
        self.open_as("", ENVIRONMENT, wish).await
    }

    async fn open_as(&self, user: &str, environment: &str, wish: Wish) -> Result<Line> {
        let (ticket, line) = self.seam.expect();
        self.streams.open(OpenStream {
            stream_id: "s".into(),
            ticket,
            environment_id: environment.into(),
            reviewed_user: user.into(),
            wish: Some(wish),
        });
        line.seated().await
    }

    /// Everything ends, and the namespace goes.
    async fn end(self) -> Result<()> {
        self.shutdown.cancel();
        self.tracker.close();
        tokio::time::timeout(PATIENCE, self.tracker.wait())
            .await
            .context("a stream does not end")?;
        self.kubectl
            .run(&["delete", "namespace", &self.namespace, "--wait=false"])
            .await?;
        Ok(())
    }
}

/// A way to the API server that knows how many connections go over it.
struct CountedWay {
    kubeconfig: tempfile::NamedTempFile,
    open: Arc<AtomicUsize>,
    _forwarding: JoinSet<()>,
}

impl CountedWay {
    async fn open() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let text = std::fs::read_to_string(TestCluster::A.kubeconfig()?)?;
        let server = "https://127.0.0.1:";
        let (_, rest) = text.split_once(server).context("the kubeconfig names a server")?;
        let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let here = format!("{server}{}", listener.local_addr()?.port());
        let kubeconfig = tempfile::NamedTempFile::new()?;
        std::fs::write(&kubeconfig, text.replace(&format!("{server}{port}"), &here))?;
        let open = Arc::new(AtomicUsize::new(0));
        let count = open.clone();
        let port: u16 = port.parse()?;
        let mut forwarding = JoinSet::new();
        forwarding.spawn(async move {
            let mut ways = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let count = count.clone();
                count.fetch_add(1, Ordering::SeqCst);
                ways.spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await {
                        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    }
                    count.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Ok(Self {
            kubeconfig,
            open,
            _forwarding: forwarding,
        })
    }

    fn connections(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}
