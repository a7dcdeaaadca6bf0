//! The listener: accepts connections, limits them, ends them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time;
use tracing::{info, warn};

use crate::config::Config;
use crate::connection::{self, Shared};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// Sockets of clients that have not yet opened a connection, beyond the connections that may be open.
const HANDSHAKES_MAX: usize = 4096;

/// After accept failed, for example because file descriptors have run out.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// At shutdown connections are waited for this long after they were told (C-29).
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(4);

/// Why connections are closed at shutdown (C-29).
const SHUTDOWN_TEXT: &str = "broker forced connection closure with reason 'shutdown'";

/// A broker that listens.
pub struct Server {
    listener: TcpListener,
    shared: Arc<Shared>,
}

impl Server {
    /// Listens on the configured address. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The address is not one of this machine, or the port is in use.
    pub fn bind(config: Config) -> io::Result<Self> {
        let listener = listen(&config)?;
        Ok(Self { listener, shared: Shared::new(config, &host_name()) })
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

    /// Serves until `shutdown` is done; then closes every connection with 320 and gives them a few seconds.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let (alive, mut all_gone) = mpsc::channel::<()>(1);
        tokio::select! {
            () = self.accept(&alive) => {}
            () = shutdown => {}
        }
        drop((self.listener, alive));
        info!(connections = self.shared.broker.connection_count(), "shutting down");
        self.shared.broker.close_connections(SHUTDOWN_TEXT);
        let _ = time::timeout(SHUTDOWN_PATIENCE, all_gone.recv()).await;
    }

    async fn accept(&self, alive: &mpsc::Sender<()>) {
        let sockets_max = self.shared.config.connections_max.saturating_add(HANDSHAKES_MAX);
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
