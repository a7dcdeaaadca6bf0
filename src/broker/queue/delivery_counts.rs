//! How often a message was delivered and came back.

use super::Entry;

/// Of one message in one queue. Zero for one that never came back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    /// Deliveries that came back.
    pub acquired: u32,
    /// Those among them that failed: rejected, or lost with their channel.
    pub failed: u32,
}

impl DeliveryCounts {
    /// As one number, 0 for none.
    pub const fn to_u64(self) -> u64 {
        (self.acquired as u64) << 32 | self.failed as u64
    }

    /// From [`DeliveryCounts::to_u64`].
    pub const fn from_u64(n: u64) -> Self {
        Self { acquired: (n >> 32) as u32, failed: n as u32 }
    }

    /// With what failed in other queues before: those count as acquired too until the message first comes back here.
    #[must_use]
    pub(in crate::broker) const fn with_failed_before(self, before: u32) -> Self {
        let acquired = if self.acquired == 0 { before } else { self.acquired };
        Self { acquired, failed: self.failed.saturating_add(before) }
    }

    /// After one more delivery came back.
    #[must_use]
    pub(super) const fn returned(self, failed: bool) -> Self {
        Self { acquired: self.acquired.saturating_add(1), failed: self.failed.saturating_add(failed as u32) }
    }
}

impl Entry {
    /// Deliveries that came back and those that failed, with what it had failed where it was dead-lettered from.
    pub fn total_counts(&self) -> DeliveryCounts {
        self.counts.with_failed_before(self.message.failed())
    }
}

#[cfg(test)]
mod tests {
    use super::DeliveryCounts;

    #[test]
    fn counts_are_kept_as_one_number() {
        assert_eq!(DeliveryCounts::default().to_u64(), 0);
        for (acquired, failed) in [(1, 0), (0, 1), (u32::MAX, 7), (3, u32::MAX)] {
            let counts = DeliveryCounts { acquired, failed };
            assert_eq!(DeliveryCounts::from_u64(counts.to_u64()), counts);
        }
    }
}
