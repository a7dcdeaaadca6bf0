//! A client that speaks frames over a pipe, under a clock that goes on only when everybody waits.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use leveret_protocol::frame::{self, PROTOCOL_HEADER, kind};
use leveret_protocol::method::{basic, channel, connection, queue};
use leveret_protocol::{EncodedTable, FieldTable, FieldValue, Method, Table};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::config::Config;
use crate::connection::{Shared, serve};

/// Bytes that fit into each direction of the pipe.
const PIPE: usize = 64 * 1024;

/// Bytes read at once: all that is in any pipe.
const READ_CHUNK: usize = 1024 * 1024;

/// Longer than the broker waits for anything.
const FOREVER: Duration = Duration::from_secs(10_000);

/// What comes from the broker.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    Heartbeat,
    /// Channel and payload of a method frame.
    Method(u16, Vec<u8>),
    /// The payload of a content header or body.
    Content(Vec<u8>),
    /// The broker has ended the stream.
    End,
}

/// How a client introduces itself.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) mechanism: &'static str,
    pub(super) response: &'static [u8],
    pub(super) capabilities: &'static [&'static str],
    pub(super) channel_max: u16,
    pub(super) frame_max: u32,
    pub(super) heartbeat: u16,
}

pub(super) const GUEST: Login = Login {
    mechanism: "PLAIN",
    response: b"\0guest\0guest",
    capabilities: &[],
    channel_max: 2047,
    frame_max: 131_072,
    heartbeat: 0,
};

pub(super) struct Client {
    io: DuplexStream,
    input: BytesMut,
    broker: JoinHandle<()>,
    since: Instant,
}

pub(super) fn shared(config: Config) -> Arc<Shared> {
    Shared::new(Config { seed: Some(1), ..config }, "host")
}

pub(super) fn method(number: u16, method: &Method<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write_method(&mut out, number, method);
    out
}

/// The frames of a basic.publish by the default exchange.
pub(super) fn publish(number: u16, routing_key: &str, body: &[u8]) -> Vec<u8> {
    let publish =
        basic::Publish { exchange: b"", routing_key: routing_key.as_bytes(), mandatory: false, immediate: false };
    let mut out = method(number, &Method::BasicPublish(publish));
    frame::write_content_header(&mut out, number, body.len() as u64, &[0, 0]);
    frame::write_body(&mut out, number, 131_072, body);
    out
}

impl Login {
    pub(super) fn start_ok(&self) -> Vec<u8> {
        let capabilities: FieldTable = self.capabilities.iter().map(|name| (*name, FieldValue::Bool(true))).collect();
        let mut properties = FieldTable::new();
        properties.push("capabilities", FieldValue::Table(capabilities));
        let properties = EncodedTable::from(&properties);
        let start_ok = connection::StartOk {
            client_properties: properties.as_table(),
            mechanism: self.mechanism,
            response: self.response,
            locale: "en_US",
        };
        method(0, &Method::ConnectionStartOk(start_ok))
    }

    pub(super) fn tune_ok(&self) -> Vec<u8> {
        let Self { channel_max, frame_max, heartbeat, .. } = *self;
        method(0, &Method::ConnectionTuneOk(connection::TuneOk { channel_max, frame_max, heartbeat }))
    }
}

impl Client {
    /// Says nothing yet.
    pub(super) fn connect(shared: &Arc<Shared>) -> Self {
        Self::connect_through(shared, PIPE)
    }

    /// Says nothing yet; the pipe holds this many bytes.
    pub(super) fn connect_through(shared: &Arc<Shared>, pipe: usize) -> Self {
        let (io, broker) = tokio::io::duplex(pipe);
        let broker = tokio::spawn(serve(broker, None, shared.clone()));
        Self { io, input: BytesMut::new(), broker, since: Instant::now() }
    }

    /// Is let in, and counts the time from then on.
    pub(super) async fn open(shared: &Arc<Shared>, login: &Login) -> Self {
        let mut client = Self::connect(shared);
        client.log_in(login).await;
        client
    }

    pub(super) async fn log_in(&mut self, login: &Login) {
        self.tune(login).await;
        self.send(&open("/")).await;
        self.expect(0, &Method::ConnectionOpenOk(connection::OpenOk {})).await;
        self.since = Instant::now();
    }

    /// Goes as far as tune-ok.
    pub(super) async fn tune(&mut self, login: &Login) {
        self.start(login).await;
        let tune = connection::Tune { channel_max: 2047, frame_max: 131_072, heartbeat: 60 };
        self.expect(0, &Method::ConnectionTune(tune)).await;
        self.send(&login.tune_ok()).await;
    }

