//! A start on a disk that is full: what is certainly of no use goes first, and each file of the log as soon as its messages are in segments.

use std::path::{Path, PathBuf};

use super::remove_unknown_segments;
use crate::broker::journal::Payload;
use crate::store::checkpoint;
use crate::store::disk::Disk;
use crate::store::error::StoreError;
use crate::store::keeper::Keeper;
use crate::store::log::format::{Logged, ops};
use crate::store::log::read::{GroupReader, Next};
use crate::store::log::{self, Spares};

/// What a message in a segment takes beside itself, and the segment's header.
const AROUND_MESSAGE: u64 = 64;

/// When so many times the log's bytes are free, no file of it is removed before all are read.
const ROOMY: u64 = 4;

/// Writes what a start must write, and makes room for it when there is none.
pub(super) struct Room<'d> {
    disk: &'d dyn Disk,
    spares: &'d Spares,
    /// Both files of the checkpoint go on from this file of the log, or a later one.
    from_generation: u64,
}

impl<'d> Room<'d> {
    pub(super) fn new(disk: &'d dyn Disk, spares: &'d Spares, from_generation: u64) -> Self {
        Self { disk, spares, from_generation }
    }

    /// Moves what is wanted of the log's files into segments.
    ///
    /// # Errors
    /// What the disk says, or that there is no room, and how much it takes.
    pub(super) fn file_all<P: Payload>(
        &mut self,
        keeper: &mut Keeper<P>,
        readers: impl Iterator<Item = Result<GroupReader, StoreError>>,
    ) -> Result<(), StoreError> {
        let readers = readers.collect::<Result<Vec<_>, _>>()?;
        let logged: u64 = readers.iter().map(GroupReader::len).sum();
        let is_tight = self.disk.free_bytes().is_ok_and(|free| free < ROOMY * logged);
        for reader in readers {
            let generation = reader.generation();
            self.file(keeper, reader)?;
            if is_tight {
                // Before the next one takes the room that the checkpoint needs.
                keeper.retired_to(generation + 1);
                self.checkpoint(keeper, 0)?;
                self.spares.take_all().iter().for_each(|(path, _)| drop(self.disk.remove(path)));
            }
        }
        Ok(())
    }

    /// Moves what is wanted of one file.
    fn file<P: Payload>(&mut self, keeper: &mut Keeper<P>, mut reader: GroupReader) -> Result<(), StoreError> {
        for has_made_room in [false, true] {
            reader.seek(0);
            let error = loop {
                match keeper.file_survivors(&mut reader) {
                    Ok(true) => return Ok(()),
                    Ok(false) => {}
                    Err(error) if error.is_full() => break error,
                    Err(error) => return Err(error),
                }
            };
            self.clear(keeper)?;
            let wanted = bytes_wanted(keeper, &mut reader)?;
            if has_made_room {
                return Err(self.lacking(error, wanted + 2 * keeper.checkpoint(false).len()));
            }
            keeper.retired_to(reader.generation());
            self.checkpoint(keeper, wanted)?;
            self.spares.take_all().iter().for_each(|(path, _)| drop(self.disk.remove(path)));
        }
        Ok(())
    }

    /// Writes a checkpoint. So many bytes follow it.
    ///
    /// # Errors
    /// What the disk says, or that there is no room, and how much it takes.
    pub(super) fn checkpoint<P: Payload>(&mut self, keeper: &mut Keeper<P>, more: u64) -> Result<(), StoreError> {
        let mut job = keeper.checkpoint(false);
        if let Err(error) = job.run(self.disk) {
            let needed = 2 * job.len() + more;
            keeper.not_checkpointed(job);
            if !error.is_full() {
                return Err(error);
            }
            self.clear(keeper)?;
            job = keeper.checkpoint(false);
            job.run(self.disk).map_err(|error| self.lacking(error, needed))?;
        }
        self.from_generation = keeper.first_generation();
        keeper.checkpointed(job);
        Ok(())
    }

    /// Removes what neither the checkpoint nor the log is about.
    fn clear<P: Payload>(&self, keeper: &mut Keeper<P>) -> Result<(), StoreError> {
        remove_unknown_segments(self.disk, keeper)?;
        let names = self.disk.list(Path::new(log::DIR)).map_err(StoreError::io("list", log::DIR))?;
        let free = names.iter().filter_map(|name| log::generation_of(name)).filter(|of| *of < self.from_generation);
        free.map(log::file_path)
            .chain(checkpoint::UNFINISHED.map(PathBuf::from))
            .for_each(|path| drop(self.disk.remove(&path)));
        Ok(())
    }

    /// What is to be said when the disk is full.
    pub(super) fn lacking(&self, error: StoreError, needed: u64) -> StoreError {
        if !error.is_full() {
            return error;
        }
        let free = self.disk.free_bytes().unwrap_or(0);
        StoreError::NoRoom { dir: PathBuf::new(), refused: error.to_string(), needed, free }
    }
}

/// What the wanted messages of a file of the log take in segments.
fn bytes_wanted<P: Payload>(keeper: &Keeper<P>, reader: &mut GroupReader) -> Result<u64, StoreError> {
    let mut bytes = 0;
    reader.seek(0);
    while let Next::Group(_, body) = reader.next()? {
        bytes += ops(body)
            .flatten()
            .map(|(_, op)| match op {
                Logged::Publish { queue, position, message, .. } if keeper.wants(queue, position) => {
                    message.len() as u64 + AROUND_MESSAGE
                }
                Logged::Refer { queue, position, len, .. } if keeper.wants(queue, position) => {
                    u64::from(len) + AROUND_MESSAGE
                }
                _ => 0,
            })
            .sum::<u64>();
    }
    Ok(bytes)
}
