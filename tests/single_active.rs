//! Single active consumer.

use crate::support::*;

fn consume_at<'a>(queue: &'a str, tag: &'a str, arguments: &'a EncodedTable) -> basic::Consume<'a> {
    basic::Consume { arguments: arguments.as_table(), ..consume(queue, tag) }
}

#[test]
fn q_30_one_gets_everything_and_the_next_by_priority_follows() {
    for quorum in [false, true] {
        let mut c = Wire::open();
        let q = c.either(quorum, args!["x-single-active-consumer" => true]);
        let low = table! { "x-priority" => -5 };
        c.call(consume(&q, "a"));
        c.call(consume_at(&q, "low", &low));
        c.call(consume(&q, "b"));
        c.call(consume(&q, "c"));
        for (cancelled, next) in [(None, "a"), (Some("a"), "b"), (Some("b"), "c"), (Some("c"), "low")] {
            if let Some(tag) = cancelled {
                c.call(cancel(tag));
            }
            for body in ["1", "2"] {
                c.publish("", &q, body);
                assert_eq!(c.deliver().by(), format!("{next}:{body}"));
            }
        }
    }
}

#[test]
fn q_30_a_higher_priority_takes_over_in_a_quorum_queue_alone() {
    for quorum in [false, true] {
        let mut c = Wire::open();
        let q = c.either(quorum, args!["x-single-active-consumer" => true]);
        let high = table! { "x-priority" => 5 };
        c.call(consume(&q, "a"));
        c.publish("", &q, "1");
        let first = c.deliver();
        c.call(consume_at(&q, "b", &high));
        c.publish("", &q, "2");
        if quorum {
            c.quiet(); // a has to settle first
            c.send(1, ack(first.delivery_tag));
            assert_eq!(c.deliver().by(), "b:2");
        } else {
            assert_eq!(c.deliver().by(), "a:2");
        }
    }
}

#[test]
fn q_30_nobody_is_exclusive_and_a_quorum_queue_refuses_get() {
    let mut c = Wire::open();
    let q = c.either(false, args!["x-single-active-consumer" => true]);
    c.put(&q, "1", &plain());
    assert_eq!(c.drain(&q), ["1"]);
    let exclusive = basic::Consume { exclusive: true, ..consume(&q, "t") };
    c.refused(exclusive, 403, &format!("{} in exclusive use", q_named(&q)));
    let mut c = Wire::open();
    let q = c.quorum(args!["x-single-active-consumer" => true]);
    for tag in ["a", "b"] {
        c.call(basic::Consume { exclusive: true, ..consume(&q, tag) });
    }
    let text = "basic.get operations are not supported by <<\"quorum\">> queues with single active consumer";
    c.refused(get(&q), 405, &format!("cannot obtain access to locked {}. {text}", q_named(&q)));
}

#[test]
fn q_30_the_next_gets_first_what_the_closed_channel_held() {
    for quorum in [false, true] {
        let (mut c, mut next) = (Wire::open(), Wire::open());
        let q = next.either(quorum, args!["x-single-active-consumer" => true]);
        c.call(qos(1));
        c.call(consume(&q, "a"));
        c.call(consume(&q, "b"));
        next.call(consume(&q, "c"));
        for body in ["1", "2", "3"] {
            next.publish("", &q, body);
        }
        assert_eq!(c.deliver().by(), "a:1");
        next.sync();
        c.call(channel_close());
        let told: Vec<_> = next.deliveries(3).iter().map(Delivered::by).collect();
        assert_eq!(told, ["c:1r", "c:2", "c:3"]);
    }
}

#[test]
fn q_30_in_a_quorum_queue_the_one_with_most_room_is_next() {
    for (quorum, order) in [(false, ["a", "b", "c", "d"]), (true, ["a", "d", "c", "b"])] {
        let mut c = Wire::open();
        let q = c.either(quorum, args!["x-single-active-consumer" => true]);
        for (tag, prefetch) in [("a", 3), ("b", 1), ("c", 5), ("d", 0)] {
            c.call(qos(prefetch));
            c.call(consume(&q, tag));
        }
        for (at, tag) in order.iter().enumerate() {
            c.publish("", &q, "x");
            assert_eq!(c.deliver().by(), format!("{tag}:x"));
            if quorum {
                // Those that hold something still count, and none that waits does.
                assert_eq!(c.counts(&q), (0, at as u32 + 1));
            }
            c.call(cancel(tag));
        }
    }
}
