//! The `leveret` command.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use leveret::cli::Cli;

/// Most of the broker's allocations are one small message each.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "leveret: {error}");
            ExitCode::FAILURE
        }
    }
}
