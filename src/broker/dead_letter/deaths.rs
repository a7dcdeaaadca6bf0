//! `x-death`: where a message died before, the latest first, one entry for each queue and reason.

use leveret_protocol::FieldValue;
use leveret_protocol::table::{Table, Value};

use super::Reason;
use crate::broker::moment::Moment;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::broker) struct Deaths(Vec<Death>);

/// One queue and reason.
#[derive(Clone, Debug, PartialEq)]
struct Death {
    original_expiration: Option<Vec<u8>>,
    count: i64,
    reason: Vec<u8>,
    queue: Vec<u8>,
    /// Seconds; of the first death there.
    time: u64,
    exchange: Vec<u8>,
    routing_keys: Vec<Vec<u8>>,
}

/// A death that happens now.
pub(in crate::broker) struct NewDeath<'a> {
    pub(in crate::broker) reason: Reason,
    pub(in crate::broker) queue: &'a str,
    pub(in crate::broker) at: Moment,
    /// As the message had been published, or dead-lettered before.
    pub(in crate::broker) exchange: &'a [u8],
    /// The same, with CC and without BCC.
    pub(in crate::broker) routing_keys: Vec<&'a [u8]>,
    /// The `expiration` property that the message now loses.
    pub(in crate::broker) expiration: Option<&'a [u8]>,
}

impl Deaths {
    /// Reads an `x-death` header; entries that are none are left out.
    pub(in crate::broker) fn read(header: Value<'_>) -> Self {
        let Value::Array(entries) = header else { return Self::default() };
        let tables = entries.iter().filter_map(|entry| match entry {
            Value::Table(table) => Death::read(table),
            _ => None,
        });
        Self(tables.collect())
    }

    /// Adds a death: a new entry at the front, or the known one moved there and counted.
    pub(in crate::broker) fn add(&mut self, new: &NewDeath<'_>) {
        let is_known =
            |death: &Death| death.queue == new.queue.as_bytes() && death.reason == new.reason.as_str().as_bytes();
        let death = match self.0.iter().position(is_known) {
            Some(at) => {
                let known = self.0.remove(at);
                Death { count: known.count.saturating_add(1), ..known }
            }
            None => Death {
                original_expiration: new.expiration.map(<[u8]>::to_vec),
                count: 1,
                reason: new.reason.as_str().into(),
                queue: new.queue.into(),
                time: new.at.as_secs(),
                exchange: new.exchange.to_vec(),
                routing_keys: new.routing_keys.iter().map(|key| key.to_vec()).collect(),
            },
        };
        self.0.insert(0, death);
    }

    /// Whether a message would go in circles if it went to this queue: it has died there, and no client rejected it since.
    pub(in crate::broker) fn is_cycle(&self, queue: &str) -> bool {
        let Some(at) = self.0.iter().position(|death| death.queue == queue.as_bytes()) else { return false };
        self.0[..=at].iter().all(|death| death.reason != Reason::Rejected.as_str().as_bytes())
    }

    /// The header.
    pub(in crate::broker) fn into_value(self) -> FieldValue {
        FieldValue::Array(self.0.into_iter().map(Death::into_value).collect())
    }
}

impl Death {
    fn read(table: Table<'_>) -> Option<Self> {
        let text = |name: &str| match table.get(name) {
            Some(Value::LongString(text)) => Some(text.to_vec()),
            _ => None,
        };
        let routing_keys = match table.get("routing-keys") {
            Some(Value::Array(keys)) => keys
                .iter()
                .filter_map(|key| match key {
                    Value::LongString(key) => Some(key.to_vec()),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        };
        Some(Self {
            original_expiration: text("original-expiration"),
            count: table.get("count").and_then(|count| count.as_integer()).unwrap_or(1),
            reason: text("reason")?,
            queue: text("queue")?,
            time: match table.get("time") {
                Some(Value::Timestamp(time)) => time,
                _ => 0,
            },
            exchange: text("exchange").unwrap_or_default(),
            routing_keys,
        })
    }

    fn into_value(self) -> FieldValue {
        let mut table = leveret_protocol::FieldTable::new();
        if let Some(expiration) = self.original_expiration {
            table.push("original-expiration", expiration);
        }
        table.push("count", self.count);
        table.push("reason", self.reason);
        table.push("queue", self.queue);
        table.push("time", FieldValue::Timestamp(self.time));
        table.push("exchange", self.exchange);
        table.push("routing-keys", self.routing_keys.into_iter().map(FieldValue::from).collect::<Vec<_>>());
        FieldValue::Table(table)
    }
}
