//! A queue's way to disk: what it logs so that it survives a restart, and what it takes out of memory when it grows deep.
//!
//! Both are asked for under the queue's lock, so that log and store see each queue's history in the queue's order.

use std::collections::VecDeque;
use std::sync::Arc;

use super::ready::{Entry, Ready, Run, WINDOW_BYTES_MAX, WINDOW_BYTES_TIGHT};
use super::{Queue, State};
use crate::broker::effects::Effects;
use crate::broker::journal::{Journal, Loaded, Op, Pager, QueueId, Request, Writing};
use crate::broker::kept::Kept;
use crate::broker::message::Message;
use crate::broker::outbox::Outbox;

/// About how many bytes come back from disk at once.
const LOAD_BYTES: usize = 2 * 1024 * 1024;

/// While more bytes than this are on their way to disk the queue's publishers wait; they go on at half of it.
const PAGING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What ties a queue to the store.
#[derive(Clone)]
pub struct OnDisk {
    /// Names the queue in the store.
    pub id: QueueId,
    /// Where it is logged; none if it does not survive a restart.
    pub journal: Option<Arc<Journal>>,
    /// Where it goes when it does not fit into memory.
    pub pager: Arc<dyn Pager>,
    /// It keeps all messages, persistent or not: a quorum queue or a stream.
    pub keeps_all: bool,
}

/// What the store has of a queue after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Position of the first message, if there is one.
    pub first: u64,
    /// The next message gets this position.
    pub next: u64,
    /// How many messages there are.
    pub count: u64,
    /// Bytes of their bodies.
    pub body_bytes: u64,
}

impl Recovered {
    pub(super) fn ready(self) -> Ready {
        let len = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        Ready::on_disk(self.first, self.next.max(1), len(self.count), len(self.body_bytes))
    }
}

/// The part of a queue's state that has to do with the disk.
#[derive(Default)]
pub(super) struct Paging {
    /// Memory of each run on its way to disk; it is given back when the run has arrived.
    runs: VecDeque<usize>,
    bytes: usize,
    /// Publishers that wait for the disk.
    held_back: Vec<Arc<Outbox>>,
    /// Connections whose basic.get waits for the first message to come from disk.
    getters: Vec<Arc<Outbox>>,
    /// The last position that was delivered, and the last that the log knows of.
    delivered: u64,
    logged: u64,
    /// The queue cannot be read; nothing of it comes any more.
    pub(super) failed: bool,
}

/// Pushes of one hold of the queue's lock. The journal is locked at the first.
pub(super) struct Log<'a> {
    disk: &'a OnDisk,
    journal: &'a Journal,
    writing: Option<Writing<'a, Kept>>,
    position: u64,
}

impl<'a> Log<'a> {
    #[inline]
    pub(super) fn of(queue: &'a Queue) -> Option<Self> {
        let disk = queue.disk.as_ref()?;
        let journal = disk.journal.as_deref()?;
        Some(Self { disk, journal, writing: None, position: 0 })
    }

    #[inline]
    fn keeps(&self, message: &Message) -> bool {
        self.disk.keeps_all || message.is_persistent()
    }

    /// A message stands at this position from now on.
    #[inline]
    pub(super) fn publish(&mut self, position: u64, message: &Message) {
        if self.keeps(message) {
            let message = Kept { message: message.clone(), lasting: true, flushed: self.disk.keeps_all };
            let op = Op::Publish { queue: self.disk.id, position, message };
            self.position = self.writing().push(op);
        }
    }

    /// A message is gone for good.
    #[inline]
    pub(super) fn settle(&mut self, position: u64, message: &Message) {
        if self.keeps(message) {
            let (id, weight) = (self.disk.id, message.body_len() as u64);
            self.position = self.writing().settle(id, position, weight);
        }
    }

    fn settle_ranges(&mut self, ranges: &[(u64, u64)], weight: u64) {
        let queue = self.disk.id;
        for (at, (first, last)) in ranges.iter().copied().enumerate() {
            let weight = if at == 0 { weight } else { 0 };
            self.position = self.writing().push(Op::Settle { queue, first, last, weight });
        }
    }

    /// Whether the disk is behind with the log.
    fn is_behind(&self) -> bool {
        self.writing.as_ref().is_some_and(Writing::is_behind)
    }

    /// Ends the pushes and unlocks the journal: when they are durable (0 if nothing was pushed), and whether publishers should wait
    /// for the disk.
    pub(super) fn finish(self) -> (u64, bool) {
        (self.position, self.is_behind())
    }

    #[inline]
    fn writing(&mut self) -> &mut Writing<'a, Kept> {
        self.writing.get_or_insert_with(|| self.journal.write())
    }
}

impl Queue {
    /// What ties it to the store; none if it lives in memory alone.
    pub fn on_disk(&self) -> Option<&OnDisk> {
        self.disk.as_ref()
    }

    /// What was asked for from disk, from position `from` on, has come; or the disk cannot give it.
    pub fn loaded(self: &Arc<Self>, from: u64, loaded: Option<Vec<Loaded<Kept>>>, fx: &mut Effects) {
        self.change(fx, |state| {
            let entries = loaded.map(|loaded| loaded.into_iter().map(Entry::from).collect::<Vec<_>>());
            match entries {
                Some(entries) => {
                    let cost: usize = entries.iter().map(|entry| entry.message.cost()).sum();
                    if state.ready.loaded(from, entries) {
                        state.charged += cost;
                    }
                }
                None => state.paging.failed = true,
            }
        });
        let getters = std::mem::take(&mut self.state.lock().paging.getters);
        for getter in getters {
            if getter.disk_is_ready() {
                fx.wake(getter);
            }
        }
    }

