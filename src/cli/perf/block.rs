//! Publishes encoded once: a block of them is written again and again, with only the timestamps
//! in it changed.

use std::ops::Range;

use leveret_protocol::BasicProperties;
use leveret_protocol::frame;
use leveret_protocol::method::basic;

/// What every message of a publisher is like.
#[derive(Debug, Clone, Default)]
pub(super) struct MessageKind {
    /// The exchange published to.
    pub exchange: String,
    /// The routing keys, taken in turn.
    pub routing_keys: Vec<String>,
    /// Bytes of body.
    pub size: usize,
    /// Delivery mode 2.
    pub persistent: bool,
    /// The time to live that each message carries, in milliseconds.
    pub expiration: Option<u32>,
    /// Messages carry priorities from 0 to this one.
    pub priorities: Option<u8>,
}

impl MessageKind {
    /// The properties of the n-th message in wire form.
    fn properties(&self, n: usize) -> Vec<u8> {
        let expiration = self.expiration.map(|ms| ms.to_string());
        let properties = BasicProperties {
            delivery_mode: self.persistent.then_some(2),
            priority: self.priorities.map(|max| mixed(n) % (max.saturating_add(1))),
            expiration: expiration.as_ref().map(|text| text.as_bytes()),
            ..Default::default()
        };
        let mut encoded = Vec::new();
        properties.encode(&mut encoded);
        encoded
    }
}

/// A number without order, the same in each run.
const fn mixed(n: usize) -> u8 {
    ((n as u32).wrapping_mul(0x9E37_79B1) >> 24) as u8
}

/// Consecutive publishes in wire form.
#[derive(Debug)]
pub(super) struct Block {
    bytes: Vec<u8>,
    /// Where each message ends in `bytes`.
    ends: Vec<usize>,
    /// Where the timestamp of each stamped message is. Messages without one carry 0.
    stamps: Vec<Stamp>,
    next: usize,
}

#[derive(Debug, Clone, Copy)]
struct Stamp {
    message: usize,
    at: usize,
}

impl Block {
    /// Encodes so many messages that they fill about [`BLOCK_LEN`], for channel 1. One message in
    /// `stamp_every` gets a timestamp, if bodies have room for one.
    pub(super) fn new(kind: &MessageKind, frame_max: u32, stamp_every: usize) -> Self {
        let mut block =
            Self { bytes: Vec::with_capacity(2 * BLOCK_LEN), ends: Vec::new(), stamps: Vec::new(), next: 0 };
        // Whole rounds of keys, so that no key is published more often than another.
        while block.bytes.len() < BLOCK_LEN - BLOCK_LEN / 16 {
            for routing_key in &kind.routing_keys {
                let stamped = block.ends.len().is_multiple_of(stamp_every) && kind.size >= STAMP_LEN;
                block.push(kind, routing_key, frame_max, stamped);
            }
        }
        block
    }

    fn push(&mut self, kind: &MessageKind, routing_key: &str, frame_max: u32, stamped: bool) {
        let publish = basic::Publish {
            exchange: kind.exchange.as_bytes(),
            routing_key: routing_key.as_bytes(),
            ..Default::default()
        };
        let properties = kind.properties(self.ends.len());
        frame::write_method(&mut self.bytes, 1, &publish.into());
        frame::write_content_header(&mut self.bytes, 1, kind.size as u64, &properties);
        if stamped {
            self.stamps.push(Stamp { message: self.ends.len(), at: self.bytes.len() + frame::FRAME_HEADER_LEN });
        }
        frame::write_body(&mut self.bytes, 1, frame_max, &vec![0; kind.size]);
        self.ends.push(self.bytes.len());
    }

    /// How many messages can be taken at once.
    pub(super) const fn len(&self) -> usize {
        self.ends.len() - self.next
    }

    /// The next `count` messages, at most [`Block::len`]; `time` gives the timestamp for the n-th
    /// of them.
    pub(super) fn take(&mut self, count: usize, time: impl Fn(usize) -> u64) -> &[u8] {
        let first = self.next;
        let messages = first..first + count.min(self.len());
        let bytes = self.start(messages.start)..self.start(messages.end);
        self.next = if messages.end == self.ends.len() { 0 } else { messages.end };
        for stamp in &self.stamps[self.stamps_of(&messages)] {
            let time = time(stamp.message - first).to_be_bytes();
            self.bytes[stamp.at..stamp.at + STAMP_LEN].copy_from_slice(&time);
        }
        &self.bytes[bytes]
    }

