//! Writes to a file and flushes it, as a write-ahead log does.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process;

use super::error::{Error, Result};

/// The file has been written up to here before: what makes it longer takes more than one flush.
const FILE_BYTES: u64 = 8 * 1024 * 1024;

/// A file that is removed in the end.
pub(super) struct Flushed {
    file: File,
    path: PathBuf,
    bytes: Vec<u8>,
    at: u64,
}

impl Flushed {
    /// A new one in a directory; so many bytes are written at once.
    ///
    /// # Errors
    /// The file cannot be made.
    pub(super) fn new(dir: &Path, size: usize) -> Result<Self> {
        let path = dir.join(format!("leveret-perf-{}", process::id()));
        let file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(refused(&path))?;
        let made = Self { file, path, bytes: vec![1; size.max(1)], at: 0 };
        made.file.write_all_at(&vec![0; FILE_BYTES as usize], 0).map_err(refused(&made.path))?;
        made.file.sync_all().map_err(refused(&made.path))?;
        Ok(made)
    }

    /// Writes behind what was written last, and flushes.
    pub(super) fn write(&mut self) -> Result<()> {
        let len = self.bytes.len() as u64;
        if self.at + len > FILE_BYTES {
            self.at = 0;
        }
        self.file.write_all_at(&self.bytes, self.at).map_err(refused(&self.path))?;
        self.file.sync_data().map_err(refused(&self.path))?;
        self.at += len;
        Ok(())
    }
}

fn refused(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.display().to_string();
    move |source| Error::Write { path, source }
}

impl Drop for Flushed {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path); // what cannot be removed is small
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_written_over_and_over_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let mut flushed = Flushed::new(dir.path(), 3 * 1024 * 1024).unwrap();
        for at in [3, 6, 3, 6] {
            flushed.write().unwrap();
            assert_eq!(flushed.at, at * 1024 * 1024);
        }
        assert_eq!(std::fs::metadata(&flushed.path).unwrap().len(), FILE_BYTES);
        assert!(Flushed::new(dir.path(), 1).is_err(), "two at a time");
        drop(flushed);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let Err(error) = Flushed::new(&dir.path().join("none"), 1) else { panic!() };
        assert!(error.to_string().contains("none/leveret-perf-"), "{error}");
    }
}
