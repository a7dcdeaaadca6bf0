//! The write-ahead log: one sequence of groups over files that are used again.

mod encode;
pub(super) mod format;
pub(super) mod read;
mod sums;
mod tail;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

pub(super) use encode::Effect;

use self::encode::Encoder;
use self::format::{FileHead, SECTOR};
use self::tail::Tail;
use super::direct::BLOCK;
use super::disk::{Disk, DiskFile};
use super::error::StoreError;
use crate::broker::journal::{Op, Payload};

/// The directory of the log.
pub(super) const DIR: &str = "log";

/// A file takes groups up to this many bytes; a larger group has a longer file.
pub(super) const FILE_BYTES: u64 = if cfg!(test) { 8 * 1024 } else { 64 * 1024 * 1024 };

/// A new file is filled with zeros ahead of the groups, in steps that double up to this: writing where something was written before is
/// what makes a sync fast.
const ZERO_STEP_MAX: u64 = if cfg!(test) { 4 * 1024 } else { 8 * 1024 * 1024 };
const ZERO_STEP_MIN: u64 = if cfg!(test) { 1024 } else { 1024 * 1024 };

/// Groups beyond this many bytes are not worth zeros ahead of them: a long write hides what a longer file costs.
const ZERO_AHEAD_OF_MAX: u64 = if cfg!(test) { 2 * 1024 } else { 128 * 1024 };

/// A larger group cannot be told from a smaller one: its header has 32 bits for the length. The journal's groups are smaller by far.
pub(super) const GROUP_LEN_MAX: u64 = if cfg!(test) { 1024 * 1024 } else { u32::MAX as u64 };

/// Spare files that are kept while the log is written: as many as it can be ahead of the keeper, which frees as many at once. A file that is
/// made anew costs a journal entry of the file system for each group.
const SPARES_MAX: usize = if cfg!(test) { 2 } else { 16 };

/// The name of a file of the log.
pub(super) fn file_path(generation: u64) -> PathBuf {
    Path::new(DIR).join(format!("{generation:016x}.log"))
}

/// The generation in the name of a file.
pub(super) fn generation_of(name: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_suffix(".log")?, 16).ok()
}

/// Where in the log something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LogPosition {
    pub(super) generation: u64,
    pub(super) offset: u64,
}

/// Files that may be used again: paths and lengths.
#[derive(Default)]
pub(super) struct Spares(Mutex<Vec<(PathBuf, u64)>>);

impl Spares {
    /// Offers a file. Gives it back if there are enough.
    pub(super) fn offer(&self, path: PathBuf, len: u64) -> Option<PathBuf> {
        let mut spares = self.0.lock();
        if spares.len() >= SPARES_MAX || len > FILE_BYTES {
            return Some(path);
        }
        spares.push((path, len));
        None
    }

    /// All of them, to be removed.
    pub(super) fn take_all(&self) -> Vec<(PathBuf, u64)> {
        std::mem::take(&mut *self.0.lock())
    }

    /// Those that are more than `n`, to be removed.
    pub(super) fn take_beyond(&self, n: usize) -> Vec<(PathBuf, u64)> {
        let mut spares = self.0.lock();
        let n = n.min(spares.len());
        spares.split_off(n)
    }

    fn take(&self) -> Option<(PathBuf, u64)> {
        self.0.lock().pop()
    }
}

/// What was written of a group.
pub(super) struct Written {
    /// Bytes; 0 if nothing needed to be.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests compare with it"))]
    pub(super) bytes: u64,
    /// Where the log ends now.
    pub(super) end: LogPosition,
    /// What the group means.
    pub(super) effects: Vec<Effect>,
}

/// Writes the log. It is the only one that knows where it ends.
pub(super) struct LogWriter {
    disk: Arc<dyn Disk>,
    spares: Arc<Spares>,
    file: Option<Arc<dyn DiskFile>>,
    generation: u64,
    offset: u64,
    /// All before this offset is durable.
    synced: u64,
    /// The file has been written up to here.
    filled: u64,
    zero_step: u64,
    /// What the file has in the block of `offset`.
    tail: Tail,
    /// What is written is flushed at once.
    flushes: bool,
    encoder: Encoder,
}

impl LogWriter {
    /// A writer whose first file follows the one that ends there. What it writes passes the system's cache by if each group is flushed.
    pub(super) fn new(disk: Arc<dyn Disk>, spares: Arc<Spares>, end: LogPosition, flushes: bool) -> Self {
        Self {
            disk,
            spares,
            file: None,
            generation: end.generation,
            offset: end.offset,
            synced: end.offset,
            filled: 0,
            zero_step: ZERO_STEP_MIN,
            tail: Tail::default(),
            flushes,
            encoder: Encoder::default(),
        }
    }

