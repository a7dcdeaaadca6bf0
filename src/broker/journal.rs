//! The journal: what happened to durable queues and definitions, in order, until the store has written it.
//!
//! Queues push under their own lock, so that the journal has each queue's history in the queue's order; the journal's lock is a leaf,
//! like an outbox's. One thread of the store takes everything at once, writes it as one atomic group and says what is durable.
//!
//! Positions count operations: an operation is durable once [`Journal::committed`] has reached the position that its push gave.

mod bell;
mod pending;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use self::bell::Bell;
use self::pending::{Pending, Writer};
use super::effects::Effects;
use super::kept::Kept;
use super::outbox::{Outbox, Taken};

/// Identity of a queue in the store. Unlike its key it is never used again in a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(pub u64);

/// What a message is to the store: bytes, written once however many queues hold it.
pub trait Payload: Clone + Send + Sync + 'static {
    /// Whether it survives a restart; one that does not is written only when memory is short.
    fn is_persistent(&self) -> bool;

    /// The same for all handles of one message while it lives, if several queues may hold it.
    fn shared_id(&self) -> Option<usize>;

    /// Bytes that [`Payload::write`] appends.
    fn encoded_len(&self) -> usize;

    /// It must be flushed before it is confirmed, whatever the policy (quorum queues).
    fn must_be_flushed(&self) -> bool;

    /// Bytes of its body, as length limits count them.
    fn weight(&self) -> u64;

    /// Appends its encoding.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads what [`Payload::write`] wrote; none if the bytes are nothing of the kind.
    fn read(bytes: &[u8]) -> Option<Self>;
}

/// One change of a durable queue or of a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op<P> {
    /// A definition (an exchange, a queue, a binding) is there, with this value; it replaces what had the same key.
    Define {
        /// Names it.
        key: Box<[u8]>,
        /// What the broker needs to make it again.
        value: Box<[u8]>,
    },
    /// The definition with this key is gone.
    Forget {
        /// Names it.
        key: Box<[u8]>,
    },
    /// The queue is gone with all its messages.
    Drop {
        /// Which.
        queue: QueueId,
    },
    /// A message came into a queue. Positions of a queue only grow, but for [`Op::Restore`].
    Publish {
        /// Which.
        queue: QueueId,
        /// Where it stands in the queue.
        position: u64,
        /// The message.
        message: P,
    },
    /// A message that was settled is there again, where it stood: it was never sent to whom it was given.
    Restore {
        /// Which.
        queue: QueueId,
        /// Where it stands in the queue.
        position: u64,
        /// The message.
        message: P,
    },
    /// Messages left a queue for good: all that it has from the first to the last position.
    Settle {
        /// Which.
        queue: QueueId,
        /// The first.
        first: u64,
        /// The last, not before the first.
        last: u64,
        /// Sum of the weights of the persistent ones among them.
        weight: u64,
    },
    /// Messages up to this position may have been delivered: after a restart they are marked redelivered.
    Delivered {
        /// Which.
        queue: QueueId,
        /// The last position delivered.
        up_to: u64,
    },
    /// The queue keeps a number with an unsettled message, given back when the message is loaded (delivery counts).
    Mark {
        /// Which.
        queue: QueueId,
        /// Which message.
        position: u64,
        /// The number; 0 is what a message without a mark has.
        mark: u64,
    },
}

/// What a queue wants of the store beside the log, in order of its requests.
#[derive(Debug)]
pub enum Request<P> {
    /// Take these messages out of memory. Their positions ascend and lie beyond all that were paged out before; the persistent ones
    /// among them have been pushed as [`Op::Publish`] earlier.
    PageOut {
        /// Which.
        queue: QueueId,
        /// The queue survives a restart, whether or not these messages do.
        lasting: bool,
        /// Positions and messages.
        run: Vec<(u64, P)>,
    },
    /// Give back the first messages at and beyond a position, up to about this many bytes, and at least one if there is one.
    /// One that is not persistent leaves the disk with that.
    Load {
        /// Which.
        queue: QueueId,
        /// Where to begin.
        from: u64,
        /// Where to end: positions from here on are in memory.
        to: u64,
        /// About how much.
        bytes: usize,
    },
    /// Messages of a queue that is not durable are gone, from the first to the last position.
    Discard {
        /// Which.
        queue: QueueId,
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
}

impl<P> Request<P> {
    /// The queue that it is about.
    pub fn queue(&self) -> QueueId {
        match self {
            Self::PageOut { queue, .. } | Self::Load { queue, .. } | Self::Discard { queue, .. } => *queue,
        }
    }

