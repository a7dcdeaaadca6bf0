//! What stands in a queue, in plain lists: who may be next by the line of RabbitMQ that is followed, and what must be gone.

use std::collections::BTreeMap;

use crate::broker::compat::{Compat, QuorumPriorities};
use crate::broker::queue::{DeliveryCounts, Entry, Settlement};

/// What a queue was declared with.
#[derive(Clone, Debug)]
pub(super) struct Form {
    pub(super) quorum: bool,
    pub(super) max_priority: u8,
    pub(super) max_length: Option<usize>,
    pub(super) ttl: Option<u64>,
    pub(super) delivery_limit: u32,
}

/// A message that stands in the queue, or is with a consumer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Standing {
    pub(super) id: u64,
    pub(super) position: u64,
    pub(super) priority: u8,
    pub(super) over_at: u64,
    pub(super) kept: bool,
    pub(super) redelivered: bool,
    pub(super) counts: DeliveryCounts,
}

/// See the module.
pub(super) struct Line {
    pub(super) form: Form,
    pub(super) compat: Compat,
    pub(super) now: u64,
    ready: Vec<Standing>,
    /// Quorum queues: what came back, in that order.
    returned: Vec<Standing>,
    pub(super) unacked: Vec<(Option<usize>, Standing)>,
    last_position: u64,
    /// By priority, the last position delivered.
    delivered: BTreeMap<u8, u64>,
}

impl Line {
    pub(super) fn new(form: Form, compat: Compat) -> Self {
        let (ready, returned, unacked, delivered) = Default::default();
        Self { form, compat, now: 1000, ready, returned, unacked, last_position: 0, delivered }
    }

    /// The lane that a message of this priority stands in.
    pub(super) fn lane_priority(&self, priority: Option<u8>) -> u8 {
        let (default, max) = if self.form.quorum { (4, 31) } else { (0, self.form.max_priority) };
        priority.map_or(default, |priority| priority.min(max))
    }

    pub(super) fn push(&mut self, id: u64, priority: Option<u8>, ttl: Option<u64>, persistent: bool) {
        self.last_position += 1;
        let ttl = [ttl, self.form.ttl].into_iter().flatten().min();
        self.ready.push(Standing {
            id,
            position: self.last_position,
            priority: self.lane_priority(priority),
            over_at: ttl.map_or(u64::MAX, |ttl| self.now + ttl),
            kept: persistent || self.form.quorum,
            redelivered: false,
            counts: DeliveryCounts::default(),
        });
    }

    pub(super) fn len(&self) -> usize {
        self.ready.len() + self.returned.len()
    }

    /// The priorities of each level, the highest first.
    fn levels(&self) -> Vec<std::ops::RangeInclusive<u8>> {
        match self.compat.quorum_priorities() {
            QuorumPriorities::TwoLevels if self.form.quorum => vec![5..=31, 0..=4],
            QuorumPriorities::None if self.form.quorum => vec![0..=31],
            _ => (0..=255).rev().map(|priority| priority..=priority).collect(),
        }
    }

    /// The first of each level that has one.
    fn fronts(&self) -> Vec<Standing> {
        let first = |level: std::ops::RangeInclusive<u8>| {
            let of_level = self.ready.iter().filter(|standing| level.contains(&standing.priority));
            of_level.min_by_key(|standing| standing.position).cloned()
        };
        self.levels().into_iter().filter_map(first).collect()
    }

    /// Those of which one is next.
    fn next(&self) -> Vec<Standing> {
        if let Some(first) = self.returned.first() {
            return vec![first.clone()];
        }
        let both = self.form.quorum && self.compat.quorum_priorities() == QuorumPriorities::TwoLevels;
        self.fronts().into_iter().take(if both { 2 } else { 1 }).collect()
    }

    fn remove(&mut self, id: u64) {
        self.ready.retain(|standing| standing.id != id);
        self.returned.retain(|standing| standing.id != id);
    }

