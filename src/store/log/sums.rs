//! Checksums of any parts of a file, each byte of which is read once.

use super::format::SECTOR;
use crate::store::disk::DiskFile;

/// The checksum of everything from the first group's place up to each sector.
pub(super) struct Sums(Vec<u32>);

impl Sums {
    /// Reads a file of this length.
    ///
    /// # Errors
    /// What the disk says, and where.
    pub(super) fn read(file: &dyn DiskFile, len: u64, chunk: usize) -> Result<Self, (u64, std::io::Error)> {
        let (mut sums, mut sum, mut at) = (vec![0], 0, SECTOR as u64);
        let mut buffer = vec![0; chunk.next_multiple_of(SECTOR)];
        while at < len {
            let n = file.read_at(&mut buffer, at).map_err(|error| (at, error))?;
            for sector in buffer[..n].chunks_exact(SECTOR) {
                sum = crc32c::crc32c_append(sum, sector);
                sums.push(sum);
            }
            if n < buffer.len() {
                break;
            }
            at += n as u64;
        }
        Ok(Self(sums))
    }

    /// The checksum up to an offset; none if the file ends before.
    ///
    /// # Errors
    /// What the disk says, and where.
    pub(super) fn up_to(&self, file: &dyn DiskFile, offset: u64) -> Result<Option<u32>, (u64, std::io::Error)> {
        let (sector, rest) = (offset / SECTOR as u64, (offset % SECTOR as u64) as usize);
        let known = sector.checked_sub(1).and_then(|at| self.0.get(at as usize));
        let mut bytes = [0; SECTOR];
        let at = offset - rest as u64;
        match (known, rest) {
            (None, _) => Ok(None),
            (Some(sum), 0) => Ok(Some(*sum)),
            (Some(sum), _) => {
                let n = file.read_at(&mut bytes[..rest], at).map_err(|error| (at, error))?;
                Ok((n == rest).then(|| crc32c::crc32c_append(*sum, &bytes[..rest])))
            }
        }
    }
}
