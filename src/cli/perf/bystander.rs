//! Latency of one queue alone, and beside another that keeps the broker busy.

use std::thread;
use std::time::Duration;

use leveret_protocol::method::{basic, queue};
use leveret_protocol::{FieldValue, Method, frame};

use super::args::{CommonArgs, Fate, MessageArgs};
use super::client::Client;
use super::error::{Error, Result};
use super::latency::now;
use super::load::{End, Load, Measured, measure};
use super::messages::{delete, fill, load, section, timed};
use super::plan::Plan;
use super::publisher::PublisherLoad;
use super::report::{Quantity, Report};
use super::target::Target;
use super::topology::Topology;

/// Beside a flooded queue whose consumer reads nothing.
pub(super) fn beside_slow_consumer(
    target: &Target,
    common: &CommonArgs,
    args: &MessageArgs,
    plan: &Plan,
) -> Result<Report> {
    let bystander = bystander(common, args, plan);
    let alone = measure(target, &bystander)?;
    let flooded = MessageArgs { consumers: Some(0), rate: Some(args.flood_rate), ..other(args, "perf-flooded") };
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
    let (beside, flood) = beside(target, &bystander, || measure(&quiet, &flood));
    drop(stuck);
    delete(target, &flooded.topology)?;
    let flood = flood?;
    Ok(report("slow consumer", &alone, &beside?)
        .with("flooded_with", Quantity::Count(flood.counts.published))
        .with("flooded_per_s", Quantity::Rate(flood.counts.published as f64 / flood.seconds)))
}

/// Beside a queue whose messages all go at once.
pub(super) fn beside_mass(
    target: &Target,
    common: &CommonArgs,
    args: &MessageArgs,
    plan: &Plan,
    fate: Fate,
) -> Result<Report> {
    let bystander = bystander(common, args, plan);
    let alone = measure(target, &bystander)?;
    let mut mass = Mass::gather(target, args, fate)?;
    let (beside, gone) = beside(target, &bystander, || {
        thread::sleep(common.warmup + common.duration / 4);
        mass.meet_fate()
    });
    delete(target, &mass.topology)?;
    Ok(report("mass", &alone, &beside?)
        .with("mass", Quantity::Count(args.mass_count))
        .with("gone_after", Quantity::Seconds(gone?)))
}

/// Evenly spaced messages.
fn bystander(common: &CommonArgs, args: &MessageArgs, plan: &Plan) -> Load {
    let rate = Some(args.rate.unwrap_or(BYSTANDER_RATE));
    let rated = |publisher: &PublisherLoad| PublisherLoad { rate, count: None, ..publisher.clone() };
    Load {
        publishers: plan.publishers.iter().map(rated).collect(),
        consumers: plan.consumers.clone(),
        end: timed(common),
    }
}

/// Options of the queue beside it.
fn other(args: &MessageArgs, queue: &str) -> MessageArgs {
    MessageArgs {
        queue_pattern: queue.to_owned(),
        publishers: 1,
        queues: 1,
        rate: None,
        count: None,
        confirm: 0,
        exchange: String::new(),
        routing_key: None,
        ..args.clone()
    }
}

