//! Working memory that connections use one after the other: it stays in the processor's cache, and an idle connection owns none.

use std::cell::RefCell;

use crate::broker::{Effects, RouteScratch, Taken};
use crate::channel::Batch;

/// Bytes read at once. After this many a connection lets others run, or a fast publisher would starve its consumers.
pub(super) const READ_CHUNK: usize = 64 * 1024;

/// Output buffers kept for the next connection that has something to write.
const SPARE_BUFFERS_MAX: usize = 16;

/// One for each worker thread; empty between two turns of connections, but for its allocations.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) input: Vec<u8>,
    pub(super) batch: Batch,
    pub(super) fx: Effects,
    pub(super) message: Vec<u8>,
    pub(super) route: RouteScratch,
    pub(super) taken: Taken,
    spare: Vec<Vec<u8>>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Scratch {
    /// Lends this thread's scratch.
    pub(super) fn lend<T>(f: impl FnOnce(&mut Self) -> T) -> T {
        SCRATCH.with_borrow_mut(f)
    }

    /// An empty buffer for output.
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes an empty buffer back.
    pub(super) fn reuse(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < SPARE_BUFFERS_MAX {
            self.spare.push(buffer);
        }
    }
}
