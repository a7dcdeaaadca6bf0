//! The type of queues that are declared without one, as node and vhost say.

use leveret::broker::arguments::QueueType;
use leveret::broker::{Broker, Effects};
use leveret::config::Config;

use crate::restart::{drain, durable, publish_all};
use crate::support::*;

fn set(default: Option<QueueType>) -> impl FnOnce(&Broker) -> Effects {
    move |broker| {
        let mut fx = Effects::default();
        broker.vhost("/").unwrap().set_default_queue_type(default, &mut fx);
        fx
    }
}

/// The type that a new queue has: a quorum queue tells how often it has delivered.
fn type_of(c: &mut Wire, queue: &str) -> QueueType {
    publish_all(c, queue, &["1"]);
    let tag = c.await_get(queue).delivery_tag;
    c.send(1, reject(tag, true));
    let told = counts_told(&c.await_get(queue)) != (None, None);
    if told { QueueType::Quorum } else { QueueType::Classic }
}

fn typed<'a>(queue: &'a str, arguments: &'a EncodedTable) -> queue::Declare<'a> {
    queue::Declare { arguments: arguments.as_table(), ..durable(queue) }
}

fn inequivalent(queue: &str, received: &str, current: &str) -> String {
    format!(
        "inequivalent arg 'x-queue-type' for queue '{queue}' in vhost '/': received '{received}' but current is '{current}'"
    )
}

#[test]
fn q_10_the_nodes_default_type_is_that_of_durable_queues() {
    if !ours_only() {
        return;
    }
    let default_queue_type = QueueType::Quorum;
    let mut c = Wire::connect_to(start(Config { default_queue_type, ..Config::default() }));
    c.log_in(&Login::default());
    let exclusive = c.queue();
    let durable = c.durable_with(&no_arguments());
    for q in [&exclusive, &durable] {
        c.put(q, "1", &plain());
        let tag = c.await_get(q).delivery_tag;
        c.send(1, reject(tag, true));
    }
    assert_eq!(counts_told(&c.await_get(&exclusive)), (None, None));
    assert_eq!(counts_told(&c.await_get(&durable)), (Some(1), Some(1)));
    let quorum = table! { "x-queue-type" => "quorum", "x-expires" => 120_000 };
    let again = queue::Declare { exclusive: false, durable: true, ..declare(&durable) };
    c.call(queue::Declare { arguments: quorum.as_table(), ..again });
}

#[test]
fn q_10_a_nodes_default_type_is_classic_or_quorum() {
    let kept = Kept::new();
    for refused in ["stream", "nonsense", ""] {
        let (status, said) = kept.try_start(&["--default-queue-type", refused]).err().expect("a refusal");
        assert!(!status.success() && said.contains("it is classic or quorum"), "{said}");
    }
    let broker = kept.start_with(&["--default-queue-type", "quorum"]);
    let mut c = broker.open();
    c.call(durable("q"));
    assert_eq!(type_of(&mut c, "q"), QueueType::Quorum);
}

#[test]
fn q_10_a_vhosts_default_type_wins_and_survives() {
    for in_order in [true, false] {
        let kept = Kept::new().within(in_order, set(Some(QueueType::Quorum)));
        let broker = kept.start();
        let mut c = broker.open();
        for queue in ["absent", "empty"] {
            let arguments = if queue == "empty" {
                table! { "x-queue-type" => "" }
            } else {
                no_arguments()
            };
            c.call(typed(queue, &arguments));
            assert_eq!(type_of(&mut c, queue), QueueType::Quorum);
        }
        let text = "Cannot declare a server-named queue for type rabbit_quorum_queue";
        c.refused(durable(""), 406, text);
        let mut c = broker.open();
        c.call(queue::Declare { auto_delete: true, ..durable("auto-delete") });
        assert_eq!(type_of(&mut c, "auto-delete"), QueueType::Classic);
        broker.kill();

        let kept = kept.within(in_order, set(Some(QueueType::Classic)));
        let broker = kept.start_with(&["--default-queue-type", "quorum"]);
        let mut c = broker.open();
        c.call(durable("later"));
        assert_eq!(type_of(&mut c, "later"), QueueType::Classic);
        // What was declared before stays what it was, whatever its arguments tell.
        for queue in ["absent", "empty"] {
            assert_eq!(drain(&mut c, queue), ["1r"], "{queue}");
            assert_eq!(type_of(&mut c, queue), QueueType::Quorum, "{queue}");
        }
        broker.kill();

        let kept = kept.within(in_order, set(None));
        let broker = kept.start_with(&["--default-queue-type", "quorum"]);
        let mut c = broker.open();
        c.call(durable("last"));
        assert_eq!(type_of(&mut c, "last"), QueueType::Quorum);
    }
}

#[test]
fn q_05_a_redeclare_without_a_type_has_the_default_of_now() {
    let kept = Kept::new().within(true, set(Some(QueueType::Quorum)));
    let (classic, quorum) = (table! { "x-queue-type" => "classic" }, table! { "x-queue-type" => "quorum" });
    let (empty, none) = (table! { "x-queue-type" => "" }, no_arguments());
    let broker = kept.start();
    let mut c = broker.open();
    for (queue, arguments) in [("absent", &none), ("classic", &classic), ("empty", &empty)] {
        c.call(typed(queue, arguments));
    }
    c.call(typed("absent", &quorum));
    c.call(durable("absent"));
    for (queue, arguments, received, current) in [
        ("absent", &classic, "classic", "quorum"),
        ("absent", &empty, "", "quorum"),
        ("classic", &none, "quorum", "classic"),
        ("classic", &empty, "", "classic"),
        ("empty", &none, "quorum", ""),
        ("empty", &quorum, "quorum", ""),
    ] {
        broker.open().refused(typed(queue, arguments), 406, &inequivalent(queue, received, current));
    }
    drop(c);
    broker.stop();
    let broker = kept.within(true, set(Some(QueueType::Classic))).start();
    broker.open().call(durable("classic"));
    broker.open().refused(durable("absent"), 406, &inequivalent("absent", "classic", "quorum"));
}
