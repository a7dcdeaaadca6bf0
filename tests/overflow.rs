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
