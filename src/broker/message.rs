//! A message as the queues share it: one allocation for exchange, routing key, raw properties and a small body.

use bytes::Bytes;
use triomphe::ThinArc;

use super::moment::Moment;

/// Bodies up to this many bytes live in the message's own allocation; larger ones are shared [`Bytes`], which the
/// connections write by reference. Copying is as cheap as a vectored write up to about 8 KiB.
pub(super) const INLINE_BODY_MAX: usize = 8 * 1024;

/// What a queued message costs beside its bytes: the allocation's head and its entry in a queue.
const OVERHEAD: usize = 80;

/// The message survives a restart in a durable queue.
const PERSISTENT: u8 = 1;
/// `x-death` among its headers is the broker's own.
const DIED: u8 = 1 << 1;
/// The sender gave more routing keys.
const MORE_KEYS: u8 = 1 << 2;
/// The sender gave a priority.
const PRIORITY: u8 = 1 << 3;
/// It has a time to live of its own.
const MORTAL: u8 = 1 << 4;

/// A message that was accepted for routing. Cloning it clones a handle, never a byte.
#[derive(Clone)]
pub struct Message(ThinArc<Head, u8>);

/// The tail of the allocation is `exchange routing_key properties more_keys body`; the lengths stand here, but that of the keys.
struct Head {
    /// Boxed, since few messages have one and all have this head.
    large_body: Option<Box<Bytes>>,
    arrived: Moment,
    body_len: u32,
    properties_len: u32,
    failed: u32,
    copies: u16,
    exchange_len: u8,
    routing_key_len: u8,
    flags: u8,
    priority: u8,
    /// Milliseconds, if it is mortal.
    ttl: [u8; 6],
}

/// The longest time to live that the head has room for: 8 900 years.
const TTL_MAX: u64 = (1 << 48) - 1;

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
    /// What queues go by beside the bytes.
    pub life: Life<'a>,
}

/// What the broker knows of a message beside what it delivers.
#[derive(Clone, Copy, Default)]
pub struct Life<'a> {
    /// When it was published, or dead-lettered.
    pub arrived: Moment,
    /// `expiration` in milliseconds.
    pub ttl_ms: Option<u64>,
    /// `priority`.
    pub priority: Option<u8>,
    /// `x-death` among its headers was written by the broker, not by a client.
    pub died: bool,
    /// Failed deliveries in the queues that it was dead-lettered from.
    pub failed: u32,
    /// Further routing keys.
    pub more_keys: MoreKeys<'a>,
}

/// Routing keys by CC and BCC (P-11), kept for the way of a dead letter.
#[derive(Clone, Copy, Default)]
pub struct MoreKeys<'a> {
    /// Those of CC.
    pub cc: &'a [&'a [u8]],
    /// Those of BCC, which nobody is told.
    pub bcc: &'a [&'a [u8]],
}

