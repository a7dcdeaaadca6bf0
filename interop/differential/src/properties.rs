//! Whatever a step is, it is read as it was written.

use leveret_protocol::{FieldTable, FieldValue};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use crate::message::{Message, Properties};
use crate::script::Script;
use crate::step::{Action, Place, Step, Target};

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-z@$*#./:=,{} \\[\\]\"\\\\\n\r\t-]{0,8}".prop_map(String::into_bytes),
        "\\PC{0,4}".prop_map(String::into_bytes),
        vec(any::<u8>(), 0..6),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["@[a-z]{1,4}", "[a-z= \"\\\\\u{7f}é-]{0,5}"]
}

fn value() -> impl Strategy<Value = FieldValue> {
    let leaf = prop_oneof![
        bytes().prop_map(FieldValue::LongString),
        bytes().prop_map(FieldValue::Bytes),
        any::<i8>().prop_map(FieldValue::I8),
        any::<u8>().prop_map(FieldValue::U8),
        any::<i16>().prop_map(FieldValue::I16),
        any::<u16>().prop_map(FieldValue::U16),
        any::<i32>().prop_map(FieldValue::I32),
        any::<u32>().prop_map(FieldValue::U32),
        any::<i64>().prop_map(FieldValue::I64),
        any::<bool>().prop_map(FieldValue::Bool),
        any::<f32>().prop_map(FieldValue::F32),
        any::<f64>().prop_map(FieldValue::F64),
        any::<u64>().prop_map(FieldValue::Timestamp),
        (any::<u8>(), any::<u32>()).prop_map(|(scale, value)| FieldValue::Decimal { scale, value }),
        Just(FieldValue::Void),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(FieldValue::Array),
            vec((bytes(), inner), 0..3).prop_map(|entries| FieldValue::Table(FieldTable::from_iter(entries))),
        ]
    })
}

fn table() -> impl Strategy<Value = FieldTable> {
    vec((bytes(), value()), 0..4).prop_map(FieldTable::from_iter)
}

fn message() -> impl Strategy<Value = Message> {
    let texts = btree_map(prop_oneof![Just("type"), Just("reply-to"), Just("expiration")], bytes(), 0..3);
    let numbers = btree_map(prop_oneof![Just("priority"), Just("timestamp")], any::<u64>(), 0..3);
    let properties = (proptest::option::of(table()), texts, numbers);
    let properties = properties.prop_map(|(headers, texts, numbers)| Properties { headers, texts, numbers });
    (name(), name(), bytes(), any::<(bool, bool, u32)>(), properties).prop_map(
        |(exchange, key, body, (mandatory, immediate, count), properties)| Message {
            exchange,
            key,
            body,
            mandatory,
            immediate,
            count,
            properties,
        },
    )
}

fn action() -> impl Strategy<Value = Action> {
    let target = prop_oneof![
        any::<u64>().prop_map(Target::Tag),
        Just(Target::First),
        Just(Target::Last),
        bytes().prop_map(Target::Body),
    ];
    prop_oneof![
        message().prop_map(Action::Publish),
        (name(), any::<[bool; 5]>(), table()).prop_map(
            |(queue, [passive, durable, exclusive, auto_delete, nowait], args)| Action::QueueDeclare {
                queue,
                passive,
                durable,
                exclusive,
                auto_delete,
                nowait,
                args
            }
        ),
        (name(), name(), any::<[bool; 5]>(), table()).prop_map(
            |(exchange, kind, [passive, durable, auto_delete, internal, nowait], args)| Action::ExchangeDeclare {
                exchange,
                kind,
                passive,
                durable,
                auto_delete,
                internal,
                nowait,
                args
            }
        ),
        (name(), name(), name(), any::<bool>(), table())
            .prop_map(|(queue, exchange, key, nowait, args)| Action::QueueBind { queue, exchange, key, nowait, args }),
        (name(), name(), any::<[bool; 3]>(), table()).prop_map(|(queue, tag, [no_ack, exclusive, nowait], args)| {
            Action::Consume { queue, tag, no_ack, exclusive, nowait, args }
        }),
        (target, any::<(bool, bool)>()).prop_map(|(target, (multiple, requeue))| Action::Nack {
            target,
            multiple,
            requeue
        }),
        (any::<u16>(), any::<bool>()).prop_map(|(count, global)| Action::Qos { count, global }),
        Just(Action::TxCommit),
    ]
}

proptest! {
    #[test]
    fn a_step_is_read_as_it_was_written(
        action in action(), connection in proptest::char::range('a', 'z'), channel in 1u16..100, pipelined: bool,
    ) {
        let step = Step { place: Some(Place { connection, channel }), action, pipelined };
        prop_assert_eq!(Step::parse(&step.to_string()), Ok(step));
    }

    #[test]
    fn any_line_is_read_or_refused(line in "\\PC*") {
        drop(Step::parse(&line));
    }
}

#[test]
fn the_scripts_of_the_folder_can_be_read_and_written() {
    let scripts = Script::load_all(&crate::home().join("scripts")).unwrap();
    assert!(!scripts.is_empty());
    for script in scripts {
        assert_eq!(Script::parse(&script.name, &script.to_string()), Ok(script));
    }
}

#[test]
fn mistakes_are_named_with_their_line() {
    let cases = [
        ("a1 queue.declare", "word is missing"),
        ("a1 queue.declare @q durabel", "unexpected \"durabel\""),
        ("a1 queue.declare @q args={x=Z:1}", "no type 'Z'"),
        ("a1 queue.declare \"@q", "quote is not closed"),
        ("a queue.declare @q", "not for a"),
        ("queue.declare @q", "no channel"),
        ("a1 basic.publish \"\" @q m colour=red", "no property colour"),
        ("a1 basic.fetch @q", "no step"),
    ];
    for (line, expected) in cases {
        let error = Script::parse("script", &format!("# first\n{line}\n")).unwrap_err();
        assert!(error.starts_with("script, line 2: ") && error.contains(expected), "{error}");
    }
}
