//! Queues: declaring, counting, purging, deleting; who owns them and when they go.

use crate::support::*;

fn declared(c: &mut Wire, method: queue::Declare<'_>) -> (String, u32, u32) {
    match c.call(method).method() {
        Method::QueueDeclareOk(ok) => (ok.queue.to_owned(), ok.message_count, ok.consumer_count),
        other => panic!("{other:?}"),
    }
}

fn dropped(frame: &OwnedFrame) -> u32 {
    match frame.method() {
        Method::QueuePurgeOk(ok) => ok.message_count,
        Method::QueueDeleteOk(ok) => ok.message_count,
        other => panic!("{other:?}"),
    }
}

#[test]
fn q_01_declare_ok_counts_ready_messages_and_consumers() {
    let mut c = Wire::open();
    let q = name();
    assert_eq!(declared(&mut c, declare(&q)), (q.clone(), 0, 0));
    c.fill_queue(&q, &["1", "2", "3"]);
    c.get(&q).unwrap();
    assert_eq!(declared(&mut c, declare(&q)), (q.clone(), 2, 0));
    c.call(qos(1));
    c.open_channel(2);
    c.call_on(2, qos(1));
    c.call(consume(&q, "t"));
    c.deliver();
    assert_eq!(c.counts(&q), (1, 1));
    c.call_on(2, consume(&q, "t"));
    c.deliver();
    assert_eq!(c.counts(&q), (0, 2));
    c.call(cancel("t"));
    assert_eq!(c.counts(&q), (0, 1));
    c.call_on(2, channel_close());
    eventually(|| c.counts(&q) == (1, 0));
}

#[test]
fn m_11_purge_drops_ready_messages_only() {
    let mut c = Wire::open();
    let q = c.queue();
    c.fill_queue(&q, &["1", "2", "3"]);
    let got = c.get(&q).unwrap();
    assert_eq!(dropped(&c.call(purge(&q))), 2);
    assert_eq!(dropped(&c.call(purge(&q))), 0);
    c.send(1, nack(got.delivery_tag, true));
    c.quiet();
    assert_eq!(c.drain(&q), ["1r"]);
    c.refused(purge("no-such"), 404, &no_queue("no-such"));
    c.refused(purge("amq.rabbitmq.reply-to"), 404, &no_queue("amq.rabbitmq.reply-to"));
}

#[test]
fn m_12_deleting_a_missing_queue_is_fine() {
    let mut c = Wire::open();
    for q in ["no-such", "amq.no-such", "amq.rabbitmq.reply-to"] {
        assert_eq!(dropped(&c.call(queue::Delete { if_unused: true, if_empty: true, ..delete(q) })), 0);
    }
}

#[test]
fn m_12_delete_ok_counts_ready_messages() {
    for quorum in [false, true] {
        let mut c = Wire::open();
        let q = c.either(quorum, &[]);
        c.fill_queue(&q, &["1", "2", "3"]);
        c.await_get(&q);
        assert_eq!(dropped(&c.call(delete(&q))), 2);
        assert_eq!(dropped(&c.call(delete(&q))), 0);
        c.refused(passive(&q), 404, &no_queue(&q));
    }
}

#[test]
fn m_12_delete_can_ask_for_an_empty_or_unused_queue() {
    let mut c = Wire::open();
    let q = c.queue();
    let (in_use, not_empty) = (format!("{} in use", q_named(&q)), format!("{} not empty", q_named(&q)));
    let if_unused = queue::Delete { if_unused: true, ..delete(&q) };
    let if_empty = queue::Delete { if_empty: true, ..delete(&q) };
    c.fill_queue(&q, &["1", "2"]);
    c.refused(if_empty, 406, &not_empty);
    c.open_channel(2);
    c.call_on(2, qos(1));
    c.call_on(2, consume(&q, "t"));
    c.deliver();
    c.refused(if_unused, 406, &in_use);
    c.refused(queue::Delete { nowait: true, ..if_unused }, 406, &in_use);
    c.refused(queue::Delete { if_empty: true, ..if_unused }, 406, &not_empty);
    c.call_on(2, cancel("t"));
    assert_eq!(dropped(&c.call(purge(&q))), 1);
    c.call(queue::Delete { if_unused: true, ..if_empty });
}

