//! What survives the broker's process, after an orderly stop and after `kill -9`.

use crate::support::*;

pub(crate) fn persistent() -> BasicProperties<'static> {
    BasicProperties { delivery_mode: Some(2), ..Default::default() }
}

pub(crate) fn durable(queue: &str) -> queue::Declare<'_> {
    queue::Declare { queue, durable: true, ..Default::default() }
}

/// Publishes persistent messages to a queue and waits until they are confirmed.
pub(crate) fn publish_all(c: &mut Wire, queue: &str, bodies: &[&str]) {
    c.call(confirm::Select::default());
    for body in bodies {
        c.publish_as(1, publish("", queue), &persistent(), body.as_bytes());
        c.expect(1, "basic.ack");
    }
}

/// Everything in a queue, taken out of it.
pub(crate) fn drain(c: &mut Wire, queue: &str) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        c.send(1, basic::Get { no_ack: true, ..get(queue) });
        let frame = c.frame();
        if frame.name() == "basic.get-empty" {
            return all;
        }
        let delivered = c.content(Delivered::from_method(&frame));
        all.push(delivered.told());
    }
}

/// Ends a broker in both ways.
fn each_end(test: impl Fn(&dyn Fn(Process))) {
    test(&|process| assert!(process.stop().success()));
    test(&|process| process.kill());
}

#[test]
fn q_41_persistent_messages_of_durable_queues_survive_in_order() {
    each_end(|end| {
        let kept = Kept::new();
        let broker = kept.start();
        let mut c = broker.open();
        c.call(durable("q"));
        publish_all(&mut c, "q", &["1", "2", "3"]);
        end(broker);

        let broker = kept.start();
        let mut c = broker.open();
        assert_eq!(c.counts("q"), (3, 0));
        publish_all(&mut c, "q", &["4"]);
        assert_eq!(drain(&mut c, "q"), ["1", "2", "3", "4"]);
        c.call(durable("another")); // what came before it is on disk too
        end(broker);

        let broker = kept.start();
        assert_eq!(broker.open().counts("q"), (0, 0));
    });
}

#[test]
fn q_41_transient_messages_and_queues_do_not() {
    each_end(|end| {
        let kept = Kept::new();
        let broker = kept.start();
        let mut c = broker.open();
        c.call(durable("kept"));
        c.call(queue::Declare { queue: "gone", ..Default::default() });
        c.call(queue::Declare { durable: true, ..declare("exclusive") });
        publish_all(&mut c, "kept", &["persistent"]);
        publish_all(&mut c, "gone", &["persistent"]);
        c.publish("", "kept", "transient");
        c.expect(1, "basic.ack");
        end(broker);

        let broker = kept.start();
        let mut c = broker.open();
        assert_eq!(drain(&mut c, "kept"), ["persistent"]);
        c.refused(passive("gone"), 404, &no_queue("gone"));
        c.refused(passive("exclusive"), 404, &no_queue("exclusive"));
    });
}

#[test]
fn q_41_a_quorum_queue_keeps_transient_messages_too() {
    each_end(|end| {
        let kept = Kept::new();
        let broker = kept.start();
        let mut c = broker.open();
        let arguments = table! { "x-queue-type" => "quorum" };
        c.call(queue::Declare { arguments: arguments.as_table(), ..durable("q") });
        c.call(confirm::Select::default());
        c.publish("", "q", "transient");
        c.expect(1, "basic.ack");
        end(broker);
        assert_eq!(drain(&mut kept.start().open(), "q"), ["transient"]);
    });
}

#[test]
fn q_41_what_was_unacked_is_ready_and_marked_redelivered() {
    each_end(|end| {
        let kept = Kept::new();
        let broker = kept.start();
        let mut c = broker.open();
        c.call(durable("q"));
        publish_all(&mut c, "q", &["1", "2", "3"]);
        c.call(qos(2));
        c.call(consume("q", "t"));
        let got = c.deliveries(2);
        c.call(cancel("t"));
        c.send(1, ack(got[0].delivery_tag));
        publish_all(&mut c, "q", &["4"]); // what came before it is on disk too
        end(broker);
        assert_eq!(drain(&mut kept.start().open(), "q"), ["2r", "3", "4"]);
    });
}

