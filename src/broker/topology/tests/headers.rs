use super::*;

/// Whether one binding matches one message.
fn matches(binding: &EncodedTable, message: &EncodedTable) -> bool {
    let mut place = Place::new();
    place.queue("q");
    place.bind_with("q", "amq.headers", "", binding.as_table()).unwrap();
    let keys = RoutingKeys::one(b"");
    let found = !place.route_with("amq.headers", &keys, message.as_table()).is_empty();
    assert_eq!(place.unbind_with("q", "amq.headers", "", binding.as_table()), 1);
    found
}

fn value_matches(binding: &FieldValue, message: &FieldValue) -> bool {
    matches(&table([("h", binding.clone())]), &table([("h", message.clone())]))
}

fn int(n: i32) -> FieldValue {
    n.into()
}

#[test]
fn x_13_modes() {
    let a = || table([("a", int(1))]);
    let ab = || table([("a", int(1)), ("b", int(2))]);
    let with = |mode: &str| table([("x-match", mode.into()), ("a", int(1)), ("b", int(2))]);
    assert!(!matches(&ab(), &a()) && matches(&ab(), &ab()));
    assert!(!matches(&with("all"), &a()) && matches(&with("all"), &ab()));
    assert!(matches(&with("any"), &a()));
    assert!(!matches(&with("any"), &table([("a", int(2)), ("c", int(2))])));
    let reversed = table([("c", int(0)), ("b", int(2)), ("a", int(1))]);
    assert!(matches(&with("all"), &reversed));
}

#[test]
fn x_13_bindings_without_conditions() {
    let mode = |mode: &str| table([("x-match", mode.into())]);
    let some = table([("a", int(1)), ("x-match", "any-with-x".into())]);
    for message in [&table([]), &some] {
        for all in [table([]), mode("all"), mode("all-with-x"), table([("x-a", int(1))])] {
            assert!(matches(&all, message));
        }
        for any in [mode("any"), mode("any-with-x")] {
            assert!(!matches(&any, message));
        }
    }
}

#[test]
fn x_13_names_that_start_with_x() {
    let x = || table([("x-a", int(1))]);
    let with = |mode: &str| table([("x-match", mode.into()), ("x-a", int(1))]);
    assert!(!matches(&with("any"), &x()));
    assert!(matches(&with("all-with-x"), &x()) && !matches(&with("all-with-x"), &table([])));
    assert!(matches(&with("any-with-x"), &x()) && !matches(&with("any-with-x"), &table([])));
    let upper = || table([("X-y", int(1))]);
    assert!(!matches(&upper(), &table([])) && matches(&upper(), &upper()));
    assert!(!matches(&table([("x", int(1))]), &table([])));
    assert!(matches(&table([("x-", int(1))]), &table([])));
}

#[test]
fn x_13_values_in_classes() {
    let string = |text: &str| FieldValue::from(text);
    let bytes = |text: &str| FieldValue::Bytes(text.into());
    let array = |value: FieldValue| FieldValue::from(vec![value]);
    let nested = |value: FieldValue| FieldValue::from(FieldTable::from_iter([("a", value)]));
    // Within a class all match each other, and nothing of another.
    let classes = [
        vec![5i8.into(), 5u8.into(), 5i16.into(), int(5), FieldValue::U16(5), 5u32.into(), 5i64.into()],
        vec![5f32.into(), 5f64.into()],
        vec![0.1f32.into()],
        vec![0.1f64.into()],
        vec![0f64.into()],
        vec![(-0f64).into()],
        vec![string("5"), bytes("5")],
        vec![string("")],
        vec![true.into()],
        vec![false.into()],
        vec![int(1)],
        vec![int(-1), (-1i64).into()],
        vec![FieldValue::Decimal { scale: 0, value: 5 }],
        vec![FieldValue::Decimal { scale: 1, value: 50 }],
        vec![FieldTable::new().into(), FieldValue::Array(Vec::new())],
        vec![array(int(1))],
        vec![array(1i64.into())],
        vec![array(1f64.into())],
        vec![array(1f32.into())],
        vec![array(string("s"))],
        vec![array(bytes("s"))],
        vec![array(FieldValue::Void)],
        vec![array(array(int(1)))],
        vec![nested(int(1))],
        vec![nested(1i64.into())],
        vec![nested(FieldValue::Timestamp(5))],
        vec![nested(5000i64.into())],
        vec![FieldTable::from_iter([("a", 1), ("b", 2)]).into()],
        vec![FieldTable::from_iter([("b", 2), ("a", 1)]).into()],
    ];
    for (i, one) in classes.iter().enumerate() {
        for (j, other) in classes.iter().enumerate() {
            for (binding, message) in one.iter().flat_map(|a| other.iter().map(move |b| (a, b))) {
                assert_eq!(value_matches(binding, message), i == j, "{binding:?} {message:?}");
            }
        }
    }
}

