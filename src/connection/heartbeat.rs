//! Heartbeats (C-17): pure, time is given.

use std::time::Duration;

/// The peer is dropped when nothing came from it for this many intervals.
const MISSED_MAX: u32 = 3;

/// When to send a heartbeat and when to give up. `T` is a point in time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heartbeat<T> {
    interval: Duration,
    received: T,
    sent: T,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due<T> {
    /// Nothing before this time.
    Wait(T),
    /// A heartbeat must be sent.
    Send,
    /// The peer is dead.
    Expired,
}

impl<T: Copy + Ord + std::ops::Add<Duration, Output = T>> Heartbeat<T> {
    /// Begins now, if the interval in seconds is not 0.
    pub(super) fn new(interval_secs: u16, now: T) -> Option<Self> {
        let interval = Duration::from_secs(interval_secs.into());
        (interval_secs > 0).then_some(Self { interval, received: now, sent: now })
    }

    /// Something came from the peer.
    pub(super) fn received(&mut self, now: T) {
        self.received = now;
    }

    /// Something was sent.
    pub(super) fn sent(&mut self, now: T) {
        self.sent = now;
    }

    /// What is due. While the peer is `unheard`, because we do not read it, it does not expire.
    pub(super) fn due(&self, now: T, unheard: bool) -> Due<T> {
        let send = self.sent + self.interval / 2;
        let expire = self.received + self.interval * MISSED_MAX;
        if !unheard && now >= expire {
            Due::Expired
        } else if now >= send {
            Due::Send
        } else if unheard {
            Due::Wait(send)
        } else {
            Due::Wait(send.min(expire))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn c_17_is_sent_after_half_an_interval_of_silence() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(10, start).unwrap();
        assert_eq!(heartbeat.due(start, false), Due::Wait(start + Duration::from_secs(5)));
        assert_eq!(heartbeat.due(start + Duration::from_secs(5), false), Due::Send);
        heartbeat.sent(start + Duration::from_secs(5));
        assert_eq!(heartbeat.due(start + Duration::from_secs(6), false), Due::Wait(start + Duration::from_secs(10)));
    }

    #[test]
    fn c_17_a_mute_peer_expires_after_three_intervals() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(1, start).unwrap();
        heartbeat.sent(start + Duration::from_secs(3));
        assert_eq!(
            heartbeat.due(start + Duration::from_millis(2_999), false),
            Due::Wait(start + Duration::from_secs(3))
        );
        assert_eq!(heartbeat.due(start + Duration::from_secs(3), false), Due::Expired);
        assert!(matches!(heartbeat.due(start + Duration::from_secs(3), true), Due::Wait(_)));
        heartbeat.received(start + Duration::from_secs(2));
        assert!(matches!(heartbeat.due(start + Duration::from_secs(3), false), Due::Wait(_)));
    }

    #[test]
    fn c_17_zero_is_off() {
        assert!(Heartbeat::new(0, Instant::now()).is_none());
    }
}
