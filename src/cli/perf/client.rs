//! A blocking connection: handshake, calls and their answers, and the bytes beneath.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::Duration;

use leveret_protocol::frame::{self, Frame, kind};
use leveret_protocol::method::{basic, channel, connection};
use leveret_protocol::{EncodedTable, FieldTable, FieldValue, Method};

use super::error::{Error, Result};
use super::uri::Uri;

/// One connection, used by one thread.
#[derive(Debug)]
pub(super) struct Client {
    stream: TcpStream,
    input: Input,
    output: Vec<u8>,
    frame_max: u32,
}

impl Client {
    /// Connects, logs in and enters the virtual host.
    pub(super) fn connect(uri: &Uri) -> Result<Self> {
        let mut client = Self {
            stream: tcp(uri)?,
            input: Input::with_capacity(FRAME_MAX as usize * 2),
            output: Vec::new(),
            frame_max: FRAME_MAX,
        };
        client.handshake(uri)?;
        Ok(client)
    }

    fn handshake(&mut self, uri: &Uri) -> Result<()> {
        self.stream.write_all(&frame::PROTOCOL_HEADER)?;
        self.wait(0, |method| matches!(method, Method::ConnectionStart(_)).then_some(()))?;
        let properties = EncodedTable::from(&client_properties());
        let response = format!("\0{}\0{}", uri.user, uri.password);
        self.send(
            0,
            connection::StartOk {
                client_properties: properties.as_table(),
                mechanism: "PLAIN",
                response: response.as_bytes(),
                locale: "en_US",
            },
        )?;
        let tune = self.wait(0, |method| match method {
            Method::ConnectionTune(tune) => Some(*tune),
            _ => None,
        })?;
        self.frame_max = match tune.frame_max {
            0 => FRAME_MAX,
            max => max.min(FRAME_MAX),
        };
        let (channel_max, frame_max) = (tune.channel_max, self.frame_max);
        let ok = connection::TuneOk { channel_max, frame_max, heartbeat: 0 };
        frame::write_method(&mut self.output, 0, &ok.into());
        let open = connection::Open { virtual_host: &uri.vhost };
        self.call(0, open, |method| matches!(method, Method::ConnectionOpenOk(_)).then_some(()))
    }

    /// Opens a channel.
    pub(super) fn open_channel(&mut self, channel: u16) -> Result<()> {
        self.call(channel, channel::Open {}, |method| matches!(method, Method::ChannelOpenOk(_)).then_some(()))
    }

    /// Limits what is delivered unsettled on `channel`.
    pub(super) fn qos(&mut self, channel: u16, prefetch_count: u16) -> Result<()> {
        let qos = basic::Qos { prefetch_size: 0, prefetch_count, global: false };
        self.call(channel, qos, |method| matches!(method, Method::BasicQosOk(_)).then_some(()))
    }

    /// Ends the connection as the protocol asks for.
    pub(super) fn close(mut self) -> Result<()> {
        let close = connection::Close { reply_code: 200, reply_text: "Goodbye", class_id: 0, method_id: 0 };
        self.call(0, close, |method| matches!(method, Method::ConnectionCloseOk(_)).then_some(()))
    }

    /// Sends a method and waits for the answer that `pick` recognises.
    pub(super) fn call<'a, T>(
        &mut self,
        channel: u16,
        method: impl Into<Method<'a>>,
        pick: impl FnMut(&Method<'_>) -> Option<T>,
    ) -> Result<T> {
        self.send(channel, method)?;
        self.wait(channel, pick)
    }

    /// Sends a method, behind what was queued.
    pub(super) fn send<'a>(&mut self, channel: u16, method: impl Into<Method<'a>>) -> Result<()> {
        self.queue(channel, method);
        self.flush()
    }

    /// Keeps a method back until something is sent.
    pub(super) fn queue<'a>(&mut self, channel: u16, method: impl Into<Method<'a>>) {
        frame::write_method(&mut self.output, channel, &method.into());
    }

    /// How many bytes [`Client::queue`] keeps back.
    pub(super) const fn queued(&self) -> usize {
        self.output.len()
    }

    /// Sends what was queued.
    pub(super) fn flush(&mut self) -> Result<()> {
        let sent = self.stream.write_all(&self.output);
        self.output.clear();
        sent.map_err(|error| self.last_words(error.into()))
    }

    /// Sends bytes that are frames already.
    pub(super) fn write(&mut self, frames: &[u8]) -> Result<()> {
        let sent = self.stream.write_all(frames);
        sent.map_err(|error| self.last_words(error.into()))
    }

    /// Waits for the method on `channel` that `pick` recognises. Other methods are passed over; an
    /// end that the server declares is an error.
    pub(super) fn wait<T>(&mut self, channel: u16, mut pick: impl FnMut(&Method<'_>) -> Option<T>) -> Result<T> {
        loop {
            while let Some((frame, len)) = self.input.frame()? {
                let picked = match end_or_method(&frame)? {
                    Some(method) if frame.channel == channel => pick(&method),
                    _ => None,
                };
                self.input.consume(len);
                if let Some(picked) = picked {
                    return Ok(picked);
                }
            }
            self.read()?;
        }
    }

    /// Reads whatever there is, at least a byte.
    fn read(&mut self) -> Result<()> {
        match self.input.read_from(&mut self.stream)? {
            0 => Err(Error::Dropped),
            _ => Ok(()),
        }
    }

    /// Waits for the body of the next delivery on this connection, and gives its length in bytes.
    pub(super) fn wait_delivery(&mut self) -> Result<usize> {
        let mut body_size = None;
        let mut received = 0;
        loop {
            while let Some((frame, len)) = self.input.frame()? {
                match frame.kind {
                    kind::HEADER => body_size = Some(content_body_size(frame.payload)?),
                    kind::BODY => received += frame.payload.len(),
                    _ => drop(end_or_method(&frame)?),
                }
                self.input.consume(len);
                if body_size == Some(received as u64) {
                    return Ok(received);
                }
            }
            self.read()?;
        }
    }

    /// Gives memory back, for a connection that will hear little.
    pub(super) fn shrink(&mut self) {
        self.input = Input::with_capacity(IDLE_LEN);
        self.output = Vec::new();
    }

    /// The longest frame in bytes.
    pub(super) const fn frame_max(&self) -> u32 {
        self.frame_max
    }

    /// The socket and what was read from it but not looked at.
    pub(super) fn into_parts(self) -> (TcpStream, Input) {
        (self.stream, self.input)
    }

    /// Why writing failed: what the server said before it went, or else `error`.
    fn last_words(&mut self, error: Error) -> Error {
        let _ = self.stream.set_read_timeout(Some(Duration::from_secs(1)));
        match self.wait(0, |_| None::<()>) {
            Err(said @ (Error::Closed { .. } | Error::ChannelClosed { .. })) => said,
            _ => error,
        }
    }
}

