//! A broker is killed by `kill -9` at random moments while clients work with it; started again, it must have everything that it
//! confirmed and nothing whose ack had become durable.
//!
//! `LEVERET_CRASH_ROUNDS` (default 20) and `LEVERET_CRASH_SEED` choose how much and what; a failure names the seed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::support::*;

const QUEUES: [&str; 3] = ["orders", "copies-1", "copies-2"];
const FANOUT: &str = "copies";
const PUBLISHERS: u64 = 2;
const WINDOW: u64 = 60;
const PREFETCH: u16 = 30;
/// A consumer makes sure that its acks are durable each time it has sent so many.
const ACKS_BETWEEN_BARRIERS: u64 = 40;
const ROUNDS: u64 = 20;

/// A message of a publisher by its number.
type Number = (u64, u64);

/// What a publisher knows at the end: for each message its exchange, and whether it was confirmed.
type Published = BTreeMap<Number, (bool, bool)>;

/// What a consumer knows at the end.
#[derive(Default)]
struct Consumed {
    /// Acks that were sent; they may be durable.
    acked: BTreeSet<Number>,
    /// Acks that are durable: something that came after them on the same connection was confirmed.
    settled: BTreeSet<Number>,
}

/// A small generator of its own, so that a seed means the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
}

#[test]
fn what_was_confirmed_survives_kill_9() {
    let seed = setting("LEVERET_CRASH_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let rounds = setting("LEVERET_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let mut random = Random(seed);
    let kept = Kept::new();
    set_up(&kept.start());
    let mut next = 0;
    for round in 0..rounds {
        let broker = kept.start();
        let publishers: Vec<_> = (0..PUBLISHERS).map(|id| publisher(&broker, id, next, random.below(3))).collect();
        let consumers: Vec<_> = QUEUES.map(|queue| consumer(&broker, queue)).into();
        thread::sleep(Duration::from_millis(5 + random.below(250)));
        broker.kill();
        let published: Published = publishers.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        let consumed: Vec<_> = consumers.into_iter().map(|thread| thread.join().unwrap()).collect();
        next = published.keys().map(|(_, n)| n + 1).max().unwrap_or(next);
        if random.below(4) == 0 {
            thread::sleep(Duration::from_millis(random.below(30)));
            kept.start().kill(); // killed again before anybody came
        }
        let broker = kept.start();
        for (queue, consumed) in QUEUES.iter().zip(consumed) {
            let told = format!("seed {seed}, round {round}, queue {queue}");
            check(&told, *queue != QUEUES[0], &published, &consumed, &drain(&broker, queue));
        }
        broker.kill();
    }
}

fn set_up(broker: &Process) {
    let mut c = broker.open();
    c.call(exchange::Declare { durable: true, ..x_declare(FANOUT, "fanout") });
    for queue in QUEUES {
        c.call(queue::Declare { queue, durable: true, ..Default::default() });
    }
    QUEUES[1..].iter().for_each(|queue| drop(c.call(bind(queue, FANOUT, ""))));
}

fn persistent() -> BasicProperties<'static> {
    BasicProperties { delivery_mode: Some(2), ..Default::default() }
}

/// Publishes until the broker is gone. Some bodies are large, `kind` says how many.
fn publisher(broker: &Process, id: u64, from: u64, kind: u64) -> JoinHandle<Published> {
    let mut c = broker.open();
    thread::spawn(move || {
        let mut published = Published::new();
        c.send(1, confirm::Select::default());
        if c.next_before_the_end().is_none() {
            return published;
        }
        let (mut sent, mut confirmed) = (0, 0);
        loop {
            while sent < confirmed + WINDOW {
                let number = (id, from + sent);
                sent += 1;
                let copies = number.1.is_multiple_of(3);
                published.insert(number, (copies, false));
                let (exchange, key) = if copies { (FANOUT, "") } else { ("", QUEUES[0]) };
                let size = if kind > 0 && number.1.is_multiple_of(50) { kind * 100_000 } else { number.1 % 400 };
                let mut body = format!("{id} {} ", number.1).into_bytes();
                body.resize(body.len() + size as usize, b'x');
                c.publish_as(1, publish(exchange, key), &persistent(), &body);
            }
            let Some(frame) = c.next_before_the_end() else { return published };
            let (tag, _) = frame.confirm();
            (confirmed..tag).for_each(|n| published.get_mut(&(id, from + n)).expect("it was sent").1 = true);
            confirmed = tag;
        }
    })
}

