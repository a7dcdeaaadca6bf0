//! Length limits: how many ready messages a queue keeps, and what happens to one too many.

use crate::broker::arguments::Overflow;

use super::lanes::Lanes;

/// The limits of one queue. They count ready messages and the bytes of their bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    messages: u64,
    bytes: u64,
    overflow: Overflow,
}

impl Limits {
    /// None if neither is given.
    pub(super) fn new(messages: Option<u64>, bytes: Option<u64>, overflow: Overflow) -> Option<Self> {
        if messages.is_none() && bytes.is_none() {
            return None;
        }
        Some(Self { messages: messages.unwrap_or(u64::MAX), bytes: bytes.unwrap_or(u64::MAX), overflow })
    }

    /// Whether a message too many is refused; otherwise the first make room.
    pub(super) fn refuses(&self) -> bool {
        self.overflow != Overflow::DropHead
    }

    /// Whether what is refused becomes a dead letter.
    pub(super) fn buries_refused(&self) -> bool {
        self.overflow == Overflow::RejectPublishDeadLetter
    }

    /// Whether a message with a body of this many bytes would be too many.
    pub(super) fn would_exceed(&self, ready: &Lanes, body_len: usize) -> bool {
        ready.len() as u64 + 1 > self.messages || (ready.body_bytes() + body_len) as u64 > self.bytes
    }

    /// Whether there are too many.
    pub(super) fn exceeded(&self, ready: &Lanes) -> bool {
        ready.len() as u64 > self.messages || ready.body_bytes() as u64 > self.bytes
    }
}
