//! The command line: what was typed, and what it means.

mod serve;

use clap::Parser;

pub use serve::ServeArgs;

/// Leveret, an AMQP 0-9-1 broker that RabbitMQ's clients use unchanged. Without a command it runs the broker.
#[derive(Debug, Parser)]
#[command(name = "leveret", version, about, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(flatten)]
    serve: ServeArgs,
}

impl Cli {
    /// Does what was typed.
    ///
    /// # Errors
    /// One line for a person to read.
    pub fn run(self) -> Result<(), String> {
        self.serve.run()
    }
}