    /// Where the log ends.
    pub(super) fn end(&self) -> LogPosition {
        LogPosition { generation: self.generation, offset: self.offset }
    }

    /// Whether something is written and not durable.
    pub(super) fn is_dirty(&self) -> bool {
        self.synced < self.offset
    }

    /// Writes a group; it is durable after the next [`LogWriter::sync`]. Failing, it can be tried again.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn append<P: Payload>(&mut self, ops: &[Op<P>]) -> Result<Written, StoreError> {
        if self.file.is_none() {
            self.next_file()?;
        }
        self.encoder.encode(ops, self.generation, self.offset, self.synced);
        let mut len = self.encoder.bytes.len() as u64;
        if self.offset + len > FILE_BYTES && self.offset > SECTOR as u64 {
            self.next_file()?;
            self.encoder.encode(ops, self.generation, self.offset, self.synced);
            len = self.encoder.bytes.len() as u64;
        }
        if len > GROUP_LEN_MAX {
            return Err(StoreError::GroupTooLarge { bytes: len });
        }
        if len > 0 {
            self.zero_ahead(len)?;
            let Some(file) = &self.file else { unreachable!("opened above") };
            self.write(file, self.tail.bytes(), &self.encoder.bytes, self.offset)?;
            self.tail.add(&self.encoder.bytes);
            self.encoder.written();
            self.offset += len;
            self.filled = self.filled.max(self.offset);
        }
        Ok(Written { bytes: len, end: self.end(), effects: std::mem::take(&mut self.encoder.effects) })
    }

    /// Makes everything durable that was written. After an error nothing that was not durable before may be said to be.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        if let Some(file) = self.file.as_ref().filter(|_| self.is_dirty()) {
            file.sync_data().map_err(StoreError::io("flush", file_path(self.generation)))?;
            self.synced = self.offset;
        }
        Ok(())
    }

    fn write(&self, file: &Arc<dyn DiskFile>, before: &[u8], bytes: &[u8], offset: u64) -> Result<(), StoreError> {
        let written = match self.flushes {
            true => file.write_behind(before, bytes, offset),
            false => file.write_at(bytes, offset),
        };
        written.map_err(StoreError::io("write", file_path(self.generation)))
    }

    /// Goes on in the next file. The one before is durable then.
    fn next_file(&mut self) -> Result<(), StoreError> {
        self.sync()?;
        let previous_end = self.offset;
        let generation = self.generation + 1;
        let path = file_path(generation);
        let (file, filled) = match self.spares.take() {
            Some((spare, len)) => {
                self.disk.rename(&spare, &path).map_err(StoreError::io("rename", spare))?;
                (self.disk.open(&path).map_err(StoreError::io("open", &path))?, len)
            }
            None => (self.disk.create(&path).map_err(StoreError::io("create", &path))?, 0),
        };
        let head = FileHead { generation, previous_end }.encode();
        file.write_at(&head, 0).map_err(StoreError::io("write", &path))?;
        file.sync_data().map_err(StoreError::io("flush", &path))?;
        self.disk.sync_dir(Path::new(DIR)).map_err(StoreError::io("flush", DIR))?;
        self.file = Some(file);
        self.tail.begin(&head);
        self.generation = generation;
        (self.offset, self.synced) = (SECTOR as u64, SECTOR as u64);
        self.filled = filled.max(self.offset);
        self.zero_step = ZERO_STEP_MIN;
        Ok(())
    }

    fn zero_ahead(&mut self, len: u64) -> Result<(), StoreError> {
        if self.offset + len <= self.filled || len > ZERO_AHEAD_OF_MAX || self.filled >= FILE_BYTES {
            return Ok(());
        }
        let Some(file) = &self.file else { return Ok(()) };
        // Whole blocks, but for the one that has the end of the log.
        let block = self.filled / BLOCK as u64 * BLOCK as u64;
        let (from, before) = if block < self.offset { (self.offset, self.tail.bytes()) } else { (block, &[][..]) };
        let to = (from + self.zero_step).next_multiple_of(BLOCK as u64).min(FILE_BYTES);
        let zeros = vec![0; (to - from) as usize];
        match self.write(file, before, &zeros, from) {
            Err(error) if error.is_full() => return Ok(()), // the group may fit all the same
            result => result?,
        }
        self.filled = to;
        self.zero_step = (self.zero_step * 2).min(ZERO_STEP_MAX);
        Ok(())
    }
}
