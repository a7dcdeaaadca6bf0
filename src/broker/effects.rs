//! What a change of the core asks its caller to do once all locks are released; and when the change happens.

use std::sync::Arc;

use super::dead_letter::{self, Letter};
use super::moment::Moment;
use super::outbox::Outbox;
use super::queue::Queue;
use super::timers::Timers;

/// So often one call goes on with unfinished queues; then the tasks of others get their turn.
const ROUNDS_MAX: usize = 16;

/// Collected over a batch of changes and carried out once by [`Effects::apply`].
#[derive(Default)]
pub struct Effects {
    now: Moment,
    wakes: Vec<Arc<Outbox>>,
    unfinished: Vec<Arc<Queue>>,
    letters: Vec<Letter>,
    unused: Vec<Arc<Queue>>,
    timers: Option<Arc<Timers>>,
    notes: Vec<String>,
    logged: u64,
}

impl Effects {
    /// What comes from now on happens at this moment.
    #[inline]
    pub fn set_now(&mut self, now: Moment) {
        self.now = now;
    }

    /// When the changes happen.
    #[inline]
    pub fn now(&self) -> Moment {
        self.now
    }

    /// The connection of this outbox has something to do.
    pub fn wake(&mut self, outbox: Arc<Outbox>) {
        self.wakes.push(outbox);
    }

    /// The queue has messages and takers left: its lock was held long enough for one time.
    pub(super) fn go_on(&mut self, queue: Arc<Queue>) {
        self.unfinished.push(queue);
    }

    /// The change is durable when the journal has committed this position.
    pub(super) fn logged(&mut self, position: u64) {
        self.logged = self.logged.max(position);
    }

    /// The position at which all changes since it was last taken are durable; 0 if none needs to be.
    pub fn take_logged(&mut self) -> u64 {
        std::mem::take(&mut self.logged)
    }

    /// A message has died and is to be published again.
    pub(super) fn letter(&mut self, letter: Letter) {
        self.letters.push(letter);
    }

    /// Whether dead letters wait for [`Effects::apply`].
    #[inline]
    pub fn has_letters(&self) -> bool {
        !self.letters.is_empty()
    }

    /// Nobody has used the queue for as long as it was to stay.
    pub(super) fn unused(&mut self, queue: Arc<Queue>) {
        self.unused.push(queue);
    }

    /// Whoever sleeps until the next moment of `timers` must look again.
    pub(super) fn wake_timers(&mut self, timers: &Arc<Timers>) {
        self.timers.get_or_insert_with(|| timers.clone());
    }

    /// Something that whoever runs the broker should read in its log.
    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// The notes since they were last taken.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Wakes connections, publishes dead letters and goes on with unfinished queues, until nothing is left; what takes long is left to
    /// whoever keeps the time. Not to be called under a lock.
    pub fn apply(&mut self) {
        let mut rounds = 0;
        loop {
            // Wakes first: whoever has something to do can begin while the rest goes on.
            for outbox in self.wakes.drain(..) {
                outbox.wake();
            }
            if let Some(timers) = self.timers.take() {
                timers.wake();
            }
            if !self.letters.is_empty() {
                let letters = std::mem::take(&mut self.letters);
                dead_letter::publish(letters, self);
            } else if let Some(queue) = self.unused.pop() {
                queue.delete_if_unused(self);
            } else if let Some(queue) = self.unfinished.pop() {
                rounds += 1;
                match rounds {
                    ..=ROUNDS_MAX => queue.dispatch(self),
                    _ => queue.dispatch_later(self),
                }
            } else {
                return;
            }
        }
    }
}
