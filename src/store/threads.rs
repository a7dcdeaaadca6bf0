//! The store at work: a thread that writes and flushes the log, and one that keeps what was written.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::disk::Disk;
use super::error::StoreError;
use super::keeper::{CheckpointJob, Keeper};
use super::log::{Effect, LogPosition, LogWriter, Written};
use super::recovery::{Lock, Opened};
use super::vigil::Vigil;
use super::{Durability, Options, Sink};
use crate::broker::Effects;
use crate::broker::journal::{Group, Journal, Op, Payload, Request};

/// What nobody waits for is written after this long, so that what is settled meanwhile need not be.
const PATIENCE: Duration = Duration::from_millis(5);

/// How often the keeper looks around when nothing happens.
const TICK: Duration = Duration::from_millis(250);

/// How often the disk's free space is looked at, and writing to a full disk is tried again.
const SPACE_CHECK: Duration = Duration::from_millis(if cfg!(test) { 5 } else { 1000 });

/// What the keeper writes to a full disk is tried again later and later, up to this.
const PAUSE_MAX: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 4000 });

/// When nothing has been written for so long, the log is emptied and its spare files are removed. Not in tests, which look at what the
/// log's thread flushes by itself.
const IDLE: Duration = Duration::from_secs(if cfg!(test) { 3600 } else { 2 });

/// The log waits for the keeper when it is this many files ahead of what is in segments.
const LOG_FILES_AHEAD_MAX: u64 = 16;

/// With these the log can go on when the disk is full; other spare files are removed.
const SPARES_OF_FULL_DISK: usize = 2;

/// Messages to the keeper handled before requests are served.
const AT_ONCE: usize = 64;

/// A store at work.
pub struct Store<P> {
    to_keeper: Sender<ToKeeper<P>>,
    threads: Mutex<Option<Threads>>,
    _lock: Lock,
}

struct Threads {
    log: JoinHandle<Option<()>>,
    keeper: JoinHandle<Option<Result<(), StoreError>>>,
}

enum ToKeeper<P> {
    /// A group was written.
    Written {
        effects: Vec<Effect>,
        end: LogPosition,
    },
    Request(Request<P>),
    /// A checkpoint was written, or not.
    Checkpointed(CheckpointJob, Result<(), StoreError>),
    /// The log is closed: write the last checkpoint.
    Close,
}

/// What both threads know of the disk's state.
struct Health<P> {
    sink: Arc<dyn Sink<P>>,
    /// Why publishers should stop, by [`Low`].
    low: Mutex<[bool; 3]>,
    failed: AtomicBool,
    /// The first file of the log that is still needed.
    from_generation: AtomicU64,
}

/// Who has found that the disk has too little space. A write that was refused says more than what the system calls free: a quota may be
/// used up. So that lasts until a write succeeds.
#[derive(Clone, Copy)]
enum Low {
    /// There is less free space than there should be.
    Free,
    /// The log could not be written.
    Log,
    /// The keeper could not write.
    Kept,
}

impl<P> Health<P> {
    /// Told under the lock: the last that the sink hears is what is so.
    fn set_low(&self, by: Low, low: bool) {
        let mut all = self.low.lock();
        let before = all.contains(&true);
        all[by as usize] = low;
        if all.contains(&true) != before {
            self.sink.space_low(low);
        }
    }

    /// Nothing is durable from now on.
    fn fail(&self, error: StoreError) {
        if !self.failed.swap(true, Ordering::SeqCst) {
            self.sink.failed(error);
        }
    }

    fn is_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }
}

