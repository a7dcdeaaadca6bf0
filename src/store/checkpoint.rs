//! The checkpoint: all that the store knows at a place of the log, in one file that is replaced whole; and once more in a second file,
//! since nothing else has the definitions.
//!
//! What a checkpoint makes superfluous goes when both files have it. So either can be gone on from, also the one that is a checkpoint
//! older because of a crash between the two.

use std::path::Path;

use roaring::RoaringTreemap;

use super::DefinitionBytes;
use super::bytes::{Cursor, put_piece, put_u64s};
use super::disk::Disk;
use super::error::StoreError;
use super::log::LogPosition;
use super::segment::Segment;
use super::shelf::Shelf;
use crate::broker::journal::QueueId;

/// Its file.
pub(super) const FILE: &str = "checkpoint";

/// The other.
pub(super) const COPY: &str = "checkpoint.copy";

/// Under these names they are written.
pub(super) const UNFINISHED: [&str; 2] = ["checkpoint.new", "checkpoint.copy.new"];

const MAGIC: u64 = u64::from_le_bytes(*b"LEVCHK\r\n");
const VERSION: u32 = 1;

/// See the module.
#[derive(Default)]
pub(super) struct Checkpoint {
    /// Effects of the log up to here are in it.
    pub(super) applied: LogPosition,
    /// Files of the log from this generation on may hold messages that are nowhere else.
    pub(super) from_generation: u64,
    /// The broker ended in order: nothing is behind `applied`.
    pub(super) clean: bool,
    /// Queues made from now on get ids from here on.
    pub(super) next_queue: u64,
    pub(super) definitions: Vec<DefinitionBytes>,
    pub(super) shelves: Vec<Shelf>,
}

/// What the two files have.
pub(super) struct Found {
    pub(super) checkpoint: Checkpoint,
    pub(super) bytes: Vec<u8>,
    /// Why the first cannot be used: it is the other's then.
    pub(super) lost: Option<String>,
    /// Why the other cannot be used.
    pub(super) copy_lost: Option<String>,
    /// Both say the same.
    pub(super) is_double: bool,
}

/// Begins a checkpoint's bytes; definitions and shelves follow, then [`end`].
pub(super) fn begin(
    applied: LogPosition,
    from_generation: u64,
    clean: bool,
    next_queue: u64,
    definitions: usize,
    shelves: usize,
) -> Vec<u8> {
    let mut out = Vec::new();
    put_u64s(&mut out, &[MAGIC, u64::from(VERSION), applied.generation, applied.offset, from_generation]);
    put_u64s(&mut out, &[u64::from(clean), next_queue, definitions as u64, shelves as u64]);
    out
}

/// Appends a definition.
pub(super) fn put_definition(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    put_piece(out, key);
    put_piece(out, value);
}

/// Appends what survives a restart of a queue's messages.
pub(super) fn put_shelf(out: &mut Vec<u8>, shelf: &Shelf) {
    put_u64s(out, &[shelf.queue.0, shelf.next, shelf.weight, shelf.delivered, shelf.marks.len() as u64]);
    for (position, mark) in &shelf.marks {
        put_u64s(out, &[*position, *mark]);
    }
    put_map(out, &shelf.unfiled);
    let lasting = || shelf.segments.iter().filter(|segment| segment.live.len() > segment.transient.len());
    put_u64s(out, &[lasting().count() as u64]);
    for segment in lasting() {
        put_u64s(out, &[segment.number, segment.len]);
        match segment.transient.is_empty() {
            true => put_map(out, &segment.live),
            false => put_map(out, &(&segment.live - &segment.transient)),
        }
    }
}

