//! Redeclares one by one: which difference is named, and in which words.

use super::*;

#[test]
fn q_05_max_age_is_compared_in_milliseconds() {
    for (current, received_label, words) in [
        ("S:1D", "S:24h", None),
        ("S:1Y", "S:365D", None),
        ("S:1D", "S:2D", Some("received '172800000' but current is '86400000'")),
        ("S:1D", "none", Some("received none but current is the value '86400000' of type 'longstr'")),
        ("none", "S:1D", Some("received the value '86400000' of type 'longstr' but current is none")),
        ("S:1D", "S:foo", Some("received 'foo' but current is '86400000'")),
        ("none", "S:foo", Some("received the value 'foo' of type 'longstr' but current is none")),
        ("S:1D", "I:86400000", Some("received '86400000' but current is '86400000'")),
        ("none", "I:5", Some("received the value '5' of type 'signedint' but current is none")),
        ("S:1D", "x:1D", Some("received '1D' but current is '86400000'")),
        ("S:1D", "S:0D", Some("received '0D' but current is '86400000'")),
        ("S:1D", "S:99999999999999999999D", Some("received '8639999999999999999913600000' but current is '86400000'")),
        ("S:99999999999999999999D", "S:99999999999999999999D", None),
    ] {
        let age = |label| of_type("stream", value(label).map(|v| ("x-max-age", v)).as_slice());
        let prefix = "inequivalent arg 'x-max-age' for queue 'q' in vhost '/': ";
        let expected = words.map_or_else(|| "ok".to_owned(), |words| format!("{prefix}{words}"));
        assert_eq!(again(("d", &age(current)), ("d", &age(received_label))), expected, "{received_label}");
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
    let words =
        |argument: &str, words: &str| format!("inequivalent arg '{argument}' for queue 'q' in vhost '/': {words}");
    for (argument, label, expected) in [
        ("x-dead-letter-exchange", "I:5", "received the value '5' of type 'signedint' but current is none"),
        ("x-queue-type", "S:foo", "received 'foo' but current is 'classic'"),
        ("x-queue-type", "I:5", "received '5' but current is 'classic'"),
        ("x-queue-type", "S:", "received '' but current is 'classic'"),
        ("x-queue-type", "S:quorum", "received 'quorum' but current is 'classic'"),
        (
            "x-queue-master-locator",
            "S:min-masters",
            "received the value 'min-masters' of type 'longstr' but current is none",
        ),
        ("x-dead-letter-routing-key", "S:k", "received the value 'k' of type 'longstr' but current is none"),
        ("x-message-ttl", "I:-1", "received the value '-1' of type 'signedint' but current is none"),
    ] {
        let second = one(argument, value(label).unwrap());
        assert_eq!(again(("d", &FieldTable::default()), ("d", &second)), words(argument, expected));
    }
    let unsuitable = one("x-max-age", "1D");
    assert_eq!(again(("d", &FieldTable::default()), ("d", &unsuitable)), "ok");
    let ttl = |v: FieldValue| one("x-message-ttl", v);
    let expected = words("x-message-ttl", "received 'a' but current is '5'");
    assert_eq!(again(("d", &ttl(5.into())), ("d", &ttl("a".into()))), expected);
}

#[test]
fn q_05_types_are_compared_by_name() {
    for (first, second, expected) in [
        ("classic", None, None),
        ("undefined", Some("undefined"), None),
        ("", None, Some("received 'classic' but current is ''")),
        ("quorum", None, Some("received 'classic' but current is 'quorum'")),
        ("quorum", Some("stream"), Some("received 'stream' but current is 'quorum'")),
        ("undefined", Some("classic"), Some("received 'classic' but current is 'undefined'")),
    ] {
        let second = second.map_or_else(FieldTable::default, |name| one("x-queue-type", name));
        let prefix = "inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': ";
        let expected = expected.map_or_else(|| "ok".to_owned(), |words| format!("{prefix}{words}"));
        assert_eq!(again(("d", &one("x-queue-type", first)), ("d", &second)), expected);
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
            assert!(answer.starts_with(&format!("inequivalent arg '{}' ", names[from])), "{answer}");
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
    assert!(missing(numbers(4)).ends_with(
        "value '[{signedint,0},{signedint,1},{signedint,2},{signedint,3}]' of type 'array' but current is none"
    ));
    assert!(
        missing(numbers(5)).contains("value '[{signedint,0},\n            {signedint,1},\n            {signedint,2},")
    );
    assert!(differs(numbers(5)).contains("{signedint,0},{signedint,1},"));
    assert!(differs(numbers(6)).ends_with("current is '[{signedint,0},\n  {signedint,1},\n  {signedint,2},\n  {signedint,3},\n  {signedint,4},\n  {signedint,5}]'"));
    assert!(missing(words(3)).contains("{longstr,<<\"word0\">>},{longstr,<<\"word1\">>},{longstr,<<\"word2\">>}]'"));
    assert!(missing(words(4)).contains("{longstr,<<\"word0\">>},\n            {longstr"));
    let mixed = ["é".into(), "日本".into(), FieldValue::from(&b"\xff\0"[..]), "a\"b\\c".into(), "\n\t".into()];
    assert!(differs(FieldValue::Array(mixed.to_vec())).ends_with(
        "<<\"é\"/utf8>>},\n  {longstr,<<\"日本\"/utf8>>},\n  {longstr,<<255,0>>},\n  {longstr,<<\"a\\\"b\\\\c\">>},\n  {longstr,<<\"\\n\\t\">>}]'"
    ));
}
