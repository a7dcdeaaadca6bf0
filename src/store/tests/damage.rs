//! Bytes that change and files that vanish.

use std::path::Path;
use std::sync::Arc;

use rand::Rng;
use rand::seq::IteratorRandom;
use rustix::io::Errno;

use super::at_work::{AtWork, Event, QUEUE};
use super::judge::read_all;
use super::sim::{Call, Fault, Refusal, SimDisk};
use super::simulation::{Simulation, each_seed};
use super::text::Text;
use crate::broker::journal::{QueueId, Request};
use crate::store::check::{check_disk, repair_disk};
use crate::store::checkpoint::{COPY, FILE, read};
use crate::store::disk::{Disk, DiskFile};
use crate::store::log::file_path;
use crate::store::log::format::{FileHead, GROUP_HEAD, Logged, SECTOR, begin_group, end_group, put};
use crate::store::log::read::{GroupReader, Next};
use crate::store::recovery::{Opened, recover};
use crate::store::{DefinitionBytes, Durability, Names};

/// Whatever is damaged, and wherever: the broker starts again after a repair, and the queues are readable.
#[test]
fn a_damaged_directory_is_refused_or_repaired() {
    each_seed(1500, |seed| Simulation::new(seed).damage_and_repair());
}

/// Of the checkpoint there are two, of which one may be older.
#[test]
fn one_file_of_the_checkpoint_may_be_lost_at_any_time() {
    each_seed(1500, |seed| Simulation::new(seed).lose_a_checkpoint());
}

/// The disk may read it the next time, or another one can.
#[test]
fn what_the_disk_refuses_to_read_is_not_left_out() {
    let text = |id| Text { id, lasting: true, shared: false, len: 100 };
    for dir in ["queues/0000000000000001", ""] {
        let mut at_work = AtWork::new(Durability::Group);
        let last = (0..20).map(|_| at_work.publish()).last().unwrap();
        at_work.confirmed(last);
        let run = (1..=10).map(|id| (id, text(id))).collect();
        at_work.store.request(Request::PageOut { queue: QUEUE, lasting: true, run });
        at_work.told.wait_for(|event| *event == Event::PagedOut);
        let disk = at_work.close();
        let dyn_disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let (path, _) = disk.files().into_iter().find(|(path, _)| path.starts_with("queues")).unwrap();
        disk.change(&path, |bytes| bytes[60] ^= 1);
        if dir.is_empty() {
            disk.change(Path::new(FILE), |bytes| bytes[20] ^= 1);
        }
        let before = disk.files();
        disk.refuse(Some(Refusal { call: Call::Read, dir, error: Errno::IO }));
        let refused = repair_disk::<Text>(&dyn_disk, &Numbers).unwrap_err().to_string();
        let of = if dir.is_empty() { "cannot read 'checkpoint" } else { "cannot read 'queues/0000000000000001/" };
        assert!(refused.starts_with(of) && refused.contains("at offset 0: "), "{refused}");
        assert_eq!(disk.files(), before);
        disk.refuse(None);
        let repaired = repair_disk::<Text>(&dyn_disk, &Numbers).unwrap().to_string();
        assert!(repaired.contains("1 messages are lost"), "{repaired}");
        assert_eq!(AtWork::on(disk, Durability::Group).1.queues[0].count, last - 1);
    }
}

/// A file of the log with a group that is whole, and behind it so many sectors of which each looks like a group up to the end.
fn log_with_false_groups(sectors: usize) -> (SimDisk, Arc<dyn DiskFile>, u64) {
    let disk = SimDisk::new(1);
    disk.create_dir(Path::new("log")).unwrap();
    let file = disk.create(&file_path(1)).unwrap();
    file.write_at(&FileHead { generation: 1, previous_end: 0 }.encode(), 0).unwrap();
    let end = 2 * SECTOR as u64;
    file.write_at(&group(SECTOR as u64), SECTOR as u64).unwrap();
    for n in 0..sectors {
        let mut sector = group(end);
        let rest = ((sectors - n) * SECTOR - GROUP_HEAD - 1) as u32;
        sector[16..20].copy_from_slice(&rest.to_le_bytes());
        // What an attacker knows: that something before it was durable.
        sector[24..32].copy_from_slice(&(end + 1).to_le_bytes());
        file.write_at(&sector, end + (n * SECTOR) as u64).unwrap();
    }
    (disk, file, end)
}

/// A whole group of one sector.
fn group(synced: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    begin_group(&mut bytes);
    put(&mut bytes, &Logged::Forget { key: b"a name" });
    end_group(&mut bytes, 1, synced);
    bytes
}