/// Ends a checkpoint's bytes.
pub(super) fn end(out: &mut Vec<u8>) {
    let crc = crc32c::crc32c(out);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// Puts a checkpoint in place of the one before.
///
/// # Errors
/// What the disk says; then the one before holds on, and if it is known to one file only, this one is good too.
pub(super) fn write(disk: &dyn Disk, bytes: &[u8]) -> Result<(), StoreError> {
    replace(disk, FILE, UNFINISHED[0], bytes)?;
    replace(disk, COPY, UNFINISHED[1], bytes)
}

fn replace(disk: &dyn Disk, name: &str, new: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let file = disk.create(Path::new(new)).map_err(StoreError::io("create", new))?;
    file.write_at(bytes, 0).map_err(StoreError::io("write", new))?;
    file.sync_data().map_err(StoreError::io("flush", new))?;
    disk.rename(Path::new(new), Path::new(name)).map_err(StoreError::io("rename", new))?;
    disk.sync_dir(Path::new("")).map_err(StoreError::io("flush", "."))
}

/// Reads the checkpoint; none if there is none yet.
///
/// # Errors
/// Neither file can be used.
pub(super) fn read(disk: &dyn Disk) -> Result<Option<Found>, StoreError> {
    let first = read_one(disk, FILE);
    let copy = read_one(disk, COPY);
    Ok(match (first, copy) {
        (Ok(Some((checkpoint, bytes))), copy) => {
            let is_double = matches!(&copy, Ok(Some((_, same))) if *same == bytes);
            Some(Found { checkpoint, bytes, lost: None, copy_lost: copy.err().map(why), is_double })
        }
        (first, Ok(Some((checkpoint, bytes)))) => {
            let lost = first.err().map_or_else(|| format!("'{FILE}' is missing"), why);
            Some(Found { checkpoint, bytes, lost: Some(lost), copy_lost: None, is_double: false })
        }
        // What the disk refuses to read may be as it was written.
        (_, Err(error @ StoreError::Io { .. })) | (Err(error), _) | (_, Err(error)) => return Err(error),
        (Ok(None), Ok(None)) => None,
    })
}

/// Of a file that there are two of; what to do about it is no matter then.
fn why(error: StoreError) -> String {
    match error {
        StoreError::Damaged { file, what, .. } => format!("'{}' is damaged: {what}", file.display()),
        other => other.to_string(),
    }
}

fn read_one(disk: &dyn Disk, name: &str) -> Result<Option<(Checkpoint, Vec<u8>)>, StoreError> {
    let Some(bytes) = read_bytes(disk, name)? else { return Ok(None) };
    match decode(&bytes) {
        Some(checkpoint) => Ok(Some((checkpoint, bytes))),
        None => Err(StoreError::damaged(name, 0, "its checksum or its contents do not hold")),
    }
}

fn read_bytes(disk: &dyn Disk, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let file = match disk.open(Path::new(name)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("open", name)(error)),
    };
    let len = file.len().map_err(StoreError::io("read", name))?;
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    let n = file.read_at(&mut bytes, 0).map_err(StoreError::unreadable(name, 0))?;
    bytes.truncate(n);
    Ok(Some(bytes))
}

/// The definitions of a damaged checkpoint, as far as they are readable.
///
/// # Errors
/// What the disk says.
pub(super) fn salvage_definitions(disk: &dyn Disk) -> Result<Vec<DefinitionBytes>, StoreError> {
    let mut most = Vec::new();
    for name in [FILE, COPY] {
        let bytes = read_bytes(disk, name)?.unwrap_or_default();
        let mut cursor = Cursor(&bytes);
        let count = (0..8).filter_map(|_| cursor.u64()).last().unwrap_or(0);
        let _ = cursor.u64(); // how many shelves
        let mut read = || Some((cursor.piece()?.into(), cursor.piece()?.into()));
        let found: Vec<_> = (0..count).map_while(|_| read()).collect();
        if found.len() > most.len() {
            most = found;
        }
    }
    Ok(most)
}

/// Reads a checkpoint's bytes; none if they are none.
pub(super) fn decode(bytes: &[u8]) -> Option<Checkpoint> {
    let (checked, crc) = bytes.split_last_chunk::<4>()?;
    if u32::from_le_bytes(*crc) != crc32c::crc32c(checked) {
        return None;
    }
    let mut cursor = Cursor(checked);
    if (cursor.u64()?, cursor.u64()?) != (MAGIC, u64::from(VERSION)) {
        return None;
    }
    let mut checkpoint = Checkpoint {
        applied: LogPosition { generation: cursor.u64()?, offset: cursor.u64()? },
        from_generation: cursor.u64()?,
        clean: cursor.u64()? == 1,
        next_queue: cursor.u64()?,
        ..Checkpoint::default()
    };
    let (definitions, shelves) = (cursor.u64()?, cursor.u64()?);
    for _ in 0..definitions {
        checkpoint.definitions.push((cursor.piece()?.into(), cursor.piece()?.into()));
    }
    for _ in 0..shelves {
        checkpoint.shelves.push(read_shelf(&mut cursor)?);
    }
    Some(checkpoint)
}

fn read_shelf(cursor: &mut Cursor<'_>) -> Option<Shelf> {
    let mut shelf = Shelf::new(QueueId(cursor.u64()?), true);
    (shelf.next, shelf.weight, shelf.delivered) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
    for _ in 0..cursor.u64()? {
        shelf.marks.insert(cursor.u64()?, cursor.u64()?);
    }
    shelf.unfiled = read_map(cursor)?;
    let dir = shelf.dir();
    for _ in 0..cursor.u64()? {
        let (number, len) = (cursor.u64()?, cursor.u64()?);
        let live = read_map(cursor)?;
        shelf.add_known(Segment::known(&dir, shelf.queue, number, len, live));
    }
    Some(shelf)
}

fn put_map(out: &mut Vec<u8>, map: &RoaringTreemap) {
    out.extend_from_slice(&(map.serialized_size() as u32).to_le_bytes());
    // Writing to memory does not fail.
    let _ = map.serialize_into(&mut *out);
}

fn read_map(cursor: &mut Cursor<'_>) -> Option<RoaringTreemap> {
    RoaringTreemap::deserialize_from(cursor.piece()?).ok()
}
