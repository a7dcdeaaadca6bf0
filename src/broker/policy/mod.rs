//! Policies: what an operator says for all queues and exchanges whose names match a pattern (B-07 to B-09).

use super::arguments::{DeadLetterStrategy, DelayedRetryType, Overflow};

/// What policies say to one queue.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the keys' own names")]
pub struct QueuePolicy {
    pub expires_ms: Option<u64>,
    pub message_ttl_ms: Option<u64>,
    pub max_length: Option<u64>,
    pub max_length_bytes: Option<u64>,
    pub overflow: Option<Overflow>,
    pub dead_letter_exchange: Option<Vec<u8>>,
    pub dead_letter_routing_key: Option<Vec<u8>>,
    pub dead_letter_strategy: Option<DeadLetterStrategy>,
    pub delivery_limit: Option<i64>,
    pub consumer_timeout_ms: Option<u64>,
    pub delayed_retry_type: Option<DelayedRetryType>,
    pub delayed_retry_min_ms: Option<u64>,
    pub delayed_retry_max_ms: Option<u64>,
}
