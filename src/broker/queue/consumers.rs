//! The consumers of a queue and whose turn it is.
//!
//! Only consumers that can take a message stand in a ring, one ring for each priority; whoever is at its prefetch limit, or whose
//! connection's outbox is full, is out of it and costs nothing. A consumer that comes back joins at the end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::Queue;
use super::active_consumer::Single;
use crate::broker::outbox::Outbox;

/// Names a consumer of one queue; never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerKey {
    index: u32,
    generation: u32,
}

/// What a channel gives to consume.
#[derive(Clone)]
pub struct Subscriber {
    /// Where deliveries go.
    pub outbox: Arc<Outbox>,
    /// The channel's number on its connection.
    pub channel: u16,
    /// The channel's own number of this subscription.
    pub subscription: u32,
    /// Deliveries need no ack.
    pub no_ack: bool,
    /// How many may be unacked, 0 for no limit. Ignored with `no_ack` (S-03).
    pub prefetch: u32,
    /// Higher first.
    pub priority: i64,
    /// No other consumer beside this one.
    pub exclusive: bool,
    /// The limit that all consumers of the channel share, if one is set (S-02).
    pub channel_limit: Option<Arc<ChannelLimit>>,
}

/// A limit of unacked deliveries over all consumers of a channel: `basic.qos` with `global` set.
#[derive(Debug, Default)]
pub struct ChannelLimit {
    /// 0 for no limit.
    max: AtomicU32,
    unacked: AtomicU32,
}

impl ChannelLimit {
    /// Sets the limit, 0 for none.
    pub fn set_max(&self, max: u32) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// Counts deliveries that are unacked already when the limit is first set.
    pub fn add_unacked(&self, n: u32) {
        self.unacked.fetch_add(n, Ordering::Relaxed);
    }

    /// Takes one place; false if there is none.
    fn acquire(&self) -> bool {
        let max = self.max.load(Ordering::Relaxed);
        let room = |n: u32| (max == 0 || n < max).then_some(n + 1);
        self.unacked.fetch_update(Ordering::AcqRel, Ordering::Relaxed, room).is_ok()
    }

    /// Gives `n` places back. True if the limit had been reached, so that consumers may wait for it.
    pub fn release(&self, n: u32) -> bool {
        let max = self.max.load(Ordering::Relaxed);
        let given_back =
            self.unacked.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |unacked| Some(unacked.saturating_sub(n)));
        max != 0 && given_back.is_ok_and(|before| before >= max)
    }
}

/// Why a consumer stands where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the ring of its priority.
    Ring,
    /// At its own prefetch limit.
    AtPrefetch,
    /// At its channel's limit.
    AtChannelLimit,
    /// Its outbox is full.
    Parked,
    /// Another one is active.
    Waiting,
    /// Another one takes over when it has settled what it has.
    Fading,
    /// It was given up for holding a delivery too long.
    TimedOut,
    /// Its channel ends: it gets nothing more, and another one is active only when it is gone.
    Leaving,
    /// It is cancelled and holds deliveries, so that a quorum queue still counts it.
    Cancelled,
}

struct Consumer {
    subscriber: Subscriber,
    unacked: u32,
    place: Place,
    /// Counts up over the consumers of the queue.
    number: u64,
}

impl Consumer {
    #[inline]
    fn is_at_prefetch(&self) -> bool {
        let Subscriber { prefetch, no_ack, .. } = self.subscriber;
        !no_ack && prefetch != 0 && self.unacked >= prefetch
    }
}