    /// What it takes out of memory of a queue, if it does so.
    pub fn run_of(&self, of: QueueId) -> Option<&[(u64, P)]> {
        match self {
            Self::PageOut { queue, run, .. } if *queue == of => Some(run),
            _ => None,
        }
    }
}

/// Who takes messages out of memory and brings them back: the store.
pub trait Pager: Send + Sync {
    /// Takes a request; it is done later, in order. Called under a queue's lock.
    fn request(&self, request: Request<Kept>);
}

/// A message that came back from disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded<P> {
    /// Where it stands in the queue.
    pub position: u64,
    /// It may have been delivered before a restart.
    pub redelivered: bool,
    /// See [`Op::Mark`].
    pub mark: u64,
    /// The message.
    pub message: P,
}

/// See the module.
pub struct Journal<P = Kept> {
    pending: Mutex<Pending<P>>,
    work: Bell,
    committed: AtomicU64,
}

/// Operations taken to be written as one group.
pub struct Group<P> {
    /// In order.
    pub ops: Vec<Op<P>>,
    /// What is committed when they are durable.
    pub position: u64,
    waiters: Vec<Arc<Outbox>>,
}

impl<P> Default for Group<P> {
    fn default() -> Self {
        Self { ops: Vec::new(), position: 0, waiters: Vec::new() }
    }
}

/// Publishers wait while more bytes than this are not written yet.
pub const BACKLOG_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What nobody waits for is written when it amounts to this, or after the writer's patience.
const LAZY_BYTES_MAX: usize = 1024 * 1024;

impl<P: Payload> Default for Journal<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Payload> Journal<P> {
    /// An empty journal.
    pub fn new() -> Self {
        Self { pending: Mutex::new(Pending::new()), work: Bell::default(), committed: AtomicU64::new(0) }
    }

