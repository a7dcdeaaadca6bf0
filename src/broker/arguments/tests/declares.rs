//! Declares one by one: flags, types, names, and values that the tables of answers do not hold.

use super::*;

#[test]
fn q_35_flags_that_quorum_queues_and_streams_cannot_have() {
    for queue_type in ["quorum", "stream"] {
        let plain = of_type(queue_type, &[]);
        for (given, property) in [
            ("", "non-durable"),
            ("da", "auto-delete"),
            ("dx", "exclusive-owner"),
            ("x", "exclusive-owner"),
            ("a", "auto-delete"),
            ("ax", "auto-delete"),
            ("dax", "auto-delete"),
        ] {
            let expected = format!("invalid property '{property}' for queue 'q' in vhost '/'");
            assert_eq!(flags(&plain, given), expected, "{queue_type} {given}");
            // Arguments come first, and the dead letter exchange before them.
            let bad = of_type(queue_type, &[("x-max-length-bytes", (-1).into())]);
            assert!(flags(&bad, given).ends_with("{value_negative,-1}"));
            let unsuitable = of_type(queue_type, &[("x-max-priority", 5.into())]);
            assert!(flags(&unsuitable, given).contains("of queue type rabbit_"));
            let exchange = of_type(queue_type, &[("x-dead-letter-exchange", 5.into())]);
            assert_eq!(
                flags(&exchange, given),
                "invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue 'q' in vhost '/'"
            );
        }
    }
}

#[test]
fn q_02_server_named_queues_are_classic() {
    for queue_type in ["quorum", "stream"] {
        let expected = format!("Cannot declare a server-named queue for type rabbit_{queue_type}_queue");
        for given in ["g", "gd", "gx", "gdax"] {
            let exchange = of_type(queue_type, &[("x-dead-letter-exchange", 5.into())]);
            assert_eq!(flags(&exchange, given), expected);
        }
    }
    assert_eq!(flags(&one("x-queue-type", "foo"), "gx"), "unknown queue type 'foo'");
    assert_eq!(flags(&one("x-queue-type", &b"\xff"[..]), "gd"), "unknown queue type 'ÿ'");
    for name in ["", "undefined", "classic"] {
        assert_eq!(flags(&one("x-queue-type", name), "gx"), "ok");
    }
    let default = declare(&with_flags(&FieldTable::default(), "gd"), QueueType::Quorum, Compat::V4_3);
    assert_eq!(answer(default), "Cannot declare a server-named queue for type rabbit_quorum_queue");
}

#[test]
fn q_10_the_default_type_is_written_into_the_arguments() {
    let arguments = one("x-zzz", 1);
    let classic = declared(&arguments).unwrap();
    assert_eq!(classic.arguments, table(&[("x-queue-type", "classic".into()), ("x-zzz", 1.into())]));
    let quorum = declare(&received(&arguments), QueueType::Quorum, Compat::V4_3).unwrap();
    assert_eq!(quorum.queue_type, QueueType::Quorum);
    assert_eq!(quorum.arguments.get("x-queue-type"), Some(&"quorum".into()));
    for given in ["", "dx", "da", "x"] {
        let other = declare(&with_flags(&arguments, given), QueueType::Quorum, Compat::V4_3).unwrap();
        assert_eq!(other.queue_type, QueueType::Classic, "{given}");
    }
    // What stands for the default is kept as it came.
    let placeholder = one("x-queue-type", "undefined");
    assert_eq!(declared(&placeholder).unwrap().arguments, placeholder);
}

#[test]
fn q_10_names_of_types() {
    for (name, printed) in [
        (&b"foo"[..], "\"unsupported queue type 'foo'\""),
        (b"Classic", "\"unsupported queue type 'Classic'\""),
        (b"rabbit_quorum_queue", "\"unsupported queue type 'rabbit_quorum_queue'\""),
        (b"a'b", "\"unsupported queue type 'a'b'\""),
        (b"\n", "\"unsupported queue type '\\n'\""),
        ("é".as_bytes(), "\"unsupported queue type 'é'\""),
        (b"\xff\xfe", "\"unsupported queue type 'ÿþ'\""),
        (
            "日本".as_bytes(),
            "[117,110,115,117,112,112,111,114,116,101,100,32,113,117,101,117,101,32,116,121,112,101,32,39,26085,26412,39]",
        ),
    ] {
        let expected = format!("invalid arg 'x-queue-type' for queue 'q' in vhost '/': {printed}");
        assert_eq!(answer(declared(&one("x-queue-type", name))), expected);
    }
}

#[test]
fn q_06_unsuitable_arguments_come_in_the_clients_order_only_if_it_named_the_type() {
    let both = [("x-max-age", FieldValue::from("1D")), ("x-delivery-limit", 1.into())];
    for (queue_type, first) in [
        (None, "x-delivery-limit"),
        (Some(""), "x-delivery-limit"),
        (Some("undefined"), "x-delivery-limit"),
        (Some("classic"), "x-max-age"),
    ] {
        let mut arguments = table(&both);
        if let Some(name) = queue_type {
            arguments.push("x-queue-type", name);
        }
        let expected = format!("invalid arg '{first}' for queue 'q' in vhost '/' of queue type rabbit_classic_queue");
        assert_eq!(answer(declared(&arguments)), expected, "{queue_type:?}");
    }
}

