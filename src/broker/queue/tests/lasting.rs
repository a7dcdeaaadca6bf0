//! Queues with priorities, times to live and limits on a disk that is a map, over restarts into any line of RabbitMQ: random histories,
//! held to [`Line`].

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use leveret_protocol::FieldTable;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::line::{Form, Line};
use super::stored::{Requests, Stored, queue_of};
use crate::broker::arguments::{self, QueueReference, QueueSettings, QueueType, ReceivedDeclare};
use crate::broker::compat::Compat;
use crate::broker::effects::Effects;
use crate::broker::journal::{Group, Journal, Op, QueueId, Request};
use crate::broker::memory::Memory;
use crate::broker::message::{Body, Life, Message, Parts};
use crate::broker::moment::Moment;
use crate::broker::outbox::{Outbox, Outgoing, Taken};
use crate::broker::policy::QueuePolicy;
use crate::broker::queue::{
    Begin, ConsumerKey, Entry, Home, Lane, OnDisk, Queue, Recovered, Settled, Settlement, Subscriber,
};
use crate::broker::timers::{Due, Timers};
use crate::broker::topology::QueueKey;

/// Large bodies are pieces of this.
static BODY: [u8; 3 << 20] = [0; 3 << 20];

/// A queue, its store and a connection with all of its consumers, next to the model.
struct Bench {
    line: Line,
    queue: Arc<Queue>,
    requests: Arc<Requests>,
    journal: Arc<Journal>,
    stored: BTreeMap<QueueId, Stored>,
    timers: Arc<Timers>,
    outbox: Arc<Outbox>,
    /// Key, prefetch and whether it acks; by subscription.
    consumers: BTreeMap<usize, (ConsumerKey, u32, bool)>,
    entries: BTreeMap<u64, Entry>,
    ids: u64,
    subscriptions: usize,
    fx: Effects,
}

fn settings(form: &Form) -> QueueSettings {
    let received = ReceivedDeclare {
        queue: QueueReference { vhost: "/", name: "q" },
        server_named: false,
        durable: true,
        exclusive: false,
        auto_delete: false,
        arguments: &FieldTable::default(),
    };
    QueueSettings {
        queue_type: if form.quorum { QueueType::Quorum } else { QueueType::Classic },
        max_length: form.max_length.map(|max| max as u64),
        max_priority: Some(form.max_priority).filter(|max| *max > 0 && !form.quorum),
        message_ttl_ms: form.ttl,
        delivery_limit: form.quorum.then_some(i64::from(form.delivery_limit)),
        ..arguments::declare(&received, QueueType::Classic, Compat::default()).unwrap()
    }
}

fn id(message: &Message) -> u64 {
    u64::from_be_bytes(message.routing_key().try_into().unwrap())
}

impl Bench {
    fn new(form: Form, compat: Compat) -> Self {
        let line = Line::new(form, compat);
        let (requests, journal) = (Arc::new(Requests::default()), Arc::new(Journal::new()));
        let (timers, fx) = (Arc::new(Timers::default()), Effects::default());
        let queue = queue(&line, &requests, &journal, &timers, Vec::new());
        let mut bench = Self {
            line,
            queue,
            requests,
            journal,
            stored: BTreeMap::new(),
            timers,
            outbox: Arc::new(Outbox::new()),
            consumers: BTreeMap::new(),
            entries: BTreeMap::new(),
            ids: 0,
            subscriptions: 0,
            fx,
        };
        bench.fx.set_now(Moment(bench.line.now));
        bench
    }

    fn publish(&mut self, bodies: &[Published]) {
        let mut messages = Vec::new();
        for body in bodies {
            self.ids += 1;
            self.line.push(self.ids, body.priority, body.ttl, body.persistent);
            let (arrived, ttl_ms) = (Moment(self.line.now), body.ttl);
            let parts = Parts {
                exchange: b"",
                routing_key: &self.ids.to_be_bytes(),
                properties: &[0, 0],
                body: Body::Owned(Bytes::from_static(&BODY[..body.len])),
                persistent: body.persistent,
                copies: 1,
                life: Life { arrived, ttl_ms, priority: body.priority, ..Life::default() },
            };
            messages.push(Message::new(&mut Vec::new(), parts));
        }
        self.batch(messages, Vec::new());
    }

    fn batch(&mut self, mut messages: Vec<Message>, mut settled: Vec<Settled>) {
        self.queue.take_batch(&mut messages, &mut settled, &mut Vec::new(), &self.outbox, &mut self.fx);
        self.fx.apply();
    }

    fn get(&mut self, no_ack: bool) {
        while self.queue.makes_wait(&self.outbox, &mut self.fx) {
            assert!(self.serve(), "it waits for nothing");
        }
        let got = self.queue.get(no_ack, &mut self.fx);
        self.fx.apply();
        match got {
            None => {
                self.rest();
                assert_eq!(self.line.len(), 0);
            }
            Some((entry, _)) => self.delivered(None, !no_ack, entry),
        }
    }

