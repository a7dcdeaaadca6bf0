//! Which RabbitMQ's refusals and defaults the broker follows where the lines differ (0.1, D-3, D-4).

use std::fmt;
use std::str::FromStr;

/// The line of RabbitMQ to be compatible with.
///
/// [`Lenient`](Self::Lenient) behaves as 4.3 but accepts what 3.13 or any 4.x accepts. The others refuse what that line
/// refuses. One method for each behaviour that differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compat {
    /// 4.3 without its refusals of what old clients do by default.
    #[default]
    Lenient,
    /// RabbitMQ 4.3.
    V4_3,
    /// RabbitMQ 4.2.
    V4_2,
    /// RabbitMQ 3.13.
    V3_13,
}

/// What priorities mean to a quorum queue (0.1, Q-29).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuorumPriorities {
    /// 0 to 31: the highest first.
    Strict,
    /// Those above 4, and the others: two of the higher level, then one of the lower, each in order of arrival. It may be one more
    /// of the higher level, where that came before the first of the lower.
    TwoLevels,
    /// Nothing.
    None,
}

/// The text names no line; it is kept to be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is none of lenient, 4.3, 4.2, 3.13")]
pub struct UnknownCompat(String);

impl Compat {
    /// The version that clients are told (C-05, D-1).
    pub const fn claimed_version(self) -> &'static str {
        match self {
            Self::Lenient | Self::V4_3 => "4.3.6",
            Self::V4_2 => "4.2.9",
            Self::V3_13 => "3.13.7",
        }
    }

    /// The lowest frame_max, in bytes, that a client may ask for; also the limit before authentication (0.1, C-16).
    pub const fn frame_max_min(self) -> u32 {
        match self {
            Self::V4_3 | Self::V4_2 => 8192,
            Self::Lenient | Self::V3_13 => 4096,
        }
    }

    /// The largest body in bytes unless configured otherwise (0.1, D-4, P-07).
    pub const fn default_message_size_max(self) -> u64 {
        match self {
            Self::V3_13 => 128 << 20,
            _ => 16 << 20,
        }
    }

    /// Whether SASL ANONYMOUS is offered unless configured otherwise (0.1, C-04).
    pub const fn offers_anonymous(self) -> bool {
        !matches!(self, Self::V3_13)
    }

    /// Whether `basic.qos(global=true)` limits the channel; otherwise it is taken as per consumer (0.1, S-02).
    pub const fn honours_global_qos(self) -> bool {
        !matches!(self, Self::V4_3)
    }

    /// Whether a quorum queue refuses consumers of a channel with a global limit, reply code 540.
    pub const fn refuses_global_qos_on_quorum(self) -> bool {
        matches!(self, Self::V4_2 | Self::V3_13)
    }

    /// Whether a classic queue with `x-queue-master-locator` is refused, hard 541 (0.1, D-3).
    pub const fn refuses_queue_master_locator(self) -> bool {
        matches!(self, Self::V4_3)
    }

    /// The lowest `x-queue-version` of a classic queue; the highest is 2 (0.1).
    pub const fn queue_version_min(self) -> i64 {
        match self {
            Self::V4_3 => 2,
            _ => 1,
        }
    }

    /// Whether `x-queue-mode` has to be `default` or `lazy` (0.1).
    pub const fn validates_queue_mode(self) -> bool {
        matches!(self, Self::V4_2 | Self::V3_13)
    }

    /// The delivery limit of a quorum queue without one; none is no limit (0.1, Q-36).
    pub const fn default_delivery_limit(self) -> Option<u32> {
        match self {
            Self::V3_13 => None,
            _ => Some(20),
        }
    }

    /// Whether a restart takes exchanges away that are not durable.
    pub const fn forgets_transient_exchanges(self) -> bool {
        matches!(self, Self::V4_2 | Self::V3_13)
    }

    /// Whether only failed deliveries count to the delivery limit, so not `basic.nack` and `basic.recover` (0.1).
    pub const fn delivery_limit_counts_failures_only(self) -> bool {
        matches!(self, Self::Lenient | Self::V4_3)
    }

    /// Whether `x-acquired-count` counts all deliveries that came back; otherwise `x-delivery-count` does (0.1, Q-36).
    pub const fn tells_acquired_count(self) -> bool {
        matches!(self, Self::Lenient | Self::V4_3)
    }

    /// Whether quorum queues can delay what comes back (0.1, Q-37).
    pub const fn delays_retries(self) -> bool {
        matches!(self, Self::Lenient | Self::V4_3)
    }

    /// Whether an `x-death` header set by the publisher is continued (0.1, Q-27).
    pub const fn honours_published_x_death(self) -> bool {
        matches!(self, Self::V3_13)
    }

    /// Whether the consumer timeout concerns only quorum queues (0.1, Q-38).
    pub const fn consumer_timeout_only_on_quorum(self) -> bool {
        matches!(self, Self::Lenient | Self::V4_3)
    }

    /// Whether a consumer that holds a delivery too long is cancelled, if its client understands that; otherwise its channel ends (0.1, Q-38).
    pub const fn cancels_late_consumers(self) -> bool {
        matches!(self, Self::Lenient | Self::V4_3)
    }

    /// Whether a passive declare needs one of the three permissions (0.1, B-04).
    pub const fn passive_declare_needs_permission(self) -> bool {
        matches!(self, Self::Lenient | Self::V4_3)
    }

    /// What priorities mean to a quorum queue (0.1, Q-29).
    pub const fn quorum_priorities(self) -> QuorumPriorities {
        match self {
            Self::Lenient | Self::V4_3 => QuorumPriorities::Strict,
            Self::V4_2 => QuorumPriorities::TwoLevels,
            Self::V3_13 => QuorumPriorities::None,
        }
    }

    /// Whether a reply to a requester that is gone counts as routed (P-12).
    pub const fn routes_replies_to_gone_requesters(self) -> bool {
        !matches!(self, Self::V3_13)
    }
}

impl FromStr for Compat {
    type Err = UnknownCompat;

    fn from_str(text: &str) -> Result<Self, UnknownCompat> {
        match text {
            "lenient" => Ok(Self::Lenient),
            "4.3" => Ok(Self::V4_3),
            "4.2" => Ok(Self::V4_2),
            "3.13" => Ok(Self::V3_13),
            _ => Err(UnknownCompat(text.to_owned())),
        }
    }
}

impl fmt::Display for Compat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lenient => "lenient",
            Self::V4_3 => "4.3",
            Self::V4_2 => "4.2",
            Self::V3_13 => "3.13",
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may")]

    use super::Compat;

    #[test]
    fn every_line_is_parsed_as_it_is_shown() {
        for compat in [Compat::Lenient, Compat::V4_3, Compat::V4_2, Compat::V3_13] {
            assert_eq!(compat.to_string().parse(), Ok(compat));
        }
        let unknown = "4.1".parse::<Compat>().unwrap_err();
        assert_eq!(unknown.to_string(), "'4.1' is none of lenient, 4.3, 4.2, 3.13");
    }

    #[test]
    fn d_3_the_default_accepts_what_any_line_accepts() {
        let compat = Compat::default();
        assert_eq!(compat.frame_max_min(), 4096);
        assert!(compat.honours_global_qos());
        assert!(!compat.refuses_queue_master_locator());
        assert_eq!(compat.queue_version_min(), 1);
    }
}
