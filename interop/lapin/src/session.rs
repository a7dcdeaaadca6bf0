//! One scenario's connection and channel, and short words for what scenarios do with them.

use std::{
    env,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use futures_lite::StreamExt;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer, Error,
    ErrorKind, ExchangeKind, Result,
    message::{BasicGetMessage, Delivery},
    options::*,
    types::{AMQPValue, FieldTable},
    uri::AMQPUri,
};

pub struct Session {
    pub connection: Connection,
    pub channel: Channel,
}

impl Session {
    pub async fn open() -> Result<Self> {
        Self::over(uri()).await
    }

    pub async fn over(uri: AMQPUri) -> Result<Self> {
        let connection = Connection::connect_uri(uri, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        Ok(Self {
            connection,
            channel,
        })
    }

    pub async fn close(self) -> Result<()> {
        self.connection.close(200, "bye".into()).await
    }
}

pub fn uri() -> AMQPUri {
    let uri = env::var("AMQP_URL").unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/".into());
    // lapin takes an empty path for the vhost "", where most clients take "/".
    uri.trim_end_matches('/')
        .parse()
        .expect("AMQP_URL is an AMQP URI")
}

pub fn name(suffix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    static RUN: LazyLock<u32> = LazyLock::new(|| {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .subsec_nanos()
    });
    format!(
        "interop.lapin.{:x}.{}.{suffix}",
        *RUN,
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

pub fn table<const N: usize>(entries: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert(key.into(), value);
    }
    table
}

pub fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

pub async fn exchange(
    channel: &Channel,
    kind: ExchangeKind,
    arguments: FieldTable,
) -> Result<String> {
    let declared = name("exchange");
    let options = ExchangeDeclareOptions {
        auto_delete: true,
        ..Default::default()
    };
    channel
        .exchange_declare(declared.as_str().into(), kind, options, arguments)
        .await?;
    Ok(declared)
}

pub async fn queue(channel: &Channel) -> Result<String> {
    queue_with(channel, FieldTable::default()).await
}

pub async fn queue_with(channel: &Channel, arguments: FieldTable) -> Result<String> {
    let declared = name("queue");
    channel
        .queue_declare(
            declared.as_str().into(),
            QueueDeclareOptions::exclusive(),
            arguments,
        )
        .await?;
    Ok(declared)
}

pub async fn bound(channel: &Channel, exchange: &str, keys: &[&str]) -> Result<String> {
    let declared = queue(channel).await?;
    for key in keys {
        bind(channel, &declared, exchange, key, FieldTable::default()).await?;
    }
    Ok(declared)
}

pub async fn bind(
    channel: &Channel,
    queue: &str,
    exchange: &str,
    key: &str,
    arguments: FieldTable,
) -> Result<()> {
    channel
        .queue_bind(
            queue.into(),
            exchange.into(),
            key.into(),
            QueueBindOptions::default(),
            arguments,
        )
        .await
}

/// Publishes a message; in confirm mode the answer is waited for.
pub async fn publish(
    channel: &Channel,
    exchange: &str,
    key: &str,
    properties: BasicProperties,
    body: &[u8],
) -> Result<Confirmation> {
    let options = BasicPublishOptions::default();
    channel
        .basic_publish(exchange.into(), key.into(), options, body, properties)
        .await?
        .await
}

pub async fn mandatory(
    channel: &Channel,
    exchange: &str,
    key: &str,
    properties: BasicProperties,
    body: &[u8],
) -> Result<Confirmation> {
    let options = BasicPublishOptions {
        mandatory: true,
        ..Default::default()
    };
    channel
        .basic_publish(exchange.into(), key.into(), options, body, properties)
        .await?
        .await
}

pub async fn send(channel: &Channel, queue: &str, bodies: &[&str]) -> Result<()> {
    for body in bodies {
        publish(
            channel,
            "",
            queue,
            BasicProperties::default(),
            body.as_bytes(),
        )
        .await?;
    }
    Ok(())
}

pub async fn get(channel: &Channel, queue: &str, no_ack: bool) -> Result<Option<BasicGetMessage>> {
    channel
        .basic_get(queue.into(), BasicGetOptions { no_ack })
        .await
}

pub async fn drain(channel: &Channel, queue: &str) -> Result<Vec<String>> {
    let mut bodies = Vec::new();
    while let Some(message) = get(channel, queue, true).await? {
        bodies.push(body(&message));
    }
    Ok(bodies)
}

pub async fn consume(channel: &Channel, queue: &str, tag: &str, no_ack: bool) -> Result<Consumer> {
    let options = BasicConsumeOptions {
        no_ack,
        ..Default::default()
    };
    channel
        .basic_consume(queue.into(), tag.into(), options, FieldTable::default())
        .await
}

pub async fn next(consumer: &mut Consumer) -> Result<Delivery> {
    consumer.next().await.expect("the consumer goes on")
}

pub fn body(delivery: &Delivery) -> String {
    String::from_utf8_lossy(&delivery.data).into_owned()
}

pub fn seen(delivery: &Delivery) -> (String, bool) {
    (body(delivery), delivery.redelivered)
}

/// Ready messages and consumers.
pub async fn ready(channel: &Channel, queue: &str) -> Result<(u32, u32)> {
    let passive = QueueDeclareOptions::default().passive();
    let counted = channel
        .queue_declare(queue.into(), passive, FieldTable::default())
        .await?;
    Ok((counted.message_count(), counted.consumer_count()))
}

/// The code and text that the broker closed a channel or a connection with.
pub fn reason(error: &Error) -> (u16, String) {
    match error.kind() {
        ErrorKind::ProtocolError(error) => (error.get_id(), error.get_message().to_string()),
        other => panic!("no error of the broker: {other:?}"),
    }
}
