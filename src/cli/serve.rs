//! `leveret`: runs the broker.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use std::{fs, io};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tracing::level_filters::LevelFilter;

use super::log::Log;
use crate::broker::compat::Compat;
use crate::config::Config;
use crate::server::Server;

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
        if !self.ephemeral {
            self.prepare_data_dir()?;
            tracing::warn!(data_dir = %self.data_dir.display(), "nothing is kept on disk yet: a restart begins empty");
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .on_thread_park(crate::socket::before_park)
            .on_thread_unpark(crate::socket::after_park)
            .build()
            .map_err(|error| format!("cannot start the runtime: {error}"))?;
        // As a task: the first thread is none of the workers, and each connection would have to be handed over to them.
        let served = runtime.block_on(runtime.spawn(serve(self.config())));
        served.unwrap_or_else(|error| Err(format!("the server failed: {error}")))
    }

    fn prepare_data_dir(&self) -> Result<(), String> {
        let dir = &self.data_dir;
        let probe = dir.join(".writable");
        let result =
            fs::create_dir_all(dir).and_then(|()| fs::write(&probe, b"")).and_then(|()| fs::remove_file(&probe));
        result.map_err(|error| {
            format!(
                "cannot use data directory '{}': {error}; choose another by --data-dir, or --ephemeral",
                dir.display()
            )
        })
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
            handshake_timeout: Duration::from_secs(self.handshake_timeout),
            compat: self.compat,
            user: self.default_user,
            password: self.default_pass,
            loopback_users: self.loopback_users,
            seed: None,
        }
    }
}

async fn serve(config: Config) -> Result<(), String> {
    let wanted = match config.bind.contains(':') {
        true => format!("[{}]:{}", config.bind, config.port),
        false => format!("{}:{}", config.bind, config.port),
    };
    let server = Server::bind(config).map_err(|error| format!("cannot listen on {wanted}: {error}"))?;
    let address = server.local_addr().map_err(|error| format!("cannot listen on {wanted}: {error}"))?;
    let shutdown = shutdown_signal().map_err(|error| format!("cannot wait for signals: {error}"))?;
    if let Err(error) = announce(address) {
        tracing::warn!(%error, "cannot write to stdout");
    }
    server.run(shutdown).await;
    Ok(())
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
