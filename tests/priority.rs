//! Priorities of messages.

use crate::support::*;

#[test]
fn q_29_higher_first_and_in_order_within() {
    let mut c = Wire::open();
    let q = c.queue_with(&table! { "x-max-priority" => 5 });
    c.put(&q, "none", &plain());
    for (body, priority) in [("9", 9), ("5", 5), ("3", 3), ("0", 0), ("5 again", 5)] {
        c.put(&q, body, &with!(priority: priority));
    }
    assert_eq!(c.drain(&q), ["9", "5", "5 again", "3", "none", "0"]);
}

#[test]
fn q_29_a_quorum_queue_has_32_and_4_is_the_default() {
    let mut c = Wire::open();
    let q = c.quorum(&[]);
    c.put(&q, "none", &plain());
    for (body, priority) in [("4", 4), ("5", 5), ("3", 3), ("31", 31), ("40", 40), ("0", 0)] {
        c.put(&q, body, &with!(priority: priority));
    }
    assert_eq!(c.get(&q).unwrap().properties().priority, Some(31));
    assert_eq!(c.get(&q).unwrap().properties().priority, Some(40));
    assert_eq!(c.drain(&q), ["5", "none", "4", "3", "0"]);
}

#[test]
fn q_29_q_33_what_comes_back_has_its_place_among_its_priority() {
    let mut c = Wire::open();
    let q = c.queue_with(&table! { "x-max-priority" => 5 });
    for (body, priority) in [("a", 5), ("b", 5), ("c", 1)] {
        c.put(&q, body, &with!(priority: priority));
    }
    let (a, b) = (c.get(&q).unwrap(), c.get(&q).unwrap());
    c.put(&q, "d", &with!(priority: 5));
    c.send(1, nack(b.delivery_tag, true));
    c.send(1, nack(a.delivery_tag, true));
    assert_eq!(c.drain(&q), ["ar", "br", "d", "c"]);
}

#[test]
fn q_33_in_a_quorum_queue_what_comes_back_goes_before_all_priorities() {
    let mut c = Wire::open();
    let q = c.quorum(&[]);
    c.put(&q, "low", &with!(priority: 1));
    let low = c.await_get(&q);
    c.put(&q, "high", &with!(priority: 9));
    c.send(1, nack(low.delivery_tag, true));
    c.await_ready(&q, 2);
    assert_eq!(c.drain(&q), ["lowr", "high"]);
}

/// With a data directory a queue looks after each change what of it should go to disk.
#[test]
fn q_29_a_kept_queue_gives_those_without_a_priority_behind_the_others() {
    let kept = Kept::new();
    let broker = kept.start();
    let mut c = broker.open();
    for quorum in [false, true] {
        let priorities = if quorum { ("x-queue-type", "quorum".into()) } else { ("x-max-priority", 5.into()) };
        let q = c.either(quorum, &[priorities]);
        for body in ["high", "none", "high again"] {
            let priority = if body == "none" { None } else { Some(5) };
            c.put(&q, body, &BasicProperties { priority, ..Default::default() });
        }
        assert_eq!(c.drain(&q), ["high", "high again", "none"]);
    }
}
