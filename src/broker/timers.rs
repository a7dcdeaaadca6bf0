//! When somebody has to look at the time: for each queue or connection at most one moment, whatever it holds.
//!
//! The lock is a leaf, like an outbox's: it may be taken under a queue's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use parking_lot::Mutex;

use super::effects::Effects;
use super::moment::Moment;
use super::outbox::Outbox;
use super::queue::Queue;

/// Who is to be called.
pub(super) enum Due {
    /// [`Queue::on_time`].
    Queue(Arc<Queue>),
    /// [`Outbox::look_at_time`].
    Connection(Arc<Outbox>),
}

/// Names one who can wait for a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerKey(u64);

/// See the module.
#[derive(Default)]
pub struct Timers {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: BTreeMap<(Moment, TimerKey), Due>,
    last_key: u64,
    /// Whoever sleeps until the first moment, and until when.
    sleeper: Option<(Moment, Waker)>,
}

impl Timers {
    /// A key for somebody new.
    pub fn key(&self) -> TimerKey {
        let mut state = self.state.lock();
        state.last_key += 1;
        TimerKey(state.last_key)
    }

    /// Moves somebody's moment, [`Moment::NEVER`] being none. True if the sleeper must be woken, when no lock is held.
    pub(super) fn set(&self, key: TimerKey, before: Moment, at: Moment, due: impl FnOnce() -> Due) -> bool {
        let mut state = self.state.lock();
        if before != Moment::NEVER {
            state.waiting.remove(&(before, key));
        }
        if at == Moment::NEVER {
            return false;
        }
        state.waiting.insert((at, key), due());
        state.sleeper.as_ref().is_some_and(|(until, _)| at < *until)
    }

    /// Moves the moment of a connection's: its outbox is told when that comes.
    pub fn wait(self: &Arc<Self>, key: TimerKey, before: Moment, at: Moment, outbox: &Arc<Outbox>, fx: &mut Effects) {
        if self.set(key, before, at, || Due::Connection(outbox.clone())) {
            fx.wake_timers(self);
        }
    }

    /// Wakes the sleeper.
    pub(super) fn wake(&self) {
        let sleeper = self.state.lock().sleeper.take();
        if let Some((_, waker)) = sleeper {
            waker.wake();
        }
    }

    /// Takes up to `max` of those whose moment has come.
    pub(super) fn take_due(&self, now: Moment, max: usize) -> Vec<Due> {
        let mut state = self.state.lock();
        let mut due = Vec::new();
        while due.len() < max
            && let Some(first) = state.waiting.first_entry()
            && first.key().0 <= now
        {
            due.push(first.remove());
        }
        due
    }

    /// Whether somebody's moment has come.
    pub(super) fn is_due(&self, now: Moment) -> bool {
        self.state.lock().waiting.first_key_value().is_some_and(|((at, _), _)| *at <= now)
    }

    /// The next moment; `waker` is woken when an earlier one comes up.
    pub fn sleep(&self, waker: &Waker) -> Moment {
        let mut state = self.state.lock();
        let until = state.waiting.first_key_value().map_or(Moment::NEVER, |((at, _), _)| *at);
        state.sleeper = Some((until, waker.clone()));
        until
    }
}
