//! Content headers and the properties of messages.
//!
//! ```text
//! content-header = class:short weight:short body-size:longlong flags:short *value
//! ```
//!
//! Each of the fourteen highest bits of `flags` says that the value of one property follows.

use nom::Parser;
use nom::combinator::map_res;
use nom::number::complete::{be_u8, be_u16, be_u64};

use crate::table::{Shape, TABLE_DEPTH_MAX, Table};
use crate::wire::{Parsed, long_string, put_long_string, put_short_string, short_string};

/// The payload of a header frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentHeader<'a> {
    /// The class of the method before it.
    pub class_id: u16,
    /// Always 0.
    pub weight: u16,
    /// Bytes of all body frames together.
    pub body_size: u64,
    /// Flags and values as received.
    pub properties: &'a [u8],
}

impl<'a> ContentHeader<'a> {
    /// Reads the payload of a header frame. Class, weight and properties are not checked.
    #[inline]
    pub fn decode(payload: &'a [u8]) -> Result<Self, ContentHeaderError> {
        let mut fixed = (be_u16, be_u16, be_u64);
        let parsed: Parsed<'a, _> = fixed.parse(payload);
        let (properties, (class_id, weight, body_size)) = parsed.map_err(|_| ContentHeaderError)?;
        Ok(Self { class_id, weight, body_size, properties })
    }
}

/// The payload of a header frame is shorter than its fixed part. It is 501 (C-23).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown_frame")]
pub struct ContentHeaderError;

/// Properties are cut, bytes are left over, or `headers` is unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed properties")]
pub struct PropertiesError;

