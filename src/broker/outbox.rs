//! What waits for a connection: deliveries, cancel notifications and orders to close. Filled by whoever serves a queue, emptied by
//! the connection's own task.
//!
//! The outbox's lock is a leaf: it may be taken under a queue's lock, and nothing is locked under it.

use std::sync::Arc;
use std::task::Waker;

use parking_lot::Mutex;

use super::message::Message;
use super::queue::{ConsumerKey, DeliveryCounts, Entry, Queue};

/// Deliveries wait in an outbox up to this many bytes; then its consumers are parked until the connection has emptied it. Two of
/// these and the socket's own buffers are what a consumer that stops reading can hold.
pub const OUTBOX_BYTES_MAX: usize = 256 * 1024;

/// Replies to a direct reply-to consumer are dropped beyond this many bytes: such a reply is delivered at most once (P-12).
pub(super) const REPLY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Framing of a delivery beside exchange, key, properties and body: three frames, the method's fields, a consumer tag.
pub(super) const DELIVERY_OVERHEAD: usize = 64;

/// A message on its way to a consumer of this connection. The connection gives it its delivery tag.
pub struct Delivery {
    /// Channel of the consumer.
    pub channel: u16,
    /// Whether the queue had delivered it before.
    pub redelivered: bool,
    /// The channel's own number of the subscription.
    pub subscription: u32,
    /// Position in the queue, needed to settle it. 0 for a direct reply, which has no queue.
    pub position: u64,
    /// How often it came back.
    pub counts: DeliveryCounts,
    /// The message.
    pub message: Message,
}

impl Delivery {
    /// Of a queue's message to a subscription of a channel.
    #[inline]
    pub fn new(channel: u16, subscription: u32, entry: Entry) -> Self {
        let Entry { position, redelivered, counts, message } = entry;
        Self { channel, redelivered, subscription, position, counts, message }
    }

    /// How often it came back and failed, with what it had failed where it was dead-lettered from.
    pub fn total_counts(&self) -> DeliveryCounts {
        self.counts.with_failed_before(self.message.failed())
    }

    /// What the queue gave.
    #[inline]
    pub fn into_entry(self) -> Entry {
        let Self { redelivered, position, counts, message, .. } = self;
        Entry { position, redelivered, counts, message }
    }
}

/// One thing for the connection to do.
pub enum Outgoing {
    /// Send a message to a consumer.
    Deliver(Delivery),
    /// A queue was deleted under this subscription: basic.cancel for those who understand it (M-18).
    Cancelled {
        /// Channel of the consumer.
        channel: u16,
        /// The channel's own number of the subscription.
        subscription: u32,
    },
}

/// Why a connection is closed from our side (C-29): always code 320.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forced(pub String);

/// A connection's mailbox. See the module.
pub struct Outbox {
    state: Mutex<State>,
}

struct State {
    items: Vec<Outgoing>,
    /// Estimated wire bytes of `items`.
    bytes: usize,
    /// A wake was promised to the connection since it last looked.
    notified: bool,
    waker: Option<Waker>,
    /// Consumers to be resumed once the connection has emptied the outbox.
    parked: Vec<(Arc<Queue>, ConsumerKey)>,
    forced: Option<Forced>,
    /// A queue that held this connection's publishing back has room again, or the memory alarm has cleared.
    released: bool,
    /// Something that the connection waits for has been written or read.
    disk_is_ready: bool,
    /// A moment that the connection waits for has come.
    timed: bool,
    /// The connection is gone; what is pushed is refused.
    closed: bool,
}

/// What became of an offered delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offered {
    /// The caller must wake the outbox after it has released its locks.
    pub wake: bool,
    /// The outbox is full now: the consumer was parked.
    pub full: bool,
}

/// What a connection takes out of its outbox at once.
#[derive(Default)]
pub struct Taken {
    /// In the order of arrival.
    pub items: Vec<Outgoing>,
    /// To be resumed by [`Queue::resume`] when the items are encoded.
    pub parked: Vec<(Arc<Queue>, ConsumerKey)>,
    /// Set once, when the broker wants the connection closed.
    pub forced: Option<Forced>,
    /// See [`Outbox::release`].
    pub released: bool,
    /// See [`Outbox::disk_is_ready`].
    pub disk_is_ready: bool,
    /// A moment that the connection waits for has come.
    pub timed: bool,
}

impl Default for Outbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Outbox {
    /// An empty one.
    pub fn new() -> Self {
        let state = State {
            items: Vec::new(),
            bytes: 0,
            notified: false,
            waker: None,
            parked: Vec::new(),
            forced: None,
            released: false,
            disk_is_ready: false,
            timed: false,
            closed: false,
        };
        Self { state: Mutex::new(state) }
    }

