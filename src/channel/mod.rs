//! One channel: what it knows and what it does with each method. Pure: no await, no clock, no socket.
//!
//! Publishes and settlements go into the connection's [`Batch`]; everything else is done at once, with the batch flushed before, and
//! answered into the [`Output`]. Errors end the channel or the connection, as `crate::error` says.

mod batch;
mod confirm;
mod consume;
mod counts;
mod declare;
mod error;
mod ledger;
mod publish;
mod qos;
mod routes;
mod settle;
mod subscription;
mod timeout;
mod tx;

use std::sync::Arc;

use leveret_protocol::method::{basic, channel};
use leveret_protocol::{Assembler, Method};

pub use batch::Batch;
pub use error::ChannelError;
pub use publish::Publish;

use self::confirm::Confirms;
use self::counts::with_counts;
use self::ledger::{Ledger, Unacked};
use self::routes::Routes;
use self::subscription::{SubscriptionKey, Subscriptions};
use self::timeout::Timeouts;
use self::tx::Transaction;
use crate::broker::{
    Broker, ChannelLimit, ConnectionId, Delivery, Effects, Hold, Outbox, Queue, RouteScratch, Settlement, VHost,
};
use crate::error::Error;
use crate::output::Output;

/// The connection that a channel belongs to, as far as channels care.
pub struct Peer {
    /// Names it in the core.
    pub id: ConnectionId,
    /// Who authenticated.
    pub user: Arc<str>,
    /// Where its deliveries go.
    pub outbox: Arc<Outbox>,
    /// Negotiated maximum of a frame in bytes, 0 for none.
    pub frame_max: u32,
    /// The client understands basic.cancel from the broker (M-18).
    pub cancel_notify: bool,
    /// Largest body taken, in bytes (P-07).
    pub message_size_max: u64,
}

/// Bytes of publishes that a connection may have under way, in no queue yet: bodies that have not arrived whole, and transactions that are
/// not committed. No alarm counts them, so this bounds them, for all channels of a connection together.
pub const PENDING_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What a channel works with while it handles a command.
pub struct Session<'a> {
    /// The broker.
    pub broker: &'a Broker,
    /// The connection's vhost.
    pub vhost: &'a Arc<VHost>,
    /// The connection.
    pub peer: &'a Peer,
    /// Takes replies.
    pub out: &'a mut Output,
    /// Takes publishes and settlements.
    pub batch: &'a mut Batch,
    /// Takes what is to be done when no lock is held.
    pub fx: &'a mut Effects,
    /// Working space for building messages.
    pub bytes: &'a mut Vec<u8>,
    /// Working space for routing.
    pub route: &'a mut RouteScratch,
    /// A queue wants this connection to stop publishing for a while.
    pub hold: &'a mut Option<Hold>,
    /// Bytes of publishes that no queue holds yet, over all channels of the connection.
    pub pending: &'a mut usize,
    /// The connection's exclusive queues, to be deleted with it.
    pub owned: &'a mut Vec<Arc<Queue>>,
    /// Set if the method must be handled again when the disk is ready: nothing has been done.
    pub later: &'a mut bool,
}

impl Session<'_> {
    /// Hands the batch to the queues. Confirms are the connection's to send.
    pub fn apply_batch(&mut self) {
        if let Some(hold) = self.batch.apply(&self.peer.outbox, self.fx) {
            *self.hold = Some(hold);
        }
    }

    /// The queue is to be deleted with the connection.
    fn own(&mut self, queue: &Arc<Queue>) {
        if self.owned.len() == self.owned.capacity() {
            self.owned.retain(|owned| !owned.is_deleted());
        }
        self.owned.push(queue.clone());
    }
}

/// How publishes of the channel are answered.
enum Mode {
    Plain,
    Confirm(Confirms),
    Transaction(Box<Transaction>),
}

