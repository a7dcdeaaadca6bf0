//! Quorum queues: returned messages, delivery counts and limits, delayed retry, deliveries held too long.

use std::time::{Duration, Instant};

use crate::support::*;

const LATE: &str = "delivery acknowledgement on channel 1 timed out. Timeout value used: -1 ms. This timeout value can be \
                    configured, see consumers doc guide to learn more";

#[test]
fn q_33_messages_come_back_in_the_order_of_their_return() {
    let mut c = Wire::open();
    let q = c.quorum(&[]);
    c.fill_queue(&q, &["1", "2", "3", "4"]);
    let tags: Vec<_> = (0..3).map(|_| c.await_get(&q).delivery_tag).collect();
    for tag in tags.into_iter().rev() {
        c.send(1, nack(tag, true));
    }
    c.await_ready(&q, 4);
    assert_eq!(c.drain(&q), ["3r", "2r", "1r", "4"]);
}

#[test]
fn q_33_what_a_closed_channel_held_comes_back_by_consumer_and_last_what_it_got() {
    let mut c = Wire::open();
    let q = c.quorum(&[]);
    c.fill_queue(&q, &["1", "2", "3", "4", "5"]);
    c.open_channel(2);
    c.send(2, get(&q));
    c.expect(2, "basic.get-ok");
    c.frame();
    c.frame();
    c.call_on(2, qos(2));
    c.call_on(2, consume(&q, "b"));
    c.deliveries(2);
    c.call_on(2, consume(&q, "a"));
    c.deliveries(2);
    c.send(2, nack(2, true));
    assert_eq!(c.deliver().by(), "b:2r");
    c.call_on(2, channel_close());
    c.await_ready(&q, 5);
    assert_eq!(c.drain(&q), ["3r", "2r", "4r", "5r", "1r"]);
}

#[test]
fn q_36_headers_count_returns_and_failures_apart() {
    let mut c = Wire::open();
    let q = c.quorum(&[]);
    c.put(&q, "1", &plain());
    let mut told = Vec::new();
    for requeue in [nack(1, true).into(), reject(2, true).into(), Method::from(nack(3, true))] {
        told.push(counts_told(&c.await_get(&q)));
        c.send(1, requeue);
    }
    c.open_channel(2);
    told.push(counts_told(&c.await_get(&q)));
    c.call(channel_close());
    c.open_channel(1);
    told.push(counts_told(&c.await_get(&q)));
    assert_eq!(told, [(None, None), (Some(1), None), (Some(2), Some(1)), (Some(3), Some(1)), (Some(4), Some(2))]);
}

#[test]
fn q_36_only_so_many_deliveries_may_fail() {
    let mut c = Wire::open();
    for (limit, deliveries) in [(Some(0), 1), (Some(2), 3), (None, 21)] {
        let arguments: Vec<_> = limit.map(|limit| ("x-delivery-limit", FieldValue::from(limit))).into_iter().collect();
        let q = c.quorum(&arguments);
        c.put(&q, "1", &plain());
        for _ in 0..deliveries {
            let tag = c.await_get(&q).delivery_tag;
            c.send(1, reject(tag, true));
        }
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(c.get(&q), None, "limit {limit:?}");
    }
}

#[test]
fn q_36_returning_does_not_count_and_a_negative_limit_is_none() {
    let mut c = Wire::open();
    for (limit, failing) in [(1, false), (-1, true)] {
        let q = c.quorum(args!["x-delivery-limit" => limit]);
        c.put(&q, "1", &plain());
        for _ in 0..25 {
            let tag = c.await_get(&q).delivery_tag;
            match failing {
                true => c.send(1, reject(tag, true)),
                false => c.send(1, nack(tag, true)),
            }
        }
        c.await_ready(&q, 1);
    }
}

#[test]
fn q_34_failures_go_along_with_a_dead_letter() {
    let mut c = Wire::open();
    let last = c.quorum(&[]);
    let second = c.queue_with(&dying_to(&last, &[]));
    let first = c.queue_with(&dying_to(&second, &[]));
    c.put(&first, "1", &plain());
    c.reject_first(&first);
    c.reject_first(&second);
    let message = c.await_get(&last);
    assert_eq!((message.redelivered, counts_told(&message)), (true, (Some(2), Some(2))));
    c.send(1, nack(message.delivery_tag, true));
    assert_eq!(counts_told(&c.await_get(&last)), (Some(1), Some(2)));
    let q = c.queue_with(&dying_to(&last, &[]));
    c.put(&q, "2", &plain());
    let tag = c.await_get(&q).delivery_tag;
    c.send(1, nack(tag, false));
    let message = c.await_get(&last);
    assert_eq!((message.told(), counts_told(&message)), ("2".to_owned(), (None, None)));
}

