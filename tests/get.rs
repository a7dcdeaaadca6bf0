//! basic.get.

use crate::support::*;

#[test]
fn s_11_get_ok_tells_where_from_and_how_many_are_left() {
    let mut c = Wire::open();
    let q = c.bound("amq.direct", "s_11");
    let headers = table! { "a" => 1 };
    let properties = BasicProperties { headers: Some(headers.as_table()), ..Default::default() };
    for body in ["1", "2", "3"] {
        c.publish_as(1, publish("amq.direct", "s_11"), &properties, body.as_bytes());
    }
    c.quiet();
    for (tag, left) in [(1, 2), (2, 1), (3, 0)] {
        let got = c.get(&q).unwrap();
        let expected = Delivered {
            channel: 1,
            delivery_tag: tag,
            exchange: "amq.direct".into(),
            routing_key: "s_11".into(),
            message_count: left,
            raw_properties: got.raw_properties.clone(),
            body: tag.to_string().into_bytes(),
            ..Delivered::default()
        };
        assert_eq!(got, expected);
        assert_eq!(got.properties(), properties);
    }
}

#[test]
fn s_11_an_empty_queue_says_so() {
    let mut c = Wire::open();
    let q = c.queue();
    c.send(1, get(&q));
    assert_eq!(c.expect(1, "basic.get-empty").payload, [0, 60, 0, 72, 0]);
    c.refused(get("no-such"), 404, &no_queue("no-such"));
}

#[test]
fn s_11_a_got_message_is_marked_when_it_comes_back() {
    let mut c = Wire::open();
    let q = c.queue();
    c.fill_queue(&q, &["1"]);
    assert_eq!(c.get(&q).unwrap().told(), "1");
    assert_eq!(c.get(&q), None);
    c.send(1, nack(1, true));
    c.quiet();
    assert_eq!(c.get(&q).unwrap().told(), "1r");
}

#[test]
fn s_11_get_works_beside_a_consumer_that_is_full() {
    let mut c = Wire::open();
    let q = c.queue();
    c.fill_queue(&q, &["1", "2", "3"]);
    c.call(qos(1));
    c.call(consume(&q, "t"));
    c.deliver();
    let got = c.get(&q).unwrap();
    assert_eq!((got.told(), got.message_count), ("2".into(), 1));
}