/// A client's message may look as it likes.
#[test]
fn a_torn_end_that_looks_like_many_groups_is_read_a_few_times_only() {
    let (disk, file, end) = log_with_false_groups(2000);
    let before = disk.read();
    let mut reader = GroupReader::open(&disk, 1).unwrap().unwrap();
    assert!(matches!(reader.next(), Ok(Next::Group(..))));
    assert!(matches!(reader.next(), Ok(Next::End(true))));
    assert!(disk.read() - before < 6 * file.len().unwrap(), "{}", disk.read() - before);
    // One that is a group is found behind them.
    let later = file.len().unwrap();
    file.write_at(&group(end + 1), later).unwrap();
    let mut reader = GroupReader::open_damaged(&disk, 1).unwrap();
    assert!(matches!(reader.next(), Ok(Next::Group(..))));
    assert!(matches!(reader.next(), Ok(Next::Group(at, _)) if at == later));
    assert_eq!(reader.take_skipped(), [(end, later)]);
}

struct Numbers;

impl Names for Numbers {
    fn queue(&self, _: &[u8], _: &[u8]) -> Option<(QueueId, String)> {
        None
    }

    fn owner(&self, id: QueueId) -> QueueId {
        id
    }

    fn define(&self, id: QueueId) -> DefinitionBytes {
        (Box::new(id.0.to_le_bytes()), Box::new([]))
    }
}

impl Simulation {
    fn lose_a_checkpoint(mut self) {
        self.start(false, true);
        for _ in 0..3 {
            if self.rng.random_bool(0.5) {
                self.disk.set_fault(Some(Fault::PowerCut(self.rng.random_range(0..200))));
            }
            let mut steps = 0..self.rng.random_range(20..150);
            let lived = steps.try_for_each(|_| self.step());
            let closed = lived.is_ok() && self.rng.random_bool(0.3) && self.close().is_ok();
            if !closed {
                self.fall();
            }
            self.harm_a_checkpoint();
            self.start(closed, false);
        }
    }

    fn harm_a_checkpoint(&mut self) {
        // One that was harmed before is not made again while the disk is full.
        let found = read(&*self.dyn_disk).unwrap();
        if found.is_none_or(|found| found.lost.is_some() || found.copy_lost.is_some()) {
            return;
        }
        let files = self.disk.files();
        let both: Vec<_> =
            files.iter().filter(|(path, _)| path == Path::new(FILE) || path == Path::new(COPY)).collect();
        let [(one, len), _] = both[..] else { return };
        let (path, len) = if self.rng.random() { (one, *len) } else { (&both[1].0, both[1].1) };
        let at = self.rng.random_range(0..len);
        match self.rng.random_range(0..3) {
            0 => self.disk.lose(path),
            1 => self.disk.change(path, |bytes| bytes.truncate(at)),
            _ => self.disk.change(path, |bytes| bytes[at] ^= 1 << (at % 8)),
        }
    }

    fn damage_and_repair(mut self) {
        self.group = true;
        self.start(false, true);
        let mut steps = 0..self.rng.random_range(20..150);
        steps.try_for_each(|_| self.step()).unwrap();
        self.disk.set_room(None);
        if self.rng.random_bool(0.3) {
            self.close().unwrap();
        }
        self.running = None;
        self.disk.kill();
        let report = check_disk::<Text>(&self.dyn_disk, &Numbers).unwrap();
        assert!(!report.is_damaged(), "{report}");
        let files = self.disk.files();
        let (path, len) = files.iter().filter(|(_, len)| *len > 0).choose(&mut self.rng).unwrap();
        let at = self.rng.random_range(0..*len);
        match self.rng.random_range(0..5) {
            0 => self.disk.remove(path).unwrap(),
            1 => self.disk.change(path, |bytes| bytes.truncate(at)),
            _ => self.disk.change(path, |bytes| bytes[at] ^= 1 << (at % 8)),
        }
        let before = check_disk::<Text>(&self.dyn_disk, &Numbers).unwrap();
        let opened = recover::<Text>(&self.dyn_disk, &mut |_, _| {});
        match &opened {
            Ok(opened) => {
                let undamaged = opened.recovered.damaged.is_empty();
                assert!(undamaged || before.is_damaged(), "{:?}, but: {before}", opened.recovered.damaged);
            }
            Err(error) => assert!(before.is_damaged(), "{path:?} at {at}: {error}, but: {before}"),
        }
        drop(opened);
        let repaired = repair_disk::<Text>(&self.dyn_disk, &Numbers).unwrap();
        let after = check_disk::<Text>(&self.dyn_disk, &Numbers).unwrap();
        assert!(!after.is_damaged(), "{path:?} at {at}: {repaired}\nand then: {after}");
        let Opened { mut keeper, recovered, .. } = recover::<Text>(&self.dyn_disk, &mut |_, _| {}).unwrap();
        assert!(recovered.damaged.is_empty(), "{path:?} at {at}: {repaired}\n{:?}", recovered.damaged);
        let messages = read_all(&mut keeper, &recovered);
        for queue in &recovered.queues {
            let found = &messages[&queue.queue];
            let weight: u64 = found.iter().map(|loaded| loaded.message.len as u64).sum();
            assert_eq!((queue.count, queue.weight), (found.len() as u64, weight), "{repaired}");
        }
    }
}
