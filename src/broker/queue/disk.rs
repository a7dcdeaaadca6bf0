//! A queue's way to disk: what it logs so that it survives a restart, and what it takes out of memory when it grows deep.
//!
//! Both are asked for under the queue's lock, so that log and store see each queue's history in the queue's order. Each lane of a queue is a
//! queue of its own to the store, so that priorities hold over restarts and on disk.

use std::collections::VecDeque;
use std::sync::Arc;

use super::expiry::{EXPIRE_MAX, End};
use super::lanes::Lane;
use super::ready::{Entry, Run, WINDOW_BYTES_MAX, WINDOW_BYTES_TIGHT};
use super::{DeliveryCounts, Queue, State};
use crate::broker::effects::Effects;
use crate::broker::journal::{Journal, Loaded, Op, Pager, QueueId, Request};
use crate::broker::kept::Kept;
use crate::broker::message::Message;
use crate::broker::outbox::Outbox;

/// For consumers, about so many bytes come back from disk at once...
const LOAD_BYTES: usize = 2 * 1024 * 1024;

/// ...and they are asked for when fewer than this are left at the head, so that the disk is read ahead of the consumers.
const HEAD_BYTES_LOW: usize = 2 * 1024 * 1024;

/// Without consumers, only as much as is needed to know the first message.
const LOAD_BYTES_IDLE: usize = 16 * 1024;

/// For basic.get.
const LOAD_BYTES_GET: usize = 256 * 1024;

/// While more bytes than this are on their way to disk the queue's publishers wait; they go on at half of it.
const PAGING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The list of operations gives its memory back when it is empty and has more than this many places.
const KEEP_OPS: usize = 256;

/// What ties a queue to the store.
#[derive(Clone)]
pub struct OnDisk {
    /// Names the queue's first lane in the store.
    pub id: QueueId,
    /// Where it is logged; none if it does not survive a restart.
    pub journal: Option<Arc<Journal>>,
    /// Where it goes when it does not fit into memory.
    pub pager: Arc<dyn Pager>,
    /// It keeps all messages, persistent or not: a quorum queue or a stream.
    pub keeps_all: bool,
}

/// What the store has of a lane after a restart.
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

impl OnDisk {
    /// Ids that belong to one queue: one for each lane that there can be, and some to spare.
    pub const IDS: u64 = 512;

    /// The id of one of its lanes.
    fn lane(&self, lane: Lane) -> QueueId {
        Self::id_of(self.id, lane)
    }

    /// The id of a lane of the queue with this id.
    pub fn id_of(queue: QueueId, lane: Lane) -> QueueId {
        QueueId(queue.0 + u64::from(lane.0))
    }

    /// The id of the queue that an id belongs to, and which of its lanes it is.
    pub fn queue_of(id: QueueId) -> (QueueId, Lane) {
        (QueueId(id.0 - id.0 % Self::IDS), Lane((id.0 % Self::IDS) as u16))
    }
}

/// Operations of one hold of the queue's lock; pushed into the journal at its end.
pub(super) struct Log {
    disk: OnDisk,
    journal: Arc<Journal>,
    ops: Vec<Op<Kept>>,
    /// For each lane that has been used: the last position delivered, and the last that the journal knows of.
    lanes: Vec<(Lane, u64, u64)>,
    /// More has been delivered than the journal knows of.
    delivering: bool,
}

impl Log {
    /// The log of a queue, if it survives a restart.
    pub(super) fn of(disk: Option<&OnDisk>, lanes: impl Iterator<Item = Lane>) -> Option<Box<Self>> {
        let disk = disk?;
        let journal = disk.journal.clone()?;
        let lanes = lanes.map(|lane| (lane, 0, 0)).collect();
        Some(Box::new(Self { disk: disk.clone(), journal, ops: Vec::new(), lanes, delivering: false }))
    }

    #[inline]
    pub(super) fn keeps(&self, message: &Message) -> bool {
        self.disk.keeps_all || message.is_persistent()
    }

    /// A message that is kept stands at this position from now on.
    #[inline]
    pub(super) fn publish(&mut self, lane: Lane, position: u64, message: Message) {
        self.lane(lane);
        let message = Kept { message, lasting: true, flushed: self.disk.keeps_all };
        self.ops.push(Op::Publish { queue: self.disk.lane(lane), position, message });
    }

