//! Random histories with crashes and failing disks, compared with the model. A failure tells the seed; `LEVERET_STORE_SEED` runs one
//! seed, and `LEVERET_STORE_SEEDS` so many.

mod history;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::judge::{Event, Told, compare, read_all, take_loaded};
use super::model::{Live, Logged};
use super::sim::{Fault, SimDisk};
use super::text::Text;
use crate::broker::journal::{Loaded, Op, QueueId, Request};
use crate::store::Recovered;
use crate::store::disk::Disk;
use crate::store::error::StoreError;
use crate::store::keeper::{CheckpointJob, Keeper};
use crate::store::log::{Effect, LogPosition, LogWriter, Spares};
use crate::store::recovery::{Opened, recover};

#[test]
fn what_was_committed_outlasts_crashes_and_what_was_settled_stays_away() {
    each_seed(6000, |seed| Simulation::new(seed).simulate());
}

/// Runs a test with so many seeds, and tells which one fails.
pub(super) fn each_seed(seeds: u64, test: impl Fn(u64) + std::panic::RefUnwindSafe) {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seeds = match number("LEVERET_STORE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("LEVERET_STORE_SEEDS").unwrap_or(seeds),
    };
    for seed in seeds {
        if let Err(panic) = std::panic::catch_unwind(|| test(seed)) {
            eprintln_seed(seed);
            std::panic::resume_unwind(panic);
        }
    }
}

#[expect(clippy::print_stderr, reason = "tests tell what failed")]
fn eprintln_seed(seed: u64) {
    eprintln!("LEVERET_STORE_SEED={seed}");
}

/// What waits for the keeper.
enum ToKeeper {
    /// Effects, where the log ends with them, and how many operations have been written then.
    Written(Vec<Effect>, LogPosition, u64),
    Request(Request<Text>),
}

/// The engines at work.
pub(super) struct Running {
    log: LogWriter,
    keeper: Keeper<Text>,
    spares: Arc<Spares>,
    to_keeper: VecDeque<ToKeeper>,
    job: Option<CheckpointJob>,
}

/// The store cannot go on: only a crash helps.
#[derive(Debug)]
pub(super) struct Dead;

pub(super) type Alive = Result<(), Dead>;

pub(super) struct Simulation {
    pub(super) rng: StdRng,
    pub(super) disk: SimDisk,
    pub(super) dyn_disk: Arc<dyn Disk>,
    told: Told,
    pub(super) running: Option<Running>,
    /// Everything is flushed before it is committed.
    pub(super) group: bool,
    /// Pushed and not written.
    pending: Vec<Op<Text>>,
    /// Taken to be written, and how many had been pushed.
    taken: Vec<Op<Text>>,
    taken_at: u64,
    pushed: u64,
    /// What is durable, and the groups after it: what was written of each.
    durable: Logged,
    written: Vec<(Vec<Op<Text>>, bool)>,
    live: BTreeMap<QueueId, Live>,
    next_queue: u64,
    next_id: u64,
}

impl Simulation {
    pub(super) fn new(seed: u64) -> Self {
        let disk = SimDisk::new(seed);
        let mut rng = StdRng::seed_from_u64(seed);
        Self {
            group: rng.random_bool(0.8),
            rng,
            dyn_disk: Arc::new(disk.clone()),
            disk,
            told: Told::default(),
            running: None,
            pending: Vec::new(),
            taken: Vec::new(),
            taken_at: 0,
            pushed: 0,
            durable: Logged::default(),
            written: Vec::new(),
            live: BTreeMap::new(),
            next_queue: 1,
            next_id: 0,
        }
    }