struct Slot {
    generation: u32,
    consumer: Option<Consumer>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Consumers {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Rings by priority, highest first; only that of priority 0 stays when it is empty.
    rings: Vec<(i64, VecDeque<u32>)>,
    /// Consumers at their channel's limit, in the order in which they came to it: they go back in that order.
    at_channel_limit: Vec<u32>,
    count: usize,
    /// Those that hold deliveries after they were cancelled, in a quorum queue.
    cancelled: usize,
    in_rings: usize,
    /// Consumers that have come, ever.
    added: u64,
    /// They are those of a quorum queue.
    quorum: bool,
    exclusive: bool,
    pub(super) single: Option<Box<Single>>,
}

impl Consumers {
    pub(super) fn new(quorum: bool, single: bool) -> Self {
        Self { quorum, single: single.then(|| Box::new(Single::new(quorum))), ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// How many a client is told of: in a quorum queue those that hold deliveries after they were cancelled too, but none that waits for
    /// another one to go.
    pub(super) fn told(&self) -> usize {
        if self.quorum { self.count + self.cancelled - self.waiting() } else { self.count }
    }

    pub(super) fn has_exclusive(&self) -> bool {
        self.exclusive
    }

    /// Whether more than one consumer can take a message of the highest priority now, so that turns are needed.
    pub(super) fn takes_turns(&self) -> bool {
        self.in_rings > 1
    }

    pub(super) fn add(&mut self, subscriber: Subscriber) -> ConsumerKey {
        self.exclusive |= subscriber.exclusive;
        self.count += 1;
        self.added += 1;
        let place = if self.is_single() { Place::Waiting } else { Place::Ring };
        let consumer = Some(Consumer { subscriber, unacked: 0, place, number: self.added });
        let index = match self.free.pop() {
            Some(index) => {
                let slot = &mut self.slots[index as usize];
                slot.generation = slot.generation.wrapping_add(1);
                slot.consumer = consumer;
                index
            }
            None => {
                self.slots.push(Slot { generation: 0, consumer });
                (self.slots.len() - 1) as u32
            }
        };
        match self.is_single() {
            true => self.queue_up(index),
            false => self.enter_ring(index),
        }
        ConsumerKey { index, generation: self.slots[index as usize].generation }
    }

    /// False if it is gone already.
    pub(super) fn remove(&mut self, key: ConsumerKey) -> bool {
        let Some(consumer) = self.slot(key).and_then(|slot| slot.consumer.as_ref()) else { return false };
        if consumer.place == Place::Cancelled {
            return false;
        }
        let (exclusive, holds) = (consumer.subscriber.exclusive, consumer.unacked > 0);
        self.move_to(key.index, Place::Cancelled);
        self.count -= 1;
        self.exclusive &= !exclusive;
        self.leave_single(key.index);
        match self.quorum && holds {
            true => self.cancelled += 1,
            false => self.forget(key.index),
        }
        true
    }

    /// A cancelled one that holds deliveries consumes again: it goes on with them. False if it holds none.
    pub(super) fn come_back(&mut self, key: ConsumerKey, subscriber: Subscriber) -> bool {
        let (number, place) = (self.added + 1, if self.is_single() { Place::Waiting } else { Place::Ring });
        let Some(consumer) = self.slot(key).and_then(|slot| slot.consumer.as_mut()) else { return false };
        if consumer.place != Place::Cancelled {
            return false;
        }
        *consumer = Consumer { subscriber, unacked: consumer.unacked, place, number };
        self.added = number;
        self.count += 1;
        self.cancelled -= 1;
        match self.is_single() {
            true => self.queue_up(key.index),
            false => self.enter_ring(key.index),
        }
        true
    }

    fn forget(&mut self, index: u32) {
        self.slots[index as usize].consumer = None;
        self.free.push(index);
    }

    /// All of them, leaving none.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Subscriber> + use<> {
        let slots = std::mem::take(self).slots;
        let live = slots.into_iter().filter_map(|slot| slot.consumer.filter(|c| c.place != Place::Cancelled));
        live.map(|consumer| consumer.subscriber)
    }

    /// The channel of a consumer ends: it gets nothing more, and no other one takes its place until it is removed.
    pub(super) fn leave(&mut self, key: ConsumerKey) {
        if self.slot(key).is_some_and(|slot| slot.consumer.is_some()) {
            self.move_to(key.index, Place::Leaving);
            self.stop_waiting(key.index);
        }
    }

    /// The consumer whose turn it is.
    #[inline]
    pub(super) fn next(&self) -> Option<ConsumerKey> {
        if self.in_rings == 0 {
            return None;
        }
        let index = self.rings.iter().find_map(|(_, ring)| ring.front().copied())?;
        Some(ConsumerKey { index, generation: self.slots[index as usize].generation })
    }

    /// Who `key` delivers to.
    #[inline]
    pub(super) fn subscriber(&self, key: ConsumerKey) -> Option<&Subscriber> {
        self.slots[key.index as usize].consumer.as_ref().map(|consumer| &consumer.subscriber)
    }

    /// Takes the right for one delivery to the consumer whose turn it is. On false it has left the ring, being at a limit.
    #[inline]
    pub(super) fn take_credit(&mut self, key: ConsumerKey) -> bool {
        let Some(consumer) = self.slots[key.index as usize].consumer.as_mut() else { return false };
        let subscriber = &consumer.subscriber;
        if subscriber.no_ack {
            return true;
        }
        let place = if subscriber.prefetch != 0 && consumer.unacked >= subscriber.prefetch {
            Place::AtPrefetch
        } else if subscriber.channel_limit.as_ref().is_some_and(|limit| !limit.acquire()) {
            Place::AtChannelLimit
        } else {
            consumer.unacked += 1;
            return true;
        };
        let priority = subscriber.priority;
        consumer.place = place;
        if place == Place::AtChannelLimit {
            self.at_channel_limit.push(key.index);
        }
        self.leave_ring(key.index, priority, Place::Ring);
        false
    }

    /// Ends the turn of the consumer at the front: it goes to the end of its ring, or out of it when its outbox is full. In a quorum queue
    /// it leaves the ring when it comes to its limit, in a classic one when it is found there in its next turn.
    pub(super) fn end_turn(&mut self, key: ConsumerKey, outbox_full: bool) {
        let quorum = self.quorum;
        let Some(consumer) = self.slots[key.index as usize].consumer.as_mut() else { return };
        if consumer.place != Place::Ring {
            return;
        }
        let priority = consumer.subscriber.priority;
        if outbox_full || quorum && consumer.is_at_prefetch() {
            consumer.place = if outbox_full { Place::Parked } else { Place::AtPrefetch };
            self.leave_ring(key.index, priority, Place::Ring);
        } else if let Some((_, ring)) = self.rings.iter_mut().find(|(p, _)| *p == priority)
            && ring.len() > 1
            && ring.front() == Some(&key.index)
        {
            ring.rotate_left(1);
        }
    }

    /// `n` deliveries of this consumer were settled. True if it can take messages again that it could not take before.
    pub(super) fn settled(&mut self, key: ConsumerKey, n: u32) -> bool {
        let Some(consumer) = self.slot(key).and_then(|slot| slot.consumer.as_mut()) else { return false };
        consumer.unacked = consumer.unacked.saturating_sub(n);
        let back = consumer.place == Place::AtPrefetch && consumer.unacked < consumer.subscriber.prefetch;
        let has_none = consumer.unacked == 0;
        let done = has_none && consumer.place == Place::Cancelled;
        if back {
            self.enter_ring(key.index);
        }
        if done {
            self.cancelled -= 1;
            self.forget(key.index);
        } else if has_none && self.is_single() {
            self.settled_all(key.index);
        }
        back
    }

    /// The outbox of this consumer has room again.
    pub(super) fn resume(&mut self, key: ConsumerKey) {
        let consumer = self.slot(key).and_then(|slot| slot.consumer.as_ref());
        if consumer.is_some_and(|consumer| consumer.place == Place::Parked) {
            self.enter_ring(key.index);
        }
    }

    /// The limit of this consumer's channel has room again. Those that are parked stay so: their outbox knows of them.
    pub(super) fn resume_channel(&mut self, key: ConsumerKey) {
        let Some(consumer) = self.slot(key).and_then(|slot| slot.consumer.as_ref()) else { return };
        if consumer.place != Place::AtChannelLimit {
            return;
        }
        let limit = consumer.subscriber.channel_limit.clone();
        let slots = &self.slots;
        let is_of_channel = |index: &mut u32| {
            let consumer = slots[*index as usize].consumer.as_ref();
            let own = consumer.and_then(|consumer| consumer.subscriber.channel_limit.as_ref());
            own.zip(limit.as_ref()).is_some_and(|(own, limit)| Arc::ptr_eq(own, limit))
        };
        let resumed: Vec<u32> = self.at_channel_limit.extract_if(.., is_of_channel).collect();
        for index in resumed {
            self.enter_ring(index);
        }
    }

    /// From now on this consumer is held by the channel's limit as well; what it has unacked counts.
    pub(super) fn set_channel_limit(&mut self, key: ConsumerKey, limit: Arc<ChannelLimit>) {
        if let Some(consumer) = self.slot(key).and_then(|slot| slot.consumer.as_mut()) {
            limit.add_unacked(consumer.unacked);
            consumer.subscriber.channel_limit = Some(limit);
        }
    }

    /// It gets nothing any more, but stays until it is cancelled or taken back.
    pub(super) fn give_up(&mut self, key: ConsumerKey) {
        if self.place_of(key).is_some_and(|place| place != Place::TimedOut) {
            self.move_to(key.index, Place::TimedOut);
            self.give_up_single(key.index);
        }
    }

    /// It has settled what it had held too long: it gets messages again.
    pub(super) fn take_back(&mut self, key: ConsumerKey) {
        if self.place_of(key) != Some(Place::TimedOut) {
            return;
        }
        match self.is_single() {
            true => {
                self.move_to(key.index, Place::Waiting);
                self.offer_to_be_active(key.index);
            }
            false
                if self.slot(key).is_some_and(|slot| slot.consumer.as_ref().is_some_and(Consumer::is_at_prefetch)) =>
            {
                self.move_to(key.index, Place::AtPrefetch);
            }
            false => self.enter_ring(key.index),
        }
    }

    fn place_of(&mut self, key: ConsumerKey) -> Option<Place> {
        self.slot(key)?.consumer.as_ref().map(|consumer| consumer.place)
    }

    pub(super) fn is_given_up(&self, index: u32) -> bool {
        self.slots[index as usize].consumer.as_ref().is_some_and(|consumer| consumer.place == Place::TimedOut)
    }

    pub(super) fn priority_of(&self, index: u32) -> i64 {
        self.slots[index as usize].consumer.as_ref().map_or(0, |consumer| consumer.subscriber.priority)
    }

    /// How many deliveries it may hold, and its number.
    pub(super) fn prefetch_of(&self, index: u32) -> (u32, u64) {
        self.slots[index as usize].consumer.as_ref().map_or((0, 0), |c| (c.subscriber.prefetch, c.number))
    }

    pub(super) fn unacked_of(&self, index: u32) -> u32 {
        self.slots[index as usize].consumer.as_ref().map_or(0, |consumer| consumer.unacked)
    }

    pub(super) fn is_leaving(&self, index: u32) -> bool {
        self.slots[index as usize].consumer.as_ref().is_some_and(|consumer| consumer.place == Place::Leaving)
    }

    /// Takes a consumer from wherever it stands to a place outside of the rings.
    pub(super) fn move_to(&mut self, index: u32, place: Place) {
        let Some(consumer) = self.slots[index as usize].consumer.as_mut() else { return };
        let before = std::mem::replace(&mut consumer.place, place);
        let priority = consumer.subscriber.priority;
        self.leave_ring(index, priority, before);
    }

    fn slot(&mut self, key: ConsumerKey) -> Option<&mut Slot> {
        self.slots.get_mut(key.index as usize).filter(|slot| slot.generation == key.generation)
    }

    pub(super) fn enter_ring(&mut self, index: u32) {
        let Some(consumer) = self.slots[index as usize].consumer.as_mut() else { return };
        consumer.place = Place::Ring;
        let priority = consumer.subscriber.priority;
        let at = match self.rings.binary_search_by(|(p, _)| priority.cmp(p)) {
            Ok(at) => at,
            Err(at) => {
                self.rings.insert(at, (priority, VecDeque::new()));
                at
            }
        };
        self.rings[at].1.push_back(index);
        self.in_rings += 1;
    }

    fn leave_ring(&mut self, index: u32, priority: i64, place: Place) {
        match place {
            Place::Ring => {}
            Place::AtChannelLimit => return self.at_channel_limit.retain(|other| *other != index),
            _ => return,
        }
        if let Some(at) = self.rings.iter().position(|(p, _)| *p == priority) {
            let ring = &mut self.rings[at].1;
            if ring.front() == Some(&index) {
                ring.pop_front();
            } else {
                ring.retain(|other| *other != index);
            }
            if ring.is_empty() && priority != 0 {
                self.rings.remove(at);
            }
            self.in_rings -= 1;
        }
    }
}

impl Queue {
    /// A consumer that was removed consumes again, and still holds deliveries: a quorum queue takes it for the same one. False if it is
    /// gone.
    pub fn take_consumer_again(&self, consumer: ConsumerKey, subscriber: Subscriber) -> bool {
        let mut state = self.state.lock();
        !state.deleted && state.consumers.come_back(consumer, subscriber)
    }
}
