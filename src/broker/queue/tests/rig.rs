//! Real queues with fake connections, which do what channels and connections do, next to their model.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use bytes::Bytes;
use leveret_protocol::FieldTable;
use proptest::sample::Index;

use super::model::{Connection, Consumer, Held, Item, Note, Shape, World};
use crate::broker::arguments::{self, QueueReference, QueueSettings, QueueType, ReceivedDeclare};
use crate::broker::compat::Compat;
use crate::broker::effects::Effects;
use crate::broker::memory::Memory;
use crate::broker::message::{Body, Life, Message, Parts};
use crate::broker::moment::Moment;
use crate::broker::outbox::{Delivery, Outbox, Outgoing, Taken};
use crate::broker::policy::QueuePolicy;
use crate::broker::queue::{
    Begin, ChannelLimit, ConsumeError, ConsumerKey, DeleteRefused, Entry, Home, Queue, Settled, Settlement, Subscriber,
};
use crate::broker::timers::{Due, Timers};
use crate::broker::topology::QueueKey;

pub(super) const QUEUES: usize = 2;
pub(super) const CONNECTIONS: usize = 2;
pub(super) const CHANNELS: usize = 3;

/// The connection of each channel.
const CONNECTION_OF: [usize; CHANNELS] = [0, 0, 1];

/// Large bodies are pieces of this.
static BODY: [u8; 100_000] = [7; 100_000];

/// A message that is published.
#[derive(Clone, Copy, Debug)]
pub(super) struct Published {
    pub(super) len: usize,
    pub(super) ttl_ms: Option<u64>,
    pub(super) priority: Option<u8>,
}

/// A fake connection.
#[derive(Default)]
struct Peer {
    outbox: Arc<Outbox>,
    woken: Arc<Woken>,
    /// Items that it left in its outbox when it last looked.
    seen: usize,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(super) struct Rig {
    model: World,
    memory: Arc<Memory>,
    timers: Arc<Timers>,
    settings: QueueSettings,
    shape: Shape,
    queues: Vec<Arc<Queue>>,
    /// The queue that has each of the names; deleted ones are still in `queues`.
    named: [usize; QUEUES],
    peers: Vec<Peer>,
    limits: Vec<Option<Arc<ChannelLimit>>>,
    keys: Vec<ConsumerKey>,
    /// What connections hold unacked, by queue and position.
    entries: BTreeMap<(usize, u64), Entry>,
    published: u64,
    fx: Effects,
}

impl Rig {
    pub(super) fn new(shape: Shape) -> Self {
        let received = ReceivedDeclare {
            queue: QueueReference { vhost: "/", name: "q" },
            server_named: false,
            durable: true,
            exclusive: false,
            auto_delete: false,
            arguments: &FieldTable::default(),
        };
        let settings = arguments::declare(&received, QueueType::Classic, Compat::default()).unwrap();
        let mut rig = Self {
            model: World::default(),
            memory: Arc::new(Memory::new(u64::MAX)),
            timers: Arc::default(),
            settings,
            shape,
            queues: Vec::new(),
            named: [0; QUEUES],
            peers: Vec::new(),
            limits: vec![None; CHANNELS],
            keys: Vec::new(),
            entries: BTreeMap::new(),
            published: 0,
            fx: Effects::default(),
        };
        (0..QUEUES).for_each(|name| rig.add_queue(name));
        for connection in 0..CONNECTIONS {
            rig.peers.push(Peer::default());
            rig.model.connections.push(Connection::default());
            rig.take_nothing(connection);
        }
        rig.model.channels = CONNECTION_OF.map(|connection| (connection, None)).into();
        rig
    }