    fn simulate(mut self) {
        self.start(false, true);
        for _ in 0..self.rng.random_range(1..5) {
            let steps = self.rng.random_range(0..120);
            match self.rng.random_range(0..10) {
                0 => self.disk.set_fault(Some(Fault::Io(self.rng.random_range(0..120)))),
                1..4 => self.disk.set_fault(Some(Fault::PowerCut(self.rng.random_range(0..150)))),
                4 => {
                    let fault = Fault::Full(self.rng.random_range(0..80), self.rng.random_range(1..8));
                    self.disk.set_fault(Some(fault));
                }
                _ => {}
            }
            let lived = (0..steps).try_for_each(|_| self.step());
            self.end(lived.is_ok());
        }
        self.drain();
    }

    // --- Beginning and end of a process ---

    /// Starts the engines; a disk that fails meanwhile is crashed and tried again, and it may be full.
    pub(super) fn start(&mut self, closed: bool, first: bool) {
        let opened = loop {
            match self.rng.random_range(0..10) {
                0..2 => self.disk.set_fault(Some(Fault::PowerCut(self.rng.random_range(0..40)))),
                2..5 if !first => self.disk.set_room(Some(self.rng.random_range(0..20_000))),
                _ => {}
            }
            match recover::<Text>(&self.dyn_disk, &mut |_, _| {}) {
                Ok(opened) if self.disk.faults() == 0 => {
                    self.disk.set_fault(None);
                    if self.rng.random_bool(0.5) {
                        self.disk.set_room(None);
                    }
                    break opened;
                }
                Ok(_) => self.disk.crash(),
                Err(StoreError::NoRoom { needed, .. }) if self.disk.faults() == 0 => {
                    self.disk.kill();
                    self.disk.set_room(Some(needed));
                }
                Err(error) => {
                    assert!(self.disk.faults() > 0, "cannot be recovered: {error}");
                    self.disk.crash();
                }
            }
        };
        let Opened { keeper, spares, log_end, recovered, .. } = opened;
        assert!(recovered.damaged.is_empty(), "{:?}", recovered.damaged);
        assert!(!closed || recovered.clean, "it was closed");
        assert!(recovered.next_queue_id <= self.next_queue);
        let log = LogWriter::new(self.dyn_disk.clone(), spares.clone(), log_end, self.group);
        let mut running = Running { log, keeper, spares, to_keeper: VecDeque::new(), job: None };
        let messages = read_all(&mut running.keeper, &recovered);
        self.running = Some(running);
        self.matching(&recovered, &messages, closed || first);
        self.live.clear();
        for queue in &recovered.queues {
            let messages: BTreeMap<_, _> =
                messages[&queue.queue].iter().map(|loaded| (loaded.position, loaded.message.clone())).collect();
            let (loaded, paged) = (queue.first, queue.next);
            let logged = self.durable.queues.entry(queue.queue).or_default();
            logged.delivered_now = 0;
            let marks = logged.messages.iter().map(|(position, (_, mark))| (*position, *mark)).collect();
            let next = queue.next;
            let live = Live { durable: true, next, messages, loaded, paged, marks, ..Live::default() };
            self.live.insert(queue.queue, live);
        }
        self.pending.clear();
    }

    /// What was recovered is what was durable, with some of the groups after it; all of them if nothing may be lost.
    fn matching(&mut self, recovered: &Recovered, messages: &BTreeMap<QueueId, Vec<Loaded<Text>>>, all: bool) {
        let groups = std::mem::take(&mut self.written);
        let mut state = self.durable.clone();
        let mut mismatch = None;
        for n in 0..=groups.len() {
            if n > 0 {
                let (ops, was_written) = &groups[n - 1];
                state.apply(ops, *was_written);
            }
            if all && n < groups.len() {
                continue;
            }
            match compare(&state, recovered, messages) {
                Ok(()) => {
                    self.durable = state;
                    return;
                }
                Err(error) => mismatch = mismatch.or(Some(error)),
            }
        }
        panic!("with {} groups that may be lost: {}", groups.len(), mismatch.unwrap());
    }

    fn end(&mut self, alive: bool) {
        if alive && self.rng.random_bool(0.3) && self.close().is_ok() {
            return self.start(true, false);
        }
        self.fall();
        self.start(false, false);
    }

