use anyhow::Result;
use c7n_api::{IssuedToken, NewToken, Token as Listed};
use clap::Subcommand;

use super::Global;
use crate::output::{self, Format, Row, age, now_ms};

#[derive(Subcommand)]
pub enum Token {
    /// Make a token that reads the charts of this project, and nothing else
    Create(Create),
    /// List such tokens; the tokens themselves are not kept
    List,
    /// Revoke a token; it stops working at once
    Delete(Delete),
}

#[derive(clap::Args)]
#[command(after_help = "Example:
  c7n app token create -p shop ci --days 90 > token
  helm repo add shop http://127.0.0.1:8080/charts/shop --username any --password-stdin < token")]
pub struct Create {
    /// What it is for
    name: String,
    /// Days after which it stops working; without this it works until it is deleted
    #[arg(long, value_name = "DAYS")]
    days: Option<u32>,
}

#[derive(clap::Args)]
pub struct Delete {
    /// Id, as `c7n app token list` shows it
    id: String,
}

const DAY_MS: i64 = 86_400_000;

pub async fn run(global: &Global, command: Token) -> Result<()> {
    let client = global.client()?;
    let path = ["projects", global.project()?, "chart-tokens"];
    match command {
        Token::Create(create) => {
            let body = NewToken {
                name: create.name,
                expires_ms: create.days.map(|days| now_ms() + i64::from(days) * DAY_MS),
            };
            let token: IssuedToken = client.post(&path, &body).await?;
            if global.output == Format::Table {
                println!("{}", token.token);
                eprintln!("this token is not shown again");
                return Ok(());
            }
            print!("{}", output::structured(global.output, &token)?);
            Ok(())
        }
        Token::List => {
            let tokens: Vec<Listed> = client.get(&path, &[]).await?;
            output::print_list(global.output, &tokens)
        }
        Token::Delete(delete) => {
            client
                .delete(&[path.as_slice(), &[delete.id.as_str()]].concat(), &[])
                .await?;
            eprintln!("the token is revoked");
            Ok(())
        }
    }
}

impl Row for Listed {
    const HEAD: &'static [&'static str] = &["ID", "NAME", "MADE", "EXPIRES", "LAST USED"];
    fn cells(&self) -> Vec<String> {
        let ago = |at: Option<i64>| at.map_or_else(|| "never".to_owned(), |at| format!("{} ago", age(at)));
        let expires = match self.expires_ms {
            None => "never".to_owned(),
            Some(at) if at <= now_ms() => "expired".to_owned(),
            Some(at) => format!("in {}d", (at - now_ms()) / DAY_MS),
        };
        vec![
            self.id.clone(),
            self.name.clone(),
            ago(Some(self.created_ms)),
            expires,
            ago(self.last_used_ms),
        ]
    }
}
