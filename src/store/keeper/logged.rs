//! Messages that a start leaves in the log because the disk is full: where they stand, so that they can be loaded.

use super::Keeper;
use crate::broker::journal::Payload;
use crate::store::error::StoreError;
use crate::store::log::format::{GROUP_HEAD, Logged, PUBLISH_HEAD, ops};
use crate::store::log::read::{GroupReader, Next};
use crate::store::shelf::LogPlace;

impl<P: Payload> Keeper<P> {
    /// Notes where the wanted messages of a file of the log stand. They are moved as all others are, when there is space.
    ///
    /// # Errors
    /// What the disk says, or the log is damaged.
    pub(in crate::store) fn note_places(&mut self, reader: &mut GroupReader) -> Result<(), StoreError> {
        let generation = reader.generation();
        reader.seek(0);
        while let Next::Group(group, body) = reader.next()? {
            for (payload, op) in ops(body).flatten() {
                let (queue, position, offset, len) = match op {
                    Logged::Publish { queue, position, message, .. } => {
                        let offset = group + (GROUP_HEAD + payload + PUBLISH_HEAD) as u64;
                        (queue, position, offset, message.len() as u32)
                    }
                    Logged::Refer { queue, position, offset, len, .. } => (queue, position, offset, len),
                    _ => continue,
                };
                let Some(shelf) = self.shelves.get_mut(&queue).filter(|shelf| shelf.unfiled.contains(position)) else {
                    continue;
                };
                shelf.logged.insert(position, LogPlace { generation, offset, len });
                let ranges = self.published.entry(generation).or_default();
                let range = ranges.entry(queue).or_insert((position, position));
                *range = (range.0.min(position), range.1.max(position));
            }
        }
        Ok(())
    }
}
