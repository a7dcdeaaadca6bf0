//! Queues, consumers and connections as the rules say, in plain lists that are searched from end to end.

use std::collections::{BTreeMap, BTreeSet};

use crate::broker::outbox::{DELIVERY_OVERHEAD, OUTBOX_BYTES_MAX};
use crate::broker::queue::pace::{BACKLOG_BYTES_BUFFERED, BACKLOG_BYTES_PACED};
use crate::broker::queue::{DeliveryCounts, Settlement, ready};

/// A message: its number and its sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) id: u64,
    pub(super) arrived: u64,
    pub(super) ttl: Option<u64>,
    pub(super) priority: Option<u8>,
    pub(super) wire: usize,
    pub(super) cost: usize,
}

/// A message with a consumer, or on its way there. Without a consumer it was got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) queue: usize,
    pub(super) consumer: Option<usize>,
    pub(super) channel: usize,
    pub(super) position: u64,
    pub(super) redelivered: bool,
    pub(super) counts: DeliveryCounts,
    pub(super) note: Note,
}

/// What a queue was declared with.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    pub(super) quorum: bool,
    pub(super) max_length: Option<usize>,
    pub(super) max_priority: u8,
    pub(super) ttl: Option<u64>,
    pub(super) delivery_limit: u32,
}

/// Where a ready message stands: first by rank, then by order.
type Stood = (u16, u64);

/// A ready message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    position: u64,
    redelivered: bool,
    counts: DeliveryCounts,
    pub(super) note: Note,
}

/// An unacked item that its connection has seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) item: Item,
    /// Settled by its channel, and not yet by its queue.
    pub(super) settling: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    InLine,
    AtPrefetch,
    AtLimit,
    Parked,
    Gone,
}

#[derive(Clone, Debug)]
pub(super) struct Consumer {
    pub(super) queue: usize,
    pub(super) channel: usize,
    pub(super) no_ack: bool,
    pub(super) prefetch: u32,
    pub(super) priority: i64,
    pub(super) exclusive: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    pub(super) ready: BTreeMap<Stood, Waiting>,
    pub(super) shape: Shape,
    last_position: u64,
    returns: u64,
    /// Consumers that may take a message, in the order of their turns.
    line: Vec<usize>,
    /// Consumers at their channel's limit, in the order in which they came to it.
    at_limit: Vec<usize>,
    /// Its backlog is so large that nobody is held back until it is gone.
    buffers: bool,
    held_back: Vec<usize>,
    pub(super) deleted: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Connection {
    pub(super) outbox: Vec<Item>,
    pub(super) parked: Vec<usize>,
    pub(super) released: bool,
}

/// All of it. Things are named by their indices.
#[derive(Default)]
pub(super) struct World {
    pub(super) now: u64,
    pub(super) queues: Vec<Queue>,
    pub(super) connections: Vec<Connection>,
    /// The connection of each channel, and its limit for all of its consumers.
    pub(super) channels: Vec<(usize, Option<u32>)>,
    pub(super) consumers: Vec<Consumer>,
    stands: Vec<Stand>,
    pub(super) held: Vec<Held>,
}

impl Queue {
    /// the rank of a message by its priority.
    fn rank(&self, note: &Note) -> u16 {
        let (default, max) = if self.shape.quorum { (4, 31) } else { (0, self.shape.max_priority) };
        1000 - u16::from(note.priority.map_or(default, |priority| priority.min(max)))
    }
}

/// Whether a delivery that ends so comes back to its queue.
pub(super) fn is_return(settlement: Settlement) -> bool {
    matches!(settlement, Settlement::Requeue | Settlement::RejectToQueue | Settlement::Lose)
}

impl World {
    pub(super) fn add_queue(&mut self, shape: Shape) {
        self.queues.push(Queue { shape, ..Queue::default() });
    }

    /// Time goes on.
    pub(super) fn pass(&mut self, ms: u64) {
        self.now += ms;
        (0..self.queues.len()).for_each(|q| self.dispatch(q));
    }

