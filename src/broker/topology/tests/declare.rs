use super::*;

fn flags(durable: bool, auto_delete: bool, internal: bool) -> ExchangeFlags {
    ExchangeFlags { durable, auto_delete, internal }
}

#[test]
fn x_01_predeclared_exchanges() {
    let topology = Topology::new("/");
    let all = topology.exchanges().map(|x| (&*x.name, x.exchange_type.as_str(), x.flags)).collect::<Vec<_>>();
    let plain = flags(true, false, false);
    assert_eq!(
        all,
        [
            ("", "direct", plain),
            ("amq.direct", "direct", plain),
            ("amq.fanout", "fanout", plain),
            ("amq.headers", "headers", plain),
            ("amq.match", "headers", plain),
            ("amq.rabbitmq.trace", "topic", flags(true, false, true)),
            ("amq.topic", "topic", plain),
        ]
    );
}

#[test]
fn x_02_default_exchange_is_not_declared() {
    let mut place = Place::new();
    let refused = "operation not permitted on the default exchange";
    assert_eq!(refusal(place.declare("", "direct")), refused);
    assert_eq!(refusal(place.passive("")), refused);
    assert_eq!(refusal(place.declare("", "no-such-type")), "unknown exchange type 'no-such-type'");
    assert_eq!(refusal(place.passive("amq.default")), "no exchange 'amq.default' in vhost '/'");
}

#[test]
fn x_03_reserved_names() {
    let mut place = Place::new();
    for name in ["amq.foo", "amq.", "amq.default"] {
        assert_eq!(
            refusal(place.declare(name, "direct")),
            format!("exchange name '{name}' contains reserved prefix 'amq.*'")
        );
    }
    for name in ["amqp.x", "AMQ.foo", "amq", "amq-x"] {
        assert_eq!(place.declare(name, "direct"), Ok(true));
    }
    let durable = flags(true, false, false);
    let again = place.declare_with("amq.topic", "topic", durable, Table::EMPTY);
    assert_eq!(again, Ok(false));
    assert_eq!(place.passive("amq.topic"), Ok(false));
    let alternate = table([("alternate-exchange", 5i32.into())]);
    assert_eq!(
        refusal(place.declare_with("amq.foo", "direct", PLAIN, alternate.as_table())),
        "exchange name 'amq.foo' contains reserved prefix 'amq.*'"
    );
}

#[test]
fn x_04_equivalence_names_the_first_difference() {
    let mut place = Place::new();
    place.declare("plain", "direct").unwrap();
    let full = flags(true, true, true);
    place.declare_with("full", "direct", full, Table::EMPTY).unwrap();
    let cases = [
        ("plain", "topic", full, "type", "topic", "direct"),
        ("plain", "direct", full, "durable", "true", "false"),
        ("plain", "direct", flags(false, true, true), "auto_delete", "true", "false"),
        ("plain", "direct", flags(false, false, true), "internal", "true", "false"),
        ("full", "headers", PLAIN, "type", "headers", "direct"),
        ("full", "direct", PLAIN, "durable", "false", "true"),
        ("full", "direct", flags(true, false, true), "auto_delete", "false", "true"),
        ("full", "direct", flags(true, true, false), "internal", "false", "true"),
    ];
    for (name, exchange_type, flags, argument, received, current) in cases {
        assert_eq!(
            refusal(place.declare_with(name, exchange_type, flags, Table::EMPTY)),
            format!(
                "inequivalent arg '{argument}' for exchange '{name}' in vhost '/': \
                 received '{received}' but current is '{current}'"
            )
        );
    }
    assert_eq!(place.declare("plain", "direct"), Ok(false));
}

