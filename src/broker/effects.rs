//! What a change of the core asks its caller to do once all locks are released.

use std::sync::Arc;

use super::outbox::Outbox;
use super::queue::Queue;

/// Collected over a batch of changes and carried out once by [`Effects::apply`].
#[derive(Default)]
pub struct Effects {
    wakes: Vec<Arc<Outbox>>,
    unfinished: Vec<Arc<Queue>>,
    notes: Vec<String>,
    logged: u64,
}

impl Effects {
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

    /// Something that whoever runs the broker should read in its log.
    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// The notes since they were last taken.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Wakes connections and goes on with unfinished queues. Not to be called under a lock.
    pub fn apply(&mut self) {
        loop {
            // Wakes first: whoever has something to do can begin while the unfinished queues go on.
            for outbox in self.wakes.drain(..) {
                outbox.wake();
            }
            let Some(queue) = self.unfinished.pop() else { return };
            queue.dispatch(self);
        }
    }
}