    /// The process is killed, or power is lost.
    pub(super) fn fall(&mut self) {
        self.running = None;
        // What failed may have been written all the same.
        if !self.taken.is_empty() {
            self.written.push((std::mem::take(&mut self.taken), true));
        }
        // A process that is killed loses nothing that it wrote; but one that has failed ended by that.
        if self.disk.faults() == 0 && self.rng.random_bool(0.3) {
            self.disk.kill();
        } else {
            self.disk.crash();
        }
        self.disk.set_room(None);
    }

    pub(super) fn close(&mut self) -> Alive {
        self.disk.set_room(None);
        for _ in 0..20 {
            if self.pending.is_empty() && self.taken.is_empty() {
                break;
            }
            self.commit()?;
        }
        let running = self.running.as_mut().unwrap();
        running.log.sync().map_err(|_| Dead)?;
        self.pump(usize::MAX)?;
        self.run_job()?;
        let running = self.running.as_mut().unwrap();
        let next = running.keeper.applied().generation + 1;
        let last = |error: StoreError| {
            assert!(self.disk.faults() > 0, "the last checkpoint: {error}");
            Dead
        };
        while !running.keeper.retire_step(next).map_err(last)? {}
        let job = running.keeper.checkpoint(true);
        job.run(&*self.dyn_disk).map_err(last)?;
        running.keeper.checkpointed(job);
        running.spares.take_all().iter().for_each(|(path, _)| drop(self.disk.remove(path)));
        self.running = None;
        self.disk.kill();
        Ok(())
    }

    /// In the end everything is settled, and the disk is nearly empty.
    fn drain(&mut self) {
        self.disk.set_fault(None);
        self.disk.set_room(None);
        let all: Vec<_> = self.live.keys().copied().collect();
        for id in all {
            let live = &self.live[&id];
            if let Some((first, last)) = live.messages.keys().next().zip(live.messages.keys().last()) {
                self.settle_range(id, *first, *last);
            }
        }
        self.close().unwrap();
        let is_more = |path: &Path| path != Path::new("checkpoint") && path != Path::new("checkpoint.copy");
        let left: Vec<_> = self.disk.files().into_iter().filter(|(path, _)| is_more(path)).collect();
        assert!(left.is_empty(), "still there: {left:?}");
        self.start(true, false);
    }

    // --- The history ---

    pub(super) fn step(&mut self) -> Alive {
        match self.rng.random_range(0..100) {
            0..28 => self.publish(),
            28..38 => self.settle(),
            38..40 => self.restore(),
            40..46 => self.page_out(),
            46..52 => self.load(),
            52..54 => self.purge_or_drop(),
            54..57 => self.define(),
            57..60 => self.mark_or_deliver(),
            60..62 => self.disk.set_room(Some(self.rng.random_range(0..20_000))),
            62..66 => self.disk.set_room(None),
            66..80 => return self.commit(),
            80..90 => {
                let n = self.rng.random_range(1..6);
                return self.pump(n);
            }
            90..96 => return self.checkpoint(),
            96..98 => return self.run_job(),
            98 => self.running.as_mut().unwrap().spares.take_all().iter().for_each(|(path, _)| {
                let _ = self.disk.remove(path);
            }),
            _ => return self.compact(),
        }
        Ok(())
    }

    // --- What the threads do ---

    /// As the log's thread: what cannot be written for want of space is tried again.
    fn commit(&mut self) -> Alive {
        if self.taken.is_empty() {
            std::mem::swap(&mut self.taken, &mut self.pending);
            self.taken_at = self.pushed;
        }
        if self.taken.is_empty() {
            return Ok(());
        }
        let running = self.running.as_mut().unwrap();
        let written = match running.log.append(&self.taken) {
            Ok(written) => written,
            Err(error) if error.is_full() => return Ok(()),
            Err(error) => {
                assert!(self.disk.faults() > 0, "cannot be written: {error}");
                return Err(Dead);
            }
        };
        self.written.push((std::mem::take(&mut self.taken), written.bytes > 0));
        if self.group || self.rng.random_bool(0.2) {
            running.log.sync().map_err(|_| Dead)?;
            for (ops, was_written) in self.written.drain(..) {
                self.durable.apply(&ops, was_written);
            }
        }
        running.to_keeper.push_back(ToKeeper::Written(written.effects, written.end, self.taken_at));
        Ok(())
    }

