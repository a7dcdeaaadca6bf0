//! Runs with a stream of messages.

use leveret_protocol::Method;
use leveret_protocol::method::queue;

use super::args::{CommonArgs, MessageArgs};
use super::bystander;
use super::client::Client;
use super::error::Result;
use super::load::{End, Load, Measured, measure};
use super::plan::Plan;
use super::publisher::PublisherLoad;
use super::report::{Quantity, Report};
use super::target::Target;
use super::topology::Topology;

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
    let deleted = delete(target, &plan.topology);
    report.and_then(|report| deleted.map(|()| report))
}

/// Deletes what was declared, on a connection of its own: a failure may have ended any other.
pub(super) fn delete(target: &Target, topology: &Topology) -> Result<()> {
    let mut client = Client::connect(&target.uri)?;
    client.open_channel(1)?;
    topology.delete(&mut client)?;
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
        return bystander::beside_slow_consumer(target, common, args, plan);
    }
    if let Some(fate) = args.mass {
        return bystander::beside_mass(target, common, args, plan, fate);
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
    if let Some(count) = args.fill {
        report = report.with("fill", section(&measure(target, &fill(args, plan, count))?));
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

/// Publishes so many messages in all, with confirms, to queues without consumers.
pub(super) fn fill(args: &MessageArgs, plan: &Plan, count: u64) -> Load {
    let count = count / plan.publishers.len().max(1) as u64;
    let publisher = |publisher: &PublisherLoad| PublisherLoad {
        count: Some(count),
        confirm: if args.confirm > 0 { args.confirm } else { FILL_CONFIRM },
        ..publisher.clone()
    };
    Load { publishers: plan.publishers.iter().map(publisher).collect(), consumers: Vec::new(), end: End::Delivered(0) }
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

pub(super) fn load(plan: &Plan, end: End) -> Load {
    Load { publishers: plan.publishers.clone(), consumers: plan.consumers.clone(), end }
}

pub(super) const fn timed(common: &CommonArgs) -> End {
    End::Time { warmup: common.warmup, duration: common.duration }
}

fn all_of(count: u64, plan: &Plan, copies: u64) -> End {
    End::Delivered(count * plan.publishers.len() as u64 * copies)
}

pub(super) fn section(measured: &Measured) -> Quantity {
    Quantity::Section(Report::section().with_measured(measured))
}

/// The window of unconfirmed messages while a queue is filled, unless said otherwise.
const FILL_CONFIRM: usize = 1000;
