//! Random histories of a queue with a dead-letter queue: each message is in one place, and what died is there once, with the reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use leveret_protocol::{FieldTable, FieldValue};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::broker::arguments::QueueType;
use crate::broker::compat::Compat;
use crate::broker::dead_letter::Reason;
use crate::broker::{
    Body, Broker, BrokerSettings, ConnectionId, Effects, Entry, Life, Message, Moment, Outbox, Parts, Queue,
    QueueDeclare, Settled, Settlement,
};

#[derive(Clone, Debug)]
enum Step {
    Publish {
        count: usize,
        ttl_ms: Option<u64>,
    },
    Get,
    /// Of those that are held.
    Settle(usize, Settlement),
    Pass {
        ms: u64,
    },
}

/// What the queue is declared with beside where its dead letters go.
#[derive(Clone, Debug)]
struct Shape {
    quorum: bool,
    at_least_once: bool,
    max_length: Option<usize>,
    ttl_ms: Option<u64>,
    delivery_limit: u32,
    /// Which returns are delayed: type, shortest and longest.
    delay: Option<(&'static str, u64, Option<u64>)>,
}

enum At {
    Ready,
    Delayed { until: u64 },
    Held(Entry),
}

struct Known {
    arrived: u64,
    ttl_ms: Option<u64>,
    failed: u32,
    at: At,
}

struct World {
    broker: Broker,
    queue: Arc<Queue>,
    dead: Arc<Queue>,
    fx: Effects,
    shape: Shape,
    known: BTreeMap<u64, Known>,
    published: u64,
    /// Who has to die in this step, for this reason.
    doomed: BTreeMap<u64, Reason>,
}

const REASONS: [Reason; 4] = [Reason::Rejected, Reason::Expired, Reason::MaxLength, Reason::DeliveryLimit];

impl Shape {
    fn arguments(&self) -> FieldTable {
        let mut table = FieldTable::new();
        table.push("x-dead-letter-exchange", "");
        table.push("x-dead-letter-routing-key", "dead");
        let mut number = |key, n: u64| table.push(key, FieldValue::I64(n as i64));
        self.max_length.into_iter().for_each(|max| number("x-max-length", max as u64));
        self.ttl_ms.into_iter().for_each(|ttl| number("x-message-ttl", ttl));
        if self.quorum {
            number("x-delivery-limit", self.delivery_limit.into());
            if let Some((_, min, max)) = self.delay {
                number("x-delayed-retry-min", min);
                max.into_iter().for_each(|max| number("x-delayed-retry-max", max));
            }
            table.push("x-queue-type", "quorum");
            self.delay.into_iter().for_each(|(which, ..)| table.push("x-delayed-retry-type", which));
            if self.at_least_once && self.max_length.is_none() {
                table.push("x-dead-letter-strategy", "at-least-once");
                table.push("x-overflow", "reject-publish");
            }
        }
        table
    }

    /// how long what comes back has to wait.
    fn delay_ms(&self, settlement: Settlement, failed: u32) -> Option<u64> {
        let (which, min, max) = self.delay.filter(|_| self.quorum)?;
        let rejected = settlement != Settlement::Requeue;
        let delays = which == "all" || which == if rejected { "failed" } else { "returned" };
        let delay = if rejected { min * u64::from(failed) } else { min };
        delays.then(|| max.map_or(delay, |max| delay.min(max)))
    }
}

impl World {
    fn new(shape: Shape) -> Self {
        let settings = BrokerSettings {
            compat: Compat::default(),
            memory_max: 1 << 30,
            default_queue_type: QueueType::Classic,
            seed: 1,
        };
        let broker = Broker::new(settings, None);
        let vhost = broker.vhost("/").unwrap();
        let mut fx = Effects::default();
        fx.set_now(Moment(1000));
        let mut declare = |name, arguments: &FieldTable| {
            let declare = QueueDeclare {
                name,
                server_named: false,
                durable: true,
                exclusive: false,
                auto_delete: false,
                arguments,
            };
            vhost.declare_queue(&declare, ConnectionId(1), &mut fx).unwrap().0
        };
        let (dead, queue) = (declare("dead", &FieldTable::new()), declare("q", &shape.arguments()));
        Self { broker, queue, dead, fx, shape, known: BTreeMap::new(), published: 0, doomed: BTreeMap::new() }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Publish { count, ttl_ms } => self.publish(count, ttl_ms),
            Step::Get => self.get(),
            Step::Settle(which, settlement) => self.settle(which, settlement),
            Step::Pass { ms } => self.fx.set_now(self.fx.now().plus_ms(ms)),
        }
        self.fx.apply();
        while self.broker.on_time(&mut self.fx) {}
        self.bury();
    }

    fn batch(&mut self, mut messages: Vec<Message>, mut settled: Vec<Settled>) {
        self.queue.take_batch(&mut messages, &mut settled, &mut Vec::new(), &Arc::new(Outbox::new()), &mut self.fx);
    }

    fn publish(&mut self, count: usize, ttl_ms: Option<u64>) {
        let arrived = self.fx.now();
        let mut messages = Vec::new();
        for _ in 0..count {
            self.published += 1;
            let parts = Parts {
                exchange: b"",
                routing_key: b"q",
                properties: &[0, 0],
                body: Body::Borrowed(&self.published.to_be_bytes()),
                persistent: true,
                copies: 1,
                life: Life { arrived, ttl_ms, ..Life::default() },
            };
            messages.push(Message::new(&mut Vec::new(), parts));
            let ttl_ms = [ttl_ms, self.shape.ttl_ms].into_iter().flatten().min();
            self.known.insert(self.published, Known { arrived: arrived.0, ttl_ms, failed: 0, at: At::Ready });
        }
        self.batch(messages, Vec::new());
    }

