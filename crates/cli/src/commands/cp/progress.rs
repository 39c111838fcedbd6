//! How far a copy is, for a person at a terminal.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(200);

pub struct Progress {
    shown: bool,
    last: Option<Instant>,
    terminal: bool,
}

impl Progress {
    pub fn new() -> Self {
        Self {
            shown: false,
            last: None,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    pub fn at(&mut self, files: u64, bytes: u64) {
        if !self.terminal || self.last.is_some_and(|last| last.elapsed() < EVERY) {
            return;
        }
        self.last = Some(Instant::now());
        self.shown = true;
        eprint!("\r{} in {} files\x1b[K", size(bytes), files + 1);
        let _ = std::io::stderr().flush();
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            eprint!("\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{}.{} kB", bytes / 1_000, bytes % 1_000 / 100),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_are_told_shortly() {
        let told = [0, 999, 1_000, 52_428_800].map(super::size);
        assert_eq!(told, ["0 bytes", "999 bytes", "1.0 kB", "52.4 MB"]);
    }
}
