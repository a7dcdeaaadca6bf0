//! Direct reply-to: answers without a queue.

use crate::support::*;

const REPLY_TO: &str = "amq.rabbitmq.reply-to";

fn consume_replies(tag: &str) -> basic::Consume<'_> {
    basic::Consume { no_ack: true, ..consume(REPLY_TO, tag) }
}

/// A requester that consumes replies on channel 1, and the address that its request carries.
fn requester() -> (Wire, String) {
    let mut c = Wire::open();
    let q = c.queue();
    c.call(consume_replies("replies"));
    let properties = BasicProperties { reply_to: Some(REPLY_TO.as_bytes()), ..Default::default() };
    c.publish_as(1, publish("", &q), &properties, b"request");
    let request = c.get(&q).unwrap();
    let address = String::from_utf8(request.properties().reply_to.unwrap().to_vec()).unwrap();
    (c, address)
}

#[test]
fn p_12_a_reply_reaches_the_requester_from_any_connection() {
    let (mut c, address) = requester();
    let mut parts = address.strip_prefix(REPLY_TO).unwrap().split('.');
    assert_eq!(parts.next(), Some(""));
    assert!(parts.clone().count() == 2 && parts.all(|part| !part.is_empty()), "{address}");
    let mut responder = Wire::open();
    responder.call(confirm::Select::default());
    assert!(responder.routes("", &address, &BasicProperties::default()));
    let reply = c.deliver();
    assert_eq!((reply.consumer_tag.as_str(), reply.exchange.as_str()), ("replies", ""));
    assert_eq!((reply.routing_key.as_str(), reply.delivery_tag), (address.as_str(), 2));
    assert!(!reply.redelivered);
}

#[test]
fn p_12_a_reply_may_come_by_cc() {
    let (mut c, address) = requester();
    let headers = table! { "CC" => vec![FieldValue::from(address.as_str())] };
    let properties = BasicProperties { headers: Some(headers.as_table()), ..Default::default() };
    Wire::open().publish_as(1, publish("", "nowhere"), &properties, b"reply");
    assert_eq!(c.deliver().told(), "reply");
}

#[test]
fn p_12_the_consumer_must_not_acknowledge_and_is_one() {
    let mut c = Wire::open();
    c.refused(consume(REPLY_TO, "t"), 406, "reply consumer cannot acknowledge");
    c.call(basic::Consume { exclusive: true, ..consume_replies("t") });
    c.refused(consume_replies("u"), 406, "reply consumer already set");
    c.call(consume_replies("t"));
    c.call(cancel("t"));
    c.call(consume_replies("t"));
}

#[test]
fn p_12_a_request_needs_a_consumer_on_its_channel() {
    let mut c = Wire::open();
    let properties = BasicProperties { reply_to: Some(REPLY_TO.as_bytes()), ..Default::default() };
    c.publish_as(1, publish("", "q"), &properties, b"x");
    c.refusal((60, 40), 406, "fast reply consumer does not exist");
}

#[test]
fn p_12_a_made_up_address_is_no_route_and_a_gone_one_is_silent() {
    let (mut c, address) = requester();
    let mut responder = Wire::open();
    responder.call(confirm::Select::default());
    assert!(!responder.routes("", REPLY_TO, &BasicProperties::default()));
    assert!(!responder.routes("", "amq.rabbitmq.reply-to.nonsense", &BasicProperties::default()));
    c.call(channel_close());
    eventually(|| {
        responder.send(1, passive(&address));
        let gone = responder.frame().name() == "channel.close";
        if gone {
            responder.send(1, channel::CloseOk {});
            responder.call(channel::Open {});
        }
        gone
    });
    responder.call(confirm::Select::default());
    assert!(responder.routes("", &address, &BasicProperties::default()));
}

#[test]
fn p_12_the_name_is_no_queue_for_other_methods() {
    let mut c = Wire::open();
    for method in [Method::from(get(REPLY_TO)), purge(REPLY_TO).into(), bind(REPLY_TO, "amq.direct", "k").into()] {
        c.refused(method, 404, &no_queue(REPLY_TO));
    }
    c.call(delete(REPLY_TO));
    c.call(unbind(REPLY_TO, "amq.direct", "k"));
}

#[test]
fn p_12_the_address_is_a_volatile_queue() {
    let (_c, address) = requester();
    let text = "cannot bind or unbind to a volatile (direct reply-to) queue";
    let mut other = Wire::open();
    other.refused(bind(&address, "amq.direct", "k"), 403, text);
    other.refused(unbind(&address, "amq.direct", "k"), 403, text);
    other.call(purge(&address));
    let creator = format!("only creator channel may consume from {}", q_named(&address));
    other.refused(basic::Consume { no_ack: true, ..consume(&address, "t") }, 406, &creator);
    let no_get = format!("basic.get not supported by volatile {}", q_named(&address));
    other.refused(get(&address), 540, &no_get);
}

#[test]
fn q_13_declaring_tells_whether_the_requester_is_there() {
    let (_c, address) = requester();
    let mut other = Wire::open();
    for q in [REPLY_TO, &address] {
        let frame = other.call(queue::Declare { exclusive: false, ..declare(q) });
        let Method::QueueDeclareOk(ok) = frame.method() else { panic!("{frame:?}") };
        assert_eq!((ok.queue, ok.message_count, ok.consumer_count), (q, 0, 1));
        assert_eq!(other.counts(q), (0, 1));
    }
    if ours_only() {
        let nonsense = "amq.rabbitmq.reply-to.nonsense";
        other.refused(passive(nonsense), 404, &no_queue(nonsense));
    }
}
