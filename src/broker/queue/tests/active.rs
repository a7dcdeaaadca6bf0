//! Random histories of a queue with a single active consumer: one at a time gets messages, and it is the one whose turn it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::Waker;

use leveret_protocol::FieldTable;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::broker::arguments::QueueType;
use crate::broker::compat::Compat;
use crate::broker::outbox::{Outgoing, Taken};
use crate::broker::queue::{ConsumerKey, Subscriber};
use crate::broker::{
    Body, Broker, BrokerSettings, ConnectionId, Effects, Entry, Life, Message, Moment, Outbox, Parts, Queue,
    QueueDeclare, Settled, Settlement,
};

#[derive(Clone, Debug)]
enum Step {
    Publish(usize),
    Consume {
        prefetch: u32,
        priority: i64,
    },
    Cancel(Index),
    /// So many of what one consumer holds.
    Settle(Index, usize, Settlement),
    /// What consumers held that were cancelled.
    SettleOrphans(Settlement),
    GiveUp(Index),
    TakeBack(Index),
}

struct Consumer {
    outbox: Arc<Outbox>,
    key: ConsumerKey,
    prefetch: u32,
    priority: i64,
    held: Vec<Entry>,
    given_up: bool,
}

/// The queue, and who should have what.
struct World {
    queue: Arc<Queue>,
    quorum: bool,
    fx: Effects,
    /// Those that are there, by number.
    consumers: BTreeMap<usize, Consumer>,
    came: usize,
    active: Option<usize>,
    /// In the order of their turns.
    waiting: Vec<usize>,
    /// The active one gets nothing more and is replaced when it has settled all.
    fading: bool,
    orphans: Vec<Entry>,
    ready: BTreeSet<u64>,
    published: u64,
    /// The highest number delivered so far.
    delivered: u64,
}

impl World {
    fn new(quorum: bool) -> Self {
        let settings = BrokerSettings {
            compat: Compat::default(),
            memory_max: 1 << 30,
            default_queue_type: QueueType::Classic,
            seed: 1,
        };
        let broker = Broker::new(settings, None);
        let mut arguments = FieldTable::new();
        arguments.push("x-single-active-consumer", true);
        arguments.push("x-queue-type", if quorum { "quorum" } else { "classic" });
        let declare = QueueDeclare {
            name: "q",
            server_named: false,
            durable: true,
            exclusive: false,
            auto_delete: false,
            arguments: &arguments,
        };
        let mut fx = Effects::default();
        fx.set_now(Moment(1000));
        let queue = broker.vhost("/").unwrap().declare_queue(&declare, ConnectionId(1), &mut fx).unwrap().0;
        Self {
            queue,
            quorum,
            fx,
            consumers: BTreeMap::new(),
            came: 0,
            active: None,
            waiting: Vec::new(),
            fading: false,
            orphans: Vec::new(),
            ready: BTreeSet::new(),
            published: 0,
            delivered: 0,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Publish(count) => self.publish(count),
            Step::Consume { prefetch, priority } => self.consume(prefetch, priority),
            Step::Cancel(which) => self.with_one(which, Self::cancel),
            Step::Settle(which, count, settlement) => self.with_one(which, |world, c| {
                let held = &mut world.consumers.get_mut(&c).unwrap().held;
                let entries = held.drain(..count.min(held.len())).collect();
                let key = world.consumers[&c].key;
                world.settle(Some(key), entries, settlement);
                if world.fading && world.active == Some(c) && world.consumers[&c].held.is_empty() {
                    world.step_down(c);
                }
            }),
            Step::SettleOrphans(settlement) => {
                let orphans = std::mem::take(&mut self.orphans);
                self.settle(None, orphans, settlement);
            }
            Step::GiveUp(which) => self.with_one(which, Self::give_up),
            Step::TakeBack(which) => self.with_one(which, Self::take_back),
        }
        self.fx.apply();
        self.receive();
        self.check();
    }

