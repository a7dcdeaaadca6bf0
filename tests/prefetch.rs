//! How much is delivered before it is settled.

use crate::support::*;

fn told(c: &mut Wire, count: usize) -> Vec<String> {
    c.deliveries(count).iter().map(Delivered::by).collect()
}

/// A queue with the bodies 1 to `count`.
fn filled(c: &mut Wire, count: usize) -> String {
    let q = c.queue();
    let bodies: Vec<String> = (1..=count).map(|n| n.to_string()).collect();
    c.fill_queue(&q, &bodies.iter().map(String::as_str).collect::<Vec<_>>());
    q
}

/// Nothing more is delivered: the queue has answered and nothing came.
fn no_more(c: &mut Wire, q: &str, ready: u32, consumers: u32) {
    assert_eq!(c.counts(q), (ready, consumers));
    c.quiet();
}

#[test]
fn m_13_a_prefetch_of_bytes_is_not_implemented() {
    for prefetch_size in [1, u32::MAX] {
        let mut c = Wire::open();
        let explanation = format!("prefetch_size!=0 ({prefetch_size})");
        c.refused(basic::Qos { prefetch_size, prefetch_count: 1, global: false }, 540, &explanation);
    }
}

#[test]
fn s_01_prefetch_is_for_consumers_started_afterwards_each_by_itself() {
    let mut c = Wire::open();
    let q = filled(&mut c, 6);
    c.call(qos(2));
    c.call(consume(&q, "a"));
    assert_eq!(told(&mut c, 2), ["a:1", "a:2"]);
    c.call(qos(3));
    c.call(consume(&q, "b"));
    assert_eq!(told(&mut c, 3), ["b:3", "b:4", "b:5"]);
    no_more(&mut c, &q, 1, 2);
}

#[test]
fn s_01_each_ack_makes_room_for_one() {
    let mut c = Wire::open();
    let q = filled(&mut c, 8);
    c.call(qos(3));
    c.call(consume(&q, "t"));
    assert_eq!(told(&mut c, 3), ["t:1", "t:2", "t:3"]);
    no_more(&mut c, &q, 5, 1);
    c.send(1, ack(2));
    assert_eq!(told(&mut c, 1), ["t:4"]);
    no_more(&mut c, &q, 4, 1);
    c.send(1, ack_multiple(4));
    assert_eq!(told(&mut c, 3), ["t:5", "t:6", "t:7"]);
    no_more(&mut c, &q, 1, 1);
}

#[test]
fn s_01_nack_with_requeue_makes_room_for_the_same_message() {
    let mut c = Wire::open();
    let q = filled(&mut c, 3);
    c.call(qos(1));
    c.call(consume(&q, "t"));
    c.deliver();
    c.send(1, nack(1, true));
    assert_eq!(told(&mut c, 1), ["t:1r"]);
    c.send(1, reject(2, true));
    assert_eq!(told(&mut c, 1), ["t:1r"]);
    c.send(1, reject(3, false));
    assert_eq!(told(&mut c, 1), ["t:2"]);
}

#[test]
fn s_02_global_prefetch_is_shared_by_the_channel() {
    if !ours_only() {
        return;
    }
    let mut c = Wire::open();
    let (q, r) = (filled(&mut c, 5), filled(&mut c, 5));
    c.call(basic::Qos { global: true, ..qos(3) });
    c.call(consume(&q, "a"));
    assert_eq!(told(&mut c, 3), ["a:1", "a:2", "a:3"]);
    c.call(consume(&r, "b"));
    no_more(&mut c, &r, 5, 1);
    c.send(1, ack_multiple(3));
    let of_b = told(&mut c, 3).iter().filter(|told| told.starts_with('b')).count() as u32;
    no_more(&mut c, &q, 5 - 3 - (3 - of_b), 1);
    no_more(&mut c, &r, 5 - of_b, 1);
}

#[test]
fn s_02_global_and_own_prefetch_hold_together() {
    if !ours_only() {
        return;
    }
    let mut c = Wire::open();
    let q = filled(&mut c, 6);
    c.call(qos(2));
    c.call(basic::Qos { global: true, ..qos(3) });
    c.call(consume(&q, "a"));
    assert_eq!(told(&mut c, 2), ["a:1", "a:2"]);
    c.call(consume(&q, "b"));
    assert_eq!(told(&mut c, 1), ["b:3"]);
    no_more(&mut c, &q, 3, 2);
}

#[test]
fn s_02_global_prefetch_holds_for_running_consumers() {
    if !ours_only() {
        return;
    }
    let mut c = Wire::open();
    let q = c.queue();
    c.call(consume(&q, "t"));
    c.call(basic::Qos { global: true, ..qos(2) });
    for body in ["1", "2", "3"] {
        c.publish("", &q, body);
    }
    assert_eq!(told(&mut c, 2), ["t:1", "t:2"]);
    no_more(&mut c, &q, 1, 1);
    c.call(basic::Qos { global: true, ..qos(3) });
    assert_eq!(told(&mut c, 1), ["t:3"]);
}

#[test]
fn s_03_without_prefetch_everything_comes() {
    let mut c = Wire::open();
    let q = filled(&mut c, 20);
    c.call(qos(0));
    c.call(consume(&q, "t"));
    assert_eq!(told(&mut c, 20).len(), 20);
}

#[test]
fn s_03_prefetch_does_not_hold_for_no_ack_and_get() {
    let mut c = Wire::open();
    let q = filled(&mut c, 5);
    c.call(qos(1));
    for n in 1..=3 {
        assert_eq!(c.get(&q).unwrap().delivery_tag, n);
    }
    c.call(basic::Consume { no_ack: true, ..consume(&q, "t") });
    assert_eq!(told(&mut c, 2), ["t:4", "t:5"]);
}

#[test]
fn s_01_what_was_got_uses_no_room() {
    let mut c = Wire::open();
    let q = filled(&mut c, 3);
    c.get(&q).unwrap();
    c.call(qos(1));
    c.call(consume(&q, "t"));
    assert_eq!(told(&mut c, 1), ["t:2"]);
    no_more(&mut c, &q, 1, 1);
    c.send(1, ack(1));
    no_more(&mut c, &q, 1, 1);
}