#[test]
fn x_07_exchanges_and_bindings_survive_transient_or_not() {
    each_end(|end| {
        let kept = Kept::new();
        let broker = kept.start();
        let mut c = broker.open();
        c.call(exchange::Declare { durable: true, ..x_declare("durable", "topic") });
        c.call(x_declare("transient", "fanout"));
        c.call(x_declare("deleted", "direct"));
        c.call(durable("q"));
        c.call(bind("q", "durable", "a.*"));
        c.call(bind("q", "durable", "b.*"));
        c.call(bind("q", "deleted", "k"));
        c.call(x_bind("durable", "transient", ""));
        c.call(unbind("q", "durable", "b.*"));
        c.call(x_delete("deleted"));
        c.call(queue::Declare { queue: "short", ..Default::default() });
        c.call(bind("short", "durable", "#"));
        end(broker);

        let broker = kept.start();
        let mut c = broker.open();
        c.call(x_passive("transient"));
        c.refused(x_passive("deleted"), 404, &no_exchange("deleted"));
        c.publish("transient", "a.x", "by both");
        c.publish("durable", "b.x", "unbound");
        c.quiet();
        assert_eq!(drain(&mut c, "q"), ["by both"]);
        c.refused(
            x_declare("durable", "direct"),
            406,
            "inequivalent arg 'type' for exchange 'durable' in vhost '/': received 'direct' but current is 'topic'",
        );
    });
}

#[test]
fn q_05_arguments_survive_and_are_compared() {
    let kept = Kept::new();
    let broker = kept.start();
    let arguments = table! { "x-max-length" => 2, "x-unknown" => "kept" };
    broker.open().call(queue::Declare { arguments: arguments.as_table(), ..durable("q") });
    broker.kill();
    let broker = kept.start();
    let mut c = broker.open();
    c.call(queue::Declare { arguments: arguments.as_table(), ..durable("q") });
    publish_all(&mut c, "q", &["1", "2", "3"]);
    assert_eq!(drain(&mut c, "q"), ["2", "3"]);
    let text = "inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received none but current is the value '2' of type 'signedint'";
    c.refused(durable("q"), 406, text);
}

#[test]
fn m_12_a_deleted_queue_does_not_come_back_nor_do_its_messages_and_bindings() {
    each_end(|end| {
        let kept = Kept::new();
        let broker = kept.start();
        let mut c = broker.open();
        for queue in ["q", "purged"] {
            c.call(durable(queue));
            c.call(bind(queue, "amq.topic", "k"));
            publish_all(&mut c, queue, &["1", "2"]);
        }
        c.call(delete("q"));
        c.call(purge("purged"));
        end(broker);

        let broker = kept.start();
        let mut c = broker.open();
        assert_eq!(c.counts("purged"), (0, 0));
        c.refused(passive("q"), 404, &no_queue("q"));
        c.call(durable("q"));
        c.publish("amq.topic", "k", "by the other's binding");
        c.quiet();
        assert_eq!(drain(&mut c, "q"), [""; 0]);
        assert_eq!(drain(&mut c, "purged"), ["by the other's binding"]);
    });
}

#[test]
fn p_14_a_committed_transaction_survives_whole() {
    let kept = Kept::new();
    let broker = kept.start();
    let mut c = broker.open();
    ["a", "b"].into_iter().for_each(|queue| drop(c.call(durable(queue))));
    publish_all(&mut broker.open(), "a", &["taken"]);
    c.call(tx::Select {});
    c.send(1, get("a"));
    let tag = c.deliver().delivery_tag;
    c.send(1, ack(tag));
    c.publish_as(1, publish("", "a"), &persistent(), b"1");
    c.publish_as(1, publish("", "b"), &persistent(), b"2");
    c.call(tx::Commit {});
    c.publish_as(1, publish("", "b"), &persistent(), b"not committed");
    c.quiet();
    broker.kill();
    let broker = kept.start();
    let mut c = broker.open();
    assert_eq!((drain(&mut c, "a"), drain(&mut c, "b")), (vec!["1".to_owned()], vec!["2".to_owned()]));
}

