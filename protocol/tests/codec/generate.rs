//! Strategies for values and for bytes as a peer may send them.

use leveret_protocol::method::{ArgumentKind, MethodSpec};
use leveret_protocol::{BasicProperties, FieldTable, FieldValue, Method, Table};
use proptest::collection::vec;
use proptest::prelude::*;

/// Any owned value, nested a few levels.
pub(crate) fn field_value() -> impl Strategy<Value = FieldValue> {
    let leaf = prop_oneof![
        vec(any::<u8>(), 0..20).prop_map(FieldValue::LongString),
        any::<i32>().prop_map(FieldValue::I32),
        any::<u32>().prop_map(FieldValue::U32),
        any::<i64>().prop_map(FieldValue::I64),
        any::<i16>().prop_map(FieldValue::I16),
        any::<u16>().prop_map(FieldValue::U16),
        any::<i8>().prop_map(FieldValue::I8),
        any::<u8>().prop_map(FieldValue::U8),
        any::<bool>().prop_map(FieldValue::Bool),
        proptest::num::f64::NORMAL.prop_map(FieldValue::F64),
        proptest::num::f32::NORMAL.prop_map(FieldValue::F32),
        any::<(u8, u32)>().prop_map(|(scale, value)| FieldValue::Decimal { scale, value }),
        any::<u64>().prop_map(FieldValue::Timestamp),
        vec(any::<u8>(), 0..20).prop_map(FieldValue::Bytes),
        Just(FieldValue::Void),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(FieldValue::Array),
            vec((vec(any::<u8>(), 0..8), inner), 0..4)
                .prop_map(|entries| FieldValue::Table(entries.into_iter().collect())),
        ]
    })
}

/// Any owned table; names may repeat and be empty.
pub(crate) fn field_table() -> impl Strategy<Value = FieldTable> {
    vec((vec(any::<u8>(), 0..8), field_value()), 0..6).prop_map(|entries| entries.into_iter().collect())
}

/// The payload of any method, with reserved arguments as a well-behaved peer sends them.
pub(crate) fn method_payload() -> impl Strategy<Value = Vec<u8>> {
    proptest::sample::select(Method::ALL).prop_flat_map(payload_of)
}

/// The payload of this method.
pub(crate) fn payload_of(spec: MethodSpec) -> impl Strategy<Value = Vec<u8>> {
    let arguments: Vec<_> = spec.arguments.iter().map(|(name, kind)| argument(*kind, *name == "reserved")).collect();
    arguments.prop_map(move |values| {
        let mut out = Vec::new();
        out.extend_from_slice(&spec.id.class.to_be_bytes());
        out.extend_from_slice(&spec.id.method.to_be_bytes());
        let mut bits = 0;
        for (value, (_, kind)) in values.iter().zip(spec.arguments) {
            if *kind != ArgumentKind::Bit {
                bits = 0;
                out.extend_from_slice(value);
                continue;
            }
            if bits == 0 {
                out.push(0);
            }
            *out.last_mut().unwrap() |= value[0] << bits;
            bits += 1;
        }
        out
    })
}

fn argument(kind: ArgumentKind, reserved: bool) -> BoxedStrategy<Vec<u8>> {
    let octets = |len: usize| vec(any::<u8>(), len).boxed();
    let strategy = match kind {
        ArgumentKind::Bit => (0..2u8).prop_map(|bit| vec![bit]).boxed(),
        ArgumentKind::Octet => octets(1),
        ArgumentKind::Short => octets(2),
        ArgumentKind::Long => octets(4),
        ArgumentKind::LongLong => octets(8),
        ArgumentKind::ShortStr => "\\PC{0,20}".prop_map(|s| short(s.as_bytes())).boxed(),
        ArgumentKind::ShortBytes => vec(any::<u8>(), 0..=255).prop_map(|s| short(&s)).boxed(),
        ArgumentKind::LongStr => vec(any::<u8>(), 0..300).prop_map(|s| long(&s)).boxed(),
        ArgumentKind::Table => field_table().prop_map(|t| long(&t.encode())).boxed(),
    };
    match (reserved, kind) {
        (false, _) => strategy,
        (true, ArgumentKind::Short) => Just(vec![0; 2]).boxed(),
        (true, ArgumentKind::LongStr) => Just(vec![0; 4]).boxed(),
        (true, _) => Just(vec![0]).boxed(),
    }
}

/// Flags and values of any properties.
pub(crate) fn properties() -> impl Strategy<Value = Vec<u8>> {
    let string = || proptest::option::of(vec(any::<u8>(), 0..30));
    let strings = [(); 10].map(|()| string());
    let headers = proptest::option::of(field_table().prop_map(|table| table.encode()));
    let numbers = any::<(Option<u8>, Option<u8>, Option<u64>)>();
    (strings, headers, numbers).prop_map(|(strings, headers, (delivery_mode, priority, timestamp))| {
        let string = |n: usize| strings[n].as_deref();
        let properties = BasicProperties {
            content_type: string(0),
            content_encoding: string(1),
            headers: headers.as_deref().map(|raw| Table::parse(raw).unwrap()),
            delivery_mode,
            priority,
            correlation_id: string(2),
            reply_to: string(3),
            expiration: string(4),
            message_id: string(5),
            timestamp,
            kind: string(6),
            user_id: string(7),
            app_id: string(8),
            cluster_id: string(9),
        };
        let mut raw = Vec::new();
        properties.encode(&mut raw);
        raw
    })
}

/// A short string with its length.
pub(crate) fn short(bytes: &[u8]) -> Vec<u8> {
    [&[bytes.len() as u8], bytes].concat()
}

/// A long string, or a table's content, with its length.
pub(crate) fn long(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes(), bytes].concat()
}