    pub(super) fn batch(
        &mut self,
        name: usize,
        publisher: usize,
        bodies: &[Published],
        settled: &[(Index, Settlement)],
    ) {
        let q = self.named[name];
        let mut messages: Vec<_> = bodies.iter().map(|body| self.message(*body)).collect();
        let notes: Vec<_> = messages.iter().map(note).collect();
        let mut items: BTreeMap<usize, Vec<(Item, Settlement)>> = BTreeMap::from([(q, Vec::new())]);
        for (which, settlement) in settled {
            if let Some(item) = self.settle(*which) {
                items.entry(item.queue).or_default().push((item, *settlement));
            }
        }
        for (queue, items) in items {
            let notes = if queue == q { notes.as_slice() } else { &[] };
            let mut settled = self.settled(&items);
            let mut none = Vec::new();
            let messages = if queue == q { &mut messages } else { &mut none };
            let outbox = &self.peers[publisher].outbox;
            let wait = self.queues[queue].take_batch(messages, &mut settled, &mut Vec::new(), outbox, &mut self.fx);
            self.apply();
            assert!(messages.is_empty() && settled.is_empty());
            assert_eq!(
                wait.is_some(),
                self.model.batch(queue, notes, &items, publisher),
                "whether the publisher waits"
            );
        }
    }

    pub(super) fn get(&mut self, name: usize, channel: usize, no_ack: bool) {
        let q = self.named[name];
        let getter = &self.peers[CONNECTION_OF[channel]].outbox;
        while self.queues[q].makes_wait(getter, &mut self.fx) {}
        let got = self.queues[q].get(no_ack, &mut self.fx);
        self.apply();
        let expected = self.model.get(q, channel, no_ack);
        assert_eq!(got.is_some(), expected.is_some());
        let Some(((entry, left), item)) = got.zip(expected) else { return };
        assert!(left >= self.model.queues[q].ready.len(), "of what is over, some may be left to the timers");
        assert_eq!((entry.position, entry.redelivered), (item.position, item.redelivered));
        assert_eq!(entry.counts, item.counts);
        assert_eq!(note(&entry.message), item.note);
        if !no_ack {
            self.entries.insert((q, entry.position), entry);
        }
    }

    pub(super) fn consume(&mut self, consumer: Consumer) {
        let consumer = Consumer { queue: self.named[consumer.queue], ..consumer };
        let queue = &self.queues[consumer.queue];
        let added = queue.add_consumer(Subscriber {
            outbox: self.peers[CONNECTION_OF[consumer.channel]].outbox.clone(),
            channel: consumer.channel as u16,
            subscription: self.keys.len() as u32,
            no_ack: consumer.no_ack,
            prefetch: consumer.prefetch,
            priority: consumer.priority,
            exclusive: consumer.exclusive,
            channel_limit: self.limits[consumer.channel].clone(),
        });
        let q = consumer.queue;
        match self.model.consume(consumer) {
            Some(_) => self.keys.push(added.unwrap()),
            None => assert_eq!(added, Err(ConsumeError::ExclusiveUse)),
        }
        queue.dispatch(&mut self.fx);
        self.apply();
        self.model.batch(q, &[], &[], 0);
    }

    pub(super) fn cancel(&mut self, which: Index) {
        let live: Vec<_> = (0..self.keys.len()).filter(|c| self.model.is_live(*c)).collect();
        if !live.is_empty() {
            self.remove(*which.get(&live));
        }
    }

    /// The connection empties its outbox and goes on as it must.
    pub(super) fn take(&mut self, connection: usize) {
        let taken = self.look(connection, true);
        self.peers[connection].seen = 0;
        let items = std::mem::take(&mut self.model.connections[connection].outbox);
        let mut deliveries = deliveries(taken.items);
        for item in items {
            let delivery = deliveries.next().unwrap();
            let consumer = item.consumer.unwrap();
            assert_eq!((usize::from(delivery.channel), delivery.subscription as usize), (item.channel, consumer));
            assert_eq!((delivery.position, delivery.redelivered), (item.position, item.redelivered));
            assert_eq!(delivery.counts, item.counts);
            assert_eq!(note(&delivery.message), item.note);
            if !self.model.consumers[consumer].no_ack {
                self.entries.insert((item.queue, item.position), delivery.into_entry());
                self.model.held.push(Held { item, settling: false });
            }
        }
        assert_eq!(deliveries.count(), 0);
        let parked = std::mem::take(&mut self.model.connections[connection].parked);
        assert_eq!(taken.parked.len(), parked.len());
        for ((queue, key), consumer) in taken.parked.into_iter().zip(parked) {
            assert_eq!(key, self.keys[consumer]);
            queue.resume(key, &mut self.fx);
            self.apply();
            self.model.resume(consumer);
        }
    }

