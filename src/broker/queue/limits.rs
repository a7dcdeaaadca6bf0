//! Length limits: how many ready messages a queue keeps, and what happens to one too many.

use crate::broker::arguments::{Overflow, QueueSettings};

use super::ready::Ready;

/// The limits of one queue. They count ready messages and the bytes of their bodies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    messages: u64,
    bytes: u64,
    overflow: Overflow,
}

impl Limits {
    /// The limits that a queue was declared with; none if it has none.
    pub(super) fn of(settings: &QueueSettings) -> Option<Self> {
        if settings.max_length.is_none() && settings.max_length_bytes.is_none() {
            return None;
        }
        let (messages, bytes) =
            (settings.max_length.unwrap_or(u64::MAX), settings.max_length_bytes.unwrap_or(u64::MAX));
        Some(Self { messages, bytes, overflow: settings.overflow })
    }

    /// Whether a message too many is refused; otherwise the oldest make room.
    pub(super) fn refuses(&self) -> bool {
        self.overflow != Overflow::DropHead
    }

    /// Whether a message with a body of this many bytes would be too many.
    pub(super) fn would_exceed(&self, ready: &Ready, body_len: usize) -> bool {
        ready.len() as u64 + 1 > self.messages || (ready.body_bytes() + body_len) as u64 > self.bytes
    }

    /// Whether there are too many.
    pub(super) fn exceeded(&self, ready: &Ready) -> bool {
        ready.len() as u64 > self.messages || ready.body_bytes() as u64 > self.bytes
    }
}
