//! A queue: messages in order, the consumers that share them, and who holds what unacked.
//!
//! All its state stands behind one lock. Whoever holds it hands messages straight to the outboxes of consumers that can take them.
//! Lock order: vhost tables, then one queue, then an outbox or the journal. Never two queues at once.

mod active_consumer;
mod answers;
mod consumers;
mod delivery_counts;
mod disk;
mod dispatch;
mod dying;
mod expiry;
mod lanes;
mod limits;
mod pace;
mod ready;
mod refusal;
mod removal;
mod rules;
mod settlement;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

pub use answers::Counts;
pub(super) use answers::{ConsumeError, DeleteRefused};
pub use consumers::{ChannelLimit, ConsumerKey, Subscriber};
pub use delivery_counts::DeliveryCounts;
pub use disk::{OnDisk, Recovered};
pub use lanes::Lane;
pub use pace::Hold;
pub use ready::Entry;
pub use refusal::Refusable;
pub use settlement::{Settled, Settlement};

use self::consumers::Consumers;
use self::disk::{Log, Paging};
use self::dying::Stuck;
use self::expiry::{EXPIRE_MAX, End};
use self::lanes::Lanes;
use self::rules::Rules;
use super::compat::Compat;
use super::connection::ConnectionId;
use super::effects::Effects;
use super::memory::Memory;
use super::message::Message;
use super::moment::Moment;
use super::outbox::Outbox;
use super::policy::QueuePolicy;
use super::timers::{TimerKey, Timers};
use super::topology::QueueKey;
use super::vhost::VHost;
use crate::broker::arguments::QueueSettings;

/// What a queue stands in.
pub struct Home {
    /// The account that messages are charged to.
    pub memory: Arc<Memory>,
    /// Where it says when it has to look at the time.
    pub timers: Arc<Timers>,
    /// Its vhost, which publishes its dead letters.
    pub vhost: Weak<VHost>,
    /// The line of RabbitMQ to follow.
    pub compat: Compat,
}

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
    home: Arc<Home>,
    timer: TimerKey,
    /// It may refuse a message.
    refuses: AtomicBool,
    disk: Option<OnDisk>,
    state: Mutex<State>,
}

struct State {
    rules: Rules,
    ready: Lanes,
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
    deleted: bool,
    /// A message with a time to live of its own has come.
    mortal: bool,
    /// Time does something to this queue.
    timed: bool,
    /// What messages live at most that came before a moment, the oldest first.
    earlier_ttls: Vec<(Moment, Option<u64>)>,
    /// The moment registered with the timers.
    scheduled: Moment,
    /// When it was last used.
    used: Moment,
    /// Returned messages that have to wait, by the end of that.
    delayed: BTreeMap<(Moment, u64), Entry>,
    /// Dead letters that no other queue has yet.
    stuck: Option<Box<Stuck>>,
    /// Unacked messages taken by basic.get; on a quorum queue each counts as a consumer.
    got: usize,
    /// None if nothing of it survives a restart.
    log: Option<Box<Log>>,
    /// What is on its way to and from disk, and who waits for that.
    paging: Option<Box<Paging>>,
    /// It cannot be read; nothing of it comes any more.
    failed: bool,
}

/// How a queue begins.
pub struct Begin<'a> {
    /// The policies that apply to it.
    pub policy: &'a QueuePolicy,
    /// When it begins.
    pub now: Moment,
    /// What ties it to the store; without it, it lives in memory alone.
    pub disk: Option<OnDisk>,
    /// What the store has of its lanes.
    pub recovered: Vec<(Lane, Recovered)>,
    /// Until when policies gave messages another time to live, of what the store has.
    pub earlier_ttls: Vec<(Moment, Option<u64>)>,
}

