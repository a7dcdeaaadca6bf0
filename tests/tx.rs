//! Transactions.

use crate::support::*;

#[test]
fn m_21_select_can_be_repeated_and_nothing_can_be_committed() {
    let mut c = Wire::open();
    c.call(tx::Select {});
    c.call(tx::Select {});
    c.call(tx::Commit {});
    c.call(tx::Rollback {});
    c.call(tx::Commit {});
}

#[test]
fn m_21_commit_and_rollback_need_select() {
    let mut c = Wire::open();
    c.refused(tx::Commit {}, 406, "channel is not transactional");
    c.refused(tx::Rollback {}, 406, "channel is not transactional");
}

#[test]
fn p_14_publishes_wait_for_commit_and_are_dropped_by_rollback() {
    let mut c = Wire::open();
    let q = c.queue();
    c.open_channel(2);
    c.call(tx::Select {});
    c.publish("", &q, "1");
    c.quiet();
    assert_eq!(c.counts_on(2, &q), (0, 0));
    c.call(tx::Commit {});
    assert_eq!(c.counts_on(2, &q), (1, 0));
    c.publish("", &q, "2");
    c.call(tx::Rollback {});
    c.call(tx::Commit {});
    assert_eq!(c.counts_on(2, &q), (1, 0));
    assert_eq!(c.drain(&q), ["1"]);
}

#[test]
fn p_14_acks_wait_for_commit_and_rollback_makes_them_unacked_again() {
    let mut c = Wire::open();
    let q = c.queue();
    c.fill_queue(&q, &["1", "2"]);
    c.open_channel(2);
    c.call_on(2, tx::Select {});
    for tag in [1, 2] {
        c.send(2, get(&q));
        assert_eq!(c.deliver().delivery_tag, tag);
        c.send(2, ack(tag));
    }
    c.call_on(2, tx::Rollback {});
    assert_eq!(c.counts(&q), (0, 0));
    c.send(2, ack(1));
    c.call_on(2, tx::Commit {});
    c.call_on(2, channel_close());
    eventually(|| c.counts(&q) == (1, 0));
    assert_eq!(c.drain(&q), ["2r"]);
}

#[test]
fn p_14_rejects_wait_for_commit_too() {
    let mut c = Wire::open();
    let q = c.queue();
    c.fill_queue(&q, &["1"]);
    c.open_channel(2);
    c.call_on(2, tx::Select {});
    c.send(2, get(&q));
    c.deliver();
    c.send(2, nack(1, true));
    assert_eq!(c.sync_on(2), []);
    assert_eq!(c.counts(&q), (0, 0));
    c.call_on(2, tx::Commit {});
    eventually(|| c.counts(&q) == (1, 0));
    assert_eq!(c.drain(&q), ["1r"]);
}

#[test]
fn p_14_unknown_tags_and_missing_exchanges_fail_at_once() {
    let mut c = Wire::open();
    c.call(tx::Select {});
    c.refused(ack(9), 406, "unknown delivery tag 9");
    c.call(tx::Select {});
    c.publish("no-such", "", "x");
    c.refusal((60, 40), 404, &no_exchange("no-such"));
}

#[test]
fn p_14_a_tag_can_be_acked_once_in_a_transaction() {
    let mut c = Wire::open();
    let q = c.queue();
    c.fill_queue(&q, &["1"]);
    c.call(tx::Select {});
    c.get(&q).unwrap();
    c.send(1, ack(1));
    c.refused(ack(1), 406, "unknown delivery tag 1");
}

#[test]
fn p_14_mandatory_messages_return_at_commit_before_commit_ok() {
    let mut c = Wire::open();
    c.call(tx::Select {});
    let mandatory = basic::Publish { mandatory: true, ..publish("", "nowhere") };
    c.publish_as(1, mandatory, &BasicProperties::default(), b"x");
    c.quiet();
    c.send(1, tx::Commit {});
    let told: Vec<_> = (0..4).map(|_| c.frame().name()).collect();
    assert_eq!(told, ["basic.return", "header", "body", "tx.commit-ok"]);
}

#[test]
fn p_14_an_uncommitted_ack_frees_no_prefetch() {
    let mut c = Wire::open();
    let q = c.queue();
    c.fill_queue(&q, &["1", "2"]);
    c.call(tx::Select {});
    c.call(qos(1));
    c.call(consume(&q, "t"));
    assert_eq!(c.deliver().told(), "1");
    c.send(1, ack(1));
    assert_eq!(c.counts(&q), (1, 1));
    c.quiet();
    c.call(tx::Commit {});
    assert_eq!(c.deliver().told(), "2");
}

#[test]
fn p_14_closing_the_channel_rolls_back() {
    let mut c = Wire::open();
    let q = c.queue();
    c.fill_queue(&q, &["1"]);
    c.open_channel(2);
    c.call_on(2, tx::Select {});
    c.send(2, get(&q));
    c.deliver();
    c.send(2, ack(1));
    c.publish_as(2, publish("", &q), &BasicProperties::default(), b"2");
    c.call_on(2, channel_close());
    eventually(|| c.counts(&q) == (1, 0));
    assert_eq!(c.drain(&q), ["1r"]);
}

#[test]
fn p_14_a_queue_that_rejects_makes_the_commit_partial() {
    let mut c = Wire::open();
    let q = c.queue_with(&table! { "x-max-length" => 1, "x-overflow" => "reject-publish" });
    c.call(tx::Select {});
    c.publish("", &q, "1");
    c.publish("", &q, "2");
    c.refused(tx::Commit {}, 406, "partial tx completion");
}

#[test]
fn p_14_what_is_settled_in_a_transaction_is_settled_in_order_with_multiple() {
    let mut c = Wire::open();
    let q = c.queue();
    c.fill_queue(&q, &["1", "2", "3", "4", "5"]);
    c.call(tx::Select {});
    for _ in 0..4 {
        c.get(&q).unwrap();
    }
    c.send(1, ack(1));
    c.send(1, basic::Nack { delivery_tag: 3, multiple: true, requeue: true });
    c.send(1, reject(4, false));
    c.call(tx::Commit {});
    c.call(tx::Commit {});
    eventually(|| c.counts(&q) == (3, 0));
    assert_eq!(c.drain(&q), ["2r", "3r", "5"]);
}

#[test]
fn p_14_a_transaction_holds_several_queues_and_exchanges() {
    let mut c = Wire::open();
    let x = c.exchange("fanout");
    let (q, r) = (c.bound(&x, ""), c.bound(&x, ""));
    c.call(tx::Select {});
    c.publish(&x, "", "1");
    c.publish("", &q, "2");
    c.publish("", "nowhere", "3");
    c.call(tx::Commit {});
    assert_eq!(c.drain(&q), ["1", "2"]);
    assert_eq!(c.drain(&r), ["1"]);
}

#[test]
fn p_14_what_is_settled_in_the_same_way_in_a_row_is_settled_by_tag() {
    let mut c = Wire::open();
    let q = c.quorum(&[]);
    c.fill_queue(&q, &["1", "2", "3", "4", "5"]);
    c.call(tx::Select {});
    (0..5).for_each(|_| drop(c.get(&q)));
    c.send(1, nack(5, true));
    c.send(1, nack(3, true));
    c.send(1, reject(1, true));
    c.send(1, nack(4, true));
    c.send(1, nack(2, true));
    c.call(tx::Commit {});
    assert_eq!(c.drain(&q), ["3r", "5r", "1r", "2r", "4r"]);
}
