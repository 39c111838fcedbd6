//! A host with one repository (`shop/staging.git`), a user, the environment's agent, and a stranger.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::serve::ListenerExt;
use c7n_git::{KeyPair, Mirror, Remote, Repository, Secret, Transport, ensure_key_pair, known_hosts_line};
use c7n_git_host::{
    Actor, ActorKind, Authority, Grant, Host, Limits, RefRole, Refusal, RepositoryPath, SshHost, Wish,
    fingerprint, http_router,
};
use futures_util::future::BoxFuture;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub const TOKEN: &str = "user-token-canary-4711";
pub const AGENT_TOKEN: &str = "agent-token-canary-4712";
const KNOWN_HOSTS: &str = "known_hosts";

/// Everybody who is known, and what was pushed.
#[derive(Default)]
pub struct Book {
    pub keys: Mutex<HashMap<String, Actor>>,
    pub tokens: Mutex<HashMap<String, Actor>>,
    pub repositories: Mutex<HashMap<String, PathBuf>>,
    pub pushes: Mutex<Vec<String>>,
}

fn actor(kind: ActorKind, id: &str) -> Actor {
    Actor {
        kind,
        id: id.into(),
        name: id.into(),
    }
}

impl Authority for Book {
    fn by_key<'a>(&'a self, fingerprint: &'a str) -> BoxFuture<'a, Option<Actor>> {
        Box::pin(async move { self.keys.lock().unwrap().get(fingerprint).cloned() })
    }

    fn by_token<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Option<Actor>> {
        Box::pin(async move { self.tokens.lock().unwrap().get(token).cloned() })
    }

    fn access<'a>(
        &'a self,
        actor: &'a Actor,
        repository: &'a RepositoryPath,
        wish: Wish,
    ) -> BoxFuture<'a, Result<Grant, Refusal>> {
        Box::pin(async move {
            let path = self
                .repositories
                .lock()
                .unwrap()
                .get(&repository.to_string())
                .cloned();
            let path = path.ok_or(Refusal::Hidden)?;
            match (actor.id.as_str(), wish) {
                ("reader", Wish::Write) => return Err(Refusal::Stated("you may read here, not push".into())),
                ("outsider", _) => return Err(Refusal::Hidden),
                _ => {}
            }
            let role = match actor.kind {
                ActorKind::User => RefRole::User,
                ActorKind::Agent => RefRole::Agent,
            };
            Ok(Grant {
                path,
                role,
                repository: repository.to_string(),
            })
        })
    }

    fn pushed<'a>(&'a self, grant: &'a Grant, actor: &'a Actor) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.pushes
                .lock()
                .unwrap()
                .push(format!("{} {}", actor.id, grant.repository))
        })
    }
}

pub struct Setup {
    pub dir: tempfile::TempDir,
    pub book: Arc<Book>,
    pub host: Arc<Host>,
    pub ssh: SocketAddr,
    pub http: SocketAddr,
    pub host_key: String,
    pub user: KeyPair,
    pub agent: KeyPair,
    pub reader: KeyPair,
    pub outsider: KeyPair,
    pub stranger: KeyPair,
    pub repository: Repository,
    _stop: tokio_util::sync::DropGuard,
    _servers: JoinSet<()>,
}

impl Setup {
    pub async fn new() -> Self {
        Self::with_limits(Limits::default()).await
    }

    pub async fn with_limits(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let keys = ["user", "agent", "reader", "outsider", "stranger"];
        let mut pairs = Vec::new();
        for name in keys {
            pairs.push(ensure_key_pair(at(&format!("keys/{name}")), name).await.unwrap());
        }
        let repository = Repository::init_bare(at("repositories/one.git"), "main").unwrap();
        let book = Arc::new(Book::default());
        for (name, pair) in keys.into_iter().zip(&pairs).take(4) {
            let kind = if name == "agent" {
                ActorKind::Agent
            } else {
                ActorKind::User
            };
            book.keys
                .lock()
                .unwrap()
                .insert(fingerprint(&pair.public).unwrap(), actor(kind, name));
        }
        book.tokens
            .lock()
            .unwrap()
            .insert(TOKEN.into(), actor(ActorKind::User, "user"));
        book.tokens
            .lock()
            .unwrap()
            .insert(AGENT_TOKEN.into(), actor(ActorKind::Agent, "agent"));
        book.tokens
            .lock()
            .unwrap()
            .insert("outsider".into(), actor(ActorKind::User, "outsider"));
        book.tokens
            .lock()
            .unwrap()
            .insert("reader".into(), actor(ActorKind::User, "reader"));
        book.repositories
            .lock()
            .unwrap()
            .insert("shop/staging.git".into(), repository.path().to_owned());

        let host = Host::with_limits(at("host"), Arc::clone(&book) as Arc<dyn Authority>, limits).unwrap();
        let stop = CancellationToken::new();
        let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let server = SshHost::bind(loopback, at("host/host_key"), Arc::clone(&host), stop.clone())
            .await
            .unwrap();
        let (ssh, host_key) = (server.local_addr(), server.public_key().to_owned());
        let listener = tokio::net::TcpListener::bind(loopback).await.unwrap();
        let http = listener.local_addr().unwrap();
        let router = axum::Router::new().nest("/git", http_router(Arc::clone(&host)));
        let mut servers = JoinSet::new();
        servers.spawn(server.run());
        let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
        servers.spawn(async move { axum::serve(listener, router).await.unwrap() });

        // Written once: many a git reads it at the same time.
        let line = known_hosts_line("127.0.0.1", ssh.port(), &host_key);
        std::fs::write(at(KNOWN_HOSTS), line).unwrap();

        let mut pairs = pairs.into_iter();
        let mut next = || pairs.next().unwrap();
        Self {
            book,
            host,
            ssh,
            http,
            host_key,
            user: next(),
            agent: next(),
            reader: next(),
            outsider: next(),
            stranger: next(),
            repository,
            _stop: stop.drop_guard(),
            _servers: servers,
            dir,
        }
    }