    fn start(&self, message: usize) -> usize {
        message.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    fn stamps_of(&self, messages: &Range<usize>) -> Range<usize> {
        let index = |message| self.stamps.partition_point(|stamp| stamp.message < message);
        index(messages.start)..index(messages.end)
    }
}

/// Bytes of a timestamp, the first of a body.
pub(super) const STAMP_LEN: usize = 8;
/// How much is written at once: more does not make a write cheaper.
const BLOCK_LEN: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use leveret_protocol::{Method, frame::kind};

    use super::*;

    fn kind_of(size: usize, keys: &[&str]) -> MessageKind {
        MessageKind {
            exchange: "e".into(),
            routing_keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            size,
            persistent: true,
            ..MessageKind::default()
        }
    }

    /// Routing keys and timestamps of the publishes in `bytes`.
    fn publishes(mut bytes: &[u8]) -> Vec<(String, u64)> {
        let mut found = Vec::new();
        while let Some((frame, len)) = frame::decode(bytes, 0).unwrap() {
            bytes = &bytes[len..];
            match frame.kind {
                kind::METHOD => {
                    let Ok(Method::BasicPublish(publish)) = Method::decode(frame.payload) else {
                        panic!("only publishes");
                    };
                    found.push((String::from_utf8_lossy(publish.routing_key).into_owned(), 0));
                }
                kind::BODY => {
                    let stamp = frame.payload[..8].try_into().unwrap();
                    found.last_mut().unwrap().1 = u64::from_be_bytes(stamp);
                }
                _ => {}
            }
        }
        assert!(bytes.is_empty());
        found
    }

    #[test]
    fn each_message_taken_carries_its_own_time() {
        let mut block = Block::new(&kind_of(16, &["a", "b"]), 0, 1);
        let found = publishes(block.take(3, |n| 100 + n as u64));
        assert_eq!(found, [("a".into(), 100), ("b".into(), 101), ("a".into(), 102)]);
        let found = publishes(block.take(1, |_| 200));
        assert_eq!(found, [("b".into(), 200)]);
    }

    #[test]
    fn only_sampled_messages_carry_a_time() {
        let mut block = Block::new(&kind_of(16, &["a"]), 0, 4);
        let stamped: Vec<_> = publishes(block.take(9, |_| 7)).iter().map(|found| found.1).collect();
        assert_eq!(stamped, [7, 0, 0, 0, 7, 0, 0, 0, 7]);
    }

    #[test]
    fn a_block_is_taken_round_and_round() {
        let mut block = Block::new(&kind_of(1024, &["a"]), 0, 1);
        let whole = block.len();
        block.take(whole - 1, |_| 1);
        assert_eq!(block.len(), 1);
        assert_eq!(publishes(block.take(5, |_| 2)).len(), 1);
        assert_eq!(block.len(), whole);
    }

    #[test]
    fn priorities_are_mixed_and_all_of_them_come() {
        let kind = MessageKind { priorities: Some(10), expiration: Some(5), ..MessageKind::default() };
        let mut priorities: Vec<_> = (0..100)
            .map(|n| {
                let encoded = kind.properties(n);
                let properties = BasicProperties::decode(&encoded).unwrap();
                assert_eq!((properties.expiration, properties.delivery_mode), (Some(&b"5"[..]), None));
                properties.priority.unwrap()
            })
            .collect();
        assert!(!priorities.is_sorted());
        priorities.sort_unstable();
        priorities.dedup();
        assert_eq!(priorities, (0..=10).collect::<Vec<_>>());
    }

    #[test]
    fn small_bodies_have_no_timestamp() {
        let mut block = Block::new(&kind_of(4, &["a"]), 0, 1);
        let before = block.bytes.clone();
        assert_eq!(block.take(block.len(), |_| u64::MAX), before);
    }
}