#[test]
fn q_34_who_waits_at_a_classic_queue_gets_a_dead_letter_as_new() {
    let mut c = Wire::open();
    let dead = c.queue();
    let q = c.queue_with(&dying_to(&dead, &[]));
    for waits in [false, true] {
        if waits {
            c.call(consume(&dead, "t"));
        }
        c.put(&q, "1", &plain());
        c.reject_first(&q);
        if !waits {
            assert!(c.await_get(&dead).redelivered);
            continue;
        }
        let first = c.deliver();
        assert_eq!(first.told(), "1");
        c.send(1, nack(first.delivery_tag, true));
        assert_eq!(c.deliver().told(), "1r");
    }
}

#[test]
fn q_35_unacked_gets_count_as_consumers() {
    let mut c = Wire::open();
    let q = c.quorum(&[]);
    c.fill_queue(&q, &["1", "2"]);
    let tag = c.await_get(&q).delivery_tag;
    eventually(|| c.counts(&q) == (1, 1));
    c.send(1, ack(tag));
    eventually(|| c.counts(&q) == (1, 0));
}

#[test]
fn q_35_who_is_cancelled_counts_as_a_consumer_until_it_holds_nothing() {
    let mut c = Wire::open();
    let q = c.quorum(&[]);
    c.fill_queue(&q, &["1", "2"]);
    c.call(consume(&q, "t"));
    c.deliveries(2);
    c.call(cancel("t"));
    assert_eq!(c.counts(&q), (0, 1));
    c.send(1, ack(1));
    c.sync();
    assert_eq!(c.counts(&q), (0, 1));
    c.send(1, nack(2, true));
    eventually(|| c.counts(&q) == (1, 0));
    c.open_channel(2);
    c.call_on(2, consume(&q, "t"));
    c.deliver();
    c.call_on(2, cancel("t"));
    assert_eq!(c.counts(&q), (0, 1));
    c.call_on(2, channel_close());
    eventually(|| c.counts(&q) == (1, 0));
}

#[test]
fn q_37_what_failed_waits_longer_each_time() {
    let mut c = Wire::open();
    let delays = args!["x-delayed-retry-type" => "all", "x-delayed-retry-min" => 100, "x-delayed-retry-max" => 150];
    let q = c.quorum(delays);
    c.put(&q, "1", &plain());
    for (rejected, delay) in [(false, 100), (true, 100), (true, 150)] {
        let tag = c.await_get(&q).delivery_tag;
        let began = Instant::now();
        match rejected {
            true => c.send(1, reject(tag, true)),
            false => c.send(1, nack(tag, true)),
        }
        assert_eq!(c.counts(&q).0, 0, "delayed messages are not ready");
        c.await_ready(&q, 1);
        assert!(began.elapsed() >= Duration::from_millis(delay - 1), "{:?}", began.elapsed());
    }
}

#[test]
fn q_37_the_type_says_what_is_delayed() {
    let mut c = Wire::open();
    for (retry_type, delays_nack, delays_reject) in
        [("failed", false, true), ("returned", true, false), ("disabled", false, false)]
    {
        let q = c.quorum(args!["x-delayed-retry-type" => retry_type, "x-delayed-retry-min" => 60_000]);
        c.fill_queue(&q, &["nacked", "rejected"]);
        let (first, second) = (c.await_get(&q), c.await_get(&q));
        c.send(1, nack(first.delivery_tag, true));
        c.send(1, reject(second.delivery_tag, true));
        let ready = 2 - u32::from(delays_nack) - u32::from(delays_reject);
        c.await_ready(&q, ready);
    }
}

#[test]
fn q_38_a_consumer_that_holds_a_delivery_too_long_is_cancelled() {
    let mut c = Wire::open();
    let q = c.quorum(args!["x-consumer-timeout" => 1000]);
    c.call(consume(&q, "t"));
    c.publish("", &q, "1");
    let tag = c.deliver().delivery_tag;
    assert_eq!(c.expect(1, "basic.cancel").method(), basic::Cancel { consumer_tag: "t", nowait: true }.into());
    c.await_ready(&q, 1);
    assert_eq!(c.counts(&q), (1, 1));
    c.send(1, ack(tag)); // too late, and no error: the consumer goes on
    let again = c.deliver();
    assert_eq!((again.told(), counts_told(&again)), ("1r".to_owned(), (Some(1), None)));
    c.refused(ack(tag), 406, &format!("unknown delivery tag {tag}"));
}

