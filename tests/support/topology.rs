//! Short forms for queues, exchanges and what is in them, all on channel 1.

use super::{
    BasicProperties, Delivered, EncodedTable, Method, Wire, basic, bind, confirm, declare, exchange, get, methods,
    name, passive, publish, queue, table, x_declare,
};

impl Wire {
    /// A new exclusive queue; its name.
    pub(crate) fn queue(&mut self) -> String {
        let name = name();
        self.call(declare(&name));
        name
    }

    /// A new exclusive queue with arguments.
    pub(crate) fn queue_with(&mut self, arguments: &EncodedTable) -> String {
        let name = name();
        self.call(queue::Declare { arguments: arguments.as_table(), ..declare(&name) });
        name
    }

    /// A new queue for all connections, which goes by itself when it is long out of use.
    pub(crate) fn shared_queue(&mut self) -> String {
        let name = name();
        let arguments = table! { "x-expires" => 120_000 };
        self.call(queue::Declare { exclusive: false, arguments: arguments.as_table(), ..declare(&name) });
        name
    }

    /// A new exchange, which goes with its last binding.
    pub(crate) fn exchange(&mut self, kind: &str) -> String {
        let name = name();
        self.call(exchange::Declare { auto_delete: true, ..x_declare(&name, kind) });
        name
    }

    /// The same with an alternate exchange.
    pub(crate) fn exchange_before(&mut self, kind: &str, alternate: &str) -> String {
        let name = name();
        let arguments = table! { "alternate-exchange" => alternate };
        let declare = x_declare(&name, kind);
        self.call(exchange::Declare { arguments: arguments.as_table(), auto_delete: true, ..declare });
        name
    }

    /// A new exclusive queue bound to `exchange`.
    pub(crate) fn bound(&mut self, exchange: &str, routing_key: &str) -> String {
        let queue = self.queue();
        self.call(bind(&queue, exchange, routing_key));
        queue
    }

    /// Messages ready and consumers, by a passive declare.
    pub(crate) fn counts(&mut self, queue: &str) -> (u32, u32) {
        self.counts_on(1, queue)
    }

    pub(crate) fn counts_on(&mut self, channel: u16, queue: &str) -> (u32, u32) {
        match self.call_on(channel, passive(queue)).method() {
            Method::QueueDeclareOk(ok) => (ok.message_count, ok.consumer_count),
            other => panic!("{other:?}"),
        }
    }

    /// Publishes mandatory on channel 1, which is in confirm mode, and waits for the confirm: whether it was routed.
    pub(crate) fn routes(&mut self, exchange: &str, routing_key: &str, properties: &BasicProperties<'_>) -> bool {
        let mandatory = basic::Publish { mandatory: true, ..publish(exchange, routing_key) };
        self.publish_as(1, mandatory, properties, b"x");
        let first = self.frame();
        if first.name() == "basic.ack" {
            return true;
        }
        let returned = self.content(Delivered::from_method(&first));
        assert_eq!((returned.reply_code, returned.reply_text.as_str()), (312, "NO_ROUTE"));
        self.expect(1, "basic.ack");
        false
    }

    /// Publishes bodies to a queue through the default exchange and waits until they are there. Channel 1 must not
    /// be in confirm mode.
    pub(crate) fn fill_queue(&mut self, queue: &str, bodies: &[&str]) {
        const SIDE: u16 = 999;
        self.open_channel(SIDE);
        self.call_on(SIDE, confirm::Select::default());
        for body in bodies {
            self.publish_as(SIDE, publish("", queue), &BasicProperties::default(), body.as_bytes());
            self.expect(SIDE, "basic.ack");
        }
        self.call_on(SIDE, methods::channel_close());
    }

    /// basic.get: the message, or None.
    pub(crate) fn get(&mut self, queue: &str) -> Option<Delivered> {
        self.get_as(get(queue))
    }

    pub(crate) fn get_as(&mut self, method: basic::Get<'_>) -> Option<Delivered> {
        self.send(1, method);
        let frame = self.frame();
        match frame.name() {
            "basic.get-empty" => None,
            _ => Some(self.content(Delivered::from_method(&frame))),
        }
    }

    /// Takes all that is ready in a queue: [`Delivered::told`] of each.
    pub(crate) fn drain(&mut self, queue: &str) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(message) = self.get_as(basic::Get { no_ack: true, ..get(queue) }) {
            told.push(message.told());
        }
        told
    }
}