#[test]
fn a_second_broker_on_the_same_directory_is_refused() {
    let kept = Kept::new();
    let first = kept.start();
    let (status, said) = kept.try_start(&[]).err().expect("a refusal");
    assert!(!status.success());
    assert!(said.contains(&first.id().to_string()), "names the other's process: {said}");
    first.open();
}

#[test]
fn a_directory_that_cannot_be_used_is_one_line_on_stderr() {
    let kept = Kept::new();
    std::fs::write(kept.path(), b"a file, not a directory").unwrap();
    let (status, said) = kept.try_start(&["--log-level", "off"]).err().expect("a refusal");
    assert!(!status.success());
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    assert!(said.contains(&kept.path().display().to_string()), "{said}");
}

#[test]
fn a_large_body_survives() {
    let kept = Kept::new();
    let broker = kept.start();
    let body: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut c = broker.open();
    c.call(durable("q"));
    c.call(confirm::Select::default());
    c.publish_as(1, publish("", "q"), &persistent(), &body);
    c.expect(1, "basic.ack");
    broker.kill();
    let broker = kept.start();
    let mut c = broker.open();
    c.send(1, get("q"));
    let delivered = c.deliver();
    assert!(delivered.body == body);
    assert_eq!(delivered.properties().delivery_mode, Some(2));
}

#[test]
fn persistent_messages_that_nobody_confirms_are_written_too() {
    const COUNT: u32 = 400;
    let kept = Kept::new();
    let broker = kept.start();
    let mut c = broker.open();
    c.call(durable("q"));
    let body = vec![b'x'; 64 * 1024];
    // More than may wait for the disk.
    for _ in 0..COUNT {
        c.publish_as(1, publish("", "q"), &persistent(), &body);
    }
    assert_eq!(c.counts("q"), (COUNT, 0));
    let log = kept.path().join("log");
    let written = || std::fs::read_dir(&log).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum::<u64>();
    while written() < u64::from(COUNT) * body.len() as u64 {
        std::thread::yield_now();
    }
}

#[test]
fn what_a_lost_connection_did_not_send_survives_though_it_needed_no_ack() {
    const COUNT: u32 = 20_000;
    let kept = Kept::new();
    let broker = kept.start();
    let mut c = broker.open();
    c.call(durable("q"));
    for number in 0..COUNT {
        c.publish_as(1, publish("", "q"), &persistent(), format!("{number:01000}").as_bytes());
    }
    assert_eq!(c.counts("q"), (COUNT, 0));
    let mut reads_nothing = broker.open();
    reads_nothing.call(queue::Declare { exclusive: true, ..declare("its own") });
    reads_nothing.send(1, basic::Consume { no_ack: true, ..consume("q", "t") });
    while c.counts("q").0 == COUNT {}
    // The connection's way is full when no more is given to it; should that be a pause only, perhaps nothing comes back.
    let mut held = COUNT;
    while std::mem::replace(&mut held, c.counts("q").0) != held {
        (0..100).for_each(|_| _ = c.counts("q"));
    }
    c.call(durable("another")); // what was given to the connection is logged as gone
    drop(reads_nothing);
    // Its own queue goes when all that it had been given is back.
    c.call(confirm::Select::default());
    while c.routes("", "its own", &BasicProperties::default()) {}
    let found = c.counts("q").0;
    c.call(durable("a third")); // that is logged too
    broker.kill();

    let broker = kept.start();
    let mut c = broker.open();
    assert_eq!(c.counts("q").0, found);
    c.send(1, get("q"));
    let first = c.deliver();
    assert_eq!(String::from_utf8_lossy(&first.body).parse(), Ok(COUNT - found));
    assert!(first.redelivered || found <= held);
}
