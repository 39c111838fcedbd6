use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, Result};
use c7n_api::{Caller, IssuedToken};

use super::Global;
use crate::client::Client;
use crate::settings::Settings;

#[derive(clap::Args)]
#[command(
    after_help = "The password is read from the terminal or, without one, from standard input:
  c7n login --server http://127.0.0.1:8080 --user admin < password-file
With a token of your own in C7N_TOKEN no password is needed:
  C7N_TOKEN=$(cat token-file) c7n login --server http://127.0.0.1:8080"
)]
pub struct Login {
    #[arg(long, short, default_value = "admin")]
    user: String,
}

pub async fn run(global: &Global, login: Login) -> Result<()> {
    let server = global
        .server
        .clone()
        .or(Settings::load()?.map(|saved| saved.server))
        .context("which server?\n  next: name it, for instance `c7n login --server http://127.0.0.1:8080`")?;
    let token = match std::env::var("C7N_TOKEN") {
        Ok(token) => token,
        Err(_) => {
            let body = c7n_api::Login {
                password: read_password(&login.user)?,
                username: login.user,
                token_name: Some(host_name()),
            };
            let issued: IssuedToken = Client::new(&server, None)?.post(&["login"], &body).await?;
            issued.token
        }
    };
    let caller: Caller = Client::new(&server, Some(token.clone()))?
        .get(&["me"], &[])
        .await?;
    let path = Settings { server, token }.save()?;
    eprintln!(
        "logged in as {}; remembered in {}",
        caller.username,
        path.display()
    );
    eprintln!("next: `c7n project list`, or `c7n project create NAME`");
    Ok(())
}

fn read_password(user: &str) -> Result<String> {
    let stdin = std::io::stdin();
    let _quiet = stdin.is_terminal().then(|| {
        eprint!("password of {user}: ");
        let _ = std::io::stderr().flush();
        Quiet::new()
    });
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// Turns the terminal's echo off, and on again when dropped.
struct Quiet;

impl Quiet {
    fn new() -> Self {
        stty("-echo");
        Self
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        stty("echo");
        eprintln!();
    }
}

fn stty(argument: &str) {
    // Without stty the password is shown while typed, which is no reason to refuse it.
    let _ = std::process::Command::new("stty").arg(argument).status();
}

fn host_name() -> String {
    std::fs::read_to_string("/etc/hostname")
        .map_or_else(|_| "c7n".to_owned(), |name| format!("c7n on {}", name.trim()))
}
