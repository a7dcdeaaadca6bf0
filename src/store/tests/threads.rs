//! The two threads on a disk that refuses.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::at_work::{AtWork, Event, QUEUE};
use super::sim::{Call, Refusal, SimDisk};
use super::text::Text;
use crate::broker::journal::{Group, Journal, Op, Request};
use crate::store::disk::Disk;
use crate::store::log::format::SECTOR;
use crate::store::log::{GROUP_LEN_MAX, LogPosition, LogWriter};
use crate::store::{Durability, StoreError};

/// So long that it is only waited for in a test that fails.
const NEVER: Duration = Duration::from_secs(3600);

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

/// Otherwise publishers stand still, when the log is as far ahead as it may be, until nothing has come for a while.
#[test]
fn files_of_the_log_are_freed_while_messages_come() {
    let mut at_work = AtWork::new(Durability::Group);
    for _ in 0..1000 {
        let published = at_work.publish();
        at_work.confirmed(published);
    }
    at_work.close();
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

/// There may be more segments than files that may be open, and a queue that cannot be looked at stays closed.
#[test]
fn segments_are_not_all_open_at_once() {
    let mut at_work = AtWork::new(Durability::Group);
    let last = (0..150).map(|_| at_work.publish()).last().unwrap();
    at_work.confirmed(last);
    for first in (1..=last).step_by(3) {
        let text = |id| (id, Text { id, lasting: true, shared: false, len: 1500 });
        let run = (first..first + 3).map(text).collect();
        at_work.store.request(Request::PageOut { queue: QUEUE, lasting: true, run });
    }
    at_work.wait_until("paged out", || at_work.told.paged_out() == 50);
    let disk = at_work.close();
    let segments = disk.files().iter().filter(|(path, _)| path.starts_with("queues")).count();
    disk.take_most_handles();
    let (at_work, recovered) = AtWork::on(disk, Durability::Group);
    assert!(recovered.damaged.is_empty() && recovered.queues[0].count == last);
    let handles = at_work.disk.take_most_handles();
    assert!(segments > 30 && handles < 20, "{handles} for {segments} segments");
    at_work.close();
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
    at_work.disk.change(segment, |bytes| bytes[60] ^= 1);
    // Who is told expects no error here.
    at_work.store.request(Request::Load { queue: QUEUE, from: 1, to: 2, bytes: 1000 });
    assert_eq!(at_work.told.failure(), "the thread 'keeper' of the store has panicked");
    at_work.publish();
    let (journal, told) = (at_work.journal.clone(), at_work.told.clone());
    at_work.close();
    assert_eq!(journal.committed(), first, "{:?}", told.all.lock());
}

/// The journal gives no such group; if it did, a wrong length would make the log unreadable from there.
#[test]
fn a_group_that_is_too_large_is_not_written() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    disk.create_dir(Path::new("log")).unwrap();
    let mut log = LogWriter::new(disk, Arc::default(), LogPosition::default(), true);
    let of =
        |len| Op::Publish { queue: QUEUE, position: 1, message: Text { id: 1, lasting: true, shared: false, len } };
    let refused = log.append(&[of(GROUP_LEN_MAX as usize)]).map(|written| written.bytes);
    assert!(matches!(refused, Err(StoreError::GroupTooLarge { bytes }) if bytes > GROUP_LEN_MAX));
    assert_eq!(log.append(&[of(GROUP_LEN_MAX as usize - SECTOR)]).unwrap().bytes, GROUP_LEN_MAX);
}

/// The store is asked for the flush at the interval's end and not later.
#[test]
fn a_writer_with_a_deadline_gets_an_empty_group_when_it_has_passed() {
    let journal = Journal::<Text>::new();
    let mut group = Group::default();
    let passed = Some(Instant::now());
    assert!(journal.take(&mut group, NEVER, passed, |_| ()));
    assert!(group.ops.is_empty());
}
