//! What the kernel says about a process: CPU time and memory.

use std::fs;

use super::error::{Error, Result};

/// Which process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
    /// Another one, by its id.
    Id(u32),
    /// This one.
    Own,
}

impl Process {
    /// CPU time used so far by all its threads, in nanoseconds. The kernel counts in steps of 10 ms.
    pub(super) fn cpu(self) -> Result<u64> {
        let text = self.read("stat")?;
        parse_cpu_ticks(&text)
            .map(|ticks| ticks * NANOSECONDS_PER_TICK)
            .ok_or_else(|| Error::Protocol(format!("{} is unreadable", self.path("stat"))))
    }

    /// Memory in use.
    pub(super) fn memory(self) -> Result<Memory> {
        let text = self.read("status")?;
        let bytes = |name| parse_kibibytes(&text, name).map_or(0, |kibibytes| kibibytes * 1024);
        Ok(Memory { resident: bytes("VmRSS:"), peak: bytes("VmHWM:") })
    }

    /// Lets the peak begin anew, where the kernel allows that.
    pub(super) fn forget_peak(self) {
        let _ = fs::write(self.path("clear_refs"), "5");
    }

    fn read(self, file: &str) -> Result<String> {
        let path = self.path(file);
        fs::read_to_string(&path).map_err(|source| Error::Process { path, source })
    }

    /// One of the kernel's files about it.
    pub(super) fn path(self, file: &str) -> String {
        match self {
            Self::Id(id) => format!("/proc/{id}/{file}"),
            Self::Own => format!("/proc/self/{file}"),
        }
    }
}

/// Memory of a process in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    /// The most there ever was.
    pub peak: u64,
    /// What is there now.
    pub resident: u64,
}

/// Lets this thread, and those it starts, wake up when they asked to instead of up to 50 µs later.
/// Where the kernel does not offer it, nothing changes.
pub(super) fn sharpen_timers() {
    let _ = fs::write("/proc/self/timerslack_ns", "1");
}

/// User plus system time. The name before them is in parentheses and may hold anything.
fn parse_cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn parse_kibibytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// The kernel's interface speaks of 1/100 s on all architectures we run on.
const NANOSECONDS_PER_TICK: u64 = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_a_name_with_parentheses() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 70 30 0 0 20 0 4 0 1 1 1";
        assert_eq!(parse_cpu_ticks(stat), Some(100));
        assert_eq!(parse_cpu_ticks("42 (a) S 1"), None);
    }

    #[test]
    fn memory_is_found_by_name() {
        let status = "VmPeak:\t  900 kB\nVmHWM:\t  300 kB\nVmRSS:\t  200 kB\n";
        assert_eq!(parse_kibibytes(status, "VmRSS:"), Some(200));
        assert_eq!(parse_kibibytes(status, "VmHWM:"), Some(300));
        assert_eq!(parse_kibibytes(status, "VmSwap:"), None);
    }
}
