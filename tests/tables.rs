//! Properties and headers: what comes back is what was sent.

use crate::support::*;

/// Publishes and gets a message with these raw flags and values.
fn round_trip(raw_properties: &[u8]) -> Vec<u8> {
    let mut c = Wire::open();
    let q = c.queue();
    c.send(1, publish("", &q));
    let mut header = vec![0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    header.extend(raw_properties);
    c.raw_frame(2, 1, &header);
    c.raw_frame(3, 1, b"x");
    c.get(&q).expect("the message").raw_properties
}

/// The same for a table of headers alone, in wire form without its length.
fn headers_round_trip(table: &[u8]) -> Vec<u8> {
    let mut raw = vec![0x20, 0];
    raw.extend((table.len() as u32).to_be_bytes());
    raw.extend(table);
    let back = round_trip(&raw);
    assert_eq!(back[..2], [0x20, 0]);
    back[6..].to_vec()
}

#[test]
fn c_31_every_type_comes_back_as_sent() {
    let inner: FieldTable = [("z", 1), ("a", 2)].into_iter().collect();
    let table = table! {
        "A" => vec![FieldValue::from(1), "x".into(), inner.clone().into()],
        "B" => 250u8,
        "D" => FieldValue::Decimal { scale: 2, value: 314 },
        "F" => inner,
        "I" => -5,
        "S" => "text",
        "T" => FieldValue::Timestamp(99),
        "V" => FieldValue::Void,
        "b" => -3i8,
        "d" => 1.5,
        "f" => 0.5f32,
        "i" => u32::MAX,
        "l" => 1i64 << 40,
        "s" => -5i16,
        "t" => true,
        "u" => 65535u16,
        "x" => FieldValue::Bytes(vec![0, 1]),
    };
    assert_eq!(headers_round_trip(table.as_bytes()), table.as_bytes());
}

#[test]
fn c_31_the_letter_l_and_booleans_come_back_in_one_form() {
    assert_eq!(headers_round_trip(b"\x01aL\0\0\0\0\0\0\0\x05"), b"\x01al\0\0\0\0\0\0\0\x05");
    assert_eq!(headers_round_trip(b"\x01at\x02"), b"\x01at\x01");
}

#[test]
fn c_31_order_and_duplicates_are_kept() {
    if !ours_only() {
        return;
    }
    let mut table = FieldTable::new();
    for (name, value) in [("z", 1), ("a", 2), ("z", 3), ("B", 4)] {
        table.push(name, value);
    }
    let table = EncodedTable::from(&table);
    assert_eq!(headers_round_trip(table.as_bytes()), table.as_bytes());
    let not_a_number = table! { "n" => f64::NAN, "i" => f64::INFINITY };
    assert_eq!(headers_round_trip(not_a_number.as_bytes()), not_a_number.as_bytes());
}

#[test]
fn c_32_every_property_comes_back_as_sent() {
    let headers = table! { "a" => 1 };
    let all = BasicProperties {
        content_type: Some(b"t/x"),
        content_encoding: Some(b""),
        headers: Some(headers.as_table()),
        delivery_mode: Some(2),
        priority: Some(3),
        correlation_id: Some(b"\xff\xfe"),
        reply_to: Some(b"r"),
        expiration: Some(b"60000"),
        message_id: Some(b"m"),
        timestamp: Some(12345),
        kind: Some(b"ty"),
        user_id: Some(b"guest"),
        app_id: Some(b"app"),
        cluster_id: Some(b"cl"),
    };
    for properties in [all, BasicProperties::default()] {
        let mut raw = Vec::new();
        properties.encode(&mut raw);
        assert_eq!(round_trip(&raw), raw);
    }
}

#[test]
fn c_32_an_empty_table_of_headers_is_not_none() {
    let empty = [0x20, 0, 0, 0, 0, 0];
    assert_eq!(round_trip(&empty), empty);
}

#[test]
fn c_24_flag_bits_that_stand_for_nothing_are_dropped() {
    assert_eq!(round_trip(&[0, 2]), [0, 0]);
    assert_eq!(round_trip(&[0x10, 2, 2]), [0x10, 0, 2]);
}

#[test]
fn c_33_any_timestamp_is_taken() {
    for timestamp in [0, 1 << 63, u64::MAX] {
        let mut raw = Vec::new();
        BasicProperties { timestamp: Some(timestamp), ..Default::default() }.encode(&mut raw);
        assert_eq!(round_trip(&raw), raw);
    }
}
