//! The unconfirmed messages of a publisher, shared by the thread that writes and the one that reads.

use std::sync::{Condvar, Mutex, MutexGuard};

use super::progress::Progress;
use super::window::{UnknownTag, Window};

/// A [`Window`] that a publisher can wait at.
#[derive(Debug)]
pub(super) struct Confirms {
    window: Mutex<Window>,
    room: Condvar,
}

impl Confirms {
    /// At most `size` messages may be unconfirmed.
    pub(super) fn new(size: usize) -> Self {
        Self { window: Mutex::new(Window::new(size)), room: Condvar::new() }
    }

    /// Waits until the window has room, and takes in up to `count` messages, the n-th sent at
    /// `time(n)`. Gives how many; 0 if the run ended meanwhile.
    pub(super) fn publish(&self, count: usize, progress: &Progress, time: impl Fn(usize) -> u64) -> usize {
        let mut window = self.lock();
        while window.room() == 0 {
            if progress.stopped() {
                return 0;
            }
            window = self.room.wait(window).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        let count = count.min(window.room());
        (0..count).for_each(|n| window.publish(time(n)));
        count
    }

    /// Takes out what a confirm names.
    pub(super) fn confirm(&self, tag: u64, multiple: bool, each: impl FnMut(u64)) -> Result<(), UnknownTag> {
        self.lock().confirm(tag, multiple, each)
    }

    /// Wakes the publisher, if it waits: there is room, or the run ended.
    pub(super) fn wake(&self) {
        // Under the lock, so that the publisher is either waiting or has yet to look.
        let _window = self.lock();
        self.room.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
