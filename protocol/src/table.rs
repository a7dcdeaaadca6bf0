//! Field tables as they lie in the receive buffer (C-31).
//!
//! A [`Table`] is made by one walk over the bytes that checks every name, letter, length and the depth, and allocates
//! nothing. After that, iterating cannot fail. Whoever must change or keep a table makes a [`FieldTable`] of it.
//!
//! ```text
//! table = *( name value )            name  = short string, any bytes, may be empty
//! array = *value                     value = letter, then what the letter says
//! ```

use nom::Parser;
use nom::bytes::complete::take;
use nom::combinator::map;
use nom::number::complete::{be_f32, be_f64, be_i8, be_i16, be_i32, be_i64, be_u8, be_u16, be_u32, be_u64};

use crate::field::{EncodedTable, FieldTable, FieldValue};
use crate::wire::{Parsed, long_string, short_string};

/// How deep tables and arrays may be nested; the outermost table is depth 1.
///
/// The walk recurses, so the depth has to have a bound that does not depend on what a peer sends. Real headers reach 4
/// (`x-death` is an array of tables with an array inside); 64 leaves room and costs a few KiB of stack.
pub const TABLE_DEPTH_MAX: usize = 64;

/// The bytes are not a field table: an unknown letter, a cut value, or too deep nesting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a readable field table")]
pub struct TableError;

/// A checked field table, borrowed. Order and duplicates are as received.
///
/// Invariant: the bytes passed [`Table::parse`], or were written by [`FieldTable::encode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Table<'a>(&'a [u8]);

impl<'a> Table<'a> {
    /// The table without entries.
    pub const EMPTY: Self = Self(&[]);

    /// Checks `bytes`, the whole content of a table without its 4-byte length.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, TableError> {
        if !bytes.is_empty() {
            check_table(bytes, 1)?;
        }
        Ok(Self(bytes))
    }

    /// The content as on the wire, without the 4-byte length.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Whether there is no entry.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries in wire order, duplicates included.
    pub const fn iter(&self) -> TableIter<'a> {
        TableIter(self.0)
    }

    /// The value of the first entry named `key`.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<Value<'a>> {
        let key = key.as_ref();
        self.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// An owned copy.
    pub fn to_owned(&self) -> FieldTable {
        self.iter().map(|(name, value)| (name.to_vec(), value.to_owned())).collect()
    }
}

impl<'a> From<&'a EncodedTable> for Table<'a> {
    fn from(table: &'a EncodedTable) -> Self {
        Self(table.as_bytes())
    }
}

impl<'a> IntoIterator for Table<'a> {
    type Item = (&'a [u8], Value<'a>);
    type IntoIter = TableIter<'a>;

    fn into_iter(self) -> TableIter<'a> {
        self.iter()
    }
}

/// The entries of a [`Table`].
#[derive(Debug, Clone)]
pub struct TableIter<'a>(&'a [u8]);

impl<'a> Iterator for TableIter<'a> {
    type Item = (&'a [u8], Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        // The bytes were checked, so the only failure is their end.
        let (rest, entry) = (short_string, value).parse(self.0).ok()?;
        self.0 = rest;
        Some(entry)
    }
}

/// A checked array of values, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Array<'a>(&'a [u8]);

impl<'a> Array<'a> {
    /// The content as on the wire, without the 4-byte length.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Whether there is no value.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values in order.
    pub const fn iter(&self) -> ArrayIter<'a> {
        ArrayIter(self.0)
    }
}

impl<'a> IntoIterator for Array<'a> {
    type Item = Value<'a>;
    type IntoIter = ArrayIter<'a>;

    fn into_iter(self) -> ArrayIter<'a> {
        self.iter()
    }
}

/// The values of an [`Array`].
#[derive(Debug, Clone)]
pub struct ArrayIter<'a>(&'a [u8]);

impl<'a> Iterator for ArrayIter<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let (rest, value) = value(self.0).ok()?;
        self.0 = rest;
        Some(value)
    }
}

