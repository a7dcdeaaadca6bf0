//! Frames that own their bytes, and what they mean.

use leveret_protocol::frame::kind;
use leveret_protocol::properties::ContentHeader;

use super::{BasicProperties, FieldTable, Method};

/// A frame as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnedFrame {
    pub(crate) kind: u8,
    pub(crate) channel: u16,
    pub(crate) payload: Vec<u8>,
}

/// The names of frames in order.
pub(crate) fn names(frames: &[OwnedFrame]) -> Vec<&'static str> {
    frames.iter().map(OwnedFrame::name).collect()
}

impl OwnedFrame {
    /// The method's name, or the kind of frame.
    pub(crate) fn name(&self) -> &'static str {
        match self.kind {
            kind::METHOD => self.method().name(),
            kind::HEADER => "header",
            kind::BODY => "body",
            kind::HEARTBEAT => "heartbeat",
            other => panic!("kind {other} of frame"),
        }
    }

    /// The method of a method frame.
    pub(crate) fn method(&self) -> Method<'_> {
        assert_eq!(self.kind, kind::METHOD, "{self:?}");
        Method::decode(&self.payload).expect("a method that can be read")
    }

    /// The content header of a header frame.
    pub(crate) fn header(&self) -> ContentHeader<'_> {
        assert_eq!(self.kind, kind::HEADER, "{self:?}");
        ContentHeader::decode(&self.payload).expect("a header that can be read")
    }

    /// Delivery tag and `multiple` of basic.ack or basic.nack.
    pub(crate) fn confirm(&self) -> (u64, bool) {
        match self.method() {
            Method::BasicAck(ack) => (ack.delivery_tag, ack.multiple),
            Method::BasicNack(nack) => (nack.delivery_tag, nack.multiple),
            other => panic!("expected a confirm, got {other:?}"),
        }
    }
}

/// A message with the method that brought it: basic.deliver, basic.get-ok or basic.return.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Delivered {
    pub(crate) channel: u16,
    pub(crate) consumer_tag: String,
    pub(crate) delivery_tag: u64,
    pub(crate) redelivered: bool,
    pub(crate) reply_code: u16,
    pub(crate) reply_text: String,
    pub(crate) exchange: String,
    pub(crate) routing_key: String,
    pub(crate) message_count: u32,
    /// Flags and values as on the wire.
    pub(crate) raw_properties: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

impl Delivered {
    /// The fields of the method; the content is still missing.
    pub(crate) fn from_method(frame: &OwnedFrame) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (exchange, routing_key, rest) = match frame.method() {
            Method::BasicDeliver(m) => {
                let rest = Self {
                    consumer_tag: m.consumer_tag.into(),
                    delivery_tag: m.delivery_tag,
                    redelivered: m.redelivered,
                    ..Self::default()
                };
                (m.exchange, m.routing_key, rest)
            }
            Method::BasicGetOk(m) => {
                let rest = Self {
                    delivery_tag: m.delivery_tag,
                    redelivered: m.redelivered,
                    message_count: m.message_count,
                    ..Self::default()
                };
                (m.exchange, m.routing_key, rest)
            }
            Method::BasicReturn(m) => {
                let rest = Self { reply_code: m.reply_code, reply_text: m.reply_text.into(), ..Self::default() };
                (m.exchange, m.routing_key, rest)
            }
            other => panic!("expected a method with content, got {other:?}"),
        };
        Self { channel: frame.channel, exchange: text(exchange), routing_key: text(routing_key), ..rest }
    }

    /// The properties.
    pub(crate) fn properties(&self) -> BasicProperties<'_> {
        BasicProperties::decode(&self.raw_properties).expect("properties that can be read")
    }

    /// The `headers` property; empty if there is none.
    pub(crate) fn headers(&self) -> FieldTable {
        self.properties().headers.map(|headers| headers.to_owned()).unwrap_or_default()
    }

    /// The body as text, with `r` behind it if the message is redelivered.
    pub(crate) fn told(&self) -> String {
        let mark = if self.redelivered { "r" } else { "" };
        format!("{}{mark}", String::from_utf8_lossy(&self.body))
    }

    /// Consumer and body: `tag:body`.
    pub(crate) fn by(&self) -> String {
        format!("{}:{}", self.consumer_tag, self.told())
    }
}
