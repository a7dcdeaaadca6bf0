//! The durable store: one write-ahead log for all queues, segments for what stays long, a checkpoint that ties them together. It knows
//! bytes and positions, not what they mean.
//!
//! A message is written to the log, in one group with whatever else came meanwhile, and is durable when the group is flushed. Most are
//! settled before their file of the log is needed again; what is not is moved into its queue's segments then. A queue that grows
//! deep is paged out into the same segments. The checkpoint says which messages of which segments are wanted and where the log goes on.
//!
//! Two threads: the writer takes groups from the journal and flushes them; the keeper learns from it what was written, serves pages,
//! empties files of the log and writes checkpoints. `recovery` makes the keeper's knowledge anew.

mod bytes;
mod check;
mod checkpoint;
mod direct;
pub mod disk;
mod error;
pub mod fuzz;
mod keeper;
mod log;
mod recovery;
mod salvage;
mod segment;
mod shelf;
#[cfg(test)]
mod tests;
mod threads;
mod vigil;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

pub use check::{Names, Report, check, repair};
pub use error::StoreError;
pub use threads::Store;

use self::disk::RealDisk;
use self::recovery::{Lock, Opened};
use crate::broker::journal::{Journal, Loaded, Payload, QueueId};

/// When something counts as durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When it is flushed to the disk: it survives a power cut.
    Group,
    /// When it is handed to the operating system: it survives the process, not the machine.
    Os,
    /// The same, and flushed at this interval.
    Interval(Duration),
}

/// What a store is opened with.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// When something counts as durable.
    pub durability: Durability,
    /// Free bytes of the disk below which [`Sink::space_low`] is told.
    pub disk_free_limit: u64,
}

/// A key and a value that the broker has defined.
pub type DefinitionBytes = (Box<[u8]>, Box<[u8]>);

/// What a data directory holds.
#[derive(Debug, Default)]
pub struct Recovered {
    /// In order of their keys.
    pub definitions: Vec<DefinitionBytes>,
    /// In no order.
    pub queues: Vec<RecoveredQueue>,
    /// The broker before ended in order.
    pub clean: bool,
    /// What was cut off at the end of the log, if it was torn.
    pub cut: Option<String>,
    /// Why the checkpoint could not be read, if its copy was used.
    pub mended: Option<String>,
    /// Queues that cannot be read, and why.
    pub damaged: Vec<(QueueId, StoreError)>,
    /// Ids from here on have not been used.
    pub next_queue_id: u64,
}

/// What there is of one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveredQueue {
    /// Which.
    pub queue: QueueId,
    /// Position of the first message.
    pub first: u64,
    /// The next message gets this position, or a later one.
    pub next: u64,
    /// How many messages there are.
    pub count: u64,
    /// Sum of their weights.
    pub weight: u64,
}

/// Who hears what the store has done. Called by its threads.
pub trait Sink<P>: Send + Sync {
    /// What was asked for from this position on.
    fn loaded(&self, queue: QueueId, from: u64, result: Result<Vec<Loaded<P>>, StoreError>);

    /// The oldest run of the queue on its way to disk has arrived there; it took this many bytes.
    fn paged_out(&self, queue: QueueId, bytes: usize);

    /// All up to a position of the journal is durable, and who waited for that has been told. To stay awake for what comes next is worth
    /// so long, if at all.
    fn written(&self, position: u64, patience: Option<Duration>);

    /// The disk has less space than it should have, or enough again.
    fn space_low(&self, low: bool);

    /// Nothing is durable any more: the store has stopped.
    fn failed(&self, error: StoreError);
}

/// A store that has been opened and is not at work yet.
pub struct Opening<P> {
    options: Options,
    disk: Arc<dyn disk::Disk>,
    lock: Lock,
    opened: Opened<P>,
}

/// Opens the store in a directory, which is made if it is missing. `progress` is told bytes read and to be read.
///
/// # Errors
/// The directory cannot be used or is in use; or it is damaged where no single queue can be left out.
pub fn open_dir<P: Payload>(
    dir: &Path,
    options: Options,
    mut progress: impl FnMut(u64, u64),
) -> Result<(Opening<P>, Recovered), StoreError> {
    let lock = recovery::lock(dir)?;
    let disk: Arc<dyn disk::Disk> = Arc::new(RealDisk::new(dir));
    let mut opened = recovery::recover(&disk, &mut progress).map_err(|error| error.in_dir(dir))?;
    let recovered = std::mem::take(&mut opened.recovered);
    Ok((Opening { options, disk, lock, opened }, recovered))
}

impl<P: Payload> Opening<P> {
    /// Lets the store work for a journal.
    pub fn start(self, journal: Arc<Journal<P>>, sink: Arc<dyn Sink<P>>) -> Store<P> {
        threads::start(self.options, self.disk, self.lock, self.opened, journal, sink)
    }
}

impl FromStr for Durability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let interval = || {
            let milliseconds = text.strip_prefix("interval:")?.parse().ok().filter(|ms| (1..=60_000).contains(ms))?;
            Some(Self::Interval(Duration::from_millis(milliseconds)))
        };
        match text {
            "group" => Ok(Self::Group),
            "os" => Ok(Self::Os),
            _ => interval()
                .ok_or_else(|| format!("'{text}' is none of group, os, interval:<milliseconds from 1 to 60000>")),
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group => f.write_str("group"),
            Self::Os => f.write_str("os"),
            Self::Interval(interval) => write!(f, "interval:{}", interval.as_millis()),
        }
    }
}