/// Bytes received, cut into frames.
///
/// Invariant: `start <= end <= bytes.len()`; what lies between was not looked at.
#[derive(Debug)]
pub(super) struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    /// A buffer of `capacity` bytes, which must hold the longest frame.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { bytes: vec![0; capacity], start: 0, end: 0 }
    }

    /// Makes room for `capacity` bytes in all.
    #[must_use]
    pub(super) fn grown_to(mut self, capacity: usize) -> Self {
        self.bytes.resize(capacity.max(self.bytes.len()), 0);
        self
    }

    /// The bytes not looked at.
    pub(super) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Marks bytes as looked at.
    pub(super) fn consume(&mut self, len: usize) {
        self.start = self.end.min(self.start + len);
    }

    /// The next frame and its length, if it is complete.
    pub(super) fn frame(&self) -> Result<Option<(Frame<'_>, usize)>> {
        decode(self.unread())
    }

    /// Reads once; the number of bytes read, 0 at the end.
    pub(super) fn read_from(&mut self, stream: &mut TcpStream) -> Result<usize> {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        loop {
            match stream.read(&mut self.bytes[self.end..]) {
                Ok(len) => {
                    self.end += len;
                    return Ok(len);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The frame at the front of `input`.
pub(super) fn decode(input: &[u8]) -> Result<Option<(Frame<'_>, usize)>> {
    frame::decode(input, FRAME_MAX).map_err(|error| Error::Protocol(error.to_string()))
}

/// The method of a frame; None for frames without one. An end declared by the server is an error.
pub(super) fn end_or_method<'a>(frame: &Frame<'a>) -> Result<Option<Method<'a>>> {
    if frame.kind != kind::METHOD {
        return Ok(None);
    }
    match Method::decode(frame.payload).map_err(|error| Error::Protocol(error.to_string()))? {
        Method::ConnectionClose(close) => {
            Err(Error::Closed { code: close.reply_code, text: close.reply_text.to_owned() })
        }
        Method::ChannelClose(close) => {
            Err(Error::ChannelClosed { code: close.reply_code, text: close.reply_text.to_owned() })
        }
        Method::BasicCancel(cancel) => Err(Error::Cancelled(cancel.consumer_tag.to_owned())),
        method => Ok(Some(method)),
    }
}

/// The size that a content header announces.
pub(super) fn content_body_size(payload: &[u8]) -> Result<u64> {
    leveret_protocol::ContentHeader::decode(payload)
        .map(|header| header.body_size)
        .map_err(|error| Error::Protocol(error.to_string()))
}

/// Ends both directions of a socket, so that whoever reads or writes it wakes up.
pub(super) fn shut(stream: &TcpStream) {
    let _ = stream.shutdown(Shutdown::Both);
}

fn tcp(uri: &Uri) -> Result<TcpStream> {
    let address = uri.address();
    let error = |source| Error::Connect { address: address.clone(), source };
    let candidates = address.to_socket_addrs().map_err(error)?;
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    for candidate in candidates {
        match TcpStream::connect_timeout(&candidate, CONNECT_TIMEOUT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(source) => last = source,
        }
    }
    Err(error(last))
}

fn client_properties() -> FieldTable {
    let capabilities = [
        "publisher_confirms",
        "basic.nack",
        "connection.blocked",
        "consumer_cancel_notify",
        "authentication_failure_close",
    ];
    let capabilities: FieldTable = capabilities.map(|name| (name, true)).into_iter().collect();
    let mut properties = FieldTable::new();
    properties.insert("product", "Leveret perf");
    properties.insert("version", env!("CARGO_PKG_VERSION"));
    properties.insert("capabilities", FieldValue::Table(capabilities));
    properties
}

/// The longest frame we ask for, in bytes.
const FRAME_MAX: u32 = 131_072;
/// The receive buffer of an idle connection, in bytes.
const IDLE_LEN: usize = 4096;
/// How long a broker has to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