/// Makes the struct, its parser and its writer from the list of properties, from the highest flag
/// down.
macro_rules! properties {
    ($($(#[$doc:meta])* $bit:literal $field:ident: $type:ty = $read:expr, $write:expr;)*) => {
        /// The properties of a message. Strings may be any bytes.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct BasicProperties<'a> {
            $($(#[$doc])* pub $field: Option<$type>,)*
        }

        impl<'a> BasicProperties<'a> {
            #[inline]
            fn read(raw: &'a [u8]) -> Parsed<'a, Self> {
                let (input, flags) = be_u16(raw)?;
                let mut read = Self::default();
                let mut input = input;
                $(if flags & 1 << $bit != 0 {
                    let (rest, value) = $read.parse(input)?;
                    (input, read.$field) = (rest, Some(value));
                })*
                Ok((input, read))
            }

            /// Appends flags and values as they are in a header frame.
            pub fn encode(&self, out: &mut Vec<u8>) {
                let flags = 0u16 $(| u16::from(self.$field.is_some()) << $bit)*;
                out.extend_from_slice(&flags.to_be_bytes());
                $(if let Some(value) = self.$field {
                    $write(out, value);
                })*
            }
        }
    };
}

properties! {
    /// MIME type.
    15 content_type: &'a [u8] = short_string, put_short_string;
    /// MIME encoding.
    14 content_encoding: &'a [u8] = short_string, put_short_string;
    /// What the application or an exchange looks at.
    13 headers: Table<'a> = table, put_table;
    /// 1: transient, 2: persistent.
    12 delivery_mode: u8 = be_u8, Vec::push;
    /// Higher goes first in a priority queue.
    11 priority: u8 = be_u8, Vec::push;
    /// The request that this answers.
    10 correlation_id: &'a [u8] = short_string, put_short_string;
    /// The queue for answers.
    9 reply_to: &'a [u8] = short_string, put_short_string;
    /// Time to live in milliseconds, as decimal text.
    8 expiration: &'a [u8] = short_string, put_short_string;
    /// The application's name for the message.
    7 message_id: &'a [u8] = short_string, put_short_string;
    /// Seconds since 1970 by the specification; never checked (C-33).
    6 timestamp: u64 = be_u64, |out: &mut Vec<u8>, n: u64| out.extend_from_slice(&n.to_be_bytes());
    /// `type` in the specification.
    5 kind: &'a [u8] = short_string, put_short_string;
    /// The user who publishes; the broker checks it.
    4 user_id: &'a [u8] = short_string, put_short_string;
    /// The application that publishes.
    3 app_id: &'a [u8] = short_string, put_short_string;
    /// Without a meaning any more.
    2 cluster_id: &'a [u8] = short_string, put_short_string;
}

impl<'a> BasicProperties<'a> {
    /// Reads flags and values, all of `raw`. The two flag bits that stand for nothing are ignored
    /// (C-24).
    #[inline]
    pub fn decode(raw: &'a [u8]) -> Result<Self, PropertiesError> {
        match Self::read(raw) {
            Ok(([], properties)) => Ok(properties),
            _ => Err(PropertiesError),
        }
    }
}

/// The properties that say how a queue treats a message, where no other one matters to a broker: without headers, an address for
/// answers or a user. Reading them takes a fraction of the time of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Treatment<'a> {
    /// 1: transient, 2: persistent.
    pub delivery_mode: Option<u8>,
    /// Higher goes first in a priority queue.
    pub priority: Option<u8>,
    /// Time to live in milliseconds, as decimal text.
    pub expiration: Option<&'a [u8]>,
}

impl<'a> Treatment<'a> {
    /// Reads flags and values, all of `raw`. None if another property matters, a flag stands for nothing, or they are malformed.
    #[inline]
    pub fn decode(raw: &'a [u8]) -> Option<Self> {
        let (flags, mut rest) = raw.split_first_chunk()?;
        let flags = u16::from_be_bytes(*flags);
        if flags & FLAGS_THAT_MATTER_ELSEWHERE != 0 {
            return None;
        }
        let has = |bit: u16| flags & 1 << bit != 0;
        let mut read = Self::default();
        for _ in 0..(flags & FLAGS_BEFORE_HEADERS).count_ones() {
            take_short(&mut rest)?;
        }
        if has(12) {
            read.delivery_mode = Some(*rest.split_off_first()?);
        }
        if has(11) {
            read.priority = Some(*rest.split_off_first()?);
        }
        if has(10) {
            take_short(&mut rest)?;
        }
        if has(8) {
            read.expiration = Some(take_short(&mut rest)?);
        }
        if has(7) {
            take_short(&mut rest)?;
        }
        if has(6) {
            rest.split_off(..8)?;
        }
        for _ in 0..(flags & FLAGS_BEHIND_TIMESTAMP).count_ones() {
            take_short(&mut rest)?;
        }
        rest.is_empty().then_some(read)
    }
}

#[inline]
fn take_short<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = *rest.split_off_first()?;
    rest.split_off(..usize::from(len))
}

/// Headers, reply-to and user-id, and what stands for nothing.
const FLAGS_THAT_MATTER_ELSEWHERE: u16 = FLAG_HEADERS | 1 << 9 | 1 << 4 | !FLAGS_KNOWN;
/// Type, app-id and cluster-id.
const FLAGS_BEHIND_TIMESTAMP: u16 = 1 << 5 | 1 << 3 | 1 << 2;

/// Brings properties that [`BasicProperties::decode`] accepted into the form in which they are
/// delivered, without moving a byte: the flag bits that stand for nothing are cleared (C-24), and in
/// `headers`, at any depth, the letter `L` becomes `l` and a true boolean 1 (C-31).
pub fn canonicalize_headers_in_place(raw: &mut [u8]) {
    let Some((flags, mut rest)) = raw.split_first_chunk_mut() else {
        return;
    };
    let bits = u16::from_be_bytes(*flags) & FLAGS_KNOWN;
    *flags = bits.to_be_bytes();
    if bits & FLAG_HEADERS == 0 {
        return;
    }
    // Before the headers there are at most two short strings.
    for _ in 0..(bits & FLAGS_BEFORE_HEADERS).count_ones() {
        let len = rest.first().copied().unwrap_or(0);
        rest = rest.get_mut(1 + usize::from(len)..).unwrap_or_default();
    }
    if let Some((headers, _)) = split_long(rest) {
        canonicalize(headers, true, 1);
    }
}

const FLAGS_KNOWN: u16 = !0b11;
const FLAG_HEADERS: u16 = 1 << 13;
const FLAGS_BEFORE_HEADERS: u16 = 1 << 15 | 1 << 14;

/// Canonicalizes the values of a table (`named`) or an array.
fn canonicalize(mut bytes: &mut [u8], named: bool, depth: usize) {
    loop {
        let name_len = match named {
            true => 1 + usize::from(bytes.first().copied().unwrap_or(0)),
            false => 0,
        };
        let Some([letter, rest @ ..]) = bytes.get_mut(name_len..) else {
            return;
        };
        let Some(shape) = Shape::of(*letter) else {
            return;
        };
        if *letter == b'L' {
            *letter = b'l';
        }
        if let (b't', [octet, ..]) = (*letter, &mut *rest) {
            *octet = u8::from(*octet != 0);
        }
        bytes = match shape {
            Shape::Fixed(len) => rest.get_mut(len..).unwrap_or_default(),
            _ => {
                let Some((content, rest)) = split_long(rest) else {
                    return;
                };
                match shape {
                    Shape::Array if depth < TABLE_DEPTH_MAX => canonicalize(content, false, depth + 1),
                    Shape::Table if depth < TABLE_DEPTH_MAX => canonicalize(content, true, depth + 1),
                    _ => {}
                }
                rest
            }
        };
    }
}

/// What a 32-bit length announces, and what is behind it.
fn split_long(bytes: &mut [u8]) -> Option<(&mut [u8], &mut [u8])> {
    let (len, rest) = bytes.split_first_chunk_mut()?;
    rest.split_at_mut_checked(u32::from_be_bytes(*len) as usize)
}

#[inline]
fn table(input: &[u8]) -> Parsed<'_, Table<'_>> {
    map_res(long_string, Table::parse).parse(input)
}

fn put_table(out: &mut Vec<u8>, table: Table<'_>) {
    put_long_string(out, table.as_bytes());
}
