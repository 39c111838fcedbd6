//! Reads server-sent events, and goes on after a break where it left off.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Result, bail};
use c7n_api::Event;

use crate::client::{Client, Refused};

/// The server sends a comment every 15 s; three missed ones mean that nobody is there.
const SILENCE: Duration = Duration::from_secs(45);
const RECONNECT: Duration = Duration::from_secs(1);
/// A line longer than this is not one of ours.
const LONGEST_LINE: usize = 64 << 20;

pub struct EventStream<'a> {
    client: &'a Client,
    query: Vec<(&'a str, &'a str)>,
    last: Option<i64>,
    answer: Option<reqwest::Response>,
    lines: Lines,
    ready: VecDeque<Event>,
}

impl<'a> EventStream<'a> {
    /// Opens the stream before it returns: what happens after this call is seen.
    pub async fn open(client: &'a Client, query: Vec<(&'a str, &'a str)>) -> Result<Self> {
        let answer = client.open_stream(&["events"], &query, None).await?;
        Ok(Self {
            client,
            query,
            last: None,
            answer: Some(answer),
            lines: Lines::default(),
            ready: VecDeque::new(),
        })
    }

    pub async fn next(&mut self) -> Result<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.last = Some(event.id);
                return Ok(event);
            }
            match self.read().await {
                Ok(()) => {}
                // Only a refusal is final; everything else is a break.
                Err(error) if error.is::<Refused>() => return Err(error),
                Err(_) => {
                    self.answer = None;
                    self.lines = Lines::default();
                    tokio::time::sleep(RECONNECT).await;
                }
            }
        }
    }

    async fn read(&mut self) -> Result<()> {
        if self.answer.is_none() {
            self.answer = Some(
                self.client
                    .open_stream(&["events"], &self.query, self.last)
                    .await?,
            );
        }
        let Some(answer) = &mut self.answer else {
            return Ok(());
        };
        let Some(chunk) = tokio::time::timeout(SILENCE, answer.chunk()).await?? else {
            bail!("the stream ended")
        };
        for line in self.lines.feed(&chunk)? {
            if let Some(data) = line.strip_prefix("data:")
                && let Ok(event) = serde_json::from_str(data.trim_start())
            {
                self.ready.push_back(event);
            }
        }
        Ok(())
    }
}

/// Cuts a stream of bytes into lines.
#[derive(Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    fn feed(&mut self, chunk: &[u8]) -> Result<Vec<String>> {
        self.rest.extend_from_slice(chunk);
        let mut lines = Vec::new();
        let mut start = 0;
        while let Some(end) = self.rest[start..].iter().position(|byte| *byte == b'\n') {
            lines.push(
                String::from_utf8_lossy(&self.rest[start..start + end])
                    .trim_end_matches('\r')
                    .to_owned(),
            );
            start += end + 1;
        }
        self.rest.drain(..start);
        if self.rest.len() > LONGEST_LINE {
            bail!("a line of the event stream is too long");
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_they_are_cut() {
        let text = "id: 1\r\ndata: {\"a\":\"ä\"}\n\n: beat\n";
        for cut in 1..text.len() {
            let mut lines = Lines::default();
            let mut seen = lines.feed(&text.as_bytes()[..cut]).unwrap();
            seen.extend(lines.feed(&text.as_bytes()[cut..]).unwrap());
            assert_eq!(
                seen,
                ["id: 1", "data: {\"a\":\"ä\"}", "", ": beat"],
                "cut at {cut}"
            );
        }
    }
}
