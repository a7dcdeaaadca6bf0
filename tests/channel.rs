//! Channels: opening, closing, flow, and the order of answers.

use crate::support::*;

#[test]
fn m_01_open_ok_has_an_empty_id_and_any_number_can_be_opened() {
    let mut c = Wire::entered(&Login::default());
    for number in [1, 2, 65535, 2047, 2048] {
        c.raw_frame(1, number, b"\x00\x14\x00\x0a\x03out");
        assert_eq!(c.expect(number, "channel.open-ok").payload, [0, 20, 0, 11, 0, 0, 0, 0]);
    }
}

#[test]
fn m_02_unacked_messages_are_ready_when_close_ok_comes() {
    let mut c = Wire::open();
    let q = c.queue();
    c.fill_queue(&q, &["1", "2", "3"]);
    c.open_channel(2);
    c.call_on(2, consume(&q, "t"));
    c.deliveries(3);
    c.call_on(2, channel_close());
    assert_eq!(c.counts(&q), (3, 0));
    assert_eq!(c.drain(&q), ["1r", "2r", "3r"]);
}

#[test]
fn m_02_a_number_can_be_used_again_and_its_tags_start_over() {
    let mut c = Wire::open();
    let q = c.queue();
    c.fill_queue(&q, &["x"; 20]);
    for _ in 0..20 {
        c.open_channel(2);
        c.send(2, basic::Get { no_ack: true, ..get(&q) });
        assert_eq!(c.deliver().delivery_tag, 1);
        let close = channel::Close { reply_code: 0, reply_text: "enough", class_id: 60, method_id: 70 };
        c.call_on(2, close);
    }
}

#[test]
fn m_02_close_and_open_in_one_write_is_a_second_open() {
    let mut c = Wire::open();
    let mut frames = encoded(1, 1, &payload(channel_close()));
    frames.extend(encoded(1, 1, &payload(channel::Open {})));
    c.raw(&frames);
    let mut frame = c.frame();
    if frame.name() == "channel.close-ok" {
        frame = c.frame();
    }
    assert_eq!(Close::read(&frame).unwrap(), closes(0, 504, "second 'channel.open' seen", (20, 10)));
}

#[test]
fn m_02_publishes_before_close_are_routed_and_consumers_end() {
    let mut c = Wire::open();
    let q = c.queue();
    c.open_channel(2);
    c.call_on(2, consume(&q, "t"));
    c.call_on(2, cancel("t"));
    c.publish_as(2, publish("", &q), &BasicProperties::default(), b"x");
    c.call_on(2, channel_close());
    eventually(|| c.counts(&q) == (1, 0));
    c.open_channel(2);
    c.call_on(2, consume(&q, "t"));
    assert_eq!(c.deliver().by(), "t:x");
    c.call_on(2, channel_close());
    eventually(|| c.counts(&q) == (1, 0));
}

#[test]
fn m_02_closing_in_the_middle_of_deliveries_says_nothing_afterwards() {
    let mut c = Wire::open();
    let q = c.queue();
    let bodies: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    bodies.iter().for_each(|body| c.publish("", &q, body));
    c.open_channel(2);
    c.call_on(2, consume(&q, "t"));
    c.send(2, channel_close());
    while c.frame().name() != "channel.close-ok" {}
    c.quiet();
    eventually(|| c.counts(&q) == (200, 0));
    let told = c.drain(&q);
    assert!(told.iter().map(|body| body.trim_end_matches('r')).eq(bodies.iter().map(String::as_str)));
}

#[test]
fn m_03_flow_can_only_be_on() {
    let mut c = Wire::open();
    let answer = c.call(channel::Flow { active: true });
    assert_eq!(answer.method(), channel::FlowOk { active: true }.into());
    c.refused(channel::Flow { active: false }, 540, "active=false");
}

#[test]
fn m_04_access_is_always_given_as_ticket_1() {
    let mut c = Wire::open();
    for payload in [&b"\x00\x1e\x00\x0a\x05/data\x1f"[..], b"\x00\x1e\x00\x0a\x00\x00"] {
        c.raw_frame(1, 1, payload);
        assert_eq!(c.expect(1, "access.request-ok").payload, [0, 30, 0, 11, 0, 1]);
    }
    c.raw_frame(1, 1, b"\x00\x28\x00\x0a\xff\xff\x0aamq.direct\x06direct\x02\x00\x00\x00\x00");
    c.expect(1, "exchange.declare-ok");
}

#[test]
fn m_22_answers_come_in_order() {
    let mut c = Wire::open();
    let q = c.queue();
    for n in 0..200 {
        let key = n.to_string();
        c.send(1, declare(&q));
        c.send(1, bind(&q, "amq.topic", &key));
        c.send(1, get(&q));
    }
    for _ in 0..200 {
        c.expect(1, "queue.declare-ok");
        c.expect(1, "queue.bind-ok");
        c.expect(1, "basic.get-empty");
    }
}