#[test]
fn x_13_timestamps_of_messages_count_in_milliseconds() {
    let time = FieldValue::Timestamp;
    assert!(value_matches(&5000i64.into(), &time(5)));
    assert!(value_matches(&time(5000), &time(5)));
    assert!(value_matches(&time(5), &int(5)));
    assert!(!value_matches(&time(5), &time(5)));
    assert!(!value_matches(&time(u64::MAX), &time(u64::MAX)));
}

#[test]
fn x_13_void_asks_for_presence() {
    let void = FieldValue::Void;
    for message in [int(1), "s".into(), FieldValue::Void, FieldTable::new().into()] {
        assert!(value_matches(&void, &message));
    }
    assert!(!matches(&table([("a", FieldValue::Void)]), &table([("b", int(1))])));
    for other in [int(0), "".into(), false.into(), FieldTable::new().into()] {
        assert!(!value_matches(&other, &void));
    }
}

#[test]
fn x_13_a_name_twice() {
    let twice = || table([("a", int(1)), ("a", int(2))]);
    let one = |n| table([("a", int(n))]);
    assert!(!matches(&one(1), &twice()) && matches(&one(2), &twice()));
    assert!(!matches(&twice(), &one(1)) && !matches(&twice(), &one(2)));
    let any = || table([("x-match", "any".into()), ("a", int(1)), ("a", int(2))]);
    assert!(matches(&any(), &one(1)) && matches(&any(), &one(2)));
    let modes = |first: &str, second: &str| {
        table([("x-match", first.into()), ("x-match", second.into()), ("a", int(1)), ("b", int(2))])
    };
    assert!(matches(&modes("any", "all"), &one(1)));
    assert!(!matches(&modes("all", "any"), &one(1)));
    assert!(matches(&modes("any", "bad"), &one(1)));
}

#[test]
fn x_13_refused_modes() {
    let mut place = Place::new();
    place.queue("q");
    let nested = FieldValue::from(vec![int(1), "a".into()]);
    let cases: [(FieldValue, &str); 12] = [
        ("foo".into(), r#"value <<"foo">>; "#),
        ("".into(), "value <<>>; "),
        ("é".into(), r#"value <<"é"/utf8>>; "#),
        (b"\xff"[..].into(), r#"value <<"ÿ">>; "#),
        ("a\"b\\\n".into(), r#"value <<"a\"b\\\n">>; "#),
        (b"a\x01"[..].into(), "value <<97,1>>; "),
        (int(1), "type signedint (value 1); "),
        (FieldValue::Void, "type void (value undefined); "),
        (true.into(), "type bool (value true); "),
        (0.1f32.into(), "type float (value 0.10000000149011612); "),
        (FieldValue::Bytes(b"any".to_vec()), r#"type binary (value <<"any">>); "#),
        (nested, r#"type array (value [{signedint,1},{longstr,<<"a">>}]); "#),
    ];
    for (value, part) in cases {
        let expected = match value {
            FieldValue::LongString(_) => "all, any, all-with-x, or any-with-x",
            _ => "longstr",
        };
        let arguments = table([("x-match", value)]);
        let refused = place.bind_with("q", "amq.headers", "", arguments.as_table());
        assert_eq!(refusal(refused), format!("Invalid x-match field {part}expected {expected}"));
        assert_eq!(place.unbind_with("q", "amq.headers", "", arguments.as_table()), 0);
    }
}
