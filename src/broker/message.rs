//! A message as the queues share it: one allocation for exchange, routing key, raw properties and a small body.

use bytes::Bytes;
use triomphe::ThinArc;

/// Bodies up to this many bytes live in the message's own allocation; larger ones are shared [`Bytes`], which the
/// connections write by reference. Copying is as cheap as a vectored write up to about 8 KiB.
pub(super) const INLINE_BODY_MAX: usize = 8 * 1024;

/// What a queued message costs beside its bytes: the allocation's head and its entry in a queue.
const OVERHEAD: usize = 80;

/// A message that was accepted for routing. Cloning it clones a handle, never a byte.
#[derive(Clone)]
pub struct Message(ThinArc<Head, u8>);

/// The tail of the allocation is `exchange routing_key properties body`, the lengths stand here.
struct Head {
    large_body: Option<Bytes>,
    body_len: u32,
    properties_len: u32,
    exchange_len: u8,
    routing_key_len: u8,
    persistent: bool,
    copies: u16,
}

/// What a message is made of.
pub struct Parts<'a> {
    /// The exchange as published.
    pub exchange: &'a [u8],
    /// The routing key as published.
    pub routing_key: &'a [u8],
    /// Property flags and values as on the wire.
    pub properties: &'a [u8],
    /// The body.
    pub body: Body<'a>,
    /// `delivery-mode` is 2 (P-13).
    pub persistent: bool,
    /// How many queues will hold it: each is charged its share of the bytes.
    pub copies: usize,
}

/// A body as it arrives at the core.
#[derive(Clone)]
pub enum Body<'a> {
    /// Borrowed from the read buffer: copied.
    Borrowed(&'a [u8]),
    /// Already in an allocation of its own: shared when it is large.
    Owned(Bytes),
}

impl Body<'_> {
    /// Its bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Borrowed(body) => body,
            Self::Owned(body) => body,
        }
    }
}

impl Message {
    /// Builds the message; `scratch` is working space whose content is lost.
    pub fn new(scratch: &mut Vec<u8>, parts: Parts<'_>) -> Self {
        scratch.clear();
        scratch.extend_from_slice(parts.exchange);
        scratch.extend_from_slice(parts.routing_key);
        scratch.extend_from_slice(parts.properties);
        let body_len = parts.body.as_slice().len();
        let large_body = if body_len <= INLINE_BODY_MAX {
            scratch.extend_from_slice(parts.body.as_slice());
            None
        } else {
            Some(match parts.body {
                Body::Borrowed(body) => Bytes::copy_from_slice(body),
                Body::Owned(body) => body,
            })
        };
        let head = Head {
            large_body,
            body_len: body_len as u32,
            properties_len: parts.properties.len() as u32,
            exchange_len: parts.exchange.len() as u8,
            routing_key_len: parts.routing_key.len() as u8,
            persistent: parts.persistent,
            copies: parts.copies.clamp(1, usize::from(u16::MAX)) as u16,
        };
        Self(ThinArc::from_header_and_slice(head, scratch))
    }

    /// The exchange it was published to.
    #[inline]
    pub fn exchange(&self) -> &[u8] {
        &self.0.slice[..usize::from(self.head().exchange_len)]
    }

    /// The routing key it was published with.
    #[inline]
    pub fn routing_key(&self) -> &[u8] {
        let from = usize::from(self.head().exchange_len);
        &self.0.slice[from..from + usize::from(self.head().routing_key_len)]
    }

    /// Property flags and values as on the wire.
    #[inline]
    pub fn properties(&self) -> &[u8] {
        let from = self.properties_at();
        &self.0.slice[from..from + self.head().properties_len as usize]
    }

    /// The body.
    #[inline]
    pub fn body(&self) -> &[u8] {
        match &self.head().large_body {
            Some(body) => body,
            None => &self.0.slice[self.properties_at() + self.head().properties_len as usize..],
        }
    }

    /// The body when it is large enough to be written by reference.
    #[inline]
    pub fn shared_body(&self) -> Option<&Bytes> {
        self.head().large_body.as_ref()
    }

    /// Length of the body in bytes.
    #[inline]
    pub fn body_len(&self) -> usize {
        self.head().body_len as usize
    }

    /// The same for all handles of one message while it lives; none if it went to one queue only.
    #[inline]
    pub fn shared_id(&self) -> Option<usize> {
        (self.head().copies > 1).then(|| (&raw const self.0.header).addr())
    }

    /// Whether it was published with `delivery-mode` 2.
    pub fn is_persistent(&self) -> bool {
        self.head().persistent
    }

    /// The memory in bytes that one queue is charged for holding it.
    #[inline]
    pub fn cost(&self) -> usize {
        OVERHEAD + self.wire_len() / usize::from(self.head().copies)
    }

    /// About what a delivery of it takes on the wire, in bytes, without the framing.
    #[inline]
    pub fn wire_len(&self) -> usize {
        let head = self.head();
        usize::from(head.exchange_len)
            + usize::from(head.routing_key_len)
            + head.properties_len as usize
            + head.body_len as usize
    }

    #[inline]
    fn head(&self) -> &Head {
        &self.0.header.header
    }

    #[inline]
    fn properties_at(&self) -> usize {
        usize::from(self.head().exchange_len) + usize::from(self.head().routing_key_len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &[u8]) -> Message {
        let parts = Parts {
            exchange: b"amq.topic",
            routing_key: b"a.b",
            properties: &[0, 0],
            body: Body::Borrowed(body),
            persistent: false,
            copies: 1,
        };
        Message::new(&mut Vec::new(), parts)
    }

    #[test]
    fn parts_come_back_as_they_went_in() {
        for len in [0, 1, 100, INLINE_BODY_MAX, INLINE_BODY_MAX + 1, 100_000] {
            let body: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let m = message(&body);
            assert_eq!(m.exchange(), b"amq.topic");
            assert_eq!(m.routing_key(), b"a.b");
            assert_eq!(m.properties(), &[0, 0]);
            assert_eq!(m.body(), body);
            assert_eq!(m.shared_body().is_some(), len > INLINE_BODY_MAX);
        }
    }

    #[test]
    fn a_handle_is_one_pointer() {
        assert_eq!(size_of::<Message>(), size_of::<usize>());
    }
}
