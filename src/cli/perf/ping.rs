//! One message at a time, beside a bare echo over TCP and a bare flush of the disk: what the machine itself takes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use leveret_protocol::Method;
use leveret_protocol::method::{basic, confirm};

use super::args::{CommonArgs, PingArgs};
use super::block::{Block, MessageKind};
use super::client::Client;
use super::error::{Error, Result};
use super::flush::Flushed;
use super::latency::{Latencies, now};
use super::process::Process;
use super::report::{Quantity, Report};
use super::target::Target;
use super::topology::Topology;

/// Runs echo, delivery, confirm and flush by turns, so that a disturbance hits all of them.
pub(super) fn run(target: &Target, common: &CommonArgs, args: &PingArgs) -> Result<Report> {
    let queue = |name: &str| Topology { queues: vec![name.to_owned()], durable: args.durable, ..Default::default() };
    let (delivered, confirmed) = (queue("perf-ping"), queue("perf-ping-confirm"));
    // Before anything is declared: the directory may be wrong.
    let flushed = args.flush_in.as_ref().map(|dir| Flushed::new(dir, args.size)).transpose()?;
    let mut control = Client::connect(&target.uri)?;
    control.open_channel(1)?;
    delivered.declare(&mut control, true)?;
    let mut pings = vec![
        ("echo", Pinged::new(Ping::echo(args.size)?)),
        ("deliver", Pinged::new(Ping::deliver(target, args, &delivered.queues[0])?)),
    ];
    if args.confirm > 0 {
        confirmed.declare(&mut control, true)?;
        pings.push(("confirm", Pinged::new(Ping::confirm(target, args, &confirmed.queues[0])?)));
    }
    if let Some(flushed) = flushed {
        pings.push(("flush", Pinged::new(Ping::Flush(flushed))));
    }
    by_turns(target, common.warmup, &mut pings)?;
    for (_, pinged) in &mut pings {
        pinged.forget();
    }
    by_turns(target, common.duration, &mut pings)?;
    delivered.delete(&mut control)?;
    if args.confirm > 0 {
        confirmed.delete(&mut control)?;
    }
    let mut report = Report::new("ping");
    for (name, pinged) in &pings {
        report = report.with(name, Quantity::Section(pinged.report()));
    }
    Ok(report)
}

fn by_turns(target: &Target, duration: Duration, pings: &mut [(&str, Pinged)]) -> Result<()> {
    let end = now() + duration.as_nanos() as u64;
    while now() < end {
        for (name, pinged) in pings.iter_mut() {
            let process = target.process.filter(|_| !matches!(*name, "echo" | "flush"));
            pinged.run(now() + TURN_NANOSECONDS, process)?;
        }
    }
    Ok(())
}

/// A kind of ping and what it took.
struct Pinged {
    ping: Ping,
    latencies: Latencies,
    count: u64,
    broker_cpu: Option<u64>,
    own_cpu: u64,
    nanoseconds: u64,
}

impl Pinged {
    fn new(ping: Ping) -> Self {
        Self { ping, latencies: Latencies::default(), count: 0, broker_cpu: None, own_cpu: 0, nanoseconds: 0 }
    }

    fn forget(&mut self) {
        self.latencies = Latencies::default();
        (self.count, self.broker_cpu, self.own_cpu, self.nanoseconds) = (0, None, 0, 0);
    }

    fn run(&mut self, end: u64, process: Option<Process>) -> Result<()> {
        let broker_cpu = process.map(Process::cpu).transpose()?;
        let (own_cpu, begun) = (Process::Own.cpu()?, now());
        loop {
            let sent = now();
            if sent >= end {
                break;
            }
            self.ping.once()?;
            self.latencies.record(now() - sent);
            self.count += 1;
        }
        self.nanoseconds += now() - begun;
        self.own_cpu += Process::Own.cpu()? - own_cpu;
        if let Some((process, before)) = process.zip(broker_cpu) {
            *self.broker_cpu.get_or_insert(0) += process.cpu()? - before;
        }
        Ok(())
    }

    fn report(&self) -> Report {
        Report::section().with("latency_us", Quantity::Percentiles(self.latencies.percentiles())).with_cpu(
            self.broker_cpu,
            self.own_cpu,
            self.count,
            self.nanoseconds as f64 / 1e9,
        )
    }
}

/// One way there and back.
enum Ping {
    Confirm { publisher: Client, block: Block },
    Deliver { publisher: Client, consumer: Client, block: Block },
    Echo { stream: TcpStream, bytes: Vec<u8> },
    Flush(Flushed),
}

impl Ping {
    /// A server of our own, in a thread of this process.
    fn echo(size: usize) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let stream = TcpStream::connect(listener.local_addr()?)?;
        let (peer, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        peer.set_nodelay(true)?;
        thread::spawn(move || echo(peer));
        let bytes = vec![0; size.max(1)];
        Ok(Self::Echo { stream, bytes })
    }

    fn deliver(target: &Target, args: &PingArgs, queue: &str) -> Result<Self> {
        let mut consumer = Client::connect(&target.uri)?;
        consumer.open_channel(1)?;
        let consume = basic::Consume { queue, no_ack: true, ..Default::default() };
        consumer.call(1, consume, |m| matches!(m, Method::BasicConsumeOk(_)).then_some(()))?;
        let mut publisher = Client::connect(&target.uri)?;
        publisher.open_channel(1)?;
        Ok(Self::Deliver { consumer, block: block(args, queue, &publisher), publisher })
    }

    fn confirm(target: &Target, args: &PingArgs, queue: &str) -> Result<Self> {
        let mut publisher = Client::connect(&target.uri)?;
        publisher.open_channel(1)?;
        let select = confirm::Select { nowait: false };
        publisher.call(1, select, |m| matches!(m, Method::ConfirmSelectOk(_)).then_some(()))?;
        let block = block(args, queue, &publisher);
        Ok(Self::Confirm { publisher, block })
    }

    fn once(&mut self) -> Result<()> {
        match self {
            Self::Confirm { publisher, block } => {
                publisher.write(block.take(1, |_| 0))?;
                let acked = publisher.wait(1, |method| match method {
                    Method::BasicAck(_) => Some(true),
                    Method::BasicNack(_) => Some(false),
                    _ => None,
                })?;
                acked.then_some(()).ok_or_else(|| Error::Protocol("a message was refused".into()))
            }
            Self::Deliver { publisher, consumer, block } => {
                publisher.write(block.take(1, |_| 0))?;
                consumer.wait_delivery().map(drop)
            }
            Self::Echo { stream, bytes } => {
                stream.write_all(bytes)?;
                Ok(stream.read_exact(bytes)?)
            }
            Self::Flush(file) => file.write(),
        }
    }
}

fn block(args: &PingArgs, queue: &str, publisher: &Client) -> Block {
    let kind = MessageKind {
        exchange: String::new(),
        routing_keys: vec![queue.to_owned()],
        size: args.size,
        persistent: args.persistent,
        ..MessageKind::default()
    };
    Block::new(&kind, publisher.frame_max(), 1)
}

/// Sends back what comes until the other side ends.
fn echo(mut peer: TcpStream) {
    let mut bytes = [0; 64 * 1024];
    while let Ok(len @ 1..) = peer.read(&mut bytes) {
        if peer.write_all(&bytes[..len]).is_err() {
            return;
        }
    }
}

/// How long one kind of ping runs before it is the next one's turn.
const TURN_NANOSECONDS: u64 = 100_000_000;
