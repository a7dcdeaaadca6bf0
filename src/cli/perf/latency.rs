//! The clock of all timestamps, and percentiles of differences.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Nanoseconds since this process first asked, at least 1. All threads see the same clock.
pub(super) fn now() -> u64 {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    let epoch = *EPOCH.get_or_init(Instant::now);
    epoch.elapsed().as_nanos() as u64 + 1
}

/// Sleeps until the clock shows `time`. Gives up when `time` has passed.
pub(super) fn sleep_until(time: u64) {
    let left = time.saturating_sub(now());
    if left > 0 {
        std::thread::sleep(Duration::from_nanos(left));
    }
}

/// Time differences in nanoseconds, to three digits.
#[derive(Debug, Clone)]
pub(super) struct Latencies(Histogram<u64>);

impl Latencies {
    /// Counts one difference; longer ones than an hour are counted as an hour.
    pub(super) fn record(&mut self, nanoseconds: u64) {
        self.0.saturating_record(nanoseconds);
    }

    /// Takes over what another thread counted.
    pub(super) fn add(&mut self, other: &Self) {
        self.0 += &other.0;
    }

    /// What to print; None if nothing was counted.
    pub(super) fn percentiles(&self) -> Option<Percentiles> {
        let at = |percentile| self.0.value_at_quantile(percentile) as f64 / 1e3;
        (!self.0.is_empty()).then(|| Percentiles {
            samples: self.0.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: self.0.max() as f64 / 1e3,
        })
    }
}

impl Default for Latencies {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, HOUR_NANOSECONDS, 3);
        Self(histogram.expect("the bounds are constants that fit"))
    }
}

/// Percentiles in microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Percentiles {
    /// Differences counted.
    pub samples: u64,
    /// Half of them are below this.
    pub p50: f64,
    /// 90 of 100 are below this.
    pub p90: f64,
    /// 99 of 100 are below this.
    pub p99: f64,
    /// 999 of 1,000 are below this.
    pub p99_9: f64,
    /// The longest.
    pub max: f64,
}

const HOUR_NANOSECONDS: u64 = 3_600_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_in_microseconds() {
        let mut latencies = Latencies::default();
        for microseconds in 1..=1000 {
            latencies.record(microseconds * 1000);
        }
        let found = latencies.percentiles().unwrap();
        assert_eq!(found.samples, 1000);
        for (found, expected) in [(found.p50, 500.0), (found.p90, 900.0), (found.p99, 990.0)] {
            assert!((found - expected).abs() / expected < 0.002, "{found} for {expected}");
        }
        assert!((found.max - 1000.0).abs() < 1.0);
    }

    #[test]
    fn nothing_counted_has_no_percentiles() {
        assert_eq!(Latencies::default().percentiles(), None);
    }

    #[test]
    fn the_clock_goes_forward_from_one() {
        let first = now();
        assert!(first >= 1);
        assert!(now() >= first);
    }
}