    fn with_one(&mut self, which: Index, act: impl FnOnce(&mut Self, usize)) {
        let all: Vec<_> = self.consumers.keys().copied().collect();
        if !all.is_empty() {
            act(self, *which.get(&all));
        }
    }

    fn publish(&mut self, count: usize) {
        let mut messages = Vec::new();
        for _ in 0..count {
            self.published += 1;
            self.ready.insert(self.published);
            let parts = Parts {
                exchange: b"",
                routing_key: b"q",
                properties: &[0, 0],
                body: Body::Borrowed(&self.published.to_be_bytes()),
                persistent: true,
                copies: 1,
                life: Life { arrived: self.fx.now(), ..Life::default() },
            };
            messages.push(Message::new(&mut Vec::new(), parts));
        }
        self.queue.take_batch(&mut messages, &mut Vec::new(), &mut Vec::new(), &Arc::default(), &mut self.fx);
    }

    fn consume(&mut self, prefetch: u32, priority: i64) {
        let outbox = Arc::new(Outbox::new());
        let subscriber = Subscriber {
            outbox: outbox.clone(),
            channel: 1,
            subscription: 0,
            no_ack: false,
            prefetch,
            priority,
            exclusive: false,
            channel_limit: None,
        };
        let key = self.queue.add_consumer(subscriber).unwrap();
        self.queue.dispatch(&mut self.fx);
        let c = self.came;
        self.came += 1;
        self.consumers.insert(c, Consumer { outbox, key, prefetch, priority, held: Vec::new(), given_up: false });
        self.waiting.push(c);
        self.offer(c);
    }

    fn cancel(&mut self, c: usize) {
        let consumer = self.consumers.remove(&c).unwrap();
        self.queue.remove_consumer(consumer.key, &mut self.fx);
        self.orphans.extend(consumer.held);
        self.waiting.retain(|waiting| *waiting != c);
        if self.active == Some(c) {
            self.activate_next();
        }
    }

    fn settle(&mut self, consumer: Option<ConsumerKey>, entries: Vec<Entry>, settlement: Settlement) {
        if settlement != Settlement::Ack {
            self.ready.extend(entries.iter().map(id));
        }
        let settled = entries.into_iter().map(|entry| Settled { consumer, got: false, settlement, entry });
        self.queue.take_batch(&mut Vec::new(), &mut settled.collect(), &mut Vec::new(), &Arc::default(), &mut self.fx);
    }

    /// it held a delivery too long.
    fn give_up(&mut self, c: usize) {
        self.queue.give_up_consumer(self.consumers[&c].key, &mut self.fx);
        self.consumers.get_mut(&c).unwrap().given_up = true;
        if self.active == Some(c) {
            self.activate_next();
            self.waiting.push(c);
        }
    }

    fn take_back(&mut self, c: usize) {
        self.queue.take_consumer_back(self.consumers[&c].key, &mut self.fx);
        if std::mem::take(&mut self.consumers.get_mut(&c).unwrap().given_up) {
            self.offer(c);
        }
    }

    /// One that waits may be active now: nobody is, or on a quorum queue one of a lower priority.
    fn offer(&mut self, c: usize) {
        let Some(active) = self.active else { return self.activate_next() };
        if self.quorum && !self.fading && self.consumers[&c].priority > self.consumers[&active].priority {
            if self.consumers[&active].held.is_empty() {
                self.step_down(active);
            } else {
                self.fading = true;
            }
        }
    }

    /// Others of a higher priority take over, if they are still there.
    fn step_down(&mut self, active: usize) {
        self.waiting.insert(0, active);
        self.activate_next();
        if self.active != Some(active) {
            self.waiting.retain(|c| *c != active);
            self.waiting.push(active);
        }
    }

