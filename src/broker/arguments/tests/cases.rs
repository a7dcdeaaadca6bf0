//! Declares and redeclares one by one: flags, types, names, and values that the tables of answers do not hold.

use super::*;

fn flags(arguments: &FieldTable, flags: &str) -> String {
    answer(declare(
        &with_flags(arguments, flags),
        QueueType::Classic,
        Compat::V4_3,
    ))
}

/// `flags` holds d for durable, x for exclusive, a for auto-delete, g for server-named.
fn with_flags<'a>(arguments: &'a FieldTable, flags: &str) -> ReceivedDeclare<'a> {
    ReceivedDeclare {
        server_named: flags.contains('g'),
        durable: flags.contains('d'),
        exclusive: flags.contains('x'),
        auto_delete: flags.contains('a'),
        ..received(arguments)
    }
}

/// Declares with the first flags and entries, then redeclares with the second.
fn again(first: (&str, &FieldTable), second: (&str, &FieldTable)) -> String {
    let first = with_flags(first.1, first.0);
    let current = declare(&first, QueueType::Classic, Compat::V4_3).unwrap();
    answer(redeclare(
        &current,
        &with_flags(second.1, second.0),
        QueueType::Classic,
    ))
}

fn one(argument: &str, value: impl Into<FieldValue>) -> FieldTable {
    table(&[(argument, value.into())])
}

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
        let expected =
            format!("Cannot declare a server-named queue for type rabbit_{queue_type}_queue");
        for given in ["g", "gd", "gx", "gdax"] {
            let exchange = of_type(queue_type, &[("x-dead-letter-exchange", 5.into())]);
            assert_eq!(flags(&exchange, given), expected);
        }
    }
    assert_eq!(
        flags(&one("x-queue-type", "foo"), "gx"),
        "unknown queue type 'foo'"
    );
    assert_eq!(
        flags(&one("x-queue-type", &b"\xff"[..]), "gd"),
        "unknown queue type 'ÿ'"
    );
    for name in ["", "undefined", "classic"] {
        assert_eq!(flags(&one("x-queue-type", name), "gx"), "ok");
    }
    let default = declare(
        &with_flags(&FieldTable::default(), "gd"),
        QueueType::Quorum,
        Compat::V4_3,
    );
    assert_eq!(
        answer(default),
        "Cannot declare a server-named queue for type rabbit_quorum_queue"
    );
}

#[test]
fn q_10_the_default_type_is_written_into_the_arguments() {
    let arguments = one("x-zzz", 1);
    let classic = declared(&arguments).unwrap();
    assert_eq!(
        classic.arguments,
        table(&[("x-queue-type", "classic".into()), ("x-zzz", 1.into())])
    );
    let quorum = declare(&received(&arguments), QueueType::Quorum, Compat::V4_3).unwrap();
    assert_eq!(quorum.queue_type, QueueType::Quorum);
    assert_eq!(quorum.arguments.get("x-queue-type"), Some(&"quorum".into()));
    for given in ["", "dx", "da", "x"] {
        let other = declare(
            &with_flags(&arguments, given),
            QueueType::Quorum,
            Compat::V4_3,
        )
        .unwrap();
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
        (
            b"rabbit_quorum_queue",
            "\"unsupported queue type 'rabbit_quorum_queue'\"",
        ),
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
    let both = [
        ("x-max-age", FieldValue::from("1D")),
        ("x-delivery-limit", 1.into()),
    ];
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
        let expected = format!(
            "invalid arg '{first}' for queue 'q' in vhost '/' of queue type rabbit_classic_queue"
        );
        assert_eq!(answer(declared(&arguments)), expected, "{queue_type:?}");
    }
}

#[test]
fn q_06_the_first_of_two_entries_of_a_name_counts() {
    let twice = |a: i32, b: i32| -> FieldTable {
        [("x-expires", a), ("x-expires", b)].into_iter().collect()
    };
    assert_eq!(
        answer(declared(&twice(0, 1))),
        "invalid arg 'x-expires' for queue 'q' in vhost '/': {value_zero,0}"
    );
    assert_eq!(declared(&twice(1, 0)).unwrap().expires_ms, Some(1));
}