    /// The oldest run on its way to disk has arrived there.
    pub fn paged_out(self: &Arc<Self>, fx: &mut Effects) {
        let mut state = self.state.lock();
        let cost = state.paging.runs.pop_front().unwrap_or(0);
        state.paging.bytes -= cost;
        state.charged = state.charged.saturating_sub(cost);
        state.paging.release(fx);
        drop(state);
        self.memory.add(-(cost as i64), fx);
    }

    /// Takes what it can out of memory, because the broker is short of it.
    pub fn save_memory(&self) {
        self.page_out(&mut self.state.lock());
    }

    /// Whether the first message must come from disk before basic.get can have it. Then the outbox is told when it is here.
    pub fn is_first_on_disk(&self, getter: &Arc<Outbox>) -> bool {
        let mut state = self.state.lock();
        if !state.ready.is_headless() || state.ready.is_empty() || state.paging.failed || state.deleted {
            return false;
        }
        state.paging.getters.push(getter.clone());
        self.fetch(&mut state);
        true
    }

    /// Whether it cannot be read, because its files are damaged.
    pub fn is_failed(&self) -> bool {
        self.state.lock().paging.failed
    }

    /// The queue's files are damaged: it stays closed.
    pub fn fail(&self) {
        self.state.lock().paging.failed = true;
    }

    /// Asks for more from disk if the head is low.
    #[inline]
    pub(super) fn fetch(&self, state: &mut State) {
        if state.paging.failed {
            return;
        }
        if let Some(disk) = &self.disk
            && let Some(wanted) = state.ready.want()
        {
            disk.pager.request(Request::Load { queue: disk.id, from: wanted.from, to: wanted.to, bytes: LOAD_BYTES });
        }
    }

    /// Takes out of memory what is beyond the window.
    #[inline]
    pub(super) fn page_out(&self, state: &mut State) {
        let Some(disk) = &self.disk else { return };
        let window = if self.memory.is_tight() { WINDOW_BYTES_TIGHT } else { WINDOW_BYTES_MAX };
        while let Some(run) = state.ready.page_out(window) {
            self.send_run(disk, run, state);
        }
    }

    fn send_run(&self, disk: &OnDisk, run: Run, state: &mut State) {
        let cost = run.iter().map(|(_, message)| message.cost()).sum();
        state.paging.runs.push_back(cost);
        state.paging.bytes += cost;
        let lasts = |message: &Message| disk.journal.is_some() && (disk.keeps_all || message.is_persistent());
        let keep =
            |(position, message)| (position, Kept { lasting: lasts(&message), flushed: disk.keeps_all, message });
        disk.pager.request(Request::PageOut { queue: disk.id, run: run.into_iter().map(keep).collect() });
    }

    /// Whether a publisher must wait for the disk. It is released when the disk has caught up.
    #[inline]
    pub(super) fn waits_for_disk(&self, state: &mut State, log_is_behind: bool, publisher: &Arc<Outbox>) -> bool {
        let Some(disk) = &self.disk else { return false };
        if state.paging.bytes > PAGING_BYTES_MAX {
            if !state.paging.held_back.iter().any(|held| Arc::ptr_eq(held, publisher)) {
                state.paging.held_back.push(publisher.clone());
            }
            return true;
        }
        log_is_behind && disk.journal.as_ref().is_some_and(|journal| journal.hold_back(publisher))
    }

    /// What was logged or paged of these positions is to be forgotten; `weight` is that of the bodies.
    pub(super) fn forget_ranges(&self, ranges: &[(u64, u64)], weight: u64, was_deep: bool, fx: &mut Effects) {
        if let Some(mut log) = Log::of(self) {
            log.settle_ranges(ranges, weight);
            fx.logged(log.finish().0);
        } else if let Some(disk) = self.disk.as_ref().filter(|_| was_deep) {
            let queue = disk.id;
            for (first, last) in ranges.iter().copied() {
                disk.pager.request(Request::Discard { queue, first, last });
            }
        }
    }

    /// The queue is gone; what it had on disk too. (The log learns it with the definition.)
    pub(super) fn discard_all(&self) {
        if let Some(OnDisk { id, journal: None, pager, .. }) = &self.disk {
            pager.request(Request::Discard { queue: *id, first: 0, last: u64::MAX });
        }
    }

    /// Logs how far deliveries have come, so that they are marked redelivered after a crash.
    #[inline]
    pub(super) fn log_delivered(&self, state: &mut State) {
        let paging = &mut state.paging;
        if paging.delivered > paging.logged
            && let Some(mut log) = Log::of(self)
        {
            paging.logged = paging.delivered;
            let op = Op::Delivered { queue: log.disk.id, up_to: paging.delivered };
            log.writing().push(op);
        }
    }
}

impl Paging {
    /// A message at this position was delivered and is not settled.
    #[inline]
    pub(super) fn delivered(&mut self, position: u64) {
        self.delivered = self.delivered.max(position);
    }

    fn release(&mut self, fx: &mut Effects) {
        if self.bytes <= PAGING_BYTES_MAX / 2 {
            for publisher in self.held_back.drain(..) {
                if publisher.release() {
                    fx.wake(publisher);
                }
            }
        }
    }

    /// Whether publishers must go on waiting.
    pub(super) fn must_hold(&self) -> bool {
        self.bytes > PAGING_BYTES_MAX / 2
    }
}

impl From<Loaded<Kept>> for Entry {
    fn from(loaded: Loaded<Kept>) -> Self {
        Self { position: loaded.position, redelivered: loaded.redelivered, message: loaded.message.message }
    }
}
