//! How those who push call the writer, which waits asleep or awake.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, MutexGuard};

/// See the module. All of it happens under the journal's lock, but for the look of a writer that stays awake.
#[derive(Default)]
pub(super) struct Bell {
    asleep: Condvar,
    /// The writer is awake and looks at `rung`.
    awake: AtomicBool,
    rung: AtomicBool,
}

impl Bell {
    /// Calls the writer. To wake it costs a system call, to call it when it is awake does not.
    pub(super) fn ring(&self) {
        if self.awake.load(Ordering::Relaxed) {
            self.rung.store(true, Ordering::Release);
        } else {
            self.asleep.notify_one();
        }
    }

    /// Leaves the lock to others while `watch` looks whether the writer is called. Tells whether it was.
    pub(super) fn watch<T>(&self, lock: &mut MutexGuard<'_, T>, watch: impl FnOnce(&dyn Fn() -> bool)) -> bool {
        self.rung.store(false, Ordering::Relaxed);
        self.awake.store(true, Ordering::Relaxed);
        MutexGuard::unlocked(lock, || watch(&|| self.rung.load(Ordering::Acquire)));
        self.awake.store(false, Ordering::Relaxed);
        self.rung.load(Ordering::Relaxed)
    }

    /// Sleeps until it is called. False if `until` came first.
    pub(super) fn sleep<T>(&self, lock: &mut MutexGuard<'_, T>, until: Option<Instant>) -> bool {
        match until {
            None => self.asleep.wait(lock),
            Some(until) => return !self.asleep.wait_until(lock, until).timed_out(),
        }
        true
    }

    /// The same, for so long.
    pub(super) fn sleep_for<T>(&self, lock: &mut MutexGuard<'_, T>, time: Duration) -> bool {
        !self.asleep.wait_for(lock, time).timed_out()
    }
}
