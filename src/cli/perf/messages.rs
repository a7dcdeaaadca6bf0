//! Runs with a stream of messages.

use std::thread;
use std::time::Duration;

use leveret_protocol::Method;
use leveret_protocol::method::{basic, queue};

use super::args::{CommonArgs, MessageArgs};
use super::client::Client;
use super::error::Result;
use super::load::{End, Load, Measured, measure};
use super::plan::Plan;
use super::publisher::PublisherLoad;
use super::report::{Quantity, Report};
use super::target::Target;

/// Runs what the options ask for.
pub(super) fn run(target: &Target, common: &CommonArgs, args: &MessageArgs) -> Result<Report> {
    let plan = Plan::new(args)?;
    let mut control = Client::connect(&target.uri)?;
    control.open_channel(1)?;
    let purge = args.fill.is_some() || !args.drain;
    let declared = plan.topology.declare(&mut control, purge);
    let report = declared.and_then(|()| scenario(target, common, args, &plan, &mut control));
    if args.keep {
        return report;
    }
    let deleted = delete(target, &plan);
    report.and_then(|report| deleted.map(|()| report))
}

/// Deletes what was declared, on a connection of its own: a failure may have ended any other.
fn delete(target: &Target, plan: &Plan) -> Result<()> {
    let mut client = Client::connect(&target.uri)?;
    client.open_channel(1)?;
    plan.topology.delete(&mut client)?;
    client.close()
}

fn scenario(
    target: &Target,
    common: &CommonArgs,
    args: &MessageArgs,
    plan: &Plan,
    control: &mut Client,
) -> Result<Report> {
    if args.slow_consumer {
        return slow_consumer(target, common, args, plan);
    }
    if args.fill.is_some() || args.drain {
        return backlog(target, args, plan, control);
    }
    let end = match args.count {
        Some(count) if plan.consumers.is_empty() => all_of(count, plan, 0),
        Some(count) => all_of(count, plan, plan.copies),
        None => timed(common),
    };
    let measured = measure(target, &load(plan, end))?;
    let name = match (args.fanout, args.topic_bindings) {
        (Some(queues), _) => format!("fanout {queues}"),
        (_, Some(bindings)) => format!("topic {bindings}"),
        _ => "throughput".to_owned(),
    };
    Ok(Report::new(&name).with_measured(&measured))
}

/// Fills the queues, then empties them.
fn backlog(target: &Target, args: &MessageArgs, plan: &Plan, control: &mut Client) -> Result<Report> {
    let mut report = Report::new("backlog");
    if let Some(fill) = args.fill {
        let count = fill / plan.publishers.len().max(1) as u64;
        let publisher = |publisher: &PublisherLoad| PublisherLoad {
            count: Some(count),
            confirm: if args.confirm > 0 { args.confirm } else { FILL_CONFIRM },
            ..publisher.clone()
        };
        let load = Load {
            publishers: plan.publishers.iter().map(publisher).collect(),
            consumers: Vec::new(),
            end: End::Delivered(0),
        };
        report = report.with("fill", section(&measure(target, &load)?));
    }
    if args.drain {
        let load = Load {
            publishers: Vec::new(),
            consumers: plan.consumers.clone(),
            end: End::Delivered(ready(control, &plan.topology.queues)?),
        };
        report = report.with("drain", section(&measure(target, &load)?));
    }
    Ok(report)
}

/// Messages in all queues.
fn ready(control: &mut Client, queues: &[String]) -> Result<u64> {
    let mut messages = 0;
    for queue in queues {
        let declare = queue::Declare { queue, passive: true, ..Default::default() };
        messages += control.call(1, declare, |method| match method {
            Method::QueueDeclareOk(ok) => Some(u64::from(ok.message_count)),
            _ => None,
        })?;
    }
    Ok(messages)
}

/// A bystander's latency alone, and beside a flood.
fn slow_consumer(target: &Target, common: &CommonArgs, args: &MessageArgs, plan: &Plan) -> Result<Report> {
    let rated = |rate| {
        let publisher =
            |publisher: &PublisherLoad| PublisherLoad { rate: Some(rate), count: None, ..publisher.clone() };
        plan.publishers.iter().map(publisher).collect()
    };
    let bystander = Load {
        publishers: rated(args.rate.unwrap_or(BYSTANDER_RATE)),
        consumers: plan.consumers.clone(),
        end: timed(common),
    };
    let alone = measure(target, &bystander)?;
    let flooded = MessageArgs {
        queue_pattern: "perf-flooded".to_owned(),
        consumers: Some(0),
        publishers: 1,
        queues: 1,
        rate: Some(args.flood_rate),
        count: None,
        confirm: 0,
        exchange: String::new(),
        routing_key: None,
        ..args.clone()
    };
    let flooded = Plan::new(&flooded)?;
    let mut stuck = Client::connect(&target.uri)?;
    stuck.open_channel(1)?;
    flooded.topology.declare(&mut stuck, true)?;
    let consume = basic::Consume { queue: &flooded.topology.queues[0], no_ack: true, ..Default::default() };
    stuck.call(1, consume, |m| matches!(m, Method::BasicConsumeOk(_)).then_some(()))?;
    // From here on nobody reads from `stuck`.
    let flood = Load {
        end: End::Time { warmup: Duration::ZERO, duration: common.warmup + common.duration },
        ..load(&flooded, timed(common))
    };
    let quiet = Target { quiet: true, ..target.clone() };
    let (beside, flood) = thread::scope(|scope| {
        let flood = scope.spawn(|| measure(&quiet, &flood));
        let beside = measure(target, &bystander);
        let flood = flood.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (beside, flood)
    });
    drop(stuck);
    delete(target, &flooded)?;
    let flood = flood?;
    Ok(Report::new("slow consumer")
        .with("alone", section(&alone))
        .with("beside", section(&beside?))
        .with("flooded_with", Quantity::Count(flood.counts.published))
        .with("flooded_per_s", Quantity::Rate(flood.counts.published as f64 / flood.seconds)))
}

fn load(plan: &Plan, end: End) -> Load {
    Load { publishers: plan.publishers.clone(), consumers: plan.consumers.clone(), end }
}

const fn timed(common: &CommonArgs) -> End {
    End::Time { warmup: common.warmup, duration: common.duration }
}

fn all_of(count: u64, plan: &Plan, copies: u64) -> End {
    End::Delivered(count * plan.publishers.len() as u64 * copies)
}

fn section(measured: &Measured) -> Quantity {
    Quantity::Section(Report::section().with_measured(measured))
}

/// The window of unconfirmed messages while a queue is filled, unless said otherwise.
const FILL_CONFIRM: usize = 1000;
/// Messages a second of the bystander, unless said otherwise.
const BYSTANDER_RATE: f64 = 5000.0;