    /// Starts a run of deliveries under one lock.
    pub(super) fn deliver(&self) -> DeliverRun<'_> {
        DeliverRun { state: self.state.lock() }
    }

    /// Adds a reply for a direct reply-to consumer, or drops it if the connection is gone or does not read. True if the outbox must be
    /// woken.
    pub fn reply(&self, delivery: Delivery) -> bool {
        let mut state = self.state.lock();
        if state.closed || state.bytes > REPLY_BYTES_MAX {
            return false;
        }
        state.push(delivery);
        state.notify()
    }

    /// Tells that a subscription's queue is gone. True if the outbox must be woken.
    pub fn cancelled(&self, channel: u16, subscription: u32) -> bool {
        let mut state = self.state.lock();
        if state.closed {
            return false;
        }
        state.items.push(Outgoing::Cancelled { channel, subscription });
        state.notify()
    }

    /// Orders the connection to close with 320 and this text, and wakes it.
    pub fn force_close(&self, why: Forced) {
        let mut state = self.state.lock();
        state.forced.get_or_insert(why);
        let wake = state.notify();
        drop(state);
        if wake {
            self.wake();
        }
    }

    /// Lets the connection read again. True if the outbox must be woken.
    pub fn release(&self) -> bool {
        let mut state = self.state.lock();
        state.released = true;
        state.notify()
    }

    /// Tells that something is durable, or has come from disk. True if the outbox must be woken.
    pub fn disk_is_ready(&self) -> bool {
        let mut state = self.state.lock();
        state.disk_is_ready = true;
        state.notify()
    }

    /// Tells the connection that a moment has come that it waits for. True if the outbox must be woken.
    pub(super) fn look_at_time(&self) -> bool {
        let mut state = self.state.lock();
        state.timed = true;
        state.notify()
    }

    /// Wakes the connection. Not to be called under any lock.
    pub fn wake(&self) {
        let waker = self.state.lock().waker.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Moves everything into `taken`, whose vectors must be empty, and keeps `waker` for what comes next. With `deliveries` false
    /// the items stay (the peer reads too slowly for more).
    pub fn take(&self, taken: &mut Taken, deliveries: bool, waker: &Waker) {
        let mut state = self.state.lock();
        if !state.waker.as_ref().is_some_and(|w| w.will_wake(waker)) {
            state.waker = Some(waker.clone());
        }
        state.notified = false;
        taken.forced = state.forced.take();
        taken.released = std::mem::take(&mut state.released);
        taken.disk_is_ready = std::mem::take(&mut state.disk_is_ready);
        taken.timed = std::mem::take(&mut state.timed);
        if deliveries {
            state.take_items(taken);
        }
    }

    /// Moves all items into `taken`, whose vectors must be empty, and nothing else.
    pub fn take_items(&self, taken: &mut Taken) {
        self.state.lock().take_items(taken);
    }

    /// Refuses everything from now on and gives back what was not taken.
    pub fn close(&self) -> Taken {
        let mut state = self.state.lock();
        state.closed = true;
        state.waker = None;
        Taken {
            items: std::mem::take(&mut state.items),
            parked: std::mem::take(&mut state.parked),
            forced: None,
            released: false,
            disk_is_ready: false,
            timed: false,
        }
    }
}

impl State {
    fn push(&mut self, delivery: Delivery) {
        self.bytes += delivery.message.wire_len() + DELIVERY_OVERHEAD;
        self.items.push(Outgoing::Deliver(delivery));
    }

    fn take_items(&mut self, taken: &mut Taken) {
        if !self.items.is_empty() {
            // Taken with their allocations: an idle connection owns none, however busy it was.
            taken.items = std::mem::take(&mut self.items);
            taken.parked = std::mem::take(&mut self.parked);
            self.bytes = 0;
        }
    }

    fn notify(&mut self) -> bool {
        !std::mem::replace(&mut self.notified, true)
    }
}

/// A run of deliveries into one outbox.
pub(super) struct DeliverRun<'a> {
    state: parking_lot::MutexGuard<'a, State>,
}

impl DeliverRun<'_> {
    /// Whether another delivery may be pushed.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.state.bytes < OUTBOX_BYTES_MAX && !self.state.closed
    }

    /// Adds a delivery; there must be room.
    #[inline]
    pub(super) fn push(&mut self, delivery: Delivery) {
        self.state.push(delivery);
    }

    /// Ends the run. If the outbox is full `consumer` is parked, to be resumed when it has been emptied. (A closed outbox parks too:
    /// its connection removes the consumer soon.)
    pub(super) fn finish(mut self, queue: &Arc<Queue>, consumer: ConsumerKey, pushed: bool) -> Offered {
        let full = !self.has_room();
        if full && !self.state.closed {
            self.state.parked.push((queue.clone(), consumer));
        }
        Offered { wake: pushed && self.state.notify(), full }
    }
}
