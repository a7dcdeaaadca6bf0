//! Publishers that wait for a queue whose consumers keep up, so that the working set stays in the processor's cache.

use std::sync::Arc;

use super::{Queue, State};
use crate::broker::effects::Effects;
use crate::broker::outbox::Outbox;

/// A queue whose consumers keep up holds its publishers back when this many bytes wait. Publishers go on at half of it.
pub(super) const BACKLOG_BYTES_PACED: usize = 2 * 1024 * 1024;

/// A backlog of more bytes than this was there before its consumers came, or grows too fast to be helped: the queue is a buffer then.
pub(super) const BACKLOG_BYTES_BUFFERED: usize = 16 * 1024 * 1024;

/// A publisher is held back this many times in a row at most, so that it never looks dead to its client.
const HOLDS_MAX: u8 = 10;

/// Consumers that take fewer bytes than this while a publisher is held back once do not keep up: then the queue is a buffer, as it should
/// be, and publishers are not held until it is nearly empty again.
const KEEP_UP_BYTES: u64 = 256 * 1024;

/// A publisher that a queue holds back.
pub struct Hold {
    queue: Arc<Queue>,
    /// It waits for the disk, as long as that takes.
    for_disk: bool,
    /// What the queue had delivered when the hold began.
    delivered: u64,
    /// How often it may go on.
    left: u8,
}

impl Hold {
    /// `delivered` is what the queue has delivered so far, in bytes.
    pub(super) fn new(queue: &Arc<Queue>, for_disk: bool, delivered: u64) -> Self {
        Self { queue: queue.clone(), for_disk, delivered, left: HOLDS_MAX }
    }

    /// The hold has lasted its time. True if it goes on, because the consumers are at work; false if the publisher goes on.
    pub fn goes_on(&mut self) -> bool {
        let mut state = self.queue.state.lock();
        if self.for_disk {
            return self.queue.is_disk_behind(&state);
        }
        let taken = state.delivered - std::mem::replace(&mut self.delivered, state.delivered);
        state.paced &= taken >= KEEP_UP_BYTES;
        self.left = self.left.saturating_sub(1);
        self.left > 0 && state.must_hold()
    }
}

impl State {
    /// Whether a publisher should wait. It is released when the backlog has shrunk.
    pub(super) fn hold_back(&mut self, publisher: &Arc<Outbox>) -> bool {
        self.paced &= self.ready.bytes() <= BACKLOG_BYTES_BUFFERED;
        let hold = self.must_hold();
        if hold && !self.held_back.iter().any(|held| Arc::ptr_eq(held, publisher)) {
            self.held_back.push(publisher.clone());
        }
        hold
    }

    fn must_hold(&self) -> bool {
        self.paced && self.ready.bytes() > BACKLOG_BYTES_PACED && self.consumers.len() > 0
    }

    pub(super) fn release_publishers(&mut self, fx: &mut Effects) {
        if self.ready.bytes() <= BACKLOG_BYTES_PACED / 2 {
            self.paced = true;
            for publisher in self.held_back.drain(..) {
                if publisher.release() {
                    fx.wake(publisher);
                }
            }
        }
    }
}
