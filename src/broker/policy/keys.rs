//! The keys of policies: which there are, what values they can have, and which queues have no use for them (B-07 to B-09).

use leveret_protocol::{FieldTable, FieldValue};

use super::term::{pairs, term};
use super::{Kind, PolicyError};
use crate::broker::arguments::{QueueType, is_interval};

/// A key of policies.
struct Key {
    name: &'static str,
    /// Operators may set it too.
    operator: bool,
    /// How its value is called when it is not possible.
    what: &'static str,
    is_valid: fn(&FieldValue) -> bool,
    /// Types of queues that cannot go by it: a policy that has it does not apply to them.
    unsuitable: &'static [QueueType],
}

const CLASSIC: QueueType = QueueType::Classic;
const QUORUM: QueueType = QueueType::Quorum;
const STREAM: QueueType = QueueType::Stream;

/// The largest segment of a stream in bytes.
const SEGMENT_BYTES_MAX: i64 = 3_000_000_000;

const fn key(
    name: &'static str,
    operator: bool,
    what: &'static str,
    is_valid: fn(&FieldValue) -> bool,
    unsuitable: &'static [QueueType],
) -> Key {
    Key { name, operator, what, is_valid, unsuitable }
}

/// By name, the order in which they are checked.
const KEYS: [Key; 25] = [
    key("alternate-exchange", false, "alternate exchange name", is_text, &[]),
    key("consumer-disconnected-timeout", false, "consumer disconnected timeout", is_not_negative, &[]),
    key("consumer-timeout", false, "consumer timeout", is_not_negative, &[]),
    key("dead-letter-exchange", false, "dead letter exchange name", is_text, &[STREAM]),
    key("dead-letter-routing-key", false, "dead letter routing key", is_text, &[STREAM]),
    key("dead-letter-strategy", false, "dead letter strategy", is_strategy, &[CLASSIC, STREAM]),
    key("delayed-retry-max", true, "delayed retry maximum delay. Must be a positive integer", is_positive, &[]),
    key("delayed-retry-min", true, "delayed retry minimum delay. Must be a positive integer", is_positive, &[]),
    key(
        "delayed-retry-type",
        true,
        "delayed retry type. Must be one of: all, failed, returned, disabled",
        is_retry_type,
        &[],
    ),
    key("delivery-limit", true, "delivery limit", is_integer, &[CLASSIC, STREAM]),
    key("expires", true, "queue expiry", is_positive, &[STREAM]),
    key("initial-cluster-size", false, "cluster size", is_not_negative, &[CLASSIC, QUORUM]),
    key("max-age", false, "max age", is_age, &[CLASSIC, QUORUM]),
    key("max-in-memory-bytes", true, "maximum memory in bytes", is_not_negative, &[CLASSIC, STREAM]),
    key("max-in-memory-length", true, "maximum memory in bytes", is_not_negative, &[CLASSIC, STREAM]),
    key("max-length", true, "maximum length", is_not_negative, &[STREAM]),
    key("max-length-bytes", true, "maximum length in bytes", is_not_negative, &[]),
    key("message-ttl", true, "message TTL", is_not_negative, &[STREAM]),
    key("overflow", true, "overflow value", is_overflow, &[STREAM]),
    key("queue-leader-locator", false, "queue leader locator value", is_locator, &[]),
    key("queue-mode", false, "queue-mode value", is_mode, &[QUORUM, STREAM]),
    key("queue-version", true, "queue-version value", is_version, &[]),
    key("stream-filter-size-bytes", false, "filter size. Valid range is 16-255", is_filter_size, &[]),
    key("stream-max-segment-size-bytes", false, "segment size", is_segment_size, &[CLASSIC, QUORUM]),
    key("target-group-size", true, "qq target count value", is_positive, &[CLASSIC, STREAM]),
];

