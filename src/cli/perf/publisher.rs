//! A publisher: one thread writes blocks, another reads what the server says to that.

use std::io::Write;
use std::net::TcpStream;

use leveret_protocol::Method;
use leveret_protocol::method::confirm;

use super::block::{Block, MessageKind};
use super::client::{Client, Input, end_or_method};
use super::confirms::Confirms;
use super::error::{Error, Result};
use super::latency::{Latencies, now, sleep_until};
use super::progress::Progress;
use super::schedule::Schedule;
use super::uri::Uri;

/// How a publisher behaves.
#[derive(Debug, Clone)]
pub(super) struct PublisherLoad {
    /// What it publishes.
    pub message: MessageKind,
    /// At most so many unconfirmed messages; 0 for no confirms.
    pub confirm: usize,
    /// Each publish is a write of its own.
    pub flush_each: bool,
    /// How many messages; None until the run ends.
    pub count: Option<u64>,
    /// Messages a second of all publishers together; None for as fast as it goes.
    pub rate: Option<f64>,
}

/// A connected publisher.
#[derive(Debug)]
pub(super) struct Publisher {
    stream: TcpStream,
    block: Block,
    load: PublisherLoad,
    /// Its place among all publishers, and how many there are.
    place: (usize, usize),
    confirms: Option<Confirms>,
}

/// What a publisher's connection receives.
#[derive(Debug)]
pub(super) struct Receiver {
    stream: TcpStream,
    input: Input,
}

impl Publisher {
    /// Connects and encodes the messages.
    pub(super) fn connect(uri: &Uri, load: &PublisherLoad, place: (usize, usize)) -> Result<(Self, Receiver)> {
        let mut client = Client::connect(uri)?;
        client.open_channel(1)?;
        if load.confirm > 0 {
            let select = confirm::Select { nowait: false };
            client.call(1, select, |m| matches!(m, Method::ConfirmSelectOk(_)).then_some(()))?;
        }
        let stamp_every = match load.rate {
            None if !load.flush_each => SAMPLE_EVERY,
            _ => 1,
        };
        let block = Block::new(&load.message, client.frame_max(), stamp_every);
        let (stream, input) = client.into_parts();
        let publisher = Self {
            stream: stream.try_clone()?,
            block,
            load: load.clone(),
            place,
            confirms: (load.confirm > 0).then(|| Confirms::new(load.confirm)),
        };
        Ok((publisher, Receiver { stream, input }))
    }

    /// A second handle of the socket.
    pub(super) fn stream(&self) -> Result<TcpStream> {
        Ok(self.stream.try_clone()?)
    }

    /// Parts for the writing thread: everything but the window, which the reading thread shares.
    pub(super) fn split(&mut self) -> (Writer<'_>, Option<&Confirms>) {
        let writer = Writer {
            stream: &mut self.stream,
            block: &mut self.block,
            load: &self.load,
            place: self.place,
            confirms: self.confirms.as_ref(),
        };
        (writer, self.confirms.as_ref())
    }
}

/// The writing half of a publisher.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    stream: &'a mut TcpStream,
    block: &'a mut Block,
    load: &'a PublisherLoad,
    place: (usize, usize),
    confirms: Option<&'a Confirms>,
}

impl Writer<'_> {
    /// Publishes until its count or the end of the run. Gives how late messages were sent that had
    /// a time.
    pub(super) fn run(mut self, progress: &Progress) -> Latencies {
        let mut lateness = Latencies::default();
        if let Err(error) = self.publish(progress, &mut lateness) {
            progress.fail(error);
        }
        lateness
    }

    fn publish(&mut self, progress: &Progress, lateness: &mut Latencies) -> Result<()> {
        let (index, publishers) = self.place;
        let mut schedule = self.load.rate.map(|rate| Schedule::new(now(), rate, index, publishers));
        let mut left = self.load.count.unwrap_or(u64::MAX);
        while left > 0 && !progress.stopped() {
            let mut count = match self.load.flush_each {
                true => 1,
                false => self.block.len().min(usize::try_from(left).unwrap_or(usize::MAX)),
            };
            if let Some(schedule) = &schedule {
                sleep_until(schedule.due_at(0));
                count = count.min(schedule.due(now()));
            }
            let started = now();
            let time = |n| schedule.as_ref().map_or(started, |schedule| schedule.due_at(n));
            if let Some(confirms) = self.confirms {
                count = confirms.publish(count, progress, time);
            }
            if count == 0 {
                continue;
            }
            if schedule.is_some() && time(0) >= progress.measured_from() {
                let sent = now();
                (0..count).for_each(|n| lateness.record(sent.saturating_sub(time(n))));
            }
            self.stream.write_all(self.block.take(count, time)).map_err(Error::from)?;
            progress.published.add(count as u64);
            left -= count as u64;
            if let Some(schedule) = &mut schedule {
                schedule.advance(count);
            }
        }
        Ok(())
    }
}

impl Receiver {
    /// Reads until the connection ends. Gives the latencies of confirms.
    pub(super) fn run(mut self, confirms: Option<&Confirms>, progress: &Progress) -> Latencies {
        let mut latencies = Latencies::default();
        if let Err(error) = self.read(confirms, progress, &mut latencies) {
            progress.fail(error);
        }
        latencies
    }

    fn read(&mut self, confirms: Option<&Confirms>, progress: &Progress, latencies: &mut Latencies) -> Result<()> {
        while self.input.read_from(&mut self.stream)? > 0 {
            let (received, from) = (now(), progress.measured_from());
            let (mut confirmed, mut nacked) = (0, 0);
            while let Some((frame, len)) = self.input.frame()? {
                let (tag, multiple, count) = match end_or_method(&frame)? {
                    Some(Method::BasicAck(ack)) => (ack.delivery_tag, ack.multiple, &mut confirmed),
                    Some(Method::BasicNack(nack)) => (nack.delivery_tag, nack.multiple, &mut nacked),
                    _ => {
                        self.input.consume(len);
                        continue;
                    }
                };
                self.input.consume(len);
                let confirms = confirms.ok_or_else(|| Error::Protocol("an unasked confirm".into()))?;
                let settled = confirms.confirm(tag, multiple, |sent| {
                    *count += 1;
                    if sent >= from {
                        latencies.record(received.saturating_sub(sent));
                    }
                });
                settled.map_err(|unknown| Error::Protocol(unknown.to_string()))?;
            }
            progress.confirmed.add(confirmed);
            progress.nacked.add(nacked);
            if let Some(confirms) = confirms {
                confirms.wake();
            }
        }
        Err(Error::Dropped)
    }
}

/// Of messages written in batches, one in so many carries a timestamp.
const SAMPLE_EVERY: usize = 64;
