//! Streams, and the arguments of consumers.

use super::*;

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
        assert_eq!(declared_age(age).unwrap().stream.unwrap().max_age_ms, Some(ms), "{age}");
    }
    for age in [
        "0D", "", "D", "1", " 1D", "1D ", "1Y2M", "-1D", "+1D", "1.5D", "1d", "1H", "1S", "1\n", "1DD", "d1", "1é",
        "１D",
    ] {
        let expected = "invalid arg 'x-max-age' for queue 'q' in vhost '/': invalid_max_age";
        assert_eq!(answer(declared_age(age)), expected, "{age}");
    }
}

#[test]
fn q_39_sizes_of_a_stream() {
    let size = |argument: &str, n: i64| answer(declared(&of_type("stream", &[(argument, n.into())])));
    assert_eq!(size("x-stream-max-segment-size-bytes", 3_000_000_000), "ok");
    for (n, expected) in [(15, "Invalid value for x-stream-filter-size-bytes"), (16, "ok"), (255, "ok")] {
        assert_eq!(size("x-stream-filter-size-bytes", n), expected);
    }
    let both =
        [("x-stream-max-segment-size-bytes", 4_000_000_000_i64.into()), ("x-stream-filter-size-bytes", 4.into())];
    let both = of_type("stream", &both);
    assert_eq!(flags(&both, "d"), "Exceeded max value for x-stream-max-segment-size-bytes");
    assert_eq!(flags(&both, "x"), "invalid property 'exclusive-owner' for queue 'q' in vhost '/'");
}

#[test]
fn q_39_offsets_of_a_stream() {
    let offset = |value: FieldValue| ConsumerArguments::parse(Q, QueueType::Stream, &one("x-stream-offset", value));
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
        ConsumerArguments::parse(Q, QueueType::Stream, &one("x-stream-filter", value)).map(|a| a.stream_filter)
    };
    assert_eq!(filter("a".into()).unwrap(), [b"a"]);
    assert_eq!(filter(FieldValue::Array(vec!["a".into(), 1.into(), "b".into()])).unwrap(), [b"a", b"b"]);
    assert!(filter(1.into()).unwrap().is_empty());
    assert_eq!(
        answer(filter(FieldValue::Array(vec![]))),
        "invalid arg 'x-stream-filter' for queue 'q' in vhost '/': {invalid_stream_filter_arg,{array,[]}}"
    );
}

#[test]
fn q_31_the_priority_comes_before_arguments_of_other_types() {
    let entries = [("x-stream-offset", FieldValue::from("zz")), ("x-priority", "a".into())];
    let parse = |queue_type| answer(ConsumerArguments::parse(Q, queue_type, &table(&entries)));
    let priority = "invalid arg 'x-priority' for queue 'q' in vhost '/': \"expected integer, got longstr\"";
    assert_eq!(parse(QueueType::Classic), priority);
    assert_eq!(parse(QueueType::Quorum), priority);
    assert!(parse(QueueType::Stream).ends_with("{invalid_stream_offset_arg,{longstr,<<\"zz\">>}}"));
    let arguments = table(&[("x-priority", 5.into()), ("x-consumer-timeout", 9.into())]);
    let consumer = ConsumerArguments::parse(Q, QueueType::Quorum, &arguments).unwrap();
    assert_eq!((consumer.priority, consumer.timeout_ms), (5, Some(9)));
}
