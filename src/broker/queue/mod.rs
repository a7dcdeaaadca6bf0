//! A queue: messages in order, the consumers that share them, and who holds what unacked.
//!
//! All its state stands behind one lock. Whoever holds it hands messages straight to the outboxes of consumers that can take them.
//! Lock order: vhost tables, then one queue, then one outbox, then the journal. Never two queues at once.

mod consumers;
mod disk;
mod limits;
mod pacing;
mod ready;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use parking_lot::Mutex;

pub use consumers::{ChannelLimit, ConsumerKey, Subscriber};
pub use disk::{OnDisk, Recovered};
pub use pacing::Hold;
pub use ready::Entry;

use self::consumers::Consumers;
use self::disk::{Log, Paging};
use self::limits::Limits;
use self::ready::{Ready, footprint};
use super::connection::ConnectionId;
use super::effects::Effects;
use super::memory::Memory;
use super::message::Message;
use super::outbox::{Delivery, Outbox};
use super::topology::QueueKey;
use crate::broker::arguments::QueueSettings;

/// Deliveries under one hold of a queue's lock; then others get their turn.
const DISPATCH_MAX: usize = 512;

/// See the module.
pub struct Queue {
    /// Its name.
    pub name: Box<str>,
    /// The key under which its vhost and the topology know it.
    pub key: QueueKey,
    /// Its properties and arguments.
    pub settings: QueueSettings,
    /// The connection it belongs to, if it is exclusive.
    pub owner: Option<ConnectionId>,
    limits: Option<Limits>,
    memory: Arc<Memory>,
    disk: Option<OnDisk>,
    state: Mutex<State>,
}

struct State {
    ready: Ready,
    consumers: Consumers,
    unacked: usize,
    /// Memory charged to the broker's account for ready and unacked messages, in bytes.
    charged: usize,
    /// It has had a consumer, so that the last one's leaving deletes an auto-delete queue.
    had_consumer: bool,
    /// Bytes delivered, in all.
    delivered: u64,
    /// Consumers keep up, as far as is known: publishers may be held back.
    paced: bool,
    held_back: Vec<Arc<Outbox>>,
    paging: Paging,
    deleted: bool,
}

/// How a delivery is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Done with.
    Ack,
    /// Rejected for good.
    Discard,
    /// Back to its position, to be delivered again.
    Requeue,
}

/// A delivery that a channel held unacked.
pub struct Settled {
    /// The consumer that had it, if it is still there.
    pub consumer: Option<ConsumerKey>,
    /// What becomes of it.
    pub settlement: Settlement,
    /// The message at its position.
    pub entry: Entry,
}

/// Why a consumer was refused.
#[derive(Debug, PartialEq, Eq)]
pub enum ConsumeError {
    /// An exclusive consumer is there, or an exclusive one was asked for beside others (S-05).
    ExclusiveUse,
    /// The queue was deleted meanwhile.
    Deleted,
}

/// Why a queue was not deleted.
#[derive(Debug, PartialEq, Eq)]
pub enum DeleteRefused {
    /// `if-unused`, and it has consumers.
    InUse,
    /// `if-empty`, and it has ready messages.
    NotEmpty,
    /// Somebody else was faster.
    Deleted,
}

/// What was left in a deleted queue. Dropping it frees the messages, which takes its time when there are many: not under a lock.
pub struct Remains {
    ready: Ready,
    /// Messages that were unacked.
    pub unacked: usize,
}

impl Remains {
    /// Messages that were ready.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }
}

/// Ready messages and consumers of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Messages ready for delivery.
    pub ready: usize,
    /// Delivered and not settled.
    pub unacked: usize,
    /// Consumers.
    pub consumers: usize,
}

impl Queue {
    /// A queue with what the store has of it, or an empty one. Without `disk` it lives in memory alone.
    pub fn new(
        name: Box<str>,
        key: QueueKey,
        settings: QueueSettings,
        owner: Option<ConnectionId>,
        memory: Arc<Memory>,
        disk: Option<OnDisk>,
        recovered: Option<Recovered>,
    ) -> Self {
        let state = State {
            ready: recovered.map_or_else(Ready::default, Recovered::ready),
            consumers: Consumers::default(),
            unacked: 0,
            charged: 0,
            had_consumer: false,
            delivered: 0,
            paced: true,
            held_back: Vec::new(),
            paging: Paging::default(),
            deleted: false,
        };
        let limits = Limits::of(&settings);
        Self { name, key, settings, owner, limits, memory, disk, state: Mutex::new(state) }
    }

