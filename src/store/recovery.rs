//! From a data directory to what it holds: the checkpoint, then what the log says beyond it; in the end all messages are in segments.

mod room;

use std::collections::HashSet;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};

use self::room::Room;
use super::checkpoint::{self, Checkpoint};
use super::disk::Disk;
use super::error::StoreError;
use super::keeper::Keeper;
use super::log::format::{Logged, ops};
use super::log::read::{GroupReader, Next};
use super::log::{self, Effect, LogPosition, Spares};
use super::{Recovered, RecoveredQueue};
use crate::broker::journal::{Payload, QueueId};

/// The format of a data directory that this version writes; it reads this one.
const FORMAT: u32 = 1;
const FORMAT_FILE: &str = "format";
const LOCK_FILE: &str = "lock";

/// Keeps other processes out of a data directory for as long as it lives.
pub(super) struct Lock(#[expect(dead_code, reason = "the lock goes with the file")] std::fs::File);

/// Locks a directory, made if it is missing.
///
/// # Errors
/// It cannot be used, another process uses it, or a later version has written it.
pub(super) fn lock(dir: &Path) -> Result<Lock, StoreError> {
    let unusable = |error: std::io::Error| StoreError::Directory { dir: dir.to_owned(), error: error.into() };
    std::fs::create_dir_all(dir).map_err(unusable)?;
    let path = dir.join(LOCK_FILE);
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(unusable)?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut pid = String::new();
        let _ = file.read_to_string(&mut pid);
        return Err(StoreError::InUse { dir: dir.to_owned(), pid: pid.trim().to_owned() });
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(unusable)?;
    // For people alone: a full disk may have no room for it.
    let _ = writeln!(file, "{}", std::process::id());
    check_format(dir)?;
    Ok(Lock(file))
}

fn check_format(dir: &Path) -> Result<(), StoreError> {
    let path = dir.join(FORMAT_FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => match text.trim().parse::<u32>() {
            Ok(FORMAT) => Ok(()),
            Ok(found) if found > FORMAT => Err(StoreError::Newer { dir: dir.to_owned(), found, known: FORMAT }),
            _ => Err(StoreError::damaged(FORMAT_FILE, 0, format!("it says '{}', which is no format", text.trim()))),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            write_format(dir).map_err(StoreError::io("write", FORMAT_FILE))
        }
        Err(error) => Err(StoreError::io("read", FORMAT_FILE)(error)),
    }
}

/// All of it or nothing: a half of it would be taken for damage.
fn write_format(dir: &Path) -> std::io::Result<()> {
    let new = dir.join("format.new");
    let mut file = std::fs::File::create(&new)?;
    writeln!(file, "{FORMAT}")?;
    file.sync_all()?;
    std::fs::rename(&new, dir.join(FORMAT_FILE))
}

/// What recovery makes of a disk.
pub(super) struct Opened<P> {
    pub(super) keeper: Keeper<P>,
    pub(super) spares: Arc<Spares>,
    /// Where the log ends: its last file, and where in that if it is still needed, else 0.
    pub(super) log_end: LogPosition,
    /// The disk had no room for what a start writes; the keeper has yet to write it.
    pub(super) is_full: bool,
    pub(super) recovered: Recovered,
}

/// Reads what is there. Afterwards all messages are in segments, and the log is empty; unless the disk has no room for that.
///
/// # Errors
/// What the disk says; or checkpoint or log are damaged.
pub(super) fn recover<P: Payload>(
    disk: &Arc<dyn Disk>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Opened<P>, StoreError> {
    for dir in [log::DIR, "queues", "spill"] {
        disk.create_dir(Path::new(dir)).map_err(StoreError::io("create", dir))?;
    }
    let found = checkpoint::read(&**disk)?;
    // Nothing that the checkpoint does not know is removed before it is sure to stay.
    disk.sync_dir(Path::new("")).map_err(StoreError::io("flush", "."))?;
    let is_new = found.is_none();
    if is_new && holds_something(&**disk)? {
        return Err(StoreError::Missing { file: checkpoint::FILE.into() });
    }
    wipe(&**disk, Path::new("spill"))?;
    let spares = Arc::new(Spares::default());
    let (checkpoint, mended) = match found {
        Some(found) => {
            if !found.is_double {
                // The other may be older: nothing that it knows goes before it is as new.
                let written = checkpoint::write(&**disk, &found.bytes);
                written.map_err(|error| no_room(&**disk, error, found.bytes.len()))?;
            }
            (found.checkpoint, found.lost)
        }
        None => (Checkpoint { from_generation: 1, next_queue: 1, ..Checkpoint::default() }, None),
    };
    let was_clean = checkpoint.clean;
    let mut room = Room::new(&**disk, &spares, checkpoint.from_generation);
    let mut keeper = Keeper::new(disk.clone(), spares.clone(), checkpoint);
    let mut replay = Replay::new(&**disk, &keeper)?;
    let cut = replay.apply(&mut keeper, progress)?;
    let mut is_moved = replay.file(&mut keeper, &mut room)?;
    if !is_moved {
        replay.leave(&mut keeper)?;
    }
    let used = keeper.applied().generation.max(keeper.first_generation() - 1);
    let generation = replay.last_generation().max(used);
    if is_moved {
        keeper.retired_to(generation + 1);
    }
    let lost = damaged_queues(&**disk, &mut keeper);
    if let Some(path) = replay.begun.map(log::file_path) {
        disk.remove(&path).map_err(StoreError::io("remove", path))?;
    }
    if is_new {
        let job = keeper.checkpoint(false);
        job.run(&**disk).map_err(|error| no_room(&**disk, error, 0))?; // without one the log would be of no use
        keeper.checkpointed(job);
    } else if keeper.is_changed() || !room.is_settled(&keeper) {
        is_moved &= room.checkpoint(&mut keeper)?;
    }
    // Not before: the checkpoint before may know them, and what made them unknown may be in no more than the system's memory.
    remove_unknown_segments(&**disk, &mut keeper)?;
    let log_end = LogPosition { generation, offset: if is_moved { 0 } else { end_of(&**disk, generation)? } };
    let recovered = Recovered {
        definitions: keeper.definitions().map(|(key, value)| (key.into(), value.into())).collect(),
        queues: keeper.shelves().map(recovered_queue).collect(),
        clean: was_clean && !replay.found,
        cut,
        mended,
        damaged: lost,
        next_queue_id: keeper.next_queue(),
    };
    Ok(Opened { keeper, spares, log_end, is_full: !is_moved, recovered })
}

/// Why a start cannot go without the two files of a checkpoint of so many bytes.
fn no_room(disk: &dyn Disk, error: StoreError, bytes: usize) -> StoreError {
    if !error.is_full() {
        return error;
    }
    let needed = 2 * (bytes as u64).next_multiple_of(64 * 1024).max(64 * 1024);
    StoreError::NoRoom { refused: error.to_string(), needed, free: disk.free_bytes().unwrap_or(0), dir: PathBuf::new() }
}

/// Whether there is something that a directory without a checkpoint cannot have.
pub(super) fn holds_something(disk: &dyn Disk) -> Result<bool, StoreError> {
    let list = |dir: &Path| disk.list(dir).map_err(StoreError::io("list", dir));
    let logged = list(Path::new(log::DIR))?.iter().any(|name| log::generation_of(name).is_some());
    let queues = Path::new("queues");
    let filed = list(queues)?.iter().map(|dir| list(&queues.join(dir))).collect::<Result<Vec<_>, _>>()?;
    Ok(logged || filed.iter().any(|files| !files.is_empty()))
}

fn recovered_queue(shelf: &mut super::shelf::Shelf) -> RecoveredQueue {
    // What was delivered and does not last had positions too.
    shelf.next = shelf.next.max(shelf.delivered + 1);
    shelf.delivered_before = shelf.delivered;
    let (count, first) = shelf.lasting_messages();
    RecoveredQueue {
        queue: shelf.queue,
        first: first.unwrap_or(shelf.next),
        next: shelf.next,
        count,
        weight: shelf.weight,
    }
}

/// The log's files from the checkpoint on.
struct Replay<'d> {
    disk: &'d dyn Disk,
    generations: Vec<u64>,
    /// Where each file's groups end, as far as the next one says it.
    ends: Vec<Option<u64>>,
    /// A file that was made and never written to.
    begun: Option<u64>,
    from: LogPosition,
    /// There was something that the checkpoint did not have.
    found: bool,
}

impl<'d> Replay<'d> {
    fn new<P: Payload>(disk: &'d dyn Disk, keeper: &Keeper<P>) -> Result<Self, StoreError> {
        let names = disk.list(Path::new(log::DIR)).map_err(StoreError::io("list", log::DIR))?;
        let mut generations: Vec<_> = names.iter().filter_map(|name| log::generation_of(name)).collect();
        generations.sort_unstable();
        generations.retain(|generation| *generation >= keeper.first_generation());
        let mut heads = Vec::new();
        for generation in &generations {
            match GroupReader::open(disk, *generation)? {
                Some(reader) => heads.push(reader.head()),
                None if is_begun(disk, *generation, &generations, keeper.applied())? => break,
                None => {
                    let path = log::file_path(*generation);
                    return Err(StoreError::damaged(path, 0, "its header is not readable"));
                }
            }
        }
        let begun = generations.get(heads.len()).copied();
        generations.truncate(heads.len());
        let needed = keeper.first_generation();
        let first = generations.first().copied();
        if first.is_some_and(|first| first > needed) || first.is_none() && keeper.applied().generation >= needed {
            return Err(StoreError::Missing { file: log::file_path(needed) });
        }
        if let Some(gap) = generations.windows(2).find(|pair| pair[0] + 1 != pair[1]) {
            return Err(StoreError::Missing { file: log::file_path(gap[0] + 1) });
        }
        let ends = heads.iter().skip(1).map(|head| Some(head.previous_end)).chain([None]).collect();
        Ok(Self { disk, generations, ends, begun, from: keeper.applied(), found: false })
    }

    fn last_generation(&self) -> u64 {
        self.generations.last().copied().unwrap_or(0)
    }

    /// Its files from a generation on.
    fn readers(&self, from: u64) -> impl Iterator<Item = Result<(u64, GroupReader), StoreError>> {
        let files = self.generations.iter().zip(&self.ends).filter(move |(generation, _)| **generation >= from);
        files.filter_map(|(generation, end)| {
            let reader = GroupReader::open(self.disk, *generation).transpose()?;
            Some(reader.map(|mut reader| {
                if let Some(end) = end {
                    reader.seal_at(*end);
                }
                (*generation, reader)
            }))
        })
    }

    /// Applies what the log says beyond the checkpoint. Tells what was cut off at its end.
    fn apply<P: Payload>(
        &mut self,
        keeper: &mut Keeper<P>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Option<String>, StoreError> {
        let readers = self.readers(0).collect::<Result<Vec<_>, _>>()?;
        let total = readers.iter().map(|(_, reader)| reader.len()).sum();
        let (mut cut, mut done) = (None, 0);
        for (generation, mut reader) in readers {
            if generation < self.from.generation {
                done += reader.len();
                continue;
            }
            if generation == self.from.generation {
                reader.seek(self.from.offset);
            }
            loop {
                let begun = match reader.next()? {
                    Next::Group(at, body) => {
                        let effects = effects(body).ok_or_else(|| {
                            StoreError::damaged(
                                log::file_path(generation),
                                at,
                                "an operation that this version cannot read",
                            )
                        })?;
                        self.found = true;
                        keeper.apply(effects, LogPosition { generation, offset: reader.offset() });
                        continue;
                    }
                    Next::End(begun) => begun,
                };
                if begun {
                    cut = Some(format!("{} from offset {}", log::file_path(generation).display(), reader.offset()));
                }
                break;
            }
            done += reader.len();
            progress(done, total);
        }
        Ok(cut)
    }

    /// Moves all messages of the log that are wanted into segments. False if there is no room for all.
    fn file<P: Payload>(&self, keeper: &mut Keeper<P>, room: &mut Room<'_>) -> Result<bool, StoreError> {
        if keeper.shelves().all(|shelf| shelf.unfiled.is_empty()) {
            return Ok(true);
        }
        room.file_all(keeper, self.readers(0).map(|reader| Ok(reader?.1)))
    }

    /// Leaves the messages that are not in segments where they are.
    fn leave<P: Payload>(&self, keeper: &mut Keeper<P>) -> Result<(), StoreError> {
        self.readers(keeper.first_generation()).try_for_each(|reader| keeper.note_places(&mut reader?.1))
    }
}

/// Where the groups of the last file end, if it is there. The next file says so too: then it must last.
fn end_of(disk: &dyn Disk, generation: u64) -> Result<u64, StoreError> {
    let names = disk.list(Path::new(log::DIR)).map_err(StoreError::io("list", log::DIR))?;
    if !names.iter().any(|name| log::generation_of(name) == Some(generation)) {
        return Ok(0);
    }
    let Some(mut reader) = GroupReader::open(disk, generation)? else { return Ok(0) };
    let path = log::file_path(generation);
    let file = disk.open(&path).map_err(StoreError::io("open", &path))?;
    file.sync_data().map_err(StoreError::io("flush", &path))?;
    while let Next::Group(..) = reader.next()? {}
    Ok(reader.offset())
}

/// Whether a file without a header is one that was made and never written to: the last.
pub(super) fn is_begun(
    disk: &dyn Disk,
    generation: u64,
    all: &[u64],
    applied: LogPosition,
) -> Result<bool, StoreError> {
    let is_last = all.last() == Some(&generation) && generation > applied.generation;
    Ok(is_last && GroupReader::is_unused(disk, generation)?)
}

/// What the operations of a group mean; none if one cannot be read.
pub(super) fn effects(body: &[u8]) -> Option<Vec<Effect>> {
    ops(body)
        .map(|op| {
            Some(match op?.1 {
                Logged::Publish { queue, position, weight, .. } | Logged::Refer { queue, position, weight, .. } => {
                    Effect::Published { queue, first: position, last: position, weight: weight.into() }
                }
                Logged::Settle { queue, first, last, weight } => Effect::Settled { queue, first, last, weight },
                Logged::Delivered { queue, up_to } => Effect::Delivered { queue, up_to },
                Logged::Mark { queue, position, mark } => Effect::Marked { queue, position, mark },
                Logged::Define { key, value } => Effect::Defined { key: key.into(), value: value.into() },
                Logged::Forget { key } => Effect::Forgotten { key: key.into() },
                Logged::Drop { queue } => Effect::Dropped { queue },
            })
        })
        .collect()
}

/// Queues of which not all wanted messages can be there.
fn damaged_queues<P: Payload>(disk: &dyn Disk, keeper: &mut Keeper<P>) -> Vec<(QueueId, StoreError)> {
    let mut damaged = Vec::new();
    for shelf in keeper.shelves() {
        let lost = shelf.unfiled.iter().find(|position| !shelf.logged.contains_key(position));
        let segment = shelf.segments.iter_mut().find_map(|segment| segment.check(disk).err());
        if let Some(error) = segment {
            damaged.push((shelf.queue, error));
        } else if let Some(position) = lost {
            let what = format!("message {position} of the queue is in no file");
            damaged.push((shelf.queue, StoreError::damaged(log::DIR, 0, what)));
        }
    }
    damaged
}

fn remove_unknown_segments<P: Payload>(disk: &dyn Disk, keeper: &mut Keeper<P>) -> Result<(), StoreError> {
    let known: HashSet<PathBuf> = keeper.files().map(Path::to_owned).collect();
    let dirs: HashSet<&Path> = known.iter().filter_map(|path| path.parent()).collect();
    let queues = Path::new("queues");
    for name in disk.list(queues).map_err(StoreError::io("list", queues))? {
        let dir = queues.join(name);
        let files = disk.list(&dir).map_err(StoreError::io("list", &dir))?;
        let unknown = files.iter().map(|name| dir.join(name)).filter(|path| !known.contains(path));
        for path in unknown {
            disk.remove(&path).map_err(StoreError::io("remove", &path))?;
        }
        if !dirs.contains(&*dir) {
            let _ = disk.remove_dir(&dir);
        }
    }
    Ok(())
}

fn wipe(disk: &dyn Disk, dir: &Path) -> Result<(), StoreError> {
    for name in disk.list(dir).map_err(StoreError::io("list", dir))? {
        let queue = dir.join(name);
        for file in disk.list(&queue).map_err(StoreError::io("list", &queue))? {
            let path = queue.join(file);
            disk.remove(&path).map_err(StoreError::io("remove", &path))?;
        }
        let _ = disk.remove_dir(&queue);
    }
    Ok(())
}
