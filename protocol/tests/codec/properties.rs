use leveret_protocol::properties::Treatment;
use leveret_protocol::{
    BasicProperties, ContentHeader, FieldTable, FieldValue, PropertiesError, Table, canonicalize_headers_in_place,
};
use proptest::prelude::*;

use crate::generate::{long, properties, short};

#[test]
fn content_header_is_read_without_its_properties() {
    let payload = b"\x00\x3c\x00\x01\x00\x00\x00\x00\x00\x00\x00\x05rest";
    let header = ContentHeader { class_id: 60, weight: 1, body_size: 5, properties: b"rest" };
    assert_eq!(ContentHeader::decode(payload), Ok(header));
    for len in 0..12 {
        assert!(ContentHeader::decode(&payload[..len]).is_err());
    }
}

#[test]
fn every_property_has_its_flag() {
    let headers = FieldTable::from_iter([("n", 1)]).encode();
    let strings = [b"ct", b"ce", b"ci", b"rt", b"ex", b"mi", b"ty", b"ui", b"ai", b"cl"];
    let [ct, ce, ci, rt, ex, mi, ty, ui, ai, cl] = strings.map(|s| short(s));
    let raw = [
        &b"\xff\xfc"[..],
        &ct,
        &ce,
        &long(&headers),
        &[2, 9],
        &ci,
        &rt,
        &ex,
        &mi,
        &[0, 0, 0, 0, 0, 0, 0, 7],
        &ty,
        &ui,
        &ai,
        &cl,
    ]
    .concat();
    let expected = BasicProperties {
        content_type: Some(b"ct"),
        content_encoding: Some(b"ce"),
        headers: Some(Table::parse(&headers).unwrap()),
        delivery_mode: Some(2),
        priority: Some(9),
        correlation_id: Some(b"ci"),
        reply_to: Some(b"rt"),
        expiration: Some(b"ex"),
        message_id: Some(b"mi"),
        timestamp: Some(7),
        kind: Some(b"ty"),
        user_id: Some(b"ui"),
        app_id: Some(b"ai"),
        cluster_id: Some(b"cl"),
    };
    assert_eq!(BasicProperties::decode(&raw), Ok(expected));
    let mut written = Vec::new();
    expected.encode(&mut written);
    assert_eq!(written, raw);
}

#[test]
fn c_24_unknown_flags_are_dropped_and_left_over_bytes_are_an_error() {
    let decoded = BasicProperties::decode(b"\x80\x03\x01a").unwrap();
    assert_eq!(decoded, BasicProperties { content_type: Some(b"a"), ..Default::default() });
    let malformed: [&[u8]; 6] = [b"", b"\0", b"\0\0\0", b"\0\x01\0\0", b"\x80\0\x05", b"\x20\0\0\0\0\x02\x01a"];
    for raw in malformed {
        assert_eq!(BasicProperties::decode(raw), Err(PropertiesError), "{raw:?}");
    }
    let mut raw = b"\x80\x03\x01a".to_vec();
    canonicalize_headers_in_place(&mut raw);
    assert_eq!(raw, b"\x80\x00\x01a");
}

#[test]
fn c_31_letters_and_booleans_are_canonicalized_at_any_depth() {
    let long_long = [b'L', 0, 0, 0, 0, 0, 0, 0, b'L'];
    let array = [&long_long[..], b"t\x02"].concat();
    let table = [&b"\x01LA"[..], &long(&array), b"\x01LS", &long(b"LLt\x02")].concat();
    let headers = [&b"\x00"[..], &long_long, b"\x01LF", &long(&table), b"\x01tt\x02"].concat();
    let raw = [&b"\xe0\x00\x01L\x02LL"[..], &long(&headers)].concat();
    let mut canonical = raw.clone();
    canonicalize_headers_in_place(&mut canonical);

    let before = BasicProperties::decode(&raw).unwrap();
    let after = BasicProperties::decode(&canonical).unwrap();
    assert_eq!(after.content_encoding, Some(&b"LL"[..]));
    let owned = before.headers.unwrap().to_owned();
    assert_eq!(after.headers.unwrap().as_bytes(), owned.encode(), "the letters that we write");
    assert_eq!(owned.get("t"), Some(&FieldValue::Bool(true)));
}

proptest! {
    #[test]
    fn c_32_properties_survive_byte_for_byte(raw in properties()) {
        let mut written = Vec::new();
        BasicProperties::decode(&raw).unwrap().encode(&mut written);
        prop_assert_eq!(&written, &raw);
        canonicalize_headers_in_place(&mut written);
        prop_assert_eq!(&written, &raw, "ours are canonical");
    }

    #[test]
    fn the_treatment_is_what_the_properties_say(
        raw in properties(),
        elsewhere: bool,
        cut in any::<prop::sample::Index>(),
        more in prop::collection::vec(any::<u8>(), 0..3),
    ) {
        let all = BasicProperties::decode(&raw).unwrap();
        let kept = if elsewhere { all } else { BasicProperties { headers: None, reply_to: None, user_id: None, ..all } };
        let mut raw = Vec::new();
        kept.encode(&mut raw);
        let expected = (kept.headers.is_none() && kept.reply_to.is_none() && kept.user_id.is_none()).then_some(Treatment {
            delivery_mode: kept.delivery_mode,
            priority: kept.priority,
            expiration: kept.expiration,
        });
        prop_assert_eq!(Treatment::decode(&raw), expected);
        let cut_off = &raw[..cut.index(raw.len())];
        let longer = [&raw[..], &more].concat();
        for malformed in [cut_off, &longer] {
            if BasicProperties::decode(malformed).is_err() {
                prop_assert_eq!(Treatment::decode(malformed), None);
            }
        }
    }

    #[test]
    fn canonicalizing_anything_neither_panics_nor_loops(mut raw: Vec<u8>) {
        canonicalize_headers_in_place(&mut raw);
    }
}
