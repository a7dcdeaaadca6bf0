//! What a declare says about a queue.

use leveret_protocol::{FieldTable, FieldValue};

use super::equivalence::difference;
use super::term::{text, type_name};
use super::values::READERS;
use super::{ArgumentError, InvalidValue, QueueReference, QueueType};
use crate::broker::compat::Compat;

/// A `queue.declare` that is not passive.
#[derive(Debug, Clone, Copy)]
pub struct ReceivedDeclare<'a> {
    /// The vhost and the name, the generated one if the client sent none.
    pub queue: QueueReference<'a>,
    /// Whether the client left the name to the broker.
    pub server_named: bool,
    /// The flag as received.
    pub durable: bool,
    /// The flag as received.
    pub exclusive: bool,
    /// The flag as received.
    pub auto_delete: bool,
    /// As received.
    pub arguments: &'a FieldTable,
}

/// What only streams know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamSettings {
    /// `x-max-age` in milliseconds.
    pub max_age_ms: Option<u64>,
    /// `x-stream-max-segment-size-bytes`, at most 3 000 000 000.
    pub segment_size_bytes: Option<u64>,
    /// `x-stream-filter-size-bytes`, 16 to 255.
    pub filter_size_bytes: Option<u64>,
}

/// A queue's flags and typed arguments as of its first declare.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueSettings {
    /// `x-queue-type`, or the default.
    pub queue_type: QueueType,
    /// Whether the queue survives a restart. An exclusive queue never does.
    pub durable: bool,
    /// Whether the queue belongs to the connection that declared it.
    pub exclusive: bool,
    /// Whether the queue goes with its last consumer.
    pub auto_delete: bool,
    /// As received, with `x-queue-type` written into it if it was absent.
    pub arguments: FieldTable,
    /// `x-expires` in milliseconds, above 0.
    pub expires_ms: Option<u64>,
    /// `x-message-ttl` in milliseconds.
    pub message_ttl_ms: Option<u64>,
    /// `x-dead-letter-exchange`; the empty name is the default exchange.
    pub dead_letter_exchange: Option<Vec<u8>>,
    /// `x-dead-letter-routing-key`; absent, the message's own keys stay.
    pub dead_letter_routing_key: Option<Vec<u8>>,
    /// `x-dead-letter-strategy`
    pub dead_letter_strategy: DeadLetterStrategy,
    /// `x-max-length`: ready messages.
    pub max_length: Option<u64>,
    /// `x-max-length-bytes`: bytes of ready bodies.
    pub max_length_bytes: Option<u64>,
    /// `x-overflow`
    pub overflow: Overflow,
    /// `x-max-priority`
    pub max_priority: Option<u8>,
    /// `x-single-active-consumer`
    pub single_active_consumer: bool,
    /// `x-delivery-limit`; negative is no limit. Not validated by RabbitMQ: none unless it is an integer.
    pub delivery_limit: Option<i64>,
    /// `x-consumer-timeout` in milliseconds.
    pub consumer_timeout_ms: Option<u64>,
    /// `x-delayed-retry-type`, `-min` and `-max`.
    pub delayed_retry: DelayedRetry,
    /// Of a stream alone.
    pub stream: Option<Box<StreamSettings>>,
}

/// `x-dead-letter-strategy`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the values' own names")]
pub enum DeadLetterStrategy {
    #[default]
    AtMostOnce,
    AtLeastOnce,
}

/// `x-overflow`: what a full queue does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    /// Drops, or dead-letters, from its head.
    #[default]
    DropHead,
    /// Refuses what is published.
    RejectPublish,
    /// Refuses what is published and dead-letters it.
    RejectPublishDeadLetter,
}

/// `x-delayed-retry-type`, `-min` and `-max`. Not validated by RabbitMQ: what it does not know is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DelayedRetry {
    /// Which returns are delayed.
    pub retry_type: DelayedRetryType,
    /// The delay of the first return in milliseconds.
    pub min_ms: Option<u64>,
    /// The longest delay in milliseconds.
    pub max_ms: Option<u64>,
}

/// Which returns are delayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DelayedRetryType {
    /// None.
    #[default]
    Disabled,
    /// All.
    All,
    /// Rejects.
    Failed,
    /// Nacks.
    Returned,
}

impl DeadLetterStrategy {
    /// By the name in arguments and policies.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "at-most-once" => Some(Self::AtMostOnce),
            "at-least-once" => Some(Self::AtLeastOnce),
            _ => None,
        }
    }
}