pub(super) fn start<P: Payload>(
    options: Options,
    disk: Arc<dyn Disk>,
    lock: Lock,
    opened: Opened<P>,
    journal: Arc<Journal<P>>,
    sink: Arc<dyn Sink<P>>,
) -> Store<P> {
    let (to_keeper, from_others) = channel();
    let Opened { keeper, spares, log_end, is_full, .. } = opened;
    let health = Arc::new(Health {
        sink,
        low: Default::default(),
        failed: AtomicBool::new(false),
        from_generation: AtomicU64::new(keeper.first_generation()),
    });
    let writer = Writer {
        log: LogWriter::new(disk.clone(), spares.clone(), log_end, options.durability == Durability::Group),
        journal,
        durability: options.durability,
        last_sync: Instant::now(),
        to_keeper: to_keeper.clone(),
        health: health.clone(),
    };
    let mut keeping = Keeping {
        keeper,
        disk,
        spares,
        from_others,
        to_self: to_keeper.clone(),
        health: health.clone(),
        disk_free_limit: options.disk_free_limit,
        writing: false,
        last_written: Instant::now(),
        last_look: None,
        refused: None,
        checkpoint_refused: is_full,
    };
    if is_full {
        keeping.disk_is_full();
    }
    let room = "the system has room for two more threads";
    let log = spawn("log", &health, || writer.run()).expect(room);
    let keeper = spawn("keeper", &health, || keeping.run()).expect(room);
    Store { to_keeper, threads: Mutex::new(Some(Threads { log, keeper })), _lock: lock }
}

/// Starts a thread. A bug of ours in it is a failure of the store: without it nothing would be confirmed any more, and nobody told.
fn spawn<P: Payload, T: Send + 'static>(
    name: &'static str,
    health: &Arc<Health<P>>,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<Option<T>>> {
    let health = health.clone();
    let guarded = move || {
        let done = catch_unwind(AssertUnwindSafe(work)).ok();
        if done.is_none() {
            health.fail(StoreError::Panicked { thread: name });
        }
        done
    };
    thread::Builder::new().name(name.to_owned()).spawn(guarded)
}

impl<P: Payload> Store<P> {
    /// Asks for pages. Returns at once.
    pub fn request(&self, request: Request<P>) {
        let _ = self.to_keeper.send(ToKeeper::Request(request)); // the keeper is gone only when the store is closed
    }

    /// Waits until the closed journal is written, writes the last checkpoint and ends the threads.
    ///
    /// # Errors
    /// The last checkpoint cannot be written. Nothing is lost: the one before holds on, and the log has what came since. That the store
    /// has failed before is told to the sink alone.
    pub fn close(&self) -> Result<(), StoreError> {
        let Some(Threads { log, keeper }) = self.threads.lock().take() else { return Ok(()) };
        let _ = log.join();
        let _ = self.to_keeper.send(ToKeeper::Close);
        keeper.join().ok().flatten().unwrap_or(Ok(()))
    }
}

/// The thread of the log.
struct Writer<P> {
    log: LogWriter,
    journal: Arc<Journal<P>>,
    durability: Durability,
    last_sync: Instant,
    to_keeper: Sender<ToKeeper<P>>,
    health: Arc<Health<P>>,
}

impl<P: Payload> Writer<P> {
    fn run(mut self) {
        let mut group = Group::default();
        let mut fx = Effects::default();
        let mut vigil = Vigil::new(Instant::now());
        while self.journal.take(&mut group, PATIENCE, self.flush_at(), |is_called| vigil.watch(is_called)) {
            self.wait_for_keeper();
            let begun = Instant::now();
            let written = match self.write(&group.ops) {
                Ok(written) => written,
                Err(error) => {
                    self.health.fail(error);
                    return;
                }
            };
            if self.health.is_failed() {
                return; // what is not committed now never is
            }
            let now = Instant::now();
            let took = now - begun;
            self.journal.commit(&mut group, &mut fx);
            fx.apply();
            vigil.wrote(group.ops.len(), took, now);
            self.health.sink.written(group.position, vigil.patience(took));
            // Last: nobody waits for the keeper.
            let _ = self.to_keeper.send(ToKeeper::Written { effects: written.effects, end: written.end });
            group.ops.clear();
        }
        if let Err(error) = self.log.sync() {
            self.health.fail(error);
        }
    }

    /// When what is written must be flushed though nothing more comes.
    fn flush_at(&self) -> Option<Instant> {
        match self.durability {
            Durability::Interval(interval) if self.log.is_dirty() => Some(self.last_sync + interval),
            _ => None,
        }
    }

