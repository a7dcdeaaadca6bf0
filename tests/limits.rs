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
    loop {
        // While it is emptied the limit may be reached again.
        let frame = c.frame();
        match frame.name() {
            "connection.blocked" | "connection.unblocked" => assert_eq!(frame.channel, 0),
            other => break assert_eq!(other, "queue.declare-ok"),
        }
    }
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

#[test]
fn c_19_connections_beyond_the_limit_are_refused() {
    if !ours_only() {
        return;
    }
    let broker = start(Config { connections_max: 1, ..Config::default() });
    let mut first = Wire::connect_to(broker);
    first.log_in(&Login::default());
    let mut second = Wire::connect_to(broker);
    second.greet();
    second.start_ok(&Login::default());
    second.expect(0, "connection.tune");
    second.tune_ok(&Login::default());
    second.send(0, connection::Open { virtual_host: "/" });
    let explanation = "connection refused: node connection limit (1) is reached";
    assert_eq!(second.error(), closes(0, 530, explanation, (10, 40)));
    first.call_on(0, connection_close());
    eventually(|| {
        let mut again = Wire::connect_to(broker);
        again.greet();
        again.start_ok(&Login::default());
        again.expect(0, "connection.tune");
        again.tune_ok(&Login::default());
        again.send(0, connection::Open { virtual_host: "/" });
        again.frame().name() == "connection.open-ok"
    });
}

#[test]
fn s_16_a_consumer_that_does_not_read_stops_nobody_else() {
    let mut c = Wire::open();
    let q = c.shared_queue();
    let mut slow = Wire::open();
    slow.call(basic::Consume { no_ack: true, ..consume(&q, "slow") });
    let own = c.queue();
    c.call(confirm::Select::default());
    for _ in 0..2000 {
        c.publish("", &q, "x");
    }
    let mut confirmed = 0;
    while confirmed < 2000 {
        let (tag, multiple) = c.expect(1, "basic.ack").confirm();
        confirmed = if multiple { confirmed.max(tag) } else { confirmed + 1 };
    }
    assert!(c.routes("", &own, &BasicProperties::default()));
    assert_eq!(slow.deliveries(2000).len(), 2000);
    c.call(delete(&q));
}