    /// Takes a batch: adds `messages`, applies `settled`, delivers. Both lists are left empty. A hold tells that the
    /// publisher should not be read until its outbox is released or the hold has lasted its time.
    pub fn take_batch(
        self: &Arc<Self>,
        messages: &mut Vec<Message>,
        settled: &mut Vec<Settled>,
        publisher: &Arc<Outbox>,
        fx: &mut Effects,
    ) -> Option<Hold> {
        let mut state = self.state.lock();
        let charged = state.charged;
        let published = !messages.is_empty();
        let mut log = Log::of(self);
        state.publish(messages, log.as_mut());
        state.settle(settled, log.as_mut());
        let (logged, log_is_behind) = log.map_or((0, false), Log::finish);
        fx.logged(logged);
        state.dispatch(self, fx);
        let for_disk = published && self.waits_for_disk(&mut state, log_is_behind, publisher);
        let delivered = (for_disk || published && state.hold_back(publisher)).then_some(state.delivered);
        let change = state.charged as i64 - charged as i64;
        drop(state);
        self.memory.add(change, fx);
        delivered.map(|delivered| Hold::new(self, for_disk, delivered))
    }

    /// Whether it may refuse a message, so that its publisher must be told (P-06): then [`Queue::offer`] is the way to publish.
    #[inline]
    pub fn may_refuse(&self) -> bool {
        self.limits.is_some_and(|limits| limits.refuses())
    }

    /// Adds one message unless that is too many. False if it was refused.
    pub fn offer(self: &Arc<Self>, message: Message, fx: &mut Effects) -> bool {
        let (taken, logged) = self.change(fx, |state| {
            if self.limits.is_some_and(|limits| limits.would_exceed(&state.ready, message.body_len())) {
                return (false, 0);
            }
            let mut log = Log::of(self);
            state.publish(&mut vec![message], log.as_mut());
            (true, log.map_or(0, |log| log.finish().0))
        });
        fx.logged(logged);
        taken
    }

    /// Delivers what can be delivered.
    pub fn dispatch(self: &Arc<Self>, fx: &mut Effects) {
        self.change(fx, |_| ());
    }

    /// The outbox of this consumer has room again.
    pub fn resume(self: &Arc<Self>, consumer: ConsumerKey, fx: &mut Effects) {
        self.change(fx, |state| state.consumers.resume(consumer));
    }

    /// The limit of this consumer's channel has room again, for it and the channel's others.
    pub fn resume_channel(self: &Arc<Self>, consumer: ConsumerKey, fx: &mut Effects) {
        self.change(fx, |state| state.consumers.resume_channel(consumer));
    }

    /// Adds a consumer. Deliveries to it begin with the next [`Queue::dispatch`], so that consume-ok comes before them (S-06).
    pub fn add_consumer(&self, subscriber: Subscriber) -> Result<ConsumerKey, ConsumeError> {
        let mut state = self.state.lock();
        if state.deleted {
            return Err(ConsumeError::Deleted);
        }
        if state.consumers.has_exclusive() || subscriber.exclusive && state.consumers.len() > 0 {
            return Err(ConsumeError::ExclusiveUse);
        }
        state.had_consumer = true;
        Ok(state.consumers.add(subscriber))
    }

    /// Removes a consumer; what it holds unacked stays unacked. True if the queue must be deleted now, being auto-delete.
    pub fn remove_consumer(self: &Arc<Self>, consumer: ConsumerKey, fx: &mut Effects) -> bool {
        let unused = self.change(fx, |state| {
            state.consumers.remove(consumer).is_some()
                && state.consumers.len() == 0
                && state.had_consumer
                && !state.deleted
        });
        unused && self.settings.auto_delete
    }

