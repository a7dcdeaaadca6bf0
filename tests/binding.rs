//! Bindings, and what direct and fanout exchanges do with them.

use crate::support::*;

const ON_DEFAULT: &str = "operation not permitted on the default exchange";

#[test]
fn m_07_binding_exchanges_twice_or_unbinding_what_is_not_is_fine() {
    let mut c = Wire::open();
    let (d, s) = (c.exchange("fanout"), name());
    c.call(x_declare(&s, "fanout"));
    c.call(x_bind(&d, &s, "k"));
    c.call(x_bind(&d, &s, "k"));
    let frame = c.call(x_unbind(&d, &s, "k"));
    assert_eq!(frame.payload, [0, 40, 0, 51]);
    c.call(x_unbind(&d, &s, "k"));
    c.call(x_unbind("no-such", &s, ""));
    c.call(x_unbind(&d, "no-such", ""));
    c.call(x_delete(&s));
    c.call(x_delete(&d));
}

#[test]
fn m_07_a_missing_or_default_end_is_refused() {
    let mut c = Wire::open();
    c.refused(x_bind("no-d", "no-s", ""), 404, &no_exchange("no-s"));
    c.refused(x_bind("no-d", "amq.fanout", ""), 404, &no_exchange("no-d"));
    c.refused(x_bind("amq.fanout", "no-s", ""), 404, &no_exchange("no-s"));
    for (destination, source) in [("", "amq.fanout"), ("amq.fanout", ""), ("", "")] {
        c.refused(x_bind(destination, source, ""), 403, ON_DEFAULT);
        c.refused(x_unbind(destination, source, ""), 403, ON_DEFAULT);
    }
}

#[test]
fn m_07_each_exchange_is_visited_once() {
    let mut c = Wire::open();
    let (top, left, right, bottom) =
        (c.exchange("topic"), c.exchange("fanout"), c.exchange("fanout"), c.exchange("fanout"));
    c.call(x_bind(&left, &top, "#"));
    c.call(x_bind(&right, &top, "a.*"));
    c.call(x_bind(&bottom, &left, ""));
    c.call(x_bind(&bottom, &right, ""));
    c.call(x_bind(&top, &bottom, ""));
    let q = c.bound(&bottom, "");
    c.publish(&top, "a.b", "x");
    c.quiet();
    let message = c.get(&q).unwrap();
    assert_eq!((message.exchange.as_str(), message.routing_key.as_str()), (top.as_str(), "a.b"));
    assert_eq!(message.message_count, 0);
}

#[test]
fn m_09_a_queue_bound_twice_gets_one_copy() {
    let mut c = Wire::open();
    let x = c.exchange("topic");
    let q = c.bound(&x, "a.*");
    c.call(bind(&q, &x, "a.*"));
    c.call(bind(&q, &x, "#"));
    c.call(confirm::Select::default());
    assert!(c.routes(&x, "a.b", &BasicProperties::default()));
    assert_eq!(c.counts(&q), (1, 0));
}

#[test]
fn m_09_a_missing_or_default_end_is_refused() {
    let mut c = Wire::open();
    let q = c.queue();
    c.refused(bind("no-q", "amq.direct", ""), 404, &no_queue("no-q"));
    c.refused(bind(&q, "no-x", ""), 404, &no_exchange("no-x"));
    c.refused(bind("no-q", "no-x", ""), 404, &no_exchange("no-x"));
    c.refused(bind(&q, "", "k"), 403, ON_DEFAULT);
    c.refused(bind("no-q", "", "k"), 403, ON_DEFAULT);
    let reply_to = "amq.rabbitmq.reply-to";
    c.refused(bind(reply_to, "amq.direct", ""), 404, &no_queue(reply_to));
    let mut other = Wire::open();
    other.refused(bind(&q, "amq.direct", "k"), 405, &locked(&q));
}

#[test]
fn m_09_the_last_declared_queue_stands_for_none() {
    let cases = [
        // queue given, key, and which key then routes
        (false, "", "its name"),
        (false, "k", "k"),
        (true, "", ""),
    ];
    for (given, key, routes) in cases {
        let mut c = Wire::open();
        let x = c.exchange("direct");
        let q = c.queue();
        c.call(bind(if given { &q } else { "" }, &x, key));
        c.call(confirm::Select::default());
        for published in ["", "k", "its name"] {
            let key = if published == "its name" { &q } else { published };
            let routed = c.routes(&x, key, &BasicProperties::default());
            assert_eq!(routed, published == routes, "bound by {key:?}, published by {published:?}");
        }
    }
}

