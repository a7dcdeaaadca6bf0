//! When messages are due that are sent at a fixed rate, whatever the broker does.

/// Evenly spaced points in time, in nanoseconds of the clock.
///
/// A message that is sent late keeps the time at which it was due, so that a broker that stalls
/// its publisher cannot hide that (no coordinated omission).
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    start: u64,
    interval: f64,
    sent: u64,
}

impl Schedule {
    /// Publisher `index` of `publishers`, which together send `rate` messages a second. They take
    /// turns.
    pub(super) fn new(start: u64, rate: f64, index: usize, publishers: usize) -> Self {
        let between = 1e9 / rate;
        Self { start: start + (between * index as f64) as u64, interval: between * publishers as f64, sent: 0 }
    }

    /// When the `n`-th message from now on is due, counted from 0.
    pub(super) fn due_at(&self, n: usize) -> u64 {
        self.start + ((self.sent + n as u64) as f64 * self.interval) as u64
    }

    /// How many messages are due by `now`.
    pub(super) fn due(&self, now: u64) -> usize {
        let Some(elapsed) = now.checked_sub(self.start) else {
            return 0;
        };
        let mut all = (elapsed as f64 / self.interval) as u64 + 1;
        // Division and multiplication round differently: the latter decides.
        while all > self.sent && self.due_at((all - self.sent - 1) as usize) > now {
            all -= 1;
        }
        all.saturating_sub(self.sent) as usize
    }

    /// Goes on by `count` messages.
    pub(super) fn advance(&mut self, count: usize) {
        self.sent += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_due_at_even_intervals() {
        let schedule = Schedule::new(1000, 1e6, 0, 1);
        assert_eq!([0, 1, 2].map(|n| schedule.due_at(n)), [1000, 2000, 3000]);
        assert_eq!([0, 999, 1000, 1999, 2000, 3500].map(|now| schedule.due(now)), [0, 0, 1, 1, 2, 3]);
    }

    #[test]
    fn a_late_message_keeps_its_time() {
        let mut schedule = Schedule::new(1000, 1e6, 0, 1);
        schedule.advance(2);
        assert_eq!(schedule.due(10_000), 8);
        assert_eq!(schedule.due_at(0), 3000);
        assert_eq!(schedule.due(2_500), 0);
    }

    #[test]
    fn publishers_share_the_rate_by_turns() {
        let times: Vec<_> =
            (0..4).flat_map(|index| [0, 1].map(|n| Schedule::new(0, 1000.0, index, 4).due_at(n))).collect();
        let mut sorted = times.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..8).map(|n| n * 1_000_000).collect::<Vec<_>>());
    }

    #[test]
    fn no_message_is_due_before_its_time_at_rates_that_do_not_divide() {
        for now in (0..3_000_000).step_by(777) {
            let schedule = Schedule::new(5, 700_001.0, 1, 3);
            let due = schedule.due(now);
            assert!(due == 0 || schedule.due_at(due - 1) <= now);
            assert!(schedule.due_at(due) > now);
        }
    }
}
