//! Which arguments are known to which queue type (4.2), in the orders in which RabbitMQ looks at them.

use leveret_protocol::FieldTable;

/// The kind of a queue, `x-queue-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum QueueType {
    /// Messages on one node, with or without the disk.
    #[default]
    Classic,
    /// Always durable, replicated.
    Quorum,
    /// A log that many consumers read without taking from it.
    Stream,
}

impl QueueType {
    /// The type with this name as a value of `x-queue-type` or of `default_queue_type`.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        match name {
            b"classic" => Some(Self::Classic),
            b"quorum" => Some(Self::Quorum),
            b"stream" => Some(Self::Stream),
            _ => None,
        }
    }

    /// The name as a value of `x-queue-type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
            Self::Stream => "stream",
        }
    }

    /// The name of RabbitMQ's module, which its texts show.
    pub const fn module_name(self) -> &'static str {
        match self {
            Self::Classic => "rabbit_classic_queue",
            Self::Quorum => "rabbit_quorum_queue",
            Self::Stream => "rabbit_stream_queue",
        }
    }

    const ALL: [Self; 3] = [Self::Classic, Self::Quorum, Self::Stream];

    /// The queue arguments known to this type, in the order in which a redeclare compares them.
    pub(super) const fn queue_arguments(self) -> &'static [&'static str] {
        match self {
            Self::Classic => &[
                "x-expires",
                "x-message-ttl",
                "x-dead-letter-exchange",
                "x-dead-letter-routing-key",
                "x-max-length",
                "x-max-length-bytes",
                "x-max-priority",
                "x-overflow",
                "x-queue-mode",
                "x-queue-version",
                "x-single-active-consumer",
                "x-queue-type",
                "x-queue-master-locator",
                "x-queue-leader-locator",
            ],
            Self::Quorum => &[
                "x-dead-letter-exchange",
                "x-dead-letter-routing-key",
                "x-dead-letter-strategy",
                "x-expires",
                "x-max-length",
                "x-max-length-bytes",
                "x-max-in-memory-length",
                "x-max-in-memory-bytes",
                "x-overflow",
                "x-single-active-consumer",
                "x-queue-type",
                "x-quorum-initial-group-size",
                "x-delivery-limit",
                "x-message-ttl",
                "x-queue-leader-locator",
                "x-consumer-disconnected-timeout",
                "x-consumer-timeout",
                "x-delayed-retry-type",
                "x-delayed-retry-min",
                "x-delayed-retry-max",
            ],
            Self::Stream => &[
                "x-max-length-bytes",
                "x-queue-type",
                "x-max-age",
                "x-stream-max-segment-size-bytes",
                "x-stream-filter-size-bytes",
                "x-initial-cluster-size",
                "x-queue-leader-locator",
            ],
        }
    }

    /// The arguments of `basic.consume` known to this type (S-18).
    pub(super) const fn consumer_arguments(self) -> &'static [&'static str] {
        match self {
            Self::Classic => &["x-priority"],
            Self::Quorum => &["x-priority", "x-consumer-timeout"],
            Self::Stream => &["x-stream-offset", "x-stream-filter", "x-stream-match-unfiltered"],
        }
    }

    /// The first entry that only other types know, in the order of the table.
    pub(super) fn unsuitable_queue_argument(self, table: &FieldTable) -> Option<&'static str> {
        self.unsuitable(table, Self::queue_arguments)
    }

    /// The first entry that only other types know, in the order of the table (S-18).
    pub(super) fn unsuitable_consumer_argument(self, table: &FieldTable) -> Option<&'static str> {
        self.unsuitable(table, Self::consumer_arguments)
    }

    fn unsuitable(self, table: &FieldTable, known: impl Fn(Self) -> &'static [&'static str]) -> Option<&'static str> {
        let find = |of: Self, key: &[u8]| known(of).iter().copied().find(|k| k.as_bytes() == key);
        table
            .iter()
            .filter(|(key, _)| find(self, key).is_none())
            .find_map(|(key, _)| Self::ALL.iter().find_map(|of| find(*of, key)))
    }
}