    /// Writes a group and makes it as durable as was asked for.
    fn write(&mut self, ops: &[Op<P>]) -> Result<Written, StoreError> {
        let written = loop {
            match self.log.append(ops) {
                Err(error) if error.is_full() => {
                    self.health.set_low(Low::Log, true);
                    thread::sleep(SPACE_CHECK);
                    if self.health.is_failed() || self.journal.is_closed() {
                        return Err(error); // an orderly stop does not wait for space
                    }
                }
                result => break result?,
            }
        };
        self.health.set_low(Low::Log, false);
        let flush = match self.durability {
            Durability::Group => true,
            Durability::Os => ops.iter().any(must_be_flushed),
            Durability::Interval(interval) => self.last_sync.elapsed() >= interval || ops.iter().any(must_be_flushed),
        };
        if flush {
            self.log.sync()?;
            self.last_sync = Instant::now();
        }
        Ok(written)
    }

    fn wait_for_keeper(&self) {
        let ahead = || self.log.end().generation.saturating_sub(self.health.from_generation.load(Ordering::SeqCst));
        while ahead() > LOG_FILES_AHEAD_MAX && !self.health.is_failed() && !self.journal.is_closed() {
            thread::sleep(PATIENCE);
        }
    }
}

fn must_be_flushed<P: Payload>(op: &Op<P>) -> bool {
    match op {
        Op::Define { .. } | Op::Forget { .. } | Op::Drop { .. } => true,
        Op::Publish { message, .. } | Op::Restore { message, .. } => message.must_be_flushed(),
        Op::Settle { .. } | Op::Delivered { .. } | Op::Mark { .. } => false,
    }
}

/// The error that a full disk makes, if that is what there is.
fn unless_full(result: Result<(), StoreError>) -> Result<Option<StoreError>, StoreError> {
    match result {
        Ok(()) => Ok(None),
        Err(error) if error.is_full() => Ok(Some(error)),
        Err(error) => Err(error),
    }
}

/// The thread of the keeper.
struct Keeping<P> {
    keeper: Keeper<P>,
    disk: Arc<dyn Disk>,
    spares: Arc<super::log::Spares>,
    from_others: Receiver<ToKeeper<P>>,
    to_self: Sender<ToKeeper<P>>,
    health: Arc<Health<P>>,
    disk_free_limit: u64,
    /// A checkpoint is being written.
    writing: bool,
    last_written: Instant,
    last_look: Option<Instant>,
    /// The disk is full: nothing is written until then; and how long that pause is.
    refused: Option<(Instant, Duration)>,
    /// A checkpoint is to be written, though nothing else asks for it.
    checkpoint_refused: bool,
}