#[test]
fn q_06_values_of_strings() {
    let invalid = |argument: &str, term: &str| {
        format!("invalid arg '{argument}' for queue 'q' in vhost '/': {term}")
    };
    for (queue_type, argument, good, bad, term) in [
        (
            "classic",
            "x-overflow",
            &["drop-head", "reject-publish", "reject-publish-dlx"][..],
            "Drop-Head",
            "invalid_overflow",
        ),
        (
            "quorum",
            "x-overflow",
            &["drop-head", "reject-publish", "reject-publish-dlx"],
            "",
            "invalid_overflow",
        ),
        (
            "quorum",
            "x-dead-letter-strategy",
            &["at-most-once", "at-least-once"],
            "X",
            "invalid_dlx_strategy",
        ),
        (
            "stream",
            "x-queue-leader-locator",
            &[
                "client-local",
                "balanced",
                "random",
                "least-leaders",
                "min-masters",
            ],
            "CLIENT-LOCAL",
            "invalid_queue_locator_arg",
        ),
    ] {
        for name in good {
            assert_eq!(
                answer(declared(&of_type(
                    queue_type,
                    &[(argument, (*name).into())]
                ))),
                "ok"
            );
        }
        let answer = answer(declared(&of_type(queue_type, &[(argument, bad.into())])));
        assert_eq!(answer, invalid(argument, term));
    }
    let key = |key: FieldValue| {
        table(&[
            ("x-dead-letter-exchange", "".into()),
            ("x-dead-letter-routing-key", key),
        ])
    };
    let settings = declared(&key("k".into())).unwrap();
    assert_eq!(settings.dead_letter_exchange, Some(vec![]));
    assert_eq!(settings.dead_letter_routing_key, Some(b"k".to_vec()));
    let expected = invalid("x-dead-letter-routing-key", "{unacceptable_type,signedint}");
    assert_eq!(answer(declared(&key(5.into()))), expected);
}

#[test]
fn q_39_max_age_is_a_number_and_a_unit() {
    let declared_age = |age: &str| declared(&of_type("stream", &[("x-max-age", age.into())]));
    for (age, ms) in [
        ("1D", 86_400_000),
        ("24h", 86_400_000),
        ("1440m", 86_400_000),
        ("86400s", 86_400_000),
        ("01D", 86_400_000),
        ("1Y", 31_536_000_000),
        ("1M", 2_592_000_000),
        ("1D\n", 86_400_000),
        ("99999999999999999999D", u64::MAX),
    ] {
        assert_eq!(declared_age(age).unwrap().max_age_ms, Some(ms), "{age}");
    }
    for age in [
        "0D", "", "D", "1", " 1D", "1D ", "1Y2M", "-1D", "+1D", "1.5D", "1d", "1H", "1S", "1\n",
        "1DD", "d1", "1é", "１D",
    ] {
        let expected = "invalid arg 'x-max-age' for queue 'q' in vhost '/': invalid_max_age";
        assert_eq!(answer(declared_age(age)), expected, "{age}");
    }
}

#[test]
fn q_05_max_age_is_compared_in_milliseconds() {
    for (current, received_label, words) in [
        ("S:1D", "S:24h", None),
        ("S:1Y", "S:365D", None),
        (
            "S:1D",
            "S:2D",
            Some("received '172800000' but current is '86400000'"),
        ),
        (
            "S:1D",
            "none",
            Some("received none but current is the value '86400000' of type 'longstr'"),
        ),
        (
            "none",
            "S:1D",
            Some("received the value '86400000' of type 'longstr' but current is none"),
        ),
        (
            "S:1D",
            "S:foo",
            Some("received 'foo' but current is '86400000'"),
        ),
        (
            "none",
            "S:foo",
            Some("received the value 'foo' of type 'longstr' but current is none"),
        ),
        (
            "S:1D",
            "I:86400000",
            Some("received '86400000' but current is '86400000'"),
        ),
        (
            "none",
            "I:5",
            Some("received the value '5' of type 'signedint' but current is none"),
        ),
        (
            "S:1D",
            "x:1D",
            Some("received '1D' but current is '86400000'"),
        ),
        (
            "S:1D",
            "S:0D",
            Some("received '0D' but current is '86400000'"),
        ),
        (
            "S:1D",
            "S:99999999999999999999D",
            Some("received '8639999999999999999913600000' but current is '86400000'"),
        ),
        ("S:99999999999999999999D", "S:99999999999999999999D", None),
    ] {
        let age = |label| of_type("stream", value(label).map(|v| ("x-max-age", v)).as_slice());
        let prefix = "inequivalent arg 'x-max-age' for queue 'q' in vhost '/': ";
        let expected = words.map_or_else(|| "ok".to_owned(), |words| format!("{prefix}{words}"));
        assert_eq!(
            again(("d", &age(current)), ("d", &age(received_label))),
            expected,
            "{received_label}"
        );
    }
}