#[test]
fn q_06_the_first_of_two_entries_of_a_name_counts() {
    let twice = |a: i32, b: i32| -> FieldTable { [("x-expires", a), ("x-expires", b)].into_iter().collect() };
    assert_eq!(answer(declared(&twice(0, 1))), "invalid arg 'x-expires' for queue 'q' in vhost '/': {value_zero,0}");
    assert_eq!(declared(&twice(1, 0)).unwrap().expires_ms, Some(1));
}

#[test]
fn q_06_values_of_strings() {
    let invalid = |argument: &str, term: &str| format!("invalid arg '{argument}' for queue 'q' in vhost '/': {term}");
    for (queue_type, argument, good, bad, term) in [
        (
            "classic",
            "x-overflow",
            &["drop-head", "reject-publish", "reject-publish-dlx"][..],
            "Drop-Head",
            "invalid_overflow",
        ),
        ("quorum", "x-overflow", &["drop-head", "reject-publish", "reject-publish-dlx"], "", "invalid_overflow"),
        ("quorum", "x-dead-letter-strategy", &["at-most-once", "at-least-once"], "X", "invalid_dlx_strategy"),
        (
            "stream",
            "x-queue-leader-locator",
            &["client-local", "balanced", "random", "least-leaders", "min-masters"],
            "CLIENT-LOCAL",
            "invalid_queue_locator_arg",
        ),
    ] {
        for name in good {
            assert_eq!(answer(declared(&of_type(queue_type, &[(argument, (*name).into())]))), "ok");
        }
        let answer = answer(declared(&of_type(queue_type, &[(argument, bad.into())])));
        assert_eq!(answer, invalid(argument, term));
    }
    let key = |key: FieldValue| table(&[("x-dead-letter-exchange", "".into()), ("x-dead-letter-routing-key", key)]);
    let settings = declared(&key("k".into())).unwrap();
    assert_eq!(settings.dead_letter_exchange, Some(vec![]));
    assert_eq!(settings.dead_letter_routing_key, Some(b"k".to_vec()));
    let expected = invalid("x-dead-letter-routing-key", "{unacceptable_type,signedint}");
    assert_eq!(answer(declared(&key(5.into()))), expected);
}

#[test]
fn d_3_what_the_lines_refuse_of_a_classic_queue() {
    let declare = |argument: &str, value: FieldValue, compat| {
        let arguments = one(argument, value);
        answer(declare(&received(&arguments), QueueType::Classic, compat))
    };
    for compat in [Compat::Lenient, Compat::V4_2, Compat::V3_13] {
        assert_eq!(declare("x-queue-master-locator", "min-masters".into(), compat), "ok");
        assert_eq!(declare("x-queue-version", 1.into(), compat), "ok");
        let expected = "invalid arg 'x-queue-version' for queue 'q' in vhost '/': \"unsupported queue version '3'\"";
        assert_eq!(declare("x-queue-version", 3.into(), compat), expected);
    }
    let locator = one("x-queue-master-locator", "min-masters");
    let refused = declared(&locator).unwrap_err();
    assert_eq!(refused.reply_code(), 541);
    assert!(refused.closes_connection());
    assert_eq!(declare("x-queue-mode", "foo".into(), Compat::Lenient), "ok");
    assert!(declare("x-queue-mode", "foo".into(), Compat::V4_2).ends_with("\"unsupported queue mode 'foo'\""));
}

#[test]
fn q_06_typed_settings() {
    let quorum = of_type(
        "quorum",
        &[
            ("x-expires", 60_000.into()),
            ("x-message-ttl", 0.into()),
            ("x-max-length", 1.into()),
            ("x-max-length-bytes", 2.into()),
            ("x-overflow", "reject-publish".into()),
            ("x-single-active-consumer", true.into()),
            ("x-delivery-limit", (-1).into()),
            ("x-dead-letter-strategy", "at-least-once".into()),
            ("x-consumer-timeout", 7.into()),
            ("x-delayed-retry-type", "failed".into()),
            ("x-delayed-retry-min", 300.into()),
            ("x-delayed-retry-max", "x".into()),
            ("x-quorum-initial-group-size", 3.into()),
            ("x-queue-leader-locator", "random".into()),
        ],
    );
    let settings = declared(&quorum).unwrap();
    let expected = QueueSettings {
        expires_ms: Some(60_000),
        message_ttl_ms: Some(0),
        max_length: Some(1),
        max_length_bytes: Some(2),
        overflow: Overflow::RejectPublish,
        single_active_consumer: true,
        delivery_limit: Some(-1),
        dead_letter_strategy: DeadLetterStrategy::AtLeastOnce,
        consumer_timeout_ms: Some(7),
        delayed_retry: DelayedRetry { retry_type: DelayedRetryType::Failed, min_ms: Some(300), max_ms: None },
        arguments: quorum.clone(),
        ..declared(&of_type("quorum", &[])).unwrap()
    };
    assert_eq!(settings, expected);
    assert_eq!(declared(&one("x-max-priority", 255)).unwrap().max_priority, Some(255));
    assert!(!declare(&with_flags(&FieldTable::default(), "dx"), QueueType::Classic, Compat::V4_3).unwrap().durable);
}
