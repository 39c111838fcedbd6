//! A thousand readers of one log that ticks, through the platform and, in the same run, straight at the API server.
//!
//! Memory is what is resident with all of them open, less what was before the first: buffers that are full for a moment
//! and empty again are in it, because allocators keep them.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use c7n_api::OpenedStream;
use c7n_stream::{Frame, MAX_FRAME, SUBPROTOCOL, TICKET_PROTOCOL};
use futures_util::{AsyncBufReadExt, Stream, StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::{ENVIRONMENT, Stand};
use crate::figures::{Times, round};
use crate::stage::PROJECT;
use crate::usage::{look, resident_mb};

/// Opened at the same time.
const DOORS: usize = 16;
/// How many ticks all of them must see.
const TICKS: usize = 10;
/// For all of them to be open and to see their lines.
const PATIENCE: Duration = Duration::from_secs(600);

pub async fn measure(stand: &Stand, kubeconfig: &Path, readers: usize) -> Result<Value> {
    let server = stand.stage.server.pid().context("the server is away")?;
    let agent = stand.stage.agent_pid()?;
    let programs = || [server, agent].map(|pid| (look(pid).cpu_s, resident_mb(pid)));
    let before = programs();
    eprintln!("{readers} readers at once, through the platform");
    let (ours, after) = through_the_platform(stand, readers, programs).await?;
    eprintln!(
        "  open after {:.1} s; the same straight",
        ours.opened.as_secs_f64()
    );
    let floor = straight(stand, kubeconfig, readers).await?;
    let per_stream = |index: usize| (after[index].1 - before[index].1) * 1024.0 / readers as f64;
    let seconds = |index: usize| after[index].0 - before[index].0;
    Ok(json!({
        "readers": readers,
        "opened_s": round(ours.opened.as_secs_f64()),
        "floor_opened_s": round(floor.opened.as_secs_f64()),
        // From the first of all readers that saw a line to each of the others.
        "spread_p50_ms": round(ours.spread.percentile(0.5)),
        "spread_p99_ms": round(ours.spread.percentile(0.99)),
        "floor_spread_p50_ms": round(floor.spread.percentile(0.5)),
        "floor_spread_p99_ms": round(floor.spread.percentile(0.99)),
        "server_kib_per_stream": round(per_stream(0)),
        "agent_kib_per_stream": round(per_stream(1)),
        "server_cpu_s": round(seconds(0)),
        "agent_cpu_s": round(seconds(1)),
    }))
}

struct Crowd {
    opened: Duration,
    spread: Times,
}

type Seen = (u64, Instant);

/// And what `look_on` sees while all of them are open.
async fn through_the_platform<T>(
    stand: &Stand,
    readers: usize,
    look_on: impl Fn() -> T,
) -> Result<(Crowd, T)> {
    let client = reqwest::Client::new();
    let open = async || {
        let socket = seat(stand, &client).await?;
        Ok(stream::try_unfold(socket, async |mut socket| {
            Ok(next_bytes(&mut socket).await?.map(|bytes| (bytes, socket)))
        }))
    };
    crowd(open, readers, look_on).await
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn seat(stand: &Stand, client: &reqwest::Client) -> Result<Socket> {
    let first_run = stand.stage.server.first_run();
    let url = format!(
        "{}/api/v1/projects/{PROJECT}/environments/{ENVIRONMENT}/streams",
        first_run.url
    );
    let wish = json!({"kind": "logs", "target": {"pod": "clock"}, "follow": true, "tail": 1});
    let answer = client
        .post(url)
        .bearer_auth(&first_run.token)
        .json(&wish)
        .send()
        .await?;
    ensure!(
        answer.status().is_success(),
        "{}: {}",
        answer.status(),
        answer.text().await?
    );
    let opened: OpenedStream = answer.json().await?;
    let address = format!("{}{}", first_run.url.replacen("http", "ws", 1), opened.path);
    let mut request = address.into_client_request()?;
    let protocols = format!("{SUBPROTOCOL}, {TICKET_PROTOCOL}{}", opened.ticket);
    request
        .headers_mut()
        .insert("sec-websocket-protocol", HeaderValue::try_from(protocols)?);
    let config = WebSocketConfig::default()
        .read_buffer_size(4 << 10)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_FRAME));
    let (socket, _) = tokio_tungstenite::connect_async_with_config(request, Some(config), true).await?;
    Ok(socket)
}

