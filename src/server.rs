//! The listener: accepts connections, limits them, ends them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time;
use tracing::{info, warn};

use crate::config::Config;
use crate::connection::{self, Shared};
use crate::persistence::{self, CloseError, Persistence, PersistenceError};
use crate::store;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// Sockets of clients that have not yet opened a connection, beyond the connections that may be open.
const HANDSHAKES_MAX: usize = 4096;

/// After accept failed, for example because file descriptors have run out.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Of the files that the system lets us have open so many are no sockets: the store's, the standard streams, the runtime's own.
const FILES_MAX: u64 = 64;

/// At shutdown connections are waited for this long after they were told (C-29).
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(4);

/// Why connections are closed at shutdown (C-29).
const SHUTDOWN_TEXT: &str = "broker forced connection closure with reason 'shutdown'";

/// A broker that listens.
pub struct Server {
    listener: TcpListener,
    shared: Arc<Shared>,
    persistence: Option<Persistence>,
}

/// Why a server cannot run.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The address is not one of this machine, or the port is in use.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address as configured.
        address: String,
        /// What the system says.
        error: io::Error,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    Persistence(#[from] PersistenceError),
    /// The store failed while the broker ran, which has ended so that nothing is confirmed that is not kept; or it cannot be closed.
    #[error(transparent)]
    Store(#[from] CloseError),
}

/// How often it is looked whether queues should keep less in memory.
const MEMORY_CHECK: Duration = Duration::from_millis(200);

impl Server {
    /// Listens on the configured address and makes the broker, from its data directory if it has one. Must be called within a tokio
    /// runtime; it blocks while the directory is read.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub fn bind(config: Config) -> Result<Self, ServeError> {
        let listener = listen(&config).map_err(|error| ServeError::Listen { address: wanted(&config), error })?;
        let host = host_name();
        let Some(dir) = &config.data_dir else {
            return Ok(Self { listener, shared: Shared::new(config, &host), persistence: None });
        };
        let options = store::Options { durability: config.durability, disk_free_limit: config.disk_free_limit_bytes };
        let (broker, persistence) = persistence::open(dir, options, config.broker_settings())?;
        Ok(Self { listener, shared: Shared::with_broker(config, &host, broker), persistence: Some(persistence) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What its connections share, the broker above all.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Serves until `shutdown` is done; then closes every connection with 320, gives them a few seconds, and closes the store.
    ///
    /// # Errors
    /// The store has failed, or cannot be closed in order.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        let (alive, mut all_gone) = mpsc::channel::<()>(1);
        let keep_time = tokio::spawn(connection::keep_time(self.shared.clone()));
        tokio::select! {
            () = self.accept(&alive) => {}
            () = shutdown => {}
            () = self.save_memory() => {}
            error = failed(self.persistence.as_ref()) => return Err(CloseError::Failed(error).into()),
        }
        drop((self.listener, alive));
        info!(connections = self.shared.broker.connection_count(), "shutting down");
        self.shared.broker.close_connections(SHUTDOWN_TEXT);
        let _ = time::timeout(SHUTDOWN_PATIENCE, all_gone.recv()).await;
        keep_time.abort();
        if let Some(persistence) = self.persistence {
            let closed = tokio::task::spawn_blocking(move || persistence.close()).await;
            closed.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        }
        Ok(())
    }

    /// Lets queues that nobody uses keep less in memory when the broker is short of it.
    async fn save_memory(&self) {
        let Some(durability) = self.shared.broker.durability() else { return std::future::pending().await };
        loop {
            time::sleep(MEMORY_CHECK).await;
            if self.shared.broker.memory().is_tight() {
                durability.queues().iter().for_each(|queue| queue.save_memory());
            }
        }
    }

    async fn accept(&self, alive: &mpsc::Sender<()>) {
        let sockets_max = self.shared.config.connections_max.saturating_add(HANDSHAKES_MAX).min(sockets_allowed());
        loop {
            match self.listener.accept().await {
                Ok((socket, peer)) if alive.strong_count() <= sockets_max => self.spawn(socket, peer, alive.clone()),
                Ok((_, peer)) => warn!(%peer, sockets_max, "too many sockets: connection dropped"),
                Err(error) => {
                    warn!(%error, "cannot accept");
                    time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    fn spawn(&self, socket: TcpStream, peer: SocketAddr, alive: mpsc::Sender<()>) {
        let shared = self.shared.clone();
        tokio::spawn(async move {
            if let Err(error) = socket.set_nodelay(true) {
                warn!(%peer, %error, "cannot set TCP_NODELAY");
            }
            connection::serve(crate::socket::Socket::new(socket), Some(peer), shared).await;
            drop(alive);
        });
    }
}

async fn failed(persistence: Option<&Persistence>) -> String {
    match persistence {
        Some(persistence) => persistence.failed().await,
        None => std::future::pending().await,
    }
}

/// How many sockets leave enough open files to the store, which could not write without them. We take as many as the system gives.
fn sockets_allowed() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let more = Rlimit { current: limit.maximum, ..limit };
    let limit = if setrlimit(Resource::Nofile, more).is_ok() { more } else { limit };
    let sockets = limit.current.map(|files| files.saturating_sub(FILES_MAX).max(1));
    sockets.and_then(|sockets| usize::try_from(sockets).ok()).unwrap_or(usize::MAX)
}

/// The configured address, for messages.
fn wanted(config: &Config) -> String {
    match config.bind.contains(':') {
        true => format!("[{}]:{}", config.bind, config.port),
        false => format!("{}:{}", config.bind, config.port),
    }
}

/// Listens; on `::` for IPv4 too, and for IPv4 alone where there is no IPv6.
fn listen(config: &Config) -> io::Result<TcpListener> {
    let address: IpAddr = match config.bind.as_str() {
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        bind => bind.parse().map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("'{bind}' is no IP address; use for example 127.0.0.1 or ::"),
            )
        })?,
    };
    match listen_on(SocketAddr::new(address, config.port)) {
        Err(error) if address == Ipv6Addr::UNSPECIFIED && error.kind() != io::ErrorKind::AddrInUse => {
            listen_on((Ipv4Addr::UNSPECIFIED, config.port).into())
        }
        result => result,
    }
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The machine's name, for `cluster_name` (C-05).
fn host_name() -> String {
    let from_system =
        std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::fs::read_to_string("/etc/hostname"));
    match from_system {
        Ok(name) if !name.trim().is_empty() => name.trim().to_owned(),
        _ => "localhost".to_owned(),
    }
}