#[test]
fn m_22_publish_get_and_ack_may_be_written_at_once() {
    let mut c = Wire::open();
    let q = c.queue();
    c.publish("", &q, "x");
    c.send(1, get(&q));
    c.send(1, ack(1));
    c.send(1, get(&q));
    assert_eq!(c.deliver().told(), "x");
    c.expect(1, "basic.get-empty");
}

#[test]
fn m_22_consume_ok_comes_in_order_even_with_a_cancel_behind_it() {
    if !ours_only() {
        return;
    }
    let mut c = Wire::open();
    let q = c.queue();
    c.send(1, consume(&q, "t"));
    c.send(1, qos(1));
    c.send(1, cancel("t"));
    c.expect(1, "basic.consume-ok");
    c.expect(1, "basic.qos-ok");
    c.expect(1, "basic.cancel-ok");
}

#[test]
fn m_23_nowait_has_no_answer() {
    let mut c = Wire::open();
    let (x, y, q) = (name(), name(), name());
    c.send(1, exchange::Declare { nowait: true, ..x_declare(&x, "fanout") });
    c.send(1, exchange::Declare { nowait: true, ..x_declare(&y, "fanout") });
    c.send(1, exchange::Bind { nowait: true, ..x_bind(&y, &x, "k") });
    c.send(1, queue::Declare { nowait: true, ..declare(&q) });
    c.send(1, queue::Bind { nowait: true, ..bind(&q, &y, "k") });
    c.quiet();
    c.publish(&x, "", "1");
    c.counts(&q);
    assert_eq!(c.drain(&q), ["1"]);
    c.send(1, exchange::Unbind { nowait: true, ..x_unbind(&y, &x, "k") });
    c.send(1, queue::Purge { nowait: true, ..purge(&q) });
    c.send(1, basic::Consume { nowait: true, ..consume(&q, "t") });
    c.send(1, basic::Cancel { nowait: true, ..cancel("t") });
    c.send(1, queue::Delete { nowait: true, ..delete(&q) });
    c.send(1, exchange::Delete { nowait: true, ..x_delete(&x) });
    c.send(1, exchange::Delete { nowait: true, ..x_delete(&y) });
    c.send(1, confirm::Select { nowait: true });
    c.quiet();
    c.refused(passive(&q), 404, &no_queue(&q));
    c.refused(x_passive(&x), 404, &no_exchange(&x));
}

#[test]
fn m_23_failures_are_told_in_spite_of_nowait() {
    let mut c = Wire::open();
    let n = "no-such";
    let reserved = "contains reserved prefix 'amq.*'";
    c.refused(basic::Consume { nowait: true, ..consume(n, "t") }, 404, &no_queue(n));
    c.refused(exchange::Bind { nowait: true, ..x_bind(n, "amq.direct", "") }, 404, &no_exchange(n));
    c.refused(
        exchange::Declare { nowait: true, ..x_declare("amq.nope", "direct") },
        403,
        &format!("exchange name 'amq.nope' {reserved}"),
    );
    let system = "deletion of system exchange 'amq.direct' in vhost '/' not allowed";
    c.refused(exchange::Delete { nowait: true, ..x_delete("amq.direct") }, 403, system);
    let default = "operation not permitted on the default exchange";
    c.refused(exchange::Unbind { nowait: true, ..x_unbind("", "amq.direct", "") }, 403, default);
    c.refused(queue::Bind { nowait: true, ..bind(n, "amq.direct", "") }, 404, &no_queue(n));
    c.refused(queue::Declare { nowait: true, ..passive(n) }, 404, &no_queue(n));
    c.refused(queue::Purge { nowait: true, ..purge(n) }, 404, &no_queue(n));
    c.send(1, queue::Delete { nowait: true, ..delete(n) });
    c.quiet();
}

#[test]
fn m_26_a_soft_error_ends_its_channel_alone() {
    let mut c = Wire::open();
    let q = c.queue();
    c.fill_queue(&q, &["1", "2"]);
    c.open_channel(2);
    c.send(2, basic::Consume { exclusive: true, ..consume(&q, "t") });
    c.expect(2, "basic.consume-ok");
    c.deliveries(2);
    c.send(2, passive("no-such"));
    c.publish_as(2, publish("", &q), &BasicProperties::default(), b"dropped");
    assert_eq!(c.error(), closes(2, 404, &no_queue("no-such"), (50, 10)));
    eventually(|| c.counts(&q) == (2, 0));
    c.call(consume(&q, "u"));
    let told: Vec<_> = c.deliveries(2).iter().map(Delivered::told).collect();
    assert_eq!(told, ["1r", "2r"]);
}

#[test]
fn m_26_what_was_published_before_a_soft_error_is_routed() {
    let mut c = Wire::open();
    let q = c.queue();
    c.publish("", &q, "before");
    c.send(1, passive("no-such"));
    c.publish("", &q, "behind");
    c.error();
    c.call(channel::Open {});
    assert_eq!(c.drain(&q), ["before"]);
}
