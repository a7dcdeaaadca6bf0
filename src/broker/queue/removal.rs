//! Emptying a queue, and ending it.

use super::Queue;
use super::answers::{DeleteRefused, Remains};
use crate::broker::effects::Effects;
use crate::broker::moment::Moment;

impl Queue {
    /// Drops the ready messages and tells how many there were (M-11).
    pub fn purge(&self, fx: &mut Effects) -> usize {
        let mut state = self.state.lock();
        let (purged, ranges) = state.ready.clear();
        let delayed = std::mem::take(&mut state.delayed);
        self.forget(&mut state, &ranges, purged.body_bytes() as u64);
        delayed.values().for_each(|entry| state.note_gone(entry));
        self.keep_up(&mut state, fx);
        let cost = purged.cost() + delayed.values().map(|entry| entry.message.cost()).sum::<usize>();
        state.charged = state.charged.saturating_sub(cost);
        state.release_publishers(fx);
        drop(state);
        self.home.memory.add(-(cost as i64), fx);
        purged.len() + delayed.len()
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
        let charged = state.charged;
        self.forget_all(&mut state, fx);
        let (ready, _) = state.ready.clear();
        state.charged = state.charged.saturating_sub(ready.cost());
        for entry in std::mem::take(&mut state.delayed).into_values() {
            state.gone(&entry);
        }
        state.drop_stuck();
        state.charged = state.charged.saturating_sub(state.paging.take().map_or(0, |paging| paging.end(fx)));
        if state.scheduled != Moment::NEVER {
            self.home.timers.set(self.timer, state.scheduled, Moment::NEVER, || unreachable!("nobody waits"));
        }
        for consumer in state.consumers.drain() {
            // Under the lock, so that it comes before anything that a later consumer of the same channel gets.
            if consumer.outbox.cancelled(consumer.channel, consumer.subscription) {
                fx.wake(consumer.outbox);
            }
        }
        state.release_publishers(fx);
        let change = state.charged as i64 - charged as i64;
        drop(state);
        self.home.memory.add(change, fx);
        Ok(Remains { ready })
    }
}
