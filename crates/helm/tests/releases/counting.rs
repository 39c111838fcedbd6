//! A way to the API server that counts: plain HTTP on loopback for a worker, the cluster's credentials behind it. At one
//! chosen call the worker's life ends: the call is carried out, and nobody hears of its answer.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

const LARGEST: usize = 16 << 20;

pub struct CountingProxy {
    pub kubeconfig: PathBuf,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    client: kube::Client,
    seen: AtomicUsize,
    /// The call that is the last.
    last: usize,
    reached: Notify,
}

impl CountingProxy {
    /// The `last`th call is answered to nobody, and no later one is carried out.
    pub async fn start(client: kube::Client, folder: &Path, last: usize) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        std::fs::create_dir_all(folder)?;
        let kubeconfig = folder.join("kubeconfig");
        std::fs::write(
            &kubeconfig,
            format!(
                "{{apiVersion: v1, kind: Config, current-context: c, clusters: [{{name: c, cluster: {{server: \"http://{address}\"}}}}], \
                 users: [{{name: u, user: {{}}}}], contexts: [{{name: c, context: {{cluster: c, user: u}}}}]}}"
            ),
        )?;
        let shared = Arc::new(Shared {
            client,
            seen: AtomicUsize::new(0),
            last,
            reached: Notify::new(),
        });
        let router = Router::new().fallback(carry).with_state(shared.clone());
        let serving = tokio::spawn(async move {
            // It is ended with the proxy.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            kubeconfig,
            shared,
            serving,
        })
    }

    /// Returns when the last call has been carried out.
    pub async fn reached(&self) {
        self.shared.reached.notified().await;
    }
}

impl Drop for CountingProxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn carry(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let number = shared.seen.fetch_add(1, Ordering::SeqCst) + 1;
    if number > shared.last {
        return std::future::pending().await;
    }
    let answer = forward(&shared.client, request).await;
    if number == shared.last {
        shared.reached.notify_one();
        return std::future::pending().await;
    }
    answer.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error.to_string()).into_response())
}

async fn forward(client: &kube::Client, request: Request) -> Result<Response> {
    let (mut head, body) = request.into_parts();
    for name in [header::HOST, header::CONNECTION, header::CONTENT_LENGTH] {
        head.headers.remove(name);
    }
    let body = to_bytes(body, LARGEST).await?.to_vec();
    let answer = client
        .send(Request::from_parts(head, kube::client::Body::from(body)))
        .await?;
    let (mut head, body) = answer.into_parts();
    for name in [header::CONNECTION, header::TRANSFER_ENCODING] {
        head.headers.remove(name);
    }
    Ok(Response::from_parts(head, Body::new(body)))
}