    fn get(&mut self) {
        self.end_delays();
        let Some((entry, _)) = self.queue.get(false, &mut self.fx) else { return };
        let known = self.known.get_mut(&id(&entry.message)).expect("it has not died");
        assert!(matches!(known.at, At::Ready), "it is ready");
        assert_eq!(entry.counts.failed, known.failed);
        known.at = At::Held(entry);
    }

    fn settle(&mut self, which: usize, settlement: Settlement) {
        let held = self.known.iter().filter(|(_, known)| matches!(known.at, At::Held(_)));
        let held: Vec<_> = held.map(|(id, _)| *id).collect();
        if held.is_empty() {
            return;
        }
        let id = held[which % held.len()];
        let known = self.known.get_mut(&id).unwrap();
        let At::Held(entry) = std::mem::replace(&mut known.at, At::Ready) else { panic!("it is held") };
        match settlement {
            Settlement::Ack => drop(self.known.remove(&id)),
            Settlement::Discard | Settlement::Reject => drop(self.doomed.insert(id, Reason::Rejected)),
            Settlement::Requeue | Settlement::RejectToQueue | Settlement::Lose => {
                known.failed += u32::from(settlement != Settlement::Requeue);
                if self.shape.quorum && known.failed > self.shape.delivery_limit {
                    self.doomed.insert(id, Reason::DeliveryLimit);
                } else if let Some(delay) = self.shape.delay_ms(settlement, known.failed) {
                    known.at = At::Delayed { until: self.fx.now().0 + delay };
                }
            }
        }
        self.batch(Vec::new(), vec![Settled { consumer: None, got: true, settlement, entry }]);
    }

    fn end_delays(&mut self) {
        let now = self.fx.now().0;
        for known in self.known.values_mut() {
            if matches!(known.at, At::Delayed { until } if until <= now) {
                known.at = At::Ready;
            }
        }
    }

    /// Looks at all that has died since, and where the others are.
    fn bury(&mut self) {
        self.end_delays();
        let now = self.fx.now().0;
        while let Some((entry, _)) = self.dead.get(true, &mut self.fx) {
            let id = id(&entry.message);
            let properties = String::from_utf8_lossy(entry.message.properties()).into_owned();
            let reasons: Vec<_> = REASONS.into_iter().filter(|reason| properties.contains(reason.as_str())).collect();
            let known = self.known.remove(&id).expect("it dies once");
            assert!(matches!(known.at, At::Ready), "nobody has it");
            match (self.doomed.remove(&id), &reasons[..]) {
                (Some(doom), [reason]) => assert_eq!(doom, *reason),
                (None, [Reason::Expired]) => assert!(known.ttl_ms.is_some_and(|ttl| known.arrived + ttl <= now)),
                (None, [Reason::MaxLength]) => {
                    let others = self.count(|at| matches!(at, At::Ready));
                    assert!(self.shape.max_length.is_some_and(|max| others >= max), "there were too many");
                }
                (doom, reasons) => panic!("{doom:?} died of {reasons:?}"),
            }
        }
        assert!(self.doomed.is_empty(), "who had to die is dead");
        let counts = self.queue.counts();
        assert_eq!(counts.ready, self.count(|at| matches!(at, At::Ready)));
        assert_eq!(counts.unacked, self.count(|at| matches!(at, At::Held(_))));
    }

    fn count(&self, is: fn(&At) -> bool) -> usize {
        self.known.values().filter(|known| is(&known.at)).count()
    }

    /// All are acked at last, and nothing is left.
    fn end(&mut self) {
        self.step(Step::Pass { ms: 100_000 });
        while !self.known.is_empty() {
            self.step(Step::Get);
            self.step(Step::Settle(0, Settlement::Ack));
        }
        assert_eq!(self.broker.memory().used(), 0);
    }
}

fn id(message: &Message) -> u64 {
    u64::from_be_bytes(message.body()[..].try_into().unwrap())
}

fn shape() -> impl Strategy<Value = Shape> {
    let max_length = prop_oneof![2 => Just(None), 1 => (0usize..8).prop_map(Some)];
    let ttl_ms = prop_oneof![2 => Just(None), 1 => select(vec![0, 10, 200]).prop_map(Some)];
    let delay = (select(vec!["all", "failed", "returned", "disabled"]), 1u64..50, prop::option::of(20u64..100));
    let delay = prop::option::of(delay);
    (any::<bool>(), any::<bool>(), max_length, ttl_ms, 0u32..4, delay).prop_map(
        |(quorum, at_least_once, max_length, ttl_ms, delivery_limit, delay)| Shape {
            quorum,
            at_least_once,
            max_length,
            ttl_ms,
            delivery_limit,
            delay,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    use Settlement::{Ack, Discard, Lose, Reject, RejectToQueue, Requeue};
    let settlement = select(vec![Ack, Discard, Reject, Requeue, Requeue, RejectToQueue, RejectToQueue, Lose]);
    let ttl_ms = prop_oneof![3 => Just(None), 1 => select(vec![0, 5, 50]).prop_map(Some)];
    prop_oneof![
        2 => (1usize..6, ttl_ms).prop_map(|(count, ttl_ms)| Step::Publish { count, ttl_ms }),
        4 => Just(Step::Get),
        4 => (any::<usize>(), settlement).prop_map(|(which, settlement)| Step::Settle(which, settlement)),
        2 => select(vec![1, 5, 20, 60]).prop_map(|ms| Step::Pass { ms }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn q_23_q_37_who_dies_is_a_dead_letter_once_and_who_waits_comes_back(shape in shape(), steps in vec(step(), 1..60)) {
        let mut world = World::new(shape);
        steps.into_iter().for_each(|step| world.step(step));
        world.end();
    }
}
