//! Methods with what matters most; the rest by `..`: `queue::Declare { durable: true, ..declare(&q) }`.

use super::{Method, basic, channel, connection, exchange, queue};

/// An exclusive queue.
pub(crate) fn declare(queue: &str) -> queue::Declare<'_> {
    queue::Declare { queue, exclusive: true, ..Default::default() }
}

pub(crate) fn passive(queue: &str) -> queue::Declare<'_> {
    queue::Declare { queue, passive: true, ..Default::default() }
}

pub(crate) fn delete(queue: &str) -> queue::Delete<'_> {
    queue::Delete { queue, ..Default::default() }
}

pub(crate) fn purge(queue: &str) -> queue::Purge<'_> {
    queue::Purge { queue, ..Default::default() }
}

pub(crate) fn bind<'a>(queue: &'a str, exchange: &'a str, routing_key: &'a str) -> queue::Bind<'a> {
    queue::Bind { queue, exchange, routing_key, ..Default::default() }
}

pub(crate) fn unbind<'a>(queue: &'a str, exchange: &'a str, routing_key: &'a str) -> queue::Unbind<'a> {
    queue::Unbind { queue, exchange, routing_key, ..Default::default() }
}

/// A lasting exchange that does not survive a restart.
pub(crate) fn x_declare<'a>(exchange: &'a str, kind: &'a str) -> exchange::Declare<'a> {
    exchange::Declare { exchange, kind, ..Default::default() }
}

pub(crate) fn x_passive(exchange: &str) -> exchange::Declare<'_> {
    exchange::Declare { exchange, passive: true, ..Default::default() }
}

pub(crate) fn x_delete(exchange: &str) -> exchange::Delete<'_> {
    exchange::Delete { exchange, ..Default::default() }
}

/// Binds exchange to exchange.
pub(crate) fn x_bind<'a>(destination: &'a str, source: &'a str, routing_key: &'a str) -> exchange::Bind<'a> {
    exchange::Bind { destination, source, routing_key, ..Default::default() }
}

pub(crate) fn x_unbind<'a>(destination: &'a str, source: &'a str, routing_key: &'a str) -> exchange::Unbind<'a> {
    exchange::Unbind { destination, source, routing_key, ..Default::default() }
}

pub(crate) fn publish<'a>(exchange: &'a str, routing_key: &'a str) -> basic::Publish<'a> {
    basic::Publish { exchange: exchange.as_bytes(), routing_key: routing_key.as_bytes(), ..Default::default() }
}

pub(crate) fn consume<'a>(queue: &'a str, consumer_tag: &'a str) -> basic::Consume<'a> {
    basic::Consume { queue, consumer_tag, ..Default::default() }
}

pub(crate) fn cancel(consumer_tag: &str) -> basic::Cancel<'_> {
    basic::Cancel { consumer_tag, ..Default::default() }
}

pub(crate) fn get(queue: &str) -> basic::Get<'_> {
    basic::Get { queue, ..Default::default() }
}

pub(crate) fn qos(prefetch_count: u16) -> basic::Qos {
    basic::Qos { prefetch_count, ..Default::default() }
}

pub(crate) fn ack(delivery_tag: u64) -> basic::Ack {
    basic::Ack { delivery_tag, multiple: false }
}

pub(crate) fn ack_multiple(delivery_tag: u64) -> basic::Ack {
    basic::Ack { delivery_tag, multiple: true }
}

pub(crate) fn nack(delivery_tag: u64, requeue: bool) -> basic::Nack {
    basic::Nack { delivery_tag, requeue, multiple: false }
}

pub(crate) fn reject(delivery_tag: u64, requeue: bool) -> basic::Reject {
    basic::Reject { delivery_tag, requeue }
}

pub(crate) fn channel_close() -> channel::Close<'static> {
    channel::Close { reply_code: 200, ..Default::default() }
}

pub(crate) fn connection_close() -> connection::Close<'static> {
    connection::Close { reply_code: 200, ..Default::default() }
}

/// The answer that a method has when it succeeds.
pub(crate) fn reply_name(method: &Method<'_>) -> String {
    format!("{}-ok", method.name())
}
