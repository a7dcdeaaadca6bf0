//! What the store has of one queue: which messages are wanted, and the segments that hold those which are not in the log alone.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use foldhash::fast::RandomState;
use roaring::RoaringTreemap;

use super::disk::Disk;
use super::error::StoreError;
use super::log;
use super::segment::{self, SEGMENT_BYTES, Segment};
use crate::broker::journal::{Loaded, Payload, QueueId};

/// Positions looked up at once.
const POSITIONS_AT_ONCE: usize = if cfg!(test) { 4 } else { 1024 };

/// A segment that is written anew is copied in pieces of about this many bytes.
const COPIED_AT_ONCE: usize = if cfg!(test) { 512 } else { 1024 * 1024 };

/// A full segment of which less than this part is wanted is written anew.
const SPARSE_PERCENT: u64 = 25;

/// A message to be written: its position, whether it lasts, and what writes it.
pub(super) type Filing<'p> = (u64, bool, &'p dyn Fn(&mut Vec<u8>));

/// A message in a file of the log.
#[derive(Clone, Copy)]
pub(super) struct LogPlace {
    pub(super) generation: u64,
    pub(super) offset: u64,
    pub(super) len: u32,
}

/// In place of a segment's number: the log.
const LOG: usize = usize::MAX;

/// See the module.
pub(super) struct Shelf {
    pub(super) queue: QueueId,
    /// It is in the log, so it survives a restart.
    pub(super) lasting: bool,
    /// The next message gets at least this position.
    pub(super) next: u64,
    /// Sum of the weights of the messages that survive a restart.
    pub(super) weight: u64,
    /// The last position delivered.
    pub(super) delivered: u64,
    /// The same when the process began.
    pub(super) delivered_before: u64,
    pub(super) marks: HashMap<u64, u64, RandomState>,
    /// Wanted messages that stand in the log alone.
    pub(super) unfiled: RoaringTreemap,
    /// Where those of them stand that were there before this process.
    pub(super) logged: BTreeMap<u64, LogPlace>,
    pub(super) segments: Vec<Segment>,
    next_segment: u64,
    /// Files that nothing is wanted of.
    pub(super) garbage: Vec<PathBuf>,
}

impl Shelf {
    pub(super) fn new(queue: QueueId, lasting: bool) -> Self {
        Self {
            queue,
            lasting,
            next: 1,
            weight: 0,
            delivered: 0,
            delivered_before: 0,
            marks: HashMap::default(),
            unfiled: RoaringTreemap::new(),
            logged: BTreeMap::new(),
            segments: Vec::new(),
            next_segment: 1,
            garbage: Vec::new(),
        }
    }

    /// The directory of its segments.
    pub(super) fn dir(&self) -> PathBuf {
        segment::dir(self.lasting, self.queue)
    }

    /// Takes a segment that a checkpoint knows.
    pub(super) fn add_known(&mut self, segment: Segment) {
        self.next_segment = self.next_segment.max(segment.number.saturating_add(1));
        self.segments.push(segment);
    }

    /// Messages stand in the log from now on.
    pub(super) fn published(&mut self, first: u64, last: u64, weight: u64) {
        self.weight += weight;
        self.next = self.next.max(last + 1);
        self.unfiled.insert_range(first..=last);
    }

    /// Messages are not wanted any more.
    pub(super) fn settled(&mut self, first: u64, last: u64, weight: u64) {
        self.weight = self.weight.saturating_sub(weight);
        self.unfiled.remove_range(first..=last);
        if !self.logged.is_empty() {
            let settled: Vec<_> = self.logged.range(first..=last).map(|(position, _)| *position).collect();
            settled.iter().for_each(|position| _ = self.logged.remove(position));
        }
        if !self.marks.is_empty() {
            if last - first < self.marks.len() as u64 {
                for position in first..=last {
                    self.marks.remove(&position);
                }
            } else {
                self.marks.retain(|position, _| !(first..=last).contains(position));
            }
        }
        let mut removed = 0;
        for segment in self.segments.iter_mut().filter(|segment| first <= segment.last) {
            removed += segment.settle(first, last);
        }
        if removed > 0 {
            self.drop_empty();
        }
    }

