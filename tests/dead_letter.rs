//! Dead letters: why, where to, and what they carry.

use crate::support::*;

#[test]
fn q_25_a_rejected_message_carries_its_death_with_rabbitmqs_types_in_order() {
    let mut c = Wire::open();
    let dead = c.queue();
    let q = c.queue_with(&dying_to(&dead, &[]));
    let headers = table! { "zz" => 1, "aa" => "b" };
    c.put(&q, "1", &with!(headers: headers.as_table(), expiration: b"60000", priority: 3, message_id: b"m"));
    c.reject_first(&q);
    let message = c.await_get(&dead);
    assert_eq!((message.exchange.as_str(), message.routing_key.as_str()), ("", dead.as_str()));
    let properties = message.properties();
    assert_eq!((properties.expiration, properties.priority), (None, Some(3)));
    assert_eq!(properties.message_id, Some(&b"m"[..]));
    let headers = message.headers();
    let names: Vec<_> = headers.iter().map(|(name, _)| String::from_utf8(name.to_vec()).unwrap()).collect();
    assert_eq!(
        names,
        [
            "aa",
            "x-death",
            "x-first-death-exchange",
            "x-first-death-queue",
            "x-first-death-reason",
            "x-last-death-exchange",
            "x-last-death-queue",
            "x-last-death-reason",
            "zz"
        ]
    );
    let Some(FieldValue::Array(deaths)) = headers.get("x-death") else { panic!("{headers:?}") };
    let [FieldValue::Table(death)] = deaths.as_slice() else { panic!("{deaths:?}") };
    let names: Vec<_> = death.iter().map(|(name, _)| String::from_utf8(name.to_vec()).unwrap()).collect();
    assert_eq!(names, ["original-expiration", "count", "reason", "queue", "time", "exchange", "routing-keys"]);
    assert_eq!(death.get("original-expiration"), Some(&FieldValue::from("60000")));
    assert_eq!(death.get("count"), Some(&FieldValue::I64(1)));
    assert!(matches!(death.get("time"), Some(FieldValue::Timestamp(_))));
    assert_eq!(death.get("routing-keys"), Some(&FieldValue::Array(vec![FieldValue::from(q.as_str())])));
}

#[test]
fn q_23_each_reason_is_told() {
    let mut c = Wire::open();
    let dead = c.queue();
    let expiring = c.queue_with(&dying_to(&dead, args!["x-message-ttl" => 20]));
    c.put(&expiring, "1", &plain());
    assert_eq!(deaths(&c.await_get(&dead)), [format!("{expiring} expired 1")]);
    let short = c.queue_with(&dying_to(&dead, args!["x-max-length" => 1]));
    c.fill_queue(&short, &["1", "2"]);
    assert_eq!(deaths(&c.await_get(&dead)), [format!("{short} maxlen 1")]);
    let full = c.queue_with(&dying_to(&dead, args!["x-max-length" => 1, "x-overflow" => "reject-publish-dlx"]));
    assert!(c.put(&full, "1", &plain()));
    assert!(!c.put(&full, "2", &plain()));
    let message = c.await_get(&dead);
    assert_eq!((message.told(), deaths(&message)), ("2".to_owned(), vec![format!("{full} maxlen 1")]));
    let limited = c.durable_with(&quorum_dying_to(&dead, args!["x-delivery-limit" => 1]));
    c.put(&limited, "1", &plain());
    for _ in 0..2 {
        let tag = c.await_get(&limited).delivery_tag;
        c.send(1, reject(tag, true));
    }
    assert_eq!(deaths(&c.await_get(&dead)), [format!("{limited} delivery_limit 1")]);
}

#[test]
fn q_23_purging_and_deleting_kill_nothing() {
    let mut c = Wire::open();
    let dead = c.queue();
    let q = c.queue_with(&dying_to(&dead, &[]));
    c.fill_queue(&q, &["1", "2"]);
    c.call(purge(&q));
    c.fill_queue(&q, &["3"]);
    c.call(delete(&q));
    assert_eq!(c.counts(&dead).0, 0);
}

