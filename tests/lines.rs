//! `--compat`: where the lines of RabbitMQ differ.

use leveret::broker::compat::Compat;
use leveret::config::Config;

use crate::support::*;

fn open_at(compat: Compat) -> Wire {
    let mut c = Wire::connect_to(start(Config { compat, ..Config::default() }));
    c.log_in(&Login::default());
    c
}

#[test]
fn q_36_which_returns_count_to_the_delivery_limit() {
    if !ours_only() {
        return;
    }
    for (compat, by_default, with_limit_2) in [(Compat::V4_2, Some(21), 3), (Compat::V3_13, None, 3)] {
        let mut c = open_at(compat);
        for (limit, deliveries) in [(None, by_default), (Some(2), Some(with_limit_2))] {
            let arguments: Vec<_> = limit.map(|n| ("x-delivery-limit", FieldValue::from(n))).into_iter().collect();
            let q = c.quorum(&arguments);
            c.put(&q, "1", &plain());
            for _ in 0..deliveries.unwrap_or(30) {
                let tag = c.await_get(&q).delivery_tag;
                c.send(1, nack(tag, true));
            }
            assert_eq!(c.counts(&q).0, u32::from(deliveries.is_none()), "{compat} {limit:?}");
        }
    }
}

#[test]
fn q_27_3_13_counts_deaths_that_a_client_publishes() {
    if !ours_only() {
        return;
    }
    let mut c = open_at(Compat::V3_13);
    let dead = c.queue();
    let q = c.queue_with(&dying_to(&dead, &[]));
    c.put(&q, "1", &plain());
    c.reject_first(&q);
    let headers = EncodedTable::from(&c.await_get(&dead).headers());
    c.put(&q, "2", &with!(headers: headers.as_table()));
    c.reject_first(&q);
    assert_eq!(deaths(&c.await_get(&dead)), [format!("{q} rejected 2")]);
}

#[test]
fn q_29_before_4_3_quorum_queues_have_two_levels_and_before_4_0_none() {
    if !ours_only() {
        return;
    }
    let published = [("a", 4), ("b", 0), ("c", 9), ("d", 5), ("e", 31), ("f", 9), ("g", 1)];
    for (compat, expected) in [(Compat::V4_2, "cdaefbg"), (Compat::V3_13, "abcdefg"), (Compat::V4_3, "ecfdagb")] {
        let mut c = open_at(compat);
        let q = c.quorum(&[]);
        for (body, priority) in published {
            c.put(&q, body, &with!(priority: priority));
        }
        assert_eq!(c.drain(&q).concat(), expected, "{compat}");
    }
}

/// Of the higher level it may be one more, where that came first.
#[test]
fn q_29_before_4_3_what_came_before_the_lower_level_goes_before_it() {
    if !ours_only() {
        return;
    }
    let mut c = open_at(Compat::V4_2);
    let q = c.quorum(&[]);
    for (body, priority) in [("a", 5), ("b", 5), ("c", 5), ("d", 1), ("e", 5), ("f", 5), ("g", 5)] {
        c.put(&q, body, &with!(priority: priority));
    }
    assert_eq!(c.drain(&q).concat(), "abcefdg");
}

#[test]
fn q_36_q_37_before_4_3_one_count_tells_of_all_that_came_back_and_nothing_is_delayed() {
    if !ours_only() {
        return;
    }
    for compat in [Compat::V4_2, Compat::V3_13] {
        let mut c = open_at(compat);
        let q = c.quorum(&[("x-delayed-retry-type", "all".into()), ("x-delayed-retry-min", 60_000.into())]);
        c.put(&q, "1", &plain());
        for (requeue, told) in [(nack(1, true), None), (nack(2, true), Some(1)), (nack(3, true), Some(2))] {
            assert_eq!(counts_told(&c.await_get(&q)), (None, told), "{compat}");
            c.send(1, requeue);
        }
    }
}
