//! What the core refuses. The texts are RabbitMQ's, since clients match on them; the codes are chosen in `crate::error`.

use thiserror::Error;

use super::arguments::ArgumentError;
use super::topology::TopologyError;

/// A refusal of the core. Each displays as the explanation that a client reads after the reply code's name.
#[derive(Debug, Error)]
pub enum BrokerError {
    /// X- and binding rules.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// Arguments of queues and consumers, and their equivalence.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// Exclusive to another connection, or its exclusive property does not match: 405.
    #[error(
        "cannot obtain exclusive access to locked queue '{queue}' in vhost '{vhost}'. It could be originally declared on another \
         connection or the exclusive property value does not match that of the original declaration."
    )]
    Locked {
        /// The name.
        queue: String,
        /// Its vhost.
        vhost: String,
    },
    /// Its files are damaged (the log says which): 404.
    #[error("queue '{queue}' in vhost '{vhost}' has crashed and failed to restart")]
    Unreadable {
        /// The name.
        queue: String,
        /// Its vhost.
        vhost: String,
    },
    /// A new queue was to be called `amq.…`: 403.
    #[error("queue name '{0}' contains reserved prefix 'amq.*'")]
    ReservedQueueName(String),
    /// `if-unused` (M-12): 406.
    #[error("queue '{queue}' in vhost '{vhost}' in use")]
    QueueInUse {
        /// The name.
        queue: String,
        /// Its vhost.
        vhost: String,
    },
    /// `if-empty` (M-12): 406.
    #[error("queue '{queue}' in vhost '{vhost}' not empty")]
    QueueNotEmpty {
        /// The name.
        queue: String,
        /// Its vhost.
        vhost: String,
    },
    /// `if-unused` or `if-empty` on a quorum queue: 540.
    #[error(
        "cannot delete queue '{queue}' in vhost '{vhost}'. queue.delete operations with {flag} flag set are not supported by quorum \
         queues"
    )]
    ConditionalQuorumDelete {
        /// The name.
        queue: String,
        /// Its vhost.
        vhost: String,
        /// `if-unused` or `if-empty`.
        flag: &'static str,
    },
    /// An exclusive consumer is there or was asked for (S-05): 403.
    #[error("queue '{queue}' in vhost '{vhost}' in exclusive use")]
    ExclusiveUse {
        /// The name.
        queue: String,
        /// Its vhost.
        vhost: String,
    },
    /// A channel with a limit consumes from a quorum queue, where the compatibility refuses that: 540.
    #[error("queue '{queue}' in vhost '{vhost}' does not support global qos")]
    GlobalQosOnQuorum {
        /// The name.
        queue: String,
        /// Its vhost.
        vhost: String,
    },
    /// basic.get from a quorum queue with a single active consumer: 405.
    #[error(
        "cannot obtain access to locked queue '{queue}' in vhost '{vhost}'. basic.get operations are not supported by \
         <<\"quorum\">> queues with single active consumer"
    )]
    GetSingleActive {
        /// The name.
        queue: String,
        /// Its vhost.
        vhost: String,
    },
    /// A direct reply-to address cannot be bound (M-09): 403.
    #[error("cannot bind or unbind to a volatile (direct reply-to) queue")]
    BindReplyTo,
    /// Nor read by basic.get (P-12): 540.
    #[error("basic.get not supported by volatile queue '{queue}' in vhost '{vhost}'")]
    GetReplyTo {
        /// The address.
        queue: String,
        /// Its vhost.
        vhost: String,
    },
    /// Nor consumed (P-12): 406.
    #[error("only creator channel may consume from queue '{queue}' in vhost '{vhost}'")]
    ConsumeReplyTo {
        /// The address.
        queue: String,
        /// Its vhost.
        vhost: String,
    },
}
