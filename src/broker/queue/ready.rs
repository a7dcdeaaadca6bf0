//! The messages of a queue that wait for a consumer, in order of their positions.
//!
//! A queue that grows deep keeps two windows in memory, at its head and at its tail; what is between them is on disk and known here by
//! its range of positions and its counts alone. Runs go to disk from the front of the tail and come back to the end of the head.

use std::collections::{BTreeMap, VecDeque};

use super::DeliveryCounts;
use super::disk::Recovered;
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
///
/// Invariant: positions of `arrived` < those on disk < those of the tail; whatever was taken out before stood before what is on disk.
#[derive(Default)]
pub(super) struct Ready {
    arrived: VecDeque<Arrived>,
    returned: BTreeMap<u64, (bool, DeliveryCounts, Message)>,
    /// None as long as everything is in memory.
    deep: Option<Box<Deep>>,
    next_position: u64,
    /// What stands before this position does not go to disk: it has been there, and came back because it is next.
    paged_to: u64,
    /// What those in memory take there, about, in bytes.
    bytes: usize,
    /// Bytes of bodies alone, as limits count them, of all.
    body_bytes: usize,
}

/// A message that was never requeued. The lowest bit of `tagged` says that it was delivered before a restart, or in the queue that it was
/// dead-lettered from; above it is the position.
struct Arrived {
    tagged: u64,
    message: Message,
}

impl Arrived {
    fn position(&self) -> u64 {
        self.tagged >> 1
    }
}

/// What is not at the head.
#[derive(Default)]
struct Deep {
    /// Positions on disk: from here...
    from: u64,
    /// ...up to, but not including, here.
    to: u64,
    /// How many of these positions hold a message.
    count: usize,
    /// What was asked for and has not come.
    loading: Option<Wanted>,
    tail: VecDeque<Arrived>,
    tail_bytes: usize,
}

/// Messages that leave memory, with their positions, in order.
pub(super) type Run = Vec<(u64, Message)>;

/// What a queue wants back from disk: positions from the first up to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) from: u64,
    pub(super) to: u64,
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

/// A queue that takes more bytes than this goes to disk, except for its windows.
pub(super) const WINDOW_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The same when the broker is short of memory.
pub(super) const WINDOW_BYTES_TIGHT: usize = 2 * 1024 * 1024;

/// Of the window this part stays at the head.
const HEAD_SHARE: usize = 4;

/// Runs of about this many bytes go to disk: one write each. Less than that never goes there.
pub(super) const RUN_BYTES: usize = 1024 * 1024;

impl Ready {
    /// What the store has after a restart.
    pub(super) fn on_disk(recovered: &Recovered) -> Self {
        let len = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let (next, count) = (recovered.next.max(1), len(recovered.count));
        let deep = Deep { from: recovered.first, to: next, count, ..Deep::default() };
        Self {
            deep: (count > 0).then(|| Box::new(deep)),
            next_position: next - 1,
            paged_to: next,
            body_bytes: len(recovered.body_bytes),
            ..Self::default()
        }
    }

    /// Adds a message at the end. Gives its position.
    #[inline]
    pub(super) fn push(&mut self, message: Message) -> u64 {
        self.next_position += 1;
        self.body_bytes += message.body_len();
        let bytes = footprint(&message);
        self.bytes += bytes;
        let arrived = Arrived { tagged: self.next_position << 1, message };
        match &mut self.deep {
            None => self.arrived.push_back(arrived),
            Some(deep) => {
                deep.tail_bytes += bytes;
                deep.tail.push_back(arrived);
            }
        }
        self.next_position
    }

    /// The message last added, if it is still there, is delivered as redelivered.
    pub(super) fn set_redelivered(&mut self, position: u64) {
        let last = match &mut self.deep {
            Some(deep) => deep.tail.back_mut(),
            None => self.arrived.back_mut(),
        };
        if let Some(last) = last.filter(|last| last.position() == position) {
            last.tagged |= 1;
        }
    }

