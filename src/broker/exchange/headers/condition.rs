//! What the arguments of a headers binding ask for, and when a header's value is the same as theirs.
//!
//! Values are compared in an encoded form, equal bytes being equal values: a kind, then the content. Integers of all types
//! are one kind, floats another, long strings and byte strings a third. Inside tables and arrays the types count.

use leveret_protocol::{Table, Value};

use crate::broker::exchange::{term, type_name};
use crate::broker::topology::TopologyError;

/// In place of an encoded value: the header is there, whatever it holds.
pub(super) const PRESENT: u8 = 0;
const INTEGER: u8 = 1;
const FLOAT: u8 = 2;
const BYTES: u8 = 3;
const BOOL: u8 = 4;
const DECIMAL: u8 = 5;
const TABLE: u8 = 6;
const ARRAY: u8 = 7;
const EMPTY: u8 = 8;
const VOID: u8 = 9;

const X_MATCH: &[u8] = b"x-match";

/// How many of its conditions a binding wants to be met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    All,
    Any,
}

impl Mode {
    /// The mode, and whether names that start with `x-` count. Of several `x-match` the first is read.
    pub(super) fn parse(arguments: Table<'_>) -> Result<(Self, bool), TopologyError> {
        match arguments.get(X_MATCH) {
            None | Some(Value::LongString(b"all")) => Ok((Self::All, false)),
            Some(Value::LongString(b"any")) => Ok((Self::Any, false)),
            Some(Value::LongString(b"all-with-x")) => Ok((Self::All, true)),
            Some(Value::LongString(b"any-with-x")) => Ok((Self::Any, true)),
            Some(value @ Value::LongString(_)) => Err(TopologyError::HeadersMatchValue(term(&value))),
            Some(value) => Err(TopologyError::HeadersMatchType { type_name: type_name(&value), value: term(&value) }),
        }
    }
}

/// The arguments of a binding, read.
#[derive(Debug)]
pub(super) struct Conditions<'a> {
    pub(super) mode: Mode,
    /// Names and encoded values, sorted, each once.
    pub(super) entries: Vec<(&'a [u8], Vec<u8>)>,
}

impl<'a> Conditions<'a> {
    /// Reads arguments that passed [`Mode::parse`] when the binding was made.
    pub(super) fn parse(arguments: Table<'a>) -> Self {
        let (mode, with_x) = Mode::parse(arguments).unwrap_or((Mode::All, false));
        let mut entries = arguments
            .iter()
            .filter(|(name, _)| *name != X_MATCH && (with_x || !name.starts_with(b"x-")))
            .map(|(name, value)| (name, binding_value(value)))
            .collect::<Vec<_>>();
        entries.sort_unstable();
        entries.dedup();
        Self { mode, entries }
    }
}

/// Encodes the value of a message's header: its timestamps count in milliseconds.
pub(super) fn write_message_value(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Timestamp(seconds) => write_integer(i128::from(seconds) * 1000, out),
        _ => write_value(value, out),
    }
}

/// Encodes the value of a binding's argument: its timestamps count as they are, and void asks for presence.
fn binding_value(value: Value<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    match value {
        Value::Void => out.push(PRESENT),
        _ => write_value(value, &mut out),
    }
    out
}

fn write_value(value: Value<'_>, out: &mut Vec<u8>) {
    if let Some(n) = value.as_integer() {
        return write_integer(n.into(), out);
    }
    match value {
        Value::Timestamp(n) => write_integer(n.into(), out),
        Value::F32(x) => write_float(x.into(), out),
        Value::F64(x) => write_float(x, out),
        Value::LongString(bytes) | Value::Bytes(bytes) => {
            out.push(BYTES);
            out.extend_from_slice(bytes);
        }
        Value::Bool(is) => out.extend_from_slice(&[BOOL, is.into()]),
        Value::Decimal { scale, value } => {
            out.extend_from_slice(&[DECIMAL, scale]);
            out.extend_from_slice(&value.to_be_bytes());
        }
        // An empty table and an empty array are the same.
        Value::Table(table) if table.is_empty() => out.push(EMPTY),
        Value::Array(array) if array.is_empty() => out.push(EMPTY),
        Value::Table(_) => {
            out.push(TABLE);
            write_exact(value, out);
        }
        Value::Array(_) => {
            out.push(ARRAY);
            write_exact(value, out);
        }
        // Its own kind: a header that is there without a value equals no value.
        _ => out.push(VOID),
    }
}

fn write_integer(n: i128, out: &mut Vec<u8>) {
    out.push(INTEGER);
    out.extend_from_slice(&n.to_be_bytes());
}

fn write_float(x: f64, out: &mut Vec<u8>) {
    out.push(FLOAT);
    out.extend_from_slice(&x.to_bits().to_be_bytes());
}

/// Writes a value with its type; each part says its own length, so different values never give equal bytes.
fn write_exact(value: Value<'_>, out: &mut Vec<u8>) {
    let name = type_name(&value).as_bytes();
    out.extend_from_slice(name);
    out.push(0);
    match value {
        Value::Table(table) => write_sized(out, |out| {
            for (name, value) in table {
                write_sized(out, |out| out.extend_from_slice(name));
                write_exact(value, out);
            }
        }),
        Value::Array(array) => write_sized(out, |out| {
            array.iter().for_each(|value| write_exact(value, out));
        }),
        _ => write_sized(out, |out| write_value(value, out)),
    }
}

fn write_sized(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    write(out);
    let len = (out.len() - start - 8) as u64;
    out[start..start + 8].copy_from_slice(&len.to_be_bytes());
}
