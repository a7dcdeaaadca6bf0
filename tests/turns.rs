//! Whose turn it is: consumers of equal priority, and what is put back for them.

use crate::support::*;

/// Publishes each body when the one before was delivered; who got them.
fn one_by_one(c: &mut Wire, q: &str, bodies: &[&str]) -> Vec<String> {
    let mut told = Vec::new();
    for body in bodies {
        c.publish("", q, body);
        told.push(c.deliver().by());
    }
    told
}

#[test]
fn q_32_consumers_take_turns() {
    for no_ack in [false, true] {
        let mut c = Wire::open();
        let q = c.queue();
        for tag in ["a", "b", "c"] {
            c.call(basic::Consume { no_ack, ..consume(&q, tag) });
        }
        let told = one_by_one(&mut c, &q, &["1", "2", "3", "4", "5", "6"]);
        assert_eq!(told, ["a:1", "b:2", "c:3", "a:4", "b:5", "c:6"]);
    }
}

#[test]
fn q_32_who_acks_first_is_served_first() {
    let mut c = Wire::open();
    let q = c.queue();
    c.call(qos(1));
    for tag in ["a", "b", "c"] {
        c.call(consume(&q, tag));
    }
    let mut told = one_by_one(&mut c, &q, &["1", "2", "3"]);
    c.fill_queue(&q, &["4", "5", "6"]);
    for tag in [2, 3, 1] {
        c.send(1, ack(tag));
        told.push(c.deliver().by());
    }
    assert_eq!(told, ["a:1", "b:2", "c:3", "b:4", "c:5", "a:6"]);
}

#[test]
fn q_32_the_rest_go_on_in_turn_when_one_cancels() {
    let mut c = Wire::open();
    let q = c.queue();
    for tag in ["a", "x", "b"] {
        c.call(consume(&q, tag));
    }
    c.call(cancel("x"));
    assert_eq!(one_by_one(&mut c, &q, &["1", "2", "3", "4"]), ["a:1", "b:2", "a:3", "b:4"]);
}

#[test]
fn q_32_a_new_consumer_waits_for_its_turn() {
    let mut c = Wire::open();
    let q = c.queue();
    c.call(consume(&q, "a"));
    c.call(consume(&q, "b"));
    assert_eq!(one_by_one(&mut c, &q, &["1"]), ["a:1"]);
    c.call(consume(&q, "new"));
    assert_eq!(one_by_one(&mut c, &q, &["2", "3", "4", "5", "6"]), ["b:2", "a:3", "new:4", "b:5", "a:6"]);
}

#[test]
fn q_32_consumers_that_all_have_room_again_keep_their_order() {
    let mut c = Wire::open();
    let q = c.queue();
    c.call(qos(1));
    for tag in ["a", "b", "c"] {
        c.call(consume(&q, tag));
    }
    assert_eq!(one_by_one(&mut c, &q, &["1", "2", "3"]), ["a:1", "b:2", "c:3"]);
    for tag in [3, 1, 2] {
        c.send(1, ack(tag));
        c.counts(&q);
    }
    assert_eq!(one_by_one(&mut c, &q, &["4", "5", "6"]), ["a:4", "b:5", "c:6"]);
}

#[test]
fn q_32_a_burst_is_dealt_out_in_turn() {
    let mut c = Wire::open();
    let q = c.queue();
    for tag in ["a", "b", "c"] {
        c.call(consume(&q, tag));
    }
    for body in ["1", "2", "3", "4", "5", "6", "7", "8", "9"] {
        c.publish("", &q, body);
    }
    let told: Vec<_> = c.deliveries(9).iter().map(Delivered::by).collect();
    assert_eq!(told, ["a:1", "b:2", "c:3", "a:4", "b:5", "c:6", "a:7", "b:8", "c:9"]);
}

#[test]
fn q_33_a_requeued_message_goes_to_the_consumer_that_waits() {
    let mut c = Wire::open();
    let q = c.queue();
    c.call(qos(1));
    c.call(consume(&q, "a"));
    c.call(consume(&q, "b"));
    assert_eq!(one_by_one(&mut c, &q, &["1"]), ["a:1"]);
    c.send(1, nack(1, true));
    assert_eq!(c.deliver().by(), "b:1r");
}

#[test]
fn q_33_requeued_messages_come_back_in_their_order() {
    let mut c = Wire::open();
    let q = c.queue();
    c.fill_queue(&q, &["1", "2", "3", "4"]);
    c.call(qos(3));
    c.call(consume(&q, "t"));
    c.deliveries(3);
    c.send(1, basic::Nack { delivery_tag: 3, multiple: true, requeue: true });
    let told: Vec<_> = c.deliveries(3).iter().map(Delivered::told).collect();
    assert_eq!(told, ["1r", "2r", "3r"]);
}

#[test]
fn q_33_what_several_consumers_give_back_comes_back_one_by_one_by_their_tags() {
    for quorum in [false, true] {
        let mut c = Wire::open();
        let q = c.either(quorum, &[]);
        c.call(qos(2));
        c.call(consume(&q, "b"));
        c.call(consume(&q, "a"));
        assert_eq!(one_by_one(&mut c, &q, &["1", "2", "3", "4"]), ["b:1", "a:2", "b:3", "a:4"]);
        c.call(basic::Recover { requeue: true });
        let told: Vec<_> = c.deliveries(4).iter().map(Delivered::by).collect();
        assert_eq!(told, ["a:2r", "a:4r", "b:1r", "b:3r"]);
        c.send(1, basic::Nack { delivery_tag: 8, multiple: true, requeue: true });
        let told: Vec<_> = c.deliveries(4).iter().map(Delivered::by).collect();
        assert_eq!(told, ["a:2r", "a:4r", "b:1r", "b:3r"]);
    }
}

#[test]
fn q_32_who_comes_to_its_limit_keeps_its_turn_in_a_classic_queue_alone() {
    for (quorum, last) in [(false, "a:4"), (true, "b:4")] {
        let mut c = Wire::open();
        let q = c.either(quorum, &[]);
        c.call(qos(1));
        c.call(consume(&q, "a"));
        c.call(qos(9));
        c.call(consume(&q, "b"));
        c.call(consume(&q, "c"));
        assert_eq!(one_by_one(&mut c, &q, &["1", "2"]), ["a:1", "b:2"]);
        c.send(1, ack(1));
        c.sync();
        assert_eq!(one_by_one(&mut c, &q, &["3", "4"]), ["c:3", last]);
    }
}
