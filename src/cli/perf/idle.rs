//! Connections and queues that do nothing, and the memory they take.

use std::thread;

use super::args::{CommonArgs, IdleArgs};
use super::client::Client;
use super::error::Result;
use super::latency::now;
use super::process::{Memory, Process};
use super::report::{Quantity, Report};
use super::target::Target;
use super::topology::Topology;

/// Opens everything, holds it for the duration and lets go.
pub(super) fn run(target: &Target, common: &CommonArgs, args: &IdleArgs) -> Result<Report> {
    let topology =
        Topology { queues: (0..args.queues).map(|n| format!("perf-idle-{n}")).collect(), ..Default::default() };
    let mut control = Client::connect(&target.uri)?;
    control.open_channel(1)?;
    thread::sleep(common.warmup);
    let resident = || -> Result<Option<Memory>> { target.process.map(Process::memory).transpose() };
    let (empty, begun) = (resident()?, now());
    topology.declare(&mut control, true)?;
    let declared = now();
    let mut clients = Vec::with_capacity(args.connections);
    for _ in 0..args.connections {
        let mut client = Client::connect(&target.uri)?;
        client.open_channel(1)?;
        client.shrink();
        clients.push(client);
    }
    let opened = now();
    let broker_cpu = target.process.map(Process::cpu).transpose()?;
    thread::sleep(common.duration);
    let after = target.process.map(Process::cpu).transpose()?;
    let full = resident()?;
    topology.delete(&mut control)?;
    clients.into_iter().try_for_each(Client::close)?;
    let things = (args.connections + args.queues) as u64;
    let grown = |(full, empty): (Memory, Memory)| full.resident.saturating_sub(empty.resident) / things.max(1);
    let cores = |(after, before): (u64, u64)| (after - before) as f64 / 1e9 / common.duration.as_secs_f64().max(0.01);
    let seconds = |from: u64, to: u64| (to - from) as f64 / 1e9;
    Ok(Report::new("idle")
        .with("connections", Quantity::Count(args.connections as u64))
        .with("queues", Quantity::Count(args.queues as u64))
        .with("declare_seconds", Quantity::Seconds(seconds(begun, declared)))
        .with("connect_seconds", Quantity::Seconds(seconds(declared, opened)))
        .with("rss_before", Quantity::Bytes(empty.map(|memory| memory.resident)))
        .with("rss_each", Quantity::Bytes(full.zip(empty).map(grown)))
        .with("broker_cores", Quantity::Cores(after.zip(broker_cpu).map(cores)))
        .with_memory(full))
}
