//! What policies say to one queue, and how an operator's limits come on top (B-07).

use leveret_protocol::{FieldTable, FieldValue};

use super::keys::bytes;
use crate::broker::arguments::{DeadLetterStrategy, DelayedRetryType, Overflow};

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

impl QueuePolicy {
    /// Of a definition that was checked.
    pub(super) fn of(definition: &FieldTable) -> Self {
        let number = |key| definition.get(key).and_then(FieldValue::as_integer);
        let unsigned = |key| number(key).and_then(|n| u64::try_from(n).ok());
        let word = |key| definition.get(key).and_then(FieldValue::as_str);
        Self {
            expires_ms: unsigned("expires"),
            message_ttl_ms: unsigned("message-ttl"),
            max_length: unsigned("max-length"),
            max_length_bytes: unsigned("max-length-bytes"),
            overflow: word("overflow").and_then(Overflow::from_name),
            dead_letter_exchange: bytes(definition, "dead-letter-exchange"),
            dead_letter_routing_key: bytes(definition, "dead-letter-routing-key"),
            dead_letter_strategy: word("dead-letter-strategy").and_then(DeadLetterStrategy::from_name),
            delivery_limit: number("delivery-limit"),
            consumer_timeout_ms: unsigned("consumer-timeout"),
            delayed_retry_type: word("delayed-retry-type").and_then(DelayedRetryType::from_name),
            delayed_retry_min_ms: unsigned("delayed-retry-min"),
            delayed_retry_max_ms: unsigned("delayed-retry-max"),
        }
    }

    /// With an operator's policy on top: the smaller limit holds, otherwise the operator's word.
    #[must_use]
    pub(super) fn under(self, operator: Self) -> Self {
        Self {
            expires_ms: least(self.expires_ms, operator.expires_ms),
            message_ttl_ms: least(self.message_ttl_ms, operator.message_ttl_ms),
            max_length: least(self.max_length, operator.max_length),
            max_length_bytes: least(self.max_length_bytes, operator.max_length_bytes),
            overflow: operator.overflow.or(self.overflow),
            delivery_limit: match (self.delivery_limit, operator.delivery_limit) {
                (Some(a), Some(b)) if a >= 0 && b >= 0 => Some(a.min(b)),
                (Some(a), Some(b)) => Some(a.max(b)), // a negative one is no limit
                (a, b) => a.or(b),
            },
            delayed_retry_type: operator.delayed_retry_type.or(self.delayed_retry_type),
            delayed_retry_min_ms: operator.delayed_retry_min_ms.or(self.delayed_retry_min_ms),
            delayed_retry_max_ms: operator.delayed_retry_max_ms.or(self.delayed_retry_max_ms),
            ..self
        }
    }
}

fn least(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    [a, b].into_iter().flatten().min()
}
