//! What a connection may cost before anybody has said who they are: some KiB and some seconds.
//!
//! Until its first request has come whole, a connection is held to both; a peer that sends a byte now and then, or headers
//! without an end, is cut off.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::Next;
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;

const BUDGET: usize = 16 << 10;

pub struct Threshold {
    listener: TcpListener,
    patience: Duration,
}

/// From where a connection comes, and whether it has said something.
#[derive(Clone)]
pub struct Arrival {
    address: SocketAddr,
    heard: Arc<AtomicBool>,
}

pub struct Arriving {
    stream: TcpStream,
    heard: Arc<AtomicBool>,
    /// Gone once a request has come.
    limits: Option<Limits>,
}

struct Limits {
    deadline: Pin<Box<Sleep>>,
    taken: usize,
}

impl Threshold {
    pub fn new(listener: TcpListener, patience: Duration) -> Self {
        Self { listener, patience }
    }
}

impl Listener for Threshold {
    type Io = Arriving;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Arriving, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection stays without TCP_NODELAY");
        }
        let arriving = Arriving {
            stream,
            heard: Arc::default(),
            limits: Some(Limits {
                deadline: Box::pin(tokio::time::sleep(self.patience)),
                taken: 0,
            }),
        };
        (arriving, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Threshold>> for Arrival {
    fn connect_info(stream: IncomingStream<'_, Threshold>) -> Self {
        Self {
            address: *stream.remote_addr(),
            heard: Arc::clone(&stream.io().heard),
        }
    }
}

/// A request has come: its connection is held to nothing more.
pub async fn heard(mut request: Request, next: Next) -> Response {
    if let Some(ConnectInfo(arrival)) = request.extensions_mut().remove::<ConnectInfo<Arrival>>() {
        arrival.heard.store(true, Ordering::Release);
        request.extensions_mut().insert(ConnectInfo(arrival.address));
    }
    next.run(request).await
}

impl Arriving {
    fn poll_limits(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(limits) = &mut self.limits else {
            return Ok(());
        };
        if self.heard.load(Ordering::Acquire) {
            self.limits = None;
            return Ok(());
        }
        if limits.taken > BUDGET {
            return Err(io::Error::other("the first request is too long"));
        }
        match limits.deadline.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Arriving {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Err(error) = self.poll_limits(cx) {
            return Poll::Ready(Err(error));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Some(limits) = &mut self.limits {
            limits.taken += buf.filled().len() - before;
        }
        polled
    }
}

impl AsyncWrite for Arriving {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
