//! Handing messages to the consumers that can take them.

use std::sync::Arc;

use super::expiry::{EXPIRE_MAX, End};
use super::ready::footprint;
use super::{ConsumerKey, Queue, State};
use crate::broker::effects::Effects;
use crate::broker::outbox::Delivery;

/// Deliveries under one hold of a queue's lock; then others get their turn.
const DISPATCH_MAX: usize = 512;

impl State {
    pub(super) fn dispatch(&mut self, queue: &Arc<Queue>, fx: &mut Effects) {
        let mut budget = DISPATCH_MAX;
        let mut expiring = EXPIRE_MAX;
        let mut finished = true;
        while self.ready.has_next() {
            let Some(consumer) = self.consumers.next() else { break };
            if budget == 0 {
                fx.go_on(queue.clone());
                finished = false;
                break;
            }
            if self.timed {
                finished = self.expire(queue, End::Passed, &mut expiring, fx);
                if !finished || !self.ready.has_next() {
                    break; // the timers go on where it is not finished
                }
            }
            let turn = if self.consumers.takes_turns() { 1 } else { budget };
            budget -= self.deliver(queue, consumer, turn, fx).min(budget);
        }
        if let Some(limits) = self.rules.limits
            && finished
            && !self.drop_head(queue, limits, fx)
        {
            fx.go_on(queue.clone());
            finished = false;
        }
        if self.timed {
            if finished {
                self.expire(queue, End::Reached, &mut expiring, fx);
            }
            self.schedule(queue, fx);
        }
        self.release_publishers(fx);
    }

    /// Delivers up to `max` messages to the consumer whose turn it is and ends its turn. Tells how much of the budget that took.
    fn deliver(&mut self, queue: &Arc<Queue>, key: ConsumerKey, max: usize, fx: &mut Effects) -> usize {
        let Some(subscriber) = self.consumers.subscriber(key) else { return 1 };
        let (channel, subscription, no_ack) = (subscriber.channel, subscriber.subscription, subscriber.no_ack);
        let outbox = subscriber.outbox.clone();
        let mut run = outbox.deliver();
        let mut delivered = 0;
        let timed = self.timed;
        while delivered < max && self.ready.has_next() && run.has_room() {
            // What is over ends the run: it is for the caller to remove. The first is not, as the caller has seen.
            if timed && delivered > 0 && self.is_first_over(fx.now(), End::Passed) || !self.consumers.take_credit(key) {
                break;
            }
            let Some(entry) = self.ready.pop() else { break };
            self.delivered += footprint(&entry.message) as u64;
            if no_ack {
                self.gone(&entry);
            } else {
                self.unacked += 1;
                self.note_delivered(&entry);
            }
            run.push(Delivery::new(channel, subscription, entry));
            delivered += 1;
        }
        let offered = run.finish(queue, key, delivered > 0);
        self.consumers.end_turn(key, offered.full);
        if offered.wake {
            fx.wake(outbox);
        }
        delivered.max(1)
    }
}
