//! What the threads of a run share.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::Thread;

use super::error::Error;

/// Counters of a run, and its end.
#[derive(Debug)]
pub(super) struct Progress {
    /// Messages written.
    pub published: Counter,
    /// Messages received.
    pub delivered: Counter,
    /// Messages confirmed.
    pub confirmed: Counter,
    /// Messages that the broker refused.
    pub nacked: Counter,
    /// Latencies count for messages sent from this time on.
    measure_from: AtomicU64,
    stop: AtomicBool,
    failure: Mutex<Option<Error>>,
    /// Whoever waits for the run.
    waiting: Thread,
}

/// A counter in a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Adds, once for a batch.
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    /// The sum so far.
    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Progress {
    /// For a run that the current thread waits for.
    pub(super) fn new() -> Self {
        Self {
            published: Counter::default(),
            delivered: Counter::default(),
            confirmed: Counter::default(),
            nacked: Counter::default(),
            measure_from: AtomicU64::new(u64::MAX),
            stop: AtomicBool::new(false),
            failure: Mutex::new(None),
            waiting: std::thread::current(),
        }
    }

    /// From now on latencies count.
    pub(super) fn measure_from(&self, time: u64) {
        self.measure_from.store(time, Relaxed);
    }

    /// The time from which latencies count.
    pub(super) fn measured_from(&self) -> u64 {
        self.measure_from.load(Relaxed)
    }

    /// Asks the publishers to end.
    pub(super) fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    /// Whether the run ends.
    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// Ends the run. What the server said goes before what came of it.
    pub(super) fn fail(&self, error: Error) {
        if self.stopped() && matches!(error, Error::Io(_) | Error::Dropped) {
            return; // the sockets were shut
        }
        let mut failure = self.failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if failure.as_ref().is_none_or(|failure| matches!(failure, Error::Io(_) | Error::Dropped)) {
            *failure = Some(error);
        }
        drop(failure);
        self.waiting.unpark();
    }

    /// Whether something went wrong.
    pub(super) fn failed(&self) -> bool {
        let failure = self.failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        failure.is_some()
    }

    /// What went wrong.
    pub(super) fn failure(self) -> Option<Error> {
        self.failure.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