    /// A message that was gone stands at its position again.
    pub(super) fn restore(&mut self, lane: Lane, position: u64, message: &Message) {
        if self.keeps(message) {
            let message = Kept { message: message.clone(), lasting: true, flushed: self.disk.keeps_all };
            self.ops.push(Op::Restore { queue: self.disk.lane(lane), position, message });
        }
    }

    /// A message is gone for good.
    #[inline]
    pub(super) fn settle(&mut self, lane: Lane, position: u64, message: &Message) {
        if !self.keeps(message) {
            return;
        }
        let (id, added) = (self.disk.lane(lane), message.body_len() as u64);
        match self.ops.last_mut() {
            Some(Op::Settle { queue, last, weight, .. }) if *queue == id && *last + 1 == position => {
                *last = position;
                *weight += added;
            }
            _ => self.ops.push(Op::Settle { queue: id, first: position, last: position, weight: added }),
        }
    }

    /// Messages of these positions are gone for good; `weight` is that of their bodies.
    fn settle_range(&mut self, lane: Lane, first: u64, last: u64, weight: u64) {
        self.ops.push(Op::Settle { queue: self.disk.lane(lane), first, last, weight });
    }

    /// A message came back.
    pub(super) fn returned(&mut self, lane: Lane, position: u64, message: &Message, counts: DeliveryCounts) {
        if self.keeps(message) && self.disk.keeps_all {
            self.ops.push(Op::Mark { queue: self.disk.lane(lane), position, mark: counts.to_u64() });
        }
    }

    /// A message was delivered and is not settled.
    #[inline]
    pub(super) fn delivered(&mut self, lane: Lane, position: u64) {
        let (_, delivered, _) = self.lane(lane);
        if position > *delivered {
            *delivered = position;
            self.delivering = true;
        }
    }

    /// The queue is gone.
    fn drop_all(&mut self) {
        self.lane(Lane::FIRST);
        self.ops.clear();
        let drops = self.lanes.iter().map(|(lane, ..)| Op::Drop { queue: self.disk.lane(*lane) });
        self.ops.extend(drops);
        self.delivering = false;
    }

    #[inline]
    fn lane(&mut self, lane: Lane) -> &mut (Lane, u64, u64) {
        let at = match self.lanes.iter().position(|(known, ..)| *known == lane) {
            Some(at) => at,
            None => {
                self.lanes.push((lane, 0, 0));
                self.lanes.len() - 1
            }
        };
        &mut self.lanes[at]
    }

    /// Pushes all into the journal. Tells whether publishers should wait for the disk.
    fn push(&mut self, fx: &mut Effects) -> bool {
        if std::mem::take(&mut self.delivering) {
            for (lane, delivered, logged) in &mut self.lanes {
                if delivered > logged {
                    *logged = *delivered;
                    self.ops.push(Op::Delivered { queue: self.disk.lane(*lane), up_to: *delivered });
                }
            }
        }
        if self.ops.is_empty() {
            return false;
        }
        let mut writing = self.journal.write();
        for op in self.ops.drain(..) {
            fx.logged(writing.push(op));
        }
        let is_behind = writing.is_behind();
        drop(writing);
        if self.ops.capacity() > KEEP_OPS {
            self.ops = Vec::new();
        }
        is_behind
    }
}

/// The part of a queue's state that has to do with pages.
#[derive(Default)]
pub(super) struct Paging {
    /// Memory of each run on its way to disk; it is given back when the run has arrived.
    runs: VecDeque<usize>,
    bytes: usize,
    /// Publishers that wait for the disk.
    held_back: Vec<Arc<Outbox>>,
    /// Connections whose basic.get waits for the first message to come from disk.
    getters: Vec<Arc<Outbox>>,
}

impl Queue {
    /// What ties it to the store; none if it lives in memory alone.
    pub fn on_disk(&self) -> Option<&OnDisk> {
        self.disk.as_ref()
    }

