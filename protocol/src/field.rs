//! Field tables that own their values: for tables that are built, changed or kept (C-31).

use crate::table::Table;
use crate::wire::{put_long_string, put_short_string, put_with_length};

/// One value of a table or an array. Each variant names the letter that stands for it on the wire.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue {
    /// `S`: bytes, usually text.
    LongString(Vec<u8>),
    /// `I`
    I32(i32),
    /// `i`
    U32(u32),
    /// `l`; `L` is read too, as signed, and never written.
    I64(i64),
    /// `s`: a signed short, not a short string.
    I16(i16),
    /// `u`
    U16(u16),
    /// `b`
    I8(i8),
    /// `B`
    U8(u8),
    /// `t`: any octet but 0 is read as true.
    Bool(bool),
    /// `d`
    F64(f64),
    /// `f`
    F32(f32),
    /// `D`: `value` divided by ten to the power of `scale`.
    Decimal {
        /// Digits after the decimal point.
        scale: u8,
        /// All digits.
        value: u32,
    },
    /// `T`: seconds since 1970 by the specification; not checked.
    Timestamp(u64),
    /// `F`
    Table(FieldTable),
    /// `A`
    Array(Vec<Self>),
    /// `x`: bytes that are not text.
    Bytes(Vec<u8>),
    /// `V`: no value.
    Void,
}

impl FieldValue {
    /// The text, if this is a long string of UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::LongString(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The number, if this is one of the integer types (a timestamp is none).
    pub fn as_integer(&self) -> Option<i64> {
        match *self {
            Self::I8(n) => Some(n.into()),
            Self::U8(n) => Some(n.into()),
            Self::I16(n) => Some(n.into()),
            Self::U16(n) => Some(n.into()),
            Self::I32(n) => Some(n.into()),
            Self::U32(n) => Some(n.into()),
            Self::I64(n) => Some(n),
            _ => None,
        }
    }

    /// Appends the letter and the value.
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::LongString(bytes) => put_bytes(out, b'S', bytes),
            Self::I32(n) => put(out, b'I', n.to_be_bytes()),
            Self::U32(n) => put(out, b'i', n.to_be_bytes()),
            Self::I64(n) => put(out, b'l', n.to_be_bytes()),
            Self::I16(n) => put(out, b's', n.to_be_bytes()),
            Self::U16(n) => put(out, b'u', n.to_be_bytes()),
            Self::I8(n) => put(out, b'b', n.to_be_bytes()),
            Self::U8(n) => put(out, b'B', [*n]),
            Self::Bool(b) => put(out, b't', [u8::from(*b)]),
            Self::F64(x) => put(out, b'd', x.to_be_bytes()),
            Self::F32(x) => put(out, b'f', x.to_be_bytes()),
            Self::Decimal { scale, value } => {
                put(out, b'D', [*scale]);
                out.extend_from_slice(&value.to_be_bytes());
            }
            Self::Timestamp(seconds) => put(out, b'T', seconds.to_be_bytes()),
            Self::Table(table) => {
                out.push(b'F');
                put_with_length(out, |out| table.encode_entries(out));
            }
            Self::Array(values) => {
                out.push(b'A');
                put_with_length(out, |out| values.iter().for_each(|value| value.encode(out)));
            }
            Self::Bytes(bytes) => put_bytes(out, b'x', bytes),
            Self::Void => out.push(b'V'),
        }
    }
}

/// A field table: names and values in order, duplicates kept. Names are any bytes, at most 255.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FieldTable(Vec<(Vec<u8>, FieldValue)>);

impl FieldTable {
    /// A table without entries.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Sets the first entry named `key`, or appends one.
    pub fn insert(&mut self, key: impl Into<Vec<u8>>, value: impl Into<FieldValue>) {
        let (key, value) = (key.into(), value.into());
        match self.0.iter_mut().find(|(name, _)| *name == key) {
            Some(entry) => entry.1 = value,
            None => self.0.push((key, value)),
        }
    }

    /// Appends an entry, even if there is one of that name.
    pub fn push(&mut self, key: impl Into<Vec<u8>>, value: impl Into<FieldValue>) {
        self.0.push((key.into(), value.into()));
    }

    /// Removes all entries named `key` and gives the value of the first.
    pub fn remove(&mut self, key: &str) -> Option<FieldValue> {
        let mut first = None;
        let mut kept = Vec::with_capacity(self.0.len());
        for (name, value) in self.0.drain(..) {
            if name == key.as_bytes() {
                first.get_or_insert(value);
            } else {
                kept.push((name, value));
            }
        }
        self.0 = kept;
        first
    }

    /// The value of the first entry named `key`.
    pub fn get(&self, key: &str) -> Option<&FieldValue> {
        self.iter().find(|(name, _)| *name == key.as_bytes()).map(|(_, value)| value)
    }

    /// The entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &FieldValue)> {
        self.0.iter().map(|(name, value)| (name.as_slice(), value))
    }

    /// The number of entries, duplicates included.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no entry.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same entries sorted by name bytewise, the first of duplicates kept (C-31). Nested tables keep their order.
    #[must_use]
    pub fn sorted_by_name(mut self) -> Self {
        self.0.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.0.dedup_by(|later, first| later.0 == first.0);
        self
    }

    /// The content as on the wire, without the 4-byte length.
    ///
    /// A table nested deeper than [`TABLE_DEPTH_MAX`](crate::TABLE_DEPTH_MAX) is written, but a peer like us refuses it.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_entries(&mut out);
        out
    }

    fn encode_entries(&self, out: &mut Vec<u8>) {
        for (name, value) in &self.0 {
            put_short_string(out, name);
            value.encode(out);
        }
    }
}

impl<K: Into<Vec<u8>>, V: Into<FieldValue>> FromIterator<(K, V)> for FieldTable {
    /// All entries in order, duplicates kept.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let entries = entries.into_iter();
        Self(entries.map(|(k, v)| (k.into(), v.into())).collect())
    }
}

impl IntoIterator for FieldTable {
    type Item = (Vec<u8>, FieldValue);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// A table in its wire form: the owner behind a [`Table`] that was built here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EncodedTable(Vec<u8>);

impl EncodedTable {
    /// What methods and properties carry.
    pub fn as_table(&self) -> Table<'_> {
        Table::from(self)
    }

    /// The content as on the wire, without the 4-byte length.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&FieldTable> for EncodedTable {
    fn from(table: &FieldTable) -> Self {
        Self(table.encode())
    }
}

impl From<Table<'_>> for EncodedTable {
    fn from(table: Table<'_>) -> Self {
        Self(table.as_bytes().to_vec())
    }
}

/// Makes the plain Rust types into values: `value.into()`.
macro_rules! from {
    ($($source:ty => $variant:ident),* $(,)?) => {$(
        impl From<$source> for FieldValue {
            fn from(value: $source) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

from! {
    &str => LongString,
    String => LongString,
    &[u8] => LongString,
    Vec<u8> => LongString,
    i8 => I8,
    u8 => U8,
    i16 => I16,
    u16 => U16,
    i32 => I32,
    u32 => U32,
    i64 => I64,
    f32 => F32,
    f64 => F64,
    bool => Bool,
    FieldTable => Table,
    Vec<Self> => Array,
}

fn put<const N: usize>(out: &mut Vec<u8>, letter: u8, value: [u8; N]) {
    out.push(letter);
    out.extend_from_slice(&value);
}

fn put_bytes(out: &mut Vec<u8>, letter: u8, bytes: &[u8]) {
    out.push(letter);
    put_long_string(out, bytes);
}