async fn next_bytes(socket: &mut Socket) -> Result<Option<Bytes>> {
    loop {
        let Some(message) = socket.next().await else {
            return Ok(None);
        };
        if let Message::Binary(frame) = message? {
            match Frame::decode(frame)? {
                Frame::LogBytes(log) => return Ok(Some(log.bytes)),
                Frame::End(end) => bail!("it ended: {}", end.message),
                _ => {}
            }
        }
    }
}

/// Tells of each whole line; false when nobody wants to hear more.
async fn take(bytes: &[u8], tail: &mut Vec<u8>, sender: &mpsc::Sender<Seen>) -> bool {
    let now = Instant::now();
    tail.extend_from_slice(bytes);
    while let Some(end) = tail.iter().position(|byte| *byte == b'\n') {
        let line: Vec<u8> = tail.drain(..=end).collect();
        let tick = String::from_utf8_lossy(&line)
            .trim()
            .strip_prefix("tick ")
            .and_then(|number| number.parse().ok());
        if let Some(tick) = tick
            && sender.send((tick, now)).await.is_err()
        {
            return false;
        }
    }
    true
}

async fn straight(stand: &Stand, kubeconfig: &Path, readers: usize) -> Result<Crowd> {
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(Kubeconfig::read_from(kubeconfig)?, &options).await?;
    let api: Api<Pod> = Api::namespaced(Client::try_from(config)?, &stand.namespace);
    let parameters = LogParams {
        follow: true,
        tail_lines: Some(1),
        ..LogParams::default()
    };
    let open = async || {
        let lines = api.log_stream("clock", &parameters).await?.lines();
        Ok(lines.err_into().map_ok(|line| Bytes::from(line + "\n")))
    };
    Ok(crowd(open, readers, || ()).await?.0)
}

/// Opens them all while what the first of them see is counted already. They end when this does: nobody hears them any more.
async fn crowd<T, S>(
    open: impl AsyncFn() -> Result<S>,
    readers: usize,
    look_on: impl Fn() -> T,
) -> Result<(Crowd, T)>
where
    S: Stream<Item = Result<Bytes>> + Send + 'static,
{
    let (sender, seen) = mpsc::channel(readers);
    let began = Instant::now();
    let opening = async move {
        let doors = stream::iter(0..readers).map(Ok);
        let all = doors.try_for_each_concurrent(DOORS, |_| begin(&open, sender.clone()));
        all.await.map(|()| began.elapsed())
    };
    let (opened, (spread, looked)) = tokio::try_join!(opening, gather(seen, readers, look_on))?;
    Ok((Crowd { opened, spread }, looked))
}

/// Returns when it is open: when it has shown something.
async fn begin<S>(open: &impl AsyncFn() -> Result<S>, sender: mpsc::Sender<Seen>) -> Result<()>
where
    S: Stream<Item = Result<Bytes>> + Send + 'static,
{
    let mut log = Box::pin(open().await?);
    let mut tail = Vec::new();
    let first = log.try_next().await?.context("it ended at once")?;
    take(&first, &mut tail, &sender).await;
    tokio::spawn(async move {
        while let Ok(Some(bytes)) = log.try_next().await {
            if !take(&bytes, &mut tail, &sender).await {
                return;
            }
        }
    });
    Ok(())
}

/// Of the ticks that every reader saw, how long after the first of them each other one did.
async fn gather<T>(
    mut seen: mpsc::Receiver<Seen>,
    readers: usize,
    look_on: impl Fn() -> T,
) -> Result<(Times, T)> {
    let mut ticks = std::collections::BTreeMap::<u64, Vec<Instant>>::new();
    let collect = async {
        let mut whole = 0;
        while let Some((tick, at)) = seen.recv().await {
            let times = ticks.entry(tick).or_default();
            times.push(at);
            if times.len() == readers {
                whole += 1;
                if whole == TICKS {
                    return Ok(());
                }
            }
        }
        bail!("the readers ended early")
    };
    tokio::time::timeout(PATIENCE, collect)
        .await
        .context("not every reader saw every line")??;
    let looked = look_on();
    let mut spread = Times::default();
    for times in ticks.values().filter(|times| times.len() == readers) {
        let first = times.iter().min().copied().context("no reader")?;
        times.iter().for_each(|at| spread.push(at.duration_since(first)));
    }
    Ok((spread, looked))
}
