//! Settling deliveries: ack, nack, reject, recover, and what is left unsettled.

use crate::support::*;

/// A connection with the messages 1 to `count` got and unacked under the tags 1 to `count`, and `more` behind them.
fn got(count: usize, more: usize) -> (Wire, String) {
    let mut c = Wire::open();
    let q = c.queue();
    let bodies: Vec<String> = (1..=count + more).map(|n| n.to_string()).collect();
    c.fill_queue(&q, &bodies.iter().map(String::as_str).collect::<Vec<_>>());
    for tag in 1..=count as u64 {
        assert_eq!(c.get(&q).unwrap().delivery_tag, tag);
    }
    (c, q)
}

fn unknown(tag: u64) -> String {
    format!("unknown delivery tag {tag}")
}

#[test]
fn s_08_tags_that_are_not_unacked_are_unknown() {
    for tag in [82, 0, 1 << 63, 3] {
        let (mut c, _) = got(2, 0);
        c.refused(ack(tag), 406, &unknown(tag));
        c.refused(nack(tag, true), 406, &unknown(tag));
        c.refused(reject(tag, true), 406, &unknown(tag));
    }
}

#[test]
fn s_08_a_tag_can_be_settled_once() {
    let (mut c, _) = got(3, 0);
    c.send(1, ack(1));
    c.refused(ack(1), 406, &unknown(1));
    let (mut c, _) = got(3, 0);
    c.send(1, reject(1, false));
    c.refused(reject(1, false), 406, &unknown(1));
    let (mut c, _) = got(3, 0);
    c.send(1, ack_multiple(2));
    c.refused(ack_multiple(2), 406, &unknown(2));
    let (mut c, _) = got(3, 0);
    c.send(1, ack(2));
    c.refused(ack_multiple(2), 406, &unknown(2));
    let (mut c, _) = got(1, 0);
    c.refused(ack_multiple(5), 406, &unknown(5));
}

#[test]
fn s_08_tag_0_with_multiple_is_all_of_them_or_none() {
    let (mut c, q) = got(2, 1);
    c.send(1, ack_multiple(0));
    c.send(1, ack_multiple(0));
    c.send(1, basic::Nack { delivery_tag: 0, multiple: true, requeue: true });
    c.quiet();
    assert_eq!(c.drain(&q), ["3"]);
    let (mut c, q) = got(2, 1);
    c.send(1, basic::Nack { delivery_tag: 0, multiple: true, requeue: true });
    c.quiet();
    assert_eq!(c.drain(&q), ["1r", "2r", "3"]);
}

#[test]
fn s_08_multiple_covers_all_queues_and_consumers_of_the_channel() {
    let mut c = Wire::open();
    let (q, r) = (c.queue(), c.queue());
    c.fill_queue(&q, &["1"]);
    c.fill_queue(&r, &["2", "3"]);
    c.call(consume(&q, "t"));
    c.deliver();
    c.get(&r).unwrap();
    c.get(&r).unwrap();
    c.send(1, ack_multiple(2));
    c.send(1, basic::RecoverAsync { requeue: true });
    c.counts(&q);
    c.quiet();
    assert_eq!(c.drain(&r), ["3r"]);
}

#[test]
fn s_08_a_tag_of_another_channel_or_without_ack_is_unknown() {
    let (mut c, q) = got(1, 1);
    c.open_channel(2);
    c.send(2, ack(1));
    assert_eq!(c.error(), closes(2, 406, &unknown(1), (60, 80)));
    c.send(1, ack(1));
    c.quiet();
    assert_eq!(c.get_as(basic::Get { no_ack: true, ..get(&q) }).unwrap().delivery_tag, 2);
    c.refused(ack(2), 406, &unknown(2));
}

#[test]
fn s_08_after_the_error_the_unacked_are_ready_again() {
    let (mut c, q) = got(2, 1);
    c.refused(ack(9), 406, &unknown(9));
    eventually(|| c.counts(&q) == (3, 0));
    assert_eq!(c.drain(&q), ["1r", "2r", "3"]);
}

