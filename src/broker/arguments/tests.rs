//! Against what RabbitMQ 4.3.6 answered. The files hold one answer a line; `\n`, `\t` and `\\` are escaped.

#![allow(clippy::unwrap_used, reason = "a test may")]

use leveret_protocol::field::EncodedTable;
use leveret_protocol::{FieldTable, FieldValue};

use super::*;
use crate::broker::compat::Compat;

const Q: QueueReference<'_> = QueueReference { vhost: "/", name: "q" };

mod declares;
mod redeclares;
mod streams_and_consumers;

/// The value that a label such as `I:10` or `A:[1,x]` stands for; `none` is no value.
fn value(label: &str) -> Option<FieldValue> {
    let (letter, content) = label.split_once(':').unwrap_or((label, ""));
    let array = |items: &[&str]| {
        let items = items.iter().filter(|i| !i.is_empty());
        FieldValue::Array(items.map(|i| i.parse::<i32>().map_or_else(|_| (*i).into(), Into::into)).collect())
    };
    Some(match (letter, content) {
        ("none", _) => return None,
        ("S", s) => s.into(),
        ("I", n) => FieldValue::I32(n.parse().unwrap()),
        ("i", n) => FieldValue::U32(n.parse().unwrap()),
        ("l" | "L", n) => FieldValue::I64(n.parse().unwrap()),
        ("s", n) => FieldValue::I16(n.parse().unwrap()),
        ("u", n) => FieldValue::U16(n.parse().unwrap()),
        ("b", n) => FieldValue::I8(n.parse().unwrap()),
        ("B", n) => FieldValue::U8(n.parse().unwrap()),
        ("t", b) => FieldValue::Bool(b == "true"),
        ("d", x) => FieldValue::F64(x.parse().unwrap()),
        ("f", x) => FieldValue::F32(x.parse().unwrap()),
        ("D", _) => FieldValue::Decimal { scale: 2, value: 314 },
        ("T", n) => FieldValue::Timestamp(n.parse().unwrap()),
        ("F", "{}") => FieldValue::Table(FieldTable::default()),
        ("F", _) => FieldValue::Table(table(&[("a", 1.into())])),
        ("A", "[S:a]") => array(&["a"]),
        ("A", "[S:a,S:b]") => array(&["a", "b"]),
        ("A", "[S:a,I:1]") => array(&["a", "1"]),
        ("A", list) => array(&list.trim_matches(['[', ']']).split(',').collect::<Vec<_>>()),
        ("x", s) => FieldValue::Bytes(s.as_bytes().to_vec()),
        ("V", _) => FieldValue::Void,
        _ => panic!("no such value: {label}"),
    })
}

fn table(entries: &[(&str, FieldValue)]) -> FieldTable {
    entries.iter().cloned().collect()
}

/// The columns of the lines that are no comments.
fn lines(file: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    file.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect())
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('t')) => out.push('\t'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some('0')) => out.push('\0'),
            ('\\', Some(c)) | (c, _) => out.push(c),
        }
    }
    out
}

/// The answer of the files: "ok", the explanation, or the reply code before it if it is not 406.
fn answer<T>(result: Result<T, ArgumentError>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(e) if e.reply_code() == 406 => e.to_string(),
        Err(e) => format!("{} {e}", e.reply_code()),
    }
}

#[track_caller]
fn assert_answer(what: &str, answer: &str, expected: &str) {
    let expected = unescape(expected);
    match expected.strip_suffix("...") {
        Some(start) => assert!(answer.starts_with(start), "{what}: {answer}"),
        None => assert_eq!(answer, expected, "{what}"),
    }
}

const fn received(arguments: &FieldTable) -> ReceivedDeclare<'_> {
    ReceivedDeclare { queue: Q, server_named: false, durable: true, exclusive: false, auto_delete: false, arguments }
}

fn declared(arguments: &FieldTable) -> Result<QueueSettings, ArgumentError> {
    declare(&received(arguments), QueueType::Classic, Compat::V4_3)
}

