//! Limits: the longest message, and memory.

use leveret::config::Config;

use crate::support::*;

const MIB: usize = 1 << 20;

#[test]
fn p_07_a_message_over_16_mib_is_refused_when_it_is_whole() {
    let mut c = Wire::open();
    let q = c.queue();
    c.call(confirm::Select::default());
    c.publish_as(1, publish("", &q), &BasicProperties::default(), &vec![0; 16 * MIB]);
    c.expect(1, "basic.ack");
    assert_eq!(c.counts(&q), (1, 0));
    c.publish_as(1, publish("no-such", &q), &BasicProperties::default(), &vec![0; 16 * MIB + 1]);
    c.refusal((60, 40), 406, "message size 16777217 is larger than configured max size 16777216");
    assert_eq!(c.counts(&q), (1, 0));
}

#[test]
fn c_27_publishers_are_told_and_stopped_until_memory_is_free_again() {
    if !ours_only() {
        return;
    }
    let memory_max_bytes = 4 * MIB as u64;
    let broker = start(Config { memory_max_bytes, ..Config::default() });
    let mut c = Wire::connect_to(broker);
    c.log_in(&Login::default());
    let q = c.queue();
    let mut consumer = Wire::connect_to(broker);
    consumer.log_in(&Login::default());
    let shared = consumer.shared_queue();
    let body = vec![0; MIB / 2];
    for _ in 0..16 {
        c.publish_as(1, publish("", &shared), &BasicProperties::default(), &body);
    }
    c.send(1, passive(&q));
    let blocked = c.expect(0, "connection.blocked");
    assert_eq!(blocked.method(), connection::Blocked { reason: "low on memory" }.into());

    // Who has not published is served as before; what is taken out frees memory.
    let mut taken = 0;
    while taken < 16 {
        match consumer.get_as(basic::Get { no_ack: true, ..get(&shared) }) {
            Some(_) => taken += 1,
            None => std::thread::yield_now(),
        }
    }
    c.expect(0, "connection.unblocked");
    c.expect(1, "queue.declare-ok");
    c.quiet();
}

#[test]
fn c_27_clients_without_the_capability_are_stopped_without_a_word() {
    if !ours_only() {
        return;
    }
    let broker = start(Config { memory_max_bytes: MIB as u64, ..Config::default() });
    let mut c = Wire::connect_to(broker);
    c.log_in(&Login { capabilities: &[], ..Login::default() });
    let q = c.shared_queue();
    for _ in 0..4 {
        c.publish_as(1, publish("", &q), &BasicProperties::default(), &vec![0; MIB]);
    }
    c.send(1, passive("amq.none"));
    let mut consumer = Wire::connect_to(broker);
    consumer.log_in(&Login::default());
    let mut taken = 0;
    while taken < 4 {
        match consumer.get_as(basic::Get { no_ack: true, ..get(&q) }) {
            Some(_) => taken += 1,
            None => std::thread::yield_now(),
        }
    }
    c.refusal((50, 10), 404, &no_queue("amq.none"));
}