    /// As the keeper's thread: takes so many messages, then serves.
    fn pump(&mut self, messages: usize) -> Alive {
        let running = self.running.as_mut().unwrap();
        for _ in 0..messages {
            match running.to_keeper.pop_front() {
                Some(ToKeeper::Written(effects, end, pushed)) => {
                    running.keeper.apply(effects, end);
                    for live in self.live.values_mut() {
                        live.leaving.retain(|_, (_, applied)| !live.durable || *applied > pushed);
                    }
                }
                Some(ToKeeper::Request(Request::Discard { queue, first, last })) => {
                    running.keeper.request(Request::Discard { queue, first, last });
                    if let Some(live) = self.live.get_mut(&queue) {
                        live.leaving.retain(|position, _| !(first..=last).contains(position));
                    }
                }
                Some(ToKeeper::Request(request)) => running.keeper.request(request),
                None => break,
            }
        }
        // A full disk lets it pause.
        let may_write = self.rng.random_bool(0.9);
        let served = running.keeper.serve(may_write, &self.told);
        self.hear();
        self.unless_full(served)
    }

    fn unless_full(&self, result: Result<(), StoreError>) -> Alive {
        match result {
            Ok(()) => Ok(()),
            Err(error) if error.is_full() => Ok(()),
            Err(error) => {
                assert!(self.disk.faults() > 0, "the keeper: {error}");
                Err(Dead)
            }
        }
    }

    fn checkpoint(&mut self) -> Alive {
        if self.running.as_ref().unwrap().job.is_some() {
            return self.run_job();
        }
        let running = self.running.as_mut().unwrap();
        let newest = running.keeper.applied().generation;
        let keep = newest.saturating_sub(self.rng.random_range(0..2));
        let mut retired = false;
        for _ in 0..self.rng.random_range(1..30) {
            match running.keeper.retire_step(keep) {
                Ok(true) => {
                    retired = true;
                    break;
                }
                Ok(false) => {}
                Err(error) => return self.unless_full(Err(error)),
            }
        }
        if retired {
            running.job = Some(running.keeper.checkpoint(false));
            if self.rng.random_bool(0.5) {
                return self.run_job();
            }
        }
        Ok(())
    }

    fn run_job(&mut self) -> Alive {
        let running = self.running.as_mut().unwrap();
        let Some(job) = running.job.take() else { return Ok(()) };
        match job.run(&*self.dyn_disk) {
            Ok(()) => running.keeper.checkpointed(job),
            Err(error) if error.is_full() => running.keeper.not_checkpointed(job),
            Err(error) => return self.unless_full(Err(error)),
        }
        Ok(())
    }

    fn compact(&mut self) -> Alive {
        let running = self.running.as_mut().unwrap();
        if running.job.is_some() {
            return Ok(());
        }
        let result = running.keeper.compact(false);
        self.unless_full(result.map(|_| ()))
    }

    /// Takes in what the keeper has told.
    fn hear(&mut self) {
        for event in std::mem::take(&mut *self.told.0.lock()) {
            match event {
                Event::PagedOut(id) => {
                    if let Some(live) = self.live.get_mut(&id) {
                        live.runs = live.runs.checked_sub(1).expect("as many runs arrive as were sent");
                    }
                }
                Event::Loaded(id, from, result) => {
                    if let Some(live) = self.live.get_mut(&id) {
                        let loaded = result.unwrap();
                        take_loaded(live, from, &loaded);
                    }
                }
            }
        }
    }
}
