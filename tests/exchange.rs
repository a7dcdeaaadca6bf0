//! Exchanges: declaring, deleting, equivalence, auto-delete, internal ones.

use crate::support::*;

const ON_DEFAULT: &str = "operation not permitted on the default exchange";

fn exists(c: &mut Wire, x: &str) -> bool {
    c.send(1, x_passive(x));
    let frame = c.frame();
    match Close::read(&frame) {
        None => true,
        Some(close) => {
            assert_eq!(close, closes(1, 404, &no_exchange(x), (40, 10)));
            c.send(1, channel::CloseOk {});
            c.call(channel::Open {});
            false
        }
    }
}

#[test]
fn m_06_deleting_a_missing_exchange_is_fine() {
    let mut c = Wire::open();
    let x = c.exchange("direct");
    for _ in 0..3 {
        c.call(x_delete(&x));
    }
    c.call(exchange::Delete { if_unused: true, ..x_delete(&x) });
}

#[test]
fn m_06_system_exchanges_cannot_be_deleted() {
    let mut c = Wire::open();
    for x in ["amq.direct", "amq.match", "amq.no-such", "amq.rabbitmq.trace"] {
        c.refused(x_delete(x), 403, &format!("deletion of system {} not allowed", x_named(x)));
    }
    c.refused(x_delete(""), 403, ON_DEFAULT);
}

#[test]
fn m_06_if_unused_looks_at_bindings_as_source() {
    let mut c = Wire::open();
    let (x, y) = (c.exchange("fanout"), c.exchange("fanout"));
    c.bound(&x, "k");
    c.call(x_bind(&y, &x, ""));
    let unused = |x| exchange::Delete { if_unused: true, ..x_delete(x) };
    c.refused(unused(&x), 406, &format!("{} in use", x_named(&x)));
    c.call(unused(&y));
    let alternate = c.exchange("fanout");
    c.exchange_before("fanout", &alternate);
    c.call(unused(&alternate));
}

#[test]
fn m_06_deleting_an_exchange_takes_its_bindings() {
    let mut c = Wire::open();
    let x = name();
    c.call(x_declare(&x, "fanout"));
    let q = c.bound(&x, "");
    c.call(x_delete(&x));
    c.call(x_declare(&x, "fanout"));
    c.call(confirm::Select::default());
    assert!(!c.routes(&x, "", &BasicProperties::default()));
    assert_eq!(c.counts(&q), (0, 0));
    c.call(x_delete(&x));
}

#[test]
fn x_01_the_predeclared_exchanges_are_there() {
    let mut c = Wire::open();
    let exchanges = [
        ("amq.direct", "direct", false),
        ("amq.fanout", "fanout", false),
        ("amq.topic", "topic", false),
        ("amq.headers", "headers", false),
        ("amq.match", "headers", false),
        ("amq.rabbitmq.trace", "topic", true),
    ];
    for (x, kind, internal) in exchanges {
        c.call(exchange::Declare { durable: true, internal, ..x_declare(x, kind) });
    }
}

#[test]
fn x_02_nothing_can_be_done_with_the_default_exchange() {
    let mut c = Wire::open();
    c.refused(x_declare("", "direct"), 403, ON_DEFAULT);
    c.refused(x_passive(""), 403, ON_DEFAULT);
    c.refused(x_declare("", "no-such-type"), 406, "unknown exchange type 'no-such-type'");
    c.refused(x_passive("amq.default"), 404, &no_exchange("amq.default"));
}

#[test]
fn x_02_the_default_exchange_routes_by_queue_name() {
    let mut c = Wire::open();
    let q = c.queue();
    c.call(confirm::Select::default());
    assert!(c.routes("", &q, &BasicProperties::default()));
    assert!(!c.routes("", "no-such-queue", &BasicProperties::default()));
    assert_eq!(c.counts(&q), (1, 0));
}

#[test]
fn x_03_names_that_begin_with_amq_are_reserved() {
    let mut c = Wire::open();
    for x in ["amq.foo", "amq."] {
        c.refused(x_declare(x, "direct"), 403, &format!("exchange name '{x}' contains reserved prefix 'amq.*'"));
    }
    c.refused(x_passive("amq.foo"), 404, &no_exchange("amq.foo"));
    c.refused(x_declare("amq.foo", "nope"), 406, "unknown exchange type 'nope'");
    for x in ["AMQ.foo", "amq-x", "amqp.x"] {
        let x = format!("{x}{}", name());
        c.call(x_declare(&x, "direct"));
        c.call(x_delete(&x));
    }
}

#[test]
fn x_04_properties_are_compared_in_order() {
    let mut c = Wire::open();
    let x = name();
    let plain = x_declare(&x, "direct");
    c.call(plain);
    let text = |what: &str, got: &str, current: &str| {
        format!("inequivalent arg '{what}' for {}: received '{got}' but current is '{current}'", x_named(&x))
    };
    let all = exchange::Declare { kind: "fanout", durable: true, auto_delete: true, internal: true, ..plain };
    c.refused(all, 406, &text("type", "fanout", "direct"));
    let all = exchange::Declare { kind: "direct", ..all };
    c.refused(all, 406, &text("durable", "true", "false"));
    let all = exchange::Declare { durable: false, ..all };
    c.refused(all, 406, &text("auto_delete", "true", "false"));
    let all = exchange::Declare { auto_delete: false, ..all };
    c.refused(all, 406, &text("internal", "true", "false"));
    c.call(plain);
    c.call(x_delete(&x));
}