    /// The connection has something to do, but no room for deliveries.
    pub(super) fn take_nothing(&mut self, connection: usize) {
        let taken = self.look(connection, false);
        assert!(taken.items.is_empty() && taken.parked.is_empty());
        self.peers[connection].seen = self.model.connections[connection].outbox.len();
    }

    /// basic.qos with `global`, on a connection that has sent all it had.
    pub(super) fn limit(&mut self, channel: usize, max: u32) {
        self.take(CONNECTION_OF[channel]);
        if self.limits[channel].is_none() {
            let limit = Arc::new(ChannelLimit::default());
            let live = self.consumers_of(channel);
            limit.add_unacked(self.model.unacked_of_ended(channel, &live));
            for consumer in live {
                let queue = &self.queues[self.model.consumers[consumer].queue];
                queue.set_channel_limit(self.keys[consumer], limit.clone());
            }
            self.limits[channel] = Some(limit);
        }
        self.limits[channel].as_ref().unwrap().set_max(max);
        self.model.channels[channel].1 = Some(max);
        self.resume_channel(channel);
    }

    /// Time goes on, and the timers call whom they must.
    pub(super) fn pass(&mut self, ms: u64) {
        self.model.pass(ms);
        self.fx.set_now(Moment(self.model.now));
        self.call_due();
    }

    /// Carries out what a change has left to do, and what it has left to the timers at once: queues that share an outbox would fill it in
    /// another order otherwise.
    fn apply(&mut self) {
        self.fx.apply();
        self.call_due();
    }

    fn call_due(&mut self) {
        loop {
            let due = self.timers.take_due(self.fx.now(), 10);
            if due.is_empty() {
                return;
            }
            for due in due {
                if let Due::Queue(queue) = due {
                    queue.on_time(&mut self.fx);
                }
            }
            self.fx.apply();
        }
    }

    pub(super) fn purge(&mut self, name: usize) {
        let q = self.named[name];
        assert_eq!(self.queues[q].purge(&mut self.fx), self.model.purge(q));
        self.apply();
    }

    pub(super) fn delete(&mut self, name: usize, if_unused: bool, if_empty: bool) {
        let q = self.named[name];
        let used = self.model.live_consumers(q).next().is_some();
        let ready = self.model.queues[q].ready.len();
        let deleted = self.queues[q].delete(if_unused, if_empty, &mut self.fx);
        self.apply();
        match deleted {
            Err(DeleteRefused::NotEmpty) => return assert!(if_empty && ready > 0),
            Err(DeleteRefused::InUse) => return assert!(if_unused && used),
            Err(DeleteRefused::Deleted) => panic!("only deleted queues lose their name"),
            Ok(remains) => {
                assert!(!(if_empty && ready > 0 || if_unused && used));
                assert_eq!(remains.ready(), ready);
                self.model.delete(q);
            }
        }
        self.add_queue(name);
    }

