//! What fuzz targets call, and a test with pseudo-random input. Each takes any bytes and panics when a promise does not hold.

use std::io;
use std::path::Path;
use std::sync::Arc;

use roaring::RoaringTreemap;

use super::checkpoint;
use super::disk::{Disk, DiskFile};
use super::log::format::{FileHead, GroupHead, Logged, begin_group, end_group, ops, put};
use super::log::read::{GroupReader, Next};
use super::recovery;
use super::segment::{self, Segment};
use crate::broker::journal::QueueId;

/// A disk that has one file under every name.
struct Bytes(Arc<[u8]>);

/// Operations of a group: those that are read are written the same again.
pub fn group(input: &[u8]) {
    let _ = recovery::effects(input);
    let _ = GroupHead::decode(input, 1).map(|head| head.validates(input));
    let _ = FileHead::decode(input);
    let mut out = Vec::new();
    begin_group(&mut out);
    let empty = out.len();
    for (_, op) in ops(input).flatten() {
        put(&mut out, &op);
    }
    let again: Vec<_> = ops(&out[empty..]).flatten().map(|(_, op)| op).collect();
    assert!(again.iter().eq(ops(input).flatten().map(|(_, op)| op).collect::<Vec<Logged<'_>>>().iter()));
    end_group(&mut out, 1, 0);
    assert!(GroupHead::decode(&out, 1).is_some_and(|head| head.validates(&out)));
}

/// A file of the log behind its header: it is read to an end or refused.
pub fn log_file(input: &[u8]) {
    let mut bytes = FileHead { generation: 1, previous_end: 0 }.encode();
    bytes.extend_from_slice(input);
    let disk = Bytes(bytes.into());
    let Ok(Some(mut reader)) = GroupReader::open(&disk, 1) else { panic!("its header is there") };
    while let Ok(Next::Group(at, body)) = reader.next() {
        assert!(at as usize + body.len() <= input.len() + 512);
    }
    let Ok(mut reader) = GroupReader::open_damaged(&disk, 1) else { panic!("it is there") };
    reader.seal_at(disk.0.len() as u64);
    while let Ok(Next::Group(..)) = reader.next() {}
    assert!(reader.take_skipped().iter().all(|(from, to)| from <= to));
}

/// A segment behind its header.
pub fn segment(input: &[u8]) {
    let (queue, number) = (QueueId(1), 1);
    let mut bytes = segment::head(queue, number);
    bytes.extend_from_slice(input);
    let len = bytes.len() as u64;
    let disk = Bytes(bytes.into());
    let known = |live| Segment::known(&segment::dir(true, queue), queue, number, len, live);
    let scanned = known(RoaringTreemap::new()).scan(&disk);
    let Ok((found, _)) = scanned else { panic!("nothing refuses to read") };
    let mut segment = known((0..4).chain(found.iter().take(100)).collect());
    for position in segment.live.clone() {
        if let Ok(record) = segment.read(&disk, position, usize::MAX) {
            assert!(record.message.len() <= input.len());
        }
    }
}

/// A checkpoint, its checksum made right.
pub fn checkpoint(input: &[u8]) {
    let _ = checkpoint::decode(input);
    let mut bytes = input.to_vec();
    checkpoint::end(&mut bytes);
    if let Some(checkpoint) = checkpoint::decode(&bytes) {
        assert!(checkpoint.definitions.len() + checkpoint.shelves.len() <= input.len());
    }
}

impl Disk for Bytes {
    fn open(&self, _: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(Self(self.0.clone())))
    }

    fn create(&self, _: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn remove_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(0)
    }
}

impl DiskFile for Bytes {
    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = self.0.get(offset as usize..).unwrap_or_default();
        let len = rest.len().min(bytes.len());
        bytes[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::store::shelf::Shelf;

    /// What is right but for a few bytes gets further than noise.
    fn samples() -> [Vec<u8>; 3] {
        let mut group = Vec::new();
        begin_group(&mut group);
        let queue = QueueId(1);
        put(&mut group, &Logged::Publish { queue, position: 1, weight: 3, message: b"abc" });
        put(&mut group, &Logged::Refer { queue, position: 2, weight: 3, offset: 600, len: 3 });
        put(&mut group, &Logged::Settle { queue, first: 1, last: 2, weight: 6 });
        put(&mut group, &Logged::Define { key: b"key", value: b"value" });
        end_group(&mut group, 1, 512);
        let mut log = group.clone();
        log.extend_from_slice(&group);
        let mut checkpoint = checkpoint::begin(Default::default(), 1, true, 2, 1, 1);
        checkpoint::put_definition(&mut checkpoint, b"key", b"value");
        let mut shelf = Shelf::new(queue, true);
        shelf.published(1, 70_000, 3);
        shelf.marks.insert(1, 2);
        let live = RoaringTreemap::from_iter(1..5000);
        shelf.add_known(Segment::known(&segment::dir(true, queue), queue, 1, 900, live));
        checkpoint::put_shelf(&mut checkpoint, &shelf);
        [group[40..].to_vec(), log, checkpoint]
    }

    #[test]
    fn any_bytes_are_read_or_refused() {
        let mut rng = StdRng::seed_from_u64(1);
        let samples = samples();
        for round in 0..30_000 {
            let mut input = match round % 4 {
                3 => vec![0; rng.random_range(0..300)],
                n => samples[n].clone(),
            };
            if round % 4 == 3 {
                rng.fill(&mut input[..]);
            }
            for _ in 0..rng.random_range(0..4) {
                if let Some(at) = input.len().checked_sub(1).map(|last| rng.random_range(0..=last)) {
                    input[at] = [0, 1, 0x7f, 0xff, rng.random()][rng.random_range(0..5)];
                }
            }
            input.truncate(rng.random_range(0..=input.len() * 2));
            group(&input);
            log_file(&input);
            segment(&input);
            checkpoint(&input);
        }
    }
}