impl MoreKeys<'_> {
    /// Appends them: the length of what follows, how many are of CC, then each as a short string.
    fn write(self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&(self.cc.len() as u32).to_be_bytes());
        for key in self.cc.iter().chain(self.bcc) {
            let key = &key[..key.len().min(255)];
            out.push(key.len() as u8);
            out.extend_from_slice(key);
        }
        let len = (out.len() - start - 4) as u32;
        out[start..start + 4].copy_from_slice(&len.to_be_bytes());
    }

    fn is_empty(self) -> bool {
        self.cc.is_empty() && self.bcc.is_empty()
    }
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
        let life = parts.life;
        let mut flags = if parts.persistent { PERSISTENT } else { 0 };
        if life.died {
            flags |= DIED;
        }
        if life.priority.is_some() {
            flags |= PRIORITY;
        }
        if !life.more_keys.is_empty() {
            flags |= MORE_KEYS;
            life.more_keys.write(scratch);
        }
        if life.ttl_ms.is_some() {
            flags |= MORTAL;
        }
        let [_, _, ttl @ ..] = life.ttl_ms.unwrap_or(0).min(TTL_MAX).to_be_bytes();
        let body_len = parts.body.as_slice().len();
        let large_body = if body_len <= INLINE_BODY_MAX {
            scratch.extend_from_slice(parts.body.as_slice());
            None
        } else {
            Some(Box::new(match parts.body {
                Body::Borrowed(body) => Bytes::copy_from_slice(body),
                Body::Owned(body) => body,
            }))
        };
        let head = Head {
            large_body,
            arrived: life.arrived,
            body_len: body_len as u32,
            properties_len: parts.properties.len() as u32,
            failed: life.failed,
            copies: parts.copies.clamp(1, usize::from(u16::MAX)) as u16,
            exchange_len: parts.exchange.len() as u8,
            routing_key_len: parts.routing_key.len() as u8,
            flags,
            priority: life.priority.unwrap_or(0),
            ttl,
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
            None => &self.0.slice[self.0.slice.len() - self.body_len()..],
        }
    }

    /// The body when it is large enough to be written by reference.
    #[inline]
    pub fn shared_body(&self) -> Option<&Bytes> {
        self.head().large_body.as_deref()
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
        self.head().flags & PERSISTENT != 0
    }

    /// When it was published, or dead-lettered.
    #[inline]
    pub fn arrived(&self) -> Moment {
        self.head().arrived
    }

    /// Whether it has a time to live of its own.
    #[inline]
    pub fn is_mortal(&self) -> bool {
        self.head().flags & MORTAL != 0
    }

    /// Its own time to live in milliseconds.
    #[inline]
    pub fn ttl_ms(&self) -> Option<u64> {
        let [a, b, c, d, e, f] = self.head().ttl;
        self.is_mortal().then(|| u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }

    /// Its own priority.
    #[inline]
    pub fn priority(&self) -> Option<u8> {
        (self.head().flags & PRIORITY != 0).then_some(self.head().priority)
    }

    /// Whether `x-death` among its headers is the broker's own.
    pub fn has_died(&self) -> bool {
        self.head().flags & DIED != 0
    }

    /// Failed deliveries in the queues that it was dead-lettered from.
    #[inline]
    pub fn failed(&self) -> u32 {
        self.head().failed
    }

    /// Bytes of its further routing keys, two more for each.
    pub fn more_keys_len(&self) -> usize {
        if self.head().flags & MORE_KEYS == 0 {
            return 0;
        }
        let (cc, bcc) = self.more_keys();
        cc.iter().chain(&bcc).map(|key| key.len() + 2).sum()
    }

    /// Its further routing keys: those of CC, those of BCC.
    pub fn more_keys(&self) -> (Vec<&[u8]>, Vec<&[u8]>) {
        if self.head().flags & MORE_KEYS == 0 {
            return Default::default();
        }
        let at = self.properties_at() + self.head().properties_len as usize;
        let number = |at: usize| {
            let bytes = self.0.slice.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            u32::from_be_bytes(bytes.unwrap_or_default()) as usize
        };
        let mut rest = &self.0.slice[at + 8..at + 4 + number(at)];
        let mut keys = Vec::new();
        while let Some((len, behind)) = rest.split_first() {
            let (key, behind) = behind.split_at(usize::from(*len));
            keys.push(key);
            rest = behind;
        }
        let bcc = keys.split_off(number(at + 4).min(keys.len()));
        (keys, bcc)
    }

    /// The memory in bytes that one queue is charged for holding it.
    #[inline]
    pub fn cost(&self) -> usize {
        let large = self.shared_body().map_or(0, Bytes::len);
        OVERHEAD + (self.0.slice.len() + large) / usize::from(self.head().copies)
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
            life: Life { more_keys: MoreKeys { cc: &[b"cc1", b""], bcc: &[b"bcc"] }, ..Life::default() },
        };
        Message::new(&mut Vec::new(), parts)
    }

    #[test]
    fn what_a_queue_goes_by_comes_back() {
        for (ttl_ms, priority, died) in
            [(None, None, false), (Some(0), Some(0), true), (Some(315_360_000_000), Some(255), false)]
        {
            let life = Life { arrived: Moment(7), ttl_ms, priority, died, failed: 3, ..Life::default() };
            let parts = Parts {
                exchange: b"",
                routing_key: b"",
                properties: &[0, 0],
                body: Body::Borrowed(b"x"),
                persistent: died,
                copies: 1,
                life,
            };
            let m = Message::new(&mut Vec::new(), parts);
            assert_eq!((m.ttl_ms(), m.priority(), m.has_died(), m.is_persistent()), (ttl_ms, priority, died, died));
            assert_eq!((m.arrived(), m.failed(), m.more_keys()), (Moment(7), 3, (vec![], vec![])));
        }
        assert_eq!(size_of::<Head>(), 40);
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
            let (cc, bcc): (Vec<&[u8]>, Vec<&[u8]>) = (vec![b"cc1", b""], vec![b"bcc"]);
            assert_eq!(m.more_keys(), (cc, bcc));
            assert_eq!(m.shared_body().is_some(), len > INLINE_BODY_MAX);
        }
    }

    #[test]
    fn a_handle_is_one_pointer() {
        assert_eq!(size_of::<Message>(), size_of::<usize>());
    }
}
