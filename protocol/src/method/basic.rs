//! Class basic (60): messages. Names that the broker only passes on may be any bytes (C-23).

use super::arguments::methods;

methods! {
    /// Limits what is delivered before it is settled.
    Qos {
        /// Bytes; RabbitMQ knows only 0.
        prefetch_size: Long,
        /// Messages, 0 for no limit.
        prefetch_count: Short,
        /// For the whole channel, not for each new consumer.
        global: Bit,
    }

    /// The limit holds.
    QosOk {}

    /// Subscribes to a queue.
    Consume<'a> [Short] {
        /// The queue's name; empty for the queue declared last.
        queue: ShortStr,
        /// The consumer's name; empty to have one made.
        consumer_tag: ShortStr,
        /// Not messages of this connection; without effect in RabbitMQ.
        no_local: Bit,
        /// Messages are settled when they are sent.
        no_ack: Bit,
        /// No other consumer on the queue.
        exclusive: Bit,
        /// No answer is wanted.
        nowait: Bit,
        /// Extensions.
        arguments: Table,
    }

    /// The consumer exists.
    ConsumeOk<'a> {
        /// Its name.
        consumer_tag: ShortStr,
    }

    /// Ends a subscription. The server says it too, when the queue goes.
    Cancel<'a> {
        /// The consumer's name.
        consumer_tag: ShortStr,
        /// No answer is wanted.
        nowait: Bit,
    }

    /// The consumer does not exist.
    CancelOk<'a> {
        /// Its name.
        consumer_tag: ShortStr,
    }

    /// A message for an exchange. Content follows.
    Publish<'a> [Short] {
        /// The exchange's name; empty for the default exchange.
        exchange: ShortBytes,
        /// Where to.
        routing_key: ShortBytes,
        /// Send it back if no queue takes it.
        mandatory: Bit,
        /// Send it back if no consumer takes it at once.
        immediate: Bit,
    }

    /// A message that could not be routed. Content follows.
    Return<'a> {
        /// Why, as a number.
        reply_code: Short,
        /// Why, as text.
        reply_text: ShortStr,
        /// As published.
        exchange: ShortBytes,
        /// As published.
        routing_key: ShortBytes,
    }

    /// A message for a consumer. Content follows.
    Deliver<'a> {
        /// The consumer's name.
        consumer_tag: ShortStr,
        /// The number to settle it by.
        delivery_tag: LongLong,
        /// It may have been delivered before.
        redelivered: Bit,
        /// As published.
        exchange: ShortBytes,
        /// As published.
        routing_key: ShortBytes,
    }

    /// Asks for one message.
    Get<'a> [Short] {
        /// The queue's name; empty for the queue declared last.
        queue: ShortStr,
        /// The message is settled when it is sent.
        no_ack: Bit,
    }

    /// The message asked for. Content follows.
    GetOk<'a> {
        /// The number to settle it by.
        delivery_tag: LongLong,
        /// It may have been delivered before.
        redelivered: Bit,
        /// As published.
        exchange: ShortBytes,
        /// As published.
        routing_key: ShortBytes,
        /// Messages left in the queue.
        message_count: Long,
    }

    /// There was no message.
    GetEmpty {} [ShortStr]

    /// Settles messages: they were dealt with. The server says it about published ones.
    Ack {
        /// Which one.
        delivery_tag: LongLong,
        /// All up to this one; with tag 0 all.
        multiple: Bit,
    }

    /// Settles a message: it was not dealt with.
    Reject {
        /// Which one.
        delivery_tag: LongLong,
        /// Put it back instead of dropping it.
        requeue: Bit,
    }

    /// [`Recover`] without an answer.
    RecoverAsync {
        /// Put back instead of delivering again here.
        requeue: Bit,
    }

    /// Asks for all unsettled messages again.
    Recover {
        /// Put back instead of delivering again here.
        requeue: Bit,
    }

    /// The messages were put back.
    RecoverOk {}

    /// Settles messages: they were not dealt with. The server says it about published ones.
    Nack {
        /// Which one.
        delivery_tag: LongLong,
        /// All up to this one; with tag 0 all.
        multiple: Bit,
        /// Put back instead of dropping.
        requeue: Bit,
    }

    /// An extension that is known but refused (C-25).
    Credit<'a> {
        /// The consumer's name.
        consumer_tag: ShortStr,
        /// Messages it may be sent.
        credit: Long,
        /// Use it up at once.
        drain: Bit,
    }

    /// The answer to [`Credit`].
    CreditOk {
        /// Messages ready for delivery.
        available: Long,
    }

    /// A drained consumer's loss.
    CreditDrained<'a> {
        /// The consumer's name.
        consumer_tag: ShortStr,
        /// Credit that found no message.
        credit_drained: Long,
    }
}
