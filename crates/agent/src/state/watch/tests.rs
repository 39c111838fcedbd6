use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use kube::Client;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

use super::*;
use crate::cluster::{Discovery, Kinds};
use crate::environments::EnvironmentId;
use crate::session::Outgoing;
use crate::state::StateIndex;

/// How the API server of a test answers a watch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Watching {
    /// Status 200, and the end: kubernetes#104171.
    ClosedAtOnce,
    /// An event that says 410.
    Expired,
    /// Open, and mute.
    Mute,
}

struct Server {
    watching: Watching,
    /// Names of the ConfigMaps that a list shows.
    objects: Mutex<Vec<&'static str>>,
    /// Lists that are refused before one is answered.
    refusals: AtomicUsize,
    lists: AtomicUsize,
    watches: AtomicUsize,
}

impl Server {
    async fn start(watching: Watching, refusals: usize) -> (Arc<Self>, StateIndex, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Arc::new(Self {
            watching,
            objects: Mutex::new(vec!["a"]),
            refusals: refusals.into(),
            lists: AtomicUsize::new(0),
            watches: AtomicUsize::new(0),
        });
        let stop = CancellationToken::new();
        let tracker = TaskTracker::new();
        let (serving, stopped) = (server.clone(), stop.clone());
        tracker.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    () = stopped.cancelled() => return,
                    Ok((socket, _)) = listener.accept() => {
                        connections.spawn(serving.clone().answer(socket));
                    }
                }
            }
        });
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut settings = kube::Config::new(format!("http://{address}").parse().unwrap());
        settings.default_retry = false;
        let client = Client::try_from(settings).unwrap();
        let discovery = Discovery::fixed(client.clone(), kinds());
        let state = StateIndex::new(client, discovery, Outgoing::detached(), &tracker, stop.clone());
        state.environment_added(&EnvironmentId::new("e1").unwrap(), "shop");
        (server, state, stop)
    }

    async fn answer(self: Arc<Self>, mut socket: TcpStream) {
        let (read, mut write) = socket.split();
        let mut lines = BufReader::new(read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            while lines
                .next_line()
                .await
                .is_ok_and(|line| line.is_some_and(|line| !line.is_empty()))
            {}
            let (status, body) = if line.contains("watch=true") {
                self.watches.fetch_add(1, Ordering::SeqCst);
                match self.watching {
                    Watching::ClosedAtOnce => (200, String::new()),
                    Watching::Expired => (
                        200,
                        json!({"type": "ERROR", "object": {"code": 410, "reason": "Expired"}}).to_string()
                            + "\n",
                    ),
                    Watching::Mute => {
                        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n";
                        write.write_all(head.as_bytes()).await.unwrap();
                        return std::future::pending().await;
                    }
                }
            } else {
                self.lists.fetch_add(1, Ordering::SeqCst);
                let refused = self
                    .refusals
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
                match refused {
                    Ok(_) => (
                        500,
                        json!({"code": 500, "reason": "InternalError", "message": "no"}).to_string(),
                    ),
                    Err(_) => (200, self.list()),
                }
            };
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            if write.write_all((head + &body).as_bytes()).await.is_err() {
                return;
            }
        }
    }

    fn list(&self) -> String {
        let item = |name: &&str| json!({"metadata": {"namespace": "shop", "name": name, "uid": name, "resourceVersion": "5"}});
        let items: Vec<Value> = self.objects.lock().unwrap().iter().map(item).collect();
        json!({"metadata": {"resourceVersion": "9"}, "items": items}).to_string()
    }

    fn counts(&self) -> (usize, usize) {
        (
            self.lists.load(Ordering::SeqCst),
            self.watches.load(Ordering::SeqCst),
        )
    }
}

/// A cluster that knows ConfigMaps and nothing else.
fn kinds() -> Kinds {
    let document = json!({ "items": [{ "metadata": { "name": "" }, "versions": [{ "version": "v1", "resources": [{
        "resource": "configmaps", "scope": "Namespaced", "verbs": ["list", "watch"],
        "responseKind": { "version": "v1", "kind": "ConfigMap" },
    }]}]}]});
    Kinds::from_discovery([&serde_json::from_value(document).unwrap()], &Kinds::default())
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(60), wait)
        .await
        .unwrap_or_else(|_| panic!("{what}"));
}

const LOOK: Duration = Duration::from_millis(2_500);

/// Those that have begun.
fn seconds_since(begun: Instant) -> usize {
    usize::try_from(begun.elapsed().as_secs()).unwrap() + 1
}

#[tokio::test]
async fn a_watch_that_is_closed_at_once_makes_no_hot_loop_and_no_new_list() {
    let (server, state, stop) = Server::start(Watching::ClosedAtOnce, 0).await;
    let begun = Instant::now();
    until("the list is taken in", || state.len() == 1).await;
    until("it is watched again", || server.counts().1 >= 2).await;
    sleep(LOOK).await;
    let (lists, watches) = server.counts();
    assert_eq!(lists, 1);
    let most = 10 * seconds_since(begun);
    assert!(watches <= most, "{watches} watches, and {most} at most");
    stop.cancel();
}

#[tokio::test]
async fn a_watch_that_is_too_old_lists_anew_at_most_once_a_second_and_misses_no_deletion() {
    let (server, state, stop) = Server::start(Watching::Expired, 0).await;
    let begun = Instant::now();
    until("the list is taken in", || state.len() == 1).await;
    *server.objects.lock().unwrap() = vec!["b", "c"];
    sleep(LOOK).await;
    until("what went during the gap is gone", || state.len() == 2).await;
    let (lists, _) = server.counts();
    let most = 1 + seconds_since(begun);
    assert!((2..=most).contains(&lists), "{lists} lists, and {most} at most");
    stop.cancel();
}

#[tokio::test]
async fn a_list_that_is_refused_is_tried_again_with_back_off() {
    let (server, state, stop) = Server::start(Watching::Mute, 2).await;
    until("the list is taken in at last", || state.len() == 1).await;
    assert_eq!(server.counts().0, 3);
    stop.cancel();
}

#[tokio::test]
async fn an_environment_that_comes_later_is_listed_beside_the_watch() {
    let (server, state, stop) = Server::start(Watching::Mute, 0).await;
    until("the list is taken in", || state.len() == 1).await;
    until("the watch is open", || server.counts().1 == 1).await;
    state.environment_added(&EnvironmentId::new("e2").unwrap(), "other");
    until("the new environment is listed", || server.counts().0 == 2).await;
    assert_eq!(server.counts().1, 1, "the watch goes on");
    stop.cancel();
}
