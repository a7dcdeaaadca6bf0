//! Time to live of messages and queues.

use std::time::{Duration, Instant};

use crate::support::*;

#[test]
fn q_21_the_shorter_time_to_live_holds() {
    let mut c = Wire::open();
    for quorum in [false, true] {
        for (ttl, expiration) in [(50, "60000"), (60_000, "50")] {
            let q = c.either(quorum, args!["x-message-ttl" => ttl]);
            let began = Instant::now();
            c.put(&q, "1", &with!(expiration: expiration.as_bytes()));
            c.await_ready(&q, 0);
            assert!(began.elapsed() >= Duration::from_millis(50));
        }
    }
}

#[test]
fn q_21_without_consumers_messages_expire_into_the_dead_letter_queue_on_time() {
    let mut c = Wire::open();
    let dead = c.queue();
    let q = c.queue_with(&dying_to(&dead, &[]));
    c.call(basic::Consume { no_ack: true, ..consume(&dead, "t") });
    let began = Instant::now();
    c.publish_as(1, publish("", &q), &with!(expiration: b"100"), b"1");
    assert_eq!(c.deliver().told(), "1");
    assert!(began.elapsed() >= Duration::from_millis(99), "{:?}", began.elapsed());
}

#[test]
fn q_21_a_message_behind_one_that_lives_longer_waits_for_it() {
    let mut c = Wire::open();
    let q = c.queue();
    c.put(&q, "long", &with!(expiration: b"300"));
    c.put(&q, "short", &with!(expiration: b"1"));
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(c.counts(&q).0, 2);
    c.await_ready(&q, 0);
}

#[test]
fn q_21_with_0_only_who_waits_gets_it() {
    let mut c = Wire::open();
    let q = c.queue_with(&table! { "x-message-ttl" => 0 });
    c.put(&q, "1", &plain());
    assert_eq!(c.get(&q), None);
    c.call(qos(1));
    c.call(consume(&q, "t"));
    c.publish("", &q, "2");
    let message = c.deliver();
    assert_eq!(message.told(), "2");
    c.send(1, nack(message.delivery_tag, true));
    assert_eq!(c.counts(&q), (0, 1), "back in the queue it is over");
    c.quiet();
}

#[test]
fn q_21_what_comes_back_keeps_its_end() {
    let mut c = Wire::open();
    for quorum in [false, true] {
        let q = c.either(quorum, args!["x-message-ttl" => 100]);
        c.put(&q, "1", &plain());
        let tag = c.await_get(&q).delivery_tag;
        std::thread::sleep(Duration::from_millis(150));
        c.send(1, nack(tag, true));
        c.await_ready(&q, 0);
        assert_eq!(c.get(&q), None);
    }
}

#[test]
fn q_21_each_priority_has_its_head() {
    if !ours_only() {
        return;
    }
    let mut c = Wire::open();
    let q = c.queue_with(&table! { "x-max-priority" => 9 });
    c.put(&q, "first", &with!(priority: 1));
    c.put(&q, "overtakes", &with!(priority: 9, expiration: b"20"));
    c.await_ready(&q, 1);
    assert_eq!(c.drain(&q), ["first"]);
}

/// Whether a queue is there after it has not been used, but for what is done to it, for a good while longer than it stays.
fn outlives(act: fn(&mut Wire, &str)) -> bool {
    let mut c = Wire::open();
    let name = name();
    let arguments = table! { "x-expires" => 400 };
    c.call(queue::Declare { arguments: arguments.as_table(), ..declare(&name) });
    for _ in 0..8 {
        std::thread::sleep(Duration::from_millis(100));
        act(&mut c, &name);
    }
    c.open_channel(77);
    c.send(77, passive(&name));
    c.frame().name() != "channel.close"
}

#[test]
fn q_20_an_unused_queue_goes() {
    let mut c = Wire::open();
    let name = name();
    let arguments = table! { "x-expires" => 100 };
    c.call(queue::Declare { arguments: arguments.as_table(), ..declare(&name) });
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(c.counts(&name), (0, 0));
    std::thread::sleep(Duration::from_millis(400));
    c.refused(passive(&name), 404, &no_queue(&name));
}

#[test]
fn q_20_getting_and_declaring_use_a_queue_and_publishing_does_not() {
    let again = |c: &mut Wire, q: &str| {
        let arguments = table! { "x-expires" => 400 };
        c.call(queue::Declare { arguments: arguments.as_table(), ..declare(q) });
    };
    std::thread::scope(|scope| {
        let get = scope.spawn(|| outlives(|c, q| drop(c.get(q))));
        let declare = scope.spawn(move || outlives(again));
        let publish = scope.spawn(|| outlives(|c, q| c.publish("", q, "x")));
        assert!(get.join().unwrap());
        assert!(declare.join().unwrap());
        assert!(!publish.join().unwrap());
    });
}

#[test]
fn q_20_with_a_consumer_it_stays() {
    let mut c = Wire::open();
    let name = name();
    let arguments = table! { "x-expires" => 100 };
    c.call(queue::Declare { arguments: arguments.as_table(), ..declare(&name) });
    c.call(consume(&name, "t"));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(c.counts(&name), (0, 1));
    c.call(cancel("t"));
    std::thread::sleep(Duration::from_millis(400));
    c.refused(passive(&name), 404, &no_queue(&name));
}