    /// Whether the publisher is to wait.
    pub(super) fn batch(&mut self, q: usize, notes: &[Note], settled: &[(Item, Settlement)], publisher: usize) -> bool {
        settled.iter().for_each(|(item, settlement)| self.settle(item, *settlement));
        if settled.iter().any(|(_, settlement)| is_return(*settlement)) {
            self.drop_head(q);
            self.expire(q, 0);
        }
        notes.iter().for_each(|note| self.push(q, *note));
        self.dispatch(q);
        let backlog = self.backlog(q);
        let consumers = self.live_consumers(q).count();
        let queue = &mut self.queues[q];
        queue.buffers |= !notes.is_empty() && backlog > BACKLOG_BYTES_BUFFERED;
        let wait = !notes.is_empty() && backlog > BACKLOG_BYTES_PACED && consumers > 0 && !queue.buffers;
        if wait && !queue.held_back.contains(&publisher) {
            queue.held_back.push(publisher);
        }
        wait
    }

    pub(super) fn consume(&mut self, consumer: Consumer) -> Option<usize> {
        let others: Vec<_> = self.live_consumers(consumer.queue).collect();
        let others = if self.queues[consumer.queue].shape.quorum { Vec::new() } else { others };
        if consumer.exclusive && !others.is_empty() || others.iter().any(|other| self.consumers[*other].exclusive) {
            return None;
        }
        let number = self.consumers.len();
        self.queues[consumer.queue].line.push(number);
        self.consumers.push(consumer);
        self.stands.push(Stand::InLine);
        Some(number)
    }

    pub(super) fn remove(&mut self, c: usize) {
        let q = self.consumers[c].queue;
        self.queues[q].line.retain(|other| *other != c);
        self.queues[q].at_limit.retain(|other| *other != c);
        self.stands[c] = Stand::Gone;
        self.dispatch(q);
    }

    pub(super) fn get(&mut self, q: usize, channel: usize, no_ack: bool) -> Option<Item> {
        self.expire(q, 0);
        let item = self.pop(q, None, channel);
        self.expire(q, 0);
        let item = item?;
        if !no_ack {
            self.held.push(Held { item, settling: false });
        }
        self.release(q);
        Some(item)
    }

    pub(super) fn take_back(&mut self, item: &Item) {
        self.put_back(item, Settlement::Lose);
        self.drop_head(item.queue);
        self.expire(item.queue, 0);
        self.dispatch(item.queue);
    }

    pub(super) fn purge(&mut self, q: usize) -> usize {
        let purged = std::mem::take(&mut self.queues[q].ready).len();
        self.release(q);
        purged
    }

    /// The consumers that are to be told.
    pub(super) fn delete(&mut self, q: usize) -> Vec<usize> {
        let told: Vec<_> = self.live_consumers(q).collect();
        told.iter().for_each(|c| self.stands[*c] = Stand::Gone);
        let queue = &mut self.queues[q];
        (queue.deleted, queue.line, queue.at_limit) = (true, Vec::new(), Vec::new());
        queue.ready.clear();
        self.release(q);
        told
    }

    /// The connection has emptied its outbox.
    pub(super) fn resume(&mut self, c: usize) {
        if self.stands[c] == Stand::Parked {
            self.join(c);
        }
        self.dispatch(self.consumers[c].queue);
    }

    pub(super) fn resume_channel(&mut self, c: usize) {
        let Consumer { queue, channel, .. } = self.consumers[c];
        if self.stands[c] == Stand::AtLimit {
            let of_channel = |c: &mut usize| self.consumers[*c].channel == channel;
            let joining: Vec<_> = self.queues[queue].at_limit.extract_if(.., of_channel).collect();
            joining.into_iter().for_each(|c| self.join(c));
        }
        self.dispatch(queue);
    }

    /// A new connection stands where one has ended. What was on its way to that one comes back.
    pub(super) fn replace_connection(&mut self, connection: usize) -> Vec<Item> {
        self.queues.iter_mut().for_each(|queue| queue.held_back.retain(|held| *held != connection));
        std::mem::take(&mut self.connections[connection]).outbox
    }

    pub(super) fn live_consumers(&self, q: usize) -> impl Iterator<Item = usize> {
        (0..self.consumers.len()).filter(move |c| self.consumers[*c].queue == q && self.is_live(*c))
    }

    pub(super) fn is_live(&self, c: usize) -> bool {
        self.stands[c] != Stand::Gone
    }

