//! What can go wrong with a data directory: each error names the file, the place in it, and what to do.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// See the module.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {doing} '{file}'{}: {error}", place(.at))]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file, below the data directory.
        file: PathBuf,
        /// What the system said.
        error: IoError,
        /// Where in it, if that says more.
        at: Option<u64>,
    },
    /// Bytes are not what was written.
    #[error(
        "'{file}' is damaged at offset {offset}: {what}; stop the broker and run `leveret store check` to see what is affected, then \
         `leveret store repair` to leave it out"
    )]
    Damaged {
        /// The file, below the data directory.
        file: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A file is not there.
    #[error("'{file}' is missing, and it held messages; `leveret store repair` goes on without them")]
    Missing {
        /// The file, below the data directory.
        file: PathBuf,
    },
    /// What a start cannot go without has no room.
    #[error(
        "the disk of data directory '{dir}' is full: {refused}; to start it takes about {needed} free bytes there, and {free} are free; \
         nothing is lost: make room on this disk and start again"
    )]
    NoRoom {
        /// The directory.
        dir: PathBuf,
        /// What was tried, and what the system said.
        refused: String,
        /// Bytes that must be free.
        needed: u64,
        /// Bytes that are.
        free: u64,
    },
    /// More has become durable together than the log can say.
    #[error("a group of {bytes} bytes is too large for the log: nothing of it was written")]
    GroupTooLarge {
        /// Bytes of the group.
        bytes: u64,
    },
    /// A bug of ours.
    #[error("the thread '{thread}' of the store has panicked")]
    Panicked {
        /// Which.
        thread: &'static str,
    },
    /// Another process uses the directory.
    #[error("data directory '{dir}' is in use by process {pid}; stop it, or choose another directory by --data-dir")]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// The other's process id, as far as it has said it.
        pid: String,
    },
    /// A later version has written the directory.
    #[error(
        "data directory '{dir}' has format {found}, and this version reads formats up to {known}; use the version that wrote it"
    )]
    Newer {
        /// The directory.
        dir: PathBuf,
        /// The format found.
        found: u32,
        /// The newest format known.
        known: u32,
    },
    /// The directory cannot be used at all.
    #[error("cannot use data directory '{dir}': {error}; choose another by --data-dir, or --ephemeral")]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        error: IoError,
    },
}

/// An [`io::Error`] that can be cloned.
#[derive(Debug, Clone, Error)]
#[error("{text}")]
pub struct IoError {
    /// Its kind.
    pub kind: io::ErrorKind,
    text: String,
}

impl From<io::Error> for IoError {
    fn from(error: io::Error) -> Self {
        Self { kind: error.kind(), text: error.to_string() }
    }
}

impl StoreError {
    /// Wraps what the system said about a file.
    pub(super) fn io(doing: &'static str, file: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let file = file.into();
        move |error| Self::Io { doing, file, error: error.into(), at: None }
    }

    /// Wraps what the system said when a file was read at an offset.
    pub(super) fn unreadable(file: impl Into<PathBuf>, at: u64) -> impl FnOnce(io::Error) -> Self {
        let file = file.into();
        move |error| Self::Io { doing: "read", file, error: error.into(), at: Some(at) }
    }

    pub(super) fn damaged(file: impl Into<PathBuf>, offset: u64, what: impl Into<String>) -> Self {
        Self::Damaged { file: file.into(), offset, what: what.into() }
    }

    /// The same, with the directory that it is about.
    pub(super) fn in_dir(mut self, of: &Path) -> Self {
        if let Self::NoRoom { dir, .. } = &mut self {
            of.clone_into(dir);
        }
        self
    }

    /// Whether the disk is full; then it can be tried again when it has space. Not so with a flush: what it did not write is lost,
    /// and the next one would say that all is well.
    pub(super) fn is_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        let is_full = |error: &IoError| matches!(error.kind, StorageFull | QuotaExceeded);
        matches!(self, Self::Io { doing, error, .. } if *doing != "flush" && is_full(error))
    }
}

fn place(at: &Option<u64>) -> String {
    at.map_or_else(String::new, |at| format!(" at offset {at}"))
}
