//! Calls the REST API and turns its problems into errors that say what to do next.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use c7n_api::{Page, Problem};
use reqwest::{Method, StatusCode, Url, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::settings::Settings;

const CALL_DEADLINE: Duration = Duration::from_secs(30);
/// 20 MiB over a slow line.
const UPLOAD_DEADLINE: Duration = Duration::from_secs(600);

#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<String>,
}

/// An answer of the server that is not a success.
#[derive(Debug)]
pub struct Refused(pub Problem);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.title)?;
        if !self.0.next.is_empty() {
            write!(f, "\n  next: {}", self.0.next)?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

impl Client {
    /// Flags and environment win over what `c7n login` saved.
    pub fn from_settings(server: Option<String>) -> Result<Self> {
        let saved = Settings::load()?;
        let token = std::env::var("C7N_TOKEN").ok().or_else(|| {
            let saved = saved.as_ref()?;
            // A saved token never goes to another server than the one that issued it.
            server
                .as_ref()
                .is_none_or(|wanted| same_server(wanted, &saved.server))
                .then(|| saved.token.clone())
        });
        let server = server
            .or_else(|| saved.map(|saved| saved.server))
            .context("no server is known\n  next: log in with `c7n login --server URL`, or set C7N_SERVER and C7N_TOKEN")?;
        Self::new(&server, token)
    }

    pub fn new(server: &str, token: Option<String>) -> Result<Self> {
        let base = Url::parse(server.trim_end_matches('/'))
            .with_context(|| format!("`{server}` is not a URL; it looks like http://127.0.0.1:8080"))?;
        if !base.username().is_empty() || base.password().is_some() {
            bail!("a server's URL carries no credentials; use `c7n login`");
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("c7n/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none())
            // Only a connection of HTTP/1.1 can become a WebSocket.
            .http1_only()
            .build()?;
        Ok(Self { http, base, token })
    }

    pub fn base(&self) -> &Url {
        &self.base
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<T> {
        self.call(Method::GET, path, query, None::<&()>).await
    }

    pub async fn post<T: DeserializeOwned>(&self, path: &[&str], body: &impl Serialize) -> Result<T> {
        self.call(Method::POST, path, &[], Some(body)).await
    }

    pub async fn put<T: DeserializeOwned>(&self, path: &[&str], body: &impl Serialize) -> Result<T> {
        self.call(Method::PUT, path, &[], Some(body)).await
    }

    /// An answer that is read as it comes, whatever it holds.
    pub async fn download(&self, path: &[&str], query: &[(&str, &str)]) -> Result<reqwest::Response> {
        let request = self.request(Method::GET, path, query)?;
        tokio::time::timeout(CALL_DEADLINE, self.send(request))
            .await
            .context("the server did not answer in time")?
    }

    pub async fn delete(&self, path: &[&str], query: &[(&str, &str)]) -> Result<()> {
        let request = self.request(Method::DELETE, path, query)?.timeout(CALL_DEADLINE);
        self.send(request).await.map(drop)
    }

    /// A deletion that tells what became of it.
    pub async fn delete_and_hear<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T> {
        self.call(Method::DELETE, path, query, None::<&()>).await
    }

    /// Sends bytes as they are.
    pub async fn upload<T: DeserializeOwned>(
        &self,
        path: &[&str],
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<T> {
        let request = self
            .request(Method::POST, path, &[])?
            .timeout(UPLOAD_DEADLINE)
            .header(header::CONTENT_TYPE, content_type)
            .body(body);
        let answer = self.send(request).await?;
        answer
            .json()
            .await
            .context("the server's answer is not what this version of c7n understands")
    }

    /// Every page of a long list.
    pub async fn pages<T: DeserializeOwned>(&self, path: &[&str]) -> Result<Vec<T>> {
        self.pages_of(path, &[]).await
    }

    /// The same of a part of it.
    pub async fn pages_of<T: DeserializeOwned>(
        &self,
        path: &[&str],
        part: &[(&str, &str)],
    ) -> Result<Vec<T>> {
        let mut items = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let mut query = part.to_vec();
            query.extend(after.iter().map(|after| ("after", after.as_str())));
            let page: Page<T> = self.get(path, &query).await?;
            items.extend(page.items);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(items),
            }
        }
    }

    /// An answer that is read as it comes; it has no deadline as a whole, the reader watches for silence.
    pub async fn open_stream(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        last_event: Option<i64>,
    ) -> Result<reqwest::Response> {
        let mut request = self
            .request(Method::GET, path, query)?
            .header(header::ACCEPT, "text/event-stream");
        if let Some(id) = last_event {
            request = request.header("Last-Event-ID", id.to_string());
        }
        tokio::time::timeout(CALL_DEADLINE, self.send(request))
            .await
            .context("the server did not answer in time")?
    }

    /// A connection that has become a WebSocket (RFC 6455): made as all other calls are, so that TLS, authorities and proxies are
    /// the same. The first of the subprotocols is the one that must be chosen.
    pub async fn upgrade(&self, path: &[&str], protocols: [&str; 2]) -> Result<reqwest::Upgraded> {
        let key = generate_key();
        let mut offered = header::HeaderValue::from_str(&protocols.join(", "))?;
        offered.set_sensitive(true);
        let request = self
            .request(Method::GET, path, &[])?
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, &key)
            .header(header::SEC_WEBSOCKET_PROTOCOL, offered);
        let answer = self.answer(request).await?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            self.accept(answer).await?;
            bail!(
                "something between here and the server does not let a WebSocket pass\n  next: let the proxy pass the `Upgrade` header on"
            );
        }
        let said = |name| answer.headers().get(name).map(header::HeaderValue::as_bytes);
        let right = said(header::SEC_WEBSOCKET_ACCEPT) == Some(derive_accept_key(key.as_bytes()).as_bytes())
            && said(header::SEC_WEBSOCKET_PROTOCOL) == Some(protocols[0].as_bytes());
        anyhow::ensure!(
            right,
            "the server's WebSocket is not what this version of c7n understands"
        );
        Ok(answer.upgrade().await?)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&impl Serialize>,
    ) -> Result<T> {
        let mut request = self.request(method, path, query)?.timeout(CALL_DEADLINE);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = self.send(request).await?;
        answer
            .json()
            .await
            .context("the server's answer is not what this version of c7n understands")
    }

    fn request(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<reqwest::RequestBuilder> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow!("the server's URL cannot have a path"))?
            .pop_if_empty()
            .extend(["api", "v1"])
            .extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.request(method, url);
        Ok(match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response> {
        let answer = self.answer(request).await?;
        self.accept(answer).await
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response> {
        request.send().await.map_err(|error| {
            let what = if error.is_timeout() {
                "did not answer in time"
            } else {
                "cannot be reached"
            };
            // The URL holds no secret, but the path says nothing that a person needs here.
            anyhow!(
                "{} {what}: {}\n  next: is the server running, and is its URL right?",
                self.base,
                root(&error)
            )
        })
    }

    /// What is no success is an error.
    async fn accept(&self, answer: reqwest::Response) -> Result<reqwest::Response> {
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let problem = answer.json::<Problem>().await.unwrap_or_else(|_| Problem {
            code: "unexpected".into(),
            status: status.as_u16(),
            title: format!("the server answered {status}"),
            next: String::new(),
        });
        if status == StatusCode::UNAUTHORIZED && self.token.is_none() {
            bail!("not logged in\n  next: `c7n login --server {}`", self.base);
        }
        Err(Refused(problem).into())
    }
}

fn same_server(a: &str, b: &str) -> bool {
    a.trim_end_matches('/') == b.trim_end_matches('/')
}

fn root(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(next) = deepest.source() {
        deepest = next;
    }
    deepest.to_string()
}