/// A queue with a consumer `t` that has held messages until they were taken back.
fn held_too_long(c: &mut Wire, bodies: &[&str]) -> String {
    let q = c.quorum(args!["x-consumer-timeout" => 1000]);
    c.fill_queue(&q, bodies);
    c.call(consume(&q, "t"));
    c.deliveries(bodies.len());
    c.expect(1, "basic.cancel");
    c.await_ready(&q, bodies.len() as u32);
    q
}

#[test]
fn q_38_a_cancelled_consumer_goes_on_when_it_has_settled_all_that_was_late() {
    let mut c = Wire::open();
    let settle: [fn(&mut Wire); 3] = [
        |c| {
            c.send(1, ack(2));
            c.quiet();
            c.send(1, ack(1));
        },
        |c| c.send(1, ack_multiple(2)),
        |c| c.send(1, basic::Nack { delivery_tag: 0, multiple: true, requeue: false }),
    ];
    for late in settle {
        let q = held_too_long(&mut c, &["1", "2"]);
        c.quiet();
        late(&mut c);
        assert_eq!(c.deliveries(2).iter().map(Delivered::told).collect::<Vec<_>>(), ["1r", "2r"]);
        c.expect(1, "basic.cancel");
        c.await_ready(&q, 2);
        c.call_on(1, channel_close());
        c.open_channel(1);
    }
    let q = held_too_long(&mut c, &["1"]);
    c.send(1, basic::Recover { requeue: true });
    c.expect(1, "basic.recover-ok");
    c.quiet();
    assert_eq!(c.counts(&q).0, 1);
    c.refused(ack(1), 406, "unknown delivery tag 1");
}

#[test]
fn q_38_each_time_that_something_is_late_is_told() {
    let mut c = Wire::open();
    let q = c.quorum(args!["x-consumer-timeout" => 1000]);
    c.call(consume(&q, "t"));
    for body in ["1", "2"] {
        c.publish("", &q, body);
        assert_eq!(c.deliver().told(), body);
        std::thread::sleep(Duration::from_millis(300));
    }
    c.expect(1, "basic.cancel");
    c.expect(1, "basic.cancel");
    c.await_ready(&q, 2);
}

#[test]
fn q_38_a_single_active_consumer_that_was_late_waits_for_its_turn() {
    let mut c = Wire::open();
    let q = c.quorum(args!["x-consumer-timeout" => 1000, "x-single-active-consumer" => true]);
    c.fill_queue(&q, &["1"]);
    c.call(consume(&q, "t"));
    c.deliver();
    c.call(consume(&q, "u"));
    c.expect(1, "basic.cancel");
    let second = c.deliver();
    assert_eq!(second.by(), "u:1r");
    c.send(1, ack(1));
    c.send(1, ack(second.delivery_tag));
    c.quiet();
    c.call(cancel("u"));
    c.publish("", &q, "2");
    assert_eq!(c.deliver().by(), "t:2");
}

#[test]
fn p_14_what_was_late_is_settled_with_the_commit() {
    let mut c = Wire::open();
    c.call(tx::Select {});
    let q = held_too_long(&mut c, &["1", "2"]);
    c.send(1, ack_multiple(2));
    c.call(tx::Rollback {});
    c.quiet();
    c.send(1, ack(1));
    c.send(1, ack(2));
    c.quiet();
    assert_eq!(c.counts(&q).0, 2);
    c.call(tx::Commit {});
    assert_eq!(c.deliveries(2).iter().map(Delivered::told).collect::<Vec<_>>(), ["1r", "2r"]);
    c.refused(ack(1), 406, "unknown delivery tag 1");
}

#[test]
fn p_14_what_waits_for_its_commit_too_long_is_taken_back() {
    let mut c = Wire::open();
    for commits in [true, false] {
        let q = c.quorum(args!["x-consumer-timeout" => 1000]);
        c.fill_queue(&q, &["1"]);
        c.call(tx::Select {});
        c.call(consume(&q, "t"));
        let tag = c.deliver().delivery_tag;
        c.send(1, ack(tag));
        c.expect(1, "basic.cancel");
        c.await_ready(&q, 1);
        if !commits {
            c.call(tx::Rollback {});
            c.quiet();
            c.send(1, ack(tag));
        }
        c.send(1, tx::Commit {});
        c.expect(1, "tx.commit-ok");
        assert_eq!(c.deliver().told(), "1r");
        c.refused(ack(tag), 406, &format!("unknown delivery tag {tag}"));
    }
    let q = c.quorum(args!["x-consumer-timeout" => 1000]);
    c.fill_queue(&q, &["1"]);
    c.call(tx::Select {});
    let tag = c.await_get(&q).delivery_tag;
    c.send(1, ack(tag));
    assert_eq!(c.frame().name(), "channel.close");
}

