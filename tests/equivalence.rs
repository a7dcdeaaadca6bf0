//! Declaring a queue again, and arguments that are refused.

use crate::support::*;

/// Declares a queue twice; the second must be refused with `inequivalent arg` and this, or taken if it is empty.
fn check(first: &EncodedTable, second: &EncodedTable, expected: &str) {
    let mut c = Wire::open();
    let q = c.queue_with(first);
    let again = queue::Declare { arguments: second.as_table(), ..declare(&q) };
    match expected.split_once(": ") {
        None => drop(c.call(again)),
        Some((argument, end)) => {
            c.refused(again, 406, &format!("inequivalent arg '{argument}' for {}: {end}", q_named(&q)));
        }
    }
}

#[test]
fn q_05_durable_comes_before_auto_delete_and_that_before_arguments() {
    let mut c = Wire::open();
    let q = name();
    let plain = queue::Declare { exclusive: false, ..declare(&q) };
    c.call(plain);
    let text = |what: &str, got: &str, current: &str| {
        format!("inequivalent arg '{what}' for {}: received '{got}' but current is '{current}'", q_named(&q))
    };
    let arguments = table! { "x-message-ttl" => 10000 };
    let all = queue::Declare { durable: true, auto_delete: true, arguments: arguments.as_table(), ..plain };
    c.refused(all, 406, &text("durable", "true", "false"));
    c.refused(queue::Declare { durable: false, ..all }, 406, &text("auto_delete", "true", "false"));
    c.refused(queue::Declare { exclusive: true, ..all }, 405, &locked(&q));
    c.call(plain);
    c.call(delete(&q));
}

#[test]
fn q_05_an_exclusive_queue_is_never_durable() {
    let mut c = Wire::open();
    let q = name();
    c.call(queue::Declare { durable: true, ..declare(&q) });
    c.call(declare(&q));
    c.call(queue::Declare { durable: true, ..declare(&q) });
}

#[test]
fn q_05_known_arguments_are_compared() {
    let none = table! {};
    let ttl = table! { "x-message-ttl" => 10000 };
    check(&ttl, &ttl, "");
    check(&ttl, &none, "x-message-ttl: received none but current is the value '10000' of type 'signedint'");
    check(&none, &ttl, "x-message-ttl: received the value '10000' of type 'signedint' but current is none");
    check(&ttl, &table! { "x-message-ttl" => 20000 }, "x-message-ttl: received '20000' but current is '10000'");
    let bad = table! { "x-message-ttl" => -1 };
    check(&none, &bad, "x-message-ttl: received the value '-1' of type 'signedint' but current is none");
    let (a, b) = (table! { "x-dead-letter-exchange" => "a" }, table! { "x-dead-letter-exchange" => "b" });
    check(&a, &b, "x-dead-letter-exchange: received 'b' but current is 'a'");
    check(&a, &none, "x-dead-letter-exchange: received none but current is the value 'a' of type 'longstr'");
    let active = table! { "x-single-active-consumer" => true };
    check(&active, &none, "x-single-active-consumer: received none but current is the value 'true' of type 'bool'");
    let lazy = table! { "x-queue-mode" => "lazy" };
    check(&lazy, &table! { "x-queue-mode" => "default" }, "x-queue-mode: received 'default' but current is 'lazy'");
    check(&none, &table! { "x-foo" => 1 }, "");
    check(&table! { "x-foo" => 1 }, &table! { "x-foo" => "2" }, "");
}

#[test]
fn q_05_numbers_are_equal_by_value_but_not_to_floats_or_strings() {
    let ttl = |value: FieldValue| table! { "x-message-ttl" => value };
    let same: [FieldValue; 5] =
        [10000i16.into(), 10000u16.into(), 10000u32.into(), 10000i64.into(), FieldValue::Timestamp(10000)];
    for value in same {
        check(&ttl(10000.into()), &ttl(value), "");
    }
    let text = "x-message-ttl: received '1.0e4' but current is '10000'";
    check(&ttl(10000.into()), &ttl(10000.0.into()), text);
    let text = "x-message-ttl: received '10000' but current is '10000'";
    check(&ttl(10000.into()), &ttl("10000".into()), text);
}

