//! The few calls that the command line has no command for.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Scene;

pub struct Api {
    address: SocketAddr,
    token: String,
}

impl Api {
    pub fn of(scene: &Scene) -> Result<Self> {
        let first = scene.stand.server.first_run();
        let address = scene.stand.server.connect();
        let address = address.trim_start_matches("ws://").trim_end_matches("/agent/");
        Ok(Self {
            address: address.parse()?,
            token: first.token.clone(),
        })
    }

    /// The answer's body, `null` when it has none.
    pub async fn call(&self, method: &str, path: &str, body: Value) -> Result<Value> {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let request = format!(
            "{method} /api/v1/{path} HTTP/1.0\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        );
        let mut connection = TcpStream::connect(self.address).await?;
        connection.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        let status = head.split(' ').nth(1).unwrap_or_default();
        ensure!(status.starts_with('2'), "{method} {path}: {answer}");
        match body {
            "" => Ok(Value::Null),
            body => Ok(serde_json::from_str(body)?),
        }
    }

    /// A person with this role in the project, and their token.
    pub async fn person(&self, scene: &Scene, name: &str, role: &str) -> Result<String> {
        let password = "a long enough password";
        self.call("POST", "users", json!({ "username": name, "password": password }))
            .await?;
        let member = format!("projects/{}/members/{name}", scene.stand.project);
        self.call("PUT", &member, json!({ "role": role })).await?;
        let login = json!({ "username": name, "password": password, "token_name": "test" });
        let issued = self.call("POST", "login", login).await?;
        Ok(issued["token"].as_str().context("no token")?.to_owned())
    }
}
