//! Knows what is kept: applies what the log says, serves pages, moves what outlives its log file into segments, writes checkpoints.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::Sink;
use super::checkpoint::{self, Checkpoint};
use super::disk::Disk;
use super::error::StoreError;
use super::log::format::{Logged, ops};
use super::log::read::{GroupReader, Next};
use super::log::{self, Effect, LogPosition, Spares};
use super::segment::DirtyFile;
use super::shelf::Shelf;
use crate::broker::journal::{Payload, QueueId, Request};

/// The log has at most about this many files with messages that are nowhere else.
const LOG_FILES_MAX: u64 = 4;

/// A log file is read in steps of this many bytes, so that pages need not wait for the whole of it.
const STEP_BYTES: u64 = 4 * 1024 * 1024;

/// Files that nothing is wanted of are removed after a checkpoint; one is written when they are so many.
const GARBAGE_MAX: usize = 8;

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
    retiring: Option<GroupReader>,
    garbage: Vec<PathBuf>,
    scratch: Vec<u8>,
    /// Something is not in the checkpoint.
    changed: bool,
}

/// A checkpoint to be written. It can be done elsewhere while the keeper goes on.
pub(super) struct CheckpointJob {
    bytes: Vec<u8>,
    dirty: Vec<DirtyFile>,
    garbage: Vec<PathBuf>,
    /// Files of the log before this generation are free then.
    from_generation: u64,
}

