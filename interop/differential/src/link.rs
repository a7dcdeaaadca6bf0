//! A connection to a broker: bytes, frames and the handshake. Blocking, with deadlines.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use leveret_protocol::frame;
use leveret_protocol::method::connection;
use leveret_protocol::{Assembler, EncodedTable, FieldTable, FieldValue, Method};

use crate::said::Said;
use crate::uri::Uri;

/// One TCP connection that has been opened.
#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    assemblers: HashMap<u16, Assembler>,
}

/// TCP has ended, or what came is no AMQP.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Gone(String);

impl From<std::io::Error> for Gone {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl Link {
    /// Connects, logs in and enters the virtual host.
    pub(crate) fn open(uri: &Uri) -> Result<Self, Gone> {
        let address = uri.address.to_socket_addrs()?.next().ok_or_else(|| Gone("no such host".to_owned()))?;
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        let output = frame::PROTOCOL_HEADER.to_vec();
        let mut link = Self { stream, input: Vec::new(), output, assemblers: HashMap::new() };
        link.flush()?;
        link.demand("connection.start")?;
        let response = format!("\0{}\0{}", uri.user, uri.password);
        let properties = EncodedTable::from(&client_properties());
        let start_ok = connection::StartOk {
            client_properties: properties.as_table(),
            mechanism: "PLAIN",
            response: response.as_bytes(),
            locale: "en_US",
        };
        link.write(0, start_ok);
        link.flush()?;
        link.demand("connection.tune")?;
        link.write(0, connection::TuneOk { channel_max: 2047, frame_max: FRAME_MAX, heartbeat: 0 });
        link.write(0, connection::Open { virtual_host: &uri.vhost });
        link.flush()?;
        link.demand("connection.open-ok")?;
        Ok(link)
    }

    /// Appends a method to what [`Link::flush`] sends.
    pub(crate) fn write<'a>(&mut self, channel: u16, method: impl Into<Method<'a>>) {
        frame::write_method(&mut self.output, channel, &method.into());
    }

    /// Appends a message's header and body.
    pub(crate) fn write_content(&mut self, channel: u16, properties: &[u8], body: &[u8]) {
        frame::write_content_header(&mut self.output, channel, body.len() as u64, properties);
        frame::write_body(&mut self.output, channel, FRAME_MAX, body);
    }

    /// Sends what was written.
    pub(crate) fn flush(&mut self) -> Result<(), Gone> {
        let sent = self.stream.write_all(&self.output);
        self.output.clear();
        Ok(sent?)
    }

    /// What has come until `deadline`, at the earliest when there is something.
    pub(crate) fn read(&mut self, deadline: Instant) -> Result<Vec<(u16, Said)>, Gone> {
        loop {
            let said = self.said()?;
            let left = deadline.saturating_duration_since(Instant::now());
            if !said.is_empty() || left.is_zero() {
                return Ok(said);
            }
            self.stream.set_read_timeout(Some(left))?;
            let mut bytes = [0; 16 * 1024];
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err(Gone("TCP ended".to_owned())),
                Ok(len) => self.input.extend_from_slice(&bytes[..len]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn said(&mut self) -> Result<Vec<(u16, Said)>, Gone> {
        let mut said = Vec::new();
        let mut used = 0;
        while let Some((frame, len)) =
            frame::decode(&self.input[used..], FRAME_MAX).map_err(|error| Gone(error.to_string()))?
        {
            used += len;
            if frame.kind == frame::kind::HEARTBEAT {
                continue;
            }
            let assembler = self.assemblers.entry(frame.channel).or_default();
            let step = assembler.frame(&frame, u64::MAX).map_err(|error| Gone(error.to_string()))?;
            said.extend(Said::from_assembled(step).map(|said| (frame.channel, said)));
        }
        self.input.drain(..used);
        Ok(said)
    }

    fn demand(&mut self, wanted: &str) -> Result<(), Gone> {
        match self.read(Instant::now() + PATIENCE)?.into_iter().next() {
            Some((0, Said::Reply { name, .. })) if name == wanted => Ok(()),
            other => Err(Gone(format!("expected {wanted}, got {other:?}"))),
        }
    }

    /// Closes the connection as the protocol asks for, if the broker plays along.
    pub(crate) fn close(mut self) {
        let close = connection::Close { reply_code: 200, reply_text: "Goodbye", class_id: 0, method_id: 0 };
        self.write(0, close);
        let closed = |said: &[(u16, Said)]| {
            said.iter().any(|(_, said)| matches!(said, Said::Reply { name: "connection.close-ok", .. }))
        };
        let deadline = Instant::now() + PATIENCE;
        if self.flush().is_ok() {
            while Instant::now() < deadline && self.read(deadline).is_ok_and(|said| !closed(&said)) {}
        }
    }
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
    properties.insert("product", "differential");
    properties.insert("capabilities", FieldValue::Table(capabilities));
    properties
}

/// The longest frame in bytes.
const FRAME_MAX: u32 = 131_072;
/// How long a broker has for an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