    /// The first of the highest priority; in a quorum queue the one with most room among them.
    fn activate_next(&mut self) {
        self.fading = false;
        let able: Vec<_> = self.waiting.iter().copied().filter(|c| !self.consumers[c].given_up).collect();
        let highest = able.iter().map(|c| self.consumers[c].priority).max();
        let mut first = able.into_iter().filter(|c| Some(self.consumers[c].priority) == highest);
        let room = |c: &usize| match self.consumers[c].prefetch {
            0 => 2000,
            prefetch => prefetch,
        };
        self.active = match self.quorum {
            true => first.max_by_key(|c| (room(c), std::cmp::Reverse(*c))),
            false => first.next(),
        };
        self.waiting.retain(|c| Some(*c) != self.active);
    }

    /// Consumers take what came, which only the active one may get.
    fn receive(&mut self) {
        for (c, consumer) in &mut self.consumers {
            let mut taken = Taken::default();
            consumer.outbox.take(&mut taken, true, Waker::noop());
            assert!(taken.parked.is_empty());
            for item in taken.items {
                let Outgoing::Deliver(delivery) = item else { panic!("nobody cancels") };
                assert!(self.active == Some(*c) && !self.fading, "only the active one gets messages");
                let first_time = !delivery.redelivered;
                let entry = delivery.into_entry();
                assert!(self.ready.remove(&id(&entry)), "it was ready");
                if first_time {
                    assert!(id(&entry) > self.delivered, "in the order in which they came");
                    self.delivered = id(&entry);
                }
                consumer.held.push(entry);
            }
            assert!(consumer.prefetch == 0 || consumer.held.len() <= consumer.prefetch as usize);
        }
    }

    fn check(&self) {
        let held = self.consumers.values().map(|consumer| consumer.held.len()).sum::<usize>();
        let counts = self.queue.counts();
        assert_eq!((counts.ready, counts.unacked), (self.ready.len(), held + self.orphans.len()));
        // Who waits does not count in a quorum queue, and who has left and holds something does.
        assert!(self.quorum || counts.consumers == self.consumers.len());
        let Some(active) = self.active.map(|c| &self.consumers[&c]) else {
            return assert!(self.consumers.values().all(|consumer| consumer.given_up), "somebody is active");
        };
        let has_room = active.prefetch == 0 || active.held.len() < active.prefetch as usize;
        assert!(self.fading || !has_room || self.ready.is_empty(), "the active one gets what there is");
    }
}

/// A message's number.
fn id(entry: &Entry) -> u64 {
    u64::from_be_bytes(entry.message.body().try_into().unwrap())
}

fn step() -> impl Strategy<Value = Step> {
    let settlement = || select(vec![Settlement::Ack, Settlement::Ack, Settlement::Requeue, Settlement::Lose]);
    let which = any::<Index>;
    prop_oneof![
        4 => (1usize..6).prop_map(Step::Publish),
        3 => (select(vec![0, 1, 1, 2, 5]), select(vec![-1, 0, 0, 0, 1, 3]))
            .prop_map(|(prefetch, priority)| Step::Consume { prefetch, priority }),
        2 => which().prop_map(Step::Cancel),
        6 => (which(), 1usize..6, settlement()).prop_map(|(which, count, how)| Step::Settle(which, count, how)),
        1 => settlement().prop_map(Step::SettleOrphans),
        1 => which().prop_map(Step::GiveUp),
        1 => which().prop_map(Step::TakeBack),
    ]
}

proptest! {
    #[test]
    fn q_30_one_consumer_at_a_time_is_active(quorum: bool, steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new(quorum);
        for step in steps {
            world.step(step);
        }
        // Nothing is lost: one more consumer gets all that is not held, when the others have gone.
        let all: Vec<_> = world.consumers.keys().copied().collect();
        for consumer in all {
            world.cancel(consumer);
            world.fx.apply();
            world.receive();
        }
        world.step(Step::SettleOrphans(Settlement::Requeue));
        let left = world.ready.len();
        world.step(Step::Consume { prefetch: 0, priority: 0 });
        prop_assert_eq!(world.consumers.values().map(|consumer| consumer.held.len()).sum::<usize>(), left);
    }
}
