//! Values as RabbitMQ writes them in explanations: the type's name, and the value as an Erlang term.

use std::fmt::Write as _;

use leveret_protocol::{Array, Table, Value};

/// RabbitMQ's name of a value's type.
pub(crate) const fn type_name(value: &Value<'_>) -> &'static str {
    match value {
        Value::LongString(_) => "longstr",
        Value::I32(_) => "signedint",
        Value::U32(_) => "unsignedint",
        Value::I64(_) => "long",
        Value::I16(_) => "short",
        Value::U16(_) => "unsignedshort",
        Value::I8(_) => "byte",
        Value::U8(_) => "unsignedbyte",
        Value::Bool(_) => "bool",
        Value::F64(_) => "double",
        Value::F32(_) => "float",
        Value::Decimal { .. } => "decimal",
        Value::Timestamp(_) => "timestamp",
        Value::Table(_) => "table",
        Value::Array(_) => "array",
        Value::Bytes(_) => "binary",
        Value::Void => "void",
    }
}

/// The value as a term, except that strings stand as they are (X-04).
pub(crate) fn text(value: &Value<'_>) -> String {
    match value {
        Value::LongString(bytes) | Value::Bytes(bytes) => decode(bytes),
        _ => term(value),
    }
}

/// The value as a term, on one line.
pub(crate) fn term(value: &Value<'_>) -> String {
    let mut out = String::new();
    write_term(value, &mut out);
    out
}

/// A reply text holds 255 bytes, so a term is not written further than that makes sense.
const LEN_MAX: usize = 1024;

fn write_term(value: &Value<'_>, out: &mut String) {
    if out.len() > LEN_MAX {
        return;
    }
    // Writing to a string cannot fail.
    let _ = match *value {
        Value::LongString(bytes) | Value::Bytes(bytes) => {
            write_binary(bytes, out);
            Ok(())
        }
        Value::I32(n) => write!(out, "{n}"),
        Value::U32(n) => write!(out, "{n}"),
        Value::I64(n) => write!(out, "{n}"),
        Value::I16(n) => write!(out, "{n}"),
        Value::U16(n) => write!(out, "{n}"),
        Value::I8(n) => write!(out, "{n}"),
        Value::U8(n) => write!(out, "{n}"),
        Value::Timestamp(n) => write!(out, "{n}"),
        Value::Bool(is) => write!(out, "{is}"),
        Value::F64(x) => write!(out, "{}", float(x)),
        Value::F32(x) => write!(out, "{}", float(x.into())),
        Value::Decimal { scale, value } => write!(out, "{{{scale},{value}}}"),
        Value::Table(table) => {
            write_table(table, out);
            Ok(())
        }
        Value::Array(array) => {
            write_array(array, out);
            Ok(())
        }
        Value::Void => write!(out, "undefined"),
    };
}

fn write_table(table: Table<'_>, out: &mut String) {
    out.push('[');
    for (i, (name, value)) in table.iter().enumerate() {
        out.push_str(if i == 0 { "{" } else { ",{" });
        write_binary(name, out);
        write_typed(&value, out);
        if out.len() > LEN_MAX {
            break;
        }
    }
    out.push(']');
}

fn write_array(array: Array<'_>, out: &mut String) {
    out.push('[');
    for (i, value) in array.iter().enumerate() {
        out.push_str(if i == 0 { "{" } else { ",{" });
        let bare = out.len();
        write_typed(&value, out);
        // No name stands before the type here.
        out.remove(bare);
        if out.len() > LEN_MAX {
            break;
        }
    }
    out.push(']');
}

fn write_typed(value: &Value<'_>, out: &mut String) {
    let _ = write!(out, ",{},", type_name(value));
    write_term(value, out);
    out.push('}');
}

fn write_binary(bytes: &[u8], out: &mut String) {
    if bytes.is_empty() {
        return out.push_str("<<>>");
    }
    let shown = decode(bytes);
    if !shown.chars().all(is_printable) {
        let numbers = bytes.iter().take(LEN_MAX / 2).map(u8::to_string);
        let _ = write!(out, "<<{}>>", numbers.collect::<Vec<_>>().join(","));
        return;
    }
    out.push_str("<<\"");
    shown.chars().for_each(|c| write_char(c, out));
    let is_wide = !bytes.is_ascii() && std::str::from_utf8(bytes).is_ok();
    out.push_str(if is_wide { "\"/utf8>>" } else { "\">>" });
}

fn write_char(c: char, out: &mut String) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\x1b' => out.push_str("\\e"),
        _ => out.push(c),
    }
}

const fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'.. | '\n' | '\r' | '\t' | '\x0b' | '\x08' | '\x0c' | '\x1b')
}

/// UTF-8, or else Latin-1.
fn decode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

/// The shortest digits that give the number again, always with a point.
fn float(x: f64) -> String {
    let digits = format!("{x:?}");
    match digits.split_once('e') {
        Some((mantissa, exponent)) if !mantissa.contains('.') => {
            format!("{mantissa}.0e{exponent}")
        }
        _ => digits,
    }
}