    /// Puts a consumer under a limit that its channel has set after it began.
    pub fn set_channel_limit(&self, consumer: ConsumerKey, limit: Arc<ChannelLimit>) {
        self.state.lock().consumers.set_channel_limit(consumer, limit);
    }

    /// Takes the first message, if there is one, and tells how many are left (S-11). With `no_ack` it is gone, otherwise unacked.
    pub fn get(&self, no_ack: bool, fx: &mut Effects) -> Option<(Entry, usize)> {
        let mut state = self.state.lock();
        let entry = state.ready.pop()?;
        let mut change = 0;
        if no_ack {
            change = -(entry.message.cost() as i64);
            state.charged = state.charged.saturating_sub(entry.message.cost());
            if let Some(mut log) = Log::of(self) {
                log.settle(entry.position, &entry.message);
            }
        } else {
            state.unacked += 1;
            state.paging.delivered(entry.position);
            self.log_delivered(&mut state);
        }
        let left = state.ready.len();
        self.fetch(&mut state);
        state.release_publishers(fx);
        drop(state);
        self.memory.add(change, fx);
        Some((entry, left))
    }

    /// Takes back a delivery that was never sent: its connection ended first. One that needed no ack is not lost either.
    pub fn take_back(self: &Arc<Self>, entry: Entry, no_ack: bool, fx: &mut Effects) {
        self.change(fx, |state| {
            if !no_ack {
                state.unacked -= 1;
            }
            if state.deleted {
                let cost = if no_ack { 0 } else { entry.message.cost() };
                state.charged = state.charged.saturating_sub(cost);
                return;
            }
            if no_ack {
                state.charged += entry.message.cost();
            }
            state.ready.put_back(Entry { redelivered: true, ..entry });
        });
    }

    /// Drops the ready messages and tells how many there were (M-11).
    pub fn purge(&self, fx: &mut Effects) -> usize {
        let mut state = self.state.lock();
        let (purged, ranges) = state.ready.clear();
        self.forget_ranges(&ranges, purged.body_bytes() as u64, purged.is_deep(), fx);
        let cost = purged.cost();
        state.charged = state.charged.saturating_sub(cost);
        state.release_publishers(fx);
        drop(state);
        self.memory.add(-(cost as i64), fx);
        purged.len()
    }

    /// Ends the queue, if the conditions hold. `unless_used` and `unless_filled` are the method's if-unused and if-empty (M-12).
    pub fn delete(&self, unless_used: bool, unless_filled: bool, fx: &mut Effects) -> Result<Remains, DeleteRefused> {
        let mut state = self.state.lock();
        if state.deleted {
            return Err(DeleteRefused::Deleted);
        }
        if unless_filled && !state.ready.is_empty() {
            return Err(DeleteRefused::NotEmpty);
        }
        if unless_used && state.consumers.len() > 0 {
            return Err(DeleteRefused::InUse);
        }
        state.deleted = true;
        let (ready, _) = state.ready.clear();
        self.discard_all();
        state.charged = state.charged.saturating_sub(ready.cost());
        for consumer in state.consumers.drain() {
            // Under the lock, so that it comes before anything that a later consumer of the same channel gets.
            if consumer.outbox.cancelled(consumer.channel, consumer.subscription) {
                fx.wake(consumer.outbox);
            }
        }
        state.release_publishers(fx);
        let unacked = state.unacked;
        drop(state);
        self.memory.add(-(ready.cost() as i64), fx);
        Ok(Remains { ready, unacked })
    }

    /// Whether it is gone; names and keys may belong to another queue then.
    pub fn is_deleted(&self) -> bool {
        self.state.lock().deleted
    }

    /// The counts at this moment.
    pub fn counts(&self) -> Counts {
        let state = self.state.lock();
        Counts { ready: state.ready.len(), unacked: state.unacked, consumers: state.consumers.len() }
    }

    /// Memory charged for it, in bytes.
    pub fn charged(&self) -> usize {
        self.state.lock().charged
    }