#[test]
fn q_02_a_queue_without_a_name_gets_one() {
    let mut c = Wire::open();
    let mut names: Vec<_> = (0..3).map(|_| declared(&mut c, declare("")).0).collect();
    for name in &names {
        let random = name.strip_prefix("amq.gen-").expect("the prefix");
        let alphabet = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        assert!(random.len() == 22 && random.chars().all(alphabet), "{name}");
    }
    let reserved = format!("queue name '{}' contains reserved prefix 'amq.*'", names[0]);
    c.refused(declare(&names[0]), 403, &reserved);
    c.call(passive(&names[0]));
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 3);
}

#[test]
fn q_02_quorum_queues_and_streams_need_a_name() {
    let mut c = Wire::open();
    for kind in ["quorum", "stream"] {
        let arguments = table! { "x-queue-type" => kind };
        let method = queue::Declare { durable: true, arguments: arguments.as_table(), exclusive: false, ..declare("") };
        let text = format!("Cannot declare a server-named queue for type rabbit_{kind}_queue");
        c.refused(method, 406, &text);
    }
}

#[test]
fn q_03_names_that_begin_with_amq_are_reserved() {
    let mut c = Wire::open();
    for q in ["amq.foo", "amq."] {
        c.refused(declare(q), 403, &format!("queue name '{q}' contains reserved prefix 'amq.*'"));
        c.refused(passive(q), 404, &no_queue(q));
    }
    let q = format!("AMQ.{}", name());
    c.call(declare(&q));
}

#[test]
fn q_04_passive_compares_nothing() {
    let mut c = Wire::open();
    let q = c.shared_queue();
    let arguments = table! { "x-max-length" => 5, "x-queue-type" => "quorum" };
    c.call(queue::Declare {
        durable: true,
        exclusive: true,
        auto_delete: true,
        arguments: arguments.as_table(),
        ..passive(&q)
    });
    c.send(1, queue::Declare { nowait: true, ..passive(&q) });
    c.quiet();
    c.call(delete(&q));
    c.refused(passive(&q), 404, &no_queue(&q));
    c.refused(passive(""), 404, &no_queue(""));
}

#[test]
fn q_07_an_exclusive_queue_belongs_to_its_connection() {
    let mut c = Wire::open();
    let q = c.bound("amq.direct", "q_07");
    c.open_channel(2);
    assert_eq!(c.counts_on(2, &q), (0, 0));
    let mut other = Wire::open();
    let methods: [Method<'_>; 9] = [
        declare(&q).into(),
        queue::Declare { exclusive: false, ..declare(&q) }.into(),
        passive(&q).into(),
        bind(&q, "amq.direct", "k").into(),
        unbind(&q, "amq.direct", "q_07").into(),
        consume(&q, "t").into(),
        get(&q).into(),
        purge(&q).into(),
        delete(&q).into(),
    ];
    for method in methods {
        other.refused(method, 405, &locked(&q));
    }
    other.call(confirm::Select::default());
    assert!(other.routes("", &q, &BasicProperties::default()));
    assert_eq!(c.counts(&q), (1, 0));
}

#[test]
fn q_07_exclusive_and_shared_cannot_be_exchanged() {
    let mut c = Wire::open();
    let q = c.queue();
    c.refused(queue::Declare { exclusive: false, ..declare(&q) }, 405, &locked(&q));
    c.call(queue::Declare { durable: true, ..declare(&q) });
    let shared = name();
    c.call(queue::Declare { exclusive: false, ..declare(&shared) });
    c.refused(declare(&shared), 405, &locked(&shared));
    c.call(delete(&shared));
}

#[test]
fn q_08_an_auto_delete_queue_goes_with_its_last_consumer() {
    let mut c = Wire::open();
    let q = name();
    c.call(queue::Declare { auto_delete: true, ..declare(&q) });
    assert_eq!(c.get(&q), None);
    c.open_channel(2);
    c.call(consume(&q, "t"));
    c.call_on(2, consume(&q, "t"));
    c.call(cancel("t"));
    assert_eq!(c.counts(&q), (0, 1));
    c.call_on(2, channel_close());
    eventually(|| {
        c.send(1, passive(&q));
        let gone = c.frame().name() == "channel.close";
        if gone {
            c.send(1, channel::CloseOk {});
            c.call(channel::Open {});
        }
        gone
    });
    c.call(queue::Declare { auto_delete: true, ..declare(&q) });
    c.call(consume(&q, "t"));
    c.call(cancel("t"));
    c.refused(passive(&q), 404, &no_queue(&q));
}

#[test]
fn q_09_a_transient_shared_queue_is_accepted() {
    let mut c = Wire::open();
    let q = name();
    c.call(queue::Declare { exclusive: false, ..declare(&q) });
    Wire::open().call(passive(&q));
    c.call(delete(&q));
}
