//! Deliveries that a client holds too long.
//!
//! When each was sent is not kept with it: a mark is made whenever time has gone on, and tags between two marks were sent at the first.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use foldhash::fast::RandomState;

use leveret_protocol::Method;
use leveret_protocol::method::basic;

use super::subscription::SubscriptionKey;
use super::{Channel, ChannelError, Mode, Peer, Session};
use crate::broker::{Broker, Effects, Moment, Settlement, TimerKey};
use crate::error::Error;

/// Of one channel, made with its first consumer or basic.get that has a timeout.
pub(super) struct Timeouts {
    timer: TimerKey,
    /// The moment registered with the timers.
    scheduled: Moment,
    /// The first tag sent at a moment, in order.
    marks: VecDeque<(u64, Moment)>,
    taken_back: TakenBack,
}

/// Tags taken back, which the client may settle in vain. A consumer gets messages again when it has settled all of its own.
#[derive(Default)]
struct TakenBack {
    tags: BTreeMap<u64, SubscriptionKey>,
    /// How many there are of each consumer.
    of: HashMap<SubscriptionKey, u32, RandomState>,
}

impl TakenBack {
    fn insert(&mut self, tag: u64, of: SubscriptionKey) {
        self.tags.insert(tag, of);
        *self.of.entry(of).or_default() += 1;
    }

    fn remove(&mut self, tag: u64) -> Option<SubscriptionKey> {
        let of = self.tags.remove(&tag)?;
        if let Some(count) = self.of.get_mut(&of) {
            *count -= 1;
            if *count == 0 {
                self.of.remove(&of);
            }
        }
        Some(of)
    }
}

impl Timeouts {
    pub(super) fn new(broker: &Broker) -> Self {
        let timer = broker.timers().key();
        Self { timer, scheduled: Moment::NEVER, marks: VecDeque::new(), taken_back: TakenBack::default() }
    }

    /// A delivery that has to be settled within `timeout_ms` is sent.
    pub(super) fn sent(&mut self, tag: u64, timeout_ms: u64, broker: &Broker, peer: &Peer, fx: &mut Effects) {
        let now = fx.now();
        if self.marks.back().is_none_or(|(_, at)| *at != now) {
            self.marks.push_back((tag, now));
        }
        let end = now.plus_ms(timeout_ms);
        if end < self.scheduled {
            self.schedule(end, broker, peer, fx);
        }
    }

    /// A transaction that had settled these tags is rolled back.
    pub(super) fn restore(&mut self, late: Vec<(u64, SubscriptionKey)>) {
        late.into_iter().for_each(|(tag, of)| self.taken_back.insert(tag, of));
    }

    fn schedule(&mut self, at: Moment, broker: &Broker, peer: &Peer, fx: &mut Effects) {
        let before = std::mem::replace(&mut self.scheduled, at);
        broker.timers().wait(self.timer, before, at, &peer.outbox, fx);
    }

    /// When a tag was sent; marks before it are not needed any more if tags come in order.
    fn sent_at(&self, tag: u64) -> Moment {
        let next = self.marks.partition_point(|(first, _)| *first <= tag);
        next.checked_sub(1).map_or(Moment::NEVER, |at| self.marks[at].1)
    }

    fn forget_marks_before(&mut self, tag: u64) {
        while self.marks.get(1).is_some_and(|(first, _)| *first <= tag) {
            self.marks.pop_front();
        }
    }
}

impl Channel {
    /// A delivery that has to be settled in time is sent.
    #[inline]
    pub(super) fn sent(&mut self, tag: u64, timeout_ms: u64, broker: &Broker, peer: &Peer, fx: &mut Effects) {
        let timeouts = self.timeouts.get_or_insert_with(|| Box::new(Timeouts::new(broker)));
        timeouts.sent(tag, timeout_ms, broker, peer, fx);
    }

    /// Whether something was taken back that the client has not settled since.
    #[inline]
    pub(super) fn has_late(&self) -> bool {
        self.timeouts.as_ref().is_some_and(|timeouts| !timeouts.taken_back.tags.is_empty())
    }

    /// Whether this tag was taken back.
    pub(super) fn is_late(&self, tag: u64) -> bool {
        self.timeouts.as_ref().is_some_and(|timeouts| timeouts.taken_back.tags.contains_key(&tag))
    }

