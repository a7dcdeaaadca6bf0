//! What a worker thread knows of the disk that its clients wait for.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// A disk that takes longer is waited for asleep.
const SHORT: Duration = Duration::from_micros(200);

/// How often something has become durable.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// How long it took, in microseconds.
static TOOK: AtomicU32 = AtomicU32::new(u32::MAX);

/// To be called when something has become durable, which took so long, and who waited for it has been told.
pub(crate) fn has_written(took: Duration) {
    TOOK.store(took.as_micros().try_into().unwrap_or(u32::MAX), Ordering::Relaxed);
    WRITTEN.fetch_add(1, Ordering::Release);
}

/// A wait for the disk.
pub(super) struct DiskWait {
    written: u64,
}

impl DiskWait {
    /// It begins before the disk is asked.
    pub(super) fn new() -> Self {
        Self { written: WRITTEN.load(Ordering::Acquire) }
    }

    /// Whether something has become durable meanwhile.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        WRITTEN.load(Ordering::Acquire) != self.written
    }

    /// How long it is worth to stay awake for the disk; nothing if it is slow.
    pub(super) fn patience() -> Option<Duration> {
        let took = Duration::from_micros(TOOK.load(Ordering::Relaxed).into());
        (took <= SHORT).then(|| took * 2)
    }
}
