//! What time does to a queue: messages expire, delayed ones come back, and an unused queue goes.
//!
//! A message's end is its arrival and the shorter of two times to live, so nothing is kept for it. Only messages at a front expire. The
//! queue has at most one moment registered with the timers, moved only to an earlier one; when that comes it looks again.

use std::sync::Arc;

use super::dying::Stuck;
use super::lanes::Place;
use super::{Queue, State};
use crate::broker::dead_letter::Reason;
use crate::broker::effects::Effects;
use crate::broker::message::Message;
use crate::broker::moment::Moment;
use crate::broker::timers::Due;

/// Messages that expire under one hold of a queue's lock; then others get their turn.
pub(super) const EXPIRE_MAX: usize = 64;

/// Times to live that a queue remembers when policies change; then the oldest messages go by a later one.
const EARLIER_TTLS_MAX: usize = 16;

/// Whether a message is over at the very moment of its end. Where it is about to be delivered it is not, so that one with a time to
/// live of 0 reaches a consumer that waits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Reached,
    Passed,
}

impl State {
    /// When a message is over, given what queue and message say.
    #[inline]
    pub(super) fn end_of(&self, message: &Message) -> Moment {
        let earlier = self.earlier_ttls.iter().find(|(until, _)| message.arrived() <= *until);
        let ttl = earlier.map_or(self.rules.message_ttl_ms, |(_, ttl)| *ttl);
        match [ttl, message.ttl_ms()].into_iter().flatten().min() {
            Some(ttl) => message.arrived().plus_ms(ttl),
            None => Moment::NEVER,
        }
    }

    /// A policy gives later messages another time to live; those that are there keep theirs (B-07). Whether there is something new
    /// to remember, or to forget.
    pub(super) fn keep_ttl_until(&mut self, now: Moment, ttl_ms: Option<u64>) -> bool {
        if self.unacked == 0 && self.delayed.is_empty() && self.ready.is_empty() {
            return !std::mem::take(&mut self.earlier_ttls).is_empty();
        }
        if self.earlier_ttls.len() == EARLIER_TTLS_MAX {
            self.earlier_ttls.remove(0);
        }
        self.earlier_ttls.push((now, ttl_ms));
        true
    }

    /// Removes what is over from the fronts, up to a budget. False if that was not enough.
    pub(super) fn expire(&mut self, queue: &Arc<Queue>, end: End, budget: &mut usize, fx: &mut Effects) -> bool {
        let now = fx.now();
        while let Some(place) = self.first_over(now, end) {
            if *budget == 0 {
                return false;
            }
            *budget -= 1;
            let Some(entry) = self.ready.pop_at(place) else { return true };
            self.bury(queue, entry, Reason::Expired, fx);
        }
        true
    }

    fn first_over(&self, now: Moment, end: End) -> Option<Place> {
        let (over, place) = self.ready.first_end(|message| self.end_of(message))?;
        let is_over = if end == End::Reached { over <= now } else { over < now };
        is_over.then_some(place)
    }

    /// Whether there is something for [`State::expire`].
    #[inline]
    pub(super) fn is_first_over(&self, now: Moment, end: End) -> bool {
        self.first_over(now, end).is_some()
    }

    /// Moves delayed messages whose time has come to the ready ones.
    pub(super) fn end_delays(&mut self, now: Moment) {
        while let Some(first) = self.delayed.first_entry()
            && first.key().0 <= now
        {
            let entry = first.remove();
            self.ready.put_back(entry);
        }
    }

    /// Somebody uses the queue.
    pub(super) fn touch(&mut self, now: Moment) {
        self.used = now;
    }

    /// When an unused queue goes.
    fn end_of_use(&self) -> Moment {
        match self.rules.expires_ms {
            Some(ms) if self.consumers.len() == 0 => self.used.plus_ms(ms),
            _ => Moment::NEVER,
        }
    }

    pub(super) fn is_unused(&self, now: Moment) -> bool {
        self.end_of_use() <= now
    }

    /// Registers the next moment, if it is earlier than the one that is registered.
    pub(super) fn schedule(&mut self, queue: &Arc<Queue>, fx: &mut Effects) {
        if self.deleted {
            return;
        }
        let over = self.ready.first_end(|message| self.end_of(message)).map_or(Moment::NEVER, |(over, _)| over);
        let delayed = self.delayed.first_key_value().map_or(Moment::NEVER, |((at, _), _)| *at);
        let next =
            over.min(delayed).min(self.end_of_use()).min(self.stuck.as_deref().map_or(Moment::NEVER, Stuck::retry_at));
        self.schedule_at(next, queue, fx);
    }

    fn schedule_at(&mut self, next: Moment, queue: &Arc<Queue>, fx: &mut Effects) {
        if next < self.scheduled {
            let before = std::mem::replace(&mut self.scheduled, next);
            if queue.home.timers.set(queue.timer, before, next, || Due::Queue(queue.clone())) {
                fx.wake_timers(&queue.home.timers);
            }
        }
    }

    /// Whether time does anything to this queue.
    #[inline]
    pub(super) fn is_timed(&self) -> bool {
        self.timed
    }

    /// What [`State::is_timed`] says from now on.
    pub(super) fn set_timed(&mut self) {
        self.timed = self.mortal
            || !self.earlier_ttls.is_empty()
            || self.rules.message_ttl_ms.is_some()
            || self.rules.expires_ms.is_some()
            || !self.delayed.is_empty()
            || self.stuck.is_some();
    }
}

impl Queue {
    /// Until when what time to live held, where policies have changed it.
    pub(in crate::broker) fn earlier_ttls(&self) -> Vec<(Moment, Option<u64>)> {
        self.state.lock().earlier_ttls.clone()
    }

    /// The moment that it has registered has come.
    pub(in crate::broker) fn on_time(self: &Arc<Self>, fx: &mut Effects) {
        let now = fx.now();
        let unused = self.change(fx, |state, fx| {
            state.scheduled = Moment::NEVER;
            state.end_delays(now);
            state.retry_letters(self, fx);
            !state.deleted && state.is_unused(now)
        });
        if unused {
            fx.unused(self.clone());
        }
    }

    /// Its lock was held so often in a row that others must have their turn: whoever keeps the time goes on with it.
    pub(in crate::broker) fn dispatch_later(self: &Arc<Self>, fx: &mut Effects) {
        let mut state = self.state.lock();
        if !state.deleted {
            state.schedule_at(fx.now(), self, fx);
        }
    }

    /// It goes if nobody has used it for long enough.
    pub(in crate::broker) fn delete_if_unused(self: &Arc<Self>, fx: &mut Effects) {
        if let Some(vhost) = self.vhost()
            && self.state.lock().is_unused(fx.now())
        {
            vhost.delete_unused(self, fx);
        }
    }

    /// It was declared again, or asked for.
    pub fn declared_again(&self, fx: &Effects) {
        let mut state = self.state.lock();
        if !state.rules.quorum {
            state.touch(fx.now());
        }
    }
}
