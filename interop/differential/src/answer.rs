//! What a broker answered to one step, as lines that can be compared.

use std::collections::BTreeMap;

use leveret_protocol::{FieldTable, FieldValue};

use crate::line::LineWriter;
use crate::names::Names;
use crate::said::Arrived;
use crate::step::Place;

/// What one channel heard during a step, in groups within which the order counts. Between them it does not: a broker
/// may send a confirm before or after a delivery.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    replies: Vec<String>,
    returns: Vec<String>,
    acks: Vec<u64>,
    nacks: Vec<u64>,
    deliveries: BTreeMap<String, Vec<String>>,
    cancels: Vec<String>,
    closes: Vec<String>,
}

impl Heard {
    /// An answer to a method.
    pub(crate) fn reply(&mut self, line: String) {
        self.replies.push(line);
    }

    /// A message that came back.
    pub(crate) fn returned(&mut self, line: String) {
        self.returns.push(line);
    }

    /// A confirm.
    pub(crate) fn confirmed(&mut self, ack: bool, tags: impl IntoIterator<Item = u64>) {
        match ack {
            true => self.acks.extend(tags),
            false => self.nacks.extend(tags),
        }
    }

    /// A message for a consumer.
    pub(crate) fn delivered(&mut self, consumer: String, line: String) {
        self.deliveries.entry(consumer).or_default().push(line);
    }

    /// How many messages consumers got.
    pub(crate) fn deliveries(&self) -> usize {
        self.deliveries.values().map(Vec::len).sum()
    }

    /// The end of a consumer.
    pub(crate) fn cancelled(&mut self, line: String) {
        self.cancels.push(line);
    }

    /// The end of a channel or connection.
    pub(crate) fn closed(&mut self, line: String) {
        self.closes.push(line);
    }

    /// All of it, each line with the place before it.
    pub(crate) fn into_lines(mut self, place: Place) -> Vec<String> {
        self.cancels.sort();
        let mut lines = self.replies;
        lines.append(&mut self.returns);
        for (name, mut tags) in [("basic.ack", self.acks), ("basic.nack", self.nacks)] {
            tags.sort_unstable();
            if !tags.is_empty() {
                let tags: Vec<String> = tags.iter().map(u64::to_string).collect();
                lines.push(format!("{name} {}", tags.join(" ")));
            }
        }
        lines.extend(self.deliveries.into_values().flatten());
        lines.append(&mut self.cancels);
        lines.append(&mut self.closes);
        lines.into_iter().map(|line| format!("{place} {line}")).collect()
    }
}

/// A message behind `line`: exchange, key, body, properties.
pub(crate) fn show_message(line: LineWriter, message: Arrived, names: &mut Names) -> LineWriter {
    let line = line.word(names.show(&message.exchange)).word(names.show(&message.key)).word(&message.body);
    let mut properties = names.show_properties(message.properties);
    properties.headers = properties.headers.map(comparable_headers);
    properties.to_line(line)
}

/// Headers without times. RabbitMQ sorts all headers by name, others only those that they change; so the order
/// counts only where a header is the broker's.
fn comparable_headers(headers: FieldTable) -> FieldTable {
    let by_broker = headers.iter().any(|(name, _)| BROKERS_HEADERS.iter().any(|own| own.as_bytes() == name));
    let headers = if by_broker { headers } else { headers.sorted_by_name() };
    headers
        .into_iter()
        .map(|(name, value)| if name == b"x-death" { (name, timeless(value)) } else { (name, value) })
        .collect()
}

const BROKERS_HEADERS: [&str; 3] = ["x-acquired-count", "x-death", "x-delivery-count"];

fn timeless(value: FieldValue) -> FieldValue {
    match value {
        FieldValue::Array(deaths) => FieldValue::Array(deaths.into_iter().map(timeless).collect()),
        FieldValue::Table(death) => {
            FieldValue::Table(death.into_iter().map(|(name, value)| (name, timeless(value))).collect())
        }
        FieldValue::Timestamp(_) => FieldValue::Timestamp(0),
        other => other,
    }
}
