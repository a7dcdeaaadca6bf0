//! The consumers of a channel, as the channel sees them, and the queues that its basic.get reads.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::ledger::Unacked;
use crate::broker::arguments::QueueType;
use crate::broker::topology::QueueKey;
use crate::broker::{ConsumerKey, Queue};

/// Names a subscription of one channel: its slot in the low half, the slot's generation in the high one, so that a late notice about
/// an ended subscription never meets its successor.
pub(super) type SubscriptionKey = u32;

/// Consumers of one channel at once.
pub(super) const SUBSCRIPTIONS_MAX: usize = 1 << 16;

/// One consumer; or, without a tag, the source of deliveries that basic.get took.
pub(super) struct Subscription {
    pub(super) tag: Box<str>,
    /// None for direct reply-to.
    pub(super) queue: Option<Arc<Queue>>,
    /// None once the queue or the client has ended it.
    pub(super) consumer: Option<ConsumerKey>,
    /// As whom the queue knows that it holds deliveries, also when it is ended.
    pub(super) holder: Option<ConsumerKey>,
    /// Counts up over the channel's subscriptions.
    pub(super) number: u64,
    pub(super) no_ack: bool,
    /// The client has been told that it is ended, or has ended it; it stays for its unacked deliveries.
    pub(super) ended: bool,
    /// The source of basic.get.
    pub(super) is_get: bool,
    /// The channel's limit counts what it holds: not of basic.get (S-03), not of a quorum queue.
    pub(super) limited: bool,
    /// Deliveries carry how often they came back.
    pub(super) shows_counts: bool,
    /// Milliseconds that a delivery may be held.
    pub(super) timeout_ms: Option<u64>,
    pub(super) unacked: u32,
}

/// When a consumer's deliveries are settled among others that are settled with them. RabbitMQ takes one consumer's after the other's by
/// consumer tag, behind what basic.get took, and its queue delivers in between.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    queue: Option<QueueKey>,
    tag: Option<Box<str>>,
}

impl Turn {
    /// Whether the same queue had another consumer's before.
    pub(super) fn is_next_on_queue(&self, before: &Self) -> bool {
        self.queue == before.queue && self.tag != before.tag
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Subscriptions {
    slots: Vec<(u16, Option<Subscription>)>,
    free: Vec<u16>,
    tags: HashMap<Box<str>, SubscriptionKey, RandomState>,
    /// The sources of basic.get, by their queues' keys.
    gets: HashMap<QueueKey, SubscriptionKey, RandomState>,
    added: u64,
}

impl Subscriptions {
    /// Adds one; none if there are too many.
    pub(super) fn add(&mut self, mut subscription: Subscription) -> Option<SubscriptionKey> {
        self.added += 1;
        subscription.number = self.added;
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u16::try_from(self.slots.len()).ok()?;
                self.slots.push((0, None));
                index
            }
        };
        let slot = &mut self.slots[usize::from(index)];
        slot.0 = slot.0.wrapping_add(1);
        let key = key(index, slot.0);
        if !subscription.ended {
            self.tags.insert(subscription.tag.clone(), key);
        }
        slot.1 = Some(subscription);
        Some(key)
    }

    #[inline]
    pub(super) fn find(&mut self, wanted: SubscriptionKey) -> Option<&mut Subscription> {
        let (generation, subscription) = self.slots.get_mut(usize::from(wanted as u16))?;
        if *generation == (wanted >> 16) as u16 { subscription.as_mut() } else { None }
    }

    /// The live consumer with this tag.
    pub(super) fn by_tag(&self, tag: &str) -> Option<SubscriptionKey> {
        self.tags.get(tag).copied()
    }

    /// The source for basic.get from this queue; none if the channel has too many.
    pub(super) fn of_get(&mut self, queue: &Arc<Queue>) -> Option<SubscriptionKey> {
        if let Some(known) = self.gets.get(&queue.key).copied()
            && let Some(Subscription { queue: Some(found), is_get: true, .. }) = self.find(known)
            && Arc::ptr_eq(found, queue)
        {
            return Some(known);
        }
        let queue_key = queue.key;
        let shows_counts = queue.settings.queue_type == QueueType::Quorum;
        let queue = Some(queue.clone());
        let added = self.add(Subscription {
            tag: "".into(),
            queue,
            consumer: None,
            holder: None,
            number: 0,
            no_ack: false,
            ended: true,
            is_get: true,
            limited: false,
            shows_counts,
            timeout_ms: None,
            unacked: 0,
        });
        self.gets.insert(queue_key, added?);
        added
    }

