//! Queues deeper than their window of memory, on a disk that is a map: order, counts and what a restart brings back, over random
//! histories.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use leveret_protocol::FieldTable;
use parking_lot::Mutex;
use proptest::prelude::*;

use crate::broker::arguments::{self, QueueReference, QueueSettings, QueueType, ReceivedDeclare};
use crate::broker::compat::Compat;
use crate::broker::effects::Effects;
use crate::broker::journal::{Group, Journal, Loaded, Op, Pager, QueueId, Request};
use crate::broker::kept::Kept;
use crate::broker::memory::Memory;
use crate::broker::message::{Body, Life, Message, Parts};
use crate::broker::moment::Moment;
use crate::broker::outbox::{Outbox, Taken};
use crate::broker::policy::QueuePolicy;
use crate::broker::queue::{Begin, Entry, Home, Lane, OnDisk, Queue, Recovered, Settled, Settlement};
use crate::broker::timers::Timers;
use crate::broker::topology::QueueKey;

/// Bodies are handles of this, so that deep queues cost the test no memory.
static BODY: [u8; 256 * 1024] = [7; 256 * 1024];

#[derive(Default)]
struct FakePager(Mutex<VecDeque<Request<Kept>>>);

impl Pager for FakePager {
    fn request(&self, request: Request<Kept>) {
        self.0.lock().push_back(request);
    }
}

/// A queue, what the disk has of it, and what should be in it: positions, whether delivered before, and the numbers of messages.
struct Bench {
    queue: Arc<Queue>,
    pager: Arc<FakePager>,
    journal: Arc<Journal>,
    publisher: Arc<Outbox>,
    /// Pages by position.
    paged: BTreeMap<u64, Kept>,
    /// What the log says is there, by position.
    logged: BTreeMap<u64, Kept>,
    delivered: u64,
    ready: VecDeque<(bool, u8)>,
    unacked: VecDeque<(Entry, u8)>,
    published: u64,
    fx: Effects,
    durable: bool,
}

fn settings(durable: bool) -> QueueSettings {
    let received = ReceivedDeclare {
        queue: QueueReference { vhost: "/", name: "q" },
        server_named: false,
        durable,
        exclusive: false,
        auto_delete: false,
        arguments: &FieldTable::default(),
    };
    arguments::declare(&received, QueueType::Classic, Compat::default()).unwrap()
}

impl Bench {
    fn new(durable: bool) -> Self {
        let (pager, journal) = (Arc::new(FakePager::default()), Arc::new(Journal::new()));
        let queue = queue(durable, &pager, &journal, None);
        Self {
            queue,
            pager,
            journal,
            publisher: Arc::new(Outbox::new()),
            paged: BTreeMap::new(),
            logged: BTreeMap::new(),
            delivered: 0,
            ready: VecDeque::new(),
            unacked: VecDeque::new(),
            published: 0,
            fx: Effects::default(),
            durable,
        }
    }

    /// Publishes persistent messages of 256 KiB, numbered by the routing key.
    fn publish(&mut self, count: usize) {
        let mut messages: Vec<_> = (0..count)
            .map(|_| {
                self.published += 1;
                let number = self.published as u8;
                self.ready.push_back((false, number));
                let body = Body::Owned(Bytes::from_static(&BODY));
                let parts = Parts {
                    exchange: b"",
                    routing_key: &[number],
                    properties: &[0, 0],
                    body,
                    persistent: true,
                    copies: 1,
                    life: Life::default(),
                };
                Message::new(&mut Vec::new(), parts)
            })
            .collect();
        self.queue.take_batch(&mut messages, &mut Vec::new(), &mut Vec::new(), &self.publisher, &mut self.fx);
    }

    /// What basic.get does: asks until the first message is in memory.
    fn get(&mut self) {
        while self.queue.makes_wait(&self.publisher, &mut self.fx) {
            assert!(self.serve(), "it waits for nothing");
        }
        let expected = self.ready.pop_front();
        let got = self.queue.get(false, &mut self.fx);
        let told = got.as_ref().map(|(entry, _)| (entry.redelivered, entry.message.routing_key()[0]));
        assert_eq!(told, expected);
        if let Some((entry, left)) = got {
            assert_eq!(left, self.ready.len());
            let number = entry.message.routing_key()[0];
            self.unacked.push_back((entry, number));
        }
    }

