//! What one SSH connection may do: log in with a known key, run the two services, hear friendly words.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use russh::keys::{Algorithm, HashAlg, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, ChannelWriteHalf};
use tokio_util::sync::CancellationToken;

use crate::host::{BUSY, HIDDEN};
use crate::process::{Manner, Outcome, Work};
use crate::request::{parse_exec, parse_protocol};
use crate::watch::{AtWork, Watch};
use crate::{Actor, Host};

pub(crate) struct Connection {
    host: Arc<Host>,
    /// The fingerprint that has logged in.
    key: Option<String>,
    waiting: HashMap<ChannelId, Waiting>,
    watch: Arc<Watch>,
    cut: CancellationToken,
}

/// A channel on which nothing has been asked for yet.
struct Waiting {
    channel: Channel<Msg>,
    protocol: Option<&'static str>,
}

impl Connection {
    pub fn new(host: Arc<Host>, watch: Arc<Watch>, cut: CancellationToken) -> Self {
        Self {
            host,
            key: None,
            waiting: HashMap::new(),
            watch,
            cut,
        }
    }

    async fn actor_of(&self, user: &str, key: &PublicKey) -> Option<(String, Actor)> {
        if user != "git" || key.algorithm() != Algorithm::Ed25519 {
            return None;
        }
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        let actor = self.host.authority.by_key(&fingerprint).await?;
        Some((fingerprint, actor))
    }

    /// Takes the channel and answers on it in a task of its own, which ends with the connection.
    fn answer<F>(&mut self, channel: ChannelId, session: &mut Session, answer: F) -> Result<(), russh::Error>
    where
        F: AsyncAnswer,
    {
        let Some(waiting) = self.waiting.remove(&channel) else {
            return session.channel_failure(channel);
        };
        session.channel_success(channel)?;
        let at_work = AtWork::new(&self.watch);
        let tasks = self.host.tasks.clone();
        tasks.spawn(async move {
            answer.give(waiting).await;
            drop(at_work);
        });
        Ok(())
    }
}

trait AsyncAnswer: Send + 'static {
    fn give(self, on: Waiting) -> impl Future<Output = ()> + Send;
}

/// Words on the error stream, and an exit status.
struct Words(String);

impl AsyncAnswer for Words {
    async fn give(self, on: Waiting) {
        let (_, writer) = on.channel.split();
        say(&writer, &self.0).await;
        finish(&writer, 1).await;
    }
}

struct Serve {
    host: Arc<Host>,
    fingerprint: String,
    command: Vec<u8>,
    cut: CancellationToken,
}

impl AsyncAnswer for Serve {
    async fn give(self, on: Waiting) {
        let (mut reader, writer) = on.channel.split();
        let status = match self.work(on.protocol).await {
            Ok(work) => match self.host.place().await {
                Some(_place) => {
                    let outcome = self
                        .host
                        .serve(&work, reader.make_reader(), writer.make_writer(), &self.cut)
                        .await;
                    self.status(&writer, outcome).await
                }
                None => {
                    say(&writer, BUSY).await;
                    1
                }
            },
            Err(words) => {
                say(&writer, &words).await;
                1
            }
        };
        finish(&writer, status).await;
    }
}

impl Serve {
    async fn work(&self, protocol: Option<&'static str>) -> Result<Work, String> {
        let (service, path) = parse_exec(&self.command).ok_or_else(|| {
            "only git clone, fetch and push are possible here, with an address like ssh://git@HOST/PROJECT/ENVIRONMENT.git"
                .to_owned()
        })?;
        // Anew, because the key may have been taken back since the login.
        let actor = self
            .host
            .authority
            .by_key(&self.fingerprint)
            .await
            .ok_or_else(|| HIDDEN.to_owned())?;
        let grant = self
            .host
            .admit(&actor, &path, service)
            .await
            .map_err(|denied| denied.to_string())?;
        Ok(Work {
            service,
            manner: Manner::Dialogue,
            grant,
            actor,
            protocol,
        })
    }

    async fn status(&self, writer: &ChannelWriteHalf<Msg>, outcome: io::Result<Outcome>) -> u32 {
        match outcome {
            Ok(Outcome::Ended(status)) => u32::try_from(status).unwrap_or(128),
            Ok(Outcome::CutShort(reason)) => {
                say(writer, &format!("stopped: {reason}")).await;
                1
            }
            Err(error) => {
                tracing::error!(%error, "git cannot be started; install it or put it on PATH");
                say(writer, "the Git host has a problem of its own; its log says more").await;
                1
            }
        }
    }
}

async fn say(writer: &ChannelWriteHalf<Msg>, words: &str) {
    let _ = writer
        .extended_data_bytes(1, format!("c7n: {words}\r\n").into_bytes())
        .await;
}

async fn finish(writer: &ChannelWriteHalf<Msg>, status: u32) {
    let _ = writer.exit_status(status).await;
    let _ = writer.eof().await;
    let _ = writer.close().await;
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        let known = self.actor_of(user, offer.public_key).await.is_some();
        Ok(if known { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let Some((fingerprint, actor)) = self.actor_of(user, key.public_key).await else {
            return Ok(Auth::reject());
        };
        tracing::debug!(actor = actor.name, fingerprint, "logged in");
        self.key = Some(fingerprint);
        self.watch.used();
        self.watch.logged_in.cancel();
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let open = self.waiting.len() + self.watch.at_work();
        if open >= self.host.limits.channels_per_connection {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        self.waiting.insert(
            channel.id(),
            Waiting {
                channel,
                protocol: None,
            },
        );
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        self.waiting.remove(&channel);
        Ok(())
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if let (Some(waiting), "GIT_PROTOCOL") = (self.waiting.get_mut(&channel), name) {
            waiting.protocol = parse_protocol(value);
            return session.channel_success(channel);
        }
        session.channel_failure(channel)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(fingerprint) = self.key.clone() else {
            return session.channel_failure(channel);
        };
        let (host, cut) = (Arc::clone(&self.host), self.cut.clone());
        self.answer(
            channel,
            session,
            Serve {
                host,
                fingerprint,
                command: command.to_vec(),
                cut,
            },
        )
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        let words = "your key is known and Git works with it; there is no shell here";
        self.answer(channel, session, Words(words.to_owned()))
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _terminal: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(russh::Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        // Granted for the sake of the friendly words that follow; there is no terminal behind it.
        session.channel_success(channel)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }
}