    /// What was asked for of a lane, from position `from` on, has come; or the disk cannot give it.
    pub fn loaded(self: &Arc<Self>, lane: Lane, from: u64, loaded: Option<Vec<Loaded<Kept>>>, fx: &mut Effects) {
        self.change(fx, |state, fx| match loaded {
            Some(loaded) => {
                let entries: Vec<_> = loaded.into_iter().map(Entry::from).collect();
                let cost: usize = entries.iter().map(|entry| entry.message.cost()).sum();
                if entries.iter().any(|entry| entry.message.ttl_ms().is_some()) {
                    state.note_mortal();
                }
                if state.ready.loaded(lane, from, entries) {
                    state.charged += cost;
                }
            }
            None => state.fail(fx),
        });
        let getters =
            self.state.lock().paging.as_mut().map(|paging| std::mem::take(&mut paging.getters)).unwrap_or_default();
        for getter in getters {
            if getter.disk_is_ready() {
                fx.wake(getter);
            }
        }
    }

    /// The oldest run on its way to disk has arrived there.
    pub fn paged_out(self: &Arc<Self>, fx: &mut Effects) {
        let mut state = self.state.lock();
        let Some(paging) = &mut state.paging else { return };
        let cost = paging.runs.pop_front().unwrap_or(0);
        paging.bytes -= cost;
        paging.release(fx);
        if paging.is_idle() {
            state.paging = None;
        }
        state.charged = state.charged.saturating_sub(cost);
        drop(state);
        self.home.memory.add(-(cost as i64), fx);
    }

    /// Takes what it can out of memory, because the broker is short of it.
    pub fn save_memory(&self) {
        self.page_out(&mut self.state.lock());
    }

    /// Whether basic.get has to wait: more messages are over than go at once, or the first must come from disk. The outbox is told when
    /// it can ask again.
    pub fn makes_wait(self: &Arc<Self>, getter: &Arc<Outbox>, fx: &mut Effects) -> bool {
        let timed = self.state.lock().is_timed();
        let finished = match timed {
            true => self.change(fx, |state, fx| {
                state.end_delays(fx.now());
                state.expire(self, End::Reached, &mut EXPIRE_MAX.clone(), fx)
            }),
            false => true,
        };
        if !finished {
            if getter.disk_is_ready() {
                fx.wake(getter.clone());
            }
            return true;
        }
        let mut state = self.state.lock();
        if state.ready.has_next() || state.ready.is_empty() || state.failed || state.deleted {
            return false;
        }
        let getters = &mut state.paging.get_or_insert_default().getters;
        if !getters.iter().any(|known| Arc::ptr_eq(known, getter)) {
            getters.push(getter.clone());
        }
        self.fetch(&mut state, 0, LOAD_BYTES_GET);
        true
    }

    /// Whether it cannot be read, because its files are damaged.
    pub fn is_failed(&self) -> bool {
        self.state.lock().failed
    }

    /// The queue's files are damaged: it stays closed.
    pub fn fail(&self, fx: &mut Effects) {
        self.state.lock().fail(fx);
    }

    /// Last part of a hold of the lock: what is beyond the window leaves memory, what will be wanted is asked for, and what happened is
    /// logged. True if a publisher should wait for the disk.
    #[inline]
    pub(super) fn keep_up(&self, state: &mut State, fx: &mut Effects) -> bool {
        let Some(_) = &self.disk else { return false };
        // Logged before it is paged out, as the store wants it.
        let is_behind = state.log.as_mut().is_some_and(|log| log.push(fx));
        self.page_out(state);
        match state.consumers.len() {
            0 => self.fetch(state, 0, LOAD_BYTES_IDLE),
            _ => self.fetch(state, HEAD_BYTES_LOW, LOAD_BYTES),
        }
        is_behind
    }

    /// Asks for `bytes` more from disk where a head has no more than `low`.
    fn fetch(&self, state: &mut State, low: usize, bytes: usize) {
        if state.failed {
            return;
        }
        let Some(disk) = &self.disk else { return };
        while let Some((lane, wanted)) = state.ready.want(low) {
            let (queue, from, to) = (disk.lane(lane), wanted.from, wanted.to);
            disk.pager.request(Request::Load { queue, from, to, bytes });
        }
    }

    fn page_out(&self, state: &mut State) {
        let Some(disk) = &self.disk else { return };
        let window = if self.home.memory.is_tight() { WINDOW_BYTES_TIGHT } else { WINDOW_BYTES_MAX };
        while let Some((lane, run)) = state.ready.page_out(window) {
            self.send_run(disk, lane, run, state);
        }
    }

