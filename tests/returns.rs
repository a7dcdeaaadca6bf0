//! Mandatory messages that no queue takes.

use crate::support::*;

fn mandatory<'a>(exchange: &'a str, routing_key: &'a str) -> basic::Publish<'a> {
    basic::Publish { mandatory: true, ..publish(exchange, routing_key) }
}

#[test]
fn p_03_a_return_brings_the_message_back_in_full_but_for_bcc() {
    let mut c = Wire::open();
    let x = name();
    c.call(x_declare(&x, "topic"));
    let keys = |q: &str| FieldValue::Array(vec![q.into()]);
    let headers = table! { "CC" => keys("c"), "BCC" => keys("b"), "n" => 1 };
    let properties = BasicProperties {
        content_type: Some(b"t"),
        headers: Some(headers.as_table()),
        delivery_mode: Some(2),
        priority: Some(1),
        expiration: Some(b"100"),
        ..Default::default()
    };
    c.publish_as(1, mandatory(&x, "a.b"), &properties, b"body");
    let returned = c.deliver();
    assert_eq!((returned.reply_code, returned.reply_text.as_str()), (312, "NO_ROUTE"));
    assert_eq!((returned.exchange.as_str(), returned.routing_key.as_str()), (x.as_str(), "a.b"));
    assert_eq!(returned.body, b"body");
    let shown = table! { "CC" => keys("c"), "n" => 1 };
    let expected = BasicProperties { headers: Some(shown.as_table()), ..properties };
    assert_eq!(returned.properties(), expected);
    c.call(x_delete(&x));
}

#[test]
fn p_03_a_return_comes_before_the_ack() {
    let mut c = Wire::open();
    c.call(confirm::Select::default());
    c.publish_as(1, mandatory("", "nowhere"), &BasicProperties::default(), b"x");
    let told: Vec<_> = (0..4).map(|_| c.frame().name()).collect();
    assert_eq!(told, ["basic.return", "header", "body", "basic.ack"]);
}

#[test]
fn p_03_an_empty_message_comes_back_without_a_body_frame() {
    let mut c = Wire::open();
    c.publish_as(1, mandatory("", "nowhere"), &BasicProperties::default(), b"");
    assert_eq!(c.deliver().raw_properties, [0, 0]);
    c.quiet();
}

#[test]
fn p_03_in_a_burst_each_return_comes_before_the_ack_that_covers_it() {
    let mut c = Wire::open();
    let q = c.queue();
    c.call(confirm::Select::default());
    for (tag, key) in [q.as_str(), "nowhere", &q, "nowhere"].into_iter().enumerate() {
        let body = (tag + 1).to_string();
        c.publish_as(1, mandatory("", key), &BasicProperties::default(), body.as_bytes());
    }
    let (mut returned, mut open) = (Vec::new(), vec![1, 2, 3, 4]);
    while !open.is_empty() {
        let frame = c.frame();
        if frame.name() == "basic.return" {
            let message = c.content(Delivered::from_method(&frame));
            returned.push(message.told());
            continue;
        }
        let (tag, multiple) = frame.confirm();
        for unroutable in [2, 4] {
            let covered = tag == unroutable || multiple && tag > unroutable && open.contains(&unroutable);
            assert!(!covered || returned.contains(&unroutable.to_string()));
        }
        open.retain(|open| if multiple { *open > tag } else { *open != tag });
    }
    assert_eq!(returned, ["2", "4"]);
}

#[test]
fn p_03_without_mandatory_nothing_is_said() {
    let mut c = Wire::open();
    c.publish("", "nowhere", "x");
    c.quiet();
}

#[test]
fn p_03_a_route_by_cc_alone_is_a_route() {
    let mut c = Wire::open();
    let q = c.queue();
    let headers = table! { "CC" => vec![FieldValue::from(q.as_str())] };
    let properties = BasicProperties { headers: Some(headers.as_table()), ..Default::default() };
    c.publish_as(1, mandatory("", "nowhere"), &properties, b"x");
    c.quiet();
    assert_eq!(c.drain(&q), ["x"]);
}