/// Takes and acks messages until the broker is gone.
fn consumer(broker: &Process, queue: &'static str) -> JoinHandle<Consumed> {
    let mut c = broker.open();
    let (ready, waits) = mpsc::channel();
    let thread = thread::spawn(move || {
        let mut consumed = Consumed::default();
        let mut unsettled = BTreeSet::new();
        let mut barriers = VecDeque::new();
        c.send(1, qos(PREFETCH));
        c.send(1, consume(queue, "t"));
        let _ = ready.send(());
        let mut acks = 0;
        while let Some(frame) = c.next_before_the_end() {
            match frame.name() {
                "basic.deliver" => {
                    let tag = Delivered::from_method(&frame).delivery_tag;
                    let Some(number) = body_number(&mut c) else { break };
                    c.send(1, ack(tag));
                    consumed.acked.insert(number);
                    unsettled.insert(number);
                    acks += 1;
                    if acks % ACKS_BETWEEN_BARRIERS == 0 {
                        // Its answer says that what came before it is durable.
                        let name = format!("barrier-{queue}");
                        c.send(1, exchange::Declare { durable: true, ..x_declare(&name, "fanout") });
                        c.send(1, x_delete(&name));
                        barriers.push_back(std::mem::take(&mut unsettled));
                    }
                }
                "exchange.delete-ok" => {
                    let mut settled = barriers.pop_front().expect("one for each barrier");
                    consumed.settled.append(&mut settled);
                }
                _ => {}
            }
        }
        consumed
    });
    let _ = waits.recv();
    thread
}

/// The number in the message whose method has come; none if the broker is gone.
fn body_number(c: &mut Wire) -> Option<Number> {
    let size = c.next_before_the_end()?.header().body_size;
    let mut body = Vec::new();
    while (body.len() as u64) < size {
        body.extend(c.next_before_the_end()?.payload);
    }
    Some(number(&body))
}

fn number(body: &[u8]) -> Number {
    let text = String::from_utf8_lossy(body);
    let mut words = text.split(' ').map_while(|word| word.parse().ok());
    (words.next().expect("a publisher"), words.next().expect("a number"))
}

/// Takes everything out of a queue, in order, and waits until that is durable.
fn drain(broker: &Process, queue: &str) -> Vec<Number> {
    let mut c = broker.open();
    let count = c.counts(queue).0;
    c.call(qos(500));
    c.call(consume(queue, "t"));
    let mut all = Vec::new();
    for _ in 0..count {
        let delivered = c.deliver();
        all.push(number(&delivered.body));
        c.send(1, ack(delivered.delivery_tag));
    }
    c.call(exchange::Declare { durable: true, ..x_declare("drained", "fanout") });
    assert_eq!(c.counts(queue).0, 0);
    c.call(x_delete("drained"));
    all
}

fn check(told: &str, copies: bool, published: &Published, consumed: &Consumed, found: &[Number]) {
    let here: BTreeSet<_> = found.iter().copied().collect();
    assert_eq!(here.len(), found.len(), "{told}: a message came twice");
    for (number, (goes_to_copies, confirmed)) in published.iter().filter(|(_, (to, _))| *to == copies) {
        assert_eq!(*goes_to_copies, copies);
        if *confirmed && !consumed.acked.contains(number) {
            assert!(here.contains(number), "{told}: {number:?} was confirmed and is lost");
        }
    }
    for number in found {
        assert!(
            published.get(number).is_some_and(|(to, _)| *to == copies),
            "{told}: {number:?} was never published here"
        );
        assert!(!consumed.settled.contains(number), "{told}: {number:?} was settled and came back");
    }
    for publisher in 0..PUBLISHERS {
        let numbers = found.iter().filter(|(by, _)| *by == publisher).map(|(_, n)| *n);
        assert!(numbers.is_sorted(), "{told}: the order of publisher {publisher} is lost");
    }
}
