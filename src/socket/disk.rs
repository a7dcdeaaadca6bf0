//! What worker threads know of the disk that their clients wait for. There is one store in a process.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// All up to this position of the journal is durable, and who waited for that has been told.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// How long it is worth to stay awake for the disk, in microseconds.
static PATIENCE: AtomicU32 = AtomicU32::new(0);

/// To be called when all up to a position of the journal is durable and who waited for that has been told; with how long it is worth to
/// stay awake for what comes next, if at all.
pub(crate) fn has_written(position: u64, patience: Option<Duration>) {
    let micros = patience.map_or(0, |patience| patience.as_micros().try_into().unwrap_or(u32::MAX));
    if PATIENCE.load(Ordering::Relaxed) != micros {
        PATIENCE.store(micros, Ordering::Relaxed);
    }
    WRITTEN.fetch_max(position, Ordering::Release);
}

pub(super) fn written() -> u64 {
    WRITTEN.load(Ordering::Acquire)
}

pub(super) fn patience() -> Duration {
    Duration::from_micros(PATIENCE.load(Ordering::Relaxed).into())
}
