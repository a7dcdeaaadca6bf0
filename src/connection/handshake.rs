//! From the protocol header to connection.open: who the client is and what was negotiated (C-01 to C-18).
//!
//! Runs before there is a connection, so a running one never sees a half-open state. The caller limits its time.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use leveret_protocol::frame::{self, PROTOCOL_HEADER, kind};
use leveret_protocol::method::connection;
use leveret_protocol::{Frame, Method, Value};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::error::{ConnectionError, method_named};
use super::greeting;
use super::shared::Shared;
use crate::auth::AuthError;
use crate::broker::VHost;

/// A client that is let in.
pub(super) struct Negotiated {
    pub(super) user: Arc<str>,
    pub(super) vhost: Arc<VHost>,
    pub(super) channel_max: u16,
    pub(super) frame_max: u32,
    pub(super) heartbeat_secs: u16,
    pub(super) abilities: Abilities,
    /// What the client calls itself (C-07).
    pub(super) name: Option<String>,
    /// Bytes that came behind connection.open.
    pub(super) rest: Vec<u8>,
}

/// What a client says it understands (C-07).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Abilities {
    pub(super) authentication_failure_close: bool,
    pub(super) consumer_cancel_notify: bool,
    pub(super) connection_blocked: bool,
}

/// Why a client is not let in.
pub(super) enum Refusal {
    /// It went away, or its socket failed.
    Gone,
    /// Not our protocol: the header it should send is written, then TCP closes (C-02).
    OtherProtocol,
    /// No answer: TCP closes after a deliberate delay (C-08, C-12, C-13, C-16).
    Silent(&'static str),
    /// connection.close with this error about this method; its answer is waited for so long, in seconds (C-13, C-21).
    Close(ConnectionError, (u16, u16), u16),
}

impl From<io::Error> for Refusal {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// A client whose login was refused is given this long to answer the close (C-13).
const LOGIN_REFUSED_PATIENCE_SECS: u16 = 3;

/// Largest frame before tune-ok, in bytes (C-23).
const FRAME_MAX_UNTUNED: u32 = 8192;

/// Bytes read at once; a client's answers are short.
const READ_CHUNK: usize = 4096;

/// Talks to a client until it is let in.
pub(super) async fn shake_hands<S>(io: &mut S, shared: &Shared, peer: Option<IpAddr>) -> Result<Negotiated, Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut talk = Talk { io, input: Vec::new(), taken: 0, frame_max: FRAME_MAX_UNTUNED };
    talk.protocol_header().await?;
    talk.say(|out| greeting::start(out, shared)).await?;

    let (user, abilities, name) = login(talk.frame().await?, shared, peer)?;
    let config = &shared.config;
    let tune = connection::Tune {
        channel_max: config.channel_max,
        frame_max: config.frame_max_bytes,
        heartbeat: config.heartbeat_secs,
    };
    talk.say(|out| frame::write_method(out, 0, &Method::ConnectionTune(tune))).await?;

