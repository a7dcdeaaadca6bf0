//! Making and removing things as often as possible.

use std::thread;
use std::time::Duration;

use leveret_protocol::Method;
use leveret_protocol::method::{channel, queue};

use super::args::{ChurnArgs, Churned, CommonArgs};
use super::client::Client;
use super::error::Result;
use super::latency::{Latencies, now};
use super::process::Process;
use super::report::{Quantity, Report};
use super::target::Target;
use super::topology::Topology;
use super::uri::Uri;

/// Lets all clients go on for the duration, and counts what they did.
pub(super) fn run(target: &Target, common: &CommonArgs, args: &ChurnArgs) -> Result<Report> {
    let clients = 0..args.clients;
    let clients = clients.map(|number| Churner::connect(&target.uri, args.what, number));
    let mut clients: Vec<_> = clients.collect::<Result<_>>()?;
    churn(&mut clients, common.warmup)?;
    let broker_cpu = target.process.map(Process::cpu).transpose()?;
    let (own_cpu, begun) = (Process::Own.cpu()?, now());
    let latencies = churn(&mut clients, common.duration)?;
    let seconds = (now() - begun) as f64 / 1e9;
    let own_cpu = Process::Own.cpu()? - own_cpu;
    let after = target.process.map(Process::cpu).transpose()?;
    for client in clients {
        client.clean()?;
    }
    let percentiles = latencies.percentiles();
    let operations = percentiles.map_or(0, |percentiles| percentiles.samples);
    Ok(Report::new(&format!("churn {}", args.what.name()))
        .with("clients", Quantity::Count(args.clients.into()))
        .with("seconds", Quantity::Seconds(seconds))
        .with("operations", Quantity::Count(operations))
        .with("operations_per_s", Quantity::Rate(operations as f64 / seconds))
        .with("operation_us", Quantity::Percentiles(percentiles))
        .with_cpu(after.zip(broker_cpu).map(|(b, a)| b - a), own_cpu, operations, seconds)
        .with_memory(target.process.map(Process::memory).transpose()?))
}

fn churn(clients: &mut [Churner<'_>], duration: Duration) -> Result<Latencies> {
    let end = now() + duration.as_nanos() as u64;
    thread::scope(|scope| {
        let threads = clients.iter_mut();
        let threads: Vec<_> = threads.map(|client| scope.spawn(move || client.run(end))).collect();
        let mut sum = Latencies::default();
        for thread in threads {
            let latencies = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            sum.add(&latencies?);
        }
        Ok(sum)
    })
}

impl Churned {
    const fn name(self) -> &'static str {
        match self {
            Self::Binds => "binds",
            Self::Channels => "channels",
            Self::Connections => "connections",
            Self::DurableQueues => "durable-queues",
            Self::Queues => "queues",
        }
    }
}

/// One client.
struct Churner<'a> {
    uri: &'a Uri,
    what: Churned,
    client: Client,
    queue: String,
    done: u64,
}

impl<'a> Churner<'a> {
    fn connect(uri: &'a Uri, what: Churned, number: u16) -> Result<Self> {
        let mut client = Client::connect(uri)?;
        client.open_channel(1)?;
        let queue = format!("perf-churn-{number}");
        let churner = Self { uri, what, client, queue, done: 0 };
        churner.prepared()
    }

    fn prepared(mut self) -> Result<Self> {
        if self.what == Churned::Binds {
            self.topology().declare(&mut self.client, true)?;
        }
        Ok(self)
    }

    fn topology(&self) -> Topology {
        Topology { queues: vec![self.queue.clone()], ..Default::default() }
    }

    fn run(&mut self, end: u64) -> Result<Latencies> {
        let mut latencies = Latencies::default();
        loop {
            let begun = now();
            if begun >= end {
                return Ok(latencies);
            }
            self.once()?;
            self.done += 1;
            latencies.record(now() - begun);
        }
    }

    fn once(&mut self) -> Result<()> {
        match self.what {
            Churned::Binds => self.bind(),
            Churned::Channels => self.channel(),
            Churned::Connections => self.connection(),
            Churned::DurableQueues => self.queue(true),
            Churned::Queues => self.queue(false),
        }
    }

    fn connection(&self) -> Result<()> {
        let mut client = Client::connect(self.uri)?;
        client.open_channel(1)?;
        client.close()
    }

    fn channel(&mut self) -> Result<()> {
        self.client.open_channel(2)?;
        let close = channel::Close { reply_code: 200, reply_text: "Goodbye", ..Default::default() };
        self.client.call(2, close, |m| matches!(m, Method::ChannelCloseOk(_)).then_some(()))
    }

    fn queue(&mut self, durable: bool) -> Result<()> {
        let declare = queue::Declare { queue: &self.queue, durable, ..Default::default() };
        self.client.call(1, declare, |m| matches!(m, Method::QueueDeclareOk(_)).then_some(()))?;
        let delete = queue::Delete { queue: &self.queue, ..Default::default() };
        self.client.call(1, delete, |m| matches!(m, Method::QueueDeleteOk(_)).then_some(()))
    }

    fn bind(&mut self) -> Result<()> {
        let bind = queue::Bind {
            queue: &self.queue,
            exchange: "amq.direct",
            routing_key: &format!("key-{}", self.done),
            ..Default::default()
        };
        self.client.call(1, bind, |m| matches!(m, Method::QueueBindOk(_)).then_some(()))
    }

    /// Removes what is left.
    fn clean(mut self) -> Result<()> {
        if self.what == Churned::Binds {
            self.topology().delete(&mut self.client)?;
        }
        self.client.close()
    }
}
