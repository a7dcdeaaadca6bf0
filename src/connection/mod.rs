//! The only place with AMQP sockets: a client from accept to the end of TCP.
//!
//! One task for each connection reads, handles and writes, so that nothing else ever touches its channels; others reach it through its
//! outbox alone.

mod channels;
mod clock;
mod disk;
mod end;
mod error;
mod frames;
mod greeting;
mod handshake;
mod heartbeat;
mod scratch;
mod shared;
mod task;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time;
use tracing::{debug, info, warn};

pub use clock::{Clock, keep_time};
pub use error::ConnectionError;
pub use shared::Shared;

use self::end::{End, close_frame};
use self::handshake::{Refusal, shake_hands};
use self::task::Connection;

/// A refused client that gets no frame is let wait this long, as RabbitMQ does (C-08, C-13).
const SILENT_CLOSE_DELAY: Duration = Duration::from_secs(3);

/// Characters of a client's own name that the log shows.
const NAME_SHOWN_MAX: usize = 128;

/// Serves one client to its end. `peer` is its address, if the stream has one.
pub async fn serve<S>(mut io: S, peer: Option<SocketAddr>, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let from = peer.map_or_else(|| "local".to_owned(), |peer| peer.to_string());
    let timeout = shared.config.handshake_timeout;
    let handshake = shake_hands(&mut io, &shared, peer.map(|peer| peer.ip()));
    let negotiated = match time::timeout(timeout, Box::pin(handshake)).await {
        Ok(Ok(negotiated)) => negotiated,
        Ok(Err(refusal)) => return Box::pin(refuse(io, refusal, &from)).await,
        Err(_) => return debug!(%from, "no connection.open within the handshake timeout"),
    };
    let name: String = negotiated.name.iter().flat_map(|name| name.chars().take(NAME_SHOWN_MAX)).collect();
    info!(%from, ?name, user = %negotiated.user, vhost = %negotiated.vhost.name, "connection open");
    let heartbeat_secs = negotiated.heartbeat_secs;
    let mut connection = Connection::new(io, shared, negotiated);
    let end = connection.run().await;
    let (io, output, input) = connection.shut_down(&end);
    match &end {
        End::Closed => info!(%from, ?name, "closing connection"),
        End::Lost => warn!(%from, ?name, "client unexpectedly closed TCP connection"),
        End::Silent => warn!(%from, ?name, "missed heartbeats from client"),
        End::Refused(refused) => warn!(%from, ?name, error = %refused.text, "closing connection"),
    }
    Box::pin(end::linger(io, output, input, &end, heartbeat_secs)).await;
}

async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(mut io: S, refusal: Refusal, from: &str) {
    match refusal {
        Refusal::Gone => debug!(%from, "client left during the handshake"),
        Refusal::OtherProtocol => {
            info!(%from, "not AMQP 0-9-1");
            let _ = io.write_all(&leveret_protocol::frame::PROTOCOL_HEADER).await;
            let _ = io.shutdown().await;
        }
        Refusal::Silent(why) => {
            warn!(%from, why, "refused");
            let _ = time::timeout(SILENT_CLOSE_DELAY, end::read_away(&mut io)).await;
        }
        Refusal::Close(error, method, patience_secs) => {
            warn!(%from, %error, "refused");
            let (end, output) = close_frame(&error.into(), method);
            end::linger(io, output, Vec::new(), &end, patience_secs).await;
        }
    }
}