    /// Locks it for a few pushes.
    #[inline]
    pub fn write(&self) -> Writing<'_, P> {
        Writing { pending: self.pending.lock(), work: &self.work }
    }

    /// All that is pushed until this is dropped becomes durable together or not at all. Several may be open at once; nothing may be
    /// awaited meanwhile.
    pub fn group(&self) -> Together<'_, P> {
        self.pending.lock().groups += 1;
        Together(self)
    }

    /// What is durable.
    #[inline]
    pub fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    /// The outbox is told once all that has been pushed so far is durable; false if `position` is already.
    pub fn wait(&self, position: u64, outbox: &Arc<Outbox>) -> bool {
        let mut pending = self.pending.lock();
        if self.committed() >= position {
            return false;
        }
        if !pending.waiters.last().is_some_and(|last| Arc::ptr_eq(last, outbox)) {
            pending.waiters.push(outbox.clone());
        }
        pending.wake_writer(&self.work);
        true
    }

    /// Waits until what has been pushed so far is durable up to `position`.
    pub async fn durable(&self, position: u64) {
        let outbox = Arc::new(Outbox::new());
        poll_fn(|context| {
            // Takes what told it to look before it looks: what is committed afterwards tells it again.
            outbox.take(&mut Taken::default(), true, context.waker());
            if self.wait(position, &outbox) { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    /// Whether publishers should go on waiting.
    pub fn is_behind(&self) -> bool {
        let pending = self.pending.lock();
        pending.bytes + pending.writing > BACKLOG_BYTES_MAX / 2
    }

    /// Whether a publisher should wait because the disk is behind; its outbox is released when the backlog is written.
    pub fn hold_back(&self, publisher: &Arc<Outbox>) -> bool {
        let mut pending = self.pending.lock();
        let hold = pending.bytes + pending.writing > BACKLOG_BYTES_MAX;
        if hold && !pending.held_back.iter().any(|held| Arc::ptr_eq(held, publisher)) {
            pending.held_back.push(publisher.clone());
        }
        hold
    }

    /// For the store's writer: waits for something to write and takes it all, or as much as a group may have. What nobody waits for may
    /// wait for `patience`, so that what is settled meanwhile need not be written. If nothing comes until `deadline`, the group is empty.
    /// False if the journal is closed and empty.
    ///
    /// Before the writer sleeps it is given to `watch`, which may look for a while whether it is called.
    pub fn take(
        &self,
        group: &mut Group<P>,
        patience: Duration,
        deadline: Option<Instant>,
        mut watch: impl FnMut(&dyn Fn() -> bool),
    ) -> bool {
        let mut pending = self.pending.lock();
        let (mut impatient, mut late, mut watches) = (false, false, true);
        loop {
            let due = !pending.waiters.is_empty() || pending.bytes > LAZY_BYTES_MAX || impatient || pending.closed;
            let something = !(pending.ops.is_empty() && pending.waiters.is_empty());
            if pending.groups == 0 && due && something || late && pending.ops.is_empty() {
                break;
            }
            if pending.closed && pending.ops.is_empty() {
                return false;
            }
            let idle = pending.ops.is_empty();
            pending.writer = if idle { Writer::Idle } else { Writer::Patient };
            if watches {
                watches = self.work.watch(&mut pending, &mut watch);
            } else if idle {
                late = !self.work.sleep(&mut pending, deadline);
                watches = true;
            } else {
                impatient |= !self.work.sleep_for(&mut pending, patience);
            }
            pending.writer = Writer::Busy;
        }
        pending.take(group);
        true
    }

    /// The group is durable: releases who waited for it.
    pub fn commit(&self, group: &mut Group<P>, fx: &mut Effects) {
        let mut pending = self.pending.lock();
        self.committed.fetch_max(group.position, Ordering::Release);
        pending.writing = 0;
        let released = match pending.bytes <= BACKLOG_BYTES_MAX / 2 {
            true => std::mem::take(&mut pending.held_back),
            false => Vec::new(),
        };
        drop(pending);
        for outbox in group.waiters.drain(..) {
            if outbox.disk_is_ready() {
                fx.wake(outbox);
            }
        }
        for outbox in released {
            if outbox.release() {
                fx.wake(outbox);
            }
        }
    }

    /// Whether nothing is pushed any more.
    pub fn is_closed(&self) -> bool {
        self.pending.lock().closed
    }

    /// Nothing is pushed any more: the writer ends when it has written all.
    pub fn close(&self) {
        self.pending.lock().close(&self.work);
    }
}

/// See [`Journal::group`].
pub struct Together<'a, P>(&'a Journal<P>);

impl<P> Drop for Together<'_, P> {
    fn drop(&mut self) {
        let mut pending = self.0.pending.lock();
        pending.groups -= 1;
        if pending.groups == 0 {
            pending.seam();
            pending.wake_writer(&self.0.work);
        }
    }
}

/// The journal's lock. See [`Journal::write`].
pub struct Writing<'a, P> {
    pending: MutexGuard<'a, Pending<P>>,
    work: &'a Bell,
}

impl<P> Drop for Writing<'_, P> {
    /// The writer hears of the first operation after a pause, whether or not somebody waits for it, and when much has gathered.
    fn drop(&mut self) {
        let pending = &mut *self.pending;
        pending.seam();
        let wake = match pending.writer {
            Writer::Busy => false,
            Writer::Idle => !pending.ops.is_empty(),
            Writer::Patient => pending.bytes > LAZY_BYTES_MAX,
        };
        if wake {
            pending.wake_writer(self.work);
        }
    }
}

impl<P: Payload> Writing<'_, P> {
    /// Adds an operation. Gives its position.
    #[inline]
    pub fn push(&mut self, op: Op<P>) -> u64 {
        self.pending.push(op)
    }

    /// Whether publishers should wait: see [`Journal::hold_back`].
    #[inline]
    pub fn is_behind(&self) -> bool {
        self.pending.bytes + self.pending.writing > BACKLOG_BYTES_MAX
    }
}