    /// The tags up to this one that were taken back.
    pub(super) fn late_up_to(&self, tag: u64) -> impl Iterator<Item = u64> + '_ {
        let timeouts = self.timeouts.iter();
        timeouts.flat_map(move |timeouts| timeouts.taken_back.tags.range(..=tag).map(|(tag, _)| *tag))
    }

    /// The client settles a tag that was taken back: it can do so once. Whose it was.
    pub(super) fn take_late(&mut self, tag: u64) -> Option<SubscriptionKey> {
        self.timeouts.as_mut()?.taken_back.remove(tag)
    }

    /// The client gives all back, late ones too.
    pub(super) fn forget_late(&mut self) {
        if let Some(timeouts) = &mut self.timeouts {
            timeouts.taken_back = TakenBack::default();
        }
    }

    /// These consumers have settled tags that were taken back from them.
    pub(super) fn settled_late(&mut self, mut of: Vec<SubscriptionKey>, s: &mut Session<'_>) {
        of.sort_unstable();
        of.dedup();
        for of in of {
            let has_more = |timeouts: &Timeouts| timeouts.taken_back.of.contains_key(&of);
            if !self.timeouts.as_deref().is_some_and(has_more)
                && let Some(subscription) = self.subscriptions.find(of)
                && let (Some(queue), Some(consumer)) = (&subscription.queue, subscription.consumer)
            {
                queue.take_consumer_back(consumer, s.fx);
            }
        }
    }

    /// Takes back what has been held too long.
    ///
    /// # Errors
    /// The channel ends: the client does not understand basic.cancel, or the delivery came by basic.get.
    pub fn check_timeouts(&mut self, s: &mut Session<'_>) -> Result<(), Error> {
        let Some(mut timeouts) = self.timeouts.take() else { return Ok(()) };
        let result = self.check_with(&mut timeouts, s);
        self.timeouts = Some(timeouts);
        result
    }

    /// The channel ends: it waits for no moment any more.
    pub(super) fn end_timeouts(&mut self, s: &mut Session<'_>) {
        if let Some(mut timeouts) = self.timeouts.take() {
            timeouts.schedule(Moment::NEVER, s.broker, s.peer, s.fx);
        }
    }

    fn check_with(&mut self, timeouts: &mut Timeouts, s: &mut Session<'_>) -> Result<(), Error> {
        let now = s.fx.now();
        let takes_from_tx = s.broker.compat().cancels_late_consumers();
        let mut over = Vec::new();
        let mut next = Moment::NEVER;
        let mut first = self.delivery_tag + 1;
        let in_tx = match &self.mode {
            Mode::Transaction(tx) => Some(tx.tags()),
            _ => None,
        };
        let in_tx = in_tx.into_iter().flatten().map(|(tag, key)| (tag, key, takes_from_tx));
        for (tag, key, counts) in self.ledger.tags().map(|(tag, key)| (tag, key, true)).chain(in_tx) {
            first = first.min(tag);
            let Some(timeout_ms) = self.subscriptions.find(key).and_then(|subscription| subscription.timeout_ms) else {
                continue;
            };
            match timeouts.sent_at(tag).plus_ms(timeout_ms) {
                _ if !counts => {}
                end if end <= now => over.push((tag, key, timeout_ms)),
                end => next = next.min(end),
            }
        }
        timeouts.forget_marks_before(first);
        if now >= timeouts.scheduled {
            timeouts.scheduled = Moment::NEVER; // it was taken off when it came
        }
        if next < timeouts.scheduled {
            timeouts.schedule(next, s.broker, s.peer, s.fx);
        }
        over.sort_unstable_by_key(|(tag, ..)| *tag);
        let mut told = BTreeSet::new();
        for (_, key, timeout_ms) in &over {
            if told.insert(*key) {
                self.tell_late(*key, *timeout_ms, s)?;
            }
        }
        self.take_back_late(&over.into_iter().map(|(tag, ..)| tag).collect::<Vec<_>>(), timeouts, s);
        s.apply_batch();
        Ok(())
    }

    /// The client hears that deliveries of this consumer are taken back.
    fn tell_late(&mut self, key: SubscriptionKey, timeout_ms: u64, s: &mut Session<'_>) -> Result<(), Error> {
        let Some(subscription) = self.subscriptions.find(key) else { return Ok(()) };
        let tells = s.broker.compat().cancels_late_consumers();
        if subscription.ended || !s.peer.cancel_notify || !tells {
            // RabbitMQ 4.3 shows -1 whatever the timeout is.
            let shown = if tells { -1 } else { i64::try_from(timeout_ms).unwrap_or(i64::MAX) };
            return Err(ChannelError::DeliveryTimeout { channel: self.number, timeout_ms: shown }.into());
        }
        let cancel = basic::Cancel { consumer_tag: &subscription.tag, nowait: true };
        s.out.method(self.number, &Method::BasicCancel(cancel));
        if let (Some(queue), Some(consumer)) = (&subscription.queue, subscription.consumer) {
            queue.give_up_consumer(consumer, s.fx);
        }
        Ok(())
    }

    /// Takes deliveries back, given in order of their tags.
    fn take_back_late(&mut self, tags: &[u64], timeouts: &mut Timeouts, s: &mut Session<'_>) {
        let mut taken = Vec::new();
        for tag in tags {
            if let Some(unacked) = self.ledger.take(*tag) {
                timeouts.taken_back.insert(*tag, unacked.subscription);
                taken.push((*tag, unacked));
            }
        }
        if let Mode::Transaction(tx) = &mut self.mode
            && taken.len() < tags.len()
        {
            tx.take_back(tags, &mut taken);
            taken.sort_unstable_by_key(|(tag, _)| *tag);
        }
        taken.into_iter().for_each(|(_, unacked)| self.settle(unacked, Settlement::Requeue, s));
    }
}
