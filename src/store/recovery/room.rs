//! A start on a disk that is full: what is certainly of no use goes first, and each file of the log as soon as its messages are in segments.

use std::path::{Path, PathBuf};

use super::remove_unknown_segments;
use crate::broker::journal::Payload;
use crate::store::checkpoint;
use crate::store::disk::Disk;
use crate::store::error::StoreError;
use crate::store::keeper::Keeper;
use crate::store::log::read::GroupReader;
use crate::store::log::{self, Spares};

/// When so many times the log's bytes are free, no file of it is removed before all are read.
const ROOMY: u64 = 4;

/// Writes what a start must write, and makes room for it when there is none.
pub(super) struct Room<'d> {
    disk: &'d dyn Disk,
    spares: &'d Spares,
    /// The checkpoint goes on from this file of the log.
    from_generation: u64,
}

impl<'d> Room<'d> {
    pub(super) fn new(disk: &'d dyn Disk, spares: &'d Spares, from_generation: u64) -> Self {
        Self { disk, spares, from_generation }
    }

    /// Whether the checkpoint needs no more of the log than the keeper.
    pub(super) fn is_settled<P: Payload>(&self, keeper: &Keeper<P>) -> bool {
        self.from_generation == keeper.first_generation()
    }

    /// Moves what is wanted of the log's files into segments. False if there is no room for all: what the keeper does not have in
    /// segments then stands in the log from its first generation on.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn file_all<P: Payload>(
        &mut self,
        keeper: &mut Keeper<P>,
        readers: impl Iterator<Item = Result<GroupReader, StoreError>>,
    ) -> Result<bool, StoreError> {
        let readers = readers.collect::<Result<Vec<_>, _>>()?;
        let logged: u64 = readers.iter().map(GroupReader::len).sum();
        let is_tight = self.disk.free_bytes().is_ok_and(|free| free < ROOMY * logged);
        for reader in readers {
            let generation = reader.generation();
            if !self.file(keeper, reader)? {
                return Ok(false);
            }
            if is_tight {
                // Before the next one takes the room that the checkpoint needs.
                keeper.retired_to(generation + 1);
                if !self.checkpoint(keeper)? {
                    return Ok(false);
                }
                self.spares.take_all().iter().for_each(|(path, _)| drop(self.disk.remove(path)));
            }
        }
        Ok(true)
    }

    /// Moves what is wanted of one file. False if there is no room.
    fn file<P: Payload>(&mut self, keeper: &mut Keeper<P>, mut reader: GroupReader) -> Result<bool, StoreError> {
        for has_made_room in [false, true] {
            reader.seek(0);
            loop {
                match keeper.file_survivors(&mut reader) {
                    Ok(true) => return Ok(true),
                    Ok(false) => {}
                    Err(error) if error.is_full() => break,
                    Err(error) => return Err(error),
                }
            }
            keeper.retired_to(reader.generation());
            if has_made_room {
                break;
            }
            self.clear(keeper)?;
            if !self.checkpoint(keeper)? {
                break;
            }
            self.spares.take_all().iter().for_each(|(path, _)| drop(self.disk.remove(path)));
        }
        Ok(false)
    }

    /// Writes a checkpoint. False if there is no room.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn checkpoint<P: Payload>(&mut self, keeper: &mut Keeper<P>) -> Result<bool, StoreError> {
        for has_made_room in [false, true] {
            let job = keeper.checkpoint(false);
            match job.run(self.disk) {
                Ok(()) => {
                    self.from_generation = keeper.first_generation();
                    keeper.checkpointed(job);
                    return Ok(true);
                }
                Err(error) if error.is_full() => keeper.not_checkpointed(job),
                Err(error) => return Err(error),
            }
            if !has_made_room {
                self.clear(keeper)?;
            }
        }
        Ok(false)
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
}
