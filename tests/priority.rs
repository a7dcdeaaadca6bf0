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

/// The order in which a line of RabbitMQ delivers these, which came in the order of their letters.
fn order(line: &str, mut left: Vec<(char, u8)>) -> String {
    let mut order = String::new();
    for turn in 0.. {
        let high = left.iter().position(|(_, priority)| *priority > 4);
        let low = left.iter().position(|(_, priority)| *priority <= 4);
        let at = match line {
            "4.3" => (0..left.len()).max_by_key(|at| (left[*at].1, usize::MAX - at)),
            "4.2" if turn % 3 == 2 && low.is_some() => high.min(low).or(low),
            "4.2" => high.or(low),
            _ => (!left.is_empty()).then_some(0),
        };
        match at {
            Some(at) => order.push(left.remove(at).0),
            None => break,
        }
    }
    order
}

/// Some are delivered by one line, the next by another; what was acked does not come back.
#[test]
fn q_29_q_41_each_line_delivers_what_another_has_kept_in_its_own_order() {
    for lines in [["4.3", "4.2", "3.13", "4.3"], ["3.13", "4.3", "4.2", "3.13"], ["4.2", "3.13", "4.3", "4.2"]] {
        let kept = Kept::new();
        let mut left = Vec::new();
        for (n, line) in lines.into_iter().enumerate() {
            let broker = kept.start_with(&["--compat", line]);
            let mut c = broker.open();
            let arguments = table! { "x-queue-type" => "quorum" };
            c.call(queue::Declare { queue: "q", durable: true, arguments: arguments.as_table(), ..Default::default() });
            for (at, priority) in [4, 0, 9, 5, 31].into_iter().enumerate() {
                let body = char::from(b'a' + (5 * n + at) as u8);
                c.put("q", &body.to_string(), &with!(priority: priority));
                left.push((body, priority));
            }
            let order = order(line, left.clone());
            let taken = if n < 3 { 4 } else { left.len() };
            for expected in order.chars().take(taken) {
                let message = c.await_get("q");
                assert_eq!(message.body, expected.to_string().as_bytes(), "{order} by {line} of {lines:?}");
                c.send(1, ack(message.delivery_tag));
                left.retain(|(body, _)| *body != expected);
            }
            assert_eq!(c.counts("q").0 as usize, left.len());
            drop(c);
            assert!(broker.stop().success());
        }
    }
}
