//! The one place that turns a refusal into a reply code: what each violation costs the client, its channel or its connection.

use leveret_protocol::ReplyCode;
use leveret_protocol::properties::PropertiesError;
use thiserror::Error as ThisError;

use crate::broker::BrokerError;
use crate::broker::arguments::ArgumentError;
use crate::broker::topology::TopologyError;
use crate::channel::ChannelError;
use crate::connection::ConnectionError;

/// The longest reply text in bytes; a short string holds no more.
const REPLY_TEXT_MAX: usize = 255;
/// A longer one is cut to this and marked with dots (C-22).
const REPLY_TEXT_CUT: usize = 252;

/// Why a method was not carried out.
#[derive(Debug, ThisError)]
pub enum Error {
    /// Names, existence, equivalence, arguments.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The channel's own rules.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The connection's own rules.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

impl From<ArgumentError> for Error {
    fn from(error: ArgumentError) -> Self {
        Self::Broker(error.into())
    }
}

impl From<TopologyError> for Error {
    fn from(error: TopologyError) -> Self {
        Self::Broker(error.into())
    }
}

impl From<PropertiesError> for Error {
    fn from(_: PropertiesError) -> Self {
        Self::Connection(ConnectionError::UnreadableProperties)
    }
}

impl Error {
    /// The reply code: a hard one ends the connection, a soft one the channel (C-22).
    pub fn code(&self) -> ReplyCode {
        match self {
            Self::Broker(error) => broker_code(error),
            Self::Channel(error) => channel_code(error),
            Self::Connection(error) => error.code(),
        }
    }

    /// The reply text: the code's name, a dash and the explanation, of at most 255 bytes (C-22).
    pub fn text(&self) -> String {
        reply_text(self.code(), &self.to_string())
    }

    /// Whether class and method of the close are those of the failing method; otherwise they are 0 (C-20, C-23).
    pub fn names_method(&self) -> bool {
        match self {
            Self::Connection(error) => error.names_method(),
            Self::Broker(_) | Self::Channel(_) => true,
        }
    }
}

/// A code's name and an explanation as one reply text.
pub fn reply_text(code: ReplyCode, explanation: &str) -> String {
    let mut text = format!("{} - {explanation}", code.name());
    if text.len() > REPLY_TEXT_MAX {
        let cut = (0..=REPLY_TEXT_CUT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(cut);
        text.push_str("...");
    }
    text
}

fn broker_code(error: &BrokerError) -> ReplyCode {
    match error {
        BrokerError::Topology(error) => topology_code(error),
        BrokerError::Argument(ArgumentError::ExclusiveAccess { .. })
        | BrokerError::Locked { .. }
        | BrokerError::GetSingleActive { .. } => ReplyCode::ResourceLocked,
        BrokerError::Argument(ArgumentError::QueueMasterLocator) => ReplyCode::InternalError,
        BrokerError::Argument(_) | BrokerError::QueueInUse { .. } | BrokerError::QueueNotEmpty { .. } => {
            ReplyCode::PreconditionFailed
        }
        BrokerError::Unreadable { .. } => ReplyCode::NotFound,
        BrokerError::ReservedQueueName(_) | BrokerError::ExclusiveUse { .. } | BrokerError::BindReplyTo => {
            ReplyCode::AccessRefused
        }
        BrokerError::ConsumeReplyTo { .. } => ReplyCode::PreconditionFailed,
        BrokerError::ConditionalQuorumDelete { .. }
        | BrokerError::GlobalQosOnQuorum { .. }
        | BrokerError::GetReplyTo { .. } => ReplyCode::NotImplemented,
    }
}

fn topology_code(error: &TopologyError) -> ReplyCode {
    match error {
        TopologyError::DefaultExchange | TopologyError::ReservedName(_) | TopologyError::SystemExchange(_) => {
            ReplyCode::AccessRefused
        }
        TopologyError::NoExchange(_) | TopologyError::NoQueue(_) => ReplyCode::NotFound,
        TopologyError::UnknownType(_)
        | TopologyError::InvalidType(_)
        | TopologyError::Inequivalent { .. }
        | TopologyError::AlternateType { .. }
        | TopologyError::InUse(_)
        | TopologyError::TopicHashWords { .. }
        | TopologyError::HeadersMatchValue(_)
        | TopologyError::HeadersMatchType { .. } => ReplyCode::PreconditionFailed,
    }
}

fn channel_code(error: &ChannelError) -> ReplyCode {
    match error {
        ChannelError::InternalExchange { .. } => ReplyCode::AccessRefused,
        ChannelError::NoQueueDeclared => ReplyCode::NotFound,
        ChannelError::ConsumerTagReused(_) | ChannelError::TooManyConsumers(_) => ReplyCode::NotAllowed,
        ChannelError::PrefetchSize(_)
        | ChannelError::FlowStop
        | ChannelError::Immediate
        | ChannelError::RecoverWithoutRequeue => ReplyCode::NotImplemented,
        ChannelError::TooMuchPending(_) => ReplyCode::ResourceError,
        ChannelError::Unimplemented => ReplyCode::CommandInvalid,
        ChannelError::DeliveryTimeout { .. }
        | ChannelError::UnknownDeliveryTag(_)
        | ChannelError::ReplyConsumerAcks
        | ChannelError::ReplyConsumerSet
        | ChannelError::NoReplyConsumer
        | ChannelError::TxToConfirm
        | ChannelError::ConfirmToTx
        | ChannelError::NotTransactional
        | ChannelError::PartialCommit
        | ChannelError::MessageTooLarge { .. }
        | ChannelError::UserId { .. } => ReplyCode::PreconditionFailed,
    }
}