impl Overflow {
    /// By the name in arguments and policies.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "drop-head" => Some(Self::DropHead),
            "reject-publish" => Some(Self::RejectPublish),
            "reject-publish-dlx" => Some(Self::RejectPublishDeadLetter),
            _ => None,
        }
    }
}

impl DelayedRetryType {
    /// By the name in arguments and policies.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "disabled" => Some(Self::Disabled),
            "all" => Some(Self::All),
            "failed" => Some(Self::Failed),
            "returned" => Some(Self::Returned),
            _ => None,
        }
    }
}

/// Checks the declare of a queue that does not exist. `default_type` is the vhost's or the node's default queue type.
pub fn declare(
    received: &ReceivedDeclare<'_>,
    default_type: QueueType,
    compat: Compat,
) -> Result<QueueSettings, ArgumentError> {
    let given_type = GivenType::of(received, default_type);
    if received.server_named {
        check_server_named(&given_type)?;
    }
    check_dead_letter_exchange(received)?;
    let queue_type = given_type.into_type().map_err(|reason| received.invalid("x-queue-type", reason))?;

    let mut settings = QueueSettings::new(queue_type, received);
    settings.arguments = arguments_with_type(received, queue_type);
    settings.read_values(received, compat)?;
    check_suitable(received, &settings)?;
    if queue_type != QueueType::Classic {
        check_properties(received)?;
    }
    settings.check_stream_sizes()?;
    let has_master_locator = received.arguments.get("x-queue-master-locator").is_some();
    if has_master_locator && compat.refuses_queue_master_locator() {
        return Err(ArgumentError::QueueMasterLocator);
    }
    Ok(settings)
}

/// Compares a declare with the queue that exists. Of its values, none is validated.
///
/// The caller has checked that an exclusive queue belongs to the connection.
pub fn redeclare(
    current: &QueueSettings,
    received: &ReceivedDeclare<'_>,
    default_type: QueueType,
) -> Result<(), ArgumentError> {
    if received.exclusive != current.exclusive {
        let queue = received.queue.to_string();
        return Err(ArgumentError::ExclusiveAccess { queue });
    }
    let durable = received.durable && !received.exclusive;
    received.check_flag("durable", durable, current.durable)?;
    received.check_flag("auto_delete", received.auto_delete, current.auto_delete)?;

    let absent_type = FieldValue::from(GivenType::absent(received, default_type).name());
    for &argument in current.queue_type.queue_arguments() {
        let default = (argument == "x-queue-type").then_some(&absent_type);
        let value = received.arguments.get(argument).or(default);
        if let Some((received_words, current_words)) = difference(argument, value, current.arguments.get(argument)) {
            return Err(ArgumentError::InequivalentArgument {
                queue: received.queue.to_string(),
                argument,
                received: received_words,
                current: current_words,
            });
        }
    }
    Ok(())
}

impl ReceivedDeclare<'_> {
    fn invalid(&self, argument: &'static str, reason: InvalidValue) -> ArgumentError {
        ArgumentError::InvalidValue { queue: self.queue.to_string(), argument, reason }
    }

    fn check_flag(&self, property: &'static str, received: bool, current: bool) -> Result<(), ArgumentError> {
        if received == current {
            return Ok(());
        }
        Err(ArgumentError::InequivalentProperty { queue: self.queue.to_string(), property, received, current })
    }
}

/// What a declare says about the type.
enum GivenType {
    Known(QueueType),
    Unknown(String),
    WrongType(InvalidValue),
}

impl GivenType {
    fn of(received: &ReceivedDeclare<'_>, default_type: QueueType) -> Self {
        match received.arguments.get("x-queue-type") {
            None => Self::Known(Self::absent(received, default_type)),
            Some(FieldValue::LongString(name)) if is_placeholder(name) => {
                Self::Known(Self::absent(received, default_type))
            }
            Some(FieldValue::LongString(name)) => {
                QueueType::from_name(name).map_or_else(|| Self::Unknown(text(name)), Self::Known)
            }
            Some(value) => Self::WrongType(InvalidValue::UnacceptableType { type_name: type_name(value) }),
        }
    }

    /// The default, unless the flags do not suit it.
    const fn absent(received: &ReceivedDeclare<'_>, default_type: QueueType) -> QueueType {
        if received.durable && !received.exclusive && !received.auto_delete { default_type } else { QueueType::Classic }
    }

    fn into_type(self) -> Result<QueueType, InvalidValue> {
        match self {
            Self::Known(queue_type) => Ok(queue_type),
            Self::Unknown(name) => Err(InvalidValue::UnsupportedType(name)),
            Self::WrongType(reason) => Err(reason),
        }
    }
}

