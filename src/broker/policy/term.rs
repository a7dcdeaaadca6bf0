//! Values of policies as Erlang terms, as RabbitMQ's explanations show them.

use leveret_protocol::{FieldTable, FieldValue};

pub(super) fn term(value: &FieldValue) -> String {
    match value {
        FieldValue::LongString(text) => binary(text),
        FieldValue::Bool(value) => value.to_string(),
        FieldValue::F32(value) => format!("{value:?}"),
        FieldValue::F64(value) => format!("{value:?}"),
        FieldValue::Void => "null".to_owned(),
        FieldValue::Array(values) => format!("[{}]", values.iter().map(term).collect::<Vec<_>>().join(",")),
        FieldValue::Table(table) => map(table),
        FieldValue::Timestamp(value) => value.to_string(),
        other => other.as_integer().map_or_else(|| "undefined".to_owned(), |n| n.to_string()),
    }
}

/// Keys and values as a list of pairs.
pub(super) fn pairs(pairs: &[(&[u8], &FieldValue)]) -> String {
    let pairs = pairs.iter().map(|(key, value)| format!("{{{},{}}}", binary(key), term(value)));
    format!("[{}]", pairs.collect::<Vec<_>>().join(","))
}

fn binary(text: &[u8]) -> String {
    match text.is_empty() {
        true => "<<>>".to_owned(),
        false => format!("<<\"{}\">>", String::from_utf8_lossy(text).replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

fn map(table: &FieldTable) -> String {
    let pairs = table.iter().map(|(key, value)| format!("{} => {}", binary(key), term(value)));
    format!("#{{{}}}", pairs.collect::<Vec<_>>().join(","))
}