#[test]
fn q_24_without_a_key_cc_and_bcc_go_along_and_bcc_is_told_to_nobody() {
    let mut c = Wire::open();
    let x = c.exchange("direct");
    let q = c.queue_with(&table! { "x-dead-letter-exchange" => x.as_str() });
    let (to_key, to_cc, to_bcc) = (c.bound(&x, &q), c.bound(&x, "cc"), c.bound(&x, "bcc"));
    let key = |key: &str| FieldValue::Array(vec![FieldValue::from(key)]);
    let headers = table! { "CC" => key("cc"), "BCC" => key("bcc") };
    c.put(&q, "1", &with!(headers: headers.as_table()));
    c.reject_first(&q);
    for queue in [&to_key, &to_cc, &to_bcc] {
        let message = c.await_get(queue);
        assert_eq!(message.routing_key, q);
        let headers = message.headers();
        assert_eq!(headers.get("BCC"), None);
        let Some(FieldValue::Array(deaths)) = headers.get("x-death") else { panic!("{headers:?}") };
        let FieldValue::Table(death) = &deaths[0] else { panic!("{deaths:?}") };
        let keys = FieldValue::Array(vec![FieldValue::from(q.as_str()), FieldValue::from("cc")]);
        assert_eq!(death.get("routing-keys"), Some(&keys));
    }
}

#[test]
fn q_25_a_key_that_is_in_bcc_too_is_told_later() {
    let mut c = Wire::open();
    let dead = c.queue();
    let q = c.queue_with(&dying_to(&dead, &[]));
    let keys = |keys: &[&str]| FieldValue::Array(keys.iter().map(|key| FieldValue::from(*key)).collect());
    for (cc, bcc, told) in [
        (["b", "a"], ["a", "x"], vec![&*q, "b", "a"]),
        (["b", "a"], ["x", "y"], vec![&*q, "b", "a"]),
        (["a", "b"], [&*q, "x"], vec!["a", "b", &*q]),
        (["a", "b"], ["a", "a"], vec![&*q, "b", "a"]),
    ] {
        let headers = table! { "CC" => keys(&cc), "BCC" => keys(&bcc) };
        c.put(&q, "1", &with!(headers: headers.as_table()));
        c.reject_first(&q);
        let headers = c.await_get(&dead).headers();
        let Some(FieldValue::Array(deaths)) = headers.get("x-death") else { panic!("{headers:?}") };
        let FieldValue::Table(death) = &deaths[0] else { panic!("{deaths:?}") };
        assert_eq!(death.get("routing-keys"), Some(&keys(&told)));
    }
}

#[test]
fn q_24_a_dead_letter_exchange_that_is_missing_drops_and_an_alternate_one_counts() {
    let mut c = Wire::open();
    let missing = name();
    let q = c.queue_with(&table! { "x-dead-letter-exchange" => missing.as_str() });
    c.fill_queue(&q, &["1"]);
    c.reject_first(&q);
    assert_eq!(c.counts(&q), (0, 0));
    let other = c.exchange("fanout");
    let dead = c.bound(&other, "");
    let x = c.exchange_before("direct", &other);
    let q = c.queue_with(&table! { "x-dead-letter-exchange" => x.as_str() });
    c.fill_queue(&q, &["2"]);
    c.reject_first(&q);
    assert_eq!(c.await_get(&dead).exchange, x);
}

#[test]
fn q_25_a_death_that_repeats_is_counted_and_moves_to_the_front() {
    let mut c = Wire::open();
    let (work, wait) = (name(), name());
    for (q, arguments) in [(&work, dying_to(&wait, &[])), (&wait, dying_to(&work, args!["x-message-ttl" => 20]))] {
        c.call(queue::Declare { arguments: arguments.as_table(), ..declare(q) });
    }
    c.put(&work, "1", &plain());
    for round in 1..=3 {
        c.reject_first(&work);
        c.await_ready(&work, 1);
        let message = c.get(&work).unwrap();
        assert_eq!(deaths(&message), [format!("{wait} expired {round}"), format!("{work} rejected {round}")]);
        let headers = message.headers();
        assert_eq!(headers.get("x-first-death-queue"), Some(&FieldValue::from(work.as_str())));
        assert_eq!(headers.get("x-last-death-reason"), Some(&FieldValue::from("expired")));
        c.send(1, nack(message.delivery_tag, true));
        c.await_ready(&work, 1);
    }
}