fn flags(arguments: &FieldTable, flags: &str) -> String {
    answer(declare(&with_flags(arguments, flags), QueueType::Classic, Compat::V4_3))
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
    answer(redeclare(&current, &with_flags(second.1, second.0), QueueType::Classic))
}

fn one(argument: &str, value: impl Into<FieldValue>) -> FieldTable {
    table(&[(argument, value.into())])
}

fn of_type(queue_type: &str, entries: &[(&str, FieldValue)]) -> FieldTable {
    let mut arguments = FieldTable::default();
    if queue_type != "classic" {
        arguments.push("x-queue-type", queue_type);
    }
    for (key, value) in entries {
        arguments.insert(*key, value.clone());
    }
    arguments
}

#[test]
fn q_06_every_argument_with_every_type_of_value() {
    for line in lines(include_str!("tests/declare.tsv")) {
        let [queue_type, argument, expected, labels] = line[..] else { panic!("{line:?}") };
        for label in labels.split(' ') {
            let arguments = of_type(queue_type, &[(argument, value(label).unwrap())]);
            let what = format!("{queue_type} {argument} {label}");
            assert_answer(&what, &answer(declared(&arguments)), expected);
        }
    }
}

#[test]
fn q_06_of_two_bad_arguments_one_is_complained_of() {
    let lines: Vec<_> = lines(include_str!("tests/order.tsv")).collect();
    let bad = |i: usize| {
        let (argument, label) = lines[i][0].split_once('=').unwrap();
        (argument, value(label).unwrap())
    };
    for (column, queue_type) in [(1, "classic"), (2, "quorum"), (3, "stream")] {
        for (first, line) in lines.iter().enumerate() {
            for (second, expected) in line[column].chars().enumerate() {
                if expected == '-' {
                    continue;
                }
                let pair = [bad(first), bad(second)];
                let answer = answer(declared(&of_type(queue_type, &pair)));
                let names = |i: usize| answer.contains(&format!("arg '{}'", pair[i].0));
                let as_expected = match expected {
                    '1' => names(0),
                    '2' => names(1),
                    'o' => answer == "ok",
                    _ => answer.starts_with("541"),
                };
                assert!(as_expected, "{queue_type} {pair:?}: {expected}, got {answer}");
            }
        }
    }
}

#[test]
fn q_05_every_type_of_value_against_others() {
    for line in lines(include_str!("tests/equivalence.tsv")) {
        let [current, received_label, expected] = line[..] else { panic!("{line:?}") };
        let mode = |label| {
            let entry = value(label).map(|v| ("x-queue-mode", v));
            of_type("classic", entry.as_slice())
        };
        let settings = declared(&mode(current)).unwrap();
        let answer = answer(redeclare(&settings, &received(&mode(received_label)), QueueType::Classic));
        let words = answer.strip_prefix("inequivalent arg 'x-queue-mode' for queue 'q' in vhost '/': ");
        assert_answer(&format!("{current} then {received_label}"), words.unwrap_or(&answer), expected);
    }
}

#[test]
fn s_18_every_consumer_argument_with_every_type_of_value() {
    for line in lines(include_str!("tests/consume.tsv")) {
        let [queue_type, argument, expected, labels] = line[..] else { panic!("{line:?}") };
        let queue_type = QueueType::from_name(queue_type.as_bytes()).unwrap();
        for label in labels.split(' ') {
            let arguments = table(&[(argument, value(label).unwrap())]);
            let answer = answer(ConsumerArguments::parse(Q, queue_type, &arguments));
            assert_answer(&format!("{queue_type:?} {argument} {label}"), &answer, expected);
        }
    }
}

#[test]
fn p_09_expirations() {
    for line in lines(include_str!("tests/expiration.tsv")) {
        let [expiration, expected] = line[..] else { panic!("{line:?}") };
        let answer = answer(Expiration::parse(unescape(expiration).as_bytes()));
        assert_answer(expiration, &answer, expected);
    }
    let answer = answer(Expiration::parse(b"12\xffabc"));
    assert_answer("Latin-1", &answer, "invalid expiration '12ÿabc': {leftover_string,\"ÿabc\"}");
}

