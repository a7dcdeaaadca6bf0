//! basic.ack, nack, reject and recover on the unacked ledger (S-08, S-09, M-17).

use leveret_protocol::Method;
use leveret_protocol::method::basic;

use super::ledger::Unacked;
use super::{Channel, ChannelError, Mode, Session};
use crate::broker::{Delivery, Settled, Settlement};
use crate::error::Error;

impl Unacked {
    #[inline]
    pub(super) fn from_delivery(delivery: Delivery) -> Self {
        Self { subscription: delivery.subscription, entry: delivery.into_entry() }
    }
}

impl Channel {
    #[inline]
    pub(super) fn ack(&mut self, tag: u64, multiple: bool, s: &mut Session<'_>) -> Result<(), Error> {
        self.settle_tags(tag, multiple, Settlement::Ack, s)
    }

    pub(super) fn nack(&mut self, tag: u64, multiple: bool, requeue: bool, s: &mut Session<'_>) -> Result<(), Error> {
        let settlement = if requeue { Settlement::Requeue } else { Settlement::Discard };
        self.settle_tags(tag, multiple, settlement, s)
    }

    pub(super) fn reject(&mut self, tag: u64, requeue: bool, s: &mut Session<'_>) -> Result<(), Error> {
        let settlement = if requeue { Settlement::RejectToQueue } else { Settlement::Reject };
        self.settle_tags(tag, false, settlement, s)
    }

    pub(super) fn recover(&mut self, requeue: bool, answer: bool, s: &mut Session<'_>) -> Result<(), Error> {
        if !requeue {
            return Err(ChannelError::RecoverWithoutRequeue.into());
        }
        if answer {
            s.out.method(self.number, &Method::BasicRecoverOk(basic::RecoverOk {}));
        }
        let all: Vec<_> = self.ledger.take_all().collect();
        self.settle_all(all, Settlement::Requeue, s);
        s.apply_batch();
        self.settle_late(0..=u64::MAX, s);
        Ok(())
    }

    /// Settles several deliveries, given in order of their tags.
    pub(super) fn settle_all(&mut self, all: Vec<Unacked>, settlement: Settlement, s: &mut Session<'_>) {
        if all.windows(2).all(|two| two[0].subscription == two[1].subscription) {
            all.into_iter().for_each(|unacked| self.settle(unacked, settlement, s));
            return;
        }
        let mut before = None;
        for (key, run) in self.subscriptions.in_turn(all) {
            let turn = self.subscriptions.turn(key);
            if before.as_ref().is_some_and(|before| turn.is_next_on_queue(before)) {
                s.apply_batch();
            }
            before = Some(turn);
            run.into_iter().for_each(|unacked| self.settle(unacked, settlement, s));
        }
    }

    /// Settles one delivery: gives its places in the limits back and hands it to its queue with the batch.
    #[inline]
    pub(super) fn settle(&mut self, unacked: Unacked, settlement: Settlement, s: &mut Session<'_>) {
        let Some(subscription) = self.subscriptions.find(unacked.subscription) else { return };
        subscription.unacked -= 1;
        let (limited, done) = (subscription.limited, subscription.ended && subscription.unacked == 0);
        if let Some(queue) = &subscription.queue {
            let (consumer, got) = (subscription.holder, subscription.is_get);
            s.batch.settle(queue, Settled { consumer, got, settlement, entry: unacked.entry });
        }
        if done {
            self.subscriptions.free_if_done(unacked.subscription);
        }
        if limited
            && let Some(limit) = &self.limit
            && limit.release(1)
        {
            s.batch.resume(self.number);
        }
    }

    #[inline]
    fn settle_tags(
        &mut self,
        tag: u64,
        multiple: bool,
        settlement: Settlement,
        s: &mut Session<'_>,
    ) -> Result<(), Error> {
        if let Mode::Transaction(tx) = &mut self.mode {
            return tx.settle(&mut self.ledger, tag, multiple, settlement);
        }
        if !multiple {
            match self.ledger.take(tag) {
                Some(unacked) => self.settle(unacked, settlement, s),
                None if self.was_taken_back(tag) => self.settle_late(tag..=tag, s),
                None => return Err(ChannelError::UnknownDeliveryTag(tag).into()),
            }
            return Ok(());
        }
        if tag != 0 && self.was_taken_back(tag) {
            let tags: Vec<_> = self.ledger.tags().map(|(tag, _)| tag).take_while(|earlier| *earlier < tag).collect();
            let taken = tags.into_iter().filter_map(|tag| self.ledger.take(tag)).collect();
            self.settle_all(taken, settlement, s);
            self.settle_late(0..=tag, s);
            return Ok(());
        }
        let taken: Vec<_> = match tag {
            0 => self.ledger.take_all().collect(),
            _ => self.ledger.take_up_to(tag).ok_or(ChannelError::UnknownDeliveryTag(tag))?.collect(),
        };
        self.settle_all(taken, settlement, s);
        self.settle_late(0..=if tag == 0 { u64::MAX } else { tag }, s);
        Ok(())
    }
}