impl Queue {
    /// A queue with what the store has of it, or an empty one.
    pub fn new(
        name: Box<str>,
        key: QueueKey,
        settings: QueueSettings,
        owner: Option<ConnectionId>,
        home: Arc<Home>,
        begin: Begin<'_>,
    ) -> Self {
        let Begin { policy, now, disk, recovered, earlier_ttls } = begin;
        let rules = Rules::of(&settings, policy, home.compat);
        let refuses = rules.limits.is_some_and(|limits| limits.refuses());
        let timed = rules.message_ttl_ms.is_some() || rules.expires_ms.is_some() || !earlier_ttls.is_empty();
        let log = Log::of(disk.as_ref(), recovered.iter().map(|(lane, _)| *lane));
        let mut ready = match rules.quorum {
            true => Lanes::quorum(home.compat.quorum_priorities()),
            false => Lanes::classic(settings.max_priority.unwrap_or(0)),
        };
        recovered.into_iter().for_each(|(lane, recovered)| ready.recover(lane, recovered));
        let state = State {
            ready,
            consumers: Consumers::new(rules.quorum, settings.single_active_consumer),
            rules,
            unacked: 0,
            charged: 0,
            had_consumer: false,
            delivered: 0,
            paced: true,
            held_back: Vec::new(),
            deleted: false,
            mortal: false,
            timed,
            earlier_ttls,
            scheduled: Moment::NEVER,
            used: now,
            delayed: BTreeMap::new(),
            stuck: None,
            got: 0,
            log,
            paging: None,
            failed: false,
        };
        let timer = home.timers.key();
        let refuses = AtomicBool::new(refuses);
        Self { name, key, settings, owner, home, timer, refuses, disk, state: Mutex::new(state) }
    }

    /// Its vhost, while that is there.
    pub(super) fn vhost(&self) -> Option<Arc<VHost>> {
        self.home.vhost.upgrade()
    }

    /// Goes by other policies from now on (B-07). Whether [`Queue::earlier_ttls`] have changed.
    pub(super) fn set_policy(self: &Arc<Self>, policy: &QueuePolicy, fx: &mut Effects) -> bool {
        let rules = Rules::of(&self.settings, policy, self.home.compat);
        if self.state.lock().rules == rules {
            return false;
        }
        self.refuses.store(rules.limits.is_some_and(|limits| limits.refuses()), Ordering::Relaxed);
        self.change(fx, |state, fx| {
            let another_ttl = state.rules.message_ttl_ms != rules.message_ttl_ms;
            let changed = another_ttl && state.keep_ttl_until(fx.now(), state.rules.message_ttl_ms);
            state.rules = rules;
            state.set_timed();
            changed
        })
    }

    /// Takes a batch: applies `settled`, adds `messages` but those of `refusable` that are too many, delivers. The first two lists are left
    /// empty, the third with what was refused. A hold tells that the publisher should not be read until its outbox is released or the
    /// hold has lasted its time.
    pub fn take_batch(
        self: &Arc<Self>,
        messages: &mut Vec<Message>,
        settled: &mut Vec<Settled>,
        refusable: &mut Vec<Refusable>,
        publisher: &Arc<Outbox>,
        fx: &mut Effects,
    ) -> Option<Hold> {
        let mut state = self.state.lock();
        let charged = state.charged;
        let published = !messages.is_empty();
        if !settled.is_empty() {
            state.settle(self, settled, fx);
        }
        match refusable.is_empty() {
            true => state.publish(messages),
            false => state.publish_or_refuse(self, messages, refusable, fx),
        }
        state.dispatch(self, fx);
        let log_is_behind = self.keep_up(&mut state, fx);
        let for_disk = published && self.waits_for_disk(&mut state, log_is_behind, publisher);
        let delivered = (for_disk || published && state.hold_back(publisher)).then_some(state.delivered);
        let change = state.charged as i64 - charged as i64;
        drop(state);
        self.home.memory.add(change, fx);
        delivered.map(|delivered| Hold::new(self, for_disk, delivered))
    }

    /// Whether it may refuse a message, so that its publisher must be told (P-06).
    #[inline]
    pub fn may_refuse(&self) -> bool {
        self.refuses.load(Ordering::Relaxed)
    }

    /// Adds dead letters of other queues.
    pub(super) fn accept(self: &Arc<Self>, messages: &mut Vec<Message>, fx: &mut Effects) {
        self.change(fx, |state, fx| state.take_letters(self, messages, fx));
    }

    /// Delivers what can be delivered.
    pub fn dispatch(self: &Arc<Self>, fx: &mut Effects) {
        self.change(fx, |_, _| ());
    }

    /// The outbox of this consumer has room again.
    pub fn resume(self: &Arc<Self>, consumer: ConsumerKey, fx: &mut Effects) {
        self.change(fx, |state, _| state.consumers.resume(consumer));
    }

