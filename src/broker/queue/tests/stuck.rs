//! Dead letters that a queue keeps because no other queue takes them: what it does when one does, and when none ever will.

use std::sync::Arc;

use leveret_protocol::{FieldTable, FieldValue};

use crate::broker::arguments::QueueType;
use crate::broker::compat::Compat;
use crate::broker::policy::{ApplyTo, Kind};
use crate::broker::{
    Body, Broker, BrokerSettings, ConnectionId, Effects, Life, Message, Moment, Outbox, Parts, PolicyDeclare, Queue,
    QueueDeclare, Settled, Settlement,
};

fn declare(broker: &Broker, name: &str, arguments: &[(&'static str, FieldValue)], fx: &mut Effects) -> Arc<Queue> {
    let arguments = arguments.iter().map(|(key, value)| (*key, value.clone())).collect::<FieldTable>();
    let declare = QueueDeclare {
        name,
        server_named: false,
        durable: true,
        exclusive: false,
        auto_delete: false,
        arguments: &arguments,
    };
    broker.vhost("/").unwrap().declare_queue(&declare, ConnectionId(1), fx).unwrap().0
}

/// A broker with a queue that has given up so many messages, which have nowhere to go: a policy says where.
fn with_stuck(count: usize) -> (Broker, Arc<Queue>, Effects) {
    let settings = BrokerSettings {
        compat: Compat::default(),
        memory_max: 1 << 30,
        default_queue_type: QueueType::Classic,
        seed: 1,
    };
    let broker = Broker::new(settings, None);
    let mut fx = Effects::default();
    fx.set_now(Moment(1000));
    let definition: [(&str, FieldValue); 2] =
        [("dead-letter-exchange", "".into()), ("dead-letter-routing-key", "dead".into())];
    let definition = definition.into_iter().collect();
    let policy = PolicyDeclare { name: "p", pattern: "^q", apply_to: ApplyTo::All, priority: 1, definition };
    broker.vhost("/").unwrap().set_policy(Kind::User, policy, &mut fx).unwrap();
    let arguments = [
        ("x-queue-type", "quorum".into()),
        ("x-dead-letter-strategy", "at-least-once".into()),
        ("x-overflow", "reject-publish".into()),
    ];
    let queue = declare(&broker, "q", &arguments, &mut fx);
    for _ in 0..count {
        let parts = Parts {
            exchange: b"",
            routing_key: b"q",
            properties: &[0, 0],
            body: Body::Borrowed(b"1"),
            persistent: true,
            copies: 1,
            life: Life { arrived: fx.now(), ..Life::default() },
        };
        let mut messages = vec![Message::new(&mut Vec::new(), parts)];
        queue.take_batch(&mut messages, &mut Vec::new(), &mut Vec::new(), &Arc::default(), &mut fx);
        let (entry, _) = queue.get(false, &mut fx).unwrap();
        let mut settled = vec![Settled { consumer: None, got: true, settlement: Settlement::Discard, entry }];
        queue.take_batch(&mut Vec::new(), &mut settled, &mut Vec::new(), &Arc::new(Outbox::new()), &mut fx);
        fx.apply();
    }
    assert!(queue.charged() > 0, "it keeps them");
    (broker, queue, fx)
}

/// The timers call. How often until they rest.
fn pass(broker: &Broker, ms: u64, fx: &mut Effects) -> usize {
    fx.set_now(fx.now().plus_ms(ms));
    let mut calls = 0;
    while broker.on_time(fx) {
        fx.apply();
        calls += 1;
        assert!(calls < 1000, "the timers call for ever");
    }
    fx.apply();
    calls
}

#[test]
fn q_24_letters_go_at_once_when_one_of_those_tried_again_has_found_a_queue() {
    let (broker, queue, mut fx) = with_stuck(1000);
    pass(&broker, 5000, &mut fx);
    let dead = declare(&broker, "dead", &[], &mut fx);
    assert_eq!(dead.counts().ready, 0);
    pass(&broker, 5000, &mut fx);
    pass(&broker, 5000, &mut fx); // those that had been tried before
    assert_eq!((dead.counts().ready, queue.charged()), (1000, 0));
}

#[test]
fn q_24_letters_are_dropped_when_there_is_no_exchange_for_them_any_more() {
    let (broker, queue, mut fx) = with_stuck(3);
    assert!(broker.vhost("/").unwrap().remove_policy(Kind::User, "p", &mut fx));
    fx.apply();
    pass(&broker, 5000, &mut fx);
    assert_eq!(queue.charged(), 0);
    pass(&broker, 5000, &mut fx);
}
