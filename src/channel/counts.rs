//! `x-acquired-count` and `x-delivery-count`: what a quorum queue adds to the headers of a message that came back.

use leveret_protocol::{BasicProperties, EncodedTable, FieldValue};

use crate::broker::compat::Compat;
use crate::broker::{DeliveryCounts, Message};

/// The properties to deliver in place of the message's own; none if there is nothing to add.
pub(super) fn with_counts(message: &Message, counts: DeliveryCounts, compat: Compat) -> Option<Vec<u8>> {
    let DeliveryCounts { acquired, failed } = counts;
    if acquired == 0 && failed == 0 {
        return None;
    }
    let properties = BasicProperties::decode(message.properties()).ok()?;
    let mut headers = properties.headers.map(|headers| headers.to_owned()).unwrap_or_default();
    let delivery_count = if compat.tells_acquired_count() { failed } else { acquired };
    let acquired_count = if compat.tells_acquired_count() { acquired } else { 0 };
    for (name, count) in [("x-acquired-count", acquired_count), ("x-delivery-count", delivery_count)] {
        if count > 0 {
            headers.remove(name);
            headers.push(name, FieldValue::I64(i64::from(count)));
        }
    }
    let headers = EncodedTable::from(&headers.sorted_by_name());
    let mut encoded = Vec::with_capacity(message.properties().len() + 64);
    BasicProperties { headers: Some(headers.as_table()), ..properties }.encode(&mut encoded);
    Some(encoded)
}
