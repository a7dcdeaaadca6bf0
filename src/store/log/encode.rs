//! From a journal's group to bytes. What is settled, or whose queue is dropped, in the same group as it was published is left out; but not
//! of a queue to which something is restored in that group: all of it is written then, in its order.

use std::collections::{HashMap, HashSet};
use std::hint::black_box;

use foldhash::fast::RandomState;

use super::format::{Logged, begin_group, end_group, put, put_publish};
use crate::broker::journal::{Op, Payload, QueueId};

/// What a written group means for what is kept: the operations without their messages, runs of positions as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) enum Effect {
    Published {
        queue: QueueId,
        first: u64,
        last: u64,
        weight: u64,
    },
    Settled {
        queue: QueueId,
        first: u64,
        last: u64,
        weight: u64,
    },
    Delivered {
        queue: QueueId,
        up_to: u64,
    },
    Marked {
        queue: QueueId,
        position: u64,
        mark: u64,
    },
    Defined {
        key: Box<[u8]>,
        value: Box<[u8]>,
    },
    Forgotten {
        key: Box<[u8]>,
    },
    Dropped {
        queue: QueueId,
    },
    /// Positions up to here were used, and what stood there last needed no writing.
    Passed {
        queue: QueueId,
        up_to: u64,
    },
}

/// See the module. Keeps its allocations from group to group.
#[derive(Default)]
pub(super) struct Encoder {
    /// The group; empty if nothing of it needs to be written.
    pub(super) bytes: Vec<u8>,
    /// In the order of the operations.
    pub(super) effects: Vec<Effect>,
    settled: HashMap<QueueId, Vec<Range>, RandomState>,
    dropped: HashSet<QueueId, RandomState>,
    restored: HashSet<QueueId, RandomState>,
    /// Where the message of each handle was written, for those that several queues have: offset from the group's beginning, and length.
    shared: HashMap<usize, (u64, u32), RandomState>,
    /// Last positions delivered that are not written yet: no group is written for them alone.
    delivered: HashMap<QueueId, u64, RandomState>,
}

/// So many operations are looked at before they are encoded.
const AHEAD: usize = 32;

/// Bytes of its message, if it has one.
fn message_len<P: Payload>(op: &Op<P>) -> usize {
    match op {
        Op::Publish { message, .. } | Op::Restore { message, .. } => message.encoded_len(),
        _ => 0,
    }
}

/// Positions that the group settles, and what of them was left out.
struct Range {
    first: u64,
    last: u64,
    left_out: u64,
    left_out_weight: u64,
}

impl Encoder {
    /// Encodes a group that will be written at `offset` of a file.
    pub(super) fn encode<P: Payload>(&mut self, ops: &[Op<P>], generation: u64, offset: u64, synced: u64) {
        self.bytes.clear();
        self.effects.clear();
        self.shared.clear();
        self.gather(ops);
        begin_group(&mut self.bytes);
        let empty = self.bytes.len();
        for some in ops.chunks(AHEAD) {
            // To look at them is what counts: messages that are still with the processor that received them come together so.
            let _: usize = black_box(some.iter().map(message_len).sum());
            some.iter().for_each(|op| self.op(op, offset));
        }
        for (queue, ranges) in &self.settled {
            if !self.dropped.contains(queue)
                && let Some(range) = ranges.iter().rev().find(|range| range.left_out > 0)
            {
                self.effects.push(Effect::Passed { queue: *queue, up_to: range.last });
            }
        }
        if self.bytes.len() == empty {
            self.bytes.clear();
            return;
        }
        for (queue, up_to) in &self.delivered {
            put(&mut self.bytes, &Logged::Delivered { queue: *queue, up_to: *up_to });
        }
        end_group(&mut self.bytes, generation, synced);
    }

    /// What was encoded last has been written.
    pub(super) fn written(&mut self) {
        self.delivered.clear();
    }

    /// What is settled and dropped in this group.
    fn gather<P>(&mut self, ops: &[Op<P>]) {
        self.settled.clear();
        self.dropped.clear();
        self.restored.clear();
        for op in ops {
            match *op {
                Op::Settle { queue, first, last, .. } => {
                    let range = Range { first, last, left_out: 0, left_out_weight: 0 };
                    self.settled.entry(queue).or_default().push(range);
                }
                Op::Drop { queue } => {
                    self.dropped.insert(queue);
                }
                Op::Restore { queue, .. } => {
                    self.restored.insert(queue);
                }
                _ => {}
            }
        }
        for queue in &self.restored {
            self.settled.remove(queue);
        }
        for ranges in self.settled.values_mut() {
            if !ranges.is_sorted_by(|a, b| a.last < b.first) {
                ranges.sort_unstable_by_key(|range| range.first);
                ranges.dedup_by(|next, range| {
                    let joins = next.first <= range.last;
                    if joins {
                        range.last = range.last.max(next.last);
                    }
                    joins
                });
            }
        }
    }

