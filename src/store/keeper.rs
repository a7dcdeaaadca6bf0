//! Knows what is kept: applies what the log says, serves pages, moves what outlives its log file into segments, writes checkpoints.

mod job;
mod logged;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foldhash::fast::RandomState;

pub(super) use self::job::CheckpointJob;
use super::Sink;
use super::checkpoint::Checkpoint;
use super::disk::Disk;
use super::error::StoreError;
use super::log::format::{Logged, ops};
use super::log::read::{GroupReader, Next};
use super::log::{Effect, LogPosition, Spares};
use super::segment::Segment;
use super::shelf::Shelf;
use crate::broker::journal::{Loaded, Payload, QueueId, Request};

/// The log has at most about this many files with messages that are nowhere else.
const LOG_FILES_MAX: u64 = if cfg!(test) { 3 } else { 4 };

/// A log file is read in steps of this many bytes, so that pages need not wait for the whole of it.
const STEP_BYTES: u64 = if cfg!(test) { 2 * 1024 } else { 4 * 1024 * 1024 };

/// Files that nothing is wanted of are removed after a checkpoint; one is written when they are so many.
const GARBAGE_MAX: usize = if cfg!(test) { 2 } else { 8 };

/// See the module.
pub(super) struct Keeper<P> {
    disk: Arc<dyn Disk>,
    spares: Arc<Spares>,
    shelves: HashMap<QueueId, Shelf, RandomState>,
    definitions: BTreeMap<Box<[u8]>, Box<[u8]>>,
    /// Effects of the log up to here have been applied.
    applied: LogPosition,
    /// Files of the log from here on may hold messages that are nowhere else.
    from_generation: u64,
    /// For each file, the positions of each queue that were published in it.
    published: BTreeMap<u64, HashMap<QueueId, (u64, u64), RandomState>>,
    next_queue: u64,
    waiting: VecDeque<Request<P>>,
    /// Queues that are gone, of which requests wait.
    dropped: HashSet<QueueId, RandomState>,
    retiring: Option<GroupReader>,
    garbage: Vec<PathBuf>,
    scratch: Vec<u8>,
    /// Something is not in the checkpoint.
    changed: bool,
    /// Files of the log before this generation have been given back.
    freed: u64,
    /// The same as `from_generation`, as the last checkpoint has it.
    checkpointed: u64,
}

impl<P: Payload> Keeper<P> {
    /// A keeper of what a checkpoint has.
    pub(super) fn new(disk: Arc<dyn Disk>, spares: Arc<Spares>, checkpoint: Checkpoint) -> Self {
        let shelves = checkpoint.shelves.into_iter().map(|mut shelf| {
            shelf.delivered_before = shelf.delivered;
            (shelf.queue, shelf)
        });
        Self {
            disk,
            spares,
            shelves: shelves.collect(),
            definitions: checkpoint.definitions.into_iter().collect(),
            checkpointed: checkpoint.from_generation,
            applied: checkpoint.applied,
            from_generation: checkpoint.from_generation,
            published: BTreeMap::new(),
            next_queue: checkpoint.next_queue,
            waiting: VecDeque::new(),
            dropped: HashSet::default(),
            retiring: None,
            garbage: Vec::new(),
            scratch: Vec::new(),
            changed: false,
            freed: 0,
        }
    }

