//! Runs the load generator alone.

use clap::Parser;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: leveret::cli::perf::Args,
}

fn main() {
    if let Err(error) = leveret::cli::perf::run(&Command::parse().args) {
        eprintln!("perf: {error}");
        std::process::exit(1);
    }
}