impl<P: Payload> Keeping<P> {
    fn run(mut self) -> Result<(), StoreError> {
        let mut busy = false;
        loop {
            match self.from_others.recv_timeout(if busy { Duration::ZERO } else { TICK }) {
                Ok(ToKeeper::Close) => break,
                Ok(first) => self.take(first),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            let mut closing = false;
            for _ in 0..AT_ONCE {
                match self.from_others.try_recv() {
                    Ok(ToKeeper::Close) => closing = true,
                    Ok(more) => self.take(more),
                    Err(_) => break,
                }
            }
            if closing {
                break;
            }
            self.look_at_space();
            // Who was woken on this processor, to deliver something, would wait for the end of a time slice.
            thread::yield_now();
            busy = match self.work() {
                Ok(busy) => busy,
                Err(error) if error.is_full() => {
                    self.disk_is_full();
                    false
                }
                Err(error) => {
                    self.health.fail(error);
                    false
                }
            };
        }
        self.close()
    }

    fn take(&mut self, message: ToKeeper<P>) {
        match message {
            ToKeeper::Written { effects, end } => {
                if !effects.is_empty() {
                    self.last_written = Instant::now();
                }
                self.keeper.apply(effects, end);
            }
            ToKeeper::Request(request) => self.keeper.request(request),
            ToKeeper::Checkpointed(job, result) => {
                self.writing = false;
                match result {
                    Ok(()) => {
                        self.checkpoint_refused = false;
                        self.keeper.checkpointed(job);
                    }
                    Err(error) if error.is_full() => {
                        self.checkpoint_refused = true;
                        self.keeper.not_checkpointed(job);
                        self.disk_is_full();
                    }
                    Err(error) => self.health.fail(error),
                }
            }
            ToKeeper::Close => {}
        }
    }

    /// Does a piece of what is to be done. True if there is more.
    fn work(&mut self) -> Result<bool, StoreError> {
        if self.health.is_failed() {
            return Ok(false);
        }
        let may_write = self.refused.is_none_or(|(until, _)| Instant::now() >= until);
        let full = unless_full(self.keeper.serve(may_write, &*self.health.sink))?;
        if !may_write || self.writing {
            return full.map_or(Ok(false), Err);
        }
        let busy = self.keep()?;
        if let Some(full) = full {
            return Err(full);
        }
        if !busy && !self.writing && self.refused.take().is_some() {
            self.health.set_low(Low::Kept, false); // all that had been refused is written
        }
        Ok(busy)
    }

    /// Empties the log and writes checkpoints, or compacts. True if there is more.
    fn keep(&mut self) -> Result<bool, StoreError> {
        let newest = self.keeper.applied().generation;
        let idle = self.last_written.elapsed() > IDLE;
        let unfinished = self.keeper.is_changed() || self.keeper.first_generation() < newest;
        let wanted = self.keeper.wants_checkpoint() || self.checkpoint_refused;
        let keep = match (wanted, idle && unfinished) {
            (_, true) => newest,
            (true, _) => newest.saturating_sub(1),
            _ => {
                if idle {
                    self.spares.take_all().iter().for_each(|(path, _)| drop(self.disk.remove(path)));
                }
                return self.keeper.compact(idle);
            }
        };
        let mut retired = false;
        let full = unless_full(self.keeper.retire_step(keep).map(|done| retired = done))?;
        match full {
            None if !retired => return Ok(true),
            // With a checkpoint goes what is not wanted any more, which makes room.
            Some(full) if !self.keeper.has_garbage() => return Err(full),
            _ => {}
        }
        self.health.from_generation.store(self.keeper.first_generation(), Ordering::SeqCst);
        let job = self.keeper.checkpoint(false);
        let (disk, done) = (self.disk.clone(), self.to_self.clone());
        // On a thread of its own: flushing takes long, and pages must not wait for it.
        let write = move || {
            let result = job.run(&*disk);
            let _ = done.send(ToKeeper::Checkpointed(job, result));
        };
        spawn("checkpoint", &self.health, write)
            .map_err(StoreError::io("start a thread for", super::checkpoint::FILE))?;
        self.writing = true;
        full.map_or(Ok(false), Err)
    }

    /// Nothing is written for a while.
    fn disk_is_full(&mut self) {
        self.spares.take_beyond(SPARES_OF_FULL_DISK).iter().for_each(|(path, _)| drop(self.disk.remove(path)));
        self.health.set_low(Low::Kept, true);
        let pause = self.refused.map_or(SPACE_CHECK, |(_, before)| (before * 2).min(PAUSE_MAX));
        self.refused = Some((Instant::now() + pause, pause));
    }

    fn look_at_space(&mut self) {
        if self.last_look.is_some_and(|last| last.elapsed() < SPACE_CHECK) {
            return;
        }
        self.last_look = Some(Instant::now());
        if let Ok(free) = self.disk.free_bytes() {
            self.health.set_low(Low::Free, free < self.disk_free_limit);
        }
    }

    fn close(mut self) -> Result<(), StoreError> {
        while self.writing && !self.health.is_failed() {
            match self.from_others.recv_timeout(TICK) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
        if self.health.is_failed() { Ok(()) } else { self.last_checkpoint() }
    }

    fn last_checkpoint(&mut self) -> Result<(), StoreError> {
        let next = self.keeper.applied().generation + 1;
        while !self.keeper.retire_step(next)? {}
        let job = self.keeper.checkpoint(true);
        job.run(&*self.disk)?;
        self.keeper.checkpointed(job);
        self.spares.take_all().iter().for_each(|(path, _)| drop(self.disk.remove(path)));
        Ok(())
    }
}
