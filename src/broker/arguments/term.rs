//! Values as Erlang prints them: RabbitMQ's texts show them so.

use std::fmt::{self, Write};

use leveret_protocol::FieldValue;

/// The name of a value's type in RabbitMQ's texts.
pub(super) const fn type_name(value: &FieldValue) -> &'static str {
    match value {
        FieldValue::LongString(_) => "longstr",
        FieldValue::I32(_) => "signedint",
        FieldValue::U32(_) => "unsignedint",
        FieldValue::I64(_) => "long",
        FieldValue::I16(_) => "short",
        FieldValue::U16(_) => "unsignedshort",
        FieldValue::I8(_) => "byte",
        FieldValue::U8(_) => "unsignedbyte",
        FieldValue::Bool(_) => "bool",
        FieldValue::F64(_) => "double",
        FieldValue::F32(_) => "float",
        FieldValue::Decimal { .. } => "decimal",
        FieldValue::Timestamp(_) => "timestamp",
        FieldValue::Table(_) => "table",
        FieldValue::Array(_) => "array",
        FieldValue::Bytes(_) => "binary",
        FieldValue::Void => "void",
    }
}

/// The text that bytes stand for: UTF-8, else one character for each byte.
pub(super) fn text(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| bytes.iter().copied().map(char::from).collect(), str::to_owned)
}

/// How binaries are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Latin1,
    Unicode,
}

/// An Erlang term.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Term {
    Atom(&'static str),
    Binary(Vec<u8>),
    Float(f64),
    /// Digits with or without a minus sign.
    Integer(String),
    List(Vec<Self>),
    /// A list of characters.
    Text(String),
    Tuple(Vec<Self>),
}

impl Term {
    pub(super) fn integer(value: impl fmt::Display) -> Self {
        Self::Integer(value.to_string())
    }

    /// `{tag,content}`
    pub(super) fn tagged(tag: &'static str, content: Self) -> Self {
        Self::Tuple(vec![Self::Atom(tag), content])
    }

    /// The value alone, without its type.
    pub(super) fn of(value: &FieldValue) -> Self {
        match value {
            FieldValue::LongString(bytes) | FieldValue::Bytes(bytes) => Self::Binary(bytes.clone()),
            FieldValue::I32(n) => Self::integer(n),
            FieldValue::U32(n) => Self::integer(n),
            FieldValue::I64(n) => Self::integer(n),
            FieldValue::I16(n) => Self::integer(n),
            FieldValue::U16(n) => Self::integer(n),
            FieldValue::I8(n) => Self::integer(n),
            FieldValue::U8(n) => Self::integer(n),
            FieldValue::Bool(true) => Self::Atom("true"),
            FieldValue::Bool(false) => Self::Atom("false"),
            FieldValue::F64(x) => Self::Float(*x),
            FieldValue::F32(x) => Self::Float(f64::from(*x)),
            FieldValue::Decimal { scale, value } => Self::Tuple(vec![Self::integer(scale), Self::integer(value)]),
            FieldValue::Timestamp(n) => Self::integer(n),
            FieldValue::Table(table) => Self::List(
                table
                    .iter()
                    .map(|(name, value)| {
                        let name = Self::Binary(name.to_vec());
                        Self::Tuple(vec![name, Self::Atom(type_name(value)), Self::of(value)])
                    })
                    .collect(),
            ),
            FieldValue::Array(values) => Self::List(values.iter().map(Self::typed).collect()),
            FieldValue::Void => Self::Atom("undefined"),
        }
    }

    /// `{type,value}`
    pub(super) fn typed(value: &FieldValue) -> Self {
        Self::tagged(type_name(value), Self::of(value))
    }

    /// The term on one line.
    pub(crate) fn line(&self, encoding: Encoding) -> String {
        let mut out = String::new();
        self.write(&mut out, encoding);
        out
    }