    fn delivered(&mut self, consumer: Option<usize>, acks: bool, entry: Entry) {
        let number = id(&entry.message);
        let standing = self.line.take(number, &entry);
        if acks {
            self.line.hold(consumer, standing);
            self.entries.insert(number, entry);
        }
    }

    fn consume(&mut self, prefetch: u32, no_ack: bool, priority: i64) {
        self.subscriptions += 1;
        let subscriber = Subscriber {
            outbox: self.outbox.clone(),
            channel: 1,
            subscription: self.subscriptions as u32,
            no_ack,
            prefetch,
            priority,
            exclusive: false,
            channel_limit: None,
        };
        let key = self.queue.add_consumer(subscriber).unwrap();
        self.consumers.insert(self.subscriptions, (key, prefetch, !no_ack));
        self.queue.dispatch(&mut self.fx);
        self.fx.apply();
    }

    fn cancel(&mut self, which: Index) {
        let all: Vec<_> = self.consumers.keys().copied().collect();
        if !all.is_empty() {
            let (key, ..) = self.consumers.remove(which.get(&all)).unwrap();
            self.queue.remove_consumer(key, &mut self.fx);
            self.fx.apply();
        }
    }

    /// Settles unacked messages as long as it is told which of how many.
    fn settle(&mut self, mut at: impl FnMut(usize) -> Option<usize>, settlement: Settlement) {
        let mut settled = Vec::new();
        while !self.line.unacked.is_empty()
            && let Some(at) = at(self.line.unacked.len())
        {
            let (consumer, standing) = &self.line.unacked[at];
            let consumer_key = consumer.and_then(|consumer| Some(self.consumers.get(&consumer)?.0));
            let (got, entry) = (consumer.is_none(), self.entries.remove(&standing.id).unwrap());
            settled.push(Settled { consumer: consumer_key, got, settlement, entry });
            self.line.settle(at, settlement);
        }
        self.batch(Vec::new(), settled);
    }

    fn purge(&mut self) {
        assert_eq!(self.queue.purge(&mut self.fx), self.line.purge());
        self.fx.apply();
    }

    /// The connection takes what its outbox has, as long as something comes.
    fn take(&mut self) {
        loop {
            let mut taken = Taken::default();
            self.outbox.take(&mut taken, true, Waker::noop());
            if taken.items.is_empty() && taken.parked.is_empty() {
                return;
            }
            for item in taken.items {
                let Outgoing::Deliver(delivery) = item else { continue };
                let consumer = delivery.subscription as usize;
                // One that is cancelled may have had it before.
                let acks = self.consumers.get(&consumer).is_none_or(|(_, _, acks)| *acks);
                self.delivered(Some(consumer), acks, delivery.into_entry());
            }
            for (queue, key) in taken.parked {
                queue.resume(key, &mut self.fx);
                self.fx.apply();
            }
        }
    }

    /// Time goes on, and the timers call.
    fn pass(&mut self, ms: u64) {
        self.line.now += ms;
        self.fx.set_now(Moment(self.line.now));
    }

    /// Does one thing of those that wait to be done. False if there is nothing.
    fn serve(&mut self) -> bool {
        let due = self.timers.take_due(self.fx.now(), 1);
        for due in &due {
            if let Due::Queue(queue) = due {
                queue.on_time(&mut self.fx);
                self.fx.apply();
            }
        }
        self.take();
        self.write_log();
        let request = self.requests.0.lock().pop_front();
        let served = request.is_some();
        match request {
            Some(Request::PageOut { queue, lasting, run }) => {
                assert!(lasting);
                let stored = self.stored.entry(queue).or_default();
                stored.page_out(run);
                self.queue.paged_out(&mut self.fx);
            }
            Some(Request::Load { queue, from, to, bytes }) => self.load(queue, from, to, bytes),
            Some(Request::Discard { .. }) => panic!("a kept queue tells the log"),
            None => {}
        }
        self.fx.apply();
        self.take();
        served || !due.is_empty()
    }

    fn load(&mut self, queue: QueueId, from: u64, to: u64, bytes: usize) {
        let loaded = self.stored.entry(queue).or_default().load(from, to, bytes);
        self.queue.loaded(OnDisk::queue_of(queue).1, from, Some(loaded), &mut self.fx);
    }

    fn write_log(&mut self) {
        let mut group = Group::default();
        let position = self.journal.write().push(Op::Forget { key: [].into() }); // so that there is something to take
        self.journal.wait(position, &Arc::new(Outbox::new()));
        assert!(self.journal.take(&mut group, Duration::ZERO, None, |_| ()));
        for op in group.ops.drain(..) {
            if let Some(queue) = queue_of(&op) {
                self.stored.entry(queue).or_default().write(op);
            }
        }
        self.journal.commit(&mut group, &mut self.fx);
    }

