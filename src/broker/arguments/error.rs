//! What is wrong with an argument, with RabbitMQ's explanations.

use std::fmt;

use leveret_protocol::FieldValue;

use super::QueueType;
use super::term::{Encoding, Term};

/// The queue that an explanation speaks of: shown as `queue 'NAME' in vhost 'VHOST'`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueReference<'a> {
    /// The vhost's name.
    pub vhost: &'a str,
    /// The queue's name; for a server-named queue the generated one.
    pub name: &'a str,
}

impl fmt::Display for QueueReference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "queue '{}' in vhost '{}'", self.name, self.vhost)
    }
}

/// An argument, a property or a header that is refused.
///
/// Shown, it is the explanation of RabbitMQ without the reply code's name in front. `queue` is a shown
/// [`QueueReference`].
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ArgumentError {
    /// 405: the queue belongs to another connection, or the exclusive flag differs from the first declare's.
    #[error(
        "cannot obtain exclusive access to locked {queue}. It could be originally declared on another connection or the \
         exclusive property value does not match that of the original declaration."
    )]
    ExclusiveAccess {
        #[expect(missing_docs, reason = "the shown reference")]
        queue: String,
    },
    /// 406: the dead letter exchange is no long string.
    #[error("invalid type '{type_name}' for arg 'x-dead-letter-exchange' in {queue}")]
    DeadLetterExchangeType {
        #[expect(missing_docs, reason = "the shown reference")]
        queue: String,
        /// What it is.
        type_name: &'static str,
    },
    /// 406: the `expiration` of a message (P-09).
    #[error("invalid expiration '{expiration}': {explanation}")]
    Expiration {
        /// As received.
        expiration: String,
        /// The term that says why, broken into lines as RabbitMQ does.
        explanation: String,
    },
    /// 406: an argument differs from the first declare's.
    #[error("inequivalent arg '{argument}' for {queue}: received {received} but current is {current}")]
    InequivalentArgument {
        #[expect(missing_docs, reason = "the shown reference")]
        queue: String,
        /// The argument's name.
        argument: &'static str,
        /// The value in words.
        received: String,
        /// The value in words.
        current: String,
    },
    /// 406: a flag differs from the first declare's.
    #[error("inequivalent arg '{property}' for {queue}: received '{received}' but current is '{current}'")]
    InequivalentProperty {
        #[expect(missing_docs, reason = "the shown reference")]
        queue: String,
        /// `durable` or `auto_delete`.
        property: &'static str,
        #[expect(missing_docs, reason = "the flag")]
        received: bool,
        #[expect(missing_docs, reason = "the flag")]
        current: bool,
    },
    /// 406: a flag that a quorum queue or a stream cannot have.
    #[error("invalid property '{property}' for {queue}")]
    InvalidProperty {
        #[expect(missing_docs, reason = "the shown reference")]
        queue: String,
        /// `auto-delete`, `exclusive-owner` or `non-durable`.
        property: &'static str,
    },
    /// 406: the value is of a wrong type or out of its bounds.
    #[error("invalid arg '{argument}' for {queue}: {reason}")]
    InvalidValue {
        #[expect(missing_docs, reason = "the shown reference")]
        queue: String,
        /// The argument's name.
        argument: &'static str,
        /// What is wrong with it.
        reason: InvalidValue,
    },
    /// **541, closes the connection**: `x-queue-master-locator` where it is refused (0.1, D-3).
    #[error(
        "Feature `queue_master_locator` is deprecated.\nBy default, this feature is not permitted anymore.\nThe feature will \
         be removed from a future major RabbitMQ version, regardless of the configuration; actual version to be determined.\n\
         To continue using this feature when it is not permitted by default, set the following parameter in your \
         configuration:\n    \"deprecated_features.permit.queue_master_locator = true\""
    )]
    QueueMasterLocator,
    /// 406: CC or BCC is no array (P-11).
    #[error("invalid message: {{unacceptable_type_in_header,\"{header}\",{type_name}}}")]
    SenderSelectedType {
        /// `CC` or `BCC`.
        header: &'static str,
        /// What it is.
        type_name: &'static str,
    },
    /// 406: this type has to be declared with a name.
    #[error("Cannot declare a server-named queue for type {}", queue_type.module_name())]
    ServerNamed {
        #[expect(missing_docs, reason = "the type")]
        queue_type: QueueType,
    },
    /// 406: `x-stream-filter-size-bytes` outside of 16 to 255.
    #[error("Invalid value for x-stream-filter-size-bytes")]
    StreamFilterSize,
    /// 406: `x-stream-max-segment-size-bytes` above 3 000 000 000.
    #[error("Exceeded max value for x-stream-max-segment-size-bytes")]
    StreamSegmentSize,
    /// 406: a server-named queue of a type that does not exist.
    #[error("unknown queue type '{name}'")]
    UnknownQueueType {
        /// As received.
        name: String,
    },
    /// 406: an argument that only other types know (Q-06, S-18).
    #[error("invalid arg '{argument}' for {queue} of queue type {}", queue_type.module_name())]
    UnsuitableArgument {
        #[expect(missing_docs, reason = "the shown reference")]
        queue: String,
        /// The argument's name.
        argument: &'static str,
        /// The type of the queue.
        queue_type: QueueType,
    },
}

