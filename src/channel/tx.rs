//! Transactions: publishes and settlements wait for tx.commit (M-21, P-14).

use std::sync::Arc;

use leveret_protocol::Method;
use leveret_protocol::method::tx;

use super::ledger::Unacked;
use super::publish::Unroutable;
use super::subscription::SubscriptionKey;
use super::{Channel, ChannelError, Mode, Session};
use crate::broker::{Message, Queue, Settlement};
use crate::error::Error;

/// What a transaction has gathered.
#[derive(Default)]
pub(super) struct Transaction {
    publishes: Vec<Publication>,
    settlements: Vec<(u64, Unacked, Settlement)>,
    /// Settled after they were taken back.
    late: Vec<(u64, SubscriptionKey)>,
    bytes: usize,
}

/// A publish that waits for its commit.
pub(super) enum Publication {
    Routed { queues: Arc<[Arc<Queue>]>, message: Message },
    Returned(Unroutable),
    Reply { address: Vec<u8>, message: Message },
}

impl Transaction {
    /// Keeps a publish of about `bytes` for the commit.
    pub(super) fn publish(&mut self, publication: Publication, bytes: usize) {
        self.bytes += bytes;
        self.publishes.push(publication);
    }

    /// Bytes of the publishes kept.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps a settlement for the commit.
    pub(super) fn settle(&mut self, tag: u64, unacked: Unacked, settlement: Settlement) {
        self.settlements.push((tag, unacked, settlement));
    }

    /// Keeps the settlement of a delivery that was taken back.
    pub(super) fn settle_late(&mut self, tag: u64, of: SubscriptionKey) {
        self.late.push((tag, of));
    }

    /// Tags and subscriptions of what waits for the commit to be settled, in no order.
    pub(super) fn tags(&self) -> impl Iterator<Item = (u64, SubscriptionKey)> + '_ {
        self.settlements.iter().map(|(tag, unacked, _)| (*tag, unacked.subscription))
    }

    /// Takes deliveries back though their settlement waits for the commit, which will be late. The tags are in order.
    pub(super) fn take_back(&mut self, tags: &[u64], taken: &mut Vec<(u64, Unacked)>) {
        for (tag, unacked, settlement) in std::mem::take(&mut self.settlements) {
            if tags.binary_search(&tag).is_ok() {
                self.late.push((tag, unacked.subscription));
                taken.push((tag, unacked));
            } else {
                self.settlements.push((tag, unacked, settlement));
            }
        }
    }

    /// Gives up the settlements, for the ledger to have them again.
    pub(super) fn take_settlements(&mut self) -> Vec<(u64, Unacked)> {
        self.settlements.drain(..).map(|(tag, unacked, _)| (tag, unacked)).collect()
    }
}

/// Settlements of one kind in a row are settled together, in order of their tags.
fn in_runs(settlements: Vec<(u64, Unacked, Settlement)>) -> Vec<(Settlement, Vec<Unacked>)> {
    let mut runs: Vec<(Settlement, Vec<(u64, Unacked)>)> = Vec::new();
    for (tag, unacked, settlement) in settlements {
        match runs.last_mut() {
            Some((last, run)) if *last == settlement => run.push((tag, unacked)),
            _ => runs.push((settlement, vec![(tag, unacked)])),
        }
    }
    let sorted = |(settlement, mut run): (_, Vec<(u64, Unacked)>)| {
        run.sort_by_key(|(tag, _)| *tag);
        (settlement, run.into_iter().map(|(_, unacked)| unacked).collect())
    };
    runs.into_iter().map(sorted).collect()
}

impl Channel {
    pub(super) fn tx_select(&mut self, s: &mut Session<'_>) -> Result<(), Error> {
        match self.mode {
            Mode::Confirm(_) => return Err(ChannelError::ConfirmToTx.into()),
            Mode::Plain => self.mode = Mode::Transaction(Box::default()),
            Mode::Transaction(_) => {}
        }
        s.out.method(self.number, &Method::TxSelectOk(tx::SelectOk {}));
        Ok(())
    }

    pub(super) fn tx_commit(&mut self, s: &mut Session<'_>) -> Result<(), Error> {
        let Mode::Transaction(tx) = &mut self.mode else { return Err(ChannelError::NotTransactional.into()) };
        let Transaction { publishes, settlements, late, bytes } = std::mem::take(&mut **tx);
        *s.pending -= bytes;
        // On disk all of it is there, or nothing.
        let group = s.broker.journal().map(|journal| journal.group());
        for publication in publishes {
            match publication {
                Publication::Routed { queues, message } => {
                    for queue in queues.iter() {
                        s.batch.publish(queue, message.clone(), self.number, 0);
                    }
                }
                Publication::Returned(unroutable) => unroutable.send_back(self.number, s),
                Publication::Reply { address, message } => {
                    s.broker.replies().deliver(&address, message, s.fx);
                }
            }
        }
        for (settlement, unacked) in in_runs(settlements) {
            self.settle_all(unacked, settlement, s);
        }
        s.apply_batch();
        self.settled_late(late.into_iter().map(|(_, of)| of).collect(), s);
        drop(group);
        if !s.batch.take_refused().is_empty() {
            return Err(ChannelError::PartialCommit.into());
        }
        s.out.method(self.number, &Method::TxCommitOk(tx::CommitOk {}));
        Ok(())
    }

    pub(super) fn tx_rollback(&mut self, s: &mut Session<'_>) -> Result<(), Error> {
        let Mode::Transaction(tx) = &mut self.mode else { return Err(ChannelError::NotTransactional.into()) };
        let mut undone = std::mem::take(&mut **tx);
        *s.pending -= undone.bytes;
        self.ledger.restore(undone.take_settlements());
        if let Some(timeouts) = &mut self.timeouts {
            timeouts.restore(undone.late);
        }
        s.out.method(self.number, &Method::TxRollbackOk(tx::RollbackOk {}));
        Ok(())
    }
}