    fn op<P: Payload>(&mut self, op: &Op<P>, offset: u64) {
        match op {
            Op::Publish { queue, position, message } | Op::Restore { queue, position, message } => {
                self.publish(*queue, *position, message, offset);
            }
            Op::Settle { queue, first, last, weight } => self.settle(*queue, *first, *last, *weight),
            Op::Delivered { queue, up_to } => {
                if !self.dropped.contains(queue) {
                    let known = self.delivered.entry(*queue).or_default();
                    *known = (*known).max(*up_to);
                    self.effects.push(Effect::Delivered { queue: *queue, up_to: *up_to });
                }
            }
            Op::Mark { queue, position, mark } => {
                let settled = self.range_of(*queue, *position).is_some();
                if !settled && !self.dropped.contains(queue) {
                    put(&mut self.bytes, &Logged::Mark { queue: *queue, position: *position, mark: *mark });
                    self.effects.push(Effect::Marked { queue: *queue, position: *position, mark: *mark });
                }
            }
            Op::Define { key, value } => {
                put(&mut self.bytes, &Logged::Define { key, value });
                self.effects.push(Effect::Defined { key: key.clone(), value: value.clone() });
            }
            Op::Forget { key } => {
                put(&mut self.bytes, &Logged::Forget { key });
                self.effects.push(Effect::Forgotten { key: key.clone() });
            }
            Op::Drop { queue } => {
                self.delivered.remove(queue);
                put(&mut self.bytes, &Logged::Drop { queue: *queue });
                self.effects.push(Effect::Dropped { queue: *queue });
            }
        }
    }

    fn publish<P: Payload>(&mut self, queue: QueueId, position: u64, message: &P, offset: u64) {
        let weight = message.weight();
        if let Some(range) = self.range_of(queue, position) {
            range.left_out += 1;
            range.left_out_weight += weight;
            return;
        }
        if !self.dropped.is_empty() && self.dropped.contains(&queue) {
            return;
        }
        match message.shared_id() {
            None => {
                put_publish(&mut self.bytes, queue, position, weight as u32, |out| message.write(out));
            }
            Some(id) => match self.shared.get(&id) {
                Some(&(at, len)) => {
                    let refer = Logged::Refer { queue, position, weight: weight as u32, offset: offset + at, len };
                    put(&mut self.bytes, &refer);
                }
                None => {
                    let at = put_publish(&mut self.bytes, queue, position, weight as u32, |out| message.write(out));
                    self.shared.insert(id, (at as u64, (self.bytes.len() - at) as u32));
                }
            },
        }
        match self.effects.last_mut() {
            Some(Effect::Published { queue: known, last, weight: sum, .. })
                if *known == queue && *last + 1 == position =>
            {
                *last = position;
                *sum += weight;
            }
            _ => self.effects.push(Effect::Published { queue, first: position, last: position, weight }),
        }
    }

    fn settle(&mut self, queue: QueueId, first: u64, last: u64, mut weight: u64) {
        if !self.dropped.is_empty() && self.dropped.contains(&queue) {
            return;
        }
        if let Some(range) = self.range_of(queue, first) {
            let taken = weight.min(range.left_out_weight);
            range.left_out_weight -= taken;
            weight -= taken;
            if range.left_out == range.last - range.first + 1 {
                return;
            }
        }
        put(&mut self.bytes, &Logged::Settle { queue, first, last, weight });
        self.effects.push(Effect::Settled { queue, first, last, weight });
    }

    /// The positions settled in this group that this one is among.
    #[inline]
    fn range_of(&mut self, queue: QueueId, position: u64) -> Option<&mut Range> {
        if self.settled.is_empty() {
            return None;
        }
        let ranges = self.settled.get_mut(&queue)?;
        let at = ranges.partition_point(|range| range.first <= position).checked_sub(1)?;
        ranges.get_mut(at).filter(|range| range.last >= position)
    }
}
