//! The options of the command.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Subcommand, ValueEnum};
use leveret_protocol::FieldValue;

use super::uri::Uri;

/// Measures any AMQP 0-9-1 broker: throughput and latency of messages, and what else costs time.
///
/// Without a subcommand it publishes and consumes.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Options of all runs.
    #[command(flatten)]
    pub common: CommonArgs,
    /// Options of a run with messages.
    #[command(flatten)]
    pub messages: MessageArgs,
    /// Another kind of run.
    #[command(subcommand)]
    pub mode: Option<Mode>,
}

/// Options of all kinds of runs.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Run")]
pub struct CommonArgs {
    /// The broker
    #[arg(long, global = true, default_value = "amqp://guest:guest@127.0.0.1:5672/%2f")]
    pub uri: Uri,
    /// Process id of the broker, if it runs here: adds its CPU time and memory to the report, and what was written for each message to
    /// the disk where it has its files (disk_written: by the whole machine)
    #[arg(long, global = true)]
    pub pid: Option<u32>,
    /// Print one JSON object instead of text, and nothing each second
    #[arg(long, global = true)]
    pub json: bool,
    /// How long to measure
    #[arg(long, short = 'z', global = true, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub duration: Duration,
    /// How long to run before that
    #[arg(long, global = true, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub warmup: Duration,
}

/// Options of a run with messages.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Messages")]
pub struct MessageArgs {
    /// Publishers, each with a connection and a thread
    #[arg(long, short = 'x', value_name = "N", default_value = "1")]
    pub publishers: usize,
    /// Consuming connections, each with a thread [default: 1, with --fanout up to 4]
    #[arg(long, short = 'y', value_name = "N")]
    pub consumers: Option<usize>,
    /// Queues. Publisher i uses queue i mod N; with fewer publishers than queues each uses several in
    /// turn. Likewise for consumers
    #[arg(long, value_name = "N", default_value = "1")]
    pub queues: usize,
    /// Names of the queues, with their number for %d. They are deleted after the run
    #[arg(long, value_name = "NAME", default_value = "perf-%d")]
    pub queue_pattern: String,
    /// Leave queues and exchanges behind
    #[arg(long)]
    pub keep: bool,
    /// An existing exchange that queues are bound to and messages published to, instead of the default one
    #[arg(long, value_name = "NAME", default_value = "")]
    pub exchange: String,
    /// Routing key of all messages and bindings instead of the queues' names
    #[arg(long, value_name = "KEY")]
    pub routing_key: Option<String>,
    /// Bytes of body; from 8 on they carry a timestamp
    #[arg(long, short = 's', value_name = "BYTES", default_value = "16")]
    pub size: usize,
    /// Publish with delivery mode 2
    #[arg(long)]
    pub persistent: bool,
    /// Declare durable queues
    #[arg(long)]
    pub durable: bool,
    /// Publish with this expiration, in milliseconds
    #[arg(long, value_name = "MS")]
    pub expiration: Option<u32>,
    /// Publish with priorities from 0 to N, mixed
    #[arg(long, value_name = "N")]
    pub priorities: Option<u8>,
    /// An argument of the queues: an integer or `true` or `false` if it reads as one, else a string
    #[arg(long, value_name = "KEY=VALUE", value_parser = queue_argument, value_delimiter = ',', action = ArgAction::Append)]
    pub queue_args: Vec<(String, FieldValue)>,
    /// Use publisher confirms, with at most N messages of each publisher unconfirmed; 0 for none
    #[arg(long, short = 'c', value_name = "N", default_value = "0")]
    pub confirm: usize,
    /// Acknowledge each N messages; 0 to consume without acks
    #[arg(long, short = 'a', value_name = "N", default_value = "0")]
    pub ack: u64,
    /// Messages a consumer may have unacknowledged; 0 for no limit
    #[arg(long, short = 'q', value_name = "N", default_value = "0")]
    pub prefetch: u16,
    /// Messages a second in all, at even intervals; latency counts from when a message was due
    #[arg(long, short = 'r', value_name = "N", value_parser = rate)]
    pub rate: Option<f64>,
    /// Messages of each publisher; the run ends when all have arrived
    #[arg(long, short = 'C', value_name = "N")]
    pub count: Option<u64>,
    /// One write for each publish, or for as many as there are up to 64 KiB
    #[arg(long, value_enum, default_value = "batch")]
    pub flush: Flush,
    /// Publish to a fanout exchange with N queues
    #[arg(long, value_name = "N", group = "scenario", conflicts_with_all = ["exchange", "queues"])]
    pub fanout: Option<usize>,
    /// Publish to a topic exchange with N bindings, with keys of which each matches one
    #[arg(long, value_name = "N", group = "scenario", conflicts_with = "exchange")]
    pub topic_bindings: Option<usize>,
    /// Fill a queue with N messages, with confirms, before anything is consumed
    #[arg(long, value_name = "N", group = "scenario", conflicts_with = "rate")]
    pub fill: Option<u64>,
    /// Consume all there is: behind --fill, or what an earlier run with --keep left
    #[arg(long, conflicts_with_all = ["fanout", "topic_bindings", "slow_consumer", "mass"])]
    pub drain: bool,
    /// Latency of one queue alone, and beside a flooded queue whose consumer reads nothing
    #[arg(long, group = "scenario")]
    pub slow_consumer: bool,
    /// Latency of one queue alone, and beside another that has N messages (--mass-count) which meet their fate at once
    #[arg(long, value_enum, value_name = "FATE", group = "scenario")]
    pub mass: Option<Fate>,
    /// Messages of --mass
    #[arg(long, value_name = "N", default_value = "1000000", value_parser = clap::value_parser!(u64).range(1..))]
    pub mass_count: u64,
    /// Messages a second that flood the queue of --slow-consumer
    #[arg(long, value_name = "N", default_value = "20000", value_parser = rate)]
    pub flood_rate: f64,
}

