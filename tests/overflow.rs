//! Full queues.

use crate::support::*;

#[test]
fn q_22_the_first_of_the_highest_priority_go_when_there_are_too_many() {
    let mut c = Wire::open();
    for quorum in [false, true] {
        let arguments: &[_] =
            if quorum { args!["x-max-length" => 2] } else { args!["x-max-length" => 2, "x-max-priority" => 9] };
        let q = c.either(quorum, arguments);
        for (body, priority) in [("a", 1), ("b", 9), ("c", 5), ("d", 1)] {
            assert!(c.put(&q, body, &with!(priority: priority)));
        }
        c.await_ready(&q, 2);
        assert_eq!(c.drain(&q), ["a", "d"]);
    }
}

#[test]
fn q_22_what_comes_back_to_a_full_queue_goes() {
    let mut c = Wire::open();
    for quorum in [false, true] {
        let q = c.either(quorum, args!["x-max-length" => 1]);
        c.put(&q, "1", &plain());
        let tag = c.await_get(&q).delivery_tag;
        c.put(&q, "2", &plain());
        c.send(1, nack(tag, true));
        c.await_ready(&q, 1);
        assert_eq!(c.drain(&q), ["2"]);
    }
}

#[test]
fn q_22_bytes_are_those_of_bodies_that_are_ready() {
    let mut c = Wire::open();
    let q = c.queue_with(&table! { "x-max-length-bytes" => 5 });
    c.fill_queue(&q, &["aa", "bb"]);
    assert_eq!(c.counts(&q).0, 2);
    c.fill_queue(&q, &["cc"]);
    assert_eq!(c.counts(&q).0, 2);
    c.fill_queue(&q, &["too large"]);
    assert_eq!(c.counts(&q).0, 0);
    let q = c.queue_with(&table! { "x-max-length-bytes" => 5, "x-overflow" => "reject-publish" });
    assert!(c.put(&q, "aaa", &plain()));
    assert!(!c.put(&q, "bbb", &plain()));
    assert!(c.put(&q, "cc", &plain()));
    assert_eq!(c.drain(&q), ["aaa", "cc"]);
}

#[test]
fn q_22_a_message_that_one_queue_refuses_is_nacked_and_the_others_keep_it() {
    let mut c = Wire::open();
    let x = c.exchange("fanout");
    let full = c.queue_with(&table! { "x-max-length" => 0, "x-overflow" => "reject-publish" });
    c.call(bind(&full, &x, ""));
    let other = c.bound(&x, "");
    c.call(confirm::Select::default());
    c.publish(&x, "", "1");
    assert_eq!(c.frame().name(), "basic.nack");
    assert_eq!((c.counts(&full).0, c.counts(&other).0), (0, 1));
}

/// What comes until all publishes before `end` are confirmed and so many messages delivered: a sign for each publish, and the deliveries.
fn outcome(c: &mut Wire, next: u64, end: u64, deliveries: usize) -> (String, Vec<Delivered>) {
    let (mut told, mut delivered) = (String::new(), Vec::new());
    while told.len() as u64 + next < end || delivered.len() < deliveries {
        let frame = c.frame();
        if frame.name() == "basic.deliver" {
            let message = Delivered::from_method(&frame);
            delivered.push(c.content(message));
            continue;
        }
        let ((tag, multiple), next) = (frame.confirm(), told.len() as u64 + next);
        assert!(tag == next || multiple && tag > next, "{tag} after {told}");
        let sign = if frame.name() == "basic.nack" { "-" } else { "+" };
        told += &sign.repeat((tag + 1 - next) as usize);
    }
    (told, delivered)
}

#[test]
fn q_22_of_many_at_once_those_beyond_the_limit_are_nacked_each_once() {
    let mut c = Wire::open();
    let x = c.exchange("fanout");
    for limit in [3, 2] {
        let q = c.queue_with(&table! { "x-max-length" => limit, "x-overflow" => "reject-publish" });
        c.call(bind(&q, &x, ""));
    }
    let by_bytes = c.queue_with(&table! { "x-max-length-bytes" => 4, "x-overflow" => "reject-publish" });
    c.call(confirm::Select::default());
    c.at_once(|c| {
        (0..5).for_each(|_| c.publish(&x, "", "x"));
        ["aaa", "bb", "c", "d"].iter().for_each(|body| c.publish("", &by_bytes, body));
    });
    assert_eq!(outcome(&mut c, 1, 10, 0).0, "++---+-+-");
    assert_eq!(c.drain(&by_bytes), ["aaa", "c"]);
}

#[test]
fn q_22_what_is_taken_and_settled_makes_room_for_what_comes_after_it() {
    let mut c = Wire::open();
    let q = c.queue_with(&table! { "x-max-length" => 1, "x-overflow" => "reject-publish" });
    c.call(qos(2));
    c.call(consume(&q, "c"));
    c.call(confirm::Select::default());
    c.at_once(|c| (1..=5).for_each(|n| c.publish("", &q, &n.to_string())));
    let (told, delivered) = outcome(&mut c, 1, 6, 2);
    assert_eq!(told, "+++--");
    c.at_once(|c| {
        c.publish("", &q, "6");
        c.send(1, ack(delivered[0].delivery_tag));
        c.publish("", &q, "7");
        c.send(1, nack(delivered[1].delivery_tag, false));
        c.publish("", &q, "8");
    });
    let (told, delivered) = outcome(&mut c, 6, 9, 2);
    assert_eq!(told, "-++");
    assert_eq!(delivered.iter().map(Delivered::told).collect::<Vec<_>>(), ["3", "7"]);
    assert_eq!(c.counts(&q).0, 1);
}