#[test]
fn p_09_the_sign_and_leading_zeros_do_not_count() {
    for (expiration, ms) in [("0", 0), ("+10", 10), ("010", 10), ("-0", 0), ("315360000000", 315_360_000_000)] {
        assert_eq!(Expiration::parse(expiration.as_bytes()), Ok(ms));
    }
}

#[test]
fn p_11_keys_of_cc_come_before_those_of_bcc() {
    let keys = |headers: &FieldTable| {
        let headers = EncodedTable::from(headers);
        let keys = sender_selected_keys(headers.as_table());
        keys.map(|(keys, _)| keys.into_iter().map(|k| String::from_utf8_lossy(k).into_owned()).collect::<Vec<_>>())
    };
    let array = |items: &[&str]| FieldValue::Array(items.iter().map(|i| (*i).into()).collect());
    let headers = table(&[("BCC", array(&["c"])), ("x", 1.into()), ("CC", array(&["a", "b"]))]);
    assert_eq!(keys(&headers).unwrap(), ["a", "b", "c"]);
    let mixed = FieldValue::Array(vec![1.into(), "k".into(), FieldValue::Bytes(b"x".to_vec())]);
    assert_eq!(keys(&table(&[("CC", mixed)])).unwrap(), ["k"]);
    assert!(keys(&table(&[("cc", 5.into())])).unwrap().is_empty());
    // The first of two counts.
    assert!(keys(&table(&[("CC", array(&[]))])).unwrap().is_empty());
    let twice: FieldTable = [("CC", array(&["a"])), ("CC", 5.into())].into_iter().collect();
    assert_eq!(keys(&twice).unwrap(), ["a"]);
}

#[test]
fn p_11_every_other_type_of_cc_and_bcc_is_refused() {
    for (label, type_name) in [
        ("S:a", "longstr"),
        ("I:1", "signedint"),
        ("i:1", "unsignedint"),
        ("l:1", "long"),
        ("s:1", "short"),
        ("u:1", "unsignedshort"),
        ("b:1", "byte"),
        ("B:1", "unsignedbyte"),
        ("t:true", "bool"),
        ("d:1", "double"),
        ("f:1", "float"),
        ("D:", "decimal"),
        ("T:1", "timestamp"),
        ("F:{}", "table"),
        ("x:a", "binary"),
        ("V", "void"),
    ] {
        for header in ["CC", "BCC"] {
            let headers = EncodedTable::from(&table(&[(header, value(label).unwrap())]));
            let error = sender_selected_keys(headers.as_table()).map(drop).unwrap_err();
            let expected = format!("invalid message: {{unacceptable_type_in_header,\"{header}\",{type_name}}}");
            assert_eq!(error.to_string(), expected);
        }
    }
    let both = EncodedTable::from(&table(&[("BCC", 5.into()), ("CC", 6.into())]));
    let error = sender_selected_keys(both.as_table()).map(drop).unwrap_err();
    assert!(error.to_string().contains("\"CC\""));
}

#[test]
fn c_31_headers_without_bcc_are_sorted_and_the_first_of_duplicates_stays() {
    let inner = FieldValue::Table(table(&[("z", 1.into()), ("a", 2.into())]));
    let headers: FieldTable = [
        ("z", FieldValue::from(1)),
        ("BCC", FieldValue::Array(vec!["k".into()])),
        ("a", 2.into()),
        ("z", 3.into()),
        ("F", inner.clone()),
    ]
    .into_iter()
    .collect();
    let without = without_bcc(EncodedTable::from(&headers).as_table()).unwrap();
    let expected = table(&[("F", inner), ("a", 2.into()), ("z", 1.into())]);
    assert_eq!(without.as_table().to_owned(), expected);
    assert_eq!(without_bcc(EncodedTable::from(&expected).as_table()), None);
}