#[test]
fn q_05_flags_come_before_arguments() {
    let none = FieldTable::default();
    let ttl = one("x-message-ttl", 10);
    let locked = "405 cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be originally declared on \
                  another connection or the exclusive property value does not match that of the original declaration.";
    let differs = |property: &str, received: bool| {
        format!(
            "inequivalent arg '{property}' for queue 'q' in vhost '/': received '{received}' but current is '{}'",
            !received
        )
    };
    for (first, second, expected) in [
        ("d", "x", locked.to_owned()), ("x", "", locked.to_owned()), ("x", "d", locked.to_owned()),
        ("d", "", differs("durable", false)), ("", "d", differs("durable", true)), ("d", "a", differs("durable", false)),
        ("x", "xa", differs("auto_delete", true)), ("xa", "x", differs("auto_delete", false)),
        ("x", "xd", "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received the value '10' of type 'signedint' but current is none".to_owned()),
    ] {
        assert_eq!(again((first, &none), (second, &ttl)), expected, "{first} then {second}");
    }
    assert_eq!(again(("x", &none), ("xd", &none)), "ok");
    assert_eq!(again(("xd", &none), ("x", &none)), "ok");
}

#[test]
fn q_05_a_redeclare_compares_and_does_not_validate() {
    let words = |argument: &str, words: &str| {
        format!("inequivalent arg '{argument}' for queue 'q' in vhost '/': {words}")
    };
    for (argument, label, expected) in [
        (
            "x-dead-letter-exchange",
            "I:5",
            "received the value '5' of type 'signedint' but current is none",
        ),
        (
            "x-queue-type",
            "S:foo",
            "received 'foo' but current is 'classic'",
        ),
        (
            "x-queue-type",
            "I:5",
            "received '5' but current is 'classic'",
        ),
        ("x-queue-type", "S:", "received '' but current is 'classic'"),
        (
            "x-queue-type",
            "S:quorum",
            "received 'quorum' but current is 'classic'",
        ),
        (
            "x-queue-master-locator",
            "S:min-masters",
            "received the value 'min-masters' of type 'longstr' but current is none",
        ),
        (
            "x-dead-letter-routing-key",
            "S:k",
            "received the value 'k' of type 'longstr' but current is none",
        ),
        (
            "x-message-ttl",
            "I:-1",
            "received the value '-1' of type 'signedint' but current is none",
        ),
    ] {
        let second = one(argument, value(label).unwrap());
        assert_eq!(
            again(("d", &FieldTable::default()), ("d", &second)),
            words(argument, expected)
        );
    }
    let unsuitable = one("x-max-age", "1D");
    assert_eq!(
        again(("d", &FieldTable::default()), ("d", &unsuitable)),
        "ok"
    );
    let ttl = |v: FieldValue| one("x-message-ttl", v);
    let expected = words("x-message-ttl", "received 'a' but current is '5'");
    assert_eq!(
        again(("d", &ttl(5.into())), ("d", &ttl("a".into()))),
        expected
    );
}

#[test]
fn q_05_types_are_compared_by_name() {
    for (first, second, expected) in [
        ("classic", None, None),
        ("undefined", Some("undefined"), None),
        ("", None, Some("received 'classic' but current is ''")),
        (
            "quorum",
            None,
            Some("received 'classic' but current is 'quorum'"),
        ),
        (
            "quorum",
            Some("stream"),
            Some("received 'stream' but current is 'quorum'"),
        ),
        (
            "undefined",
            Some("classic"),
            Some("received 'classic' but current is 'undefined'"),
        ),
    ] {
        let second = second.map_or_else(FieldTable::default, |name| one("x-queue-type", name));
        let prefix = "inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': ";
        let expected = expected.map_or_else(|| "ok".to_owned(), |words| format!("{prefix}{words}"));
        assert_eq!(
            again(("d", &one("x-queue-type", first)), ("d", &second)),
            expected
        );
    }
}