    /// What is defined.
    pub(super) fn definitions(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.definitions.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Adds a definition that the log does not have.
    pub(super) fn define(&mut self, key: Box<[u8]>, value: Box<[u8]>) {
        self.definitions.insert(key, value);
    }

    /// What it has of each queue.
    pub(super) fn shelves(&mut self) -> impl Iterator<Item = &mut Shelf> {
        self.shelves.values_mut()
    }

    /// Segments that it has, or has not removed yet because a checkpoint may know them.
    pub(super) fn files<'a>(&'a self) -> impl Iterator<Item = &'a Path> {
        let of = |shelf: &'a Shelf| {
            shelf.segments.iter().map(Segment::path).chain(shelf.garbage.iter().map(PathBuf::as_path))
        };
        self.shelves.values().flat_map(of).chain(self.garbage.iter().map(PathBuf::as_path))
    }

    /// Whether a message is wanted that stands in the log alone.
    pub(super) fn wants(&self, queue: QueueId, position: u64) -> bool {
        self.shelves.get(&queue).is_some_and(|shelf| shelf.unfiled.contains(position))
    }

    /// An id that no queue has had.
    pub(super) fn next_queue(&self) -> u64 {
        self.next_queue
    }

    /// Up to where the log has been applied.
    pub(super) fn applied(&self) -> LogPosition {
        self.applied
    }

    /// The first file of the log that is still needed.
    pub(super) fn first_generation(&self) -> u64 {
        self.from_generation
    }

    /// Whether there are files that a checkpoint makes free.
    pub(super) fn has_garbage(&self) -> bool {
        !self.garbage.is_empty()
    }

    /// Whether something is not in the checkpoint.
    pub(super) fn is_changed(&self) -> bool {
        self.changed
    }

    /// Applies what a group of the log means. The log has been written up to `end`.
    pub(super) fn apply(&mut self, effects: Vec<Effect>, end: LogPosition) {
        self.changed |= !effects.is_empty();
        for effect in effects {
            self.effect(effect, end.generation);
        }
        self.applied = end;
    }

    fn effect(&mut self, effect: Effect, generation: u64) {
        match effect {
            Effect::Published { queue, first, last, weight } => {
                self.lasting_shelf(queue).published(first, last, weight);
                let ranges = self.published.entry(generation).or_default();
                let range = ranges.entry(queue).or_insert((first, last));
                *range = (range.0.min(first), range.1.max(last));
            }
            Effect::Passed { queue, up_to } => {
                let shelf = self.lasting_shelf(queue);
                shelf.next = shelf.next.max(up_to + 1);
            }
            Effect::Settled { queue, first, last, weight } => {
                self.leave_out(queue, first, last);
                if let Some(shelf) = self.shelves.get_mut(&queue) {
                    shelf.settled(first, last, weight);
                    self.garbage.append(&mut shelf.garbage);
                }
            }
            Effect::Delivered { queue, up_to } => {
                let shelf = self.lasting_shelf(queue);
                shelf.delivered = shelf.delivered.max(up_to);
            }
            Effect::Marked { queue, position, mark: 0 } => {
                self.lasting_shelf(queue).marks.remove(&position);
            }
            Effect::Marked { queue, position, mark } => {
                self.lasting_shelf(queue).marks.insert(position, mark);
            }
            Effect::Defined { key, value } => {
                self.definitions.insert(key, value);
            }
            Effect::Forgotten { key } => {
                self.definitions.remove(&key);
            }
            Effect::Dropped { queue } => {
                if self.waiting.iter().any(|request| request.queue() == queue) {
                    self.dropped.insert(queue);
                }
                self.next_queue = self.next_queue.max(queue.0 + 1);
                if let Some(shelf) = self.shelves.remove(&queue) {
                    self.garbage.extend(shelf.garbage);
                    self.garbage.extend(shelf.segments.iter().map(|segment| segment.path().to_owned()));
                }
            }
        }
    }

    /// What is not wanted any more is not taken to disk. With a full disk much may wait, and be settled one by one.
    fn leave_out(&mut self, queue: QueueId, first: u64, last: u64) {
        for request in &mut self.waiting {
            if let Request::PageOut { queue: of, run, .. } = request
                && *of == queue
            {
                let from = run.partition_point(|(position, _)| *position < first);
                let to = run.partition_point(|(position, _)| *position <= last);
                run.drain(from..to);
            }
        }
    }

    fn lasting_shelf(&mut self, queue: QueueId) -> &mut Shelf {
        self.next_queue = self.next_queue.max(queue.0 + 1);
        self.shelves.entry(queue).or_insert_with(|| Shelf::new(queue, true))
    }

    /// Takes a request; it is served in its turn.
    pub(super) fn request(&mut self, request: Request<P>) {
        if let Request::Discard { queue, first, last } = request {
            self.leave_out(queue, first, last);
        }
        self.waiting.push_back(request);
    }

    /// Serves requests, those of each queue in their order: as far as the log has come, and as the disk has space. What is wanted back
    /// does not wait for that.
    ///
    /// # Errors
    /// The disk is full: messages cannot be taken out of memory, and it can be tried again. Or it fails.
    pub(super) fn serve(&mut self, may_write: bool, sink: &dyn Sink<P>) -> Result<(), StoreError> {
        let mut held_up: HashSet<QueueId, RandomState> = HashSet::default();
        let mut full = None;
        for request in std::mem::take(&mut self.waiting) {
            let queue = request.queue();
            if self.dropped.contains(&queue) {
                match request {
                    Request::PageOut { queue, .. } => sink.paged_out(queue, 0),
                    Request::Load { queue, from, .. } => sink.loaded(queue, from, Ok(Vec::new())),
                    Request::Discard { .. } => {}
                }
                continue;
            }
            let is_held_up = held_up.contains(&queue);
            match request {
                Request::Load { queue, from, to, bytes } => self.load(queue, from, to, bytes, sink),
                _ if is_held_up => self.waiting.push_back(request),
                Request::PageOut { queue, run, .. } if run.is_empty() => sink.paged_out(queue, 0),
                Request::PageOut { queue, lasting, run } => {
                    if may_write && self.is_logged(queue, &run) {
                        match self.page_out(queue, lasting, &run, sink) {
                            Ok(()) => continue,
                            Err(error) if error.is_full() => full = Some(error),
                            Err(error) => return Err(error),
                        }
                    }
                    held_up.insert(queue);
                    self.waiting.push_back(Request::PageOut { queue, lasting, run });
                }
                Request::Discard { queue, first, last } => self.discard(queue, first, last),
            }
        }
        self.dropped.clear();
        full.map_or(Ok(()), Err)
    }

    fn load(&mut self, queue: QueueId, from: u64, to: u64, bytes: usize, sink: &dyn Sink<P>) {
        // What waits to be written stands behind what is on disk.
        let waits = self.waiting.iter().find_map(|request| request.run_of(queue)?.first());
        let on_disk = waits.map_or(to, |(position, _)| to.min(*position));
        let mut loaded = match self.shelves.get_mut(&queue) {
            Some(shelf) => shelf.load(&*self.disk, from, on_disk, bytes),
            None => Ok(Vec::new()),
        };
        self.collect_garbage(queue);
        if on_disk < to
            && let Ok(loaded) = &mut loaded
        {
            self.take_waiting(queue, from..to, bytes, loaded);
        }
        sink.loaded(queue, from, loaded);
    }

    /// Takes what still waits to be written: when the disk is full, consumers are those who make room.
    fn take_waiting(&mut self, queue: QueueId, range: Range<u64>, bytes: usize, loaded: &mut Vec<Loaded<P>>) {
        let mut taken: usize = loaded.iter().map(|loaded| loaded.message.encoded_len()).sum();
        let shelf = self.shelves.get(&queue);
        let give_back = |(position, message)| match shelf {
            Some(shelf) => shelf.give_back(position, message),
            None => Loaded { position, redelivered: false, mark: 0, message },
        };
        for request in &mut self.waiting {
            let Request::PageOut { queue: of, run, .. } = request else { continue };
            if *of != queue {
                continue;
            }
            let first = run.partition_point(|(position, _)| *position < range.start);
            let wanted = run[first..].iter().take_while(|(position, message)| {
                let is_wanted = *position < range.end && taken < bytes;
                taken += if is_wanted { message.encoded_len() } else { 0 };
                is_wanted
            });
            let end = first + wanted.count();
            loaded.extend(run.drain(first..end).map(give_back));
        }
    }

    fn discard(&mut self, queue: QueueId, first: u64, last: u64) {
        if let Some(shelf) = self.shelves.get_mut(&queue) {
            shelf.settled(first, last, 0);
        }
        self.collect_garbage(queue);
        if last == u64::MAX {
            self.shelves.remove(&queue);
        }
    }

    /// Whether the log has all of a run that must be in it.
    fn is_logged(&self, queue: QueueId, run: &[(u64, P)]) -> bool {
        let last = run.iter().rev().find(|(_, message)| message.is_persistent());
        let known = self.shelves.get(&queue).map_or(0, |shelf| shelf.next);
        last.is_none_or(|(position, _)| *position < known)
    }

    fn page_out(
        &mut self,
        queue: QueueId,
        lasting: bool,
        run: &[(u64, P)],
        sink: &dyn Sink<P>,
    ) -> Result<(), StoreError> {
        let shelf = self.shelves.entry(queue).or_insert_with(|| Shelf::new(queue, lasting));
        let writers: Vec<_> = run.iter().map(|(_, message)| move |out: &mut Vec<u8>| message.write(out)).collect();
        let messages = run.iter().zip(&writers).filter_map(|((position, message), write)| {
            // What was settled meanwhile by a purge is not wanted.
            let wanted = !message.is_persistent() || shelf.unfiled.contains(*position);
            wanted.then_some((*position, message.is_persistent(), write as &dyn Fn(&mut Vec<u8>)))
        });
        let messages: Vec<_> = messages.collect();
        shelf.file(&*self.disk, &mut self.scratch, &mut messages.into_iter())?;
        self.changed |= lasting;
        sink.paged_out(queue, self.scratch.len());
        Ok(())
    }

    /// Files of a queue that a restart takes away can go at once; no checkpoint knows them.
    fn collect_garbage(&mut self, queue: QueueId) {
        let Some(shelf) = self.shelves.get_mut(&queue) else { return };
        let garbage = std::mem::take(&mut shelf.garbage);
        match shelf.lasting {
            true => self.garbage.extend(garbage),
            false => {
                garbage.iter().for_each(|path| drop(self.disk.remove(path)));
                if shelf.segments.is_empty() {
                    let _ = self.disk.remove_dir(&shelf.dir());
                }
            }
        }
    }

    /// Whether the log has grown so far since the last checkpoint, or so much is not wanted any more, that a checkpoint should be written.
    pub(super) fn wants_checkpoint(&self) -> bool {
        self.applied.generation >= self.checkpointed + LOG_FILES_MAX || self.garbage.len() > GARBAGE_MAX
    }

    /// Moves what is wanted of the oldest file of the log into segments, a step at a time, if files before `keep` are to be freed. True
    /// when there is nothing more to do.
    ///
    /// # Errors
    /// What the disk says, or the log is damaged.
    pub(super) fn retire_step(&mut self, keep: u64) -> Result<bool, StoreError> {
        if self.from_generation >= keep {
            return Ok(true);
        }
        let generation = self.from_generation;
        if self.retiring.is_none() {
            let exists = self.is_wanted(generation).then(|| self.open_sealed(generation)).transpose()?;
            self.retiring = exists.flatten();
        }
        if let Some(mut reader) = self.retiring.take() {
            let finished = self.file_survivors(&mut reader)?;
            if !finished {
                self.retiring = Some(reader);
                return Ok(false);
            }
        }
        self.published.remove(&generation);
        self.from_generation += 1;
        Ok(self.from_generation >= keep)
    }

    /// Whether a file of the log may hold messages that are nowhere else.
    fn is_wanted(&self, generation: u64) -> bool {
        let Some(ranges) = self.published.get(&generation) else { return false };
        ranges.iter().any(|(queue, (first, last))| {
            self.shelves.get(queue).is_some_and(|shelf| {
                let mut positions = shelf.unfiled.iter();
                positions.advance_to(*first);
                positions.next().is_some_and(|position| position <= *last)
            })
        })
    }

    fn open_sealed(&self, generation: u64) -> Result<Option<GroupReader>, StoreError> {
        let Some(mut reader) = GroupReader::open(&*self.disk, generation)? else { return Ok(None) };
        if generation < self.applied.generation
            && let Some(next) = GroupReader::open(&*self.disk, generation + 1)?
        {
            reader.seal_at(next.head().previous_end);
        }
        Ok(Some(reader))
    }

    /// Reads on in a file of the log and writes what is wanted of it into segments. True at its end.
    pub(super) fn file_survivors(&mut self, reader: &mut GroupReader) -> Result<bool, StoreError> {
        let mut survivors: HashMap<QueueId, Vec<(u64, Vec<u8>)>, RandomState> = HashMap::default();
        let until = reader.offset() + STEP_BYTES;
        let mut finished = false;
        while reader.offset() < until {
            let mut referred = Vec::new();
            match reader.next()? {
                Next::End(_) => {
                    finished = true;
                    break;
                }
                Next::Group(_, body) => {
                    for (_, op) in ops(body).flatten() {
                        match op {
                            Logged::Publish { queue, position, message, .. } if self.wants(queue, position) => {
                                survivors.entry(queue).or_default().push((position, message.to_vec()));
                            }
                            Logged::Refer { queue, position, offset, len, .. } if self.wants(queue, position) => {
                                referred.push((queue, position, offset, len));
                            }
                            _ => {}
                        }
                    }
                }
            }
            for (queue, position, offset, len) in referred {
                survivors.entry(queue).or_default().push((position, reader.referred(offset, len)?));
            }
        }
        for (queue, mut messages) in survivors {
            let Some(shelf) = self.shelves.get_mut(&queue) else { continue };
            messages.sort_by_key(|(position, _)| *position);
            messages.dedup_by_key(|(position, _)| *position);
            let writers: Vec<_> =
                messages.iter().map(|(_, message)| move |out: &mut Vec<u8>| out.extend_from_slice(message)).collect();
            let mut all = messages
                .iter()
                .zip(&writers)
                .map(|((position, _), write)| (*position, true, write as &dyn Fn(&mut Vec<u8>)));
            shelf.file(&*self.disk, &mut self.scratch, &mut all)?;
        }
        Ok(finished)
    }

    /// All log files before this one hold nothing that is wanted.
    pub(super) fn retired_to(&mut self, generation: u64) {
        self.from_generation = generation;
        self.published.clear();
    }

    /// Writes one sparse segment anew, if there is one, as [`Shelf::compact`] says.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn compact(&mut self, resting: bool) -> Result<bool, StoreError> {
        for shelf in self.shelves.values_mut().filter(|shelf| shelf.segments.len() > 1) {
            if shelf.compact(&*self.disk, &mut self.scratch, resting)? {
                self.garbage.append(&mut shelf.garbage);
                self.changed = true;
                return Ok(true);
            }
        }
        Ok(false)
    }
}
