//! Publisher confirms.

use crate::support::*;

#[test]
fn m_20_select_can_be_repeated_and_the_sequence_goes_on() {
    let mut c = Wire::open();
    c.publish("", "nowhere", "before");
    c.call(confirm::Select::default());
    c.publish("", "nowhere", "1");
    assert_eq!(c.expect(1, "basic.ack").confirm(), (1, false));
    c.call(confirm::Select::default());
    c.send(1, confirm::Select { nowait: true });
    c.publish("", "nowhere", "2");
    assert_eq!(c.expect(1, "basic.ack").confirm(), (2, false));
}

#[test]
fn m_20_confirms_and_transactions_exclude_each_other() {
    let mut c = Wire::open();
    c.call(confirm::Select::default());
    c.refused(tx::Select {}, 406, "cannot switch from confirm to tx mode");
    c.call(tx::Select {});
    c.refused(confirm::Select::default(), 406, "cannot switch from tx to confirm mode");
    c.call(tx::Select {});
    c.refused(confirm::Select { nowait: true }, 406, "cannot switch from tx to confirm mode");
}

#[test]
fn p_04_every_publish_is_acked_once() {
    let mut c = Wire::open();
    let q = c.queue();
    c.call(confirm::Select::default());
    for _ in 0..100 {
        c.publish("", &q, "x");
    }
    let mut open: Vec<u64> = (1..=100).collect();
    while !open.is_empty() {
        let before = open.len();
        match c.expect(1, "basic.ack").confirm() {
            (tag, true) => open.retain(|open| *open > tag),
            (tag, false) => open.retain(|open| *open != tag),
        }
        assert!(open.len() < before, "an ack that covers nothing");
    }
    c.quiet();
    assert_eq!(c.counts(&q), (100, 0));
}

#[test]
fn p_04_each_channel_counts_for_itself() {
    let mut c = Wire::open();
    c.open_channel(2);
    c.call(confirm::Select::default());
    c.call_on(2, confirm::Select::default());
    c.publish("", "nowhere", "x");
    assert_eq!(c.expect(1, "basic.ack").confirm(), (1, false));
    c.publish_as(2, publish("", "nowhere"), &BasicProperties::default(), b"x");
    assert_eq!(c.expect(2, "basic.ack").confirm(), (1, false));
}

#[test]
fn p_05_all_kinds_of_queues_and_messages_are_acked() {
    let mut c = Wire::open();
    let durable = name();
    c.call(queue::Declare { exclusive: false, durable: true, ..declare(&durable) });
    let exclusive = c.queue();
    c.call(confirm::Select::default());
    for q in [&durable, &exclusive] {
        for delivery_mode in [None, Some(2)] {
            c.publish_as(1, publish("", q), &BasicProperties { delivery_mode, ..Default::default() }, b"x");
            c.expect(1, "basic.ack");
        }
        assert_eq!(c.counts(q), (2, 0));
    }
    c.call(delete(&durable));
}

#[test]
fn p_05_a_message_to_a_queue_that_is_deleted_meanwhile_is_acked() {
    let mut c = Wire::open();
    let x = c.exchange("fanout");
    let (q, r) = (c.bound(&x, ""), c.bound(&x, ""));
    c.open_channel(2);
    c.call(confirm::Select::default());
    for _ in 0..50 {
        c.publish(&x, "", "x");
    }
    c.send(2, delete(&r));
    let (mut confirmed, mut deleted) = (0, false);
    while confirmed < 50 || !deleted {
        let frame = c.frame();
        match frame.name() {
            "queue.delete-ok" => deleted = true,
            "basic.ack" => {
                let (tag, multiple) = frame.confirm();
                confirmed = if multiple { confirmed.max(tag) } else { confirmed + 1 };
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(c.counts(&q), (50, 0));
}

#[test]
fn p_06_one_queue_that_rejects_is_enough_for_a_nack() {
    let mut c = Wire::open();
    let x = c.exchange("fanout");
    let full = c.queue_with(&table! { "x-max-length" => 0, "x-overflow" => "reject-publish" });
    c.call(bind(&full, &x, ""));
    let q = c.bound(&x, "");
    c.call(confirm::Select::default());
    c.publish(&x, "", "x");
    assert_eq!(c.expect(1, "basic.nack").confirm().0, 1);
    assert_eq!((c.counts(&q).0, c.counts(&full).0), (1, 0));
}

#[test]
fn p_06_a_full_queue_that_rejects_nacks() {
    let mut c = Wire::open();
    let q = c.queue_with(&table! { "x-max-length" => 2, "x-overflow" => "reject-publish" });
    c.call(confirm::Select::default());
    let told: Vec<_> = (0..5)
        .map(|_| {
            c.publish("", &q, "x");
            c.frame().name()
        })
        .collect();
    assert_eq!(told, ["basic.ack", "basic.ack", "basic.nack", "basic.nack", "basic.nack"]);
    assert_eq!(c.counts(&q), (2, 0));
}

#[test]
fn m_26_no_confirm_comes_after_a_close() {
    let mut c = Wire::open();
    let q = c.queue();
    c.call(confirm::Select::default());
    c.publish("no-such", "", "x");
    c.publish("", &q, "x");
    c.refusal((60, 40), 404, &no_exchange("no-such"));
    c.quiet();
    assert_eq!(c.counts(&q), (0, 0));
}