    /// A connection ends; another comes in its place, with channels of the same numbers.
    pub(super) fn lose(&mut self, connection: usize) {
        let channels: Vec<_> = (0..CHANNELS).filter(|channel| CONNECTION_OF[*channel] == connection).collect();
        let consumers: Vec<_> = channels.iter().flat_map(|channel| self.consumers_of(*channel)).collect();
        consumers.into_iter().for_each(|consumer| self.remove(consumer));
        let undelivered = self.peers[connection].outbox.close();
        let held: Vec<_> = self.model.held.iter().map(|held| held.item).collect();
        for item in held.into_iter().filter(|item| channels.contains(&item.channel)) {
            let mut settled = self.settled(&[(item, Settlement::Lose)]);
            let outbox = &self.peers[connection].outbox;
            self.queues[item.queue].take_batch(&mut Vec::new(), &mut settled, &mut Vec::new(), outbox, &mut self.fx);
            self.apply();
            self.model.batch(item.queue, &[], &[(item, Settlement::Lose)], connection);
        }
        let items = self.model.replace_connection(connection);
        for (delivery, item) in deliveries(undelivered.items).zip(items) {
            let consumer = item.consumer.unwrap();
            let no_ack = self.model.consumers[consumer].no_ack;
            let key = Some(self.keys[consumer]);
            self.queues[item.queue].take_back(delivery.into_entry(), key, no_ack, &mut self.fx);
            self.apply();
            self.model.take_back(&item);
        }
        self.peers[connection] = Peer::default();
        self.take_nothing(connection);
        for channel in channels {
            self.limits[channel] = None;
            self.model.channels[channel].1 = None;
        }
    }

    /// What must hold between any two steps.
    pub(super) fn check(&mut self) {
        self.call_due(); // of what is over already, a queue may have left some to the timers
        let mut used = 0;
        for (q, queue) in self.queues.iter().enumerate() {
            used += self.model.unacked_of_queue(q).map(|item| item.note.cost).sum::<usize>();
            if queue.is_deleted() {
                continue;
            }
            let model = &self.model.queues[q];
            let counts = queue.counts();
            assert_eq!(counts.ready, model.ready.len());
            assert_eq!(counts.unacked, self.model.unacked_of_queue(q).count());
            assert_eq!(counts.consumers, self.model.told_consumers(q));
            if !model.ready.is_empty() {
                let idle = self.model.live_consumers(q).find(|c| self.model.has_room(*c));
                assert_eq!(idle, None, "a consumer with room while messages are ready");
            }
            used += model.ready.values().map(|waiting| waiting.note.cost).sum::<usize>();
        }
        assert_eq!(self.memory.used(), used as u64);
        for (peer, model) in self.peers.iter().zip(&self.model.connections) {
            let must_wake = model.released || model.outbox.len() > peer.seen;
            assert!(peer.woken.0.load(Ordering::Relaxed) || !must_wake, "something waits and nobody was woken");
        }
    }

    /// All go, and nothing is left.
    pub(super) fn end(mut self) {
        (0..CONNECTIONS).for_each(|connection| self.lose(connection));
        self.check();
        for name in 0..QUEUES {
            while !self.model.queues[self.named[name]].ready.is_empty() {
                self.get(name, 0, true);
            }
        }
        self.call_due();
        assert_eq!(self.memory.used(), 0);
    }

    fn add_queue(&mut self, name: usize) {
        let shape = if name == 0 { self.shape.clone() } else { Shape::default() };
        let settings = QueueSettings {
            queue_type: if shape.quorum { QueueType::Quorum } else { QueueType::Classic },
            max_length: shape.max_length.map(|max| max as u64),
            max_priority: Some(shape.max_priority).filter(|max| *max > 0 && !shape.quorum),
            message_ttl_ms: shape.ttl,
            delivery_limit: shape.quorum.then_some(i64::from(shape.delivery_limit)),
            ..self.settings.clone()
        };
        let q = self.queues.len();
        let (memory, timers) = (self.memory.clone(), self.timers.clone());
        let home = Arc::new(Home { memory, timers, vhost: Weak::new(), compat: Compat::default() });
        let begin = Begin {
            policy: &QueuePolicy::default(),
            now: self.fx.now(),
            disk: None,
            recovered: Vec::new(),
            earlier_ttls: Vec::new(),
        };
        let queue = Queue::new("q".into(), QueueKey(q as u32), settings, None, home, begin);
        self.queues.push(Arc::new(queue));
        self.model.add_queue(shape);
        self.named[name] = q;
    }

