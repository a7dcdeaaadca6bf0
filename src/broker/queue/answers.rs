//! What a queue answers: refusals, counts, what was left in it.

use super::lanes::Lanes;

/// Why a consumer was refused.
#[derive(Debug, PartialEq, Eq)]
pub enum ConsumeError {
    /// An exclusive consumer is there, or an exclusive one was asked for beside others (S-05).
    ExclusiveUse,
    /// The queue was deleted meanwhile.
    Deleted,
}

/// Why a queue was not deleted.
#[derive(Debug, PartialEq, Eq)]
pub enum DeleteRefused {
    /// `if-unused`, and it has consumers.
    InUse,
    /// `if-empty`, and it has ready messages.
    NotEmpty,
    /// Somebody else was faster.
    Deleted,
}

/// What was left in a deleted queue. Dropping it frees the messages, which takes its time when there are many: not under a lock.
pub struct Remains {
    pub(super) ready: Lanes,
}

impl Remains {
    /// Messages that were ready.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }
}

/// Ready messages and consumers of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Messages ready for delivery.
    pub ready: usize,
    /// Delivered and not settled.
    pub unacked: usize,
    /// Consumers.
    pub consumers: usize,
}