#[test]
fn q_05_the_first_difference_in_the_types_order_is_named() {
    for (queue_type, expected) in [
        (
            "classic",
            "x-expires x-message-ttl x-dead-letter-exchange x-dead-letter-routing-key x-max-length x-max-length-bytes \
          x-max-priority x-overflow x-queue-mode x-queue-version x-single-active-consumer x-queue-type \
          x-queue-master-locator x-queue-leader-locator",
        ),
        (
            "quorum",
            "x-dead-letter-exchange x-dead-letter-routing-key x-dead-letter-strategy x-expires x-max-length \
          x-max-length-bytes x-max-in-memory-length x-max-in-memory-bytes x-overflow x-single-active-consumer x-queue-type \
          x-quorum-initial-group-size x-delivery-limit x-message-ttl x-queue-leader-locator \
          x-consumer-disconnected-timeout x-consumer-timeout x-delayed-retry-type x-delayed-retry-min x-delayed-retry-max",
        ),
        (
            "stream",
            "x-max-length-bytes x-queue-type x-max-age x-stream-max-segment-size-bytes x-stream-filter-size-bytes \
          x-initial-cluster-size x-queue-leader-locator",
        ),
    ] {
        let current = of_type(queue_type, &[]);
        let names: Vec<_> = expected.split_whitespace().collect();
        for from in 0..names.len() {
            let mut second = current.clone();
            for name in names[from..].iter().rev() {
                second.insert(*name, "other");
            }
            let answer = again(("d", &current), ("d", &second));
            assert!(
                answer.starts_with(&format!("inequivalent arg '{}' ", names[from])),
                "{answer}"
            );
        }
    }
}

#[test]
fn q_05_long_terms_are_broken_into_lines() {
    let mode = |value: FieldValue| one("x-queue-mode", value);
    let numbers = |n: i32| FieldValue::Array((0..n).map(FieldValue::from).collect());
    let words = |n: i32| FieldValue::Array((0..n).map(|i| format!("word{i}").into()).collect());
    let missing = |value| again(("d", &FieldTable::default()), ("d", &mode(value)));
    let differs = |value| again(("d", &mode(value)), ("d", &mode("b".into())));
    assert!(missing(numbers(4)).ends_with("value '[{signedint,0},{signedint,1},{signedint,2},{signedint,3}]' of type 'array' but current is none"));
    assert!(missing(numbers(5)).contains(
        "value '[{signedint,0},\n            {signedint,1},\n            {signedint,2},"
    ));
    assert!(differs(numbers(5)).contains("{signedint,0},{signedint,1},"));
    assert!(differs(numbers(6)).ends_with("current is '[{signedint,0},\n  {signedint,1},\n  {signedint,2},\n  {signedint,3},\n  {signedint,4},\n  {signedint,5}]'"));
    assert!(
        missing(words(3))
            .contains("{longstr,<<\"word0\">>},{longstr,<<\"word1\">>},{longstr,<<\"word2\">>}]'")
    );
    assert!(missing(words(4)).contains("{longstr,<<\"word0\">>},\n            {longstr"));
    let mixed = [
        "é".into(),
        "日本".into(),
        FieldValue::from(&b"\xff\0"[..]),
        "a\"b\\c".into(),
        "\n\t".into(),
    ];
    assert!(differs(FieldValue::Array(mixed.to_vec())).ends_with(
        "<<\"é\"/utf8>>},\n  {longstr,<<\"日本\"/utf8>>},\n  {longstr,<<255,0>>},\n  {longstr,<<\"a\\\"b\\\\c\">>},\n  {longstr,<<\"\\n\\t\">>}]'"
    ));
}

#[test]
fn q_39_sizes_of_a_stream() {
    let size =
        |argument: &str, n: i64| answer(declared(&of_type("stream", &[(argument, n.into())])));
    assert_eq!(size("x-stream-max-segment-size-bytes", 3_000_000_000), "ok");
    for (n, expected) in [
        (15, "Invalid value for x-stream-filter-size-bytes"),
        (16, "ok"),
        (255, "ok"),
    ] {
        assert_eq!(size("x-stream-filter-size-bytes", n), expected);
    }
    let both = [
        ("x-stream-max-segment-size-bytes", 4_000_000_000_i64.into()),
        ("x-stream-filter-size-bytes", 4.into()),
    ];
    let both = of_type("stream", &both);
    assert_eq!(
        flags(&both, "d"),
        "Exceeded max value for x-stream-max-segment-size-bytes"
    );
    assert_eq!(
        flags(&both, "x"),
        "invalid property 'exclusive-owner' for queue 'q' in vhost '/'"
    );
}

