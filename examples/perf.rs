//! Runs the load generator alone.

use clap::Parser;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: leveret::cli::perf::Args,
}

#[expect(clippy::print_stderr, reason = "the errors of a command")]
fn main() {
    if let Err(error) = leveret::cli::perf::run(&Command::parse().args) {
        eprintln!("perf: {error}");
        std::process::exit(1);
    }
}
