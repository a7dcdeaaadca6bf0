//! Why a change was refused, in RabbitMQ's words.

use std::fmt;

use super::Topology;

/// An exchange as explanations name it: `exchange 'x' in vhost '/'`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeRef {
    /// The exchange.
    pub name: Box<str>,
    /// Its vhost.
    pub vhost: Box<str>,
}

impl fmt::Display for ExchangeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exchange '{}' in vhost '{}'", self.name, self.vhost)
    }
}

/// A queue as explanations name it: `queue 'q' in vhost '/'`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueRef {
    /// The queue.
    pub name: Box<str>,
    /// Its vhost.
    pub vhost: Box<str>,
}

impl fmt::Display for QueueRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "queue '{}' in vhost '{}'", self.name, self.vhost)
    }
}

/// Why exchanges or bindings stay as they are. All are soft errors; the text is the explanation in the reply text, without
/// the name of the reply code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopologyError {
    /// 403: the default exchange is not to be declared, deleted or bound.
    #[error("operation not permitted on the default exchange")]
    DefaultExchange,

    /// 403: a new exchange may not be named like the predeclared ones.
    #[error("exchange name '{0}' contains reserved prefix 'amq.*'")]
    ReservedName(Box<str>),

    /// 403: deletion of an exchange named like the predeclared ones, there or not (M-06).
    #[error("deletion of system {0} not allowed")]
    SystemExchange(ExchangeRef),

    /// 404: no such exchange.
    #[error("no {0}")]
    NoExchange(ExchangeRef),

    /// 404: no such queue.
    #[error("no {0}")]
    NoQueue(QueueRef),

    /// 406: a type that nobody has.
    #[error("unknown exchange type '{0}'")]
    UnknownType(Box<str>),

    /// 406: no name for a type, or one of RabbitMQ's that is not here.
    #[error("invalid exchange type '{0}'")]
    InvalidType(Box<str>),

    /// 406: the exchange is there and was declared otherwise.
    #[error("inequivalent arg '{argument}' for {exchange}: received {received} but current is {current}")]
    Inequivalent {
        /// The first difference.
        argument: &'static str,
        /// The exchange that is there.
        exchange: ExchangeRef,
        /// A phrase for what was asked for.
        received: Box<str>,
        /// A phrase for what is there.
        current: Box<str>,
    },

    /// 406: `alternate-exchange` is not a string.
    #[error("invalid type '{type_name}' for arg 'alternate-exchange' in {exchange}")]
    AlternateType {
        /// The exchange to be declared.
        exchange: ExchangeRef,
        /// The type that the argument has.
        type_name: &'static str,
    },

    /// 406: `if-unused` on the source of a binding (M-06).
    #[error("{0} in use")]
    InUse(ExchangeRef),

    /// 406: a pattern with too many `#`.
    #[error("Topic binding key '{key}' uses {count} '#' wildcards, at most 2 are allowed")]
    TopicHashWords {
        /// The binding key.
        key: Box<str>,
        /// Its `#` words.
        count: usize,
    },

    /// 406: an unknown `x-match`, as a term.
    #[error("Invalid x-match field value {0}; expected all, any, all-with-x, or any-with-x")]
    HeadersMatchValue(String),

    /// 406: an `x-match` that is not a string.
    #[error("Invalid x-match field type {type_name} (value {value}); expected longstr")]
    HeadersMatchType {
        /// Its type.
        type_name: &'static str,
        /// Its value as a term.
        value: String,
    },
}

impl Topology {
    /// How explanations name an exchange; any bytes, as publishers may name any.
    pub fn exchange_ref(&self, name: &[u8]) -> ExchangeRef {
        ExchangeRef { name: String::from_utf8_lossy(name).into(), vhost: self.vhost.clone() }
    }

    /// How explanations name a queue.
    pub fn queue_ref(&self, name: &str) -> QueueRef {
        QueueRef { name: name.into(), vhost: self.vhost.clone() }
    }
}