#[test]
fn q_05_the_first_of_several_differences_is_told() {
    let first = table! { "x-max-length" => 1, "x-expires" => 60000, "x-message-ttl" => 1 };
    let second = table! { "x-max-length" => 3, "x-message-ttl" => 2, "x-expires" => 70000 };
    check(&first, &second, "x-expires: received '70000' but current is '60000'");
}

#[test]
fn q_05_no_queue_type_is_classic() {
    let classic = table! { "x-queue-type" => "classic" };
    check(&table! {}, &classic, "");
    check(&classic, &table! {}, "");
    let quorum = table! { "x-queue-type" => "quorum" };
    check(&classic, &quorum, "x-queue-type: received 'quorum' but current is 'classic'");
}

#[test]
fn q_06_arguments_are_checked_one_by_one() {
    let mut c = Wire::open();
    let q = name();
    let invalid: [(EncodedTable, &str); 13] = [
        (table! { "x-expires" => 0 }, "'x-expires' for {}: {value_zero,0}"),
        (table! { "x-message-ttl" => -1 }, "'x-message-ttl' for {}: {value_negative,-1}"),
        (table! { "x-expires" => 315_360_000_001i64 }, "'x-expires' for {}: {value_too_large,315360000001}"),
        (table! { "x-max-length" => "5" }, "'x-max-length' for {}: \"expected integer, got longstr\""),
        (table! { "x-max-length" => true }, "'x-max-length' for {}: \"expected integer, got bool\""),
        (table! { "x-max-length" => 1.5 }, "'x-max-length' for {}: \"expected integer, got double\""),
        (table! { "x-max-priority" => 256 }, "'x-max-priority' for {}: {max_value_exceeded,256}"),
        (table! { "x-overflow" => "foo" }, "'x-overflow' for {}: invalid_overflow"),
        (table! { "x-overflow" => 5 }, "'x-overflow' for {}: {unacceptable_type,signedint}"),
        (
            table! { "x-dead-letter-routing-key" => "k" },
            "'x-dead-letter-routing-key' for {}: routing_key_but_no_dlx_defined",
        ),
        (table! { "x-queue-type" => "foo" }, "'x-queue-type' for {}: \"unsupported queue type 'foo'\""),
        (table! { "x-max-age" => "1D" }, "'x-max-age' for {} of queue type rabbit_classic_queue"),
        (table! { "x-queue-version" => 7 }, "'x-queue-version' for {}: \"unsupported queue version '7'\""),
    ];
    for (arguments, text) in &invalid {
        let method = queue::Declare { arguments: arguments.as_table(), ..declare(&q) };
        c.refused(method, 406, &format!("invalid arg {}", text.replacen("{}", &q_named(&q), 1)));
    }
}

#[test]
fn q_11_a_dead_letter_exchange_is_a_name_and_need_not_exist() {
    let mut c = Wire::open();
    let q = name();
    c.queue_with(&table! { "x-dead-letter-exchange" => "not there" });
    let wrong = table! { "x-dead-letter-exchange" => 5 };
    let method = queue::Declare { arguments: wrong.as_table(), ..declare(&q) };
    let text = format!("invalid type 'signedint' for arg 'x-dead-letter-exchange' in {}", q_named(&q));
    c.refused(method, 406, &text);
}

#[test]
fn q_06_dead_letter_arguments_are_checked_first_and_those_of_other_types_last() {
    let mut c = Wire::open();
    let q = name();
    let several = table! { "x-max-age" => "1D", "x-message-ttl" => -1, "x-queue-type" => "foo" };
    let method = queue::Declare { arguments: several.as_table(), ..declare(&q) };
    let text = format!("invalid arg 'x-queue-type' for {}: \"unsupported queue type 'foo'\"", q_named(&q));
    c.refused(method, 406, &text);
    let several = table! { "x-max-age" => "1D", "x-message-ttl" => -1 };
    let method = queue::Declare { arguments: several.as_table(), ..declare(&q) };
    let text = format!("invalid arg 'x-message-ttl' for {}: {{value_negative,-1}}", q_named(&q));
    c.refused(method, 406, &text);
}