    /// How many messages survive a restart, and the position of the first.
    pub(super) fn lasting_messages(&self) -> (u64, Option<u64>) {
        let in_segments = |s: &Segment| s.live.len() - s.transient.len();
        let count = self.unfiled.len() + self.segments.iter().map(in_segments).sum::<u64>();
        let first = self.segments.iter().filter_map(|segment| segment.live.min()).chain(self.unfiled.min()).min();
        (count, first)
    }

    /// Writes messages into the newest segment. Their positions ascend.
    ///
    /// # Errors
    /// What the disk says; then none of them has been written.
    pub(super) fn file<'p>(
        &mut self,
        disk: &dyn Disk,
        scratch: &mut Vec<u8>,
        messages: &mut dyn Iterator<Item = Filing<'p>>,
    ) -> Result<(), StoreError> {
        let mut messages = messages.peekable();
        let Some((first, _, _)) = messages.peek() else { return Ok(()) };
        let first = *first;
        let goes_on = self.segments.last().is_some_and(|newest| !newest.sealed && newest.last < first);
        if !goes_on {
            self.begin_segment(disk)?;
        }
        let Some(newest) = self.segments.last_mut() else { unreachable!("one was begun") };
        let mut filed = Vec::new();
        newest.append(disk, scratch, |run| {
            for (position, lasting, write) in messages {
                run.push(position, lasting, write);
                filed.push(position);
            }
        })?;
        if newest.len >= SEGMENT_BYTES {
            newest.sealed = true;
        }
        for position in filed {
            self.unfiled.remove(position);
            self.logged.remove(&position);
        }
        Ok(())
    }

    /// The first wanted messages that segments hold, or the log since before this process, from a position up to, but not including, another: about `bytes`, and at least
    /// one if there is one. What a restart would take away is not kept any longer.
    ///
    /// # Errors
    /// What the disk says, or a segment is damaged.
    pub(super) fn load<P: Payload>(
        &mut self,
        disk: &dyn Disk,
        from: u64,
        to: u64,
        bytes: usize,
    ) -> Result<Vec<Loaded<P>>, StoreError> {
        let loaded = self.read_on(disk, from, to, bytes);
        self.segments.iter_mut().for_each(Segment::rest);
        self.drop_empty();
        loaded
    }

    fn read_on<P: Payload>(
        &mut self,
        disk: &dyn Disk,
        mut from: u64,
        to: u64,
        bytes: usize,
    ) -> Result<Vec<Loaded<P>>, StoreError> {
        let (mut loaded, mut taken) = (Vec::new(), 0);
        while taken < bytes {
            let (places, horizon) = self.places(from, to);
            for (position, at) in places {
                if at == LOG {
                    let (message, len) = self.read_logged(disk, position)?;
                    loaded.push(self.give_back(position, message));
                    taken += len;
                    if taken >= bytes {
                        break;
                    }
                    continue;
                }
                let segment = &mut self.segments[at];
                let record = segment.read(disk, position, bytes - taken)?;
                let (lasting, len) = (record.lasting, record.message.len());
                let Some(message) = P::read(record.message) else {
                    return Err(StoreError::damaged(segment.path(), 0, format!("message {position} cannot be read")));
                };
                if !lasting {
                    segment.settle(position, position);
                }
                loaded.push(self.give_back(position, message));
                taken += len;
                if taken >= bytes {
                    break;
                }
            }
            match horizon {
                Some(horizon) => from = horizon,
                None => break,
            }
        }
        Ok(loaded)
    }

    fn read_logged<P: Payload>(&self, disk: &dyn Disk, position: u64) -> Result<(P, usize), StoreError> {
        let Some(place) = self.logged.get(&position) else { unreachable!("its place was found there") };
        let path = log::file_path(place.generation);
        let mut message = vec![0; place.len as usize];
        let file = disk.open(&path).map_err(StoreError::io("open", &path))?;
        let n = file.read_at(&mut message, place.offset).map_err(StoreError::unreadable(&path, place.offset))?;
        match P::read(&message[..n]) {
            Some(read) => Ok((read, n)),
            None => Err(StoreError::damaged(path, place.offset, format!("message {position} cannot be read"))),
        }
    }

    /// A message as its queue gets it back.
    pub(super) fn give_back<P>(&self, position: u64, message: P) -> Loaded<P> {
        let mark = self.marks.get(&position).copied().unwrap_or(0);
        Loaded { position, redelivered: position <= self.delivered_before, mark, message }
    }

    /// The next wanted positions in order, each with its segment; and where to go on if there are more.
    fn places(&self, from: u64, to: u64) -> (Vec<(u64, usize)>, Option<u64>) {
        let mut places = Vec::new();
        let mut horizon = None;
        for (at, segment) in self.segments.iter().enumerate() {
            let mut positions = segment.live.iter();
            positions.advance_to(from);
            let end = horizon.unwrap_or(to); // most often the first segment has enough
            for (n, position) in positions.take_while(|position| *position < end).enumerate() {
                if n == POSITIONS_AT_ONCE {
                    horizon = Some(horizon.map_or(position, |known: u64| known.min(position)));
                    break;
                }
                places.push((position, at));
            }
        }
        let end = horizon.unwrap_or(to);
        for (n, (position, _)) in self.logged.range(from.min(end)..end).enumerate() {
            if n == POSITIONS_AT_ONCE {
                horizon = Some(*position);
                break;
            }
            places.push((*position, LOG));
        }
        if let Some(horizon) = horizon {
            places.retain(|(position, _)| *position < horizon);
        }
        places.sort_unstable();
        (places, horizon)
    }

    /// Writes one sparse segment anew, if there is one. Tells whether there was. One that is consumed in order is only then sparse when
    /// the store is `resting`: what is left of it goes soon.
    ///
    /// # Errors
    /// What the disk says, or it is damaged.
    pub(super) fn compact(
        &mut self,
        disk: &dyn Disk,
        scratch: &mut Vec<u8>,
        resting: bool,
    ) -> Result<bool, StoreError> {
        let sparse = |s: &Segment| {
            s.sealed
                && !s.spoiled
                && (resting || !s.is_rest())
                && s.count > 0
                && s.len > SEGMENT_BYTES / 4
                && s.live.len() * 100 / s.count < SPARSE_PERCENT
        };
        let Some(at) = self.segments.iter().position(sparse) else { return Ok(false) };
        let mut fresh = Segment::create(disk, &self.dir(), self.queue, self.next_segment)?;
        self.next_segment += 1;
        let old = &mut self.segments[at];
        let mut positions = old.live.iter().collect::<Vec<_>>().into_iter().peekable();
        while positions.peek().is_some() {
            let (mut batch, mut bytes) = (Vec::new(), 0);
            while bytes < COPIED_AT_ONCE
                && let Some(position) = positions.next()
            {
                match old.read(disk, position, COPIED_AT_ONCE) {
                    Ok(record) => {
                        bytes += record.message.len();
                        batch.push((position, record.lasting, record.message.to_vec()));
                    }
                    Err(_) => {
                        // The queue hears of it when it loads the message.
                        old.spoiled = true;
                        old.rest();
                        self.garbage.push(fresh.path().to_owned());
                        return Ok(true);
                    }
                }
            }
            let copied = fresh.append(disk, scratch, |run| {
                for (position, lasting, message) in &batch {
                    run.push(*position, *lasting, |out| out.extend_from_slice(message));
                }
            });
            if let Err(error) = copied {
                self.garbage.push(fresh.path().to_owned());
                return Err(error);
            }
        }
        fresh.sealed = true;
        self.garbage.push(old.path().to_owned());
        *old = fresh;
        Ok(true)
    }

    fn begin_segment(&mut self, disk: &dyn Disk) -> Result<(), StoreError> {
        let dir = self.dir();
        disk.create_dir(&dir).map_err(StoreError::io("create", &dir))?;
        let segment = Segment::create(disk, &dir, self.queue, self.next_segment)?;
        self.next_segment += 1;
        if let Some(newest) = self.segments.last_mut() {
            newest.sealed = true;
        }
        self.segments.push(segment);
        Ok(())
    }

    fn drop_empty(&mut self) {
        if self.segments.iter().any(|segment| segment.live.is_empty()) {
            for segment in self.segments.extract_if(.., |segment| segment.live.is_empty()) {
                self.garbage.push(segment.path().to_owned());
            }
        }
    }
}
