//! A store with its two threads on a simulated disk.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rustix::io::Errno;
use tempfile::TempDir;

use super::sim::{Call, Refusal, SimDisk};
use super::text::Text;
use crate::broker::journal::{Journal, Loaded, Op, QueueId};
use crate::store::disk::Disk;
use crate::store::error::StoreError;
use crate::store::recovery::{Lock, lock, recover};
use crate::store::threads::{Store, start};
use crate::store::{Durability, Options, Recovered, Sink};

pub(super) const QUEUE: QueueId = QueueId(1);

/// What the store has told, in order.
#[derive(Default)]
pub(super) struct Told {
    pub(super) all: Mutex<Vec<Event>>,
    more: Condvar,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    Low(bool),
    Failed(String),
    Loaded(usize),
    PagedOut,
}

impl Told {
    fn tell(&self, event: Event) {
        self.all.lock().push(event);
        self.more.notify_all();
    }

    pub(super) fn wait_for(&self, wanted: impl Fn(&Event) -> bool) -> Event {
        let mut all = self.all.lock();
        loop {
            if let Some(event) = all.iter().find(|event| wanted(event)) {
                return event.clone();
            }
            let waited = self.more.wait_for(&mut all, Duration::from_secs(60));
            assert!(!waited.timed_out(), "not told: {all:?}");
        }
    }

    pub(super) fn paged_out(&self) -> usize {
        self.all.lock().iter().filter(|event| **event == Event::PagedOut).count()
    }

    pub(super) fn failure(&self) -> String {
        match self.wait_for(|event| matches!(event, Event::Failed(_))) {
            Event::Failed(error) => error,
            _ => unreachable!("asked for"),
        }
    }
}

impl Sink<Text> for Told {
    fn loaded(&self, _: QueueId, _: u64, result: Result<Vec<Loaded<Text>>, StoreError>) {
        self.tell(Event::Loaded(result.unwrap().len()));
    }

    fn paged_out(&self, _: QueueId, _: usize) {
        self.tell(Event::PagedOut);
    }

    fn written(&self, _: u64, _: Option<Duration>) {}

    fn space_low(&self, low: bool) {
        self.tell(Event::Low(low));
    }

    fn failed(&self, error: StoreError) {
        self.tell(Event::Failed(error.to_string()));
    }
}

/// A store at work on a simulated disk.
pub(super) struct AtWork {
    pub(super) disk: SimDisk,
    pub(super) journal: Arc<Journal<Text>>,
    pub(super) told: Arc<Told>,
    pub(super) store: Store<Text>,
    next: u64,
    _dir: TempDir,
}

impl AtWork {
    pub(super) fn new(durability: Durability) -> Self {
        Self::on(SimDisk::new(1), durability).0
    }

    pub(super) fn on(disk: SimDisk, durability: Durability) -> (Self, Recovered) {
        let dir = tempfile::tempdir().unwrap();
        let held: Lock = lock(dir.path()).unwrap();
        let dyn_disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let mut opened = recover::<Text>(&dyn_disk, &mut |_, _| {}).unwrap();
        let recovered = std::mem::take(&mut opened.recovered);
        let (journal, told) = (Arc::new(Journal::new()), Arc::new(Told::default()));
        let options = Options { durability, disk_free_limit: 1000 };
        let store = start(options, dyn_disk, held, opened, journal.clone(), told.clone());
        (Self { disk, journal, told, store, next: 1, _dir: dir }, recovered)
    }

    /// The next message gets this position.
    pub(super) fn next_is(&mut self, position: u64) {
        self.next = position;
    }

    /// Publishes a message. Gives what is committed when it may be confirmed.
    pub(super) fn publish(&mut self) -> u64 {
        let message = Text { id: self.next, lasting: true, shared: false, len: 100 };
        let position = self.next;
        self.next += 1;
        self.journal.write().push(Op::Publish { queue: QUEUE, position, message })
    }

    pub(super) fn wait_until(&self, what: &str, holds: impl Fn() -> bool) {
        for _ in 0..60_000 {
            if holds() {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("never {what}: {:?}", self.told.all.lock());
    }

    pub(super) fn confirmed(&self, position: u64) {
        self.wait_until("confirmed", || self.journal.committed() >= position);
    }

    /// While the disk refuses, however often that is tried, publishers are told once.
    pub(super) fn stays_low(&self) {
        let tries = self.disk.refused();
        self.wait_until("tried again", || self.disk.refused() > tries + 5);
        assert_eq!(*self.told.all.lock(), [Event::Low(true)]);
    }

    pub(super) fn refuse(&self, call: Call, dir: &'static str, error: Errno) {
        self.disk.refuse(Some(Refusal { call, dir, error }));
    }

    /// Ends the threads. Gives the disk.
    pub(super) fn close(self) -> SimDisk {
        let (disk, closed) = self.try_close();
        closed.unwrap();
        disk
    }

    pub(super) fn try_close(self) -> (SimDisk, Result<(), StoreError>) {
        self.journal.close();
        (self.disk, self.store.close())
    }

    /// Nothing more is confirmed, the broker hears of an error that says `what`, and what was confirmed survives a power cut.
    pub(super) fn ends_with(mut self, what: &str, confirmed: u64) {
        let refused = self.publish();
        let error = self.told.failure();
        assert!(error.starts_with(what), "{error}");
        // What goes wrong once is not tried again: the system may have forgotten what it did not write.
        self.disk.refuse(None);
        let later = self.publish();
        let (journal, told) = (self.journal.clone(), self.told.clone());
        let disk = self.close();
        assert_eq!(journal.committed(), confirmed, "of {refused} and {later}");
        assert_eq!(told.all.lock().iter().filter(|event| matches!(event, Event::Failed(_))).count(), 1);
        assert!(!told.all.lock().contains(&Event::Low(true)), "nobody is told to wait for what does not come");
        disk.crash();
        let recovered = Self::on(disk, Durability::Group).1;
        let kept = recovered.queues.iter().map(|queue| queue.count).sum::<u64>();
        assert!((confirmed..=later).contains(&kept), "{kept} of {confirmed} confirmed");
    }
}