    /// The limit of this consumer's channel has room again, for it and the channel's others.
    pub fn resume_channel(self: &Arc<Self>, consumer: ConsumerKey, fx: &mut Effects) {
        self.change(fx, |state, _| state.consumers.resume_channel(consumer));
    }

    /// Adds a consumer. Deliveries to it begin with the next [`Queue::dispatch`], so that consume-ok comes before them (S-06).
    pub fn add_consumer(&self, subscriber: Subscriber) -> Result<ConsumerKey, ConsumeError> {
        let mut state = self.state.lock();
        if state.deleted {
            return Err(ConsumeError::Deleted);
        }
        // A quorum queue knows no exclusive consumers; a single active one is never exclusive.
        let exclusive = state.consumers.has_exclusive() || subscriber.exclusive && state.consumers.len() > 0;
        if !state.rules.quorum && (exclusive || subscriber.exclusive && state.consumers.is_single()) {
            return Err(ConsumeError::ExclusiveUse);
        }
        state.had_consumer = true;
        Ok(state.consumers.add(subscriber))
    }

    /// Removes a consumer; what it holds unacked stays unacked. True if the queue must be deleted now, being auto-delete.
    pub fn remove_consumer(self: &Arc<Self>, consumer: ConsumerKey, fx: &mut Effects) -> bool {
        let unused = self.change(fx, |state, fx| {
            state.touch(fx.now());
            state.consumers.remove(consumer) && state.consumers.len() == 0 && state.had_consumer && !state.deleted
        });
        unused && self.settings.auto_delete
    }

    /// The channel of a consumer ends. True if it must be removed later, when the queue has back what it holds: with a single active
    /// consumer the next one gets that first.
    pub fn leave(&self, consumer: ConsumerKey) -> bool {
        if self.settings.single_active_consumer {
            self.state.lock().consumers.leave(consumer);
        }
        self.settings.single_active_consumer
    }

    /// The consumer gets nothing any more, but stays until it is cancelled or taken back.
    pub fn give_up_consumer(self: &Arc<Self>, consumer: ConsumerKey, fx: &mut Effects) {
        self.change(fx, |state, _| state.consumers.give_up(consumer));
    }

    /// The consumer that was given up gets messages again.
    pub fn take_consumer_back(self: &Arc<Self>, consumer: ConsumerKey, fx: &mut Effects) {
        self.change(fx, |state, _| state.consumers.take_back(consumer));
    }

    /// Milliseconds that a consumer may hold a delivery, if there is a limit.
    pub fn consumer_timeout_ms(&self) -> Option<u64> {
        self.state.lock().rules.consumer_timeout_ms
    }

    /// Puts a consumer under a limit that its channel has set after it began.
    pub fn set_channel_limit(&self, consumer: ConsumerKey, limit: Arc<ChannelLimit>) {
        self.state.lock().consumers.set_channel_limit(consumer, limit);
    }

    /// Takes the first message, if there is one, and tells how many are left (S-11), when [`Queue::makes_wait`] says no. With `no_ack` it is gone, otherwise unacked.
    pub fn get(self: &Arc<Self>, no_ack: bool, fx: &mut Effects) -> Option<(Entry, usize)> {
        let mut state = self.state.lock();
        let charged = state.charged;
        state.touch(fx.now());
        if state.is_timed() {
            state.end_delays(fx.now());
            state.expire(self, End::Reached, &mut EXPIRE_MAX.clone(), fx);
        }
        let entry = state.ready.pop();
        match &entry {
            Some(entry) if no_ack => state.gone(entry),
            Some(entry) => {
                state.unacked += 1;
                state.got += 1;
                state.note_delivered(entry);
            }
            None => {}
        }
        if state.is_timed() {
            state.expire(self, End::Reached, &mut EXPIRE_MAX.clone(), fx);
            state.expire(self, End::Reached, &mut EXPIRE_MAX.clone(), fx);
            state.schedule(self, fx);
        }
        let left = state.ready.len();
        self.keep_up(&mut state, fx);
        state.release_publishers(fx);
        let change = state.charged as i64 - charged as i64;
        drop(state);
        self.home.memory.add(change, fx);
        Some((entry?, left))
    }