/// See the module.
pub struct Channel {
    number: u16,
    /// Puts frames together.
    pub assembler: Assembler,
    mode: Mode,
    delivery_tag: u64,
    ledger: Ledger,
    subscriptions: Subscriptions,
    /// For consumers started from now on, 0 for no limit (S-01).
    prefetch: u16,
    /// What basic.qos with `global` set last said (S-02).
    channel_prefetch: Option<u16>,
    limit: Option<Arc<ChannelLimit>>,
    /// How often its consumers went on behind the limit.
    resumed: usize,
    /// The queue that an empty name means (M-25).
    last_queue: Option<Box<str>>,
    reply: Option<consume::ReplyConsumer>,
    /// Consumers that the client has cancelled, until the outbox is emptied.
    cancelling: Vec<SubscriptionKey>,
    cancel_ok: Option<Box<str>>,
    routes: Option<Box<Routes>>,
    /// Of deliveries that must be settled in time.
    timeouts: Option<Box<Timeouts>>,
}

impl Channel {
    /// A channel just opened.
    pub fn new(number: u16) -> Self {
        Self {
            number,
            assembler: Assembler::new(),
            mode: Mode::Plain,
            delivery_tag: 0,
            ledger: Ledger::default(),
            subscriptions: Subscriptions::default(),
            prefetch: 0,
            channel_prefetch: None,
            limit: None,
            resumed: 0,
            last_queue: None,
            reply: None,
            cancelling: Vec::new(),
            cancel_ok: None,
            routes: None,
            timeouts: None,
        }
    }

    /// Does what a method without content asks. The batch has been flushed, unless the method settles.
    pub fn handle(&mut self, method: Method<'_>, s: &mut Session<'_>) -> Result<(), Error> {
        match method {
            Method::BasicAck(m) => self.ack(m.delivery_tag, m.multiple, s),
            Method::BasicNack(m) => self.nack(m.delivery_tag, m.multiple, m.requeue, s),
            Method::BasicReject(m) => self.reject(m.delivery_tag, m.requeue, s),
            Method::BasicConsume(m) => self.consume(&m, s),
            Method::BasicCancel(m) => self.cancel(&m, s),
            Method::BasicGet(m) => self.get(&m, s),
            Method::BasicQos(m) => self.qos(&m, s),
            Method::BasicRecover(m) => self.recover(m.requeue, true, s),
            Method::BasicRecoverAsync(m) => self.recover(m.requeue, false, s),
            Method::QueueDeclare(m) => self.queue_declare(&m, s),
            Method::QueueBind(m) => self.queue_bind(&m, s),
            Method::QueueUnbind(m) => self.queue_unbind(&m, s),
            Method::QueuePurge(m) => self.queue_purge(&m, s),
            Method::QueueDelete(m) => self.queue_delete(&m, s),
            Method::ExchangeDeclare(m) => self.exchange_declare(&m, s),
            Method::ExchangeDelete(m) => self.exchange_delete(&m, s),
            Method::ExchangeBind(m) => self.exchange_bind(&m, s),
            Method::ExchangeUnbind(m) => self.exchange_unbind(&m, s),
            Method::ConfirmSelect(m) => self.confirm_select(m.nowait, s),
            Method::TxSelect(_) => self.tx_select(s),
            Method::TxCommit(_) => self.tx_commit(s),
            Method::TxRollback(_) => self.tx_rollback(s),
            Method::ChannelFlow(m) => self.flow(m.active, s),
            Method::AccessRequest(_) => self.access_request(s),
            Method::BasicCancelOk(_) => Ok(()),
            _ => Err(ChannelError::Unimplemented.into()),
        }
    }

