//! Plays the same scripts on two brokers, or on one and against a recording, and shows where the answers differ.

mod answer;
mod channel;
mod connection;
mod difference;
mod expected;
mod generate;
mod line;
mod link;
mod message;
mod names;
mod notation;
mod player;
mod pool;
#[cfg(test)]
mod properties;
mod recording;
mod run;
mod said;
mod script;
mod send;
mod shrink;
mod step;
mod uri;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use expected::Expectations;
use recording::Recording;
use script::Script;
use uri::Uri;

/// Plays the same AMQP scripts on two brokers and shows where their answers differ.
#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Plays on two brokers. A generated script that shows a difference is made small.
    Compare {
        /// The broker that is right: amqp://user:password@host:port/vhost
        wanted: Uri,
        /// The broker to judge.
        got: Uri,
        /// Do not make scripts small.
        #[arg(long)]
        no_shrink: bool,
        #[command(flatten)]
        selection: Selection,
    },
    /// Plays on one broker and keeps its answers.
    Record {
        /// The broker that is right.
        uri: Uri,
        /// The file.
        #[arg(long, default_value_os_t = default_recording())]
        to: PathBuf,
        /// What the file says of the broker.
        #[arg(long, default_value = "")]
        comment: String,
        #[command(flatten)]
        selection: Selection,
    },
    /// Plays on one broker and compares with kept answers.
    Replay {
        /// The broker to judge.
        uri: Uri,
        /// The file.
        #[arg(long, default_value_os_t = default_recording())]
        from: PathBuf,
        #[command(flatten)]
        selection: Selection,
    },
    /// Plays on one broker and prints each step with its answer.
    Play {
        /// The broker.
        uri: Uri,
        #[command(flatten)]
        selection: Selection,
    },
    /// Prints scripts.
    Show {
        #[command(flatten)]
        selection: Selection,
    },
}

#[derive(Debug, Args)]
struct Selection {
    /// Only scripts whose names have one of these forms, where * is any text; or files.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Scripts at a time.
    #[arg(long, default_value_t = 8)]
    jobs: usize,
    /// So many times more generated scripts than usual.
    #[arg(long, default_value_t = 1)]
    times: u64,
    /// Expect no difference, for RabbitMQ against itself.
    #[arg(long)]
    same: bool,
}

impl Selection {
    fn expectations(&self) -> Result<Expectations, String> {
        match self.same {
            true => Ok(Expectations::default()),
            false => Expectations::load(&home().join("expected.txt")),
        }
    }

    fn scripts(&self) -> Result<Vec<Script>, String> {
        let mut scripts = Vec::new();
        for path in self.only.iter().map(Path::new).filter(|path| path.is_file()) {
            let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            scripts.push(Script::parse(&path.file_stem().unwrap_or_default().to_string_lossy(), &text)?);
        }
        let wanted = |name: &str| self.only.is_empty() || self.only.iter().any(|form| expected::matches(form, name));
        let known = Script::load_all(&home().join("scripts"))?.into_iter().chain(generate::generated(self.times));
        scripts.extend(known.filter(|script| wanted(&script.name)));
        match scripts.is_empty() {
            true => Err("there is no such script".to_owned()),
            false => Ok(scripts),
        }
    }
}

fn main() -> ExitCode {
    match run(Options::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("differential: {error}");
            println!("0 passed, 1 failed");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<bool, String> {
    match command {
        Command::Compare { wanted, got, no_shrink, selection } => {
            reachable(&wanted)?;
            reachable(&got)?;
            let expected = selection.expectations()?;
            Ok(run::compare([&wanted, &got], &selection.scripts()?, &expected, selection.jobs, !no_shrink).report())
        }
        Command::Record { uri, to, comment, selection } => {
            reachable(&uri)?;
            let scripts = selection.scripts()?;
            let unstable = run::record(&uri, &scripts, comment, &to, selection.jobs)?;
            println!("\n{} scripts recorded, {unstable} not the same each time", scripts.len() - unstable);
            Ok(unstable == 0)
        }
        Command::Replay { uri, from, selection } => {
            reachable(&uri)?;
            let recording = Recording::load(&from)?;
            let expected = selection.expectations()?;
            Ok(run::replay(&uri, &selection.scripts()?, &recording, &expected, selection.jobs).report())
        }
        Command::Play { uri, selection } => {
            selection.scripts()?.iter().for_each(|script| run::show_answers(&uri, script));
            Ok(true)
        }
        Command::Show { selection } => {
            selection.scripts()?.iter().for_each(|script| println!("# {}\n{script}", script.name));
            Ok(true)
        }
    }
}

fn reachable(uri: &Uri) -> Result<(), String> {
    let link = link::Link::open(uri).map_err(|error| format!("{}: {error}", uri.address))?;
    link.close();
    Ok(())
}

/// The folder of scripts, recordings and expected differences.
fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn default_recording() -> PathBuf {
    home().join("recorded").join("rabbitmq-4.3.txt")
}
