//! Reading the log's files, group by group.

use std::path::PathBuf;
use std::sync::Arc;

use super::file_path;
use super::format::{FileHead, GROUP_HEAD, GroupHead, PUBLISH_HEAD, SECTOR};
use super::sums::Sums;
use crate::store::disk::{Disk, DiskFile};
use crate::store::error::StoreError;

/// Read at once.
const CHUNK: usize = if cfg!(test) { 2 * 1024 } else { 1024 * 1024 };

/// What comes next in a file.
pub(in crate::store) enum Next<'a> {
    /// A group: where it begins, and its operations.
    Group(u64, &'a [u8]),
    /// Nothing more. With true, something was begun here and not written whole.
    End(bool),
}

/// Reads one file from its beginning.
pub(in crate::store) struct GroupReader {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    len: u64,
    head: FileHead,
    /// Where the groups end, if that is known: the file that follows says it.
    sealed_at: Option<u64>,
    offset: u64,
    buffer: Vec<u8>,
    buffer_at: u64,
    /// What is not readable is left out; from where to where that was. None if it is an error.
    skipped: Option<Vec<(u64, u64)>>,
    /// Read when something looks like a later group.
    sums: Option<Sums>,
}

impl GroupReader {
    /// Opens a file; none if it has no header of this generation, which is how a new file looks that was never written to.
    ///
    /// # Errors
    /// What the disk says.
    pub(in crate::store) fn open(disk: &dyn Disk, generation: u64) -> Result<Option<Self>, StoreError> {
        let mut reader = Self::open_any(disk, generation)?;
        let mut first = [0; SECTOR];
        reader.file.read_at(&mut first, 0).map_err(StoreError::unreadable(&reader.path, 0))?;
        let head = FileHead::decode(&first).filter(|head| head.generation == generation);
        Ok(head.map(|head| {
            reader.head = head;
            reader
        }))
    }

