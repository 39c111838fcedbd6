//! Medians and tails.

use std::time::Duration;

use serde_json::{Value, json};

/// Times of one thing, in milliseconds.
#[derive(Default)]
pub struct Times(Vec<f64>);

impl Times {
    pub fn push(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64() * 1000.0);
    }

    /// Nearest rank; `share` from 0 to 1.
    pub fn percentile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

pub fn report(name: &str, measured: &Times, floor: Option<&Times>) -> Value {
    let mut result = json!({
        "name": name,
        "p50_ms": round(measured.percentile(0.5)),
        "p99_ms": round(measured.percentile(0.99)),
        "n": measured.len(),
        "load": load(),
    });
    if let Some(floor) = floor {
        result["floor_p50_ms"] = json!(round(floor.percentile(0.5)));
        result["ratio"] = json!(round(measured.percentile(0.5) / floor.percentile(0.5)));
    }
    result
}

pub fn milliseconds(took: Duration) -> f64 {
    round(took.as_secs_f64() * 1000.0)
}

pub fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Runnable processes over the last minute: tells whether the machine had other things to do.
fn load() -> f64 {
    std::fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let mut times = Times::default();
        (1..=100).for_each(|ms| times.push(Duration::from_millis(ms)));
        assert_eq!(
            [0.5, 0.99, 1.0].map(|share| times.percentile(share)),
            [50.0, 99.0, 100.0]
        );
    }
}