    /// Takes back a delivery that was never sent: its connection ended first. One that needed no ack is not lost either, though it was
    /// logged as gone when it was given to the connection.
    pub fn take_back(self: &Arc<Self>, entry: Entry, consumer: Option<ConsumerKey>, no_ack: bool, fx: &mut Effects) {
        self.change(fx, |state, fx| {
            if !no_ack {
                state.unacked -= 1;
                if let Some(consumer) = consumer {
                    state.consumers.settled(consumer, 1);
                }
            } else if !state.deleted {
                state.charged += entry.message.cost();
                state.note_back(&entry);
            }
            if !(no_ack && state.deleted) {
                state.put_back(self, entry, Settlement::Lose, fx);
                state.drop_returned(self, fx);
            }
        });
    }

    /// Whether it is gone; names and keys may belong to another queue then.
    pub fn is_deleted(&self) -> bool {
        self.state.lock().deleted
    }

    /// The counts at this moment.
    pub fn counts(&self) -> Counts {
        let state = self.state.lock();
        let got = if state.rules.quorum { state.got } else { 0 };
        Counts { ready: state.ready.len(), unacked: state.unacked, consumers: state.consumers.told() + got }
    }

    /// Memory charged for it, in bytes.
    pub fn charged(&self) -> usize {
        self.state.lock().charged
    }

    /// Runs a change under the lock, then delivers what can be delivered.
    fn change<T>(self: &Arc<Self>, fx: &mut Effects, change: impl FnOnce(&mut State, &mut Effects) -> T) -> T {
        let mut state = self.state.lock();
        let charged = state.charged;
        let result = change(&mut state, fx);
        state.dispatch(self, fx);
        self.keep_up(&mut state, fx);
        let change = state.charged as i64 - charged as i64;
        drop(state);
        self.home.memory.add(change, fx);
        result
    }
}

impl State {
    #[inline]
    fn publish(&mut self, messages: &mut Vec<Message>) {
        if self.deleted {
            messages.clear();
            return;
        }
        for message in messages.drain(..) {
            self.add(message);
        }
    }

    /// Adds a message at its end. Gives its position.
    #[inline]
    fn add(&mut self, message: Message) -> u64 {
        self.charged += message.cost();
        if message.is_mortal() {
            self.note_mortal();
        }
        let Some(log) = &mut self.log else { return self.ready.push(message) };
        let (lane, kept) = (self.ready.lane_of(&message), log.keeps(&message).then(|| message.clone()));
        let position = self.ready.push(message);
        if let Some(message) = kept {
            log.publish(lane, position, message);
        }
        position
    }

    /// Adds messages of which some may be dead letters. One that had failed is redelivered, but for the consumer of a classic queue that
    /// gets it at once.
    fn take_letters(&mut self, queue: &Arc<Queue>, messages: &mut Vec<Message>, fx: &mut Effects) {
        if self.deleted || messages.iter().all(|message| message.failed() == 0) {
            return self.publish(messages);
        }
        for message in messages.drain(..) {
            let (failed, lane) = (message.failed() > 0, self.ready.lane_of(&message));
            let position = self.add(message);
            if failed && !self.rules.quorum {
                self.dispatch(queue, fx);
            }
            if failed {
                self.ready.set_redelivered(lane, position);
            }
        }
    }

    /// A message with a time to live of its own is here.
    fn note_mortal(&mut self) {
        (self.mortal, self.timed) = (true, true);
    }

    /// A message was delivered, to be settled later.
    #[inline]
    fn note_delivered(&mut self, entry: &Entry) {
        if let Some(log) = &mut self.log {
            log.delivered(self.ready.lane_of(&entry.message), entry.position);
        }
    }

    /// A message that was gone is back.
    fn note_back(&mut self, entry: &Entry) {
        if let Some(log) = &mut self.log {
            let lane = self.ready.lane_of(&entry.message);
            log.restore(lane, entry.position, &entry.message);
            log.delivered(lane, entry.position);
        }
    }

    /// A message that had a position is gone.
    #[inline]
    fn note_gone(&mut self, entry: &Entry) {
        if let Some(log) = &mut self.log
            && entry.position > 0
        {
            log.settle(self.ready.lane_of(&entry.message), entry.position, &entry.message);
        }
    }
}
