//! Alternate exchanges: where messages go that no binding matches.

use crate::support::*;

#[test]
fn x_10_an_alternate_gets_what_no_binding_matches() {
    let mut c = Wire::open();
    for kind in ["direct", "topic", "headers"] {
        let last = c.exchange("fanout");
        let middle = c.exchange_before("direct", &last);
        let x = c.exchange_before(kind, &middle);
        let q = c.bound(&last, "");
        let own = c.queue();
        let arguments = table! { "k" => 1 };
        c.call(queue::Bind { arguments: arguments.as_table(), ..bind(&own, &x, "own") });
        c.call(confirm::Select::default());
        assert!(c.routes(&x, "else", &BasicProperties::default()));
        assert_eq!((c.counts(&q).0, c.counts(&own).0), (1, 0), "{kind}");
        let headers = table! { "k" => 1 };
        let properties = BasicProperties { headers: Some(headers.as_table()), ..Default::default() };
        assert!(c.routes(&x, "own", &properties));
        assert_eq!((c.counts(&q).0, c.counts(&own).0), (1, 1), "{kind}");
        let message = c.get(&q).unwrap();
        assert_eq!((message.exchange.as_str(), message.routing_key.as_str()), (x.as_str(), "else"));
        c.call(x_delete(&middle));
    }
}

#[test]
fn x_10_missing_and_circular_alternates_drop() {
    let mut c = Wire::open();
    let itself = name();
    let arguments = table! { "alternate-exchange" => itself.as_str() };
    c.call(exchange::Declare { arguments: arguments.as_table(), ..x_declare(&itself, "direct") });
    let missing = c.exchange_before("direct", "no-such");
    let empty = c.exchange_before("direct", "");
    let bound_to_nothing = c.exchange_before("fanout", &missing);
    let nothing = c.exchange("fanout");
    c.call(x_bind(&nothing, &bound_to_nothing, ""));
    c.call(confirm::Select::default());
    for x in [itself, missing, empty, bound_to_nothing, nothing] {
        assert!(!c.routes(&x, "k", &BasicProperties::default()));
        c.call(x_delete(&x));
    }
}

#[test]
fn x_10_an_alternate_is_a_long_string() {
    let mut c = Wire::open();
    let values = [
        (FieldValue::from(5), "signedint"),
        (5i64.into(), "long"),
        (5u8.into(), "unsignedbyte"),
        (true.into(), "bool"),
        (1.5.into(), "double"),
        (FieldValue::Void, "void"),
        (FieldValue::Timestamp(1), "timestamp"),
        (FieldTable::new().into(), "table"),
        (Vec::<FieldValue>::new().into(), "array"),
        (FieldValue::Bytes(vec![1]), "binary"),
    ];
    for (value, kind) in values {
        let x = name();
        let arguments = table! { "alternate-exchange" => value };
        let method = exchange::Declare { arguments: arguments.as_table(), ..x_declare(&x, "direct") };
        c.refused(method, 406, &format!("invalid type '{kind}' for arg 'alternate-exchange' in {}", x_named(&x)));
    }
}
