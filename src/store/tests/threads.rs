//! The two threads on a disk that refuses.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustix::io::Errno;
use tempfile::TempDir;

use super::sim::{Call, Refusal, SimDisk};
use super::text::Text;
use crate::broker::journal::{Group, Journal, Loaded, Op, QueueId, Request};
use crate::store::disk::Disk;
use crate::store::error::StoreError;
use crate::store::recovery::{Lock, lock, recover};
use crate::store::threads::{Store, start};
use crate::store::{Durability, Options, Recovered, Sink};

const QUEUE: QueueId = QueueId(1);

/// So long that it is only waited for in a test that fails.
const NEVER: Duration = Duration::from_secs(3600);

/// What the store has told, in order.
#[derive(Default)]
struct Told {
    all: Mutex<Vec<Event>>,
    more: Condvar,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Event {
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

    fn wait_for(&self, wanted: impl Fn(&Event) -> bool) -> Event {
        let mut all = self.all.lock();
        loop {
            if let Some(event) = all.iter().find(|event| wanted(event)) {
                return event.clone();
            }
            let waited = self.more.wait_for(&mut all, Duration::from_secs(60));
            assert!(!waited.timed_out(), "not told: {all:?}");
        }
    }

    fn paged_out(&self) -> usize {
        self.all.lock().iter().filter(|event| **event == Event::PagedOut).count()
    }

    fn failure(&self) -> String {
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

    fn space_low(&self, low: bool) {
        self.tell(Event::Low(low));
    }

    fn failed(&self, error: StoreError) {
        self.tell(Event::Failed(error.to_string()));
    }
}

/// A store at work on a simulated disk.
struct AtWork {
    disk: SimDisk,
    journal: Arc<Journal<Text>>,
    told: Arc<Told>,
    store: Store<Text>,
    next: u64,
    _dir: TempDir,
}

impl AtWork {
    fn new(durability: Durability) -> Self {
        Self::on(SimDisk::new(1), durability).0
    }

    fn on(disk: SimDisk, durability: Durability) -> (Self, Recovered) {
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

    /// Publishes a message. Gives what is committed when it may be confirmed.
    fn publish(&mut self) -> u64 {
        let message = Text { id: self.next, lasting: true, shared: false, len: 100 };
        let position = self.next;
        self.next += 1;
        self.journal.write().push(Op::Publish { queue: QUEUE, position, message })
    }

    fn wait_until(&self, what: &str, holds: impl Fn() -> bool) {
        for _ in 0..60_000 {
            if holds() {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("never {what}: {:?}", self.told.all.lock());
    }

    fn confirmed(&self, position: u64) {
        self.wait_until("confirmed", || self.journal.committed() >= position);
    }

    /// While the disk refuses, however often that is tried, publishers are told once.
    fn stays_low(&self) {
        let tries = self.disk.refused();
        self.wait_until("tried again", || self.disk.refused() > tries + 5);
        assert_eq!(*self.told.all.lock(), [Event::Low(true)]);
    }

    fn refuse(&self, call: Call, dir: &'static str, error: Errno) {
        self.disk.refuse(Some(Refusal { call, dir, error }));
    }

    /// Ends the threads. Gives the disk.
    fn close(self) -> SimDisk {
        let (disk, closed) = self.try_close();
        closed.unwrap();
        disk
    }

    fn try_close(self) -> (SimDisk, Result<(), StoreError>) {
        self.journal.close();
        (self.disk, self.store.close())
    }

    /// Nothing more is confirmed, the broker hears of an error that says `what`, and what was confirmed survives a power cut.
    fn ends_with(mut self, what: &str, confirmed: u64) {
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

#[test]
fn a_refused_flush_confirms_nothing_ever_and_ends_the_broker() {
    for error in [Errno::IO, Errno::NOSPC, Errno::DQUOT] {
        let mut at_work = AtWork::new(Durability::Group);
        let first = at_work.publish();
        at_work.confirmed(first);
        at_work.refuse(Call::Sync, "log", error);
        at_work.ends_with("cannot flush 'log/", first);
    }
}

#[test]
fn a_refused_flush_of_the_first_file_of_the_log_ends_the_broker_too() {
    for error in [Errno::IO, Errno::NOSPC] {
        let at_work = AtWork::new(Durability::Os);
        at_work.refuse(Call::Sync, "log", error);
        at_work.ends_with("cannot flush 'log/", 0);
    }
}

#[test]
fn a_write_that_fails_ends_the_broker() {
    let mut at_work = AtWork::new(Durability::Group);
    let first = at_work.publish();
    at_work.confirmed(first);
    at_work.refuse(Call::Write, "log", Errno::IO);
    at_work.ends_with("cannot write 'log/", first);
}

#[test]
fn a_disk_that_is_full_blocks_publishers_until_it_has_space() {
    for durability in [Durability::Group, Durability::Os, Durability::Interval(NEVER)] {
        let mut at_work = AtWork::new(durability);
        let first = at_work.publish();
        at_work.confirmed(first);
        at_work.refuse(Call::Write, "log", Errno::NOSPC);
        let second = at_work.publish();
        at_work.told.wait_for(|event| *event == Event::Low(true));
        let tries = at_work.disk.refused();
        at_work.wait_until("tried again", || at_work.disk.refused() > tries + 2);
        assert_eq!(at_work.journal.committed(), first, "{durability}");
        at_work.disk.refuse(None);
        at_work.confirmed(second);
        at_work.told.wait_for(|event| *event == Event::Low(false));
        let third = at_work.publish();
        at_work.confirmed(third);
        let told = at_work.told.clone();
        let disk = at_work.close();
        assert_eq!(*told.all.lock(), [Event::Low(true), Event::Low(false)], "{durability}");
        disk.crash();
        let recovered = AtWork::on(disk, durability).1;
        assert!(recovered.clean && recovered.queues[0].count == 3, "{durability}: {recovered:?}");
    }
}

#[test]
fn little_free_space_is_told_and_that_there_is_enough_again() {
    let at_work = AtWork::new(Durability::Group);
    at_work.disk.set_room(Some(999));
    at_work.told.wait_for(|event| *event == Event::Low(true));
    at_work.disk.set_room(None);
    at_work.told.wait_for(|event| *event == Event::Low(false));
    at_work.close();
}

#[test]
fn an_orderly_stop_does_not_wait_for_space() {
    let mut at_work = AtWork::new(Durability::Group);
    at_work.refuse(Call::Write, "log", Errno::NOSPC);
    at_work.publish();
    at_work.told.wait_for(|event| *event == Event::Low(true));
    let (journal, told) = (at_work.journal.clone(), at_work.told.clone());
    at_work.close();
    assert_eq!(journal.committed(), 0);
    assert!(told.failure().starts_with("cannot write 'log/"));
}

/// The checkpoint before holds on.
#[test]
fn a_last_checkpoint_that_is_refused_is_told_and_nothing_is_lost() {
    for (call, error) in [(Call::Write, Errno::NOSPC), (Call::Write, Errno::IO), (Call::Sync, Errno::IO)] {
        for dir in ["", "queues/0000000000000001"] {
            let mut at_work = AtWork::new(Durability::Group);
            let last = (0..5).map(|_| at_work.publish()).last().unwrap();
            at_work.confirmed(last);
            at_work.refuse(call, dir, error);
            let told = at_work.told.clone();
            let (disk, closed) = at_work.try_close();
            let said = closed.unwrap_err().to_string();
            assert!(said.contains(if dir.is_empty() { "'checkpoint" } else { "'queues/" }), "{said}");
            assert!(told.all.lock().is_empty(), "{:?}", told.all.lock());
            disk.refuse(None);
            disk.crash();
            let recovered = AtWork::on(disk, Durability::Group).1;
            assert!(!recovered.clean && recovered.queues[0].count == last, "{recovered:?}");
        }
    }
}

/// Pages go to segments, which the keeper writes: the log goes on meanwhile.
#[test]
fn pages_wait_for_space_and_confirms_do_not() {
    let mut at_work = AtWork::new(Durability::Group);
    at_work.refuse(Call::Write, "queues/0000000000000001", Errno::NOSPC);
    let first = at_work.publish();
    let run = vec![(1, Text { id: 1, lasting: true, shared: false, len: 100 })];
    at_work.store.request(Request::PageOut { queue: QUEUE, lasting: true, run });
    at_work.confirmed(first);
    at_work.told.wait_for(|event| *event == Event::Low(true));
    let second = at_work.publish();
    at_work.confirmed(second);
    at_work.stays_low();
    at_work.disk.refuse(None);
    at_work.told.wait_for(|event| *event == Event::Low(false));
    assert_eq!(*at_work.told.all.lock(), [Event::Low(true), Event::PagedOut, Event::Low(false)]);
    at_work.store.request(Request::Load { queue: QUEUE, from: 1, to: 2, bytes: 1000 });
    at_work.told.wait_for(|event| *event == Event::Loaded(1));
    at_work.close();
}

/// They are those who make room.
#[test]
fn consumers_get_what_waits_for_space() {
    let mut at_work = AtWork::new(Durability::Group);
    at_work.refuse(Call::Write, "queues/0000000000000001", Errno::NOSPC);
    let last = (0..5).map(|_| at_work.publish()).last().unwrap();
    let text = |id| (id, Text { id, lasting: true, shared: false, len: 100 });
    for run in [vec![text(1), text(2)], vec![text(3)], vec![text(4), text(5)]] {
        at_work.store.request(Request::PageOut { queue: QUEUE, lasting: true, run });
    }
    at_work.confirmed(last);
    at_work.told.wait_for(|event| *event == Event::Low(true));
    at_work.store.request(Request::Load { queue: QUEUE, from: 1, to: 6, bytes: 400 });
    at_work.told.wait_for(|event| *event == Event::Loaded(4));
    // Two runs are back as a whole.
    at_work.wait_until("taken back", || at_work.told.paged_out() == 2);
    at_work.disk.refuse(None);
    at_work.wait_until("paged out", || at_work.told.paged_out() == 3);
    at_work.store.request(Request::Load { queue: QUEUE, from: 5, to: 6, bytes: 400 });
    at_work.told.wait_for(|event| *event == Event::Loaded(1));
    let disk = at_work.close();
    assert_eq!(AtWork::on(disk, Durability::Group).1.queues[0].count, last);
}

/// A quota is used up: there is space, but not for us.
#[test]
fn a_refused_checkpoint_is_written_before_publishers_go_on() {
    let mut at_work = AtWork::new(Durability::Group);
    at_work.refuse(Call::Write, "", Errno::DQUOT);
    while !at_work.told.all.lock().contains(&Event::Low(true)) {
        let position = at_work.publish();
        at_work.confirmed(position);
    }
    at_work.stays_low();
    let logs = |disk: &SimDisk| disk.files().iter().filter(|(path, _)| path.starts_with("log")).count();
    let before = logs(&at_work.disk);
    at_work.disk.refuse(None);
    at_work.told.wait_for(|event| *event == Event::Low(false));
    assert_eq!(*at_work.told.all.lock(), [Event::Low(true), Event::Low(false)]);
    assert!(logs(&at_work.disk) <= before && at_work.disk.files().iter().any(|(path, _)| path.ends_with("checkpoint")));
    at_work.close();
}

/// Segments cannot be written and the log is as far ahead of them as it may be.
#[test]
fn an_orderly_stop_does_not_wait_for_the_keeper() {
    let mut at_work = AtWork::new(Durability::Group);
    at_work.refuse(Call::Write, "queues/0000000000000001", Errno::NOSPC);
    let mut last = 0;
    let mut since = Instant::now();
    while since.elapsed() < Duration::from_millis(500) {
        if at_work.journal.committed() >= last {
            (last, since) = (at_work.publish(), Instant::now());
        }
    }
    let (disk, closed) = at_work.try_close();
    assert!(closed.unwrap_err().to_string().contains("'queues/"));
    disk.refuse(None);
    assert_eq!(AtWork::on(disk, Durability::Group).1.queues[0].count, last);
}

/// What a checkpoint makes free is lost if it was not flushed.
#[test]
fn a_segment_that_cannot_be_flushed_ends_the_broker() {
    for error in [Errno::IO, Errno::NOSPC] {
        let mut at_work = AtWork::new(Durability::Group);
        at_work.refuse(Call::Sync, "queues/0000000000000001", error);
        let mut last = 0;
        while at_work.disk.refused() == 0 {
            last = at_work.publish();
            at_work.wait_until("confirmed", || at_work.journal.committed() >= last || at_work.disk.refused() > 0);
        }
        let error = at_work.told.failure();
        assert!(error.starts_with("cannot flush 'queues/"), "{error}");
        let journal = at_work.journal.clone();
        at_work.disk.refuse(None);
        let disk = at_work.close();
        let confirmed = journal.committed();
        disk.crash();
        let recovered = AtWork::on(disk, Durability::Group).1;
        let kept = recovered.queues[0].count;
        assert!((confirmed..=last).contains(&kept), "{kept} of {confirmed}");
    }
}

#[test]
fn what_is_handed_to_the_system_is_confirmed_before_the_flush_of_the_interval() {
    let mut at_work = AtWork::new(Durability::Interval(NEVER));
    // No flush can come between: the interval does not end.
    let refusal = Refusal { call: Call::Sync, dir: "log", error: Errno::IO };
    let first = at_work.publish();
    at_work.confirmed(first);
    at_work.disk.refuse(Some(refusal));
    for _ in 0..3 {
        let position = at_work.publish();
        at_work.confirmed(position);
        assert!(!at_work.disk.is_synced("log"));
    }
    assert_eq!(at_work.disk.refused(), 0);
    // A definition is flushed whatever the interval is, and what came before it with it.
    at_work.disk.refuse(None);
    let define = Op::Define { key: Box::new([1]), value: Box::new([]) };
    let position = at_work.journal.write().push(define);
    at_work.confirmed(position);
    assert!(at_work.disk.is_synced("log"));
    at_work.close();
}

#[test]
fn the_flush_of_the_interval_comes_though_nothing_else_does() {
    let mut at_work = AtWork::new(Durability::Interval(Duration::from_millis(20)));
    for _ in 0..5 {
        let last = at_work.publish();
        at_work.confirmed(last);
        at_work.wait_until("flushed", || at_work.disk.is_synced("log"));
    }
    // Nothing is confirmed any more when it fails, though nobody waited for it.
    at_work.refuse(Call::Sync, "log", Errno::IO);
    let last = at_work.publish();
    at_work.told.failure();
    at_work.disk.refuse(None);
    let later = at_work.publish();
    let journal = at_work.journal.clone();
    at_work.close();
    assert!(journal.committed() <= last && journal.committed() < later);
}

/// Otherwise publishers would wait for ever.
#[test]
fn a_thread_that_panics_ends_the_broker() {
    let mut at_work = AtWork::new(Durability::Group);
    let first = at_work.publish();
    let run = vec![(1, Text { id: 1, lasting: true, shared: false, len: 100 })];
    at_work.store.request(Request::PageOut { queue: QUEUE, lasting: true, run });
    at_work.told.wait_for(|event| *event == Event::PagedOut);
    at_work.confirmed(first);
    let segment = Path::new("queues/0000000000000001/00000001.seg");
    at_work.disk.change(segment, |bytes| *bytes.last_mut().unwrap() ^= 1);
    // Who is told expects no error here.
    at_work.store.request(Request::Load { queue: QUEUE, from: 1, to: 2, bytes: 1000 });
    assert_eq!(at_work.told.failure(), "the thread 'keeper' of the store has panicked");
    at_work.publish();
    let (journal, told) = (at_work.journal.clone(), at_work.told.clone());
    at_work.close();
    assert_eq!(journal.committed(), first, "{:?}", told.all.lock());
}

/// The store is asked for the flush at the interval's end and not later.
#[test]
fn a_writer_with_a_deadline_gets_an_empty_group_when_it_has_passed() {
    let journal = Journal::<Text>::new();
    let mut group = Group::default();
    let passed = Some(Instant::now());
    assert!(journal.take(&mut group, NEVER, passed));
    assert!(group.ops.is_empty());
}
