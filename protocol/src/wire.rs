//! The elementary types of the protocol: nom parsers and writers.
//!
//! All integers are big endian. A short string has an 8-bit length, a long string a 32-bit one.

use nom::multi::length_data;
use nom::number::complete::{be_u8, be_u32};
use nom::{IResult, Parser};

/// Parsers of this crate say only that the input does not fit; the caller knows what it was reading.
pub(crate) type Parsed<'a, T> = IResult<&'a [u8], T, ()>;

/// The bytes of a short string (at most 255).
#[inline]
pub(crate) fn short_string(input: &[u8]) -> Parsed<'_, &[u8]> {
    length_data(be_u8).parse(input)
}

/// The bytes of a long string, or of anything else with a 32-bit length before it.
#[inline]
pub(crate) fn long_string(input: &[u8]) -> Parsed<'_, &[u8]> {
    length_data(be_u32).parse(input)
}

/// Writes a short string. What is beyond 255 bytes cannot be said on the wire and is cut.
#[inline]
pub(crate) fn put_short_string(out: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(SHORT_STRING_LEN_MAX)];
    out.push(bytes.len() as u8);
    out.extend_from_slice(bytes);
}

/// Writes a short string of text. Whole characters are kept when it must be cut.
#[inline]
pub(crate) fn put_short_str(out: &mut Vec<u8>, text: &str) {
    let mut end = text.len().min(SHORT_STRING_LEN_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    put_short_string(out, &text.as_bytes()[..end]);
}

/// Writes a long string.
#[inline]
pub(crate) fn put_long_string(out: &mut Vec<u8>, bytes: &[u8]) {
    put_with_length(out, |out| out.extend_from_slice(bytes));
}

/// Writes what `write` appends, with its length as 32 bits before it.
#[inline]
pub(crate) fn put_with_length(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let len = out.len() - at - 4;
    debug_assert!(u32::try_from(len).is_ok(), "a 32-bit length on the wire");
    out[at..at + 4].copy_from_slice(&(len as u32).to_be_bytes());
}

const SHORT_STRING_LEN_MAX: usize = u8::MAX as usize;