    /// Puts a message back to its position.
    pub(super) fn put_back(&mut self, entry: Entry) {
        self.bytes += footprint(&entry.message);
        self.body_bytes += entry.message.body_len();
        self.returned.insert(entry.position, (entry.redelivered, entry.counts, entry.message));
    }

    /// Takes the first, if it is in memory.
    #[inline(always)] // an entry is four words: given by reference it costs a delivery 2 %
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let entry = if self.returned.is_empty() || self.arrived_is_first() {
            let arrived = self.arrived.pop_front()?;
            if self.arrived.is_empty() && self.arrived.capacity() > KEEP_SLOTS {
                self.arrived = VecDeque::new();
            }
            let (position, redelivered) = (arrived.position(), arrived.tagged & 1 == 1);
            Entry { position, redelivered, counts: DeliveryCounts::default(), message: arrived.message }
        } else {
            let (position, (redelivered, counts, message)) = self.returned.pop_first()?;
            Entry { position, redelivered, counts, message }
        };
        self.bytes -= footprint(&entry.message);
        self.body_bytes -= entry.message.body_len();
        Some(entry)
    }

    /// The first, which stays, if it is in memory.
    #[inline]
    pub(super) fn front(&self) -> Option<&Message> {
        if self.returned.is_empty() || self.arrived_is_first() {
            return self.arrived.front().map(|arrived| &arrived.message);
        }
        self.returned.first_key_value().map(|(_, (_, _, message))| message)
    }

    /// The position of the first, or one before it where that is on disk.
    pub(super) fn first_position(&self) -> u64 {
        let (arrived, returned) = (self.arrived.front().map(Arrived::position), self.returned.keys().next().copied());
        let in_memory = arrived.into_iter().chain(returned).min();
        in_memory.or_else(|| self.deep.as_ref().map(|deep| deep.from)).unwrap_or(u64::MAX)
    }

    /// The last position given.
    pub(super) fn last_position(&self) -> u64 {
        self.next_position
    }

    /// Positions given from now on come after this one.
    pub(super) fn go_on_after(&mut self, position: u64) {
        self.next_position = position;
    }

    /// How many there are, in memory and on disk.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.arrived.len() + self.returned.len() + self.deep.as_ref().map_or(0, |deep| deep.count + deep.tail.len())
    }

    /// Whether there is none.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.is_headless() && self.deep.is_none()
    }

    /// Whether [`Ready::pop`] gives nothing: what there is must come from disk first.
    #[inline]
    pub(super) fn is_headless(&self) -> bool {
        self.arrived.is_empty() && self.returned.is_empty()
    }

    /// What those in memory take there, about, in bytes.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of the bodies of all.
    #[inline]
    pub(super) fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// Whether some are on disk.
    #[inline]
    pub(super) fn is_deep(&self) -> bool {
        self.deep.is_some()
    }

    /// Removes all of them; positions go on. Gives what was in memory, and the ranges of positions of all.
    pub(super) fn clear(&mut self) -> (Self, Vec<(u64, u64)>) {
        let (next_position, paged_to) = (self.next_position, self.paged_to);
        let cleared = std::mem::take(self);
        (self.next_position, self.paged_to) = (next_position, paged_to);
        let ranges = cleared.ranges();
        (cleared, ranges)
    }

    /// The memory that the queue is charged for those in it, in bytes.
    pub(super) fn cost(&self) -> usize {
        let tail = self.deep.iter().flat_map(|deep| &deep.tail);
        let arrived = self.arrived.iter().chain(tail).map(|arrived| arrived.message.cost());
        arrived.chain(self.returned.values().map(|(_, _, message)| message.cost())).sum()
    }

    /// Takes out of memory what does not fit into a window of `window` bytes, a run at a time; none if it fits.
    pub(super) fn page_out(&mut self, window: usize) -> Option<Run> {
        let head_max = window / HEAD_SHARE;
        let deep = match &mut self.deep {
            Some(deep) if deep.tail_bytes <= head_max.max(RUN_BYTES) => return None,
            Some(deep) => deep,
            None if self.bytes <= window => return None,
            None => {
                let deep = Deep::behind(&mut self.arrived, head_max, self.paged_to)?;
                self.deep.insert(Box::new(deep))
            }
        };
        let mut run = Run::new();
        let mut bytes = 0;
        while bytes < RUN_BYTES
            && let Some(arrived) = deep.tail.pop_front()
        {
            bytes += footprint(&arrived.message);
            deep.to = arrived.position() + 1;
            run.push((arrived.position(), arrived.message));
        }
        deep.count += run.len();
        deep.tail_bytes -= bytes;
        self.paged_to = deep.to;
        self.bytes -= bytes;
        Some(run)
    }

    /// What to ask the disk for, if the head has no more than `low` bytes and nothing is on its way. It is on its way then.
    #[inline]
    pub(super) fn want(&mut self, low: usize) -> Option<Wanted> {
        let deep = self.deep.as_mut()?;
        if deep.loading.is_some() || self.bytes - deep.tail_bytes > low {
            return None;
        }
        deep.loading = Some(Wanted { from: deep.from, to: deep.to });
        deep.loading
    }

    /// What was wanted from position `from` on has come, in order: all that was there, or as much as was asked for. False if it is not
    /// wanted any more.
    pub(super) fn loaded(&mut self, from: u64, entries: Vec<Entry>) -> bool {
        let Some(deep) = &mut self.deep else { return false };
        let Some(wanted) = deep.loading.take_if(|wanted| wanted.from == from) else { return false };
        deep.from = entries.last().map_or(wanted.to, |last| last.position + 1);
        deep.count = if deep.from == deep.to { 0 } else { deep.count.saturating_sub(entries.len()) };
        for Entry { position, redelivered, counts, message } in entries {
            let redelivered = redelivered || message.failed() > 0;
            self.bytes += footprint(&message);
            if counts != DeliveryCounts::default() {
                self.returned.insert(position, (redelivered, counts, message));
                continue;
            }
            self.arrived.push_back(Arrived { tagged: position << 1 | u64::from(redelivered), message });
        }
        if deep.count == 0
            && let Some(mut deep) = self.deep.take()
        {
            self.arrived.append(&mut deep.tail);
        }
        true
    }

    /// The positions of all, in memory and on disk.
    pub(super) fn ranges(&self) -> Vec<(u64, u64)> {
        let tail = self.deep.iter().flat_map(|deep| &deep.tail);
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        let on_disk = self.deep.iter().filter(|deep| deep.count > 0).map(|deep| (deep.from, deep.to - 1));
        let returned = self.returned.keys().map(|position| (*position, *position));
        let arrived = self.arrived.iter().chain(tail).map(|arrived| (arrived.position(), arrived.position()));
        for (first, last) in returned.chain(arrived).chain(on_disk) {
            match ranges.last_mut() {
                Some((_, end)) if *end + 1 == first => *end = last,
                _ => ranges.push((first, last)),
            }
        }
        ranges
    }

    fn arrived_is_first(&self) -> bool {
        match (self.arrived.front(), self.returned.first_key_value()) {
            (Some(arrived), Some((returned, _))) => arrived.position() < *returned,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }
}

impl Deep {
    /// All that lies behind the first `head_max` bytes, but at least the first, and from position `from` on becomes the tail; none if that
    /// is nothing.
    fn behind(arrived: &mut VecDeque<Arrived>, head_max: usize, from: u64) -> Option<Self> {
        arrived.back().filter(|last| last.position() >= from)?;
        let mut bytes = 0;
        let head = arrived.iter().take_while(|arrived| {
            bytes += footprint(&arrived.message);
            bytes <= head_max
        });
        let head = head.count().max(arrived.partition_point(|arrived| arrived.position() < from)).max(1);
        if head >= arrived.len() {
            return None;
        }
        let tail = arrived.split_off(head);
        let from = tail.front().map_or(0, Arrived::position);
        let tail_bytes = tail.iter().map(|arrived| footprint(&arrived.message)).sum();
        Some(Self { from, to: from, tail, tail_bytes, ..Self::default() })
    }
}
