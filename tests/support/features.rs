//! Short forms for tests of what queues do by arguments.

use std::time::{Duration, Instant};

use super::{
    BasicProperties, Delivered, EncodedTable, FieldTable, FieldValue, Wire, basic, confirm, declare, get, methods,
    name, publish, queue, table,
};

/// The channel that [`Wire::put`] publishes on.
const FEED: u16 = 998;

/// Dead letters to a queue by the default exchange, and more.
pub(crate) fn dying_to(queue: &str, more: &[(&str, FieldValue)]) -> EncodedTable {
    let mut table = FieldTable::new();
    table.push("x-dead-letter-exchange", "");
    table.push("x-dead-letter-routing-key", queue);
    more.iter().for_each(|(key, value)| table.push(*key, value.clone()));
    EncodedTable::from(&table)
}

/// The same of a quorum queue.
pub(crate) fn quorum_dying_to(queue: &str, more: &[(&str, FieldValue)]) -> EncodedTable {
    let quorum = ("x-queue-type", FieldValue::from("quorum"));
    dying_to(queue, &[&[quorum], more].concat())
}

/// Each death as `queue reason count`.
pub(crate) fn deaths(message: &Delivered) -> Vec<String> {
    let headers = message.headers();
    let Some(FieldValue::Array(deaths)) = headers.get("x-death") else { return Vec::new() };
    let told = deaths.iter().map(|death| match death {
        FieldValue::Table(death) => {
            let text = |key| death.get(key).and_then(FieldValue::as_str).unwrap().to_owned();
            format!("{} {} {}", text("queue"), text("reason"), death.get("count").unwrap().as_integer().unwrap())
        }
        other => panic!("{other:?}"),
    });
    told.collect()
}

/// `x-acquired-count` and `x-delivery-count`.
pub(crate) fn counts_told(message: &Delivered) -> (Option<i64>, Option<i64>) {
    let headers = message.headers();
    let count = |key| headers.get(key).and_then(FieldValue::as_integer);
    (count("x-acquired-count"), count("x-delivery-count"))
}

impl Wire {
    /// A new quorum queue with these arguments beside its type.
    pub(crate) fn quorum(&mut self, more: &[(&str, FieldValue)]) -> String {
        let mut table = FieldTable::new();
        table.push("x-queue-type", "quorum");
        more.iter().for_each(|(key, value)| table.push(*key, value.clone()));
        self.durable_with(&EncodedTable::from(&table))
    }

    /// A new durable queue for all connections, which goes by itself when it is long out of use.
    pub(crate) fn durable_with(&mut self, arguments: &EncodedTable) -> String {
        let name = name();
        let mut table = arguments.as_table().to_owned();
        if table.get("x-expires").is_none() {
            table.push("x-expires", 120_000);
        }
        let arguments = EncodedTable::from(&table);
        let declare = queue::Declare { exclusive: false, durable: true, ..declare(&name) };
        self.call(queue::Declare { arguments: arguments.as_table(), ..declare });
        name
    }

    /// A classic or a quorum queue.
    pub(crate) fn either(&mut self, quorum: bool, more: &[(&str, FieldValue)]) -> String {
        match quorum {
            true => self.quorum(more),
            false => {
                let entries = more.iter().map(|(key, value)| (*key, value.clone()));
                self.durable_with(&EncodedTable::from(&entries.collect::<FieldTable>()))
            }
        }
    }

    /// Publishes to a queue and waits for the confirm: whether it was taken.
    pub(crate) fn put(&mut self, queue: &str, body: &str, properties: &BasicProperties<'_>) -> bool {
        self.open_feed();
        self.publish_as(FEED, publish("", queue), properties, body.as_bytes());
        let confirmed = self.frame();
        self.call_on(FEED, methods::channel_close());
        match confirmed.name() {
            "basic.ack" => true,
            "basic.nack" => false,
            other => panic!("{other}"),
        }
    }

    fn open_feed(&mut self) {
        self.open_channel(FEED);
        self.call_on(FEED, confirm::Select::default());
    }

    /// basic.get, again and again until there is a message.
    pub(crate) fn await_get(&mut self, queue: &str) -> Delivered {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            match self.get_as(get(queue)) {
                Some(message) => return message,
                None if Instant::now() > end => panic!("no message came"),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Gets the first message and rejects it for good.
    pub(crate) fn reject_first(&mut self, queue: &str) {
        let tag = self.await_get(queue).delivery_tag;
        self.send(1, basic::Reject { delivery_tag: tag, requeue: false });
    }

    /// Waits until so many messages are ready.
    pub(crate) fn await_ready(&mut self, queue: &str, ready: u32) {
        let end = Instant::now() + Duration::from_secs(10);
        while self.counts(queue).0 != ready {
            assert!(Instant::now() < end, "never {ready} messages in the queue, but {:?}", self.counts(queue));
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Properties with one field: `with!(priority: 3)`.
macro_rules! with {
    ($($field:ident: $value:expr),*) => {
        $crate::support::BasicProperties { $($field: Some($value),)* ..Default::default() }
    };
}
pub(crate) use with;

/// A table of arguments as pairs: `args!["x-max-length" => 5]`.
macro_rules! args {
    ($($key:expr => $value:expr),* $(,)?) => { &[$(($key, $crate::support::FieldValue::from($value))),*] };
}
pub(crate) use args;

/// No properties.
pub(crate) fn plain() -> BasicProperties<'static> {
    BasicProperties::default()
}

/// An empty table.
pub(crate) fn no_arguments() -> EncodedTable {
    table! {}
}
