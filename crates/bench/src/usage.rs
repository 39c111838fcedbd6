//! What a program and its children take from the machine, read from `/proc`.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinHandle;

/// Ticks of `/proc/PID/stat` in a second: the same on every Linux that we build for.
const TICKS: f64 = 100.0;
const PERIOD: Duration = Duration::from_millis(50);

/// Seconds of CPU, and the most memory at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Used {
    pub cpu_s: f64,
    /// Of the children, those that have ended as well.
    pub children_cpu_s: f64,
    pub peak_mb: f64,
    /// Of all children together.
    pub children_peak_mb: f64,
}

/// Looks on until it is asked.
pub struct Usage {
    pid: u32,
    before: Used,
    looking: JoinHandle<()>,
    peaks: tokio::sync::watch::Receiver<(f64, f64)>,
}

impl Usage {
    pub fn of(pid: u32) -> Self {
        let (sender, peaks) = tokio::sync::watch::channel((0.0_f64, 0.0_f64));
        // Ended with its owner.
        let looking = tokio::spawn(async move {
            loop {
                let now = look(pid);
                sender.send_modify(|peak| {
                    *peak = (peak.0.max(now.peak_mb), peak.1.max(now.children_peak_mb));
                });
                tokio::time::sleep(PERIOD).await;
            }
        });
        Self {
            pid,
            before: look(pid),
            looking,
            peaks,
        }
    }

    /// Since it was begun.
    pub fn so_far(&self) -> Used {
        let now = look(self.pid);
        let (peak_mb, children_peak_mb) = *self.peaks.borrow();
        Used {
            cpu_s: now.cpu_s - self.before.cpu_s,
            children_cpu_s: now.children_cpu_s - self.before.children_cpu_s,
            peak_mb,
            children_peak_mb,
        }
    }
}

impl Drop for Usage {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

/// As it is now; what cannot be read counts as nothing.
pub fn look(pid: u32) -> Used {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let all: BTreeMap<u32, Stat> = ids
        .filter_map(|id| {
            let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
            Some((id, Stat::read(&text)?))
        })
        .collect();
    let mut used = Used::default();
    let Some(own) = all.get(&pid) else { return used };
    used.cpu_s = own.own_ticks / TICKS;
    used.peak_mb = resident_mb(pid);
    used.children_cpu_s = own.ended_ticks / TICKS;
    for (id, stat) in all.iter().filter(|(_, stat)| stat.parent == pid) {
        used.children_cpu_s += (stat.own_ticks + stat.ended_ticks) / TICKS;
        used.children_peak_mb += resident_mb(*id);
    }
    used
}

struct Stat {
    parent: u32,
    own_ticks: f64,
    /// Of children that were waited for.
    ended_ticks: f64,
}

impl Stat {
    /// proc(5): the name is in parentheses and may hold anything, parentheses too.
    fn read(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // The first of these is the third of the file.
        let ticks = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own_ticks: ticks(14)? + ticks(15)?,
            ended_ticks: ticks(16)? + ticks(17)?,
        })
    }
}

/// Resident memory of a process in MB.
pub fn resident_mb(pid: u32) -> f64 {
    let read = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok()
    };
    read().unwrap_or_default() / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernel_is_read_whatever_the_name() {
        let text = "42 (a) b (c) S 7 42 42 0 -1 4194304 100 0 0 0 11 22 33 44 20 0 1 0 100 0 0";
        let stat = Stat::read(text).unwrap();
        assert_eq!((stat.parent, stat.own_ticks, stat.ended_ticks), (7, 33.0, 77.0));
        assert!(Stat::read("42 (cut off").is_none());
    }

    #[test]
    fn this_process_has_memory() {
        assert!(look(std::process::id()).peak_mb > 1.0);
    }
}
