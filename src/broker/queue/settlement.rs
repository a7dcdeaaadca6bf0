//! How deliveries end, and what it does to the queue that they came from.

use std::sync::Arc;

use super::expiry::{EXPIRE_MAX, End};
use super::limits::Limits;
use super::{ConsumerKey, Entry, Queue, State};
use crate::broker::dead_letter::Reason;
use crate::broker::effects::Effects;

/// Messages beyond a limit that are dropped under one hold of a queue's lock.
const DROP_MAX: usize = 512;

/// How a delivery is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Done with.
    Ack,
    /// Given up by basic.nack.
    Discard,
    /// Given up by basic.reject, which is a failed delivery.
    Reject,
    /// Back to its position, to be delivered again, by basic.nack or basic.recover.
    Requeue,
    /// The same by basic.reject, which is a failed delivery.
    RejectToQueue,
    /// The same because its channel or connection ended, which is a failed delivery.
    Lose,
}

/// A delivery that a channel held unacked.
pub struct Settled {
    /// The consumer that had it, if it is still there.
    pub consumer: Option<ConsumerKey>,
    /// It was taken by basic.get.
    pub got: bool,
    /// What becomes of it.
    pub settlement: Settlement,
    /// The message at its position.
    pub entry: Entry,
}

impl State {
    pub(super) fn settle(&mut self, queue: &Arc<Queue>, settled: &mut Vec<Settled>, fx: &mut Effects) {
        let mut returned = false;
        for Settled { consumer, got, settlement, entry } in settled.drain(..) {
            self.unacked -= 1;
            self.got -= usize::from(got);
            if let Some(consumer) = consumer {
                self.consumers.settled(consumer, 1);
            }
            match settlement {
                Settlement::Ack => self.gone(&entry),
                Settlement::Discard => self.bury(queue, entry, Reason::Rejected, fx),
                Settlement::Reject => {
                    let counts = entry.counts.returned(true);
                    self.bury(queue, Entry { counts, ..entry }, Reason::Rejected, fx);
                }
                Settlement::Requeue | Settlement::RejectToQueue | Settlement::Lose => {
                    returned = true;
                    self.put_back(queue, entry, settlement, fx);
                }
            }
        }
        if returned {
            self.drop_returned(queue, fx);
        }
    }

    /// What comes back to a full queue, or after its time, goes before anybody gets it.
    pub(super) fn drop_returned(&mut self, queue: &Arc<Queue>, fx: &mut Effects) {
        if let Some(limits) = self.rules.limits {
            self.drop_head(queue, limits, fx);
        }
        if self.is_timed() {
            self.expire(queue, End::Reached, &mut EXPIRE_MAX.clone(), fx);
        }
    }

    /// A delivery comes back: to its position, or to wait for a while, or it has failed too often.
    pub(super) fn put_back(&mut self, queue: &Arc<Queue>, entry: Entry, settlement: Settlement, fx: &mut Effects) {
        if self.deleted {
            return self.gone(&entry);
        }
        let counts = entry.counts.returned(settlement != Settlement::Requeue);
        let entry = Entry { redelivered: true, counts, ..entry };
        if let Some(limit) = self.rules.delivery_limit {
            let total = entry.total_counts();
            if (if self.rules.failures_only { total.failed } else { total.acquired }) > limit {
                return self.bury(queue, entry, Reason::DeliveryLimit, fx);
            }
        }
        if let Some(log) = &mut self.log {
            log.returned(self.ready.lane_of(&entry.message), entry.position, &entry.message, entry.counts);
        }
        let rejected = settlement != Settlement::Requeue;
        match self.rules.retry_delay_ms(rejected, entry.total_counts().failed) {
            None => self.ready.put_back(entry),
            Some(delay) => {
                self.delayed.insert((fx.now().plus_ms(delay), entry.position), entry);
                self.timed = true;
            }
        }
    }

    /// Drops the first messages beyond the limits; there is nobody to take them. False if there are more of them than go at once.
    pub(super) fn drop_head(&mut self, queue: &Arc<Queue>, limits: Limits, fx: &mut Effects) -> bool {
        let mut dropped = 0;
        while !limits.refuses() && limits.exceeded(&self.ready) {
            if dropped == DROP_MAX {
                return false;
            }
            dropped += 1;
            let Some(entry) = self.ready.pop() else { break };
            self.bury(queue, entry, Reason::MaxLength, fx);
        }
        true
    }
}
