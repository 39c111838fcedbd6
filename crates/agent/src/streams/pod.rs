//! The WebSocket to the API server, behind which a process or a port is, and the pod that it is of.
//!
//! Not kube's `AttachedProcess`: that copies everything through small pipes, and knows no end of the input.

use std::future::poll_fn;
use std::pin::pin;

use bytes::Bytes;
use c7n_stream::{End, EndCode, Finished, Part};
use hyper_util::client::legacy::connect::capture_connection;
use k8s_openapi::api::core::v1::Pod;
use kube::client::Connection;
use kube::{Api, Client, Resource};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::wire::Wire;
use super::{CALL, target, words};

/// Both directions of it.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

pub type PodWire = Wire<Box<dyn Io>>;

/// Kubelets write 32 KiB at once; what is beyond this is none of them.
const LONGEST: usize = 1 << 20;

/// Whether the API server takes the end of a direction (`v5.channel.k8s.io`, since Kubernetes 1.30).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closes {
    Yes,
    No,
}

/// What came of the pod.
#[derive(Debug, PartialEq)]
pub enum Heard {
    Nothing,
    /// Bytes of people, of any length, and on which way.
    Output(Bytes),
    ErrorOutput(Bytes),
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Over {
    /// This is said last, and all is well.
    Finished(Finished),
    /// No more comes of the port.
    OutputEnd,
    Trouble(End),
}

/// What a message of the API server means, and how a part is said to it.
pub trait Channels: Send {
    fn hear(&mut self, message: Bytes) -> Heard;
    /// `None` when there is no way to say it; an error when it is none of a person's.
    fn say(&mut self, part: &Part) -> Result<Option<Bytes>, &'static str>;
    /// The last word was said: the socket will be closed, whoever does it.
    fn has_ended(&self) -> bool;
    /// The socket is closed, for this reason.
    fn over(&mut self, why: &str) -> Over;
}

/// The pod by this name.
pub async fn find(client: &Client, namespace: &str, name: &str) -> Result<Pod, End> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    match timeout(CALL, pods.get_opt(name)).await {
        Ok(Ok(Some(pod))) => Ok(pod),
        Ok(Ok(None)) => Err(no_pod(name, namespace)),
        Ok(Err(error)) => Err(words::refused(&error, &format!("the pod {name}"))),
        Err(_) => Err(words::late(&format!("the pod {name}"))),
    }
}

pub fn no_pod(name: &str, namespace: &str) -> End {
    End::new(
        EndCode::NotFound,
        format!(
            "there is no pod {name} in the namespace {namespace}; its environment's objects are shown by `c7n env objects`"
        ),
    )
}

pub fn request(namespace: &str) -> kube::core::Request {
    kube::core::Request::new(Pod::url_path(&(), Some(namespace)))
}

/// Opens it; `what` is said where that fails. By a client that makes the call once: after a gateway's 504 nobody knows whether
/// the process runs.
pub async fn connect(
    plain: &Client,
    request: http::Request<Vec<u8>>,
    what: &str,
) -> Result<(PodWire, Closes), End> {
    let connection = match timeout(CALL, switched(plain, request)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(words::refused(&error, what)),
        Err(_) => return Err(words::late(what)),
    };
    let closes = if connection.supports_stream_close() {
        Closes::Yes
    } else {
        Closes::No
    };
    // Nothing was read yet, so that the socket can be taken out and put in again with smaller buffers.
    let io: Box<dyn Io> = Box::new(connection.into_stream().into_inner());
    let limits = WebSocketConfig::default()
        .read_buffer_size(16 << 10)
        .write_buffer_size(16 << 10)
        .max_message_size(Some(LONGEST))
        .max_frame_size(Some(LONGEST));
    let socket = WebSocketStream::from_raw_socket(io, Role::Client, Some(limits)).await;
    Ok((Wire::new(socket), closes))
}

/// A connection that was asked to become something else is used for nothing more when it does not: who stands between may
/// think otherwise of it (CVE-2018-1002105).
async fn switched(plain: &Client, mut request: http::Request<Vec<u8>>) -> kube::Result<Connection> {
    let used = capture_connection(&mut request);
    let mut asked = pin!(plain.connect(request));
    poll_fn(|context| {
        let polled = asked.as_mut().poll(context);
        // After each step, since it may be asked for on another connection when the first one turns out to be dead.
        if let Some(connection) = used.connection_metadata().as_ref() {
            connection.poison();
        }
        polled
    })
    .await
}

/// The image of a container, for words.
pub fn image_words(pod: &Pod, container: &str) -> String {
    format!("{container} (image {})", target::image(pod, container))
}