#[test]
fn m_09_arguments_are_part_of_a_binding_exact_by_type() {
    let nested = |first: &str, second: &str| -> FieldTable { [(first, 1), (second, 1)].into_iter().collect() };
    let cases = [
        (table! { "a" => 1, "b" => 2 }, table! { "b" => 2, "a" => 1 }, true),
        (table! { "a" => 1 }, table! { "a" => 1i64 }, false),
        (table! { "a" => 1 }, table! { "a" => 1u32 }, false),
        (table! { "a" => 1 }, table! { "a" => 1.0 }, false),
        (table! { "a" => 1 }, table! {}, false),
        (table! { "a" => "x" }, table! { "a" => FieldValue::Bytes(b"x".to_vec()) }, false),
        (table! { "t" => nested("a", "b") }, table! { "t" => nested("b", "a") }, false),
    ];
    for (bound, unbound, same) in cases {
        let mut c = Wire::open();
        let x = c.exchange("direct");
        let q = c.queue();
        c.call(queue::Bind { arguments: bound.as_table(), ..bind(&q, &x, "k") });
        c.call(queue::Unbind { arguments: unbound.as_table(), ..unbind(&q, &x, "k") });
        // The exchange goes with its last binding.
        c.send(1, x_passive(&x));
        let gone = c.frame().name() == "channel.close";
        assert_eq!(gone, same, "{bound:?} and {unbound:?}");
    }
}

#[test]
fn m_09_bindings_that_differ_by_arguments_are_two() {
    let mut c = Wire::open();
    let x = c.exchange("direct");
    let q = c.bound(&x, "k");
    let arguments = table! { "a" => 1 };
    c.call(queue::Bind { arguments: arguments.as_table(), ..bind(&q, &x, "k") });
    c.call(confirm::Select::default());
    c.call(unbind(&q, &x, "k"));
    assert!(c.routes(&x, "k", &BasicProperties::default()));
    c.call(queue::Unbind { arguments: arguments.as_table(), ..unbind(&q, &x, "k") });
    c.refused(x_passive(&x), 404, &no_exchange(&x));
    assert_eq!(c.counts(&q), (1, 0));
}

#[test]
fn m_10_unbinding_what_is_not_is_fine() {
    let mut c = Wire::open();
    let q = c.queue();
    c.call(unbind(&q, "amq.direct", "k"));
    c.call(unbind("no-q", "amq.direct", "k"));
    c.call(unbind(&q, "no-x", "k"));
    c.call(unbind("no-q", "no-x", "k"));
    c.refused(unbind(&q, "", "k"), 403, ON_DEFAULT);
    c.refused(unbind("no-q", "", "k"), 403, ON_DEFAULT);
}

#[test]
fn m_10_another_connections_queue_cannot_be_unbound() {
    let mut c = Wire::open();
    let x = c.exchange("direct");
    let q = c.bound(&x, "k");
    let mut other = Wire::open();
    other.call(unbind(&q, &x, "not bound by this"));
    other.refused(unbind(&q, &x, "k"), 405, &locked(&q));
    c.call(confirm::Select::default());
    assert!(c.routes(&x, "k", &BasicProperties::default()));
}

#[test]
fn m_10_the_last_declared_queue_stands_for_none() {
    let mut c = Wire::open();
    let x = name();
    c.call(x_declare(&x, "direct"));
    let q = c.queue();
    c.call(bind("", &x, ""));
    c.call(unbind("", &x, ""));
    c.call(confirm::Select::default());
    assert!(!c.routes(&x, &q, &BasicProperties::default()));
    c.call(x_delete(&x));
}

#[test]
fn x_11_direct_takes_the_exact_key_and_fanout_any() {
    let mut c = Wire::open();
    let (direct, fanout) = (c.exchange("direct"), c.exchange("fanout"));
    let (q, r) = (c.bound(&direct, "a.*"), c.bound(&fanout, "k"));
    c.call(confirm::Select::default());
    for (key, routed) in [("a.*", true), ("a.b", false), ("A.*", false), ("", false)] {
        assert_eq!(c.routes(&direct, key, &BasicProperties::default()), routed, "{key:?}");
        assert!(c.routes(&fanout, key, &BasicProperties::default()), "{key:?}");
    }
    assert_eq!((c.counts(&q).0, c.counts(&r).0), (1, 4));
}