/// One value of a table or an array, borrowed. The letters are those of [`FieldValue`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "one variant for each of FieldValue's")]
pub enum Value<'a> {
    LongString(&'a [u8]),
    I32(i32),
    U32(u32),
    I64(i64),
    I16(i16),
    U16(u16),
    I8(i8),
    U8(u8),
    Bool(bool),
    F64(f64),
    F32(f32),
    Decimal { scale: u8, value: u32 },
    Timestamp(u64),
    Table(Table<'a>),
    Array(Array<'a>),
    Bytes(&'a [u8]),
    Void,
}

impl Value<'_> {
    /// An owned copy.
    pub fn to_owned(&self) -> FieldValue {
        match *self {
            Self::LongString(bytes) => FieldValue::LongString(bytes.to_vec()),
            Self::I32(n) => FieldValue::I32(n),
            Self::U32(n) => FieldValue::U32(n),
            Self::I64(n) => FieldValue::I64(n),
            Self::I16(n) => FieldValue::I16(n),
            Self::U16(n) => FieldValue::U16(n),
            Self::I8(n) => FieldValue::I8(n),
            Self::U8(n) => FieldValue::U8(n),
            Self::Bool(b) => FieldValue::Bool(b),
            Self::F64(x) => FieldValue::F64(x),
            Self::F32(x) => FieldValue::F32(x),
            Self::Decimal { scale, value } => FieldValue::Decimal { scale, value },
            Self::Timestamp(seconds) => FieldValue::Timestamp(seconds),
            Self::Table(table) => FieldValue::Table(table.to_owned()),
            Self::Array(array) => FieldValue::Array(array.iter().map(|v| v.to_owned()).collect()),
            Self::Bytes(bytes) => FieldValue::Bytes(bytes.to_vec()),
            Self::Void => FieldValue::Void,
        }
    }

    /// The number, if this is one of the eight integer types (a timestamp is none).
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
}

/// How long the value behind a letter is.
pub(crate) enum Shape {
    /// So many bytes.
    Fixed(usize),
    /// A 32-bit length and so many bytes of any content.
    Opaque,
    /// A 32-bit length and an array.
    Array,
    /// A 32-bit length and a table.
    Table,
}

impl Shape {
    /// None for a letter that C-31 does not know.
    pub(crate) const fn of(letter: u8) -> Option<Self> {
        Some(match letter {
            b'V' => Self::Fixed(0),
            b't' | b'b' | b'B' => Self::Fixed(1),
            b's' | b'u' => Self::Fixed(2),
            b'I' | b'i' | b'f' => Self::Fixed(4),
            b'D' => Self::Fixed(5),
            b'l' | b'L' | b'd' | b'T' => Self::Fixed(8),
            b'S' | b'x' => Self::Opaque,
            b'A' => Self::Array,
            b'F' => Self::Table,
            _ => return None,
        })
    }
}

/// Checks the entries of a table that is nested `depth` deep.
fn check_table(mut bytes: &[u8], depth: usize) -> Result<(), TableError> {
    while !bytes.is_empty() {
        let (rest, _name) = short_string(bytes).map_err(|_| TableError)?;
        bytes = check_value(rest, depth)?;
    }
    Ok(())
}

fn check_array(mut bytes: &[u8], depth: usize) -> Result<(), TableError> {
    while !bytes.is_empty() {
        bytes = check_value(bytes, depth)?;
    }
    Ok(())
}

/// Checks one value inside a container of `depth` and gives what is behind it.
fn check_value(bytes: &[u8], depth: usize) -> Result<&[u8], TableError> {
    let (&letter, bytes) = bytes.split_first().ok_or(TableError)?;
    let shape = Shape::of(letter).ok_or(TableError)?;
    if let Shape::Fixed(len) = shape {
        return bytes.get(len..).ok_or(TableError);
    }
    let (rest, content) = long_string(bytes).map_err(|_| TableError)?;
    match shape {
        Shape::Fixed(_) | Shape::Opaque => {}
        _ if depth == TABLE_DEPTH_MAX => return Err(TableError),
        Shape::Array => check_array(content, depth + 1)?,
        Shape::Table => check_table(content, depth + 1)?,
    }
    Ok(rest)
}

/// Reads one value. What is inside a table or an array was checked before.
fn value(input: &[u8]) -> Parsed<'_, Value<'_>> {
    let (input, letter) = be_u8(input)?;
    match letter {
        b'S' => map(long_string, Value::LongString).parse(input),
        b'I' => map(be_i32, Value::I32).parse(input),
        b'i' => map(be_u32, Value::U32).parse(input),
        b'l' | b'L' => map(be_i64, Value::I64).parse(input),
        b's' => map(be_i16, Value::I16).parse(input),
        b'u' => map(be_u16, Value::U16).parse(input),
        b'b' => map(be_i8, Value::I8).parse(input),
        b'B' => map(be_u8, Value::U8).parse(input),
        b't' => map(be_u8, |b| Value::Bool(b != 0)).parse(input),
        b'd' => map(be_f64, Value::F64).parse(input),
        b'f' => map(be_f32, Value::F32).parse(input),
        b'D' => map((be_u8, be_u32), |(scale, value)| Value::Decimal { scale, value }).parse(input),
        b'T' => map(be_u64, Value::Timestamp).parse(input),
        b'F' => map(long_string, |bytes| Value::Table(Table(bytes))).parse(input),
        b'A' => map(long_string, |bytes| Value::Array(Array(bytes))).parse(input),
        b'x' => map(long_string, Value::Bytes).parse(input),
        b'V' => map(take(0usize), |_| Value::Void).parse(input),
        _ => Err(nom::Err::Error(())),
    }
}
