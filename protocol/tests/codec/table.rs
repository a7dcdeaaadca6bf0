use leveret_protocol::{FieldTable, FieldValue, TABLE_DEPTH_MAX, Table, Value};
use proptest::prelude::*;

use crate::generate::{field_table, long};

#[test]
fn c_31_every_letter_is_read() {
    let bytes = b"\x01aS\x00\x00\x00\x02hi\x01bI\xff\xff\xff\xff\x01ci\xff\xff\xff\xff\
        \x01dl\xff\xff\xff\xff\xff\xff\xff\xff\x01eL\xff\xff\xff\xff\xff\xff\xff\xff\
        \x01fs\xff\xff\x01gu\xff\xff\x01hb\xff\x01iB\xff\x01jt\x02\
        \x01kd\x3f\xf0\x00\x00\x00\x00\x00\x00\x01lf\x3f\x80\x00\x00\x01mD\x02\x00\x00\x00\x07\
        \x01nT\x80\x00\x00\x00\x00\x00\x00\x00\x01oF\x00\x00\x00\x03\x01xV\
        \x01pA\x00\x00\x00\x02t\x00\x01qx\x00\x00\x00\x01\x00\x01rV";
    let owned = Table::parse(bytes).unwrap().to_owned();
    let expected = FieldTable::from_iter([
        ("a", FieldValue::LongString(b"hi".to_vec())),
        ("b", FieldValue::I32(-1)),
        ("c", FieldValue::U32(u32::MAX)),
        ("d", FieldValue::I64(-1)),
        ("e", FieldValue::I64(-1)),
        ("f", FieldValue::I16(-1)),
        ("g", FieldValue::U16(u16::MAX)),
        ("h", FieldValue::I8(-1)),
        ("i", FieldValue::U8(u8::MAX)),
        ("j", FieldValue::Bool(true)),
        ("k", FieldValue::F64(1.0)),
        ("l", FieldValue::F32(1.0)),
        ("m", FieldValue::Decimal { scale: 2, value: 7 }),
        ("n", FieldValue::Timestamp(1 << 63)),
        ("o", FieldValue::Table(FieldTable::from_iter([("x", FieldValue::Void)]))),
        ("p", FieldValue::Array(vec![FieldValue::Bool(false)])),
        ("q", FieldValue::Bytes(vec![0])),
        ("r", FieldValue::Void),
    ]);
    assert_eq!(owned, expected);
}

#[test]
fn unknown_letters_and_cut_values_are_errors() {
    for bytes in [
        b"\x01".as_slice(),
        b"\x01a",
        b"\x01a?",
        b"\x01aI\x00\x00\x00",
        b"\x01aS\x00\x00\x00\x02h",
        b"\x01aF\x00\x00\x00\x01\x01",
        b"\x01aA\x00\x00\x00\x01?",
        b"\x01aA\xff\xff\xff\xff",
    ] {
        assert!(Table::parse(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn depth_is_limited() {
    let nested = |depth: usize, letter: u8| {
        let mut content = Vec::new();
        for level in (1..depth).rev() {
            let name: &[u8] = if letter == b'F' || level == 1 { b"\x01n" } else { b"" };
            content = [name, &[letter], &long(&content)].concat();
        }
        content
    };
    for letter in *b"FA" {
        assert!(Table::parse(&nested(TABLE_DEPTH_MAX, letter)).is_ok());
        assert!(Table::parse(&nested(TABLE_DEPTH_MAX + 1, letter)).is_err());
        assert!(Table::parse(&nested(20_000, letter)).is_err());
    }
}

#[test]
fn duplicates_and_order_are_kept_and_get_gives_the_first() {
    let table = FieldTable::from_iter([("b", 1), ("a", 2), ("b", 3)]);
    let bytes = table.encode();
    let borrowed = Table::parse(&bytes).unwrap();
    let names: Vec<_> = borrowed.iter().map(|(name, _)| name).collect();
    assert_eq!(names, [b"b", b"a", b"b"]);
    assert_eq!(borrowed.get("b"), Some(Value::I32(1)));
    assert_eq!(borrowed.get(b"c"), None);
    assert_eq!(table.get("b"), Some(&FieldValue::I32(1)));
    let sorted = FieldTable::from_iter([("a", 2), ("b", 1)]);
    assert_eq!(table.sorted_by_name(), sorted);
}

#[test]
fn insert_replaces_and_remove_takes_all() {
    let mut table = FieldTable::new();
    table.push("a", 1);
    table.push("a", 2);
    table.insert("a", "x");
    assert_eq!(table.get("a").and_then(FieldValue::as_str), Some("x"));
    assert_eq!(table.len(), 2);
    assert_eq!(table.remove("a"), Some(FieldValue::from("x")));
    assert!(table.is_empty());
    assert_eq!(table.remove("a"), None);
}

proptest! {
    #[test]
    fn owned_tables_survive_the_wire(table in field_table()) {
        let bytes = table.encode();
        let read = Table::parse(&bytes).unwrap();
        prop_assert_eq!(read.to_owned(), table);
    }

    #[test]
    fn a_cut_table_is_never_the_whole(table in field_table(), at: prop::sample::Index) {
        let bytes = table.encode();
        let cut = &bytes[..at.index(bytes.len() + 1)];
        if let Ok(part) = Table::parse(cut) {
            prop_assert!(table.iter().map(|(name, _)| name).zip(part.iter()).all(|(a, (b, _))| a == b));
        }
    }
}