    pub fn ssh_url(&self) -> String {
        format!("ssh://git@{}/shop/staging.git", self.ssh)
    }

    pub fn http_url(&self) -> String {
        format!("http://{}/git/shop/staging.git", self.http)
    }

    pub fn known_hosts(&self) -> String {
        known_hosts_line("127.0.0.1", self.ssh.port(), &self.host_key)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs the ordinary git in `folder` with `key`, on a thread that may block.
    pub async fn git(&self, key: &KeyPair, folder: &Path, arguments: &[&str]) -> Said {
        let known_hosts = self.path(KNOWN_HOSTS);
        let ssh = format!(
            "ssh -F /dev/null -i '{}' -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes \
             -o UserKnownHostsFile='{}' -o GlobalKnownHostsFile=/dev/null -o LogLevel=ERROR",
            key.private.display(),
            known_hosts.display()
        );
        plain_git(folder, arguments, &[("GIT_SSH_COMMAND", &ssh)]).await
    }

    /// Runs the ordinary git with a token in the header.
    pub async fn git_http(&self, token: &str, folder: &Path, arguments: &[&str]) -> Said {
        let header = format!("Authorization: Bearer {token}");
        let environment = [
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "http.extraHeader"),
            ("GIT_CONFIG_VALUE_0", header.as_str()),
        ];
        plain_git(folder, arguments, &environment).await
    }

    /// A working copy with one pushed commit.
    pub async fn pushed(&self) -> PathBuf {
        let work = self.work("work").await;
        std::fs::write(work.join("a.yaml"), "a: 1\n").unwrap();
        self.commit(&work, "first").await;
        self.git(&self.user, &work, &["push", "-q", "origin", "main"])
            .await
            .good();
        work
    }

    /// An empty working copy with `origin` set.
    pub async fn work(&self, name: &str) -> PathBuf {
        let work = self.path(name);
        std::fs::create_dir_all(&work).unwrap();
        plain_git(&work, &["init", "-q", "-b", "main"], &[]).await.good();
        plain_git(&work, &["remote", "add", "origin", &self.ssh_url()], &[])
            .await
            .good();
        work
    }

    pub async fn commit(&self, work: &Path, message: &str) -> String {
        plain_git(work, &["add", "-A"], &[]).await.good();
        plain_git(work, &["commit", "-q", "-m", message], &[])
            .await
            .good();
        plain_git(work, &["rev-parse", "HEAD"], &[])
            .await
            .good()
            .trim()
            .to_owned()
    }

    pub fn ssh_remote(&self, key: &KeyPair) -> Remote {
        let transport = Transport::Ssh {
            private_key: key.private.clone(),
            known_hosts: self.known_hosts(),
        };
        Remote::new(self.ssh_url(), transport)
    }

    pub fn http_remote(&self, token: &str) -> Remote {
        Remote::new(
            self.http_url(),
            Transport::Http {
                authorization: Secret::bearer(token),
            },
        )
    }

    pub async fn agent_mirror(&self) -> Mirror {
        Mirror::open(self.path("mirror"), self.ssh_remote(&self.agent))
            .await
            .unwrap()
    }

    pub fn pushes(&self) -> usize {
        self.book.pushes.lock().unwrap().len()
    }
}

pub struct Said {
    pub ok: bool,
    pub out: String,
    pub err: String,
}

impl Said {
    #[track_caller]
    pub fn good(self) -> String {
        assert!(self.ok, "git failed: {}{}", self.out, self.err);
        self.out
    }

    #[track_caller]
    pub fn bad(self) -> String {
        assert!(!self.ok, "git succeeded: {}{}", self.out, self.err);
        self.err
    }
}

pub async fn plain_git(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Said {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .args(arguments)
        .env("HOME", folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C");
    for who in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{who}_NAME"), "Ada")
            .env(format!("GIT_{who}_EMAIL"), "ada@example.com");
    }
    command.envs(environment.iter().copied());
    let Output {
        status,
        stdout,
        stderr,
    } = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Said {
        ok: status.success(),
        out: text(stdout),
        err: text(stderr),
    }
}

/// Longer than anything takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Established connections to a local port, from /proc/net/tcp.
pub fn connections_to(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let remote = format!("0100007F:{port:04X}");
    let mine = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(2) == Some(&remote.as_str()) && fields.get(3) == Some(&"01")
    };
    table.lines().filter(mine).count()
}
