//! Looking at a data directory that no broker uses, and mending it.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use roaring::RoaringTreemap;

use super::checkpoint::{self, Checkpoint};
use super::disk::{Disk, RealDisk};
use super::error::StoreError;
use super::keeper::Keeper;
use super::log::format::{Logged, ops};
use super::log::read::{GroupReader, Next};
use super::log::{self, LogPosition, Spares};
use super::salvage;
use super::shelf::Shelf;
use super::{DefinitionBytes, recovery};
use crate::broker::journal::{Payload, QueueId};

/// What the store does not know of its queues.
pub trait Names {
    /// The queue that a definition makes, and what a person calls it.
    fn queue(&self, key: &[u8], value: &[u8]) -> Option<(QueueId, String)>;

    /// The queue that an id belongs to, if several are one queue.
    fn owner(&self, id: QueueId) -> QueueId;

    /// A definition for a queue that has messages and lost its own.
    fn define(&self, id: QueueId) -> DefinitionBytes;
}

/// What was found, and what was done about it.
#[derive(Debug, Default)]
pub struct Report {
    lines: Vec<String>,
    damaged: bool,
}

impl Report {
    /// Whether something is, or was, not as it was written.
    pub fn is_damaged(&self) -> bool {
        self.damaged
    }

    pub(super) fn say(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    pub(super) fn damage(&mut self, line: impl Into<String>) {
        self.damaged = true;
        self.lines.push(format!("DAMAGED: {}", line.into()));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Reads everything in a data directory and says what it is. Changes nothing.
///
/// # Errors
/// It cannot be read at all, or is in use.
pub fn check<P: Payload>(dir: &Path, names: &dyn Names) -> Result<Report, StoreError> {
    let (_lock, disk) = open(dir)?;
    check_disk::<P>(&disk, names)
}

pub(super) fn check_disk<P: Payload>(disk: &Arc<dyn Disk>, names: &dyn Names) -> Result<Report, StoreError> {
    let mut report = Report::default();
    Inspection::<P>::new(disk, names, &mut report)?.queues(names, &mut report);
    Ok(report)
}

/// Makes a data directory usable again: leaves out what is damaged, and says what is lost by that.
///
/// # Errors
/// The disk refuses to read something, which may be there all the same: then nothing is changed. Or it cannot be written, or is in use.
pub fn repair<P: Payload>(dir: &Path, names: &dyn Names) -> Result<Report, StoreError> {
    let (_lock, disk) = open(dir)?;
    repair_disk::<P>(&disk, names)
}

pub(super) fn repair_disk<P: Payload>(disk: &Arc<dyn Disk>, names: &dyn Names) -> Result<Report, StoreError> {
    let mut report = Report::default();
    let mut inspection = Inspection::<P>::new(disk, names, &mut report)?;
    inspection.queues(names, &mut report);
    if !report.damaged {
        report.say("nothing to repair");
        return Ok(report);
    }
    inspection.leave_out(names)?;
    report.say("repaired: what is not listed as lost is there");
    Ok(report)
}

fn open(dir: &Path) -> Result<(recovery::Lock, Arc<dyn Disk>), StoreError> {
    std::fs::read_dir(dir).map_err(|error| StoreError::Directory { dir: dir.to_owned(), error: error.into() })?;
    Ok((recovery::lock(dir)?, Arc::new(RealDisk::new(dir))))
}

/// All that could be read.
struct Inspection<P> {
    disk: Arc<dyn Disk>,
    keeper: Keeper<P>,
    readers: Vec<GroupReader>,
    /// Where the log ends.
    generation: u64,
    names: HashMap<QueueId, String>,
    /// Of each queue that is damaged: positions that cannot be read.
    lost: BTreeMap<QueueId, RoaringTreemap>,
    /// Weights as far as they could be read.
    weights: HashMap<QueueId, u64>,
}

impl<P: Payload> Inspection<P> {
    fn new(disk: &Arc<dyn Disk>, names: &dyn Names, report: &mut Report) -> Result<Self, StoreError> {
        let known = read_checkpoint(&**disk, report)?;
        let is_known = known.is_some();
        let checkpoint = known.map_or_else(|| without_checkpoint(&**disk, report), Ok)?;
        let (from, applied) = (checkpoint.from_generation, checkpoint.applied);
        let keeper = Keeper::new(disk.clone(), Arc::new(Spares::default()), checkpoint);
        let readers = open_log(&**disk, from, applied, is_known, report)?;
        let generation = readers.iter().map(GroupReader::generation).max().unwrap_or(0);
        let mut inspection = Self {
            disk: disk.clone(),
            keeper,
            readers,
            generation: generation.max(applied.generation).max(from - 1),
            names: HashMap::new(),
            lost: BTreeMap::new(),
            weights: HashMap::new(),
        };
        inspection.read_log(applied, report)?;
        inspection.names = inspection.keeper.definitions().filter_map(|(key, value)| names.queue(key, value)).collect();
        inspection.read_segments(names, report)?;
        Ok(inspection)
    }

    /// Applies what the log has beyond the checkpoint, and looks for the messages that stand in it alone.
    fn read_log(&mut self, applied: LogPosition, report: &mut Report) -> Result<(), StoreError> {
        for reader in &mut self.readers {
            let generation = reader.generation();
            let is_new = |at| LogPosition { generation, offset: at } >= applied;
            loop {
                match reader.next()? {
                    Next::End(begun) => {
                        if begun {
                            report.say(format!(
                                "'{}' has a torn end at offset {}, as a crash leaves it: a start cuts it off",
                                log::file_path(generation).display(),
                                reader.offset()
                            ));
                        }
                        break;
                    }
                    Next::Group(at, body) if is_new(at) => match recovery::effects(body) {
                        Some(effects) => self.keeper.apply(effects, LogPosition { generation, offset: at }),
                        None => report.damage(format!(
                            "'{}' at offset {at}: an operation that cannot be read; what became durable with it is lost, and what was \
                             settled with it comes back",
                            log::file_path(generation).display()
                        )),
                    },
                    Next::Group(..) => {}
                }
            }
            for (from, to) in reader.take_skipped() {
                report.damage(format!(
                    "'{}' from offset {from} to {to}: not readable; what became durable there is lost, and what was settled there \
                     comes back",
                    log::file_path(generation).display()
                ));
            }
        }
        for shelf in self.keeper.shelves() {
            let filed = shelf.segments.iter().map(|segment| &segment.live);
            filed.for_each(|filed| shelf.unfiled -= filed);
        }
        let mut missing: HashMap<_, _> = self.keeper.shelves().map(|s| (s.queue, s.unfiled.clone())).collect();
        for reader in &mut self.readers {
            reader.seek(0);
            while let Next::Group(_, body) = reader.next()? {
                for (_, op) in ops(body).flatten() {
                    let (Logged::Publish { queue, position, weight, .. }
                    | Logged::Refer { queue, position, weight, .. }) = op
                    else {
                        continue;
                    };
                    if missing.get_mut(&queue).is_some_and(|missing| missing.remove(position)) {
                        *self.weights.entry(queue).or_default() += u64::from(weight);
                    }
                }
            }
        }
        self.lost = missing.into_iter().filter(|(_, missing)| !missing.is_empty()).collect();
        Ok(())
    }

    fn read_segments(&mut self, names: &dyn Names, report: &mut Report) -> Result<(), StoreError> {
        for shelf in self.keeper.shelves() {
            let name = name_of(&self.names, names, shelf.queue);
            for segment in &mut shelf.segments {
                let (lost, weight) = salvage::read_all::<P>(segment, &*self.disk, |error, count| {
                    report.damage(format!("{name}: {error}; {count} messages are lost"));
                })?;
                *self.weights.entry(shelf.queue).or_default() += weight;
                if lost.is_empty() {
                    match segment.check(&*self.disk) {
                        Ok(()) => {}
                        Err(error @ StoreError::Io { .. }) => return Err(error),
                        Err(error) => report.damage(format!("{name}: {error}; no message is lost")),
                    }
                } else {
                    *self.lost.entry(shelf.queue).or_default() |= lost;
                }
                segment.rest();
            }
        }
        Ok(())
    }

    /// Says what there is.
    fn queues(&mut self, names: &dyn Names, report: &mut Report) {
        let definitions = self.keeper.definitions().count();
        report.say(format!("{definitions} definitions"));
        let mut lines = Vec::new();
        for shelf in self.keeper.shelves() {
            let lost = self.lost.get(&shelf.queue).map_or(0, RoaringTreemap::len);
            let in_log = shelf.unfiled.len();
            let (count, _) = shelf.lasting_messages();
            let weight = self.weights.get(&shelf.queue).copied().unwrap_or(0);
            let name = name_of(&self.names, names, shelf.queue);
            let (count, segments) = (count - lost, shelf.segments.len());
            lines.push(format!("{name}: {count} messages of {weight} bytes, {in_log} in the log, {segments} segments"));
            let unfiled = self.lost.get(&shelf.queue).map_or(0, |lost| lost.intersection_len(&shelf.unfiled));
            if unfiled > 0 {
                report.damage(format!("{name}: {unfiled} messages stand in no readable file and are lost"));
            }
        }
        lines.sort_unstable();
        report.lines.extend(lines);
    }

    /// Leaves out what is lost and writes all that is there as a start does.
    fn leave_out(mut self, names: &dyn Names) -> Result<(), StoreError> {
        for reader in &mut self.readers {
            reader.seek(0);
            while !self.keeper.file_survivors(reader)? {}
        }
        let owner = |id| names.owner(id);
        for shelf in self.keeper.shelves() {
            if let Some(lost) = self.lost.get(&shelf.queue) {
                lost.iter().for_each(|position| shelf.settled(position, position, 0));
            }
            shelf.segments.iter_mut().try_for_each(|segment| segment.cut(&*self.disk))?;
            shelf.weight = self.weights.get(&shelf.queue).copied().unwrap_or(0);
        }
        let with_messages: Vec<_> = self
            .keeper
            .shelves()
            .filter(|shelf| shelf.lasting_messages().0 > 0)
            .map(|shelf| owner(shelf.queue))
            .collect();
        for queue in with_messages {
            if let Entry::Vacant(vacant) = self.names.entry(queue) {
                let (key, value) = names.define(queue);
                vacant.insert(String::new());
                self.keeper.define(key, value);
            }
        }
        self.keeper.retired_to(self.generation + 1);
        let job = self.keeper.checkpoint(false);
        job.run(&*self.disk)?;
        self.keeper.checkpointed(job);
        Ok(())
    }
}

fn name_of(known: &HashMap<QueueId, String>, names: &dyn Names, id: QueueId) -> String {
    match known.get(&names.owner(id)) {
        Some(name) => name.clone(),
        None => format!("a queue without a definition, number {}", id.0),
    }
}

/// The checkpoint, if it is readable.
fn read_checkpoint(disk: &dyn Disk, report: &mut Report) -> Result<Option<Checkpoint>, StoreError> {
    match checkpoint::read(disk) {
        Ok(Some(found)) => {
            for why in [found.lost, found.copy_lost].into_iter().flatten() {
                report.damage(format!("{why}; nothing is lost, since there are two of it"));
            }
            Ok(Some(found.checkpoint))
        }
        Ok(None) if !recovery::holds_something(disk)? => {
            report.say("nothing has been written yet");
            Ok(Some(Checkpoint { from_generation: 1, next_queue: 1, ..Checkpoint::default() }))
        }
        Ok(None) => {
            report.damage(format!("'{}' is missing", checkpoint::FILE));
            Ok(None)
        }
        Err(error @ StoreError::Damaged { .. }) => {
            report.damage(error.to_string());
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What can be said without a checkpoint: what the segments have, all of it wanted, and definitions as far as they are readable.
fn without_checkpoint(disk: &dyn Disk, report: &mut Report) -> Result<Checkpoint, StoreError> {
    let definitions = checkpoint::salvage_definitions(disk)?;
    report.say(format!(
        "without the checkpoint all messages found count as wanted, those that were settled too; {} of the definitions are readable",
        definitions.len()
    ));
    let shelves: Vec<Shelf> = salvage::shelves(disk, report)?;
    let next_queue = shelves.iter().map(|shelf| shelf.queue.0 + 1).max().unwrap_or(1);
    let names = disk.list(Path::new(log::DIR)).map_err(StoreError::io("list", log::DIR))?;
    let from_generation = names.iter().filter_map(|name| log::generation_of(name)).min().unwrap_or(1);
    Ok(Checkpoint { from_generation, next_queue, definitions, shelves, ..Checkpoint::default() })
}

/// The log's files that count, to be read as far as they are readable.
fn open_log(
    disk: &dyn Disk,
    from: u64,
    applied: LogPosition,
    is_known: bool,
    report: &mut Report,
) -> Result<Vec<GroupReader>, StoreError> {
    let names = disk.list(Path::new(log::DIR)).map_err(StoreError::io("list", log::DIR))?;
    let mut generations: Vec<_> = names.iter().filter_map(|name| log::generation_of(name)).collect();
    generations.retain(|generation| *generation >= from);
    generations.sort_unstable();
    let mut readers: Vec<GroupReader> = Vec::new();
    let mut expected = from;
    for generation in &generations {
        // Without a checkpoint nobody knows which were needed.
        for missing in (expected..*generation).filter(|_| is_known) {
            report.damage(format!("'{}' is missing", log::file_path(missing).display()));
        }
        expected = generation + 1;
        let head = GroupReader::open(disk, *generation)?.map(|reader| reader.head());
        if let (Some(head), Some(before)) = (head, readers.last_mut()) {
            before.seal_at(head.previous_end);
        }
        if head.is_none() {
            if recovery::is_begun(disk, *generation, &generations, applied)? {
                break;
            }
            report.damage(format!("'{}' has no readable header", log::file_path(*generation).display()));
        }
        readers.push(GroupReader::open_damaged(disk, *generation)?);
    }
    if readers.is_empty() && applied.generation >= from {
        report.damage(format!("'{}' is missing", log::file_path(applied.generation).display()));
    }
    Ok(readers)
}