fn beside<T: Send>(
    target: &Target,
    bystander: &Load,
    other: impl FnOnce() -> Result<T> + Send,
) -> (Result<Measured>, Result<T>) {
    thread::scope(|scope| {
        let other = scope.spawn(other);
        let measured = measure(target, bystander);
        (measured, other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

fn report(scenario: &str, alone: &Measured, beside: &Measured) -> Report {
    Report::new(scenario).with("alone", section(alone)).with("beside", section(beside))
}

/// A queue with many messages that wait for the same thing.
struct Mass {
    client: Client,
    /// The queue, and that of its dead letters.
    topology: Topology,
    fate: Fate,
    count: u64,
}

impl Mass {
    fn gather(target: &Target, args: &MessageArgs, fate: Fate) -> Result<Self> {
        let expires = matches!(fate, Fate::Expire | Fate::DeadLetter);
        let mut head = MessageArgs { consumers: Some(0), ..other(args, MASS_QUEUE) };
        if fate == Fate::Drop {
            head.size = 1;
        }
        let first = Plan::new(&head)?;
        let rest = Plan::new(&MessageArgs { expiration: expires.then_some(1), ..head })?;
        let mut client = Client::connect(&target.uri)?;
        client.open_channel(1)?;
        let mut topology = first.topology.clone();
        for (key, value) in fate.arguments(args.mass_count) {
            topology.arguments.insert(key, value);
        }
        topology.declare(&mut client, true)?;
        if fate == Fate::DeadLetter {
            let dead = Topology { queues: vec![DEAD_QUEUE.to_owned()], ..first.topology.clone() };
            dead.declare(&mut client, true)?;
            topology.queues.extend(dead.queues);
        }
        let quiet = Target { quiet: true, ..target.clone() };
        // Nothing behind the first message expires before that is gone.
        measure(&quiet, &fill(args, &first, 1))?;
        measure(&quiet, &fill(args, &rest, args.mass_count - 1))?;
        Ok(Self { client, topology, fate, count: args.mass_count })
    }

    /// Gives how many seconds it took until all were gone.
    fn meet_fate(&mut self) -> Result<f64> {
        let begun = now();
        let Self { client, fate, .. } = self;
        match fate {
            Fate::Expire | Fate::DeadLetter => {
                let get = basic::Get { queue: MASS_QUEUE, no_ack: true };
                client.call(1, get, |m| matches!(m, Method::BasicGetOk(_)).then_some(()))?;
            }
            Fate::Drop => client.write(&large(self.count))?,
            Fate::Purge => {
                let purge = queue::Purge { queue: MASS_QUEUE, nowait: false };
                client.call(1, purge, |m| matches!(m, Method::QueuePurgeOk(_)).then_some(()))?;
            }
            Fate::Delete => {
                let delete = queue::Delete { queue: MASS_QUEUE, ..Default::default() };
                client.call(1, delete, |m| matches!(m, Method::QueueDeleteOk(_)).then_some(()))?;
                return Ok((now() - begun) as f64 / 1e9);
            }
        }
        let left = u32::from(self.fate == Fate::Drop);
        while self.ready()? > left {
            if now() - begun > FATE_NANOSECONDS_MAX {
                return Err(Error::Protocol("messages are left that should be gone".into()));
            }
            thread::sleep(LOOK_AGAIN);
        }
        Ok((now() - begun) as f64 / 1e9)
    }

    fn ready(&mut self) -> Result<u32> {
        let declare = queue::Declare { queue: MASS_QUEUE, passive: true, ..Default::default() };
        self.client.call(1, declare, |method| match method {
            Method::QueueDeclareOk(ok) => Some(ok.message_count),
            _ => None,
        })
    }
}

impl Fate {
    /// What a queue of so many messages is declared with to meet it.
    fn arguments(self, count: u64) -> Vec<(&'static str, FieldValue)> {
        match self {
            Self::DeadLetter => {
                vec![("x-dead-letter-exchange", "".into()), ("x-dead-letter-routing-key", DEAD_QUEUE.into())]
            }
            Self::Drop => vec![("x-max-length-bytes", FieldValue::I64(count as i64))],
            Self::Expire | Self::Purge | Self::Delete => Vec::new(),
        }
    }
}

/// A message that takes the room of so many with a byte each.
fn large(size: u64) -> Vec<u8> {
    let mut frames = Vec::new();
    let publish = basic::Publish { routing_key: MASS_QUEUE.as_bytes(), ..Default::default() };
    frame::write_method(&mut frames, 1, &publish.into());
    frame::write_content_header(&mut frames, 1, size, &[0, 0]);
    frame::write_body(&mut frames, 1, FRAME_MAX, &vec![0; size as usize]);
    frames
}

/// Messages a second of the bystander, unless said otherwise.
const BYSTANDER_RATE: f64 = 5000.0;
const MASS_QUEUE: &str = "perf-mass";
const DEAD_QUEUE: &str = "perf-mass-dead";
/// The shortest that a broker may allow.
const FRAME_MAX: u32 = 4096;
/// How often the mass is counted while it goes.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
const FATE_NANOSECONDS_MAX: u64 = 120_000_000_000;