#[test]
fn x_04_types_with_a_dash_are_quoted_twice() {
    let mut c = Wire::open();
    let x = c.exchange("direct");
    let text = "received ''x-modulus-hash'' but current is 'direct'";
    let text = format!("inequivalent arg 'type' for {}: {text}", x_named(&x));
    c.refused(x_declare(&x, "x-modulus-hash"), 406, &text);
    c.call(x_delete(&x));
}

#[test]
fn x_04_an_alternate_is_compared_other_arguments_are_not() {
    let mut c = Wire::open();
    let text = |x: &str, end: &str| format!("inequivalent arg 'alternate-exchange' for {}: {end}", x_named(x));
    let plain = c.exchange("direct");
    let one = c.exchange_before("direct", "one");
    let cases = [
        (
            &plain,
            table! { "alternate-exchange" => "one" },
            "received the value 'one' of type 'longstr' but current is none",
        ),
        (
            &plain,
            table! { "alternate-exchange" => 5 },
            "received the value '5' of type 'signedint' but current is none",
        ),
        (&one, table! {}, "received none but current is the value 'one' of type 'longstr'"),
        (&one, table! { "alternate-exchange" => "two" }, "received 'two' but current is 'one'"),
        (&one, table! { "alternate-exchange" => 5 }, "received '5' but current is 'one'"),
        (&one, table! { "alternate-exchange" => FieldValue::Void }, "received none but current is 'one'"),
    ];
    let declare = |x| exchange::Declare { auto_delete: true, ..x_declare(x, "direct") };
    for (x, arguments, end) in &cases {
        let method = exchange::Declare { arguments: arguments.as_table(), ..declare(x) };
        c.refused(method, 406, &text(x, end));
    }
    let bytes = table! { "alternate-exchange" => FieldValue::Bytes(b"one".to_vec()) };
    c.call(exchange::Declare { arguments: bytes.as_table(), ..declare(&one) });
    let other = table! { "x-any" => 1 };
    c.call(exchange::Declare { arguments: other.as_table(), ..declare(&plain) });
    c.call(x_delete(&plain));
    c.call(x_delete(&one));
}

#[test]
fn x_05_types_that_are_not_there_are_named() {
    let mut c = Wire::open();
    for kind in ["no-such-type", "DIRECT", "x-delayed-message"] {
        c.refused(x_declare(&name(), kind), 406, &format!("unknown exchange type '{kind}'"));
    }
    c.refused(x_declare(&name(), ""), 406, "invalid exchange type ''");
    if ours_only() {
        c.refused(x_declare(&name(), "x-random"), 406, "invalid exchange type 'x-random'");
    }
}

#[test]
fn x_06_passive_compares_nothing() {
    let mut c = Wire::open();
    let x = c.exchange("direct");
    for kind in ["", "fanout", "no-such-type"] {
        c.call(exchange::Declare { passive: true, durable: true, internal: true, ..x_declare(&x, kind) });
    }
    c.send(1, exchange::Declare { nowait: true, ..x_passive(&x) });
    c.quiet();
    c.call(x_delete(&x));
    c.refused(x_passive(&x), 404, &no_exchange(&x));
}

#[test]
fn x_08_an_auto_delete_exchange_goes_with_its_last_binding() {
    let mut c = Wire::open();
    let x = c.exchange("direct");
    c.call(unbind("no-such", &x, ""));
    assert!(exists(&mut c, &x));
    let (q, r) = (c.bound(&x, "1"), c.bound(&x, "2"));
    c.call(bind(&q, &x, "3"));
    c.call(unbind(&q, &x, "1"));
    c.call(unbind(&q, &x, "3"));
    assert!(exists(&mut c, &x));
    c.call(delete(&r));
    assert!(!exists(&mut c, &x));
}

#[test]
fn x_08_auto_delete_goes_on_to_the_exchanges_before() {
    let mut c = Wire::open();
    let chain = [c.exchange("fanout"), c.exchange("fanout"), c.exchange("fanout")];
    c.call(x_bind(&chain[1], &chain[0], ""));
    c.call(x_bind(&chain[2], &chain[1], ""));
    let q = c.bound(&chain[2], "");
    c.call(delete(&q));
    for x in &chain {
        assert!(!exists(&mut c, x));
    }
    let x = c.exchange("fanout");
    c.call(x_bind(&x, &x, ""));
    c.call(x_unbind(&x, &x, ""));
    assert!(!exists(&mut c, &x));
}

#[test]
fn x_09_an_internal_exchange_is_only_reached_by_others() {
    let mut c = Wire::open();
    let (x, y) = (c.exchange("fanout"), name());
    c.call(exchange::Declare { internal: true, auto_delete: true, ..x_declare(&y, "fanout") });
    let q = c.bound(&y, "");
    c.call(x_bind(&y, &x, ""));
    for to in [y.as_str(), "amq.rabbitmq.trace"] {
        c.publish(to, "", "x");
        c.refusal((60, 40), 403, &format!("cannot publish to internal {}", x_named(to)));
    }
    let z = c.exchange_before("direct", &y);
    c.call(confirm::Select::default());
    assert!(c.routes(&x, "", &BasicProperties::default()));
    assert!(c.routes(&z, "", &BasicProperties::default()));
    assert_eq!(c.counts(&q), (2, 0));
    c.call(x_delete(&z));
}

#[test]
fn x_08_an_auto_delete_exchange_is_gone_when_its_last_queues_owner_is() {
    if !ours_only() {
        return;
    }
    let mut other = Wire::open();
    let mut c = Wire::open();
    let x = c.exchange("direct");
    c.bound(&x, "");
    c.call_on(0, connection_close());
    assert!(!exists(&mut other, &x));
}
