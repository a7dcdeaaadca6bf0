//! What can still be read of segments that are damaged, or that no checkpoint knows.

use std::path::Path;

use roaring::RoaringTreemap;

use super::check::Report;
use super::disk::Disk;
use super::error::StoreError;
use super::segment::Segment;
use super::shelf::Shelf;
use crate::broker::journal::{Payload, QueueId};

/// Reads all wanted messages of a segment: positions that cannot be read, and the weight of the others. Tells of each damage with how
/// many messages it costs.
///
/// # Errors
/// The disk refuses: what it has may be as it was written.
pub(super) fn read_all<P: Payload>(
    segment: &mut Segment,
    disk: &dyn Disk,
    mut damage: impl FnMut(&StoreError, u64),
) -> Result<(RoaringTreemap, u64), StoreError> {
    let (mut lost, mut weight) = (RoaringTreemap::new(), 0);
    let positions = segment.live.clone();
    for position in &positions {
        let path = segment.path().to_owned();
        let error = match segment.read(disk, position, usize::MAX) {
            Ok(record) => match P::read(record.message) {
                Some(message) => {
                    weight += message.weight();
                    continue;
                }
                None => StoreError::damaged(path, 0, format!("message {position} cannot be read")),
            },
            Err(error @ StoreError::Io { .. }) => return Err(error),
            Err(error) => error,
        };
        // Behind a wrong checksum the next record is where it should be. Behind other damage nothing can be found.
        if matches!(&error, StoreError::Damaged { what, .. } if what.starts_with("a checksum") || what.starts_with("message "))
        {
            lost.insert(position);
            damage(&error, 1);
            continue;
        }
        let rest = positions.len() - positions.rank(position) + 1;
        lost.extend(positions.iter().skip_while(|other| *other < position));
        damage(&error, rest);
        break;
    }
    Ok((lost, weight))
}

/// The queues' messages as their segments have them, if nothing else is known.
///
/// # Errors
/// What the disk says.
pub(super) fn shelves(disk: &dyn Disk, report: &mut Report) -> Result<Vec<Shelf>, StoreError> {
    let queues = Path::new("queues");
    let mut shelves = Vec::new();
    for name in disk.list(queues).map_err(StoreError::io("list", queues))? {
        let Ok(id) = u64::from_str_radix(&name, 16) else { continue };
        let mut shelf = Shelf::new(QueueId(id), true);
        let dir = shelf.dir();
        for file in disk.list(&dir).map_err(StoreError::io("list", &dir))? {
            let Some(number) = file.strip_suffix(".seg").and_then(|hex| u64::from_str_radix(hex, 16).ok()) else {
                continue;
            };
            let path = dir.join(&file);
            let len = disk.open(&path).and_then(|file| file.len()).map_err(StoreError::io("open", path))?;
            let mut segment = Segment::known(&dir, shelf.queue, number, len, RoaringTreemap::new());
            let (found, unreadable) = match segment.scan(disk) {
                Ok(scanned) => scanned,
                Err(error @ StoreError::Damaged { .. }) => {
                    report.damage(format!("{error}; its messages are lost"));
                    continue;
                }
                Err(error) => return Err(error),
            };
            if unreadable > 0 {
                report.damage(format!("'{}': {unreadable} messages cannot be read", segment.path().display()));
            }
            // What is in a segment and in the one that was written anew from it counts once.
            let elsewhere = shelf.segments.iter().fold(found, |found, other| found - &other.live);
            shelf.next = shelf.next.max(elsewhere.max().map_or(0, |last| last + 1));
            if !elsewhere.is_empty() {
                shelf.add_known(Segment::known(&dir, shelf.queue, number, len, elsewhere));
            }
        }
        shelves.push(shelf);
    }
    Ok(shelves)
}