#[test]
fn q_38_who_was_cancelled_and_holds_a_delivery_too_long_loses_the_channel() {
    let mut c = Wire::open();
    let q = c.quorum(args!["x-consumer-timeout" => 1000]);
    c.fill_queue(&q, &["1"]);
    c.call(consume(&q, "t"));
    c.deliver();
    c.call(cancel("t"));
    assert_eq!(c.error(), closes(1, 406, LATE, (0, 0)));
}

#[test]
fn q_38_who_does_not_understand_that_loses_the_channel() {
    let mut c = Wire::connect();
    c.log_in(&Login { capabilities: &[], ..Login::default() });
    let q = c.quorum(&[]);
    let timeout = table! { "x-consumer-timeout" => 1000 };
    c.call(basic::Consume { arguments: timeout.as_table(), ..consume(&q, "t") });
    c.publish("", &q, "1");
    c.deliver();
    assert_eq!(c.error(), closes(1, 406, LATE, (0, 0)));
    let mut c = Wire::open();
    let q = c.quorum(args!["x-consumer-timeout" => 1000]);
    c.put(&q, "1", &plain());
    c.await_get(&q);
    assert_eq!(c.error(), closes(1, 406, LATE, (0, 0)));
}

#[test]
fn q_40_where_a_leader_is_put_and_how_many_copies_there_are_is_validated() {
    let mut c = Wire::open();
    for locator in ["client-local", "balanced", "random", "least-leaders", "min-masters"] {
        c.quorum(args!["x-queue-leader-locator" => locator, "x-quorum-initial-group-size" => 3]);
    }
    let refused = [
        (args!["x-queue-leader-locator" => "nowhere"], "invalid_queue_locator_arg"),
        (args!["x-quorum-initial-group-size" => 0], "{value_zero,0}"),
    ];
    for (arguments, why) in &refused {
        let mut table = table! { "x-queue-type" => "quorum" }.as_table().to_owned();
        arguments.iter().for_each(|(name, value)| table.push(*name, value.clone()));
        let (q, encoded) = (name(), EncodedTable::from(&table));
        let method = queue::Declare { durable: true, arguments: encoded.as_table(), ..declare(&q) };
        let text = format!("invalid arg '{}' for {}: {why}", arguments[0].0, q_named(&q));
        c.refused(method, 406, &text);
    }
}

#[test]
fn q_35_who_consumes_again_while_it_holds_deliveries_is_the_same_consumer() {
    let mut c = Wire::open();
    for single in [false, true] {
        let q = c.quorum(args!["x-single-active-consumer" => single]);
        c.fill_queue(&q, &["1", "2", "3"]);
        c.call(basic::Qos { prefetch_count: 1, ..Default::default() });
        c.call(consume(&q, "t"));
        let first = c.deliver();
        c.call(cancel("t"));
        assert_eq!(c.counts(&q), (2, 1));
        c.call(consume(&q, "t"));
        c.quiet(); // it is at its limit
        assert_eq!(c.counts(&q), (2, 1));
        c.send(1, ack(first.delivery_tag));
        assert_eq!(c.deliver().by(), "t:2");
        c.call(cancel("t"));
        assert_eq!(c.counts(&q), (1, 1));
        c.call_on(1, channel_close());
        c.open_channel(1);
        c.await_ready(&q, 2);
        assert_eq!(c.counts(&q), (2, 0));
    }
}

#[test]
fn q_38_who_consumes_again_and_is_late_with_what_it_held_is_told_so() {
    let mut c = Wire::open();
    let q = c.quorum(args!["x-consumer-timeout" => 1000]);
    c.fill_queue(&q, &["1", "2"]);
    c.call(basic::Qos { prefetch_count: 1, ..Default::default() });
    c.call(consume(&q, "t"));
    let first = c.deliver();
    c.call(cancel("t"));
    c.call(consume(&q, "t"));
    assert_eq!(c.expect(1, "basic.cancel").method(), basic::Cancel { consumer_tag: "t", nowait: true }.into());
    c.await_ready(&q, 2);
    c.send(1, ack(first.delivery_tag));
    assert_eq!(c.deliver().by(), "t:1r");
}
