//! What the store needs of a file system, as a trait, so that tests can put a disk under it that loses, tears and refuses.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rustix::io::Errno;

use super::direct::DirectFile;

/// Less than this goes through the system's cache.
const DIRECT_BYTES_MIN: usize = 64 * 1024;

/// A directory tree. Paths are relative to it.
pub trait Disk: Send + Sync {
    /// Opens a file that exists.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Makes an empty file; one of that name is emptied.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a file another name, in place of one that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory; none if it does not exist.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Makes a directory and those above it, unless they exist.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Removes a directory that is empty.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes creations, removals and renamings in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes that can still be written.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Writes all of `bytes` at an offset.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Reads at an offset until `bytes` is full or the file ends; gives how many bytes came.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// As [`DiskFile::write_at`], for much that is read once and late: it may pass the system's cache by, and add zeros behind it.
    fn write_past_cache(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_at(bytes, offset)
    }

    /// As [`DiskFile::write_at`], behind `before`, which stands there already and begins a block: it may pass the system's cache by, write
    /// that again, and add zeros behind `bytes` up to the end of a block.
    fn write_behind(&self, before: &[u8], bytes: &[u8], offset: u64) -> io::Result<()> {
        let _ = before;
        self.write_at(bytes, offset)
    }

    /// Makes what was written durable.
    fn sync_data(&self) -> io::Result<()>;

    /// Cuts or extends it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether it has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }
}

/// A directory of the machine.
pub struct RealDisk {
    root: PathBuf,
}

impl RealDisk {
    /// The tree below `root`.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }
}

impl Disk for RealDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.root.join(path);
        let file = fs::OpenOptions::new().read(true).write(true).open(&path)?;
        Ok(Arc::new(RealFile::new(file, path)))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.root.join(path);
        let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        Ok(Arc::new(RealFile::new(file, path)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(self.root.join(from), self.root.join(to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(self.root.join(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.root.join(dir)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = entries
            .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort_unstable();
        Ok(names)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(self.root.join(dir))
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir(self.root.join(dir))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(self.root.join(dir))?.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.root)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// A file of the machine.
struct RealFile {
    file: fs::File,
    path: PathBuf,
    /// The same past the system's cache, once it is wanted; none if the file system cannot do that.
    direct: OnceLock<Option<DirectFile>>,
    /// It turned out that it cannot.
    goes_through_cache: AtomicBool,
}

impl RealFile {
    fn new(file: fs::File, path: PathBuf) -> Self {
        Self { file, path, direct: OnceLock::new(), goes_through_cache: AtomicBool::new(false) }
    }

    /// Writes past the cache, or through it where that is not possible.
    fn past_cache(
        &self,
        bytes: &[u8],
        offset: u64,
        write: impl FnOnce(&DirectFile) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.goes_through_cache.load(Ordering::Relaxed) {
            return self.write_at(bytes, offset);
        }
        let open = || DirectFile::open(&self.path).ok();
        match self.direct.get_or_init(open).as_ref().map(write) {
            Some(Ok(())) => return Ok(()),
            // Some disks want larger sectors, and some file systems say only now that they cannot.
            Some(Err(error)) if !matches!(Errno::from_io_error(&error), Some(Errno::INVAL | Errno::OPNOTSUPP)) => {
                return Err(error);
            }
            None | Some(Err(_)) => {}
        }
        self.goes_through_cache.store(true, Ordering::Relaxed);
        self.write_at(bytes, offset)
    }
}

impl DiskFile for RealFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn write_past_cache(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if bytes.len() < DIRECT_BYTES_MIN {
            return self.write_at(bytes, offset);
        }
        self.past_cache(bytes, offset, |direct| direct.write_at(bytes, offset, &self.file))
    }

    fn write_behind(&self, before: &[u8], bytes: &[u8], offset: u64) -> io::Result<()> {
        self.past_cache(bytes, offset, |direct| direct.write_behind(before, bytes, offset))
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.file.read_at(&mut bytes[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.len())
    }
}