    /// Sends a delivery that the outbox held, giving it its tag.
    #[inline]
    pub fn deliver(&mut self, delivery: Delivery, broker: &Broker, peer: &Peer, out: &mut Output, fx: &mut Effects) {
        let Some(subscription) = self.subscriptions.find(delivery.subscription) else { return };
        self.delivery_tag += 1;
        let tag = self.delivery_tag;
        let properties = match subscription.shows_counts {
            true => with_counts(&delivery.message, delivery.total_counts(), broker.compat()),
            false => None,
        };
        out.deliver(self.number, peer.frame_max, &subscription.tag, tag, &delivery, properties.as_deref());
        if !subscription.no_ack {
            subscription.unacked += 1;
            let timeout_ms = subscription.timeout_ms;
            self.ledger.push(tag, Unacked::from_delivery(delivery));
            if let Some(timeout_ms) = timeout_ms {
                self.sent(tag, timeout_ms, broker, peer, fx);
            }
        }
    }

    /// Tells the client that the queue of a consumer is gone (M-18, S-12).
    pub fn consumer_cancelled(&mut self, subscription: u32, peer: &Peer, out: &mut Output) {
        let Some(found) = self.subscriptions.find(subscription).filter(|found| !found.ended) else { return };
        if peer.cancel_notify {
            let cancel = basic::Cancel { consumer_tag: &found.tag, nowait: true };
            out.method(self.number, &Method::BasicCancel(cancel));
        }
        self.subscriptions.end(subscription);
    }

    /// First step of closing: no consumer of the channel gets anything more. What waits in the outbox must then be delivered.
    pub fn stop_consumers(&mut self, s: &mut Session<'_>) {
        self.forget_reply_consumer(s.broker);
        self.end_timeouts(s);
        let live: Vec<_> = self.subscriptions.iter().filter(|(_, sub)| !sub.ended).map(|(key, _)| key).collect();
        for key in live {
            let Some(subscription) = self.subscriptions.find(key) else { continue };
            if !subscription
                .consumer
                .zip(subscription.queue.as_ref())
                .is_some_and(|(consumer, queue)| queue.leave(consumer))
            {
                self.stop_subscription(key, s);
            }
        }
    }

    /// Bytes of publishes of this channel that no queue holds yet: a body that has not arrived whole, a transaction.
    pub fn pending_bytes(&self) -> usize {
        let transaction = match &self.mode {
            Mode::Transaction(tx) => tx.bytes(),
            Mode::Plain | Mode::Confirm(_) => 0,
        };
        self.assembler.capacity() + transaction
    }

    /// Third step of closing: everything unacked goes back to its queue (M-02, P-14). The batch is applied.
    pub fn requeue_unacked(&mut self, s: &mut Session<'_>) {
        if let Mode::Transaction(tx) = &mut self.mode {
            self.ledger.restore(tx.take_settlements());
        }
        let all: Vec<_> = self.ledger.take_all().collect();
        for unacked in self.subscriptions.by_age(all) {
            self.settle(unacked, Settlement::Lose, s);
        }
        s.apply_batch();
    }

    /// Last step of closing: the consumers go that stayed until their queues had everything back.
    pub fn leave_queues(&mut self, s: &mut Session<'_>) {
        let live: Vec<_> =
            self.subscriptions.iter().filter(|(_, sub)| sub.consumer.is_some()).map(|(key, _)| key).collect();
        for key in live {
            self.stop_subscription(key, s);
        }
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Puts a delivery back that was never sent, because the connection is lost.
    pub fn take_back(&mut self, delivery: Delivery, fx: &mut Effects) {
        let Some(subscription) = self.subscriptions.find(delivery.subscription) else { return };
        if let Some(queue) = &subscription.queue {
            queue.take_back(delivery.into_entry(), subscription.holder, subscription.no_ack, fx);
        }
    }

    fn flow(&self, active: bool, s: &mut Session<'_>) -> Result<(), Error> {
        if !active {
            return Err(ChannelError::FlowStop.into());
        }
        s.out.method(self.number, &Method::ChannelFlowOk(channel::FlowOk { active: true }));
        Ok(())
    }

    fn access_request(&self, s: &mut Session<'_>) -> Result<(), Error> {
        let ok = leveret_protocol::method::access::RequestOk { ticket: 1 };
        s.out.method(self.number, &Method::AccessRequestOk(ok));
        Ok(())
    }
}
