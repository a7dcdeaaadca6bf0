//! `leveret perf`: measures any AMQP 0-9-1 broker from the outside.
//!
//! One thread for each direction of a connection and blocking sockets: nothing between the clock and
//! the wire. Publishes are encoded once and written in blocks, deliveries are recognised by their
//! form, so that this side takes less time for a message than a broker can.
//!
//! - `args` are the options, `plan` what they mean.
//! - `load` runs `publisher`s and `consumer`s and watches them; `messages` are the kinds of such
//!   runs, `bystander` those that watch a queue beside another. `ping`, `churn` and `idle` are the others.
//! - `client` is a connection, `report` what is printed.

pub mod args;
mod block;
mod bystander;
mod churn;
mod client;
mod confirms;
mod consumer;
mod deliveries;
mod disk;
mod error;
mod flush;
mod idle;
mod latency;
mod load;
mod messages;
mod ping;
mod plan;
mod process;
mod progress;
mod publisher;
mod report;
mod schedule;
mod target;
mod topology;
pub mod uri;
mod window;

use std::io::{self, Write};

pub use args::Args;
use args::Mode;
use disk::Disk;
pub use error::{Error, Result};
use process::{Process, sharpen_timers};
use target::Target;

/// Runs what the options ask for, and prints the report on standard output.
pub fn run(args: &Args) -> Result<()> {
    sharpen_timers();
    let process = args.common.pid.map(Process::Id);
    let disk = process.and_then(Disk::of);
    let target = Target { uri: args.common.uri.clone(), process, disk, quiet: args.common.json };
    if let Some(process) = target.process {
        process.cpu()?; // rather now than after the run
        process.forget_peak();
    }
    let report = match &args.mode {
        None => messages::run(&target, &args.common, &args.messages),
        Some(Mode::Ping(ping)) => ping::run(&target, &args.common, ping),
        Some(Mode::Churn(churn)) => churn::run(&target, &args.common, churn),
        Some(Mode::Idle(idle)) => idle::run(&target, &args.common, idle),
    }?;
    let text = match args.common.json {
        true => format!("{}\n", report.to_json()),
        false => report.to_text(),
    };
    Ok(io::stdout().write_all(text.as_bytes())?)
}
