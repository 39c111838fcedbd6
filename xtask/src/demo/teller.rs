//! Tells each step in a line, with the time since the start and the time that it took.

use std::time::Instant;

pub struct Teller {
    start: Instant,
    step: Instant,
}

impl Teller {
    pub fn new() -> Self {
        let now = Instant::now();
        Self {
            start: now,
            step: now,
        }
    }

    /// What begins now.
    pub fn say(&mut self, text: &str) {
        println!(
            "{:>8.1} s           {text} ...",
            self.start.elapsed().as_secs_f32()
        );
    }

    /// What was reached; gives the milliseconds since the step before.
    pub fn done(&mut self, text: &str) -> u128 {
        let took = self.step.elapsed().as_millis();
        self.step = Instant::now();
        println!(
            "{:>8.1} s {:>7} ms  {text}",
            self.start.elapsed().as_secs_f32(),
            took
        );
        took
    }

    /// Text of several lines that belongs to the last step.
    pub fn show(&self, text: &str) {
        for line in text.lines() {
            println!("                        {line}");
        }
    }
}
