//! Consumers: tags, refusals, deliveries and priorities.

use crate::support::*;

fn tag(frame: &OwnedFrame) -> String {
    match frame.method() {
        Method::BasicConsumeOk(ok) => ok.consumer_tag.to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn s_04_a_consumer_without_a_tag_gets_one() {
    let mut c = Wire::open();
    let q = c.queue();
    let generated = tag(&c.call(consume(&q, "")));
    let random = generated.strip_prefix("amq.ctag-").expect("the prefix");
    let alphabet = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    assert!(random.len() == 22 && random.chars().all(alphabet), "{generated}");
    assert_ne!(generated, tag(&c.call(consume(&q, ""))));
    assert_eq!(tag(&c.call(consume(&q, "mine"))), "mine");
}

#[test]
fn s_04_a_tag_can_be_used_once_per_channel() {
    let mut c = Wire::open();
    let (q, r) = (c.queue(), c.queue());
    c.call(consume(&q, "t"));
    c.open_channel(2);
    c.call_on(2, consume(&q, "t"));
    c.call(cancel("t"));
    c.call(consume(&q, "t"));
    c.refused(consume(&r, "t"), 530, "attempt to reuse consumer tag 't'");
}

#[test]
fn s_04_nowait_starts_a_consumer_without_a_word() {
    let mut c = Wire::open();
    let q = c.queue();
    c.send(1, basic::Consume { nowait: true, ..consume(&q, "t") });
    c.publish("", &q, "1");
    assert_eq!(c.deliver().by(), "t:1");
}

#[test]
fn s_05_a_missing_queue_is_named() {
    let mut c = Wire::open();
    c.refused(consume("no-such", "t"), 404, &no_queue("no-such"));
}

#[test]
fn s_05_an_exclusive_consumer_is_alone() {
    let mut c = Wire::open();
    let q = c.queue();
    let text = format!("{} in exclusive use", q_named(&q));
    let exclusive = |tag| basic::Consume { exclusive: true, ..consume(&q, tag) };
    c.open_channel(2);
    c.call_on(2, consume(&q, "t"));
    c.refused(exclusive("u"), 403, &text);
    c.call_on(2, cancel("t"));
    c.call_on(2, exclusive("t"));
    c.refused(exclusive("u"), 403, &text);
    c.refused(consume(&q, "u"), 403, &text);
    assert_eq!(c.get(&q), None);
    assert_eq!(c.counts(&q), (0, 1));
    c.call_on(2, channel_close());
    c.call(exclusive("u"));
}

#[test]
fn s_06_consume_ok_comes_before_the_first_delivery() {
    let mut c = Wire::open();
    let q = c.bound("amq.direct", "s_06");
    let properties = BasicProperties { delivery_mode: Some(2), ..Default::default() };
    c.publish_as(1, publish("amq.direct", "s_06"), &properties, b"1");
    assert_eq!(tag(&c.call(consume(&q, "t"))), "t");
    let expected = Delivered {
        channel: 1,
        consumer_tag: "t".into(),
        delivery_tag: 1,
        exchange: "amq.direct".into(),
        routing_key: "s_06".into(),
        raw_properties: vec![0x10, 0, 2],
        body: b"1".to_vec(),
        ..Delivered::default()
    };
    assert_eq!(c.deliver(), expected);
}

#[test]
fn s_07_no_local_is_ignored() {
    let mut c = Wire::open();
    let q = c.queue();
    c.call(basic::Consume { no_local: true, ..consume(&q, "t") });
    c.publish("", &q, "own");
    assert_eq!(c.deliver().by(), "t:own");
}

#[test]
fn s_10_delivery_tags_count_deliveries_and_gets_of_a_channel() {
    let mut c = Wire::open();
    let (q, r) = (c.queue(), c.queue());
    c.fill_queue(&q, &["1"]);
    c.fill_queue(&r, &["2", "3"]);
    c.call(basic::Consume { no_ack: true, ..consume(&q, "t") });
    assert_eq!(c.deliver().delivery_tag, 1);
    assert_eq!(c.get(&r).unwrap().delivery_tag, 2);
    c.open_channel(2);
    c.send(2, get(&r));
    assert_eq!(c.deliver().delivery_tag, 1);
}

#[test]
fn s_15_deliveries_name_the_exchange_published_to() {
    let mut c = Wire::open();
    let (x, y) = (c.exchange("fanout"), c.exchange("fanout"));
    c.call(x_bind(&y, &x, ""));
    let q = c.bound(&y, "");
    c.publish(&x, "some.key", "1");
    c.call(consume(&q, "t"));
    let message = c.deliver();
    assert_eq!((message.exchange, message.routing_key), (x, "some.key".into()));
}

#[test]
fn s_18_arguments_of_other_queue_types_are_refused_and_unknown_ones_ignored() {
    let mut c = Wire::open();
    let q = c.queue();
    for (name, value) in [("x-stream-offset", FieldValue::from("first")), ("x-consumer-timeout", 1000.into())] {
        let arguments = table! { name => value };
        let text = format!("invalid arg '{name}' for {} of queue type rabbit_classic_queue", q_named(&q));
        c.refused(basic::Consume { arguments: arguments.as_table(), ..consume(&q, "t") }, 406, &text);
    }
    let arguments = table! { "x-foo" => 1, "x-cancel-on-ha-failover" => true };
    c.call(basic::Consume { arguments: arguments.as_table(), ..consume(&q, "t") });
}

#[test]
fn q_31_a_priority_is_any_integer() {
    let mut c = Wire::open();
    let q = c.queue();
    for (n, value) in [FieldValue::from(5i64), 5u8.into(), (-1).into()].into_iter().enumerate() {
        let arguments = table! { "x-priority" => value };
        c.call(basic::Consume { arguments: arguments.as_table(), ..consume(&q, &n.to_string()) });
    }
    let refused = [
        (FieldValue::from(1.5), "double"),
        ("5".into(), "longstr"),
        (FieldValue::Timestamp(5), "timestamp"),
        (true.into(), "bool"),
        (FieldValue::Void, "void"),
    ];
    for (value, kind) in refused {
        let arguments = table! { "x-priority" => value };
        let text = format!("invalid arg 'x-priority' for {}: \"expected integer, got {kind}\"", q_named(&q));
        c.refused(basic::Consume { arguments: arguments.as_table(), ..consume(&q, "t") }, 406, &text);
    }
}

#[test]
fn q_31_higher_priority_comes_first_while_it_has_room() {
    let mut c = Wire::open();
    let q = c.queue();
    c.call(qos(2));
    let (low, high) = (table! { "x-priority" => -1 }, table! { "x-priority" => 1 });
    c.call(basic::Consume { arguments: low.as_table(), ..consume(&q, "low") });
    c.call(consume(&q, "zero"));
    c.call(basic::Consume { arguments: high.as_table(), ..consume(&q, "high") });
    let mut told = Vec::new();
    for body in ["1", "2", "3", "4", "5"] {
        c.publish("", &q, body);
        told.push(c.deliver().by());
    }
    c.send(1, ack(1));
    c.quiet();
    c.publish("", &q, "6");
    told.push(c.deliver().by());
    assert_eq!(told, ["high:1", "high:2", "zero:3", "zero:4", "low:5", "high:6"]);
}
