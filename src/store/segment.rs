//! A segment: a file with messages of one queue in order of their positions, and which of them are still wanted.
//!
//! What the file holds is known here by its positions alone. Where a message stands is found by reading on from the last one read, or
//! from the nearest of a few remembered places.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use roaring::RoaringTreemap;

use super::bytes::{Cursor, put_u64s};
use super::direct::BLOCK;
use super::disk::{Disk, DiskFile};
use super::error::StoreError;
use crate::broker::journal::QueueId;

/// A segment is full when it has this many bytes.
pub(super) const SEGMENT_BYTES: u64 = if cfg!(test) { 4 * 1024 } else { 32 * 1024 * 1024 };

/// A place is remembered each time that this many bytes have been written.
const PLACE_BYTES: u64 = if cfg!(test) { 512 } else { 256 * 1024 };

/// Read at once, at most and at least. What is read beyond the last message asked for is read again later.
const CHUNK: usize = if cfg!(test) { 1024 } else { 1024 * 1024 };
const CHUNK_MIN: usize = if cfg!(test) { 128 } else { 16 * 1024 };

const MAGIC: u64 = u64::from_le_bytes(*b"LEVSEG\r\n");
const VERSION: u32 = 1;

/// Bytes of the file's header.
pub(super) const FILE_HEAD: u64 = 32;

/// Bytes of a record before its message: length, checksum, position, flags.
const RECORD_HEAD: usize = 17;

/// The message survives a restart.
const LASTING: u8 = 1;

/// Where a queue's segments are.
pub(super) fn dir(lasting: bool, queue: QueueId) -> PathBuf {
    Path::new(if lasting { "queues" } else { "spill" }).join(format!("{:016x}", queue.0))
}

/// The file's header.
pub(super) fn head(queue: QueueId, number: u64) -> Vec<u8> {
    let mut head = Vec::with_capacity(FILE_HEAD as usize);
    put_u64s(&mut head, &[MAGIC, queue.0, number]);
    head.extend_from_slice(&VERSION.to_le_bytes());
    let crc = crc32c::crc32c(&head);
    head.extend_from_slice(&crc.to_le_bytes());
    head
}

/// See the module.
pub(super) struct Segment {
    pub(super) number: u64,
    path: PathBuf,
    queue: QueueId,
    /// Open only while it is written or read.
    file: Option<Arc<dyn DiskFile>>,
    /// Bytes that count; the file may be longer.
    pub(super) len: u64,
    /// Something was written that is not durable.
    pub(super) dirty: bool,
    /// Nothing is appended any more.
    pub(super) sealed: bool,
    /// Something of it cannot be read.
    pub(super) spoiled: bool,
    /// The last position appended.
    pub(super) last: u64,
    /// Messages appended, wanted or not.
    pub(super) count: u64,
    /// Those wanted.
    pub(super) live: RoaringTreemap,
    /// Those of them that a restart takes away.
    pub(super) transient: RoaringTreemap,
    places: Vec<Place>,
    reading: Option<Box<Reading>>,
}

/// The record of `position` or a later one begins at `offset`.
#[derive(Clone, Copy)]
struct Place {
    position: u64,
    offset: u64,
}

/// Where reading stopped.
struct Reading {
    /// Of the record that begins at `offset`, none before is left to read but by going back.
    next: Place,
    buffer: Vec<u8>,
    buffer_at: u64,
}

/// A message read.
pub(super) struct Record<'a> {
    pub(super) lasting: bool,
    pub(super) message: &'a [u8],
}

/// A run being put together for one write.
pub(super) struct Run<'a> {
    number: u64,
    out: &'a mut Vec<u8>,
    /// Offset of each record in `out`, its position, whether it lasts.
    records: Vec<(u64, u64, bool)>,
}

impl Run<'_> {
    /// Adds a message.
    pub(super) fn push(&mut self, position: u64, lasting: bool, write: impl FnOnce(&mut Vec<u8>)) {
        let at = self.out.len();
        self.out.extend_from_slice(&[0; 8]);
        put_u64s(self.out, &[position]);
        self.out.push(if lasting { LASTING } else { 0 });
        write(self.out);
        let len = (self.out.len() - at - 8) as u32;
        let crc = crc32c::crc32c_append(self.number as u32, &self.out[at + 8..]);
        self.out[at..at + 4].copy_from_slice(&len.to_le_bytes());
        self.out[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
        self.records.push((at as u64, position, lasting));
    }
}

