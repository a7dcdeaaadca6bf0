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
        self.forget_late();
        let all: Vec<_> = self.ledger.take_all().collect();
        self.settle_all(all, Settlement::Requeue, s);
        s.apply_batch();
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
            if s.batch.may_be_refused() {
                s.apply_batch();
            }
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
        if matches!(self.mode, Mode::Transaction(_)) || multiple && self.has_late() {
            return self.settle_each(tag, multiple, settlement, s);
        }
        if !multiple {
            return match self.ledger.take(tag) {
                Some(unacked) => {
                    self.settle(unacked, settlement, s);
                    Ok(())
                }
                None => self.settle_each(tag, false, settlement, s),
            };
        }
        let taken: Vec<_> = match tag {
            0 => self.ledger.take_all().collect(),
            _ => self.ledger.take_up_to(tag).ok_or(ChannelError::UnknownDeliveryTag(tag))?.collect(),
        };
        self.settle_all(taken, settlement, s);
        Ok(())
    }

    /// Settles tag by tag: those that were taken back too, and in a transaction when it is committed. An unknown tag fails at once.
    fn settle_each(
        &mut self,
        tag: u64,
        multiple: bool,
        settlement: Settlement,
        s: &mut Session<'_>,
    ) -> Result<(), Error> {
        let all = multiple && tag == 0;
        if !all && !self.ledger.has(tag) && !self.is_late(tag) {
            return Err(ChannelError::UnknownDeliveryTag(tag).into());
        }
        let last = if all { u64::MAX } else { tag };
        let tags: Vec<_> = match multiple {
            true => {
                let unacked = self.ledger.tags().map(|(tag, _)| tag).take_while(|tag| *tag <= last);
                unacked.chain(self.late_up_to(last)).collect()
            }
            false => vec![tag],
        };
        let (mut settled, mut settled_late) = (Vec::new(), Vec::new());
        for tag in tags {
            match (self.ledger.take(tag), &mut self.mode) {
                (Some(unacked), Mode::Transaction(tx)) => tx.settle(tag, unacked, settlement),
                (Some(unacked), _) => settled.push(unacked),
                (None, _) => {
                    let Some(late) = self.take_late(tag) else { continue };
                    match &mut self.mode {
                        Mode::Transaction(tx) => tx.settle_late(tag, late),
                        _ => settled_late.push(late),
                    }
                }
            }
        }
        self.settle_all(settled, settlement, s);
        self.settled_late(settled_late, s);
        Ok(())
    }
}