    let tuned = tuned(talk.frame().await?, shared)?;
    talk.frame_max = tuned.frame_max;
    let vhost = opened(talk.frame().await?, tuned.heartbeat, shared)?;
    talk.say(|out| frame::write_method(out, 0, &Method::ConnectionOpenOk(connection::OpenOk {}))).await?;
    Ok(Negotiated {
        user,
        vhost,
        channel_max: tuned.channel_max,
        frame_max: tuned.frame_max,
        heartbeat_secs: tuned.heartbeat,
        abilities,
        name,
        rest: talk.input.split_off(talk.taken),
    })
}

/// connection.start-ok: mechanism, credentials, and what the client can do.
fn login(
    frame: Frame<'_>,
    shared: &Shared,
    peer: Option<IpAddr>,
) -> Result<(Arc<str>, Abilities, Option<String>), Refusal> {
    let Ok(Method::ConnectionStartOk(m)) = Method::decode(method_on_0(&frame)?) else {
        return Err(Refusal::Silent("expected connection.start-ok"));
    };
    let able = |ability: &str| match m.client_properties.get("capabilities") {
        Some(Value::Table(capabilities)) => matches!(capabilities.get(ability), Some(Value::Bool(true))),
        _ => false,
    };
    let abilities = Abilities {
        authentication_failure_close: able("authentication_failure_close"),
        consumer_cancel_notify: able("consumer_cancel_notify"),
        connection_blocked: able("connection.blocked"),
    };
    let name = match m.client_properties.get("connection_name") {
        Some(Value::LongString(name)) => Some(String::from_utf8_lossy(name).into_owned()),
        _ => None,
    };
    match shared.users.authenticate(m.mechanism, m.response, peer) {
        Ok(user) => Ok((user, abilities, name)),
        Err(AuthError::Refused) if abilities.authentication_failure_close => Err(Refusal::Close(
            ConnectionError::LoginRefused(m.mechanism.to_owned()),
            (0, 0),
            LOGIN_REFUSED_PATIENCE_SECS,
        )),
        Err(AuthError::Refused) => Err(Refusal::Silent("credentials refused")),
        Err(AuthError::Malformed) => Err(Refusal::Silent("mechanism not offered, or its response is malformed")),
    }
}

/// connection.tune-ok: what the client asks for must be within what was offered (C-16).
fn tuned(frame: Frame<'_>, shared: &Shared) -> Result<connection::TuneOk, Refusal> {
    let Ok(Method::ConnectionTuneOk(m)) = Method::decode(method_on_0(&frame)?) else {
        return Err(Refusal::Silent("expected connection.tune-ok"));
    };
    let config = &shared.config;
    if config.channel_max != 0 && (m.channel_max == 0 || m.channel_max > config.channel_max) {
        return Err(Refusal::Silent("negotiated channel_max is higher than the maximum allowed value"));
    }
    if m.frame_max == 0 || m.frame_max > config.frame_max_bytes {
        return Err(Refusal::Silent("negotiated frame_max is higher than the maximum allowed value"));
    }
    if m.frame_max < config.compat.frame_max_min() {
        return Err(Refusal::Silent("negotiated frame_max is lower than the minimum allowed value"));
    }
    Ok(m)
}

/// connection.open: the vhost (C-18), and room for one more (C-19).
fn opened(frame: Frame<'_>, heartbeat_secs: u16, shared: &Shared) -> Result<Arc<VHost>, Refusal> {
    let close = |error| Refusal::Close(error, method_named(&frame), heartbeat_secs);
    if frame.channel != 0 {
        return Err(Refusal::Close(ConnectionError::unexpected_frame(&frame), (0, 0), heartbeat_secs));
    }
    if frame.kind != kind::METHOD {
        return Err(Refusal::Close(ConnectionError::not_on_0(&frame), (0, 0), heartbeat_secs));
    }
    let name = match Method::decode(frame.payload) {
        Ok(Method::ConnectionOpen(m)) => m.virtual_host,
        Ok(_) => return Err(close(ConnectionError::UnexpectedMethod("opening"))),
        Err(error) => return Err(close(ConnectionError::assembly(error.into(), &frame))),
    };
    let vhost = shared.broker.vhost(name).ok_or_else(|| close(ConnectionError::NoVHost(name.to_owned())))?;
    let connections_max = shared.config.connections_max;
    if shared.broker.connection_count() >= connections_max {
        return Err(close(ConnectionError::TooManyConnections(connections_max)));
    }
    Ok(vhost)
}

/// The payload of a method frame on channel 0; before tune-ok anything else gets no answer (C-26).
fn method_on_0<'a>(frame: &Frame<'a>) -> Result<&'a [u8], Refusal> {
    if frame.kind == kind::METHOD && frame.channel == 0 {
        Ok(frame.payload)
    } else {
        Err(Refusal::Silent("frame out of turn"))
    }
}

/// The stream while hands are shaken.
struct Talk<'a, S> {
    io: &'a mut S,
    input: Vec<u8>,
    /// Bytes of `input` that are dealt with.
    taken: usize,
    frame_max: u32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<'_, S> {
    /// The header `AMQP 0 0 9 1`, or its older form `AMQP 1 1 0 9` (C-01).
    async fn protocol_header(&mut self) -> Result<(), Refusal> {
        while self.input.len() < PROTOCOL_HEADER.len() {
            self.read().await?;
        }
        self.taken = PROTOCOL_HEADER.len();
        match &self.input[..self.taken] {
            b"AMQP\x00\x00\x09\x01" | b"AMQP\x01\x01\x00\x09" => Ok(()),
            _ => Err(Refusal::OtherProtocol),
        }
    }

    /// The next frame; heartbeats are let pass (C-17).
    async fn frame(&mut self) -> Result<Frame<'_>, Refusal> {
        loop {
            match frame::decode(&self.input[self.taken..], self.frame_max) {
                Ok(Some((frame, len)))
                    if frame.kind == kind::HEARTBEAT && frame.channel == 0 && frame.payload.is_empty() =>
                {
                    self.taken += len;
                }
                Ok(Some((_, len))) => {
                    let from = self.taken;
                    self.taken += len;
                    let Ok(Some((frame, _))) = frame::decode(&self.input[from..self.taken], self.frame_max) else {
                        return Err(Refusal::Gone); // it was decoded just before
                    };
                    return Ok(frame);
                }
                Ok(None) => self.read().await?,
                Err(_) => return Err(Refusal::Silent("unreadable frame")),
            }
        }
    }

    async fn read(&mut self) -> Result<(), Refusal> {
        self.input.drain(..std::mem::take(&mut self.taken));
        self.input.reserve(READ_CHUNK);
        match self.io.read_buf(&mut self.input).await? {
            0 => Err(Refusal::Gone),
            _ => Ok(()),
        }
    }

    async fn say(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut out = Vec::with_capacity(512);
        write(&mut out);
        self.io.write_all(&out).await
    }
}