    fn send_run(&self, disk: &OnDisk, lane: Lane, run: Run, state: &mut State) {
        let cost = run.iter().map(|(_, message)| message.cost()).sum();
        let paging = state.paging.get_or_insert_default();
        paging.runs.push_back(cost);
        paging.bytes += cost;
        let lasts = |message: &Message| disk.journal.is_some() && (disk.keeps_all || message.is_persistent());
        let keep =
            |(position, message)| (position, Kept { lasting: lasts(&message), flushed: disk.keeps_all, message });
        let run = run.into_iter().map(keep).collect();
        disk.pager.request(Request::PageOut { queue: disk.lane(lane), lasting: disk.journal.is_some(), run });
    }

    /// Whether a publisher must wait for the disk. It is released when the disk has caught up.
    #[inline]
    pub(super) fn waits_for_disk(&self, state: &mut State, log_is_behind: bool, publisher: &Arc<Outbox>) -> bool {
        let Some(disk) = &self.disk else { return false };
        if let Some(paging) = state.paging.as_mut().filter(|paging| paging.bytes > PAGING_BYTES_MAX) {
            if !paging.held_back.iter().any(|held| Arc::ptr_eq(held, publisher)) {
                paging.held_back.push(publisher.clone());
            }
            return true;
        }
        log_is_behind && disk.journal.as_ref().is_some_and(|journal| journal.hold_back(publisher))
    }

    /// Whether publishers must go on waiting for the disk.
    pub(super) fn is_disk_behind(&self, state: &State) -> bool {
        let journal = self.disk.as_ref().and_then(|disk| disk.journal.as_ref());
        let paging = state.paging.as_ref().map_or(0, |paging| paging.bytes);
        paging > PAGING_BYTES_MAX / 2 || journal.is_some_and(|journal| journal.is_behind())
    }

    /// What stood at these positions of lanes is to be forgotten; `weight` is that of the bodies.
    pub(super) fn forget(&self, state: &mut State, ranges: &[(Lane, u64, u64)], weight: u64) {
        if let Some(log) = &mut state.log {
            for (at, (lane, first, last)) in ranges.iter().enumerate() {
                log.settle_range(*lane, *first, *last, if at == 0 { weight } else { 0 });
            }
        } else if let Some(disk) = &self.disk {
            for (lane, first, last) in ranges.iter().copied() {
                disk.pager.request(Request::Discard { queue: disk.lane(lane), first, last });
            }
        }
    }

    /// The queue is gone, and what it had on disk with it.
    pub(super) fn forget_all(&self, state: &mut State, fx: &mut Effects) {
        if let Some(mut log) = state.log.take() {
            log.drop_all();
            log.push(fx);
        } else if let Some(disk) = &self.disk {
            for lane in state.ready.deep_lanes() {
                disk.pager.request(Request::Discard { queue: disk.lane(lane), first: 0, last: u64::MAX });
            }
        }
    }
}

impl State {
    /// It cannot be read any more: its consumers are told, as if it had been deleted.
    fn fail(&mut self, fx: &mut Effects) {
        self.failed = true;
        for consumer in self.consumers.drain() {
            if consumer.outbox.cancelled(consumer.channel, consumer.subscription) {
                fx.wake(consumer.outbox);
            }
        }
    }
}

impl Paging {
    /// The queue is gone: nobody waits for its pages any more. Gives the memory of those that were on their way.
    pub(super) fn end(mut self, fx: &mut Effects) -> usize {
        let cost = std::mem::take(&mut self.bytes);
        self.release(fx);
        for getter in self.getters {
            if getter.disk_is_ready() {
                fx.wake(getter);
            }
        }
        cost
    }

    fn is_idle(&self) -> bool {
        self.runs.is_empty() && self.held_back.is_empty() && self.getters.is_empty()
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
}

impl From<Loaded<Kept>> for Entry {
    fn from(loaded: Loaded<Kept>) -> Self {
        let Loaded { position, redelivered, mark, message } = loaded;
        Self { position, redelivered, counts: DeliveryCounts::from_u64(mark), message: message.message }
    }
}
