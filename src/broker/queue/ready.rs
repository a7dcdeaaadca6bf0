//! The messages of a queue that wait for a consumer, in order of their positions.

use std::collections::{BTreeMap, VecDeque};

use super::DeliveryCounts;
use crate::broker::message::Message;

/// A message at its position in the queue.
pub struct Entry {
    /// Where it stands: given once, in order of arrival, and kept over requeues.
    pub position: u64,
    /// Whether it had been delivered before.
    pub redelivered: bool,
    /// How often it came back.
    pub counts: DeliveryCounts,
    /// The message.
    pub message: Message,
}

/// Ready messages. What was requeued goes back to its original position; since that is nearly always before everything else,
/// requeued messages stand in an ordered map of their own and the rest in a plain deque.
#[derive(Default)]
pub(super) struct Ready {
    arrived: VecDeque<(u64, Message)>,
    returned: BTreeMap<u64, (bool, DeliveryCounts, Message)>,
    next_position: u64,
    /// What they take in memory, about, in bytes.
    bytes: usize,
    /// Bytes of bodies alone, as limits count them.
    body_bytes: usize,
}

/// What a ready message takes, about, in bytes.
#[inline]
pub(super) fn footprint(message: &Message) -> usize {
    ENTRY_BYTES + message.wire_len()
}

/// Bytes of an entry and of a message's head.
pub(super) const ENTRY_BYTES: usize = 80;

/// The deque gives its memory back when it is emptied with more than this many slots.
const KEEP_SLOTS: usize = 1024;

impl Ready {
    /// Adds a message at the end.
    #[inline]
    pub(super) fn push(&mut self, message: Message) {
        self.next_position += 1;
        self.bytes += footprint(&message);
        self.body_bytes += message.body_len();
        self.arrived.push_back((self.next_position, message));
    }

    /// Puts a message back to its position.
    pub(super) fn put_back(&mut self, entry: Entry) {
        self.bytes += footprint(&entry.message);
        self.body_bytes += entry.message.body_len();
        self.returned.insert(entry.position, (entry.redelivered, entry.counts, entry.message));
    }

    /// Takes the first.
    #[inline(always)] // an entry is four words: given by reference it costs a delivery 2 %
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let entry = if self.returned.is_empty() || self.arrived_is_first() {
            let (position, message) = self.arrived.pop_front()?;
            if self.arrived.is_empty() && self.arrived.capacity() > KEEP_SLOTS {
                self.arrived = VecDeque::new();
            }
            Entry { position, redelivered: false, counts: DeliveryCounts::default(), message }
        } else {
            let (position, (redelivered, counts, message)) = self.returned.pop_first()?;
            Entry { position, redelivered, counts, message }
        };
        self.bytes -= footprint(&entry.message);
        self.body_bytes -= entry.message.body_len();
        Some(entry)
    }

    /// The first, which stays.
    #[inline]
    pub(super) fn front(&self) -> Option<&Message> {
        if self.returned.is_empty() || self.arrived_is_first() {
            return self.arrived.front().map(|(_, message)| message);
        }
        self.returned.first_key_value().map(|(_, (_, _, message))| message)
    }

    /// The last position given.
    pub(super) fn last_position(&self) -> u64 {
        self.next_position
    }

    /// Positions given from now on come after this one.
    pub(super) fn go_on_after(&mut self, position: u64) {
        self.next_position = position;
    }

    /// How many there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.arrived.len() + self.returned.len()
    }

    /// Whether there is none.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.arrived.is_empty() && self.returned.is_empty()
    }

    /// What they take in memory, about, in bytes.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of their bodies.
    #[inline]
    pub(super) fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// Removes all of them; positions go on.
    pub(super) fn clear(&mut self) -> Self {
        let next_position = self.next_position;
        let cleared = std::mem::take(self);
        self.next_position = next_position;
        cleared
    }

    /// The memory that the queue is charged for them, in bytes.
    pub(super) fn cost(&self) -> usize {
        let arrived = self.arrived.iter().map(|(_, message)| message.cost());
        let returned = self.returned.values().map(|(_, _, message)| message.cost());
        arrived.chain(returned).sum()
    }

    fn arrived_is_first(&self) -> bool {
        match (self.arrived.front(), self.returned.first_key_value()) {
            (Some((arrived, _)), Some((returned, _))) => arrived < returned,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }
}
