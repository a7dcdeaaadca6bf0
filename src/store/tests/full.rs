//! The two threads on a disk that is full.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::at_work::{AtWork, Event, QUEUE};
use super::sim::{Call, SimDisk};
use super::text::Text;
use crate::broker::journal::{Op, QueueId, Request};
use crate::store::Durability;
use crate::store::disk::Disk;
use crate::store::recovery::recover;

const NEVER: Duration = Duration::from_secs(3600);

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

/// Consumers are those who make room.
#[test]
fn what_is_consumed_makes_room_though_something_else_cannot_be_written() {
    let text = |id, lasting| Text { id, lasting, shared: false, len: 100 };
    let mut at_work = AtWork::new(Durability::Group);
    let last = (0..200).map(|_| at_work.publish()).last().unwrap();
    at_work.confirmed(last);
    for first in (1..=200).step_by(20) {
        let run = (first..first + 20).map(|id| (id, text(id, true))).collect();
        at_work.store.request(Request::PageOut { queue: QUEUE, lasting: true, run });
    }
    at_work.wait_until("paged out", || at_work.told.paged_out() == 10);
    at_work.refuse(Call::Write, "queues/0000000000000002", Errno::NOSPC);
    let run = vec![(1, text(1, false))];
    at_work.store.request(Request::PageOut { queue: QueueId(2), lasting: true, run });
    at_work.told.wait_for(|event| *event == Event::Low(true));
    at_work.journal.write().push(Op::Settle { queue: QUEUE, first: 1, last: 200, weight: 20_000 });
    let is_left = |path: &Path| path.starts_with("queues/0000000000000001");
    at_work.wait_until("freed", || !at_work.disk.files().iter().any(|(path, _)| is_left(path)));
    at_work.disk.refuse(None);
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

#[test]
fn what_is_purged_does_not_wait_for_space() {
    let at_work = AtWork::new(Durability::Group);
    at_work.refuse(Call::Write, "spill/0000000000000001", Errno::NOSPC);
    let text = |id| (id, Text { id, lasting: false, shared: false, len: 100 });
    for run in [vec![text(1), text(3)], vec![text(4), text(7)]] {
        at_work.store.request(Request::PageOut { queue: QUEUE, lasting: false, run });
    }
    at_work.told.wait_for(|event| *event == Event::Low(true));
    at_work.store.request(Request::Discard { queue: QUEUE, first: 1, last: 5 });
    at_work.told.wait_for(|event| *event == Event::PagedOut);
    assert_eq!(at_work.told.paged_out(), 1);
    at_work.store.request(Request::Load { queue: QUEUE, from: 6, to: 8, bytes: 1000 });
    at_work.told.wait_for(|event| *event == Event::Loaded(1));
    at_work.told.wait_for(|event| *event == Event::Low(false));
    assert_eq!(at_work.told.paged_out(), 2);
    assert!(at_work.disk.refused() > 0);
    at_work.close();
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

/// A disk of which segments could not be written until the log was as far ahead of them as it may be; and how many messages it has.
fn with_a_full_log() -> (SimDisk, u64) {
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
    (disk, last)
}

#[test]
fn an_orderly_stop_does_not_wait_for_the_keeper() {
    let (disk, last) = with_a_full_log();
    assert_eq!(AtWork::on(disk, Durability::Group).1.queues[0].count, last);
}

/// Those who make room are consumers, who need a broker.
#[test]
fn a_start_on_a_full_disk_serves_consumers_and_blocks_publishers() {
    let (disk, last) = with_a_full_log();
    disk.kill();
    disk.set_room(Some(0));
    let (mut at_work, recovered) = AtWork::on(disk.clone(), Durability::Group);
    assert_eq!((recovered.queues[0].count, recovered.damaged.len()), (last, 0));
    at_work.told.wait_for(|event| *event == Event::Low(true));
    at_work.store.request(Request::Load { queue: QUEUE, from: 1, to: last + 1, bytes: usize::MAX });
    at_work.told.wait_for(|event| *event == Event::Loaded(last as usize));
    // What is settled is not durable before there is space, and not moved then.
    let settled = at_work.journal.write().push(Op::Settle { queue: QUEUE, first: 2, last: last - 1, weight: 0 });
    assert!(!at_work.told.all.lock().contains(&Event::Low(false)));
    disk.set_room(None);
    at_work.confirmed(settled);
    at_work.told.wait_for(|event| *event == Event::Low(false));
    at_work.next_is(last + 1);
    let published = at_work.publish();
    at_work.confirmed(published);
    let disk = at_work.close();
    disk.crash();
    let (at_work, recovered) = AtWork::on(disk, Durability::Group);
    assert!(recovered.clean && recovered.queues[0].count == 3, "{recovered:?}");
    at_work.store.request(Request::Load { queue: QUEUE, from: 1, to: last + 2, bytes: usize::MAX });
    at_work.told.wait_for(|event| *event == Event::Loaded(3));
    at_work.close();
}

/// Without a checkpoint, or with one of which a file may be older, nothing may be written or removed.
#[test]
fn a_start_that_needs_a_checkpoint_says_how_much_room_it_takes() {
    let disk = SimDisk::new(1);
    disk.set_room(Some(7));
    let dyn_disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let Err(refused) = recover::<Text>(&dyn_disk, &mut |_, _| {}) else { panic!("there is no room") };
    let text = refused.in_dir(Path::new("/data")).to_string();
    let takes = "to start it takes about 131072 free bytes there, and 7 are free";
    assert!(text.starts_with("the disk of data directory '/data' is full: cannot write 'checkpoint.new'"), "{text}");
    assert!(text.contains(takes), "{text}");
    disk.set_room(Some(131_072));
    assert!(!recover::<Text>(&dyn_disk, &mut |_, _| {}).unwrap().is_full);
}

/// Each file of the log goes before the next is moved: it takes room for one.
#[test]
fn a_start_moves_the_log_a_file_at_a_time_if_there_is_little_room() {
    let (disk, last) = with_a_full_log();
    disk.set_room(Some(4500));
    let dyn_disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let opened = recover::<Text>(&dyn_disk, &mut |_, _| {}).unwrap();
    assert!(!opened.is_full && last * 100 > 3 * 4500);
    assert_eq!(opened.recovered.queues[0].count, last);
    assert!(!disk.files().iter().any(|(path, _)| path.starts_with("log")));
}

/// What no checkpoint knows is of no use: pages since the last one, spare files of the log, the pages of transient queues.
#[test]
fn a_start_on_a_full_disk_removes_what_is_of_no_use() {
    let (disk, last) = with_a_full_log();
    let dyn_disk: Arc<dyn Disk> = Arc::new(disk.clone());
    for path in ["queues/0000000000000001/000000ff.seg", "spill/0000000000000009/00000001.seg"].map(Path::new) {
        disk.create_dir(path.parent().unwrap()).unwrap();
        disk.create(path).unwrap().write_at(&[0; 2000], 0).unwrap();
        disk.set_room(Some(0));
        let _ = recover::<Text>(&dyn_disk, &mut |_, _| {});
        assert!(!disk.files().iter().any(|(of, _)| of == path));
        disk.set_room(None);
    }
    assert_eq!(recover::<Text>(&dyn_disk, &mut |_, _| {}).unwrap().recovered.queues[0].count, last);
}
