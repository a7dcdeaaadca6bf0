//! However many messages go at once, a queue's lock and a task's turn are held for a bounded number of them.

use std::sync::Arc;

use leveret_protocol::{FieldTable, FieldValue};

use crate::broker::arguments::QueueType;
use crate::broker::compat::Compat;
use crate::broker::{
    Body, Broker, BrokerSettings, ConnectionId, Effects, Life, Message, Moment, Outbox, Parts, Queue, QueueDeclare,
};

const MANY: usize = 100_000;
/// No turn may be longer.
const TURN_MAX: usize = 10_000;

fn broker() -> (Broker, Effects) {
    let settings = BrokerSettings {
        compat: Compat::default(),
        memory_max: 1 << 30,
        default_queue_type: QueueType::Classic,
        seed: 1,
    };
    let mut fx = Effects::default();
    fx.set_now(Moment(1000));
    (Broker::new(settings, None), fx)
}

fn declare(broker: &Broker, name: &str, arguments: &[(&str, FieldValue)], fx: &mut Effects) -> Arc<Queue> {
    let mut table = FieldTable::new();
    arguments.iter().for_each(|(key, value)| table.push(*key, value.clone()));
    let declare = QueueDeclare {
        name,
        server_named: false,
        durable: true,
        exclusive: false,
        auto_delete: false,
        arguments: &table,
    };
    broker.vhost("/").unwrap().declare_queue(&declare, ConnectionId(1), fx).unwrap().0
}

fn publish(queue: &Arc<Queue>, count: usize, body: &[u8], ttl_ms: Option<u64>, fx: &mut Effects) {
    let message = |_| {
        let parts = Parts {
            exchange: b"",
            routing_key: b"q",
            properties: &[0, 0],
            body: Body::Borrowed(body),
            persistent: true,
            copies: 1,
            life: Life { arrived: fx.now(), ttl_ms, ..Life::default() },
        };
        Message::new(&mut Vec::new(), parts)
    };
    let mut messages = (0..count).map(message).collect();
    queue.take_batch(&mut messages, &mut Vec::new(), &mut Vec::new(), &Arc::default(), fx);
}

/// Turns until nothing more happens by itself, each with how many messages then were ready.
fn turns(broker: &Broker, queue: &Arc<Queue>, fx: &mut Effects) -> Vec<usize> {
    let mut left = vec![queue.counts().ready];
    loop {
        let goes_on = broker.on_time(fx);
        left.push(queue.counts().ready);
        if !goes_on {
            return left;
        }
    }
}

fn assert_bounded(left: &[usize]) {
    assert!(left.windows(2).all(|turn| turn[0] - turn[1] <= TURN_MAX), "{left:?}");
}

#[test]
fn q_21_many_expire_in_many_turns() {
    for dies_to in [None, Some("dead")] {
        let (broker, mut fx) = broker();
        let to = dies_to.map(|key| [("x-dead-letter-exchange", "".into()), ("x-dead-letter-routing-key", key.into())]);
        let dead = declare(&broker, "dead", &[], &mut fx);
        let queue = declare(&broker, "q", to.as_ref().map_or(&[][..], |to| &to[..]), &mut fx);
        publish(&queue, MANY, b"", Some(5), &mut fx);
        fx.apply();
        fx.set_now(Moment(1005));
        let left = turns(&broker, &queue, &mut fx);
        assert_bounded(&left);
        assert_eq!((left[0], queue.counts().ready), (MANY, 0));
        assert_eq!(dead.counts().ready, if dies_to.is_some() { MANY } else { 0 });
    }
}

#[test]
fn q_21_s_11_basic_get_waits_while_many_expire() {
    let (broker, mut fx) = broker();
    let queue = declare(&broker, "q", &[], &mut fx);
    publish(&queue, MANY, b"over", Some(5), &mut fx);
    publish(&queue, 1, b"alive", None, &mut fx);
    fx.apply();
    fx.set_now(Moment(1005));
    let getter = Arc::new(Outbox::new());
    let mut left = vec![queue.counts().ready];
    while queue.makes_wait(&getter, &mut fx) {
        left.push(queue.counts().ready);
        fx.apply();
    }
    assert_bounded(&left);
    assert!(left.len() > 1, "it waited");
    let (entry, left) = queue.get(true, &mut fx).expect("a message");
    assert_eq!((entry.message.body(), left), (&b"alive"[..], 0));
}

#[test]
fn q_22_many_are_dropped_in_many_turns() {
    let (broker, mut fx) = broker();
    let queue = declare(&broker, "q", &[("x-max-length-bytes", (MANY as i64).into())], &mut fx);
    publish(&queue, MANY, b"-", None, &mut fx);
    fx.apply();
    publish(&queue, 1, &vec![0; MANY], None, &mut fx);
    let before = queue.counts().ready;
    fx.apply();
    assert_bounded(&[before, queue.counts().ready]);
    let left = turns(&broker, &queue, &mut fx);
    assert_bounded(&left);
    assert_eq!(queue.counts().ready, 1);
}
