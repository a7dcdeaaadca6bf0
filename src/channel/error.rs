//! What a channel refuses by itself. The texts are RabbitMQ's; the codes are chosen in `crate::error`.

use thiserror::Error;

/// A violation of a channel's rules. Each displays as the explanation that a client reads after the reply code's name.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ChannelError {
    /// Settling what is not unacked (S-08): 406.
    #[error("unknown delivery tag {0}")]
    UnknownDeliveryTag(u64),
    /// A tag twice on a channel (S-04): 530.
    #[error("attempt to reuse consumer tag '{0}'")]
    ConsumerTagReused(String),
    /// More consumers than a channel may have: 530.
    #[error("reached maximum ({0}) of consumers per channel")]
    TooManyConsumers(usize),
    /// Direct reply-to with acks (P-12): 406.
    #[error("reply consumer cannot acknowledge")]
    ReplyConsumerAcks,
    /// Direct reply-to twice on a channel (P-12): 406.
    #[error("reply consumer already set")]
    ReplyConsumerSet,
    /// A request without a reply consumer (P-12): 406.
    #[error("fast reply consumer does not exist")]
    NoReplyConsumer,
    /// confirm.select after tx.select (M-20): 406.
    #[error("cannot switch from tx to confirm mode")]
    TxToConfirm,
    /// tx.select after confirm.select (M-21): 406.
    #[error("cannot switch from confirm to tx mode")]
    ConfirmToTx,
    /// tx.commit or tx.rollback without tx.select (M-21): 406.
    #[error("channel is not transactional")]
    NotTransactional,
    /// A queue refused a message of a transaction (P-14): 406.
    #[error("partial tx completion")]
    PartialCommit,
    /// More publishes under way than a connection may have (ours): 506.
    #[error(
        "more than {0} bytes of uncommitted transactions and incomplete messages on this connection; commit more often"
    )]
    TooMuchPending(usize),
    /// A delivery was held too long: 406.
    #[error(
        "delivery acknowledgement on channel {channel} timed out. Timeout value used: {timeout_ms} ms. This timeout value can be \
         configured, see consumers doc guide to learn more"
    )]
    DeliveryTimeout {
        /// The channel's number.
        channel: u16,
        /// As RabbitMQ shows it.
        timeout_ms: i64,
    },
    /// `prefetch-size` is not supported (M-13): 540.
    #[error("prefetch_size!=0 ({0})")]
    PrefetchSize(u32),
    /// channel.flow with active=false (M-03): 540.
    #[error("active=false")]
    FlowStop,
    /// `immediate` (P-02): 540.
    #[error("immediate=true")]
    Immediate,
    /// basic.recover without requeue (M-17): 540.
    #[error("requeue=false")]
    RecoverWithoutRequeue,
    /// A method that a client may not send (C-25): 503.
    #[error("unimplemented method")]
    Unimplemented,
    /// The body is larger than the limit (P-07): 406.
    #[error("message size {size} is larger than configured max size {max}")]
    MessageTooLarge {
        /// Bytes of the body.
        size: u64,
        /// The limit in bytes.
        max: u64,
    },
    /// The user-id property is somebody else's (P-10): 406.
    #[error("user_id property set to '{claimed}' but authenticated user was '{user}'")]
    UserId {
        /// What the property says.
        claimed: String,
        /// Who the connection belongs to.
        user: String,
    },
    /// Publishing to an internal exchange: 403.
    #[error("cannot publish to internal exchange '{exchange}' in vhost '{vhost}'")]
    InternalExchange {
        /// The exchange.
        exchange: String,
        /// Its vhost.
        vhost: String,
    },
    /// The `queue` argument is empty and no queue was declared on the channel (M-25): 404.
    #[error("no previously declared queue")]
    NoQueueDeclared,
}
