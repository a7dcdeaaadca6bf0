//! Deaths: counting and circles.

use leveret_protocol::table::Value;
use leveret_protocol::{EncodedTable, FieldTable, FieldValue};

use super::deaths::NewDeath;
use super::{Deaths, Reason};
use crate::broker::moment::Moment;

fn died(deaths: &[(&str, Reason)]) -> Deaths {
    let mut all = Deaths::default();
    for (n, (queue, reason)) in deaths.iter().enumerate() {
        all.add(&NewDeath {
            reason: *reason,
            queue,
            at: Moment(1000 * n as u64),
            exchange: b"x",
            routing_keys: vec![b"key"],
            expiration: None,
        });
    }
    all
}

fn told(deaths: &Deaths) -> Vec<String> {
    let FieldValue::Array(entries) = deaths.clone().into_value() else { panic!("no array") };
    let entries = entries.into_iter().map(|entry| match entry {
        FieldValue::Table(entry) => {
            let text = |key| entry.get(key).and_then(FieldValue::as_str).unwrap_or_default().to_owned();
            let count = entry.get("count").and_then(FieldValue::as_integer).unwrap_or_default();
            let time = entry.get("time").cloned();
            format!("{} {} {count} {time:?}", text("queue"), text("reason"))
        }
        other => panic!("{other:?}"),
    });
    entries.collect()
}

#[test]
fn q_25_a_repeated_death_moves_to_the_front_and_keeps_its_first_time() {
    let deaths =
        died(&[("a", Reason::Rejected), ("b", Reason::Expired), ("a", Reason::Expired), ("a", Reason::Rejected)]);
    assert_eq!(
        told(&deaths),
        ["a rejected 2 Some(Timestamp(0))", "a expired 1 Some(Timestamp(2))", "b expired 1 Some(Timestamp(1))"]
    );
}

#[test]
fn q_25_deaths_are_read_as_they_are_written() {
    let deaths = died(&[("a", Reason::MaxLength), ("b", Reason::DeliveryLimit), ("a", Reason::MaxLength)]);
    let mut headers = FieldTable::new();
    headers.push("x-death", deaths.clone().into_value());
    let headers = EncodedTable::from(&headers);
    assert_eq!(headers.as_table().get("x-death").map(Deaths::read), Some(deaths));
    assert_eq!(Deaths::read(Value::Bool(true)), Deaths::default());
}

#[test]
fn q_28_a_circle_has_no_reject_since_the_queue() {
    use Reason::{Expired, MaxLength, Rejected};
    type Case<'a> = (&'a [(&'a str, Reason)], &'a str, bool);
    let cases: [Case<'_>; 7] = [
        (&[("a", Expired)], "a", true),
        (&[("a", Expired)], "b", false),
        (&[("a", Rejected)], "a", false),
        (&[("a", Expired), ("b", MaxLength)], "a", true),
        (&[("a", Expired), ("b", Rejected)], "a", false),
        (&[("a", Rejected), ("b", Expired)], "a", false),
        (&[("b", Rejected), ("a", Expired), ("c", Expired)], "a", true),
    ];
    for (deaths, to, is_cycle) in cases {
        assert_eq!(died(deaths).is_cycle(to), is_cycle, "{deaths:?} to {to}");
    }
}