    /// The term as it is printed at `column` (from 1) of lines of `width`: what does not fit goes on a line of its own.
    pub(super) fn wrapped(&self, column: usize, width: usize, encoding: Encoding) -> String {
        let line = self.line(encoding);
        let fits = line.chars().count() < width.saturating_sub(column);
        let separator = format!(",\n{:column$}", "");
        match self {
            Self::List(items) if !fits => {
                let items: Vec<_> = items.iter().map(|item| item.line(encoding)).collect();
                format!("[{}]", items.join(&separator))
            }
            Self::Tuple(items) if !fits => {
                let items: Vec<_> = items.iter().map(|item| item.line(encoding)).collect();
                format!("{{{}}}", items.join(&separator))
            }
            _ => line,
        }
    }

    fn write(&self, out: &mut String, encoding: Encoding) {
        match self {
            Self::Atom(name) => out.push_str(name),
            Self::Binary(bytes) => write_binary(out, bytes, encoding),
            Self::Float(x) => write_float(out, *x),
            Self::Integer(digits) => out.push_str(digits),
            Self::List(items) => write_items(out, items, encoding, '[', ']'),
            Self::Text(text) if text.is_empty() => out.push_str("[]"),
            Self::Text(text) if text.chars().all(is_printable_latin1) => write_quoted(out, text.chars()),
            Self::Text(text) => {
                let codes: Vec<_> = text.chars().map(|c| Self::integer(u32::from(c))).collect();
                write_items(out, &codes, encoding, '[', ']');
            }
            Self::Tuple(items) => write_items(out, items, encoding, '{', '}'),
        }
    }
}

fn write_items(out: &mut String, items: &[Term], encoding: Encoding, open: char, close: char) {
    out.push(open);
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        item.write(out, encoding);
    }
    out.push(close);
}

fn write_binary(out: &mut String, bytes: &[u8], encoding: Encoding) {
    out.push_str("<<");
    let latin1 = || bytes.iter().copied().map(char::from);
    let utf8 = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| encoding == Encoding::Unicode && !text.is_ascii() && text.chars().all(is_printable));
    if let Some(text) = utf8 {
        write_quoted(out, text.chars());
        out.push_str("/utf8");
    } else if !bytes.is_empty() && latin1().all(is_printable_latin1) {
        write_quoted(out, latin1());
    } else {
        for (i, byte) in bytes.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            write!(out, "{comma}{byte}").unwrap_or_default();
        }
    }
    out.push_str(">>");
}

fn write_quoted(out: &mut String, text: impl Iterator<Item = char>) {
    out.push('"');
    for c in text {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            '\x1b' => out.push_str("\\e"),
            c => out.push(c),
        }
    }
    out.push('"');
}

const fn is_printable_latin1(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{ff}' | '\x08'..='\x0d' | '\x1b')
}

const fn is_printable(c: char) -> bool {
    is_printable_latin1(c) || c as u32 > 0xff && c != '\u{fffe}' && c != '\u{ffff}'
}

/// The shortest digits that give the same number, in the shorter of the two notations; from 2^53 on always with an exponent.
fn write_float(out: &mut String, x: f64) {
    let shortest = format!("{:e}", x.abs());
    let Some((mantissa, exponent)) = shortest.split_once('e') else {
        out.push_str(&shortest); // infinite or not a number: no such value in Erlang
        return;
    };
    if x.is_sign_negative() {
        out.push('-');
    }
    if x == 0.0 {
        out.push_str("0.0");
        return;
    }
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let exponent: i32 = exponent.parse().unwrap_or_default();
    // The number is 0.DIGITS times ten to the power of `place`.
    let place = exponent + 1;
    let exponent_cost = exponent.to_string().len() as i32 + 1 + if count == 1 { 2 } else { 1 };
    let zeros = |n: i32| "0".repeat(usize::try_from(n).unwrap_or_default());
    if place > 0 && place < count {
        let (whole, fraction) = digits.split_at(place as usize);
        out.push_str(&format!("{whole}.{fraction}"));
    } else if place == 0 || place < 0 && 2 - place <= exponent_cost {
        out.push_str(&format!("0.{}{digits}", zeros(-place)));
    } else if place > 0 && place - count + 2 <= exponent_cost && x.abs() < 9_007_199_254_740_992.0 {
        out.push_str(&format!("{digits}{}.0", zeros(place - count)));
    } else {
        let (first, rest) = digits.split_at(1);
        let rest = if rest.is_empty() { "0" } else { rest };
        out.push_str(&format!("{first}.{rest}e{exponent}"));
    }
}