    /// Marks it as ended and removes it if it holds nothing unacked.
    pub(super) fn end(&mut self, wanted: SubscriptionKey) {
        if let Some(subscription) = self.find(wanted) {
            subscription.consumer = None;
            if !std::mem::replace(&mut subscription.ended, true) {
                let tag = subscription.tag.clone(); // which stays for its turn
                self.tags.remove(&tag);
            }
        }
        self.free_if_done(wanted);
    }

    /// The ended one of this queue and tag that holds deliveries, and as whom.
    pub(super) fn holding(&self, tag: &str, queue: &Arc<Queue>) -> Option<(SubscriptionKey, ConsumerKey)> {
        self.iter().find_map(|(key, s)| {
            let of_queue = s.queue.as_ref().is_some_and(|of| Arc::ptr_eq(of, queue));
            let is_it = s.ended && !s.is_get && s.unacked > 0 && of_queue && *s.tag == *tag;
            is_it.then_some(key).zip(s.holder)
        })
    }

    /// One that was ended goes on.
    pub(super) fn go_on(&mut self, wanted: SubscriptionKey, timeout_ms: Option<u64>) {
        if let Some(subscription) = self.find(wanted) {
            (subscription.consumer, subscription.timeout_ms) = (subscription.holder, timeout_ms);
            subscription.ended = false;
            let tag = subscription.tag.clone();
            self.tags.insert(tag, wanted);
        }
    }

    /// Removes it if it is ended and holds nothing unacked.
    pub(super) fn free_if_done(&mut self, wanted: SubscriptionKey) {
        if self.find(wanted).is_some_and(|s| s.ended && s.unacked == 0) {
            let done = self.slots[usize::from(wanted as u16)].1.take();
            if let Some(Subscription { queue: Some(queue), is_get: true, .. }) = done {
                self.gets.remove(&queue.key);
            }
            self.free.push(wanted as u16);
        }
    }

    /// Deliveries by consumer, in the order in which they are settled together.
    pub(super) fn in_turn(&mut self, all: Vec<Unacked>) -> Vec<(SubscriptionKey, Vec<Unacked>)> {
        let mut runs = by_consumer(all);
        runs.sort_by_cached_key(|(key, _)| self.turn(*key));
        runs
    }

    /// Deliveries by consumer, in the order in which their queues have them back when the channel ends: by the consumers' age, and last
    /// what basic.get took.
    pub(super) fn by_age(&mut self, all: Vec<Unacked>) -> impl Iterator<Item = Unacked> + use<> {
        let mut runs = by_consumer(all);
        runs.sort_by_cached_key(|(key, _)| self.find(*key).map(|found| (found.is_get, found.number)));
        runs.into_iter().flat_map(|(_, run)| run)
    }

    pub(super) fn turn(&mut self, key: SubscriptionKey) -> Turn {
        match self.find(key) {
            None => Turn { queue: None, tag: None },
            Some(Subscription { queue, tag, is_get, .. }) => {
                Turn { queue: queue.as_ref().map(|queue| queue.key), tag: (!*is_get).then(|| tag.clone()) }
            }
        }
    }

    /// All of them, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Subscription> {
        self.slots.iter_mut().filter_map(|(_, subscription)| subscription.as_mut())
    }

    /// All of them, ended ones too.
    pub(super) fn iter(&self) -> impl Iterator<Item = (SubscriptionKey, &Subscription)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(index, (generation, s))| Some((key(index as u16, *generation), s.as_ref()?)))
    }
}

fn by_consumer(all: Vec<Unacked>) -> Vec<(SubscriptionKey, Vec<Unacked>)> {
    let mut known: HashMap<SubscriptionKey, usize, RandomState> = HashMap::default();
    let mut runs: Vec<(SubscriptionKey, Vec<Unacked>)> = Vec::new();
    for unacked in all {
        let at = *known.entry(unacked.subscription).or_insert(runs.len());
        match runs.get_mut(at) {
            Some((_, run)) => run.push(unacked),
            None => runs.push((unacked.subscription, vec![unacked])),
        }
    }
    runs
}

fn key(index: u16, generation: u16) -> SubscriptionKey {
    u32::from(generation) << 16 | u32::from(index)
}