/// What happens to many messages at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fate {
    /// Their time to live is over
    Expire,
    /// The same, and they go to another queue as dead letters
    DeadLetter,
    /// They are dropped at the head, since a large one wants their room
    Drop,
    /// The queue is purged
    Purge,
    /// The queue is deleted
    Delete,
}

/// Kinds of runs without a stream of messages.
#[derive(Debug, Clone, Subcommand)]
pub enum Mode {
    /// Latency of one message at a time, beside that of a bare echo over TCP
    Ping(PingArgs),
    /// How often things can be made and removed
    Churn(ChurnArgs),
    /// Memory of connections and queues that do nothing
    Idle(IdleArgs),
}

/// Options of `ping`.
#[derive(Debug, Clone, clap::Args)]
pub struct PingArgs {
    /// Bytes of body
    #[arg(long, short = 's', value_name = "BYTES", default_value = "16")]
    pub size: usize,
    /// 1 to measure confirms too; 0 not to
    #[arg(long, short = 'c', value_name = "N", default_value = "0", value_parser = clap::value_parser!(u8).range(0..=1))]
    pub confirm: u8,
    /// Publish with delivery mode 2
    #[arg(long)]
    pub persistent: bool,
    /// Declare durable queues
    #[arg(long)]
    pub durable: bool,
    /// Measure too how long it takes to write as many bytes and flush them, in a file in this directory that is removed again; the
    /// broker's data directory or one on the same disk says what a durable confirm has to take
    #[arg(long, value_name = "DIR")]
    pub flush_in: Option<PathBuf>,
}

/// Options of `churn`.
#[derive(Debug, Clone, clap::Args)]
pub struct ChurnArgs {
    /// What is made and removed
    #[arg(value_enum)]
    pub what: Churned,
    /// Clients that do it at the same time
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..))]
    pub clients: u16,
}

/// What `churn` makes and removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Churned {
    /// Connect, log in, open a channel, close
    Connections,
    /// Open and close a channel
    Channels,
    /// Declare and delete a transient queue
    Queues,
    /// Declare and delete a durable queue
    DurableQueues,
    /// Bind a queue, each time with another key
    Binds,
}

/// Options of `idle`.
#[derive(Debug, Clone, clap::Args)]
pub struct IdleArgs {
    /// Connections, with a channel each
    #[arg(long, value_name = "N", default_value = "0")]
    pub connections: usize,
    /// Empty queues
    #[arg(long, value_name = "N", default_value = "0")]
    pub queues: usize,
}

/// How publishes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Flush {
    /// Each on its own
    Each,
    /// As many as there are
    Batch,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    (duration <= DAY).then_some(duration).ok_or_else(|| "that is more than a day".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    let allowed = 0.001..=1e9;
    allowed.contains(&rate).then_some(rate).ok_or_else(|| "it is no rate".to_owned())
}

fn queue_argument(text: &str) -> Result<(String, FieldValue), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| "it is not KEY=VALUE".to_owned())?;
    let number = value.parse::<i64>().map(FieldValue::from);
    let truth = value.parse::<bool>().map(FieldValue::from);
    Ok((key.to_owned(), number.or(truth).unwrap_or_else(|_| value.into())))
}

const DAY: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Command::try_parse_from(["perf"].into_iter().chain(line.split_whitespace())).map(|c| c.args)
    }

    #[test]
    fn queue_arguments_are_integers_truths_or_strings() {
        let args = parse("--queue-args x-queue-type=quorum,x-max-length=10,x-single-active-consumer=true").unwrap();
        let expected = [
            ("x-queue-type".to_owned(), FieldValue::from("quorum")),
            ("x-max-length".to_owned(), FieldValue::I64(10)),
            ("x-single-active-consumer".to_owned(), FieldValue::from(true)),
        ];
        assert_eq!(args.messages.queue_args, expected);
    }

    #[test]
    fn options_of_all_runs_may_follow_the_subcommand() {
        let args = parse("churn durable-queues --clients 4 --duration 0.5 --uri amqp://h").unwrap();
        assert_eq!(args.common.duration, Duration::from_millis(500));
        assert_eq!(args.common.uri.host, "h");
        let Some(Mode::Churn(churn)) = args.mode else {
            panic!("churn");
        };
        assert_eq!((churn.what, churn.clients), (Churned::DurableQueues, 4));
    }

    #[test]
    fn scenarios_exclude_each_other_but_fill_and_drain() {
        assert!(parse("--fill 10 --drain").is_ok());
        for line in ["--fanout 5 --fill 10", "--drain --slow-consumer", "--fanout 2 --exchange e"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn senseless_numbers_are_refused() {
        for line in ["--rate 0", "--rate x", "--duration -1", "churn binds --clients 0", "ping -c 2"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