    /// Goes as far as start-ok.
    pub(super) async fn start(&mut self, login: &Login) {
        self.send(&PROTOCOL_HEADER).await;
        let Received::Method(0, payload) = self.receive().await else { panic!("no connection.start") };
        assert!(matches!(Method::decode(&payload), Ok(Method::ConnectionStart(_))));
        self.send(&login.start_ok()).await;
    }

    pub(super) async fn open_channel(&mut self, number: u16) {
        self.send(&method(number, &Method::ChannelOpen(channel::Open {}))).await;
        self.expect(number, &Method::ChannelOpenOk(channel::OpenOk::default())).await;
    }

    pub(super) async fn declare(&mut self, number: u16, name: &str) {
        let declare = queue::Declare {
            queue: name,
            passive: false,
            durable: false,
            exclusive: false,
            auto_delete: false,
            nowait: false,
            arguments: Table::EMPTY,
        };
        self.send(&method(number, &Method::QueueDeclare(declare))).await;
        let ok = queue::DeclareOk { queue: name, message_count: 0, consumer_count: 0 };
        self.expect(number, &Method::QueueDeclareOk(ok)).await;
    }

    pub(super) async fn consume(&mut self, number: u16, name: &str) {
        let consume = basic::Consume {
            queue: name,
            consumer_tag: "c",
            no_local: false,
            no_ack: true,
            exclusive: false,
            nowait: false,
            arguments: Table::EMPTY,
        };
        self.send(&method(number, &Method::BasicConsume(consume))).await;
        self.expect(number, &Method::BasicConsumeOk(basic::ConsumeOk { consumer_tag: "c" })).await;
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.unwrap();
    }

    /// The next frame, whenever it comes.
    pub(super) async fn receive(&mut self) -> Received {
        loop {
            if let Some((frame, len)) = frame::decode(&self.input, 0).unwrap() {
                let received = match frame.kind {
                    kind::HEARTBEAT => Received::Heartbeat,
                    kind::METHOD => Received::Method(frame.channel, frame.payload.to_vec()),
                    _ => Received::Content(frame.payload.to_vec()),
                };
                self.input.advance(len);
                return received;
            }
            self.input.reserve(READ_CHUNK);
            let read = tokio::time::timeout(FOREVER, self.io.read_buf(&mut self.input)).await;
            if read.expect("nothing comes any more").unwrap() == 0 {
                assert!(self.input.is_empty(), "the stream ends within a frame");
                return Received::End;
            }
        }
    }

    /// The next frame must be this method.
    pub(super) async fn expect(&mut self, number: u16, expected: &Method<'_>) {
        let Received::Method(channel, payload) = self.receive().await else { panic!("expected {expected:?}") };
        assert_eq!((channel, Method::decode(&payload).as_ref()), (number, Ok(expected)));
    }

    /// The next frame must be a connection.close.
    pub(super) async fn expect_close(&mut self, reply_code: u16, reply_text: &str, (class_id, method_id): (u16, u16)) {
        let close = connection::Close { reply_code, reply_text, class_id, method_id };
        self.expect(0, &Method::ConnectionClose(close)).await;
    }

    /// The stream must end at this time without another frame.
    pub(super) async fn expect_end_at(&mut self, secs: u64) {
        assert_eq!(self.receive().await, Received::End);
        self.assert_time(Duration::from_secs(secs));
    }

    /// The time since the client was let in, or connected.
    pub(super) fn assert_time(&self, expected: Duration) {
        let elapsed = self.since.elapsed();
        let late = elapsed.checked_sub(expected);
        assert!(late.is_some_and(|late| late < Duration::from_millis(10)), "{elapsed:?} instead of {expected:?}");
    }

    pub(super) async fn wait_until(&self, secs: u64) {
        tokio::time::sleep_until(self.since + Duration::from_secs(secs)).await;
    }

    /// Closes its side of the stream, and waits until the broker has done so too.
    pub(super) async fn leave(self) -> Duration {
        drop(self.io);
        self.broker.await.unwrap();
        self.since.elapsed()
    }

    /// Closes its side for writing only.
    pub(super) async fn stop_writing(&mut self) {
        self.io.shutdown().await.unwrap();
    }
}

pub(super) fn open(vhost: &str) -> Vec<u8> {
    method(0, &Method::ConnectionOpen(connection::Open { virtual_host: vhost }))
}

pub(super) fn close() -> Vec<u8> {
    let close = connection::Close { reply_code: 200, reply_text: "bye", class_id: 0, method_id: 0 };
    method(0, &Method::ConnectionClose(close))
}

pub(super) fn close_ok() -> Vec<u8> {
    method(0, &Method::ConnectionCloseOk(connection::CloseOk {}))
}