    fn settle(&mut self, settlement: Settlement) {
        // The oldest, so that a requeued one goes back to the very front.
        let Some((entry, number)) = (match settlement {
            Settlement::Requeue => self.unacked.pop_back(),
            _ => self.unacked.pop_front(),
        }) else {
            return;
        };
        if settlement == Settlement::Requeue {
            self.ready.push_front((true, number));
        }
        let mut settled = vec![Settled { consumer: None, got: true, settlement, entry }];
        self.queue.take_batch(&mut Vec::new(), &mut settled, &mut Vec::new(), &self.publisher, &mut self.fx);
    }

    fn purge(&mut self) {
        assert_eq!(self.queue.purge(&mut self.fx), self.ready.len());
        self.ready.clear();
    }

    /// Does what the store would do next. False if there is nothing.
    fn serve(&mut self) -> bool {
        self.write_log();
        let Some(request) = self.pager.0.lock().pop_front() else { return false };
        match request {
            Request::PageOut { run, .. } => {
                let after = self.paged.last_key_value().map_or(0, |(position, _)| *position);
                assert!(run.is_sorted_by_key(|(position, _)| *position) && run[0].0 > after);
                for (position, message) in run {
                    assert_eq!(message.lasting, self.durable);
                    if !self.durable || self.logged.contains_key(&position) {
                        self.paged.insert(position, message);
                    }
                }
                self.queue.paged_out(&mut self.fx);
            }
            Request::Load { from, to, bytes, .. } => self.load(from, to, bytes),
            Request::Discard { first, last, .. } => self.paged.retain(|position, _| !(first..=last).contains(position)),
        }
        true
    }

    fn load(&mut self, from: u64, to: u64, bytes: usize) {
        let mut loaded = Vec::new();
        for (position, message) in self.paged.range(from..to).take(1 + bytes / BODY.len()) {
            let (position, message) = (*position, message.clone());
            loaded.push(Loaded { position, redelivered: position <= self.delivered, mark: 0, message });
        }
        if !self.durable {
            loaded.iter().for_each(|loaded| drop(self.paged.remove(&loaded.position)));
        }
        self.queue.loaded(Lane::FIRST, from, Some(loaded), &mut self.fx);
    }

