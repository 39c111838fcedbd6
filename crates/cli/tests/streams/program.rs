//! The program that is tested, as a person or a script starts it.

use tokio::process::Command;

use crate::fake::{Fake, TOKEN};

impl Fake {
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_c7n"));
        command
            .args(arguments)
            .args(["-p", "shop", "-e", "staging"])
            .env("C7N_SERVER", format!("http://{}", self.address))
            .env("C7N_TOKEN", TOKEN)
            .env("C7N_CONFIG", "/nonexistent/login.json")
            .env("NO_PROXY", "127.0.0.1")
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .kill_on_drop(true);
        command
    }
}
