//! `leveret`: runs the broker.

use std::io;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tracing::level_filters::LevelFilter;

use super::log::Log;
use crate::broker::arguments::QueueType;
use crate::broker::compat::Compat;
use crate::config::{Config, DISK_FREE_LIMIT_BYTES};
use crate::server::Server;
use crate::store::Durability;

/// Options of the broker. Each can be given by its environment variable as well.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// IP address to listen on; `::` is every address of this machine
    #[arg(long, env = "LEVERET_BIND", default_value = "::", value_name = "ADDRESS")]
    bind: String,

    /// Port for AMQP; 0 picks a free one, which is printed
    #[arg(long, env = "LEVERET_PORT", default_value_t = 5672)]
    port: u16,

    /// Keep nothing on disk, and touch no data directory
    #[arg(long, env = "LEVERET_EPHEMERAL")]
    ephemeral: bool,

    /// Directory for what survives a restart; made if it is missing
    #[arg(long, env = "LEVERET_DATA_DIR", default_value = "leveret-data", value_name = "DIRECTORY")]
    data_dir: PathBuf,

    /// When something counts as kept: group (flushed to disk, in groups), os (handed to the system: survives kill -9 but not a
    /// power cut), or `interval:<ms>` (the same, flushed at that interval)
    #[arg(long, env = "LEVERET_DURABILITY", default_value = "group", value_name = "WHEN")]
    durability: Durability,

    /// Bytes of free disk space below which publishers are blocked
    #[arg(long, env = "LEVERET_DISK_FREE_LIMIT", default_value_t = DISK_FREE_LIMIT_BYTES, value_name = "BYTES")]
    disk_free_limit: u64,

    /// What to log on stderr: off, error, warn, info, debug or trace
    #[arg(long, env = "LEVERET_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    log_level: LevelFilter,

    /// Refuse connections beyond this many
    #[arg(long, env = "LEVERET_CONNECTIONS_MAX", default_value_t = 65_536, value_name = "COUNT")]
    connections_max: usize,

    /// Channels of one connection, as proposed to clients; 0 for no limit
    #[arg(long, env = "LEVERET_CHANNEL_MAX", default_value_t = 2047, value_name = "COUNT")]
    channel_max: u16,

    /// Bytes of one frame, as proposed to clients
    #[arg(long, env = "LEVERET_FRAME_MAX", default_value_t = 131_072, value_name = "BYTES",
          value_parser = clap::value_parser!(u32).range(8192..=16_777_216))]
    frame_max: u32,

    /// Seconds between heartbeats, as proposed to clients; 0 for none
    #[arg(long, env = "LEVERET_HEARTBEAT", default_value_t = 60, value_name = "SECONDS")]
    heartbeat: u16,

    /// Largest body of a message in bytes [default: that of the RabbitMQ line, 16 MiB]
    #[arg(long, env = "LEVERET_MAX_MESSAGE_SIZE", value_name = "BYTES",
          value_parser = clap::value_parser!(u64).range(1..=536_870_912))]
    max_message_size: Option<u64>,

    /// Bytes of messages in memory; above it publishers are blocked until consumers have caught up
    #[arg(long, env = "LEVERET_MEMORY_MAX", default_value_t = 1 << 30, value_name = "BYTES",
          value_parser = clap::value_parser!(u64).range(1..))]
    memory_max: u64,

    /// Seconds that a client has from connecting to an open connection
    #[arg(long, env = "LEVERET_HANDSHAKE_TIMEOUT", default_value_t = 10, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    handshake_timeout: u64,

    /// RabbitMQ line to be as strict as: lenient, 4.3, 4.2 or 3.13
    #[arg(long, env = "LEVERET_COMPAT", default_value = "lenient", value_name = "LINE")]
    compat: Compat,

    /// Type of queues that are declared without one: classic or quorum
    #[arg(long, env = "LEVERET_DEFAULT_QUEUE_TYPE", default_value = "classic", value_name = "TYPE",
          value_parser = queue_type)]
    default_queue_type: QueueType,

    /// Name of the user
    #[arg(long, env = "LEVERET_DEFAULT_USER", default_value = "guest", value_name = "NAME")]
    default_user: String,

    /// Password of the user
    #[arg(
        long,
        env = "LEVERET_DEFAULT_PASS",
        default_value = "guest",
        value_name = "PASSWORD",
        hide_env_values = true
    )]
    default_pass: String,

    /// Users that may connect from this machine only, separated by commas; empty for none
    #[arg(long, env = "LEVERET_LOOPBACK_USERS", default_value = "guest", value_delimiter = ',', value_name = "NAMES")]
    loopback_users: Vec<String>,
}

impl ServeArgs {
    /// Runs the broker until SIGTERM or ctrl-C.
    ///
    /// # Errors
    /// One line for a person to read: the port is in use, the data directory cannot be used.
    pub(super) fn run(self) -> Result<(), String> {
        let (log, _written_at_end) = Log::start(io::stderr());
        tracing_subscriber::fmt()
            .with_max_level(self.log_level)
            .with_writer(log)
            .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
            .init();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .on_thread_start(crate::socket::on_worker_start)
            .on_thread_park(crate::socket::before_park)
            .on_thread_unpark(crate::socket::after_park)
            .build()
            .map_err(|error| format!("cannot start the runtime: {error}"))?;
        // As a task: the first thread is none of the workers, and each connection would have to be handed over to them.
        let served = runtime.block_on(runtime.spawn(serve(self.config())));
        served.unwrap_or_else(|error| Err(format!("the server failed: {error}")))
    }

    fn config(self) -> Config {
        Config {
            bind: self.bind,
            port: self.port,
            connections_max: self.connections_max,
            channel_max: self.channel_max,
            frame_max_bytes: self.frame_max,
            heartbeat_secs: self.heartbeat,
            message_size_max_bytes: self.max_message_size.unwrap_or_else(|| self.compat.default_message_size_max()),
            memory_max_bytes: self.memory_max,
            data_dir: (!self.ephemeral).then_some(self.data_dir),
            durability: self.durability,
            disk_free_limit_bytes: self.disk_free_limit,
            handshake_timeout: Duration::from_secs(self.handshake_timeout),
            compat: self.compat,
            default_queue_type: self.default_queue_type,
            user: self.default_user,
            password: self.default_pass,
            loopback_users: self.loopback_users,
            seed: None,
        }
    }
}

async fn serve(config: Config) -> Result<(), String> {
    let server = Server::bind(config).map_err(|error| error.to_string())?;
    let address = server.local_addr().map_err(|error| format!("cannot say where it listens: {error}"))?;
    let shutdown = shutdown_signal().map_err(|error| format!("cannot wait for signals: {error}"))?;
    if let Err(error) = announce(address) {
        tracing::warn!(%error, "cannot write to stdout");
    }
    server.run(shutdown).await.map_err(|error| error.to_string())
}

fn queue_type(name: &str) -> Result<QueueType, String> {
    match QueueType::from_name(name.as_bytes()) {
        Some(QueueType::Stream) | None => Err("it is classic or quorum".to_owned()),
        Some(queue_type) => Ok(queue_type),
    }
}

fn announce(address: SocketAddr) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "Listening for AMQP on {address}\nServer startup complete")?;
    stdout.flush()
}

/// Done when the process is asked to end.
fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
