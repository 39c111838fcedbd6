//! A way that can be cut: every connection through it is dropped in the middle, and the next one works.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

pub struct Cutter {
    pub address: SocketAddr,
    cuts: watch::Sender<u32>,
    closed: Arc<AtomicBool>,
    heard: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Cutter {
    pub async fn start(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (cuts, cut) = watch::channel(0);
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let book = heard.clone();
        let closed = Arc::<AtomicBool>::default();
        let is_closed = closed.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                if is_closed.load(Ordering::SeqCst) {
                    continue;
                }
                let (mut cut, book) = (cut.clone(), book.clone());
                cut.mark_unchanged();
                connections.spawn(async move {
                    tokio::select! {
                        _ = pass(near, target, &book) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Ok(Self {
            address,
            cuts,
            closed,
            heard,
            task,
        })
    }

    /// All connections that are open now.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// All connections that are open now, and those that come until it is opened again.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.cut();
    }

    pub fn open_again(&self) {
        self.closed.store(false, Ordering::SeqCst);
    }

    /// What went towards the target, of all connections.
    pub fn heard(&self) -> Vec<u8> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(mut near: TcpStream, target: SocketAddr, book: &Mutex<Vec<u8>>) -> Result<()> {
    let mut far = TcpStream::connect(target).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (mut near_read, mut near_write) = near.split();
    let (mut far_read, mut far_write) = far.split();
    let there = async {
        let mut chunk = vec![0; 64 << 10];
        loop {
            let count = near_read.read(&mut chunk).await?;
            if count == 0 {
                return far_write.shutdown().await;
            }
            book.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend_from_slice(&chunk[..count]);
            far_write.write_all(&chunk[..count]).await?;
        }
    };
    let back = async {
        tokio::io::copy(&mut far_read, &mut near_write).await?;
        near_write.shutdown().await
    };
    tokio::try_join!(there, back)?;
    Ok(())
}
