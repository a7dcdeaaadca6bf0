//! A consumer's connection: one thread reads, counts and settles.

use std::io::Write;
use std::net::TcpStream;

use leveret_protocol::frame;
use leveret_protocol::method::basic;

use super::client::{Client, Input};
use super::deliveries::Deliveries;
use super::error::{Error, Result};
use super::latency::{Latencies, now};
use super::progress::Progress;
use super::uri::Uri;

/// How the consumers of a connection behave.
#[derive(Debug, Clone)]
pub(super) struct ConsumerLoad {
    /// A consumer for each, on a channel of its own.
    pub queues: Vec<String>,
    /// One ack for so many messages; 0 for none at all (`no_ack`).
    pub ack: u64,
    /// Unsettled messages a consumer may have; 0 for no limit.
    pub prefetch: u16,
}

/// Consumers that share a connection.
#[derive(Debug)]
pub(super) struct Consumer {
    stream: TcpStream,
    input: Input,
    deliveries: Deliveries,
    ack: u64,
}

impl Consumer {
    /// Connects and subscribes. Deliveries may come at once.
    pub(super) fn connect(uri: &Uri, load: &ConsumerLoad) -> Result<Self> {
        let mut client = Client::connect(uri)?;
        let too_many = |_| Error::Usage("too many queues on one connection".into());
        let channels = u16::try_from(load.queues.len()).map_err(too_many)?;
        for channel in 1..=channels {
            client.open_channel(channel)?;
            if load.prefetch > 0 {
                client.qos(channel, load.prefetch)?;
            }
        }
        for (channel, queue) in (1..=channels).zip(&load.queues) {
            let consume = basic::Consume {
                queue,
                consumer_tag: &format!("c{channel:05}"),
                no_ack: load.ack == 0,
                // An answer could come between other consumers' deliveries.
                nowait: true,
                ..Default::default()
            };
            client.queue(channel, consume);
        }
        client.flush()?;
        let (stream, input) = client.into_parts();
        Ok(Self { stream, input: input.grown_to(READ_LEN), deliveries: Deliveries::new(channels), ack: load.ack })
    }

    /// A second handle of the socket.
    pub(super) fn stream(&self) -> Result<TcpStream> {
        Ok(self.stream.try_clone()?)
    }

    /// Receives until the connection ends. Gives the latencies of deliveries.
    pub(super) fn run(mut self, progress: &Progress) -> Latencies {
        let mut latencies = Latencies::default();
        if let Err(error) = self.receive(progress, &mut latencies) {
            progress.fail(error);
        }
        latencies
    }

    fn receive(&mut self, progress: &Progress, latencies: &mut Latencies) -> Result<()> {
        let mut acks = Vec::new();
        while self.input.read_from(&mut self.stream)? > 0 {
            let (received, from) = (now(), progress.measured_from());
            let every = self.ack;
            let mut count = 0;
            let len = self.deliveries.read(self.input.unread(), |delivered| {
                count += 1;
                if delivered.stamp != 0 && delivered.stamp >= from {
                    latencies.record(received.saturating_sub(delivered.stamp));
                }
                if every > 0 && delivered.delivery_tag % every == 0 {
                    let delivery_tag = delivered.delivery_tag;
                    let multiple = every > 1;
                    let ack = basic::Ack { delivery_tag, multiple };
                    frame::write_method(&mut acks, delivered.channel, &ack.into());
                }
            })?;
            self.input.consume(len);
            if !acks.is_empty() {
                self.stream.write_all(&acks)?;
                acks.clear();
            }
            progress.delivered.add(count);
        }
        Err(Error::Dropped)
    }
}

/// Bytes read at once.
const READ_LEN: usize = 256 * 1024;