    /// Unacked items of a channel's consumers.
    pub(super) fn unacked_of_channel(&self, channel: usize) -> u32 {
        let held = self.held.iter().filter(|held| !held.settling).map(|held| &held.item);
        let unacked = held.chain(self.on_the_way());
        unacked.filter(|item| item.channel == channel && item.consumer.is_some()).count() as u32
    }

    /// Unacked items of a channel that no `live` consumer has.
    pub(super) fn unacked_of_ended(&self, channel: usize, live: &[usize]) -> u32 {
        let all = self.held.iter().map(|held| &held.item).chain(self.on_the_way());
        let ended = |item: &&Item| item.consumer.is_some_and(|consumer| !live.contains(&consumer));
        all.filter(|item| item.channel == channel).filter(ended).count() as u32
    }

    /// Unacked items of a queue.
    pub(super) fn unacked_of_queue(&self, q: usize) -> impl Iterator<Item = &Item> {
        self.held.iter().map(|held| &held.item).chain(self.on_the_way()).filter(move |item| item.queue == q)
    }

    /// How many consumers a client is told of: in a quorum queue also what was got, and who is gone and holds something.
    pub(super) fn told_consumers(&self, q: usize) -> usize {
        let live = self.live_consumers(q).count();
        if !self.queues[q].shape.quorum {
            return live;
        }
        let got = self.unacked_of_queue(q).filter(|item| item.consumer.is_none()).count();
        let holders: BTreeSet<usize> = self.unacked_of_queue(q).filter_map(|item| item.consumer).collect();
        live + got + holders.into_iter().filter(|c| !self.is_live(*c)).count()
    }

    /// Whether this consumer could take a message now, whatever line it stands in.
    pub(super) fn has_room(&self, c: usize) -> bool {
        !self.is_full(c) && !self.is_at_prefetch(c) && !self.is_at_limit(c)
    }

    fn dispatch(&mut self, q: usize) {
        while !self.queues[q].ready.is_empty()
            && let Some(c) = self.next(q)
        {
            self.expire(q, 1);
            if !self.queues[q].ready.is_empty() {
                self.turn(q, c);
            }
        }
        self.drop_head(q);
        self.expire(q, 0);
        self.release(q);
    }

    /// what is first of its rank goes when it has been over for so many milliseconds.
    fn expire(&mut self, q: usize, since: u64) {
        let now = self.now;
        let Queue { ready, shape, .. } = &mut self.queues[q];
        let is_over = |waiting: &Waiting| {
            let ttl = [shape.ttl, waiting.note.ttl].into_iter().flatten().min();
            ttl.is_some_and(|ttl| waiting.note.arrived + ttl + since <= now)
        };
        let mut rank = None;
        ready.retain(|(of, _), waiting| {
            let is_first = rank != Some(*of);
            let stays = !(is_first && is_over(waiting));
            if stays {
                rank = Some(*of);
            }
            stays
        });
    }

    /// Takes the first message for somebody.
    fn pop(&mut self, q: usize, consumer: Option<usize>, channel: usize) -> Option<Item> {
        let (_, Waiting { position, redelivered, counts, note }) = self.queues[q].ready.pop_first()?;
        Some(Item { queue: q, consumer, channel, position, redelivered, counts, note })
    }

    /// the first go when there are too many.
    fn drop_head(&mut self, q: usize) {
        let max = self.queues[q].shape.max_length.unwrap_or(usize::MAX);
        while self.queues[q].ready.len() > max {
            self.queues[q].ready.pop_first();
        }
    }

    /// the first in line among those of the highest priority.
    fn next(&self, q: usize) -> Option<usize> {
        let priority = |c: &usize| self.consumers[*c].priority;
        let line = &self.queues[q].line;
        let highest = line.iter().map(priority).max()?;
        line.iter().copied().find(|c| priority(c) == highest)
    }