    /// Runs a change under the lock, then delivers what can be delivered.
    fn change<T>(self: &Arc<Self>, fx: &mut Effects, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let charged = state.charged;
        let result = change(&mut state);
        state.dispatch(self, fx);
        let change = state.charged as i64 - charged as i64;
        drop(state);
        self.memory.add(change, fx);
        result
    }
}

impl State {
    fn publish(&mut self, messages: &mut Vec<Message>, log: Option<&mut Log<'_>>) {
        if self.deleted {
            messages.clear();
            return;
        }
        let Some(log) = log else {
            for message in messages.drain(..) {
                self.charged += message.cost();
                self.ready.push(message);
            }
            return;
        };
        for message in messages.drain(..) {
            self.charged += message.cost();
            log.publish(self.ready.next_position(), &message);
            self.ready.push(message);
        }
    }

    fn settle(&mut self, settled: &mut Vec<Settled>, mut log: Option<&mut Log<'_>>) {
        for Settled { consumer, settlement, entry } in settled.drain(..) {
            self.unacked -= 1;
            if let Some(consumer) = consumer {
                self.consumers.settled(consumer, 1);
            }
            match settlement {
                Settlement::Ack | Settlement::Discard => {
                    self.charged = self.charged.saturating_sub(entry.message.cost());
                    if let Some(log) = log.as_mut().filter(|_| !self.deleted) {
                        log.settle(entry.position, &entry.message);
                    }
                }
                Settlement::Requeue if self.deleted => self.charged = self.charged.saturating_sub(entry.message.cost()),
                Settlement::Requeue => self.ready.put_back(Entry { redelivered: true, ..entry }),
            }
        }
    }

    fn dispatch(&mut self, queue: &Arc<Queue>, fx: &mut Effects) {
        let mut budget = DISPATCH_MAX;
        let mut finished = true;
        while !self.ready.is_headless() {
            let Some(consumer) = self.consumers.next() else { break };
            if budget == 0 {
                fx.go_on(queue.clone());
                finished = false;
                break;
            }
            let turn = if self.consumers.takes_turns() { 1 } else { budget };
            budget -= self.deliver(queue, consumer, turn, fx).min(budget);
        }
        if let Some(limits) = queue.limits
            && finished
        {
            self.drop_head(limits, queue);
        }
        queue.log_delivered(self);
        queue.page_out(self);
        queue.fetch(self);
        self.release_publishers(fx);
    }

    /// Drops the oldest messages beyond the limits; there is nobody to take them.
    fn drop_head(&mut self, limits: Limits, queue: &Queue) {
        let mut log = Log::of(queue);
        while limits.exceeded(&self.ready) {
            let Some(Entry { position, message, .. }) = self.ready.pop() else { return };
            self.charged = self.charged.saturating_sub(message.cost());
            if let Some(log) = &mut log {
                log.settle(position, &message);
            }
        }
    }

    /// Delivers up to `max` messages to the consumer whose turn it is and ends its turn. Tells how much of the budget that took.
    fn deliver(&mut self, queue: &Arc<Queue>, key: ConsumerKey, max: usize, fx: &mut Effects) -> usize {
        let Some(subscriber) = self.consumers.subscriber(key) else { return 1 };
        let (channel, subscription, no_ack) = (subscriber.channel, subscriber.subscription, subscriber.no_ack);
        let outbox = subscriber.outbox.clone();
        let mut run = outbox.deliver();
        let mut log = Log::of(queue);
        let mut delivered = 0;
        while delivered < max && !self.ready.is_headless() && run.has_room() && self.consumers.take_credit(key) {
            let Some(Entry { position, redelivered, message }) = self.ready.pop() else { break };
            self.delivered += footprint(&message) as u64;
            if no_ack {
                self.charged = self.charged.saturating_sub(message.cost());
                if let Some(log) = &mut log {
                    log.settle(position, &message);
                }
            } else {
                self.unacked += 1;
                self.paging.delivered(position);
            }
            run.push(Delivery { channel, redelivered, subscription, position, message });
            delivered += 1;
        }
        let offered = run.finish(queue, key, delivered > 0);
        self.consumers.end_turn(key, offered.full);
        if offered.wake {
            fx.wake(outbox);
        }
        delivered.max(1)
    }
}