    fn write_log(&mut self) {
        let mut group = Group::default();
        let position = self.journal.write().push(Op::Forget { key: [].into() }); // so that there is something to take
        self.journal.wait(position, &self.publisher);
        assert!(self.journal.take(&mut group, Duration::ZERO, None, |_| ()));
        for op in group.ops.drain(..) {
            match op {
                Op::Publish { position, message, .. } => {
                    assert!(self.logged.last_key_value().is_none_or(|(last, _)| *last < position));
                    self.logged.insert(position, message);
                }
                Op::Restore { position, message, .. } => _ = self.logged.insert(position, message),
                Op::Settle { first, last, .. } => {
                    self.logged.retain(|position, _| !(first..=last).contains(position));
                    self.paged.retain(|position, _| !(first..=last).contains(position));
                }
                Op::Delivered { up_to, .. } => self.delivered = self.delivered.max(up_to),
                Op::Drop { .. } => self.logged.clear(),
                Op::Forget { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        self.journal.commit(&mut group, &mut self.fx);
    }

    /// A new queue is made from what the store has.
    fn restart(&mut self) {
        if !self.durable {
            return;
        }
        while self.serve() {}
        self.pager = Arc::default();
        self.paged = self.logged.clone();
        let first = self.logged.first_key_value().map_or(0, |(first, _)| *first);
        let recovered = Recovered {
            first,
            next: self.published + 1,
            count: self.logged.len() as u64,
            body_bytes: (self.logged.len() * BODY.len()) as u64,
        };
        self.queue = queue(true, &self.pager, &self.journal, Some(recovered));
        self.unacked.clear();
        let delivered = self.delivered;
        let all = self.logged.iter().map(|(position, kept)| (*position <= delivered, kept.message.routing_key()[0]));
        let numbers = |ready: &VecDeque<(bool, u8)>| ready.iter().map(|(_, number)| *number).collect::<Vec<_>>();
        let restarted: VecDeque<_> = all.collect();
        let was = numbers(&self.ready);
        assert!(numbers(&restarted).ends_with(&was), "{restarted:?} has lost of {was:?}");
        self.ready = restarted;
    }

    fn check(&self) {
        let counts = self.queue.counts();
        assert_eq!((counts.ready, counts.unacked), (self.ready.len(), self.unacked.len()));
    }
}

fn queue(durable: bool, pager: &Arc<FakePager>, journal: &Arc<Journal>, recovered: Option<Recovered>) -> Arc<Queue> {
    let disk = OnDisk {
        id: QueueId(OnDisk::IDS),
        journal: durable.then(|| journal.clone()),
        pager: pager.clone(),
        keeps_all: false,
    };
    let (memory, timers) = (Arc::new(Memory::new(1 << 40)), Arc::new(Timers::default()));
    let home = Arc::new(Home { memory, timers, vhost: Weak::new(), compat: Compat::default() });
    let recovered = recovered.into_iter().map(|recovered| (Lane::FIRST, recovered)).collect();
    let begin = Begin {
        policy: &QueuePolicy::default(),
        now: Moment(1),
        disk: Some(disk),
        recovered,
        earlier_ttls: Vec::new(),
    };
    Arc::new(Queue::new("q".into(), QueueKey(0), settings(durable), None, home, begin))
}

#[derive(Clone, Debug)]
enum Step {
    Publish(usize),
    Get(usize),
    Settle(Settlement, usize),
    Purge,
    Serve(usize),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..60_usize).prop_map(Step::Publish),
        6 => (1..60_usize).prop_map(Step::Get),
        3 => (1..40_usize).prop_map(|n| Step::Settle(Settlement::Ack, n)),
        2 => (1..9_usize).prop_map(|n| Step::Settle(Settlement::Requeue, n)),
        1 => Just(Step::Purge),
        5 => (1..5_usize).prop_map(Step::Serve),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn a_deep_queue_is_a_queue(durable: bool, steps in prop::collection::vec(step(), 1..60)) {
        let mut bench = Bench::new(durable);
        for step in steps {
            match step {
                Step::Publish(n) => bench.publish(n),
                Step::Get(n) => (0..n).for_each(|_| bench.get()),
                Step::Settle(settlement, n) => (0..n).for_each(|_| bench.settle(settlement)),
                Step::Purge => bench.purge(),
                Step::Serve(n) => { (0..n).for_each(|_| { bench.serve(); }); }
                Step::Restart => bench.restart(),
            }
            bench.check();
        }
    }
}

#[test]
fn what_is_beyond_the_window_leaves_memory_and_is_paid_back() {
    let mut bench = Bench::new(true);
    bench.publish(400); // 100 MiB
    assert!(bench.queue.charged() > 90 << 20, "until it has arrived it is in memory");
    while bench.serve() {}
    assert!(bench.queue.charged() < 20 << 20, "{}", bench.queue.charged());
    for _ in 0..400 {
        bench.get();
        bench.settle(Settlement::Ack);
    }
    while bench.serve() {}
    assert_eq!(bench.queue.charged(), 0);
    assert!(bench.logged.is_empty() && bench.paged.is_empty());
}

#[test]
fn a_deleted_queue_gives_back_what_was_on_its_way_to_disk_and_lets_go_who_waited_for_it() {
    for durable in [true, false] {
        let mut bench = Bench::new(durable);
        let getter = Arc::new(Outbox::new());
        bench.publish(400); // far more than may be on its way: the publisher is held back
        while !bench.queue.makes_wait(&getter, &mut bench.fx) {
            bench.queue.get(true, &mut bench.fx);
        }
        assert!(bench.queue.charged() > 16 << 20);
        assert!(bench.queue.delete(false, false, &mut bench.fx).is_ok());
        assert_eq!(bench.queue.charged(), 0);
        let (publisher, getter) = (told(&bench.publisher), told(&getter));
        assert!(publisher.released && getter.disk_is_ready);
        while bench.serve() {} // what the store still tells changes nothing
        assert_eq!(bench.queue.charged(), 0);
    }
}

/// What a connection is told.
fn told(outbox: &Outbox) -> Taken {
    let mut taken = Taken::default();
    outbox.take(&mut taken, true, Waker::noop());
    taken
}

#[test]
fn definitions_count_in_the_backlog() {
    let journal = Journal::<Kept>::new();
    let define = || Op::Define { key: vec![0; 1 << 20].into(), value: vec![0; 1 << 20].into() };
    assert!(!journal.is_behind());
    for _ in 0..5 {
        journal.write().push(define());
    }
    assert!(journal.is_behind());
}
