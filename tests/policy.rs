//! Policies over a restart of the broker. What they do is tested with the core: no method of AMQP sets one.

use leveret::broker::policy::{ApplyTo, Kind};
use leveret::broker::{Broker, Effects, PolicyDeclare};

use crate::restart::{drain, durable, publish_all};
use crate::support::*;

fn policy<'a>(name: &'a str, definition: &[(&str, FieldValue)]) -> PolicyDeclare<'a> {
    let definition = definition.iter().map(|(key, value)| (*key, value.clone())).collect();
    PolicyDeclare { name, pattern: "^limited", apply_to: ApplyTo::All, priority: 1, definition }
}

fn set(broker: &Broker, kind: Kind, declare: PolicyDeclare<'_>) -> Effects {
    let mut fx = at_once();
    broker.vhost("/").unwrap().set_policy(kind, declare, &mut fx).unwrap();
    fx
}

fn remove(broker: &Broker, kind: Kind, name: &str) -> Effects {
    let mut fx = at_once();
    assert!(broker.vhost("/").unwrap().remove_policy(kind, name, &mut fx));
    fx
}

/// Effects of what happens now.
fn at_once() -> Effects {
    let mut fx = Effects::default();
    fx.set_now(leveret::connection::Clock::new().now());
    fx
}

/// Changes something in a broker of this process on a data directory, and what is left of it at its end.
type Run<'a> = &'a dyn Fn(Kept, &dyn Fn(&Broker) -> Effects) -> Kept;

/// Ends such brokers in both ways.
fn each_end(test: impl Fn(Run<'_>)) {
    test(&|kept, change| kept.within(true, change));
    test(&|kept, change| kept.within(false, change));
}

/// Ends a broker in order; it would wait for a client that is there.
fn end(broker: Process, client: Wire) {
    drop(client);
    assert!(broker.stop().success());
}

fn limit_of(kept: &Kept, queue: &str) -> usize {
    let broker = kept.start();
    let mut c = broker.open();
    publish_all(&mut c, queue, &["1", "2", "3", "4", "5"]);
    let left = drain(&mut c, queue).len();
    end(broker, c);
    left
}

#[test]
fn b_07_policies_survive_and_so_does_their_removal() {
    each_end(|run| {
        let kept = Kept::new();
        let broker = kept.start();
        let mut c = broker.open();
        ["limited", "free"].into_iter().for_each(|queue| drop(c.call(durable(queue))));
        end(broker, c);
        let kept = run(kept, &|broker| set(broker, Kind::User, policy("p", args!["max-length" => 3])));
        assert_eq!((limit_of(&kept, "limited"), limit_of(&kept, "free")), (3, 5));
        let kept = run(kept, &|broker| set(broker, Kind::Operator, policy("p", args!["max-length" => 2])));
        assert_eq!(limit_of(&kept, "limited"), 2);
        let kept = run(kept, &|broker| {
            let vhost = broker.vhost("/").unwrap();
            let all = |kind| vhost.policies(kind).into_iter().map(|(_, policy)| policy.definition).collect::<Vec<_>>();
            let definition = |limit: i32| [("max-length", limit)].into_iter().collect::<FieldTable>();
            assert_eq!((all(Kind::User), all(Kind::Operator)), (vec![definition(3)], vec![definition(2)]));
            let (_, policy) = vhost.policies(Kind::User).remove(0);
            assert_eq!((policy.pattern.as_str(), policy.apply_to, policy.priority), ("^limited", ApplyTo::All, 1));
            remove(broker, Kind::Operator, "p")
        });
        assert_eq!(limit_of(&kept, "limited"), 3);
        let kept = run(kept, &|broker| remove(broker, Kind::User, "p"));
        assert_eq!(limit_of(&kept, "limited"), 5);
    });
}

#[test]
fn b_07_exchanges_have_their_alternates_after_a_restart() {
    each_end(|run| {
        let kept = Kept::new();
        let broker = kept.start();
        let mut c = broker.open();
        c.call(exchange::Declare { durable: true, ..x_declare("limited", "direct") });
        c.call(durable("unrouted"));
        end(broker, c);
        let kept = run(kept, &|broker| {
            let amq =
                PolicyDeclare { pattern: "^amq.topic$", ..policy("amq", args!["alternate-exchange" => "limited"]) };
            set(broker, Kind::User, amq);
            set(broker, Kind::User, policy("p", args!["alternate-exchange" => "amq.fanout"]))
        });
        let broker = kept.start();
        let mut c = broker.open();
        c.call(bind("unrouted", "amq.fanout", ""));
        c.publish("limited", "nowhere", "by one");
        c.publish("amq.topic", "nowhere", "by two");
        c.quiet();
        assert_eq!(drain(&mut c, "unrouted"), ["by one", "by two"]);
    });
}

#[test]
fn b_07_messages_keep_the_time_to_live_they_came_with() {
    each_end(|run| {
        let kept = Kept::new();
        let broker = kept.start();
        let mut c = broker.open();
        c.call(durable("limited"));
        publish_all(&mut c, "limited", &["came before"]);
        end(broker, c);
        let kept = run(kept, &|broker| set(broker, Kind::User, policy("p", args!["message-ttl" => 1])));
        let broker = kept.start();
        let mut c = broker.open();
        publish_all(&mut c, "limited", &["came after"]);
        end(broker, c);
        let kept = run(kept, &|broker| remove(broker, Kind::User, "p"));
        let broker = kept.start();
        let mut c = broker.open();
        publish_all(&mut c, "limited", &["came last"]);
        assert_eq!(drain(&mut c, "limited"), ["came before", "came last"]);
    });
}

#[test]
fn a_policy_that_cannot_be_read_takes_nothing_else_with_it() {
    let kept = Kept::new();
    let broker = kept.start();
    let mut c = broker.open();
    c.call(durable("limited"));
    publish_all(&mut c, "limited", &["1", "2"]);
    end(broker, c);
    let kept = kept.within(false, |broker| {
        set(broker, Kind::User, policy("p", args!["max-length" => 2]));
        let durability = broker.durability().unwrap();
        let odd =
            |key: &[u8], value: &[u8]| leveret::broker::journal::Op::Define { key: key.into(), value: value.into() };
        let mut journal = durability.journal.write();
        journal.push(odd(b"P\0\0\0\x01/\0\0\0\x01\0\0\0\0\x03odd", b"no table"));
        journal.push(odd(b"\xffsomething later", b"of a version to come"));
        drop(journal);
        set(broker, Kind::Operator, policy("q", args!["max-length" => 1000]))
    });
    let broker = kept.start();
    broker.says("a definition cannot be read");
    let mut c = broker.open();
    publish_all(&mut c, "limited", &["3"]);
    assert_eq!(drain(&mut c, "limited"), ["2", "3"]);
}
