//! A store that is a map: what a queue's lanes have on disk.

use std::collections::{BTreeMap, VecDeque};

use parking_lot::Mutex;

use crate::broker::journal::{Loaded, Op, Pager, QueueId, Request};
use crate::broker::kept::Kept;
use crate::broker::queue::Recovered;

/// What was asked for and is not done.
#[derive(Default)]
pub(super) struct Requests(pub(super) Mutex<VecDeque<Request<Kept>>>);

impl Pager for Requests {
    fn request(&self, request: Request<Kept>) {
        self.0.lock().push_back(request);
    }
}

/// What the store has of a lane.
#[derive(Default)]
pub(super) struct Stored {
    pub(super) logged: BTreeMap<u64, Kept>,
    marks: BTreeMap<u64, u64>,
    pub(super) paged: BTreeMap<u64, Kept>,
    delivered: u64,
    /// The last position that the log has told of.
    pub(super) last: u64,
}

impl Stored {
    pub(super) fn write(&mut self, op: Op<Kept>) {
        match op {
            Op::Publish { position, message, .. } => {
                assert!(position > self.last);
                self.last = position;
                self.logged.insert(position, message);
            }
            Op::Restore { position, message, .. } => _ = self.logged.insert(position, message),
            Op::Settle { first, last, .. } => {
                let gone = |position: &u64| (first..=last).contains(position);
                self.logged.retain(|position, _| !gone(position));
                self.paged.retain(|position, _| !gone(position));
                self.marks.retain(|position, _| !gone(position));
            }
            Op::Delivered { up_to, .. } => {
                self.delivered = self.delivered.max(up_to);
                self.last = self.last.max(up_to);
            }
            Op::Mark { position, mark, .. } => _ = self.marks.insert(position, mark),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn page_out(&mut self, run: Vec<(u64, Kept)>) {
        let after = self.paged.last_key_value().map_or(0, |(position, _)| *position);
        assert!(run.is_sorted_by_key(|(position, _)| *position) && run[0].0 > after);
        for (position, message) in run {
            if !message.lasting || self.logged.contains_key(&position) {
                self.paged.insert(position, message);
            }
        }
    }

    pub(super) fn load(&mut self, from: u64, to: u64, bytes: usize) -> Vec<Loaded<Kept>> {
        let (mut loaded, mut taken) = (Vec::new(), 0);
        for (position, message) in self.paged.range(from..to) {
            if taken >= bytes.max(1) {
                break;
            }
            taken += message.message.body_len().max(1);
            let mark = self.marks.get(position).copied().unwrap_or(0);
            let redelivered = *position <= self.delivered;
            loaded.push(Loaded { position: *position, redelivered, mark, message: message.clone() });
        }
        for loaded in loaded.iter().filter(|loaded| !loaded.message.lasting) {
            self.paged.remove(&loaded.position);
        }
        loaded
    }

    /// What a restart finds.
    pub(super) fn recover(&mut self) -> Recovered {
        self.paged = self.logged.clone();
        Recovered {
            first: self.logged.keys().next().copied().unwrap_or(self.last + 1),
            next: self.last + 1,
            count: self.logged.len() as u64,
            body_bytes: self.logged.values().map(|kept| kept.message.body_len() as u64).sum(),
        }
    }
}

/// Which lane an operation of a queue changes.
pub(super) fn queue_of(op: &Op<Kept>) -> Option<QueueId> {
    match op {
        Op::Publish { queue, .. }
        | Op::Restore { queue, .. }
        | Op::Settle { queue, .. }
        | Op::Delivered { queue, .. }
        | Op::Mark { queue, .. } => Some(*queue),
        _ => None,
    }
}
