//! Files written past the system's cache.
//!
//! What the log has is flushed at once and seldom read again; what a deep queue has on disk is written once and read once, much later. In
//! the cache it would push other things out, and to fill the cache's pages takes the processor longer than the disk takes to write them.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use super::log::format::SECTOR;

/// Offsets, lengths and addresses that are multiples of this are good for all usual disks.
pub(super) const BLOCK: usize = 4096;

/// Working space up to this many bytes is kept for the next time.
const KEEP_BYTES: usize = 2 * 1024 * 1024;

thread_local! {
    static SPACE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// See the module.
pub(super) struct DirectFile(fs::File);

impl DirectFile {
    /// Opens a file that exists.
    ///
    /// # Errors
    /// Among others: the file system cannot do that.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECT.bits() as i32;
        fs::OpenOptions::new().read(true).write(true).custom_flags(flags).open(path).map(Self)
    }

    /// Writes whole sectors at a sector, which is enough for most disks.
    ///
    /// # Errors
    /// Among others: the disk has larger sectors.
    pub(super) fn write_sectors(&self, sectors: &[u8], offset: u64) -> io::Result<()> {
        if sectors.as_ptr().addr().is_multiple_of(SECTOR) {
            return self.0.write_all_at(sectors, offset);
        }
        with_blocks(sectors.len(), |blocks| {
            let aligned = &mut blocks[..sectors.len()];
            aligned.copy_from_slice(sectors);
            self.0.write_all_at(aligned, offset)
        })
    }

    /// Writes at an offset, in whole blocks: what stands before `offset` in the first is written again as it is read from `file`, which is
    /// the same file, and behind `bytes` there are zeros.
    pub(super) fn write_at(&self, bytes: &[u8], offset: u64, file: &fs::File) -> io::Result<()> {
        let before = offset as usize % BLOCK;
        let start = offset - before as u64;
        with_blocks(before + bytes.len(), |blocks| {
            file.read_exact_at(&mut blocks[..before], start)?;
            let (written, behind) = blocks[before..].split_at_mut(bytes.len());
            written.copy_from_slice(bytes);
            behind.fill(0);
            self.0.write_all_at(blocks, start)
        })
    }
}

/// Lends whole blocks, at least `len` bytes of them.
fn with_blocks<T>(len: usize, work: impl FnOnce(&mut [u8]) -> T) -> T {
    let len = len.next_multiple_of(BLOCK);
    SPACE.with_borrow_mut(|space| {
        if space.len() < len + BLOCK {
            *space = vec![0; len + BLOCK];
        }
        let at = space.as_ptr().align_offset(BLOCK);
        let done = work(&mut space[at..at + len]);
        if space.len() > KEEP_BYTES + BLOCK {
            *space = Vec::new();
        }
        done
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use crate::store::disk::{Disk, DiskFile, RealDisk};

    fn reads(file: &Arc<dyn DiskFile>, expected: &[u8]) {
        let mut all = vec![0; expected.len() + 1];
        assert_eq!(file.read_at(&mut all, 0).unwrap(), expected.len());
        assert!(all[..expected.len()] == *expected, "{}", expected.len());
    }

    /// Wherever they stand in memory, and also if they are none and the system therefore refuses to write them so.
    #[test]
    fn sectors_are_written_where_they_belong() {
        let dir = tempfile::tempdir().unwrap();
        let file = RealDisk::new(dir.path()).create(Path::new("f")).unwrap();
        let bytes: Vec<u8> = (0..200_000_u32).map(|i| (i * 7 % 251) as u8).collect();
        let mut expected = vec![0; 100 * 512];
        for (at, sectors, offset) in [(0, 60, 0), (1, 40, 60), (13, 10, 5), (512, 1, 99), (100, 100, 0)] {
            let piece = &bytes[at..at + sectors * 512];
            file.write_sectors(piece, offset * 512).unwrap();
            expected[offset as usize * 512..][..piece.len()].copy_from_slice(piece);
        }
        reads(&file, &expected);
        for (offset, len) in [(100, 512), (512, 100), (1024, 512)] {
            file.write_sectors(&bytes[..len], offset).unwrap();
            expected[offset as usize..][..len].copy_from_slice(&bytes[..len]);
            reads(&file, &expected);
        }
    }

    #[test]
    fn what_is_written_past_the_cache_stands_behind_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let file = RealDisk::new(dir.path()).create(Path::new("f")).unwrap();
        let mut expected: Vec<u8> = Vec::new();
        for (n, len) in [10_usize, 70_000, 1, 300_000, 65_536, 4086, 100_000, 3_000_000].into_iter().enumerate() {
            let bytes: Vec<u8> = (0..len).map(|i| (i * 7 + n) as u8).collect();
            file.write_past_cache(&bytes, expected.len() as u64).unwrap();
            expected.extend(bytes);
            let mut all = vec![0; expected.len()];
            assert_eq!(file.read_at(&mut all, 0).unwrap(), expected.len());
            assert!(all == expected, "{len}");
        }
        let behind = file.len().unwrap() as usize - expected.len();
        let mut rest = vec![1; 70_000];
        assert_eq!(file.read_at(&mut rest, expected.len() as u64).unwrap(), behind);
        assert!(rest[..behind].iter().all(|byte| *byte == 0));
    }
}