/// Whether the name of a type stands for the default.
fn is_placeholder(name: &[u8]) -> bool {
    matches!(name, b"" | b"undefined")
}

fn check_server_named(given: &GivenType) -> Result<(), ArgumentError> {
    match given {
        GivenType::Known(QueueType::Classic) | GivenType::WrongType(_) => Ok(()),
        GivenType::Known(queue_type) => Err(ArgumentError::ServerNamed { queue_type: *queue_type }),
        GivenType::Unknown(name) => Err(ArgumentError::UnknownQueueType { name: name.clone() }),
    }
}

fn check_dead_letter_exchange(received: &ReceivedDeclare<'_>) -> Result<(), ArgumentError> {
    match received.arguments.get("x-dead-letter-exchange") {
        None | Some(FieldValue::LongString(_)) => Ok(()),
        Some(value) => Err(ArgumentError::DeadLetterExchangeType {
            queue: received.queue.to_string(),
            type_name: type_name(value),
        }),
    }
}

/// The table to keep: with a type. A table that gets one from the broker is sorted.
fn arguments_with_type(received: &ReceivedDeclare<'_>, queue_type: QueueType) -> FieldTable {
    let mut arguments = received.arguments.clone();
    if arguments.get("x-queue-type").is_some() {
        return arguments;
    }
    arguments.push("x-queue-type", queue_type.name());
    arguments.sorted_by_name()
}

fn check_suitable(received: &ReceivedDeclare<'_>, settings: &QueueSettings) -> Result<(), ArgumentError> {
    let queue_type = settings.queue_type;
    let unsuitable = match received.arguments.get("x-queue-type").and_then(FieldValue::as_str) {
        Some(name) if is_placeholder(name.as_bytes()) => {
            queue_type.unsuitable_queue_argument(&settings.arguments.clone().sorted_by_name())
        }
        _ => queue_type.unsuitable_queue_argument(&settings.arguments),
    };
    unsuitable.map_or(Ok(()), |argument| {
        Err(ArgumentError::UnsuitableArgument { queue: received.queue.to_string(), argument, queue_type })
    })
}

/// What quorum queues and streams cannot be.
fn check_properties(received: &ReceivedDeclare<'_>) -> Result<(), ArgumentError> {
    let property = match received {
        ReceivedDeclare { auto_delete: true, .. } => "auto-delete",
        ReceivedDeclare { exclusive: true, .. } => "exclusive-owner",
        ReceivedDeclare { durable: false, .. } => "non-durable",
        _ => return Ok(()),
    };
    let queue = received.queue.to_string();
    Err(ArgumentError::InvalidProperty { queue, property })
}

impl QueueSettings {
    fn new(queue_type: QueueType, received: &ReceivedDeclare<'_>) -> Self {
        Self {
            queue_type,
            durable: received.durable && !received.exclusive,
            exclusive: received.exclusive,
            auto_delete: received.auto_delete,
            arguments: FieldTable::default(),
            expires_ms: None,
            message_ttl_ms: None,
            dead_letter_exchange: None,
            dead_letter_routing_key: None,
            dead_letter_strategy: DeadLetterStrategy::default(),
            max_length: None,
            max_length_bytes: None,
            overflow: Overflow::default(),
            max_priority: None,
            single_active_consumer: false,
            delivery_limit: None,
            consumer_timeout_ms: None,
            delayed_retry: DelayedRetry::default(),
            stream: None,
        }
    }

    fn read_values(&mut self, received: &ReceivedDeclare<'_>, compat: Compat) -> Result<(), ArgumentError> {
        let known = self.queue_type.queue_arguments();
        for (argument, read) in READERS.iter().filter(|(argument, _)| known.contains(argument)) {
            if let Some(value) = received.arguments.get(argument) {
                read(self, value, compat).map_err(|reason| received.invalid(argument, reason))?;
            }
        }
        Ok(())
    }

    /// `x-overflow`, if it was given.
    pub fn given_overflow(&self) -> Option<Overflow> {
        self.arguments.get("x-overflow").map(|_| self.overflow)
    }

    fn check_stream_sizes(&self) -> Result<(), ArgumentError> {
        let Some(stream) = &self.stream else { return Ok(()) };
        if stream.segment_size_bytes.is_some_and(|n| n > 3_000_000_000) {
            return Err(ArgumentError::StreamSegmentSize);
        }
        if stream.filter_size_bytes.is_some_and(|n| !(16..=255).contains(&n)) {
            return Err(ArgumentError::StreamFilterSize);
        }
        Ok(())
    }
}