    fn message(&mut self, Published { len, ttl_ms, priority }: Published) -> Message {
        self.published += 1;
        let parts = Parts {
            exchange: b"",
            routing_key: &self.published.to_be_bytes(),
            properties: &[0, 0],
            body: Body::Owned(Bytes::from_static(&BODY[..len])),
            persistent: false,
            copies: 1,
            life: Life { arrived: self.fx.now(), ttl_ms, priority, ..Life::default() },
        };
        Message::new(&mut Vec::new(), parts)
    }

    /// The channel's part of settling one of the unacked messages: it gives back the place in the channel's limit.
    fn settle(&mut self, which: Index) -> Option<Item> {
        let open: Vec<_> = (0..self.model.held.len()).filter(|at| !self.model.held[*at].settling).collect();
        let at = (!open.is_empty()).then(|| *which.get(&open))?;
        let item = self.model.held[at].item;
        let unacked = self.model.unacked_of_channel(item.channel);
        self.model.held[at].settling = true;
        if item.consumer.is_some()
            && let Some(limit) = &self.limits[item.channel]
        {
            let max = self.model.channels[item.channel].1.unwrap();
            let reached = limit.release(1);
            assert_eq!(reached, max > 0 && unacked >= max);
            if reached {
                self.resume_channel(item.channel);
            }
        }
        Some(item)
    }

    fn settled(&mut self, items: &[(Item, Settlement)]) -> Vec<Settled> {
        let settled = items.iter().map(|(item, settlement)| Settled {
            got: item.consumer.is_none(),
            consumer: item.consumer.map(|consumer| self.keys[consumer]),
            settlement: *settlement,
            entry: self.entries.remove(&(item.queue, item.position)).unwrap(),
        });
        settled.collect()
    }

    fn remove(&mut self, consumer: usize) {
        let queue = &self.queues[self.model.consumers[consumer].queue];
        assert!(!queue.remove_consumer(self.keys[consumer], &mut self.fx), "the queue is not auto-delete");
        self.apply();
        self.model.remove(consumer);
    }

    fn resume_channel(&mut self, channel: usize) {
        for consumer in self.consumers_of(channel) {
            let queue = self.queues[self.model.consumers[consumer].queue].clone();
            queue.resume_channel(self.keys[consumer], &mut self.fx);
            self.apply();
            self.call_due(); // of what is over, it may have left some, which another settlement must not find
            self.model.resume_channel(consumer);
        }
    }

    fn consumers_of(&self, channel: usize) -> Vec<usize> {
        let is_of = |c: &usize| self.model.consumers[*c].channel == channel && self.model.is_live(*c);
        (0..self.keys.len()).filter(is_of).collect()
    }

    fn look(&mut self, connection: usize, deliveries: bool) -> Taken {
        let peer = &self.peers[connection];
        peer.woken.0.store(false, Ordering::Relaxed);
        let mut taken = Taken::default();
        peer.outbox.take(&mut taken, deliveries, &Waker::from(peer.woken.clone()));
        let released = std::mem::take(&mut self.model.connections[connection].released);
        assert_eq!(taken.released, released);
        taken
    }
}

fn deliveries(items: Vec<Outgoing>) -> impl Iterator<Item = Delivery> {
    items.into_iter().filter_map(|item| match item {
        Outgoing::Deliver(delivery) => Some(delivery),
        Outgoing::Cancelled { .. } => None,
    })
}

fn note(message: &Message) -> Note {
    let id = u64::from_be_bytes(message.routing_key().try_into().unwrap());
    Note {
        id,
        arrived: message.arrived().0,
        ttl: message.ttl_ms(),
        priority: message.priority(),
        wire: message.wire_len(),
        cost: message.cost(),
    }
}
