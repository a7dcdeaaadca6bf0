//! Class queue (50).

use super::arguments::methods;

methods! {
    /// Creates a queue, or checks that it is as described.
    Declare<'a> [Short] {
        /// Its name; empty to have one made.
        queue: ShortStr,
        /// Only ask whether it exists.
        passive: Bit,
        /// It survives a restart.
        durable: Bit,
        /// It belongs to this connection and goes with it.
        exclusive: Bit,
        /// It goes with its last consumer.
        auto_delete: Bit,
        /// No answer is wanted.
        nowait: Bit,
        /// Extensions.
        arguments: Table,
    }

    /// The queue exists.
    DeclareOk<'a> {
        /// Its name.
        queue: ShortStr,
        /// Messages ready for delivery.
        message_count: Long,
        /// Consumers on it.
        consumer_count: Long,
    }

    /// Binds a queue to an exchange.
    Bind<'a> [Short] {
        /// Where messages go; empty for the queue declared last.
        queue: ShortStr,
        /// Where they come from.
        exchange: ShortStr,
        /// Which ones.
        routing_key: ShortStr,
        /// No answer is wanted.
        nowait: Bit,
        /// Which ones, for exchanges that look at headers.
        arguments: Table,
    }

    /// The binding exists.
    BindOk {}

    /// Drops the messages that are ready for delivery.
    Purge<'a> [Short] {
        /// The queue's name; empty for the queue declared last.
        queue: ShortStr,
        /// No answer is wanted.
        nowait: Bit,
    }

    /// The messages are gone.
    PurgeOk {
        /// How many.
        message_count: Long,
    }

    /// Deletes a queue.
    Delete<'a> [Short] {
        /// Its name; empty for the queue declared last.
        queue: ShortStr,
        /// Only without consumers.
        if_unused: Bit,
        /// Only without messages.
        if_empty: Bit,
        /// No answer is wanted.
        nowait: Bit,
    }

    /// The queue does not exist.
    DeleteOk {
        /// How many messages went with it.
        message_count: Long,
    }

    /// Removes a binding of a queue. There is no `nowait`.
    Unbind<'a> [Short] {
        /// Where messages went; empty for the queue declared last.
        queue: ShortStr,
        /// Where they came from.
        exchange: ShortStr,
        /// Part of the binding's identity.
        routing_key: ShortStr,
        /// Part of the binding's identity.
        arguments: Table,
    }

    /// The binding does not exist.
    UnbindOk {}
}
