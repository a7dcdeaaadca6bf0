//! connection.start: what the broker says about itself (C-04 to C-06).

use leveret_protocol::method::connection;
use leveret_protocol::{EncodedTable, FieldTable, FieldValue, Method, frame};

use super::shared::Shared;
use crate::broker::compat::Compat;

/// The capabilities of RabbitMQ, all of which hold here; clients use what is listed (C-06).
const CAPABILITIES: [&str; 9] = [
    "publisher_confirms",
    "exchange_exchange_bindings",
    "basic.nack",
    "consumer_cancel_notify",
    "connection.blocked",
    "consumer_priorities",
    "authentication_failure_close",
    "per_consumer_qos",
    "direct_reply_to",
];

pub(super) fn start(out: &mut Vec<u8>, shared: &Shared) {
    let start = connection::Start {
        version_major: 0,
        version_minor: 9,
        server_properties: shared.server_properties.as_table(),
        mechanisms: shared.mechanisms.as_bytes(),
        locales: b"en_US",
    };
    frame::write_method(out, 0, &Method::ConnectionStart(start));
}

/// The server properties: RabbitMQ's keys in its order. Product and version are RabbitMQ's, because clients choose semantics by them
/// and the semantics are RabbitMQ's; the rest is our own.
pub(super) fn server_properties(compat: Compat, host: &str) -> EncodedTable {
    let capabilities: FieldTable = CAPABILITIES.iter().map(|name| (*name, FieldValue::Bool(true))).collect();
    let mut properties = FieldTable::new();
    properties.push("capabilities", FieldValue::Table(capabilities));
    let strings = [
        ("cluster_name", format!("rabbit@{host}")),
        ("copyright", "Copyright (c) 2026 the Leveret developers".to_owned()),
        ("information", "Leveret, licensed under Apache-2.0".to_owned()),
        ("platform", format!("Leveret {}", env!("CARGO_PKG_VERSION"))),
        ("product", "RabbitMQ".to_owned()),
        ("version", compat.claimed_version().to_owned()),
    ];
    for (key, value) in strings {
        properties.push(key, FieldValue::LongString(value.into_bytes()));
    }
    EncodedTable::from(&properties)
}