    /// Whether a file that has no header has no group either.
    ///
    /// # Errors
    /// What the disk says.
    pub(in crate::store) fn is_unused(disk: &dyn Disk, generation: u64) -> Result<bool, StoreError> {
        match Self::open_any(disk, generation)?.next() {
            Ok(Next::End(_)) => Ok(true),
            Ok(Next::Group(..)) | Err(StoreError::Damaged { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn open_any(disk: &dyn Disk, generation: u64) -> Result<Self, StoreError> {
        let path = file_path(generation);
        let file = disk.open(&path).map_err(StoreError::io("open", &path))?;
        let len = file.len().map_err(StoreError::io("read", &path))?;
        Ok(Self {
            file,
            path,
            len,
            head: FileHead { generation, previous_end: 0 },
            sealed_at: None,
            offset: SECTOR as u64,
            buffer: Vec::new(),
            buffer_at: 0,
            skipped: None,
            sums: None,
        })
    }

    /// Opens a file, whatever its header is, and leaves out what is not readable of it.
    ///
    /// # Errors
    /// What the disk says.
    pub(in crate::store) fn open_damaged(disk: &dyn Disk, generation: u64) -> Result<Self, StoreError> {
        Ok(Self { skipped: Some(Vec::new()), ..Self::open_any(disk, generation)? })
    }

    /// What was left out since it was asked last.
    pub(in crate::store) fn take_skipped(&mut self) -> Vec<(u64, u64)> {
        self.skipped.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The generation that its name says.
    pub(in crate::store) fn generation(&self) -> u64 {
        self.head.generation
    }

    /// What the file says of the one before.
    pub(in crate::store) fn head(&self) -> FileHead {
        self.head
    }

    /// Its length in bytes.
    pub(in crate::store) fn len(&self) -> u64 {
        self.len
    }

    /// The groups end here: before that, everything must be as it was written.
    pub(in crate::store) fn seal_at(&mut self, end: u64) {
        self.sealed_at = Some(end);
    }

    /// Goes on at this offset, where a group begins or the file ends.
    pub(in crate::store) fn seek(&mut self, offset: u64) {
        self.offset = offset.max(SECTOR as u64);
    }

    /// Where the next group begins.
    pub(in crate::store) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next group.
    ///
    /// # Errors
    /// What the disk says; or something is not as it was written though it was durable.
    pub(in crate::store) fn next(&mut self) -> Result<Next<'_>, StoreError> {
        loop {
            let at = self.offset;
            if self.sealed_at == Some(at) {
                return Ok(Next::End(false));
            }
            let head = self.head_at(at)?;
            if let Some(head) = head
                && self.is_whole(at, &head)?
            {
                self.offset = at + head.span();
                let group = self.bytes(at, GROUP_HEAD + head.len as usize)?;
                return Ok(Next::Group(at, &group[GROUP_HEAD..]));
            }
            // There is no whole group. Was there one, and is it lost?
            let later = self.later_group(at)?;
            if later.is_none() && self.sealed_at.is_none() {
                return Ok(Next::End(head.is_some()));
            }
            let Some(skipped) = &mut self.skipped else {
                let what = match later {
                    Some(_) => "no readable group, and later ones are there",
                    None => "no readable group, where one was durable",
                };
                return Err(StoreError::damaged(&self.path, at, what));
            };
            let to = later.or(self.sealed_at).unwrap_or(at).max(at);
            skipped.push((at, to));
            if later.is_none() {
                return Ok(Next::End(false));
            }
            self.offset = to;
        }
    }

    /// What may be a group's header.
    fn head_at(&mut self, at: u64) -> Result<Option<GroupHead>, StoreError> {
        if at + GROUP_HEAD as u64 > self.len {
            return Ok(None);
        }
        let generation = self.head.generation;
        Ok(GroupHead::decode(self.bytes(at, GROUP_HEAD)?, generation))
    }

    fn is_whole(&mut self, at: u64, head: &GroupHead) -> Result<bool, StoreError> {
        let len = GROUP_HEAD as u64 + u64::from(head.len);
        Ok(at + len <= self.len && head.validates(self.bytes(at, len as usize)?))
    }

    /// The next whole group that shows that what stands at `at` was durable.
    fn later_group(&mut self, at: u64) -> Result<Option<u64>, StoreError> {
        let mut next = at + SECTOR as u64;
        let end = self.sealed_at.unwrap_or(self.len);
        while next < end && next + GROUP_HEAD as u64 <= self.len {
            if let Some(head) = self.head_at(next)?
                && (head.synced > at || self.sealed_at.is_some())
                && self.adds_up(next, &head)?
            {
                return Ok(Some(next));
            }
            next += SECTOR as u64;
        }
        Ok(None)
    }

    /// Whether a group is whole. What a client has published may look like the beginning of a group at each sector, so it is not read
    /// as a whole for each.
    fn adds_up(&mut self, at: u64, head: &GroupHead) -> Result<bool, StoreError> {
        let end = at + GROUP_HEAD as u64 + u64::from(head.len);
        if end > self.len {
            return Ok(false);
        }
        let refused = |(at, error)| StoreError::unreadable(&self.path, at)(error);
        if self.sums.is_none() {
            self.sums = Some(Sums::read(&*self.file, self.len, CHUNK).map_err(refused)?);
        }
        let Some(sums) = &self.sums else { return Ok(false) };
        let before = sums.up_to(&*self.file, at + 8).map_err(refused)?;
        let whole = sums.up_to(&*self.file, end).map_err(refused)?;
        Ok(before.zip(whole).is_some_and(|(before, whole)| head.validates_sums(before, whole)))
    }

    /// The message that a reference means: its bytes, as the publish that wrote it has them.
    ///
    /// # Errors
    /// What the disk says, or it lies outside of the file.
    pub(in crate::store) fn referred(&self, offset: u64, len: u32) -> Result<Vec<u8>, StoreError> {
        if offset < (SECTOR + GROUP_HEAD + PUBLISH_HEAD) as u64 || offset + u64::from(len) > self.len {
            return Err(StoreError::damaged(&self.path, offset, "a reference leads out of the file"));
        }
        let mut message = vec![0; len as usize];
        let n = self.file.read_at(&mut message, offset).map_err(StoreError::unreadable(&self.path, offset))?;
        match n < message.len() {
            true => Err(StoreError::damaged(&self.path, offset, "the file ends early")),
            false => Ok(message),
        }
    }

    /// These bytes of the file, which must be within it.
    fn bytes(&mut self, at: u64, len: usize) -> Result<&[u8], StoreError> {
        let end = at + len as u64;
        if at < self.buffer_at || end > self.buffer_at + self.buffer.len() as u64 {
            let wanted = len.max(CHUNK).min((self.len - at) as usize);
            self.buffer.resize(wanted, 0);
            let n = self.file.read_at(&mut self.buffer, at).map_err(StoreError::unreadable(&self.path, at))?;
            self.buffer.truncate(n);
            self.buffer_at = at;
            if n < len {
                return Err(StoreError::damaged(&self.path, at, "the file ends early"));
            }
        }
        let from = (at - self.buffer_at) as usize;
        Ok(&self.buffer[from..from + len])
    }
}