impl ArgumentError {
    /// The AMQP reply code.
    pub const fn reply_code(&self) -> u16 {
        match self {
            Self::ExclusiveAccess { .. } => 405,
            Self::QueueMasterLocator => 541,
            _ => 406,
        }
    }

    /// Whether the connection is closed rather than the channel.
    pub const fn closes_connection(&self) -> bool {
        matches!(self, Self::QueueMasterLocator)
    }
}

/// What is wrong with a value. Shown as the Erlang term of RabbitMQ's text.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the terms")]
pub enum InvalidValue {
    ExpectedInteger { type_name: &'static str },
    LeaderLocator,
    MaxAge,
    MaxValueExceeded(i64),
    Negative(i64),
    Overflow,
    RoutingKeyWithoutExchange,
    Strategy,
    StreamFilter(FieldValue),
    StreamOffset(FieldValue),
    TooLarge(i64),
    UnacceptableType { type_name: &'static str },
    UnsupportedMode(String),
    UnsupportedType(String),
    UnsupportedVersion(i64),
    Zero,
}

impl InvalidValue {
    fn term(&self) -> Term {
        match self {
            Self::ExpectedInteger { type_name } => Term::Text(format!("expected integer, got {type_name}")),
            Self::LeaderLocator => Term::Atom("invalid_queue_locator_arg"),
            Self::MaxAge => Term::Atom("invalid_max_age"),
            Self::MaxValueExceeded(n) => Term::tagged("max_value_exceeded", Term::integer(n)),
            Self::Negative(n) => Term::tagged("value_negative", Term::integer(n)),
            Self::Overflow => Term::Atom("invalid_overflow"),
            Self::RoutingKeyWithoutExchange => Term::Atom("routing_key_but_no_dlx_defined"),
            Self::Strategy => Term::Atom("invalid_dlx_strategy"),
            Self::StreamFilter(value) => Term::tagged("invalid_stream_filter_arg", Term::typed(value)),
            Self::StreamOffset(value) => Term::tagged("invalid_stream_offset_arg", Term::typed(value)),
            Self::TooLarge(n) => Term::tagged("value_too_large", Term::integer(n)),
            Self::UnacceptableType { type_name } => Term::tagged("unacceptable_type", Term::Atom(type_name)),
            Self::UnsupportedMode(mode) => Term::Text(format!("unsupported queue mode '{mode}'")),
            Self::UnsupportedType(name) => Term::Text(format!("unsupported queue type '{name}'")),
            Self::UnsupportedVersion(n) => Term::Text(format!("unsupported queue version '{n}'")),
            Self::Zero => Term::tagged("value_zero", Term::integer(0)),
        }
    }
}

impl fmt::Display for InvalidValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.term().line(Encoding::Latin1))
    }
}
