//! The command line: what was typed, and what it means.

mod log;
pub mod perf;
mod serve;
mod store;

use clap::{Parser, Subcommand};

pub use serve::ServeArgs;

/// Leveret, an AMQP 0-9-1 broker that RabbitMQ's clients use unchanged. Without a command it runs the broker.
#[derive(Debug, Parser)]
#[command(name = "leveret", version, about, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure a broker: throughput, latency, churn, memory
    Perf(Box<perf::Args>),
    /// Look at a data directory that no broker uses, and mend it
    Store(store::StoreArgs),
}

impl Cli {
    /// Does what was typed.
    ///
    /// # Errors
    /// One line for a person to read.
    pub fn run(self) -> Result<(), String> {
        match self.command {
            None => self.serve.run(),
            Some(Command::Store(args)) => args.run(),
            Some(Command::Perf(args)) => perf::run(&args).map_err(|error| error.to_string()),
        }
    }
}