    /// A new queue is made from what the store has.
    fn restart(&mut self, compat: Compat) {
        self.rest();
        let last = self.stored.values().map(|stored| stored.last).max();
        self.line.restart(compat, last.unwrap_or(0));
        let mut recovered = Vec::new();
        for (queue, stored) in &mut self.stored {
            recovered.push((OnDisk::queue_of(*queue).1, stored.recover()));
        }
        self.requests = Arc::default();
        self.timers = Arc::default();
        self.outbox = Arc::default();
        self.consumers.clear();
        self.entries.clear();
        self.queue = queue(&self.line, &self.requests, &self.journal, &self.timers, recovered);
        self.queue.dispatch(&mut self.fx);
        self.fx.apply();
    }

    /// All is done that is to be done: the counts are right, nobody waits in vain, and the store has what it must have.
    fn rest(&mut self) {
        let mut rounds = 0;
        while self.serve() {
            rounds += 1;
            assert!(rounds < 10_000, "it comes to no rest");
        }
        self.line.come_to_rest();
        let counts = self.queue.counts();
        assert_eq!((counts.ready, counts.unacked), (self.line.len(), self.line.unacked.len()));
        let of = |consumer| self.line.unacked.iter().filter(move |(of, _)| *of == Some(consumer)).count();
        for (consumer, (_, prefetch, acks)) in &self.consumers {
            let (held, max) = (of(*consumer), *prefetch as usize);
            assert!(!acks || max == 0 || held <= max);
            let takes_more = !acks || max == 0 || held < max;
            assert!(!takes_more || counts.ready == 0, "a consumer waits while messages are ready");
        }
        let base = self.line.lane_priority(None);
        let priority = |queue: &QueueId| match OnDisk::queue_of(*queue).1 {
            Lane::FIRST => base,
            lane => (lane.0 - 1) as u8,
        };
        let logged = self.stored.iter().flat_map(|(queue, stored)| {
            stored.logged.iter().map(move |(position, kept)| (priority(queue), *position, id(&kept.message)))
        });
        let mut logged: Vec<_> = logged.collect();
        logged.sort_unstable();
        assert_eq!(logged, self.line.kept());
    }

    /// All that is left is taken.
    fn end(mut self) {
        self.rest();
        for (key, ..) in std::mem::take(&mut self.consumers).into_values() {
            self.queue.remove_consumer(key, &mut self.fx);
        }
        self.settle(|_| Some(0), Settlement::Ack);
        while self.line.len() > 0 {
            self.get(true);
        }
        self.rest();
        assert_eq!(self.queue.charged(), 0);
        assert!(self.stored.values().all(|stored| stored.logged.is_empty() && stored.paged.is_empty()));
    }
}

fn queue(
    line: &Line,
    requests: &Arc<Requests>,
    journal: &Arc<Journal>,
    timers: &Arc<Timers>,
    recovered: Vec<(Lane, Recovered)>,
) -> Arc<Queue> {
    let disk = OnDisk {
        id: QueueId(OnDisk::IDS),
        journal: Some(journal.clone()),
        pager: requests.clone(),
        keeps_all: line.form.quorum,
    };
    // Little memory, so that few messages are deep.
    let memory = Arc::new(Memory::new(1));
    let home = Arc::new(Home { memory, timers: timers.clone(), vhost: Weak::new(), compat: line.compat });
    let begin = Begin {
        policy: &QueuePolicy::default(),
        now: Moment(line.now),
        disk: Some(disk),
        recovered,
        earlier_ttls: Vec::new(),
    };
    Arc::new(Queue::new("q".into(), QueueKey(0), settings(&line.form), None, home, begin))
}

#[derive(Clone, Copy, Debug)]
struct Published {
    len: usize,
    ttl: Option<u64>,
    priority: Option<u8>,
    persistent: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Publish(Vec<Published>),
    Get(usize, bool),
    Consume { prefetch: u32, no_ack: bool, priority: i64 },
    Cancel(Index),
    Settle(Vec<Index>, Settlement),
    Purge,
    Serve(usize),
    Pass(u64),
    Restart(Compat),
}

