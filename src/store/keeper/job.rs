//! Checkpoints: made by the keeper, written wherever there is time, and what may be removed once they are.

use std::path::{Path, PathBuf};

use super::Keeper;
use crate::broker::journal::Payload;
use crate::store::checkpoint;
use crate::store::disk::Disk;
use crate::store::error::StoreError;
use crate::store::log;
use crate::store::segment::Segment;

/// A checkpoint to be written. It can be done elsewhere while the keeper goes on.
pub(in crate::store) struct CheckpointJob {
    bytes: Vec<u8>,
    dirty: Vec<PathBuf>,
    garbage: Vec<PathBuf>,
    /// Files of the log before this generation are free then.
    from_generation: u64,
    /// The file of the log that the checkpoint goes on from.
    log_file: Option<PathBuf>,
}

impl CheckpointJob {
    /// Makes the segments durable, then the checkpoint.
    ///
    /// # Errors
    /// What the disk says; the checkpoint before holds on.
    pub(in crate::store) fn run(&self, disk: &dyn Disk) -> Result<(), StoreError> {
        if let Some(path) = &self.log_file {
            // Not everything is flushed before it is applied: that depends on the durability asked for.
            let file = disk.open(path).map_err(StoreError::io("open", path))?;
            file.sync_data().map_err(StoreError::io("flush", path))?;
        }
        for path in &self.dirty {
            // Opened one at a time: there may be more of them than files that may be open.
            let file = disk.open(path).map_err(StoreError::io("open", path))?;
            file.sync_data().map_err(StoreError::io("flush", path))?;
        }
        let mut dirs: Vec<_> = self.dirty.iter().filter_map(|path| path.parent()).collect();
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
    /// What a checkpoint of this moment consists of. With `clean` it is the last one.
    pub(in crate::store) fn checkpoint(&mut self, clean: bool) -> CheckpointJob {
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
            dirty.extend(shelf.segments.iter_mut().filter_map(Segment::take_dirty));
        }
        checkpoint::end(&mut bytes);
        self.changed = false;
        CheckpointJob {
            bytes,
            dirty,
            garbage: std::mem::take(&mut self.garbage),
            from_generation: self.from_generation,
            log_file: (self.applied.generation >= self.from_generation)
                .then(|| log::file_path(self.applied.generation)),
        }
    }

    /// A checkpoint has been written: removes what nobody needs any more, and gives files of the log back.
    pub(in crate::store) fn checkpointed(&mut self, job: CheckpointJob) {
        for path in &job.garbage {
            let _ = self.disk.remove(path);
            if let Some(dir) = path.parent() {
                let _ = self.disk.remove_dir(dir); // of a queue that is gone; another's is not empty
            }
        }
        let names = self.disk.list(Path::new(log::DIR)).unwrap_or_default();
        for generation in names.iter().filter_map(|name| log::generation_of(name)) {
            // Those freed before are spares already, under their old names.
            if (self.freed..job.from_generation).contains(&generation) {
                self.free_log_file(generation);
            }
        }
        self.freed = job.from_generation;
    }

    /// A checkpoint was not written: it is tried again.
    pub(in crate::store) fn not_checkpointed(&mut self, job: CheckpointJob) {
        self.changed = true;
        self.garbage.extend(job.garbage);
        for path in job.dirty {
            let of = |segment: &&mut Segment| segment.path() == path;
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
}
