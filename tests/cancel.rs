//! The end of consumers, by the client or by the broker.

use crate::support::*;

fn cancelled(frame: &OwnedFrame) -> (&str, bool) {
    match frame.method() {
        Method::BasicCancel(cancel) => (cancel.consumer_tag, cancel.nowait),
        other => panic!("{other:?}"),
    }
}

#[test]
fn m_18_consumers_are_told_when_their_queue_is_deleted() {
    let mut c = Wire::open();
    let q = c.shared_queue();
    c.call(consume(&q, "one"));
    Wire::open().call(delete(&q));
    assert_eq!(cancelled(&c.frame()), ("one", true));
    c.call(cancel("one"));
    let q = c.queue();
    c.call(consume(&q, "one"));
}

#[test]
fn m_18_m_27_the_channel_that_deletes_is_told_too_in_either_order() {
    let mut c = Wire::open();
    let q = c.queue();
    c.call(consume(&q, "t"));
    c.send(1, delete(&q));
    let frames = [c.frame(), c.frame()];
    let mut told = names(&frames);
    told.sort_unstable();
    assert_eq!(told, ["basic.cancel", "queue.delete-ok"]);
}

#[test]
fn m_18_cancel_ok_of_the_client_is_ignored() {
    let mut c = Wire::open();
    let q = c.queue();
    c.call(consume(&q, "live"));
    c.send(1, basic::CancelOk { consumer_tag: "live" });
    c.quiet();
    if ours_only() {
        c.send(1, basic::CancelOk { consumer_tag: "unknown" });
        c.quiet();
    }
}

#[test]
fn s_12_clients_without_the_capability_are_not_told() {
    let mut c = Wire::open_as(&Login { capabilities: &[], ..Login::default() });
    let q = c.shared_queue();
    c.call(consume(&q, "t"));
    Wire::open().call(delete(&q));
    c.quiet();
    c.call(cancel("t"));
}

#[test]
fn s_12_each_consumer_of_a_deleted_queue_is_told() {
    let mut c = Wire::open();
    let q = c.shared_queue();
    c.open_channel(2);
    c.call(consume(&q, "a"));
    c.call_on(2, consume(&q, "b"));
    Wire::open().call(delete(&q));
    let mut told: Vec<_> =
        (0..2).map(|_| c.frame()).map(|frame| (frame.channel, cancelled(&frame).0.to_owned())).collect();
    told.sort();
    assert_eq!(told, [(1, "a".to_owned()), (2, "b".to_owned())]);
}

#[test]
fn m_19_an_unknown_tag_is_cancelled_too() {
    let mut c = Wire::open();
    for tag in ["nope", ""] {
        let frame = c.call(cancel(tag));
        assert_eq!(frame.method(), basic::CancelOk { consumer_tag: tag }.into());
    }
    c.send(1, basic::Cancel { nowait: true, ..cancel("nope") });
    c.quiet();
}

#[test]
fn m_19_nothing_is_delivered_after_cancel_ok() {
    let mut c = Wire::open();
    let q = c.queue();
    for n in 0..200 {
        c.publish("", &q, &n.to_string());
    }
    c.call(consume(&q, "t"));
    c.send(1, cancel("t"));
    let mut delivered = 0;
    loop {
        match c.frame().name() {
            "basic.cancel-ok" => break,
            "basic.deliver" => delivered += 1,
            _ => {}
        }
    }
    assert_eq!(c.counts(&q), (200 - delivered, 0));
    c.publish("", &q, "late");
    c.counts(&q);
    c.quiet();
}
