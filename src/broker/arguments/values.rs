//! From one value of a queue argument to a typed setting, in RabbitMQ's order of checks.

use leveret_protocol::FieldValue;

use super::interval::Interval;
use super::queue::{DeadLetterStrategy, DelayedRetryType, Overflow, QueueSettings};
use super::term::text;
use super::{InvalidValue, check};
use crate::broker::compat::Compat;

/// Puts a checked value into its field.
pub(super) type Reader = fn(&mut QueueSettings, &FieldValue, Compat) -> Result<(), InvalidValue>;

/// A reader that puts the checked value into a field.
macro_rules! read {
    (of $part:ident.$field:ident = $check:expr) => {
        |settings, value, _| {
            settings.$part.get_or_insert_default().$field = $check(value)?;
            Ok(())
        }
    };
    ($($field:ident).+ = $check:expr) => {
        |settings, value, _| {
            settings.$($field).+ = $check(value)?;
            Ok(())
        }
    };
}

/// In the order in which values are checked. The exchange was checked before, the others depend on nothing later.
pub(super) const READERS: [(&str, Reader); 26] = [
    ("x-expires", read!(expires_ms = some(|v| check::positive(v).and_then(|_| check::expiry_ms(v))))),
    ("x-message-ttl", read!(message_ttl_ms = some(check::expiry_ms))),
    ("x-dead-letter-exchange", read!(dead_letter_exchange = dead_letter_exchange)),
    ("x-dead-letter-routing-key", QueueSettings::read_dead_letter_routing_key),
    ("x-dead-letter-strategy", QueueSettings::read_dead_letter_strategy),
    ("x-max-length", read!(max_length = some(check::not_negative))),
    ("x-max-length-bytes", read!(max_length_bytes = some(check::not_negative))),
    ("x-max-in-memory-length", |_, value, _| check::not_negative(value).map(drop)),
    ("x-max-in-memory-bytes", |_, value, _| check::not_negative(value).map(drop)),
    ("x-max-priority", QueueSettings::read_max_priority),
    ("x-overflow", QueueSettings::read_overflow),
    ("x-queue-mode", check_queue_mode),
    ("x-queue-version", check_queue_version),
    ("x-single-active-consumer", read!(single_active_consumer = check::boolean)),
    ("x-consumer-timeout", read!(consumer_timeout_ms = some(check::not_negative))),
    ("x-consumer-disconnected-timeout", |_, value, _| check::not_negative(value).map(drop)),
    ("x-quorum-initial-group-size", |_, value, _| check::positive(value).map(drop)),
    ("x-max-age", read!(of stream.max_age_ms = max_age_ms)),
    ("x-stream-max-segment-size-bytes", read!(of stream.segment_size_bytes = some(check::not_negative))),
    ("x-stream-filter-size-bytes", read!(of stream.filter_size_bytes = some(check::not_negative))),
    ("x-initial-cluster-size", |_, value, _| check::positive(value).map(drop)),
    ("x-queue-leader-locator", check_leader_locator),
    ("x-delivery-limit", read!(delivery_limit = integer_or_none)),
    ("x-delayed-retry-type", QueueSettings::read_delayed_retry_type),
    ("x-delayed-retry-min", read!(delayed_retry.min_ms = unsigned_or_none)),
    ("x-delayed-retry-max", read!(delayed_retry.max_ms = unsigned_or_none)),
];

impl QueueSettings {
    fn read_dead_letter_routing_key(&mut self, value: &FieldValue, _: Compat) -> Result<(), InvalidValue> {
        let key = check::string(value)?;
        if self.dead_letter_exchange.is_none() {
            return Err(InvalidValue::RoutingKeyWithoutExchange);
        }
        self.dead_letter_routing_key = Some(key.to_vec());
        Ok(())
    }

    fn read_dead_letter_strategy(&mut self, value: &FieldValue, _: Compat) -> Result<(), InvalidValue> {
        let name = str::from_utf8(check::string(value)?).unwrap_or_default();
        self.dead_letter_strategy = DeadLetterStrategy::from_name(name).ok_or(InvalidValue::Strategy)?;
        Ok(())
    }

    fn read_max_priority(&mut self, value: &FieldValue, _: Compat) -> Result<(), InvalidValue> {
        check::not_negative(value)?;
        let n = check::integer(value)?;
        self.max_priority = Some(u8::try_from(n).map_err(|_| InvalidValue::MaxValueExceeded(n))?);
        Ok(())
    }

    fn read_overflow(&mut self, value: &FieldValue, _: Compat) -> Result<(), InvalidValue> {
        let name = str::from_utf8(check::string(value)?).unwrap_or_default();
        self.overflow = Overflow::from_name(name).ok_or(InvalidValue::Overflow)?;
        Ok(())
    }

    fn read_delayed_retry_type(&mut self, value: &FieldValue, _: Compat) -> Result<(), InvalidValue> {
        let name = value.as_str().unwrap_or_default();
        self.delayed_retry.retry_type = DelayedRetryType::from_name(name).unwrap_or_default();
        Ok(())
    }
}

/// `x-queue-mode` has no effect; some lines validate it (0.1).
fn check_queue_mode(_: &mut QueueSettings, value: &FieldValue, compat: Compat) -> Result<(), InvalidValue> {
    if !compat.validates_queue_mode() {
        return Ok(());
    }
    match check::string(value)? {
        b"default" | b"lazy" => Ok(()),
        mode => Err(InvalidValue::UnsupportedMode(text(mode))),
    }
}

/// `x-queue-version` has no effect here; which are accepted differs (0.1).
fn check_queue_version(_: &mut QueueSettings, value: &FieldValue, compat: Compat) -> Result<(), InvalidValue> {
    check::not_negative(value)?;
    match check::integer(value)? {
        n if (compat.queue_version_min()..=2).contains(&n) => Ok(()),
        n => Err(InvalidValue::UnsupportedVersion(n)),
    }
}

/// `x-queue-leader-locator` has no effect on one node.
fn check_leader_locator(_: &mut QueueSettings, value: &FieldValue, _: Compat) -> Result<(), InvalidValue> {
    match check::string(value)? {
        b"client-local" | b"balanced" | b"random" | b"least-leaders" | b"min-masters" => Ok(()),
        _ => Err(InvalidValue::LeaderLocator),
    }
}

/// Wraps the value of a check.
fn some<T>(
    check: fn(&FieldValue) -> Result<T, InvalidValue>,
) -> impl Fn(&FieldValue) -> Result<Option<T>, InvalidValue> {
    move |value| check(value).map(Some)
}

/// An argument that RabbitMQ does not validate.
fn integer_or_none(value: &FieldValue) -> Result<Option<i64>, InvalidValue> {
    Ok(value.as_integer())
}

fn unsigned_or_none(value: &FieldValue) -> Result<Option<u64>, InvalidValue> {
    Ok(value.as_integer().and_then(|n| u64::try_from(n).ok()))
}

fn dead_letter_exchange(value: &FieldValue) -> Result<Option<Vec<u8>>, InvalidValue> {
    check::string(value).map(|name| Some(name.to_vec()))
}

fn max_age_ms(value: &FieldValue) -> Result<Option<u64>, InvalidValue> {
    let age = Interval::parse(check::string(value)?).ok_or(InvalidValue::MaxAge)?;
    Ok(Some(age.as_ms()))
}