#[test]
fn s_09_without_requeue_messages_are_dropped() {
    let (mut c, q) = got(4, 1);
    c.send(1, reject(1, false));
    c.send(1, basic::Nack { delivery_tag: 3, multiple: true, requeue: false });
    c.send(1, nack(4, true));
    c.quiet();
    assert_eq!(c.drain(&q), ["4r", "5"]);
}

#[test]
fn q_33_requeued_messages_go_back_to_their_places() {
    let orders: [fn(&mut Wire); 7] = [
        |c| [1, 2, 3].into_iter().for_each(|tag| c.send(1, nack(tag, true))),
        |c| [3, 2, 1].into_iter().for_each(|tag| c.send(1, nack(tag, true))),
        |c| [2, 1, 3].into_iter().for_each(|tag| c.send(1, reject(tag, true))),
        |c| c.send(1, basic::Nack { delivery_tag: 3, multiple: true, requeue: true }),
        |c| drop(c.call(basic::Recover { requeue: true })),
        |c| c.send(1, basic::RecoverAsync { requeue: true }),
        |c| {
            c.call(channel_close());
            c.call(channel::Open {});
        },
    ];
    for (n, requeue) in orders.into_iter().enumerate() {
        let (mut c, q) = got(3, 2);
        requeue(&mut c);
        eventually(|| c.counts(&q) == (5, 0));
        assert_eq!(c.drain(&q), ["1r", "2r", "3r", "4", "5"], "{n}");
    }
}

#[test]
fn q_33_the_last_requeued_alone_goes_ahead_of_the_rest() {
    let (mut c, q) = got(3, 2);
    c.send(1, nack(3, true));
    c.quiet();
    assert_eq!(c.drain(&q), ["3r", "4", "5"]);
}

#[test]
fn m_17_recover_ok_comes_before_the_redeliveries() {
    let mut c = Wire::open();
    let q = c.queue();
    c.fill_queue(&q, &["1", "2"]);
    c.call(consume(&q, "t"));
    c.deliveries(2);
    c.call(basic::Recover { requeue: true });
    let again = c.deliveries(2);
    let told: Vec<_> = again.iter().map(|message| (message.delivery_tag, message.told())).collect();
    assert_eq!(told, [(3, "1r".into()), (4, "2r".into())]);
    c.refused(ack(1), 406, &unknown(1));
}

#[test]
fn m_17_recover_without_requeue_is_not_implemented() {
    Wire::open().refused(basic::Recover { requeue: false }, 540, "requeue=false");
    Wire::open().refused(basic::RecoverAsync { requeue: false }, 540, "requeue=false");
    let mut c = Wire::open();
    c.call(basic::Recover { requeue: true });
    c.send(1, basic::RecoverAsync { requeue: true });
    c.quiet();
}

#[test]
fn s_13_unacked_messages_stay_with_the_channel_after_cancel() {
    let mut c = Wire::open();
    let q = c.queue();
    c.fill_queue(&q, &["1", "2", "3"]);
    c.call(consume(&q, "t"));
    c.deliveries(3);
    c.call(cancel("t"));
    assert_eq!(c.counts(&q), (0, 0));
    c.send(1, ack(1));
    c.send(1, nack(2, true));
    c.quiet();
    assert_eq!(c.counts(&q), (1, 0));
    assert_eq!(c.drain(&q), ["2r"]);
}

#[test]
fn s_14_unacked_messages_are_ready_when_connection_close_ok_comes() {
    let mut c = Wire::open();
    let q = c.shared_queue();
    let mut other = Wire::open();
    other.fill_queue(&q, &["1", "2"]);
    other.get(&q).unwrap();
    other.call_on(0, connection_close());
    assert_eq!(c.counts(&q), (2, 0));
    assert_eq!(c.drain(&q), ["1r", "2"]);
    c.call(delete(&q));
}

#[test]
fn s_17_what_is_unacked_of_a_deleted_queue_can_be_settled_once() {
    let (mut c, q) = got(2, 0);
    c.call(delete(&q));
    c.send(1, ack(1));
    c.send(1, reject(2, true));
    c.quiet();
    c.refused(ack(1), 406, &unknown(1));
}
