//! Messages that a full queue refuses, so that their publisher is told (P-06, Q-22).

use std::sync::Arc;

use super::{DeliveryCounts, Entry, Queue, State};
use crate::broker::dead_letter::Reason;
use crate::broker::effects::Effects;
use crate::broker::message::Message;

/// A message of a batch that the queue may refuse.
#[derive(Clone, Copy, Debug)]
pub struct Refusable {
    /// Its place among the messages of the batch.
    pub place: usize,
    /// The channel that published it.
    pub channel: u16,
    /// Which of that channel's publishes it is.
    pub publish: u64,
}

impl Queue {
    /// Adds one dead letter of another queue unless that is too many. False if it was refused.
    pub(in crate::broker) fn offer(self: &Arc<Self>, message: Message, fx: &mut Effects) -> bool {
        self.change(fx, |state, fx| {
            let full = state.is_full_for(&message);
            match full {
                false => state.take_letters(self, &mut vec![message], fx),
                true => state.refuse(self, message, fx),
            }
            !full
        })
    }
}

impl State {
    /// Adds messages but those of `refusable` that are too many, which are left there: what consumers take makes room for the next.
    pub(super) fn publish_or_refuse(
        &mut self,
        queue: &Arc<Queue>,
        messages: &mut Vec<Message>,
        refusable: &mut Vec<Refusable>,
        fx: &mut Effects,
    ) {
        let (mut seen, mut refused) = (0, 0);
        let mut dispatched = false;
        for (place, message) in messages.drain(..).enumerate() {
            if refusable.get(seen).is_some_and(|next| next.place == place) {
                seen += 1;
                if self.is_full_for(&message) && !dispatched {
                    self.dispatch(queue, fx);
                    dispatched = true;
                }
                if self.is_full_for(&message) {
                    self.refuse(queue, message, fx);
                    refusable.swap(refused, seen - 1);
                    refused += 1;
                    continue;
                }
            }
            if !self.deleted {
                self.add(message);
                dispatched = false;
            }
        }
        refusable.truncate(refused);
    }

    fn is_full_for(&self, message: &Message) -> bool {
        let limits = self.rules.limits.filter(|limits| limits.refuses() && !self.deleted);
        limits.is_some_and(|limits| limits.would_exceed(&self.ready, message.body_len()))
    }

    /// A message is not taken; it becomes a dead letter where the limits say so.
    fn refuse(&mut self, queue: &Arc<Queue>, message: Message, fx: &mut Effects) {
        if self.rules.limits.is_some_and(|limits| limits.buries_refused()) {
            self.charged += message.cost();
            let counts = DeliveryCounts::default();
            self.bury(queue, Entry { position: 0, redelivered: false, counts, message }, Reason::MaxLength, fx);
        }
    }
}