#[test]
fn x_04_equivalence_of_the_alternate_exchange() {
    let mut place = Place::new();
    place.declare("none", "direct").unwrap();
    place.declare_with_alternate("one", "direct", "one");
    let bytes = FieldValue::Bytes(b"one".to_vec());
    let nested = [("a", 1i32)].into_iter().collect::<FieldTable>();
    let binary = FieldValue::Bytes(b"a".to_vec());
    let decimal = FieldValue::Decimal { scale: 2, value: 5 };
    let cases: [(&str, FieldValue, &str); 11] = [
        ("none", "one".into(), "the value 'one' of type 'longstr' but current is none"),
        ("none", 5i32.into(), "the value '5' of type 'signedint' but current is none"),
        ("none", FieldValue::Void, "the value 'undefined' of type 'void' but current is none"),
        ("none", binary, "the value 'a' of type 'binary' but current is none"),
        ("none", 1e22.into(), "the value '1.0e22' of type 'double' but current is none"),
        ("none", decimal, "the value '{2,5}' of type 'decimal' but current is none"),
        ("one", "two".into(), "'two' but current is 'one'"),
        ("one", 5i32.into(), "'5' but current is 'one'"),
        ("one", true.into(), "'true' but current is 'one'"),
        ("one", FieldValue::Void, "none but current is 'one'"),
        ("one", nested.into(), "'[{<<\"a\">>,signedint,1}]' but current is 'one'"),
    ];
    for (name, value, rest) in cases {
        let arguments = table([("alternate-exchange", value)]);
        assert_eq!(
            refusal(place.declare_with(name, "direct", PLAIN, arguments.as_table())),
            format!(
                "inequivalent arg 'alternate-exchange' for exchange '{name}' in vhost '/': \
                 received {rest}"
            )
        );
    }
    assert_eq!(
        refusal(place.declare("one", "direct")),
        "inequivalent arg 'alternate-exchange' for exchange 'one' in vhost '/': received none \
         but current is the value 'one' of type 'longstr'"
    );
    for same in ["one".into(), bytes] {
        let arguments = table([("alternate-exchange", same)]);
        let again = place.declare_with("one", "direct", PLAIN, arguments.as_table());
        assert_eq!(again, Ok(false));
    }
}

#[test]
fn x_04_other_arguments_are_kept_as_first_declared_and_not_compared() {
    let mut place = Place::new();
    let first = table([("x-any", 1i32.into())]);
    let other = table([("x-any", 2i32.into())]);
    place.declare_with("x", "direct", PLAIN, first.as_table()).unwrap();
    let again = place.declare_with("x", "direct", PLAIN, other.as_table());
    assert_eq!(again, Ok(false));
    let kept = &place.topology.exchange(b"x").unwrap().arguments;
    assert_eq!(kept.get("x-any"), Some(&1i32.into()));
}

#[test]
fn x_05_unknown_and_invalid_types() {
    let mut place = Place::new();
    for name in ["no-such-type", "Direct", "x-delayed-message", "x-event"] {
        let text = format!("unknown exchange type '{name}'");
        assert_eq!(refusal(place.declare("x", name)), text);
        assert_eq!(refusal(place.declare("amq.direct", name)), text);
    }
    for name in ["", "x-random"] {
        let text = format!("invalid exchange type '{name}'");
        assert_eq!(refusal(place.declare("x", name)), text);
    }
}

#[test]
fn x_06_passive_compares_nothing() {
    let mut place = Place::new();
    place.declare("x", "fanout").unwrap();
    assert_eq!(place.passive("x"), Ok(false));
    assert_eq!(refusal(place.passive("y")), "no exchange 'y' in vhost '/'");
}

#[test]
fn x_10_type_of_the_alternate_exchange() {
    let mut place = Place::new();
    let cases = [
        (5i32.into(), "signedint"),
        (true.into(), "bool"),
        (FieldValue::Void, "void"),
        (FieldTable::new().into(), "table"),
        (FieldValue::Array(Vec::new()), "array"),
        (5i64.into(), "long"),
        (FieldValue::Bytes(b"amq.fanout".to_vec()), "binary"),
        (1.5f64.into(), "double"),
        (1u8.into(), "unsignedbyte"),
        (FieldValue::Timestamp(1), "timestamp"),
    ];
    for (value, name) in cases {
        let value: FieldValue = value;
        let arguments = table([("alternate-exchange", value)]);
        assert_eq!(
            refusal(place.declare_with("x", "direct", PLAIN, arguments.as_table())),
            format!("invalid type '{name}' for arg 'alternate-exchange' in exchange 'x' in vhost '/'")
        );
    }
    assert!(!place.exists("x"));
}
