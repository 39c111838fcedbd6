//! Runs test programs, and the few tests that failed a second time, alone.
//!
//! A cluster, a kubelet and two hundred processes on a small machine make rare moments that nobody meant. A test that passes
//! alone does not stop a release; it is named at the end of the run, because it may as well be a defect: see
//! `docs/decisions/0013-second-attempts.md`.

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// More than these are no chance.
const FORGIVEN: usize = 3;

/// Names of the tests that passed only at the second attempt. `command` gets what comes behind `--`.
pub async fn run(first: &[String], command: impl Fn(&[String]) -> Command) -> Result<Vec<String>> {
    let Some(failed) = attempt(command(first)).await? else {
        return Ok(Vec::new());
    };
    if failed.is_empty() || failed.len() > FORGIVEN {
        bail!("cargo test failed; {} tests are named above", failed.len());
    }
    eprintln!("\n=== once more, alone: {}", failed.join(", "));
    let alone = ["--exact", "--test-threads", "1"].map(str::to_owned);
    match attempt(command(&[&alone, failed.as_slice()].concat())).await? {
        None => Ok(failed),
        Some(again) => bail!("failed at both attempts: {}", again.join(", ")),
    }
}

/// The tests that failed; `None` when all passed. What the programs print is passed on.
async fn attempt(mut command: Command) -> Result<Option<Vec<String>>> {
    let mut program = command
        .stdout(Stdio::piped())
        .spawn()
        .context("running cargo test")?;
    let printed = program.stdout.take().context("no output")?;
    let mut lines = BufReader::new(printed).split(b'\n');
    let mut failures = Failures::default();
    while let Some(line) = lines.next_segment().await? {
        let line = String::from_utf8_lossy(&line);
        failures.read(&line);
        println!("{line}");
    }
    let status = program.wait().await?;
    Ok((!status.success()).then_some(failures.names))
}

/// What test programs list before their last line:
///
/// ```text
/// failures:
///     module::name
///
/// test result: FAILED. ...
/// ```
#[derive(Default)]
struct Failures {
    in_list: bool,
    names: Vec<String>,
}

impl Failures {
    fn read(&mut self, line: &str) {
        match line.strip_prefix("    ") {
            // What a failed test printed stands under the same heading, behind an empty line.
            Some(name) if self.in_list && !name.contains(char::is_whitespace) => {
                self.names.push(name.to_owned());
            }
            _ => self.in_list = line == "failures:",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_at_the_end_names_what_failed() {
        let printed = "\nrunning 3 tests\n.F.\nfailures:\n\n---- a::b stdout ----\n    indented\nfailures: none of ours\n    \
                       this::neither\n\n\nfailures:\n    a::b\n    a::c\n\ntest result: FAILED. 1 passed; 2 failed\n\n\
                       running 1 test\nF\nfailures:\n\n---- d stdout ----\n\nfailures:\n    d\n\ntest result: FAILED.";
        let mut failures = Failures::default();
        printed.lines().for_each(|line| failures.read(line));
        assert_eq!(failures.names, ["a::b", "a::c", "d"]);
    }

    fn shell(script: &str, arguments: &[String]) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).args(arguments);
        command
    }

    const ONE_FAILS: &str = "printf 'failures:\\n    a::b\\n\\n'; exit 101";

    #[tokio::test]
    async fn what_passes_alone_is_forgiven_and_named() {
        // The first attempt has no arguments.
        let script = format!("test \"$*\" = '--exact --test-threads 1 a::b' && exit 0; {ONE_FAILS}");
        let flaky = run(&[], |arguments| shell(&script, arguments)).await.unwrap();
        assert_eq!(flaky, ["a::b"]);
        let none = run(&[], |arguments| shell("exit 0", arguments)).await.unwrap();
        assert!(none.is_empty());
    }

    #[tokio::test]
    async fn what_fails_twice_or_for_another_reason_has_failed() {
        for (script, words) in [
            (ONE_FAILS, "failed at both attempts: a::b"),
            ("exit 101", "0 tests"),
            (
                "printf 'failures:\\n    a\\n    b\\n    c\\n    d\\n'; exit 101",
                "4 tests",
            ),
        ] {
            let error = run(&[], |arguments| shell(script, arguments)).await.unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
