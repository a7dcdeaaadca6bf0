//! A client that speaks in frames: it says anything, reads everything and decides nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use leveret_protocol::frame::{self, kind};

use super::{
    BasicProperties, Close, Delivered, Method, OwnedFrame, basic, broker, channel, closes, connection, methods,
    x_passive,
};

/// How long to wait for what must come. It is never reached unless something is wrong.
pub(crate) const FAR: Duration = Duration::from_secs(8);

/// One TCP connection. Where a call names no channel, it is channel 1.
pub(crate) struct Wire {
    stream: TcpStream,
    received: Vec<u8>,
    /// What is to be written at once, while that is gathered.
    held: Option<Vec<u8>>,
    /// The longest frame in bytes that bodies are cut into.
    pub(crate) frame_max: u32,
}

impl Wire {
    /// TCP only; nothing is said.
    pub(crate) fn connect() -> Self {
        Self::connect_to(broker())
    }

    pub(crate) fn connect_to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a broker listens");
        stream.set_read_timeout(Some(FAR)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, received: Vec::new(), held: None, frame_max: 131_072 }
    }

    /// Writes bytes. That the broker may have closed already is no error here: what it said is still to be read.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        match &mut self.held {
            Some(held) => held.extend_from_slice(bytes),
            None => drop(self.stream.write_all(bytes)),
        }
    }

    /// Writes all that `write` sends with one call, so that the broker reads it at once.
    pub(crate) fn at_once(&mut self, write: impl FnOnce(&mut Self)) {
        self.held = Some(Vec::new());
        write(self);
        let held = self.held.take().unwrap_or_default();
        self.raw(&held);
    }

    /// Ends the client's side of TCP.
    pub(crate) fn says_no_more(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Writes one frame of any kind.
    pub(crate) fn raw_frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        self.raw(&encoded(kind, channel, payload));
    }

    pub(crate) fn send<'m>(&mut self, channel: u16, method: impl Into<Method<'m>>) {
        let mut out = Vec::new();
        frame::write_method(&mut out, channel, &method.into());
        self.raw(&out);
    }

    /// Sends a method and waits for its `-ok`, which must come next.
    pub(crate) fn call<'m>(&mut self, method: impl Into<Method<'m>>) -> OwnedFrame {
        self.call_on(1, method)
    }

    pub(crate) fn call_on<'m>(&mut self, channel: u16, method: impl Into<Method<'m>>) -> OwnedFrame {
        let method = method.into();
        self.send(channel, method);
        self.expect(channel, &methods::reply_name(&method))
    }

    /// Publishes to a routing key without properties.
    pub(crate) fn publish(&mut self, exchange: &str, routing_key: &str, body: &str) {
        let method = methods::publish(exchange, routing_key);
        self.publish_as(1, method, &BasicProperties::default(), body.as_bytes());
    }

    pub(crate) fn publish_as(
        &mut self,
        channel: u16,
        method: basic::Publish<'_>,
        properties: &BasicProperties<'_>,
        body: &[u8],
    ) {
        let mut raw = Vec::new();
        properties.encode(&mut raw);
        let mut out = Vec::new();
        frame::write_method(&mut out, channel, &method.into());
        frame::write_content_header(&mut out, channel, body.len() as u64, &raw);
        frame::write_body(&mut out, channel, self.frame_max, body);
        self.raw(&out);
    }

    /// The next frame.
    pub(crate) fn frame(&mut self) -> OwnedFrame {
        self.next().expect("a frame, not the end of TCP")
    }

    /// The next frame, or None when TCP ends.
    pub(crate) fn next(&mut self) -> Option<OwnedFrame> {
        loop {
            if let Some((frame, len)) = frame::decode(&self.received, 0).expect("a good frame") {
                let owned = OwnedFrame { kind: frame.kind, channel: frame.channel, payload: frame.payload.to_vec() };
                self.received.drain(..len);
                return Some(owned);
            }
            if !self.fill() {
                assert!(self.received.is_empty(), "TCP ended within {:?}", self.received);
                return None;
            }
        }
    }

    /// The next frame, or None when TCP ends, wherever it ends.
    pub(crate) fn next_before_the_end(&mut self) -> Option<OwnedFrame> {
        while matches!(frame::decode(&self.received, 0), Ok(None)) {
            if !self.fill() {
                return None;
            }
        }
        self.next()
    }

    /// All bytes until TCP ends.
    pub(crate) fn bytes_to_end(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.received)
    }

    /// The next frame, which must be this method.
    pub(crate) fn expect(&mut self, channel: u16, name: &str) -> OwnedFrame {
        let frame = self.frame();
        let told = match frame.kind {
            kind::METHOD => format!("{:?}", frame.method()),
            _ => frame.name().to_owned(),
        };
        assert_eq!((frame.channel, frame.name()), (channel, name), "got {told}");
        frame
    }

    /// The message that comes next, by deliver, get-ok or return.
    pub(crate) fn deliver(&mut self) -> Delivered {
        let method = self.frame();
        let delivered = Delivered::from_method(&method);
        self.content(delivered)
    }

    /// Reads the content that belongs to `delivered`.
    pub(crate) fn content(&mut self, delivered: Delivered) -> Delivered {
        let header = self.frame();
        let size = header.header().body_size;
        let mut body = Vec::new();
        while (body.len() as u64) < size {
            let piece = self.expect(delivered.channel, "body");
            assert!(!piece.payload.is_empty());
            body.extend(piece.payload);
        }
        Delivered { raw_properties: header.header().properties.to_vec(), body, ..delivered }
    }

    /// The next `count` deliveries.
    pub(crate) fn deliveries(&mut self, count: usize) -> Vec<Delivered> {
        (0..count).map(|_| self.deliver()).collect()
    }

    /// What came on `channel` before the answer to a method that changes nothing.
    pub(crate) fn sync_on(&mut self, channel: u16) -> Vec<OwnedFrame> {
        self.send(channel, x_passive("amq.direct"));
        let mut before = Vec::new();
        loop {
            let frame = self.frame();
            if frame.channel == channel && frame.name() == "exchange.declare-ok" {
                return before;
            }
            before.push(frame);
        }
    }

    /// The names of the frames that came on channel 1 before the answer to a method that changes nothing.
    pub(crate) fn sync(&mut self) -> Vec<&'static str> {
        super::names(&self.sync_on(1))
    }

    /// Nothing was said.
    pub(crate) fn quiet(&mut self) {
        assert_eq!(self.sync(), [""; 0]);
    }

    /// The close that comes next. It is answered; after a connection's, TCP must end.
    pub(crate) fn error(&mut self) -> Close {
        let frame = self.frame();
        let close = Close::read(&frame).unwrap_or_else(|| panic!("expected a close, got {:?}", frame.method()));
        match close.channel {
            0 => {
                self.send(0, connection::CloseOk {});
                self.ends();
            }
            channel => self.send(channel, channel::CloseOk {}),
        }
        close
    }

    /// TCP ends and nothing is said before.
    pub(crate) fn ends(&mut self) {
        let next = self.next();
        assert!(next.is_none(), "expected the end of TCP, got {}", next.unwrap().name());
    }

    /// Channel 1 refuses `method`: the close names it, with this code and text. After a soft error the channel is
    /// open again.
    pub(crate) fn refused<'m>(&mut self, method: impl Into<Method<'m>>, code: u16, explanation: &str) {
        let method = method.into();
        self.send(1, method);
        self.refusal((method.id().class, method.id().method), code, explanation);
    }

    /// The same for what was sent already.
    pub(crate) fn refusal(&mut self, id: (u16, u16), code: u16, explanation: &str) {
        let close = self.error();
        assert_eq!(close, closes(1, code, explanation, id));
        if close.channel != 0 {
            self.call(channel::Open {});
        }
    }

    /// Whether there was more to read before TCP ended.
    fn fill(&mut self) -> bool {
        let mut piece = [0; 65536];
        match self.stream.read(&mut piece) {
            Ok(0) => false,
            Ok(n) => {
                self.received.extend_from_slice(&piece[..n]);
                true
            }
            Err(e) if e.kind() == ErrorKind::ConnectionReset => false,
            Err(e) => panic!("nothing came: {e}; have {:?}", self.received),
        }
    }
}

/// A frame as bytes.
pub(crate) fn encoded(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend(channel.to_be_bytes());
    out.extend((payload.len() as u32).to_be_bytes());
    out.extend(payload);
    out.push(frame::FRAME_END);
    out
}
