//! Headers exchanges: what is compared, and how.

use crate::support::*;

/// Whether a binding with these arguments takes a message with these headers.
fn matches(arguments: &EncodedTable, headers: Option<&EncodedTable>) -> bool {
    let mut c = Wire::open();
    let x = c.exchange("headers");
    let q = c.queue();
    c.call(queue::Bind { arguments: arguments.as_table(), ..bind(&q, &x, "ignored") });
    c.call(confirm::Select::default());
    let properties = BasicProperties { headers: headers.map(EncodedTable::as_table), ..Default::default() };
    c.routes(&x, "key", &properties)
}

fn check(arguments: EncodedTable, headers: EncodedTable, expected: bool) {
    assert_eq!(matches(&arguments, Some(&headers)), expected, "{arguments:?} and {headers:?}");
}

#[test]
fn x_13_all_wants_every_header_and_is_the_default() {
    for arguments in [table! { "a" => 1, "b" => "x" }, table! { "x-match" => "all", "a" => 1, "b" => "x" }] {
        check(arguments.clone(), table! { "a" => 1, "b" => "x", "c" => 2 }, true);
        check(arguments.clone(), table! { "a" => 1 }, false);
        check(arguments, table! { "a" => 1, "b" => "y" }, false);
    }
}

#[test]
fn x_13_any_wants_one_header() {
    let arguments = table! { "x-match" => "any", "a" => 1, "b" => "x" };
    check(arguments.clone(), table! { "b" => "x" }, true);
    check(arguments.clone(), table! { "a" => 1, "b" => "y" }, true);
    check(arguments.clone(), table! { "c" => 1 }, false);
    check(arguments, table! {}, false);
}

#[test]
fn x_13_without_arguments_all_takes_everything_and_any_nothing() {
    assert!(matches(&table! {}, None));
    check(table! { "x-match" => "all" }, table! { "a" => 1 }, true);
    check(table! { "x-match" => "any" }, table! { "a" => 1 }, false);
    assert!(!matches(&table! { "x-match" => "any" }, None));
    check(table! { "x-match" => "any-with-x" }, table! { "x-match" => "any-with-x" }, false);
}

#[test]
fn x_13_names_that_begin_with_x_count_only_with_x() {
    check(table! { "x-a" => 1 }, table! {}, true);
    check(table! { "x-match" => "any", "x-a" => 1 }, table! { "x-a" => 1 }, false);
    check(table! { "x-match" => "all-with-x", "x-a" => 1 }, table! {}, false);
    check(table! { "x-match" => "all-with-x", "x-a" => 1 }, table! { "x-a" => 1 }, true);
    check(table! { "x-match" => "any-with-x", "x-a" => 1, "b" => 2 }, table! { "x-a" => 1 }, true);
    check(table! { "X-a" => 1 }, table! {}, false);
    check(table! { "x" => 1 }, table! {}, false);
}

#[test]
fn x_13_a_void_argument_asks_for_presence() {
    check(table! { "a" => FieldValue::Void }, table! { "a" => 5 }, true);
    check(table! { "a" => FieldValue::Void }, table! { "a" => FieldValue::Void }, true);
    check(table! { "a" => FieldValue::Void }, table! { "b" => 5 }, false);
}

#[test]
fn x_13_integers_are_equal_by_value_floats_and_strings_by_kind() {
    let integers: [FieldValue; 7] =
        [5i8.into(), 5u8.into(), 5i16.into(), 5u16.into(), 5i32.into(), 5u32.into(), 5i64.into()];
    for value in integers {
        check(table! { "a" => value.clone() }, table! { "a" => 5i64 }, true);
        check(table! { "a" => value.clone() }, table! { "a" => 6 }, false);
        check(table! { "a" => value }, table! { "a" => 5.0 }, false);
    }
    check(table! { "a" => 1.5f32 }, table! { "a" => 1.5f64 }, true);
    check(table! { "a" => "x" }, table! { "a" => FieldValue::Bytes(b"x".to_vec()) }, true);
    check(table! { "a" => "5" }, table! { "a" => 5 }, false);
    check(table! { "a" => true }, table! { "a" => true }, true);
    check(table! { "a" => true }, table! { "a" => 1 }, false);
}

#[test]
fn x_13_tables_and_arrays_want_identical_types_inside() {
    let array = |value: FieldValue| table! { "a" => vec![value] };
    check(array(1.into()), array(1.into()), true);
    check(array(1.into()), array(1i64.into()), false);
    let inner = |value: FieldValue| table! { "t" => FieldTable::from_iter([("k", value)]) };
    check(inner("x".into()), inner("x".into()), true);
    check(inner(1.into()), inner(2.into()), false);
}

#[test]
fn x_13_a_messages_timestamp_counts_in_milliseconds() {
    let time = |seconds| table! { "a" => FieldValue::Timestamp(seconds) };
    check(table! { "a" => 5000i64 }, time(5), true);
    check(table! { "a" => 5i64 }, time(5), false);
    check(time(5), time(5), false);
}

#[test]
fn x_13_a_bad_x_match_is_refused() {
    let mut c = Wire::open();
    let q = c.queue();
    let cases = [
        (
            table! { "x-match" => "foo" },
            "Invalid x-match field value <<\"foo\">>; expected all, any, all-with-x, or any-with-x",
        ),
        (table! { "x-match" => 1 }, "Invalid x-match field type signedint (value 1); expected longstr"),
    ];
    for (arguments, text) in &cases {
        c.refused(queue::Bind { arguments: arguments.as_table(), ..bind(&q, "amq.headers", "") }, 406, text);
        let bind = exchange::Bind { arguments: arguments.as_table(), ..x_bind("amq.fanout", "amq.match", "") };
        c.refused(bind, 406, text);
    }
}