impl Segment {
    /// Makes a new file.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn create(disk: &dyn Disk, dir: &Path, queue: QueueId, number: u64) -> Result<Self, StoreError> {
        let mut segment = Self::known(dir, queue, number, FILE_HEAD, RoaringTreemap::new());
        let file = disk.create(&segment.path).map_err(StoreError::io("create", &segment.path))?;
        file.write_at(&head(queue, number), 0).map_err(StoreError::io("write", &segment.path))?;
        segment.file = Some(file);
        segment.dirty = true;
        segment.sealed = false;
        Ok(segment)
    }

    /// A file that is there already, as a checkpoint knows it. It is not written to any more.
    pub(super) fn known(dir: &Path, queue: QueueId, number: u64, len: u64, live: RoaringTreemap) -> Self {
        Self {
            number,
            path: dir.join(format!("{number:08x}.seg")),
            queue,
            file: None,
            len,
            dirty: false,
            sealed: true,
            spoiled: false,
            last: live.max().unwrap_or(0),
            count: live.len(),
            live,
            transient: RoaringTreemap::new(),
            places: Vec::new(),
            reading: None,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends messages whose positions ascend and lie beyond the last one; `scratch` is working space.
    ///
    /// # Errors
    /// What the disk says; then nothing was appended.
    pub(super) fn append(
        &mut self,
        disk: &dyn Disk,
        scratch: &mut Vec<u8>,
        fill: impl FnOnce(&mut Run<'_>),
    ) -> Result<(), StoreError> {
        scratch.clear();
        let mut run = Run { number: self.number, out: scratch, records: Vec::new() };
        fill(&mut run);
        let records = run.records;
        let file = self.open(disk)?;
        file.write_past_cache(scratch, self.len).map_err(StoreError::io("write", &self.path))?;
        for (at, position, lasting) in records {
            let offset = self.len + at;
            if self.places.last().is_none_or(|place| offset - place.offset >= PLACE_BYTES) {
                self.places.push(Place { position, offset });
            }
            self.live.insert(position);
            if !lasting {
                self.transient.insert(position);
            }
            self.last = position;
            self.count += 1;
        }
        self.len += scratch.len() as u64;
        self.dirty = true;
        self.file = None; // there may be more queues than files that may be open
        Ok(())
    }

    /// These positions are not wanted any more. Tells how many they were.
    pub(super) fn settle(&mut self, first: u64, last: u64) -> u64 {
        self.transient.remove_range(first..=last);
        self.live.remove_range(first..=last)
    }

    /// Whether what is wanted stands together at its end.
    pub(super) fn is_rest(&self) -> bool {
        let span = self.live.min().zip(self.live.max()).map_or(0, |(first, last)| last - first + 1);
        self.live.len() * 2 > span && self.live.max() == Some(self.last)
    }

    /// The file, if it is to be made durable.
    pub(super) fn take_dirty(&mut self) -> Option<PathBuf> {
        std::mem::take(&mut self.dirty).then(|| self.path.clone())
    }

    /// Whether the file is there with all that counts. It is closed again: there may be more of them than files that may be open.
    ///
    /// # Errors
    /// It is not, or the disk refuses.
    pub(super) fn check(&mut self, disk: &dyn Disk) -> Result<(), StoreError> {
        let len = self.open(disk)?.len().map_err(StoreError::io("read", &self.path));
        self.rest();
        let len = len?;
        match len < self.len {
            true => Err(StoreError::damaged(&self.path, len, "the file ends early")),
            false => Ok(()),
        }
    }

    /// What the file has lost at its end does not count any more.
    pub(super) fn cut(&mut self, disk: &dyn Disk) -> Result<(), StoreError> {
        let file = self.open(disk)?;
        let len = file.len().map_err(StoreError::io("read", &self.path))?;
        self.len = self.len.min(len);
        Ok(())
    }

    /// For a segment of which nothing is known: the positions of its lasting messages that are what was written, and how many records
    /// are not.
    ///
    /// # Errors
    /// What the disk says, or it does not begin as a segment.
    pub(super) fn scan(&mut self, disk: &dyn Disk) -> Result<(RoaringTreemap, u64), StoreError> {
        let file = self.open(disk)?;
        let start = Place { position: 0, offset: FILE_HEAD };
        let mut reading = Reading { next: start, buffer: Vec::new(), buffer_at: 0 };
        let (mut found, mut unreadable, mut at) = (RoaringTreemap::new(), 0, FILE_HEAD);
        while at + RECORD_HEAD as u64 <= self.len {
            let mut head = Cursor(self.bytes(&file, &mut reading, at, RECORD_HEAD, CHUNK)?);
            let (len, crc, position) = (head.u32(), head.u32(), head.u64());
            if (len, crc, position) == (Some(0), Some(0), Some(0)) && self.len - at < BLOCK as u64 {
                break; // behind the last record there are zeros up to the end of a block
            }
            let len = len.unwrap_or(0) as usize;
            if len < RECORD_HEAD - 8 || at + 8 + len as u64 > self.len {
                return Ok((found, unreadable + 1));
            }
            let record = self.bytes(&file, &mut reading, at, 8 + len, CHUNK)?;
            if Some(crc32c::crc32c_append(self.number as u32, &record[8..])) != crc {
                unreadable += 1;
            } else if record[RECORD_HEAD - 1] & LASTING != 0 {
                found.extend(position);
            }
            at += 8 + len as u64;
        }
        Ok((found, unreadable))
    }

    /// Closes the file and gives its buffer back: there may be many queues. Where reading stopped stays known.
    pub(super) fn rest(&mut self) {
        self.file = None;
        if let Some(reading) = &mut self.reading {
            reading.buffer = Vec::new();
        }
    }

    /// Reads the message at a position that is wanted; from there on, about `ahead` bytes will be.
    ///
    /// # Errors
    /// What the disk says, or what it has is not what was written.
    pub(super) fn read(&mut self, disk: &dyn Disk, position: u64, ahead: usize) -> Result<Record<'_>, StoreError> {
        let file = self.open(disk)?;
        let mut reading = match self.reading.take() {
            Some(reading) if reading.next.position <= position => reading,
            other => {
                let (buffer, buffer_at) = other.map_or((Vec::new(), 0), |r| (r.buffer, r.buffer_at));
                let known = self.places.partition_point(|place| place.position <= position);
                let start = Place { position: 0, offset: FILE_HEAD };
                let next = known.checked_sub(1).map_or(start, |at| self.places[at]);
                Box::new(Reading { next, buffer, buffer_at })
            }
        };
        loop {
            let at = reading.next.offset;
            let (found, len) = self.record_at(&file, &mut reading, at, position, ahead)?;
            reading.next = Place { position: found + 1, offset: at + 8 + u64::from(len) };
            if found == position {
                let reading = self.reading.insert(reading);
                let from = (at - reading.buffer_at) as usize;
                let record = &reading.buffer[from..from + 8 + len as usize];
                return Ok(Record { lasting: record[RECORD_HEAD - 1] & LASTING != 0, message: &record[RECORD_HEAD..] });
            }
        }
    }

    /// Position and length of the record at an offset. If it is the wanted one it is all in the buffer, and checked.
    fn record_at(
        &self,
        file: &Arc<dyn DiskFile>,
        reading: &mut Reading,
        at: u64,
        wanted: u64,
        ahead: usize,
    ) -> Result<(u64, u32), StoreError> {
        let damaged = |what: &str| StoreError::damaged(&self.path, at, what);
        let head = self.bytes(file, reading, at, RECORD_HEAD, ahead)?;
        let mut cursor = Cursor(head);
        let (Some(len), Some(crc), Some(position)) = (cursor.u32(), cursor.u32(), cursor.u64()) else {
            return Err(damaged("the file ends early"));
        };
        if (len as usize) < RECORD_HEAD - 8 || at + 8 + u64::from(len) > self.len {
            return Err(damaged("a record of an impossible length"));
        }
        if position > wanted || position < reading.next.position.min(wanted) {
            return Err(damaged("a record is missing, or out of order"));
        }
        if position == wanted {
            let record = self.bytes(file, reading, at, 8 + len as usize, ahead)?;
            if crc32c::crc32c_append(self.number as u32, &record[8..]) != crc {
                return Err(damaged("a checksum does not match"));
            }
        }
        Ok((position, len))
    }

    fn bytes<'r>(
        &self,
        file: &Arc<dyn DiskFile>,
        reading: &'r mut Reading,
        at: u64,
        len: usize,
        ahead: usize,
    ) -> Result<&'r [u8], StoreError> {
        if at + len as u64 > self.len {
            return Err(StoreError::damaged(&self.path, at, "the file ends early"));
        }
        if at < reading.buffer_at || at + len as u64 > reading.buffer_at + reading.buffer.len() as u64 {
            let chunk = len.max(ahead.clamp(CHUNK_MIN, CHUNK));
            reading.buffer.resize(chunk.min((self.len - at) as usize), 0);
            let n = file.read_at(&mut reading.buffer, at).map_err(StoreError::unreadable(&self.path, at))?;
            reading.buffer.truncate(n);
            reading.buffer_at = at;
            if n < len {
                return Err(StoreError::damaged(&self.path, at, "the file ends early"));
            }
        }
        let from = (at - reading.buffer_at) as usize;
        Ok(&reading.buffer[from..from + len])
    }

    fn open(&mut self, disk: &dyn Disk) -> Result<Arc<dyn DiskFile>, StoreError> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        let file = match disk.open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::Missing { file: self.path.clone() });
            }
            Err(error) => return Err(StoreError::io("open", &self.path)(error)),
        };
        let mut head = [0; FILE_HEAD as usize];
        file.read_at(&mut head, 0).map_err(StoreError::unreadable(&self.path, 0))?;
        let mut cursor = Cursor(&head);
        let told = (cursor.u64(), cursor.u64(), cursor.u64(), cursor.u32(), cursor.u32());
        if told
            != (Some(MAGIC), Some(self.queue.0), Some(self.number), Some(VERSION), Some(crc32c::crc32c(&head[..28])))
        {
            return Err(StoreError::damaged(&self.path, 0, "it does not begin as this queue's segment"));
        }
        self.file = Some(file.clone());
        Ok(file)
    }
}
