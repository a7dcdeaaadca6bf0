//! Files written past the system's cache.
//!
//! What the log has is flushed at once, and most of it is never read again; what a deep queue has on disk is written once and read once,
//! much later. In the cache it would push other things out, and to fill the cache's pages takes the processor longer than the disk takes
//! to write them.
//!
//! Whole blocks are written: a disk that keeps its bytes in blocks need not read one to change a part of it, which could be lost then with
//! what was durable in it.

use std::cell::RefCell;
use std::fs;
use std::io::{self, IoSlice};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::{Errno, pwritev};

use super::log::format::SECTOR;

/// Offsets, lengths and addresses that are multiples of this are good for all usual disks.
pub(super) const BLOCK: usize = 4096;

/// A block at such an address.
#[repr(align(4096))]
pub(super) struct Block(pub(super) [u8; BLOCK]);

static ZEROS: Block = Block([0; BLOCK]);

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

    /// Writes at an offset, in whole blocks: `before` is what stands in the first block before `offset`, and behind `bytes` there are zeros.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn write_behind(&self, before: &[u8], bytes: &[u8], offset: u64) -> io::Result<()> {
        let start = offset - before.len() as u64;
        let len = before.len() + bytes.len();
        let behind = &ZEROS.0[..len.next_multiple_of(BLOCK) - len];
        let pieces = [before, bytes, behind];
        if pieces.iter().all(|piece| is_aligned(piece)) {
            match pwritev(&self.0, &pieces.map(IoSlice::new), start) {
                Ok(written) if written == len + behind.len() => return Ok(()),
                Ok(_) | Err(Errno::INVAL) => {} // in one piece it may do better
                Err(error) => return Err(error.into()),
            }
        }
        with_blocks(len, |blocks| {
            let mut rest = &mut blocks[..];
            for piece in pieces {
                let (written, others) = rest.split_at_mut(piece.len());
                written.copy_from_slice(piece);
                rest = others;
            }
            self.0.write_all_at(blocks, start)
        })
    }

    /// The same, with what stands before as it is read from `file`, which is the same file.
    pub(super) fn write_at(&self, bytes: &[u8], offset: u64, file: &fs::File) -> io::Result<()> {
        let start = offset / BLOCK as u64 * BLOCK as u64;
        let mut before = vec![0; (offset - start) as usize];
        file.read_exact_at(&mut before, start)?;
        self.write_behind(&before, bytes, offset)
    }
}

/// Whether it can be a piece of a write on most disks.
fn is_aligned(piece: &[u8]) -> bool {
    piece.is_empty() || piece.as_ptr().addr().is_multiple_of(SECTOR) && piece.len().is_multiple_of(SECTOR)
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

    use crate::store::direct::BLOCK;
    use crate::store::disk::{Disk, DiskFile, RealDisk};
    use crate::store::log::format::SECTOR;

    fn reads(file: &Arc<dyn DiskFile>, expected: &[u8]) {
        let mut all = vec![0; expected.len() + 1];
        assert_eq!(file.read_at(&mut all, 0).unwrap(), expected.len());
        assert!(all[..expected.len()] == *expected, "{}", expected.len());
    }

    /// Wherever the pieces stand in memory, whole sectors or not.
    #[test]
    fn what_is_written_behind_something_stands_there_and_zeros_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = RealDisk::new(dir.path()).create(Path::new("f")).unwrap();
        let bytes: Vec<u8> = (0..200_000_u32).map(|i| (i * 7 % 251 + 1) as u8).collect();
        file.write_at(&bytes[..SECTOR], 0).unwrap();
        let mut expected = bytes[..SECTOR].to_vec();
        for (at, len) in
            [(0, 3 * SECTOR), (1, SECTOR), (512, 60 * SECTOR), (13, 5 * SECTOR), (0, 100), (3, 412), (0, 90_000)]
        {
            let offset = expected.len();
            let before = &expected[offset - offset % BLOCK..];
            file.write_behind(before, &bytes[at..at + len], offset as u64).unwrap();
            expected.extend_from_slice(&bytes[at..at + len]);
            let blocks = [&expected[..], &vec![0; expected.len().next_multiple_of(BLOCK) - expected.len()]].concat();
            reads(&file, &blocks);
        }
        // Where what is said to stand before does not begin a block, the system refuses, and it goes through the cache.
        for offset in [100, 1024] {
            file.write_behind(&[], &bytes[..700], offset).unwrap();
            expected[offset as usize..][..700].copy_from_slice(&bytes[..700]);
            let mut all = vec![0; expected.len()];
            assert_eq!(file.read_at(&mut all, 0).unwrap(), all.len());
            assert!(all == expected, "{offset}");
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