    /// A message was delivered: it had to be next, but for those that are over or too many.
    pub(super) fn take(&mut self, id: u64, entry: &Entry) -> Standing {
        loop {
            let next = self.next();
            if let Some(standing) = next.iter().find(|standing| standing.id == id) {
                assert_eq!(
                    (entry.position, entry.redelivered, entry.counts),
                    (standing.position, standing.redelivered, standing.counts)
                );
                self.remove(id);
                return standing.clone();
            }
            let too_many = self.form.max_length.is_some_and(|max| self.len() > max);
            let priority = self.ready.iter().find(|standing| standing.id == id).map_or(0, |standing| standing.priority);
            // Where both levels have a next one, only that of its own level was in its way.
            let in_its_way = |standing: &&Standing| next.len() == 1 || (standing.priority > 4) == (priority > 4);
            let mut gone = next.iter().filter(in_its_way);
            let gone = gone.find(|standing| too_many || standing.over_at <= self.now);
            let gone = gone.unwrap_or_else(|| panic!("{id} was delivered, but next are {next:?}")).id;
            self.remove(gone);
        }
    }

    /// It is with a consumer.
    pub(super) fn hold(&mut self, consumer: Option<usize>, standing: Standing) {
        let delivered = self.delivered.entry(standing.priority).or_default();
        *delivered = (*delivered).max(standing.position);
        self.unacked.push((consumer, standing));
    }

    pub(super) fn settle(&mut self, at: usize, settlement: Settlement) {
        let (_, mut standing) = self.unacked.remove(at);
        let failed = match settlement {
            Settlement::Requeue => 0,
            Settlement::RejectToQueue | Settlement::Lose => 1,
            Settlement::Ack | Settlement::Discard | Settlement::Reject => return,
        };
        let counts = &mut standing.counts;
        *counts = DeliveryCounts { acquired: counts.acquired + 1, failed: counts.failed + failed };
        standing.redelivered = true;
        let only_failed = self.compat.delivery_limit_counts_failures_only();
        let counted = if only_failed { counts.failed } else { counts.acquired };
        match self.form.quorum {
            true if counted > self.form.delivery_limit => {}
            true => self.returned.push(standing),
            false => self.ready.push(standing),
        }
    }

    pub(super) fn purge(&mut self) -> usize {
        let len = self.len();
        self.ready.clear();
        self.returned.clear();
        len
    }

    /// What is over at a front, or too much, is gone when the queue has done all that it has to do.
    pub(super) fn come_to_rest(&mut self) {
        loop {
            let fronts = self.fronts().into_iter().chain(self.returned.first().cloned());
            let over: Vec<_> = fronts.filter(|standing| standing.over_at <= self.now).collect();
            over.iter().for_each(|standing| self.remove(standing.id));
            if over.is_empty() {
                break;
            }
        }
        while self.form.max_length.is_some_and(|max| self.len() > max) {
            let first = self.next()[0].id;
            self.remove(first);
        }
    }

    /// The broker starts again, maybe to follow another line.
    pub(super) fn restart(&mut self, compat: Compat, last_position: u64) {
        (self.compat, self.last_position) = (compat, last_position);
        let held = std::mem::take(&mut self.unacked).into_iter().map(|(_, standing)| standing);
        self.ready.append(&mut self.returned);
        self.ready.extend(held);
        self.ready.retain(|standing| standing.kept);
        for standing in &mut self.ready {
            let delivered = self.delivered.get(&standing.priority).copied().unwrap_or(0);
            standing.redelivered = standing.position <= delivered;
            if !self.form.quorum {
                standing.counts = DeliveryCounts::default();
            }
        }
    }

    /// All that the store must have: lanes' priorities, positions and messages.
    pub(super) fn kept(&self) -> Vec<(u8, u64, u64)> {
        let held = self.unacked.iter().map(|(_, standing)| standing);
        let all = self.ready.iter().chain(&self.returned).chain(held).filter(|standing| standing.kept);
        let mut kept: Vec<_> = all.map(|standing| (standing.priority, standing.position, standing.id)).collect();
        kept.sort_unstable();
        kept
    }
}