fn published(limited: bool) -> impl Strategy<Value = Vec<Published>> {
    let life = prop_oneof![5 => Just(None), 2 => select(vec![0, 5, 20, 1000]).prop_map(Some)];
    let life = life.prop_map(move |ttl| ttl.filter(|_| !limited));
    let priority = prop_oneof![2 => Just(None), 3 => select(vec![0, 1, 4, 5, 9, 40]).prop_map(Some)];
    let len = select(vec![0, 100, 100_000, 256 * 1024, 256 * 1024]);
    let one = (len, life, priority, prop::bool::weighted(0.8)).prop_map(|(len, ttl, priority, persistent)| Published {
        len,
        ttl,
        priority,
        persistent,
    });
    // Runs of the same kind make lanes deep.
    (vec(one, 1..6), 1..12_usize)
        .prop_map(|(kinds, times)| kinds.into_iter().flat_map(|kind| std::iter::repeat_n(kind, times)).collect())
}

fn step(limited: bool) -> impl Strategy<Value = Step> {
    let lines =
        if limited { vec![Compat::V4_3, Compat::V3_13] } else { vec![Compat::V4_3, Compat::V4_2, Compat::V3_13] };
    let settlement = select(vec![
        Settlement::Discard,
        Settlement::Reject,
        Settlement::Requeue,
        Settlement::RejectToQueue,
        Settlement::Lose,
    ]);
    prop_oneof![
        8 => published(limited).prop_map(Step::Publish),
        4 => (1..20_usize, any::<bool>()).prop_map(|(n, no_ack)| Step::Get(n, no_ack)),
        3 => (select(vec![0, 1, 3, 20]), prop::bool::weighted(0.2), select(vec![0, 0, 5]))
            .prop_map(|(prefetch, no_ack, priority)| Step::Consume { prefetch, no_ack, priority }),
        2 => any::<Index>().prop_map(Step::Cancel),
        4 => vec(any::<Index>(), 1..20).prop_map(|which| Step::Settle(which, Settlement::Ack)),
        4 => (vec(any::<Index>(), 1..9), settlement).prop_map(|(which, how)| Step::Settle(which, how)),
        1 => Just(Step::Purge),
        4 => (1..5_usize).prop_map(Step::Serve),
        3 => select(vec![1, 5, 30, 2000]).prop_map(Step::Pass),
        2 => select(lines).prop_map(Step::Restart),
    ]
}

fn form() -> impl Strategy<Value = (Form, Compat)> {
    let bounds = prop_oneof![
        2 => Just((None, None)),
        1 => select(vec![0, 3, 20]).prop_map(|max| (Some(max), None)),
        1 => select(vec![0, 10, 50]).prop_map(|ttl| (None, Some(ttl))),
    ];
    let line = select(vec![Compat::V4_3, Compat::V3_13]);
    (any::<bool>(), select(vec![0, 5, 255]), bounds, 0u32..4, line).prop_map(
        |(quorum, max_priority, (max_length, ttl), delivery_limit, line)| {
            (Form { quorum, max_priority, max_length, ttl, delivery_limit }, line)
        },
    )
}

fn play(bench: &mut Bench, step: Step) {
    // Where something comes back, or time goes on, or the first go, it matters what was done before.
    let in_between = bench.line.form.max_length.is_none();
    match &step {
        Step::Publish(_) | Step::Serve(_) | Step::Settle(_, Settlement::Ack) if in_between => {}
        _ => bench.rest(),
    }
    match step {
        Step::Publish(bodies) => bench.publish(&bodies),
        Step::Get(n, no_ack) => (0..n).for_each(|_| bench.get(no_ack)),
        Step::Consume { prefetch, no_ack, priority } => bench.consume(prefetch, no_ack, priority),
        Step::Cancel(which) => bench.cancel(which),
        Step::Settle(which, settlement) => {
            let mut which = which.into_iter();
            bench.settle(|len| Some(which.next()?.index(len)), settlement);
        }
        Step::Purge => bench.purge(),
        Step::Serve(n) => (0..n).for_each(|_| _ = bench.serve()),
        Step::Pass(ms) => bench.pass(ms),
        Step::Restart(compat) => bench.restart(compat),
    }
    bench.take();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]
    ///
    #[test]
    fn a_kept_queue_is_a_queue(
        ((form, compat), steps) in form().prop_flat_map(|(form, compat)| {
            let limited = form.max_length.is_some();
            (Just((form, compat)), vec(step(limited), 1..60))
        }),
    ) {
        let mut bench = Bench::new(form, compat);
        for step in steps {
            play(&mut bench, step);
        }
        bench.end();
    }
}

#[test]
fn what_has_come_from_disk_does_not_go_there_again() {
    let form = Form { quorum: false, max_priority: 0, max_length: None, ttl: None, delivery_limit: 0 };
    for (count, len) in [(1, BODY.len()), (2, BODY.len()), (40, 100_000)] {
        let mut bench = Bench::new(form.clone(), Compat::default());
        let message = Published { len, ttl: None, priority: None, persistent: true };
        bench.consume(1, false, 0);
        bench.publish(&vec![message; count]);
        bench.rest(); // it would go on for ever
        bench.end();
    }
}