#[test]
fn q_39_offsets_of_a_stream() {
    let offset = |value: FieldValue| {
        ConsumerArguments::parse(Q, QueueType::Stream, &one("x-stream-offset", value))
    };
    for (value, expected) in [
        ("first".into(), StreamOffset::First),
        ("last".into(), StreamOffset::Last),
        ("next".into(), StreamOffset::Next),
        ("7D".into(), StreamOffset::Age(604_800_000)),
        (FieldValue::I32(-1), StreamOffset::Offset(-1)),
        (FieldValue::Timestamp(99), StreamOffset::Timestamp(99)),
    ] {
        assert_eq!(offset(value).unwrap().stream_offset, expected);
    }
    for (value, printed) in [
        ("1d".into(), "{longstr,<<\"1d\">>}"),
        ("".into(), "{longstr,<<>>}"),
        ("é".into(), "{longstr,<<\"Ã©\">>}"),
        ("1\n".into(), "{longstr,<<\"1\\n\">>}"),
        (FieldValue::from(&b"\xff\0"[..]), "{longstr,<<255,0>>}"),
        (FieldValue::Bool(true), "{bool,true}"),
        (FieldValue::F64(1.5), "{double,1.5}"),
    ] {
        let expected = format!(
            "invalid arg 'x-stream-offset' for queue 'q' in vhost '/': {{invalid_stream_offset_arg,{printed}}}"
        );
        assert_eq!(answer(offset(value)), expected);
    }
}

#[test]
fn q_39_filters_of_a_stream() {
    let filter = |value: FieldValue| {
        ConsumerArguments::parse(Q, QueueType::Stream, &one("x-stream-filter", value))
            .map(|a| a.stream_filter)
    };
    assert_eq!(filter("a".into()).unwrap(), [b"a"]);
    assert_eq!(
        filter(FieldValue::Array(vec!["a".into(), 1.into(), "b".into()])).unwrap(),
        [b"a", b"b"]
    );
    assert!(filter(1.into()).unwrap().is_empty());
    assert_eq!(
        answer(filter(FieldValue::Array(vec![]))),
        "invalid arg 'x-stream-filter' for queue 'q' in vhost '/': {invalid_stream_filter_arg,{array,[]}}"
    );
}

#[test]
fn q_31_the_priority_comes_before_arguments_of_other_types() {
    let entries = [
        ("x-stream-offset", FieldValue::from("zz")),
        ("x-priority", "a".into()),
    ];
    let parse = |queue_type| answer(ConsumerArguments::parse(Q, queue_type, &table(&entries)));
    let priority =
        "invalid arg 'x-priority' for queue 'q' in vhost '/': \"expected integer, got longstr\"";
    assert_eq!(parse(QueueType::Classic), priority);
    assert_eq!(parse(QueueType::Quorum), priority);
    assert!(parse(QueueType::Stream).ends_with("{invalid_stream_offset_arg,{longstr,<<\"zz\">>}}"));
    let arguments = table(&[("x-priority", 5.into()), ("x-consumer-timeout", 9.into())]);
    let consumer = ConsumerArguments::parse(Q, QueueType::Quorum, &arguments).unwrap();
    assert_eq!((consumer.priority, consumer.timeout_ms), (5, Some(9)));
}

#[test]
fn d_3_what_the_lines_refuse_of_a_classic_queue() {
    let declare = |argument: &str, value: FieldValue, compat| {
        let arguments = one(argument, value);
        answer(declare(&received(&arguments), QueueType::Classic, compat))
    };
    for compat in [Compat::Lenient, Compat::V4_2, Compat::V3_13] {
        assert_eq!(
            declare("x-queue-master-locator", "min-masters".into(), compat),
            "ok"
        );
        assert_eq!(declare("x-queue-version", 1.into(), compat), "ok");
        let expected = "invalid arg 'x-queue-version' for queue 'q' in vhost '/': \"unsupported queue version '3'\"";
        assert_eq!(declare("x-queue-version", 3.into(), compat), expected);
    }
    let locator = one("x-queue-master-locator", "min-masters");
    let refused = declared(&locator).unwrap_err();
    assert_eq!(refused.reply_code(), 541);
    assert!(refused.closes_connection());
    assert_eq!(declare("x-queue-mode", "foo".into(), Compat::Lenient), "ok");
    assert!(
        declare("x-queue-mode", "foo".into(), Compat::V4_2)
            .ends_with("\"unsupported queue mode 'foo'\"")
    );
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
        delayed_retry: DelayedRetry {
            retry_type: DelayedRetryType::Failed,
            min_ms: Some(300),
            max_ms: None,
        },
        initial_group_size: Some(3),
        leader_locator: Some(LeaderLocator::Balanced),
        arguments: quorum.clone(),
        ..declared(&of_type("quorum", &[])).unwrap()
    };
    assert_eq!(settings, expected);
    assert_eq!(
        declared(&one("x-max-priority", 255)).unwrap().max_priority,
        Some(255)
    );
    assert!(
        !declare(
            &with_flags(&FieldTable::default(), "dx"),
            QueueType::Classic,
            Compat::V4_3
        )
        .unwrap()
        .durable
    );
}