impl CheckpointJob {
    /// Makes the segments durable, then the checkpoint.
    ///
    /// # Errors
    /// What the disk says; the checkpoint before holds on.
    pub(super) fn run(&self, disk: &dyn Disk) -> Result<(), StoreError> {
        for (path, file) in &self.dirty {
            file.sync_data().map_err(StoreError::io("flush", path))?;
        }
        let mut dirs: Vec<_> = self.dirty.iter().filter_map(|(path, _)| path.parent()).collect();
        dirs.dedup();
        for dir in dirs {
            disk.sync_dir(dir).map_err(StoreError::io("flush", dir))?;
        }
        if !self.dirty.is_empty() {
            disk.sync_dir(Path::new("queues")).map_err(StoreError::io("flush", "queues"))?;
        }
        checkpoint::write(disk, &self.bytes)
    }
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
            applied: checkpoint.applied,
            from_generation: checkpoint.from_generation,
            published: BTreeMap::new(),
            next_queue: checkpoint.next_queue,
            waiting: VecDeque::new(),
            retiring: None,
            garbage: Vec::new(),
            scratch: Vec::new(),
            changed: false,
        }
    }

    /// What is defined.
    pub(super) fn definitions(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.definitions.iter().map(|(key, value)| (&**key, &**value))
    }

    /// What it has of each queue.
    pub(super) fn shelves(&mut self) -> impl Iterator<Item = &mut Shelf> {
        self.shelves.values_mut()
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
            Effect::Settled { queue, first, last, weight } => {
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
                self.next_queue = self.next_queue.max(queue.0 + 1);
                if let Some(shelf) = self.shelves.remove(&queue) {
                    self.garbage.extend(shelf.garbage);
                    self.garbage.extend(shelf.segments.iter().map(|segment| segment.path().to_owned()));
                }
            }
        }
    }

    fn lasting_shelf(&mut self, queue: QueueId) -> &mut Shelf {
        self.next_queue = self.next_queue.max(queue.0 + 1);
        self.shelves.entry(queue).or_insert_with(|| Shelf::new(queue, true))
    }

    /// Takes a request; it is served in its turn.
    pub(super) fn request(&mut self, request: Request<P>) {
        self.waiting.push_back(request);
    }

    /// Serves requests, those of each queue in their order: as far as the log has come, and as the disk has space.
    ///
    /// # Errors
    /// The disk is full: messages cannot be taken out of memory, and it can be tried again. Or it fails.
    pub(super) fn serve(&mut self, sink: &dyn Sink<P>) -> Result<(), StoreError> {
        let mut held_up: Vec<QueueId> = Vec::new();
        let mut full = None;
        for request in std::mem::take(&mut self.waiting) {
            let queue = request.queue();
            if held_up.contains(&queue) {
                self.waiting.push_back(request);
                continue;
            }
            match request {
                Request::PageOut { queue, run } => {
                    if self.is_logged(queue, &run) {
                        match self.page_out(queue, &run, sink) {
                            Ok(()) => continue,
                            Err(error) if error.is_full() => full = Some(error),
                            Err(error) => return Err(error),
                        }
                    }
                    held_up.push(queue);
                    self.waiting.push_back(Request::PageOut { queue, run });
                }
                Request::Load { queue, from, to, bytes } => self.load(queue, from, to, bytes, sink),
                Request::Discard { queue, first, last } => self.discard(queue, first, last),
            }
        }
        full.map_or(Ok(()), Err)
    }

    fn load(&mut self, queue: QueueId, from: u64, to: u64, bytes: usize, sink: &dyn Sink<P>) {
        let loaded = match self.shelves.get_mut(&queue) {
            Some(shelf) => shelf.load(&*self.disk, from, to, bytes),
            None => Ok(Vec::new()),
        };
        self.collect_garbage(queue);
        sink.loaded(queue, from, loaded);
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

    fn page_out(&mut self, queue: QueueId, run: &[(u64, P)], sink: &dyn Sink<P>) -> Result<(), StoreError> {
        let lasting = run.iter().any(|(_, message)| message.is_persistent());
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
            false => garbage.iter().for_each(|path| drop(self.disk.remove(path))),
        }
    }

    /// Whether the log has grown so far, or so much is not wanted any more, that a checkpoint should be written.
    pub(super) fn wants_checkpoint(&self) -> bool {
        self.applied.generation >= self.from_generation + LOG_FILES_MAX || self.garbage.len() > GARBAGE_MAX
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
        if let Some(next) = GroupReader::open(&*self.disk, generation + 1)? {
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
                    let wanted = |queue: &QueueId, position| {
                        self.shelves.get(queue).is_some_and(|shelf| shelf.unfiled.contains(position))
                    };
                    for (_, op) in ops(body).flatten() {
                        match op {
                            Logged::Publish { queue, position, message, .. } if wanted(&queue, position) => {
                                survivors.entry(queue).or_default().push((position, message.to_vec()));
                            }
                            Logged::Refer { queue, position, offset, len, .. } if wanted(&queue, position) => {
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

    /// What a checkpoint of this moment consists of. With `clean` it is the last one.
    ///
    /// # Errors
    /// A segment cannot be opened.
    pub(super) fn checkpoint(&mut self, clean: bool) -> Result<CheckpointJob, StoreError> {
        let lasting = self.shelves.values().filter(|shelf| shelf.lasting).count();
        let mut bytes = checkpoint::begin(
            self.applied,
            self.from_generation,
            clean,
            self.next_queue,
            self.definitions.len(),
            lasting,
        );
        for (key, value) in &self.definitions {
            checkpoint::put_definition(&mut bytes, key, value);
        }
        let mut dirty = Vec::new();
        for shelf in self.shelves.values_mut().filter(|shelf| shelf.lasting) {
            checkpoint::put_shelf(&mut bytes, shelf);
            for segment in &mut shelf.segments {
                dirty.extend(segment.take_dirty(&*self.disk)?);
                segment.rest();
            }
        }
        checkpoint::end(&mut bytes);
        self.changed = false;
        Ok(CheckpointJob {
            bytes,
            dirty,
            garbage: std::mem::take(&mut self.garbage),
            from_generation: self.from_generation,
        })
    }

    /// A checkpoint has been written: removes what nobody needs any more, and gives files of the log back.
    pub(super) fn checkpointed(&mut self, job: CheckpointJob) {
        for path in &job.garbage {
            let _ = self.disk.remove(path);
            if let Some(dir) = path.parent() {
                let _ = self.disk.remove_dir(dir); // of a queue that is gone; another's is not empty
            }
        }
        let names = self.disk.list(Path::new(log::DIR)).unwrap_or_default();
        for generation in names.iter().filter_map(|name| log::generation_of(name)) {
            if generation < job.from_generation {
                self.free_log_file(generation);
            }
        }
    }

    /// A checkpoint was not written: it is tried again.
    pub(super) fn not_checkpointed(&mut self, job: CheckpointJob) {
        self.changed = true;
        self.garbage.extend(job.garbage);
        for (path, _) in job.dirty {
            let of = |segment: &&mut super::segment::Segment| segment.path() == path;
            let mut segments = self.shelves.values_mut().flat_map(|shelf| &mut shelf.segments);
            if let Some(segment) = segments.find(of) {
                segment.dirty = true;
            }
        }
    }

    fn free_log_file(&self, generation: u64) {
        let path = log::file_path(generation);
        let Ok(len) = self.disk.open(&path).and_then(|file| file.len()) else { return };
        if let Some(path) = self.spares.offer(path, len) {
            let _ = self.disk.remove(&path);
        }
    }

    /// All log files before this one hold nothing that is wanted.
    pub(super) fn retired_to(&mut self, generation: u64) {
        self.from_generation = generation;
    }

    /// Writes one sparse segment anew, if there is one.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn compact(&mut self) -> Result<bool, StoreError> {
        for shelf in self.shelves.values_mut().filter(|shelf| shelf.segments.len() > 1) {
            if shelf.compact(&*self.disk, &mut self.scratch)? {
                self.garbage.append(&mut shelf.garbage);
                self.changed = true;
                return Ok(true);
            }
        }
        Ok(false)
    }
}
