//! What the frames of one read want of the queues, gathered so that each queue's lock is taken once.
//!
//! Only publishes and settlements are gathered; whatever else a client asks first flushes the batch, so that it sees their outcome.

use std::sync::Arc;

use crate::broker::{Effects, Hold, Message, Outbox, Queue, Refusable, Settled};

/// Handles in a batch before it is flushed in the middle of a read: bounds the memory of wide fan-outs.
const HANDLES_MAX: usize = 64 * 1024;

/// See the module. One per worker thread, empty between reads.
#[derive(Default)]
pub struct Batch {
    entries: Vec<Entry>,
    /// Entries in use; the rest keep their allocations for the next batch.
    used: usize,
    /// Where the last thing went: a run to one queue, or the same fan-out again, is found at once.
    last: usize,
    handles: usize,
    /// Entry of each queue by its key, valid where the epoch is this batch's: a batch is of one connection, so of one vhost.
    by_key: Vec<(u32, u32)>,
    epoch: u32,
    /// A queue may refuse something of it.
    refusable: bool,
    /// Publishes that a queue has refused: the channel, and which of its publishes.
    refused: Vec<(u16, u64)>,
    /// Channels with publishes to confirm.
    confirming: Vec<u16>,
    /// Channels whose limit of unacked messages has room again.
    resuming: Vec<u16>,
}

#[derive(Default)]
struct Entry {
    queue: Option<Arc<Queue>>,
    messages: Vec<Message>,
    settled: Vec<Settled>,
    refusable: Vec<Refusable>,
}

impl Batch {
    /// Adds a message for a queue; `publish` tells which of its channel's it is, should the queue refuse it.
    #[inline]
    pub fn publish(&mut self, queue: &Arc<Queue>, message: Message, channel: u16, publish: u64) {
        self.handles += 1;
        let may_refuse = queue.may_refuse();
        let entry = self.entry(queue);
        if may_refuse {
            entry.refusable.push(Refusable { place: entry.messages.len(), channel, publish });
        }
        entry.messages.push(message);
        self.refusable |= may_refuse;
    }

    /// Whether a queue may refuse something of it. Then it must be applied before anything is settled, which may make room.
    #[inline]
    pub fn may_be_refused(&self) -> bool {
        self.refusable
    }

    /// What has been refused since this was last asked: channels, and which of their publishes, in order, each once.
    pub fn take_refused(&mut self) -> Vec<(u16, u64)> {
        let mut refused = std::mem::take(&mut self.refused);
        refused.sort_unstable();
        refused.dedup();
        refused
    }

    /// Adds a settled delivery of a queue.
    #[inline]
    pub fn settle(&mut self, queue: &Arc<Queue>, settled: Settled) {
        self.handles += 1;
        self.entry(queue).settled.push(settled);
    }

    /// The channel has a publish to confirm when the batch is flushed.
    #[inline]
    pub fn confirm(&mut self, channel: u16) {
        if self.confirming.last() != Some(&channel) {
            self.confirming.push(channel);
        }
    }

    /// The channel's limit has room again: its consumers go on when the batch is flushed.
    pub fn resume(&mut self, channel: u16) {
        if self.resuming.last() != Some(&channel) {
            self.resuming.push(channel);
        }
    }

    /// Whether it must be flushed before more is added.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.handles >= HANDLES_MAX
    }

    /// Whether nothing is in it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.used == 0 && self.confirming.is_empty() && self.resuming.is_empty()
    }

    /// Hands everything to the queues. Gives the hold of one of them that wants this publisher to wait.
    pub fn apply(&mut self, publisher: &Arc<Outbox>, fx: &mut Effects) -> Option<Hold> {
        let mut hold = None;
        for entry in &mut self.entries[..self.used] {
            if let Some(queue) = entry.queue.take() {
                let Entry { messages, settled, refusable, .. } = entry;
                hold = queue.take_batch(messages, settled, refusable, publisher, fx).or(hold);
                self.refused.extend(refusable.drain(..).map(|refused| (refused.channel, refused.publish)));
            }
        }
        self.refusable = false;
        (self.used, self.last, self.handles) = (0, 0, 0);
        self.epoch = self.epoch.wrapping_add(1);
        hold
    }

    /// The channels to be told of their confirms, after [`Batch::apply`].
    pub fn take_confirming(&mut self) -> Vec<u16> {
        std::mem::take(&mut self.confirming)
    }

    /// The channels whose consumers are to go on, after [`Batch::apply`].
    pub fn take_resuming(&mut self) -> Vec<u16> {
        std::mem::take(&mut self.resuming)
    }

    /// Gives the list of [`Batch::take_confirming`] back, for its allocation.
    pub fn reuse_confirming(&mut self, mut channels: Vec<u16>) {
        channels.clear();
        self.confirming = channels;
    }

    #[inline]
    fn entry(&mut self, queue: &Arc<Queue>) -> &mut Entry {
        let at = self.position(queue);
        self.last = at;
        &mut self.entries[at]
    }

    #[inline]
    fn position(&mut self, queue: &Arc<Queue>) -> usize {
        let is = |entry: &Entry| entry.queue.as_ref().is_some_and(|known| Arc::ptr_eq(known, queue));
        let used = &self.entries[..self.used];
        if used.get(self.last).is_some_and(is) {
            return self.last;
        }
        if used.get(self.last + 1).is_some_and(is) {
            return self.last + 1;
        }
        let key = queue.key.0 as usize;
        if self.by_key.len() <= key {
            self.by_key.resize(key + 1, (0, 0));
        }
        if let (epoch, at) = self.by_key[key]
            && epoch == self.epoch
            && used.get(at as usize).is_some_and(is)
        {
            return at as usize;
        }
        self.by_key[key] = (self.epoch, self.used as u32);
        if self.used == self.entries.len() {
            self.entries.push(Entry::default());
        }
        self.entries[self.used].queue = Some(queue.clone());
        self.used += 1;
        self.used - 1
    }
}