#[test]
fn q_26_the_first_death_is_kept_and_the_last_one_told() {
    let mut c = Wire::open();
    let last = c.queue();
    let middle = c.queue_with(&dying_to(&last, args!["x-message-ttl" => 20]));
    let first = c.queue_with(&dying_to(&middle, &[]));
    c.put(&first, "1", &plain());
    c.reject_first(&first);
    let headers = c.await_get(&last).headers();
    let told = [("first", "rejected", &first), ("last", "expired", &middle)];
    for (which, reason, queue) in told {
        let header = |what: &str| headers.get(&format!("x-{which}-death-{what}")).cloned();
        assert_eq!(header("reason"), Some(FieldValue::from(reason)));
        assert_eq!(header("queue"), Some(FieldValue::from(queue.as_str())));
        assert_eq!(header("exchange"), Some(FieldValue::from("")));
    }
}

#[test]
fn q_27_deaths_that_a_client_publishes_do_not_count() {
    let mut c = Wire::open();
    let dead = c.queue();
    let q = c.queue_with(&dying_to(&dead, &[]));
    c.put(&q, "1", &plain());
    c.reject_first(&q);
    let headers = EncodedTable::from(&c.await_get(&dead).headers());
    c.put(&q, "2", &with!(headers: headers.as_table()));
    let again = c.await_get(&q);
    assert_eq!(deaths(&again), [format!("{q} rejected 1")], "they pass through");
    c.send(1, reject(again.delivery_tag, false));
    assert_eq!(deaths(&c.await_get(&dead)), [format!("{q} rejected 1")]);
}

#[test]
fn q_28_circles_without_a_reject_end_and_those_with_one_go_on() {
    let mut c = Wire::open();
    let x = c.exchange("fanout");
    let arguments = table! { "x-dead-letter-exchange" => x.as_str(), "x-message-ttl" => 20 };
    let ring = c.queue_with(&arguments);
    c.call(bind(&ring, &x, ""));
    let other = c.bound(&x, "");
    c.put(&ring, "1", &plain());
    assert_eq!(deaths(&c.await_get(&other)), [format!("{ring} expired 1")]);
    assert_eq!(c.counts(&ring).0, 0);
    let own = name();
    let arguments = dying_to(&own, &[]);
    c.call(queue::Declare { arguments: arguments.as_table(), ..declare(&own) });
    c.put(&own, "1", &plain());
    for _ in 0..3 {
        c.reject_first(&own);
    }
    let message = c.await_get(&own);
    assert_eq!((message.redelivered, deaths(&message)), (true, vec![format!("{own} rejected 3")]));
}

#[test]
fn q_24_a_queue_that_keeps_its_dead_letters_gives_them_to_a_queue_that_takes_them() {
    let mut c = Wire::open();
    let dead = c.quorum(&[]);
    let strategy = args!["x-dead-letter-strategy" => "at-least-once", "x-overflow" => "reject-publish"];
    let q = c.durable_with(&quorum_dying_to(&dead, strategy));
    c.put(&q, "1", &plain());
    c.reject_first(&q);
    let message = c.await_get(&dead);
    assert_eq!((message.redelivered, counts_told(&message)), (true, (Some(1), Some(1))));
    assert_eq!(deaths(&message), [format!("{q} rejected 1")]);
}

#[test]
fn q_24_a_dead_letter_that_no_queue_takes_is_tried_again() {
    if !ours_only() {
        return; // RabbitMQ does so too, after three minutes
    }
    let mut c = Wire::open();
    let dead = name();
    let strategy = args!["x-dead-letter-strategy" => "at-least-once", "x-overflow" => "reject-publish"];
    let q = c.durable_with(&quorum_dying_to(&dead, strategy));
    c.put(&q, "1", &plain());
    c.reject_first(&q);
    assert_eq!(c.counts(&q).0, 0);
    c.call(declare(&dead));
    assert_eq!(deaths(&c.await_get(&dead)), [format!("{q} rejected 1")]);
}