    fn turn(&mut self, q: usize, c: usize) {
        self.queues[q].line.retain(|other| *other != c);
        let Consumer { channel, .. } = self.consumers[c];
        let connection = self.channels[channel].0;
        if self.is_full(c) {
            return self.park(c);
        }
        if self.is_at_prefetch(c) {
            self.stands[c] = Stand::AtPrefetch;
            return;
        }
        if self.is_at_limit(c) {
            self.stands[c] = Stand::AtLimit;
            return self.queues[q].at_limit.push(c);
        }
        let Some(item) = self.pop(q, Some(c), channel) else { return };
        self.connections[connection].outbox.push(item);
        if self.is_full(c) {
            self.park(c);
        } else if self.queues[q].shape.quorum && self.is_at_prefetch(c) {
            self.stands[c] = Stand::AtPrefetch;
        } else {
            self.queues[q].line.push(c);
        }
    }

    fn park(&mut self, c: usize) {
        self.stands[c] = Stand::Parked;
        self.connections[self.channels[self.consumers[c].channel].0].parked.push(c);
    }

    fn join(&mut self, c: usize) {
        self.stands[c] = Stand::InLine;
        self.queues[self.consumers[c].queue].line.push(c);
    }

    fn settle(&mut self, item: &Item, settlement: Settlement) {
        self.held.retain(|held| held.item != *item);
        if self.queues[item.queue].deleted {
            return;
        }
        if let Some(c) = item.consumer
            && self.stands[c] == Stand::AtPrefetch
            && !self.is_at_prefetch(c)
        {
            self.join(c);
        }
        if is_return(settlement) {
            self.put_back(item, settlement);
        }
    }

    /// back to its position, or behind what came back before, and marked; unless it failed too often.
    fn put_back(&mut self, item: &Item, settlement: Settlement) {
        let failed = u32::from(settlement != Settlement::Requeue);
        let counts = DeliveryCounts { acquired: item.counts.acquired + 1, failed: item.counts.failed + failed };
        let waiting = Waiting { position: item.position, redelivered: true, counts, note: item.note };
        let queue = &mut self.queues[item.queue];
        if queue.deleted || queue.shape.quorum && counts.failed > queue.shape.delivery_limit {
            return;
        }
        queue.returns += 1;
        let stood = if queue.shape.quorum { (0, queue.returns) } else { (queue.rank(&item.note), item.position) };
        queue.ready.insert(stood, waiting);
    }

    fn push(&mut self, q: usize, note: Note) {
        let queue = &mut self.queues[q];
        if !queue.deleted {
            queue.last_position += 1;
            let position = queue.last_position;
            let counts = DeliveryCounts::default();
            queue.ready.insert((queue.rank(&note), position), Waiting { position, redelivered: false, counts, note });
        }
    }

    fn release(&mut self, q: usize) {
        if self.backlog(q) <= BACKLOG_BYTES_PACED / 2 {
            self.queues[q].buffers = false;
            for publisher in std::mem::take(&mut self.queues[q].held_back) {
                self.connections[publisher].released = true;
            }
        }
    }

    fn backlog(&self, q: usize) -> usize {
        self.queues[q].ready.values().map(|waiting| waiting.note.wire + ready::ENTRY_BYTES).sum()
    }

    fn is_full(&self, c: usize) -> bool {
        let outbox = &self.connections[self.channels[self.consumers[c].channel].0].outbox;
        outbox.iter().map(|item| item.note.wire + DELIVERY_OVERHEAD).sum::<usize>() >= OUTBOX_BYTES_MAX
    }

    fn is_at_prefetch(&self, c: usize) -> bool {
        let Consumer { no_ack, prefetch, .. } = self.consumers[c];
        let of_consumer = |item: &&Item| item.consumer == Some(c);
        let held = self.held.iter().map(|held| &held.item).filter(of_consumer).count();
        !no_ack && prefetch > 0 && held + self.on_the_way().filter(of_consumer).count() >= prefetch as usize
    }

    fn is_at_limit(&self, c: usize) -> bool {
        let Consumer { channel, no_ack, .. } = self.consumers[c];
        !no_ack && self.channels[channel].1.is_some_and(|max| max > 0 && self.unacked_of_channel(channel) >= max)
    }

    /// Items in outboxes that will need an ack.
    fn on_the_way(&self) -> impl Iterator<Item = &Item> {
        let items = self.connections.iter().flat_map(|connection| &connection.outbox);
        items.filter(|item| item.consumer.is_none_or(|c| !self.consumers[c].no_ack))
    }
}
