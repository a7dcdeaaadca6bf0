//! Keys and values, who wins, what an operator adds, and that living queues and exchanges go by it.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::sync::Arc;

use leveret_protocol::{FieldTable, FieldValue, Table};

use super::{ApplyTo, Kind, Policies, PolicyError, QueuePolicy};
use crate::broker::arguments::{Overflow, QueueType};
use crate::broker::compat::Compat;
use crate::broker::exchange::RoutingKeys;
use crate::broker::topology::{Declare, ExchangeFlags};
use crate::broker::{
    Body, Broker, BrokerSettings, ConnectionId, Effects, Found, Life, Message, Moment, Outbox, Parts, PolicyDeclare,
    Queue, QueueDeclare, RouteScratch, VHost,
};

fn table<V: Into<FieldValue>>(entries: impl IntoIterator<Item = (&'static str, V)>) -> FieldTable {
    entries.into_iter().collect()
}

fn refusal(kind: Kind, definition: FieldTable) -> String {
    Policies::default().set(kind, "p", ".*", ApplyTo::All, 0, definition).unwrap_err().to_string()
}

#[test]
fn b_08_values_are_refused_in_rabbitmqs_words() {
    let cases: [(&str, FieldValue, &str); 12] = [
        ("message-ttl", (-1).into(), "-1 is not a valid message TTL"),
        ("expires", 0.into(), "0 is not a valid queue expiry"),
        ("max-length", "a".into(), "<<\"a\">> is not a valid maximum length"),
        ("max-length-bytes", true.into(), "true is not a valid maximum length in bytes"),
        ("delivery-limit", 1.5.into(), "1.5 is not a valid delivery limit"),
        ("overflow", "".into(), "<<>> is not a valid overflow value"),
        ("dead-letter-exchange", 1.into(), "1 is not a valid dead letter exchange name"),
        (
            "alternate-exchange",
            vec![FieldValue::from("a")].into(),
            "[<<\"a\">>] is not a valid alternate exchange name",
        ),
        ("max-age", "1Y2M".into(), "<<\"1Y2M\">> is not a valid max age"),
        ("consumer-timeout", FieldValue::Void, "null is not a valid consumer timeout"),
        ("queue-master-locator", "x".into(), "use of deprecated queue-master-locator argument is not permitted"),
        ("delayed-retry-type", "all".into(), "delayed-retry-min is required when delayed-retry-type is all"),
    ];
    for (key, value, text) in cases {
        assert_eq!(refusal(Kind::User, table([(key, value)])), text);
    }
    let map: FieldValue = table([("a", 1)]).into();
    assert_eq!(refusal(Kind::User, table([("expires", map)])), "#{<<\"a\">> => 1} is not a valid queue expiry");
}

#[test]
fn b_08_unknown_keys_are_listed_after_the_values_of_known_ones() {
    let unknown = "[{<<\"bar\">>,2},{<<\"foo\">>,1}] are not recognised policy settings";
    assert_eq!(refusal(Kind::User, table([("foo", 1), ("bar", 2)])), unknown);
    assert_eq!(refusal(Kind::User, table([("foo", 1), ("expires", 0)])), "0 is not a valid queue expiry");
    assert_eq!(refusal(Kind::User, FieldTable::new()), "no policy provided");
    let retries = [("delayed-retry-max", 1), ("delayed-retry-min", 5)];
    let text = "delayed-retry-max (1) must not be smaller than delayed-retry-min (5)";
    assert_eq!(refusal(Kind::User, table(retries)), text);
}

#[test]
fn b_09_operators_have_fewer_keys() {
    for key in ["dead-letter-exchange", "alternate-exchange", "queue-mode"] {
        let text = format!("[{{<<\"{key}\">>,<<\"lazy\">>}}] are not recognised policy settings");
        assert_eq!(refusal(Kind::Operator, table([(key, "lazy")])), text);
    }
    assert!(Policies::default().set(Kind::Operator, "p", "", ApplyTo::All, 0, table([("delivery-limit", -1)])).is_ok());
}

#[test]
fn b_07_apply_to_and_pattern_are_checked() {
    let text = "apply-to 'foo' unrecognised; should be one of: 'queues', 'classic_queues',  'quorum_queues', 'streams', \
                'exchanges', or 'all'";
    assert_eq!(ApplyTo::parse("foo").unwrap_err().to_string(), text);
    for name in ["all", "exchanges", "queues", "classic_queues", "quorum_queues", "streams"] {
        assert_eq!(ApplyTo::parse(name).unwrap().as_str(), name);
    }
    let bad = Policies::default().set(Kind::User, "p", "(", ApplyTo::All, 0, table([("expires", 1)]));
    assert!(matches!(bad, Err(PolicyError::Pattern(_))));
}

#[test]
fn b_07_the_highest_priority_wins_among_those_that_suit_the_type() {
    let mut policies = Policies::default();
    let mut set = |name, pattern, apply_to, priority, definition| {
        policies.set(Kind::User, name, pattern, apply_to, priority, definition).unwrap();
    };
    set("low", "", ApplyTo::All, 0, table([("max-length", 1)]));
    set("high", "^q", ApplyTo::Queues, 5, table([("max-length", 2)]));
    set("quorum", "q", ApplyTo::QuorumQueues, 9, table([("max-length", 3)]));
    set("unsuitable", "q", ApplyTo::All, 10, table([("max-length", 4), ("max-age", 0)]).with_age());
    let name = |queue, queue_type| policies.of_queue(Kind::User, queue, queue_type).map(|(name, _)| name);
    assert_eq!(name("q", QueueType::Classic), Some("high"));
    assert_eq!(name("q", QueueType::Quorum), Some("quorum"));
    assert_eq!(name("other", QueueType::Classic), Some("low"));
    assert_eq!(policies.say_to_queue("q", QueueType::Classic).max_length, Some(2));
}

trait WithAge {
    fn with_age(self) -> Self;
}

impl WithAge for FieldTable {
    /// A key that only streams know.
    fn with_age(mut self) -> Self {
        self.insert("max-age", "1D");
        self
    }
}

#[test]
fn b_07_an_operators_limits_hold_if_they_are_smaller() {
    let mut policies = Policies::default();
    let user = table([("max-length", 10), ("message-ttl", 5), ("delivery-limit", -1)]);
    policies.set(Kind::User, "p", "", ApplyTo::All, 0, user).unwrap();
    let operator = table([("max-length", 3), ("message-ttl", 7), ("delivery-limit", 4)]);
    policies.set(Kind::Operator, "o", "", ApplyTo::All, 0, operator).unwrap();
    let expected =
        QueuePolicy { max_length: Some(3), message_ttl_ms: Some(5), delivery_limit: Some(4), ..QueuePolicy::default() };
    assert_eq!(policies.say_to_queue("q", QueueType::Quorum), expected);
    let overflow = |word| table([("overflow", word)]);
    policies.set(Kind::User, "p", "", ApplyTo::All, 0, overflow("drop-head")).unwrap();
    policies.set(Kind::Operator, "o", "", ApplyTo::All, 0, overflow("reject-publish")).unwrap();
    assert_eq!(policies.say_to_queue("q", QueueType::Classic).overflow, Some(Overflow::RejectPublish));
    assert!(policies.remove(Kind::Operator, "o") && !policies.remove(Kind::Operator, "o"));
    assert_eq!(policies.say_to_queue("q", QueueType::Classic).overflow, Some(Overflow::DropHead));
}

/// A vhost with a queue, and the time.
struct Place {
    _broker: Broker,
    vhost: Arc<VHost>,
    queue: Arc<Queue>,
    fx: Effects,
}

impl Place {
    fn new(arguments: &FieldTable) -> Self {
        let broker = Broker::new(
            BrokerSettings {
                compat: Compat::default(),
                memory_max: 1 << 20,
                default_queue_type: QueueType::Classic,
                seed: 1,
            },
            None,
        );
        let vhost = broker.vhost("/").unwrap();
        let mut fx = Effects::default();
        fx.set_now(Moment(1000));
        let declare = QueueDeclare {
            name: "q",
            server_named: false,
            durable: true,
            exclusive: false,
            auto_delete: false,
            arguments,
        };
        let (queue, _) = vhost.declare_queue(&declare, ConnectionId(1), &mut fx).unwrap();
        Self { _broker: broker, vhost, queue, fx }
    }

    fn set(&mut self, kind: Kind, definition: FieldTable) {
        let policy = PolicyDeclare { name: "p", pattern: "^q$|^x$", apply_to: ApplyTo::All, priority: 0, definition };
        self.vhost.set_policy(kind, policy, &mut self.fx).unwrap();
        self.fx.apply();
    }

    fn publish(&mut self, n: usize) {
        let life = Life { arrived: self.fx.now(), ..Life::default() };
        let parts = Parts {
            exchange: b"",
            routing_key: b"q",
            properties: &[0, 0],
            body: Body::Borrowed(b"x"),
            persistent: false,
            copies: 1,
            life,
        };
        let message = Message::new(&mut Vec::new(), parts);
        let outbox = Arc::new(Outbox::new());
        self.queue.take_batch(&mut vec![message; n], &mut Vec::new(), &mut Vec::new(), &outbox, &mut self.fx);
        self.fx.apply();
    }

    fn pass(&mut self, ms: u64) {
        self.fx.set_now(self.fx.now().plus_ms(ms));
        while self._broker.on_time(&mut self.fx) {}
    }
}

#[test]
fn b_07_a_shorter_limit_acts_at_once_and_the_smaller_one_holds() {
    let mut place = Place::new(&table([("x-max-length", 50)]));
    place.publish(60);
    assert_eq!(place.queue.counts().ready, 50);
    place.set(Kind::User, table([("max-length", 5)]));
    assert_eq!(place.queue.counts().ready, 5);
    place.set(Kind::User, table([("max-length", 100)]));
    place.publish(100);
    assert_eq!(place.queue.counts().ready, 50);
    place.set(Kind::Operator, table([("max-length", 7)]));
    assert_eq!(place.queue.counts().ready, 7);
    assert!(place.vhost.remove_policy(Kind::Operator, "p", &mut place.fx));
    place.publish(100);
    assert_eq!(place.queue.counts().ready, 50);
    assert_eq!(place.vhost.policy_of_queue(Kind::User, &place.queue), Some("p".to_owned()));
    assert_eq!(place.vhost.policies(Kind::Operator).len(), 0);
}

#[test]
fn b_07_a_time_to_live_is_that_of_later_messages() {
    let mut place = Place::new(&FieldTable::new());
    place.publish(1);
    place.set(Kind::User, table([("message-ttl", 100)]));
    place.pass(1000);
    assert_eq!(place.queue.counts().ready, 1, "it came before the policy");
    place.queue.purge(&mut place.fx);
    place.publish(2);
    place.pass(99);
    assert_eq!(place.queue.counts().ready, 2);
    place.pass(1);
    assert_eq!(place.queue.counts().ready, 0);
}

#[test]
fn b_07_q_20_an_unused_queue_goes_by_policy() {
    let mut place = Place::new(&FieldTable::new());
    place.pass(5000);
    place.set(Kind::User, table([("expires", 6000)]));
    place.pass(999);
    assert!(place.vhost.queue("q").is_some());
    place.pass(1);
    assert!(place.vhost.queue("q").is_none());
}

#[test]
fn x_10_a_policy_gives_an_alternate_to_exchanges_that_have_none() {
    let mut place = Place::new(&FieldTable::new());
    let declare = |name, arguments| Declare {
        name,
        exchange_type: "fanout",
        passive: false,
        flags: ExchangeFlags::default(),
        arguments,
    };
    place.vhost.declare_exchange(&declare("x", Table::EMPTY), &mut Effects::default()).unwrap();
    place.vhost.declare_exchange(&declare("other", Table::EMPTY), &mut Effects::default()).unwrap();
    place.vhost.bind_queue("q", "other", "", Table::EMPTY, ConnectionId(1), &mut Effects::default()).unwrap();
    let routes = |vhost: &VHost| {
        let mut found = Found::default();
        vhost.route(b"x", &RoutingKeys::one(b""), None, &mut RouteScratch::default(), &mut found).unwrap();
        found.queues.len()
    };
    assert_eq!(routes(&place.vhost), 0);
    let generation = place.vhost.generation();
    place.set(Kind::User, table([("alternate-exchange", "other")]));
    assert_ne!(place.vhost.generation(), generation);
    assert_eq!(routes(&place.vhost), 1);
    place.vhost.remove_policy(Kind::User, "p", &mut place.fx);
    assert_eq!(routes(&place.vhost), 0);
}