/// Checks keys and values of a definition: the values of known keys first.
pub(super) fn check(kind: Kind, definition: &FieldTable) -> Result<(), PolicyError> {
    if definition.is_empty() {
        return Err(PolicyError::Empty);
    }
    if definition.get("queue-master-locator").is_some() {
        return Err(PolicyError::MasterLocator);
    }
    let known =
        |name: &[u8]| KEYS.iter().find(|key| key.name.as_bytes() == name && (key.operator || kind == Kind::User));
    let sorted = definition.clone().sorted_by_name();
    for (name, value) in sorted.iter() {
        if let Some(key) = known(name)
            && !(key.is_valid)(value)
        {
            return Err(PolicyError::Invalid { value: term(value), what: key.what });
        }
    }
    check_retries(&sorted)?;
    let unknown: Vec<_> = sorted.iter().filter(|(name, _)| known(name).is_none()).collect();
    if unknown.is_empty() { Ok(()) } else { Err(PolicyError::Unknown(pairs(&unknown))) }
}

/// Whether a queue of this type can go by all the keys.
pub(super) fn suit(definition: &FieldTable, queue_type: QueueType) -> bool {
    let unsuitable =
        |name: &[u8]| KEYS.iter().any(|key| key.name.as_bytes() == name && key.unsuitable.contains(&queue_type));
    !definition.iter().any(|(name, _)| unsuitable(name))
}

/// The value of a key that is text.
pub(super) fn bytes(definition: &FieldTable, key: &str) -> Option<Vec<u8>> {
    match definition.get(key) {
        Some(FieldValue::LongString(text)) => Some(text.clone()),
        _ => None,
    }
}

fn check_retries(definition: &FieldTable) -> Result<(), PolicyError> {
    let number = |key| definition.get(key).and_then(FieldValue::as_integer);
    let (min, max) = (number("delayed-retry-min"), number("delayed-retry-max"));
    if let Some(retry_type) = definition.get("delayed-retry-type").and_then(FieldValue::as_str)
        && retry_type != "disabled"
        && min.is_none()
    {
        return Err(PolicyError::RetryWithoutMin(retry_type.to_owned()));
    }
    match (min, max) {
        (Some(min), Some(max)) if max < min => Err(PolicyError::RetryMaxBelowMin { min, max }),
        _ => Ok(()),
    }
}

fn is_text(value: &FieldValue) -> bool {
    matches!(value, FieldValue::LongString(_))
}

fn is_integer(value: &FieldValue) -> bool {
    value.as_integer().is_some()
}

fn is_not_negative(value: &FieldValue) -> bool {
    value.as_integer().is_some_and(|n| n >= 0)
}

fn is_positive(value: &FieldValue) -> bool {
    value.as_integer().is_some_and(|n| n > 0)
}

fn is_filter_size(value: &FieldValue) -> bool {
    value.as_integer().is_some_and(|n| (16..=255).contains(&n))
}

fn is_segment_size(value: &FieldValue) -> bool {
    value.as_integer().is_some_and(|n| (0..=SEGMENT_BYTES_MAX).contains(&n))
}

fn is_version(value: &FieldValue) -> bool {
    value.as_integer().is_some_and(|n| n == 1 || n == 2)
}

fn is_age(value: &FieldValue) -> bool {
    matches!(value, FieldValue::LongString(text) if is_interval(text))
}

fn is_one_of(value: &FieldValue, words: &[&str]) -> bool {
    value.as_str().is_some_and(|word| words.contains(&word))
}

fn is_strategy(value: &FieldValue) -> bool {
    is_one_of(value, &["at-most-once", "at-least-once"])
}

fn is_retry_type(value: &FieldValue) -> bool {
    is_one_of(value, &["all", "failed", "returned", "disabled"])
}

fn is_overflow(value: &FieldValue) -> bool {
    is_one_of(value, &["drop-head", "reject-publish", "reject-publish-dlx"])
}

fn is_locator(value: &FieldValue) -> bool {
    is_one_of(value, &["client-local", "balanced", "random", "least-leaders", "min-masters"])
}

fn is_mode(value: &FieldValue) -> bool {
    is_one_of(value, &["default", "lazy"])
}
