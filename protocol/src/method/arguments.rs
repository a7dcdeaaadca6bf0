//! The types of method arguments, and the macro that makes a method's struct, parser and writer
//! from the list of its arguments.

use nom::number::complete::{be_u8, be_u16, be_u32, be_u64};

use crate::table;
use crate::wire::{Parsed, long_string, put_long_string, put_short_str, put_short_string, short_string};

/// The type of a method argument on the wire, named as in the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgumentKind {
    /// One bit. Neighbouring bits share octets, from the lowest bit up.
    Bit,
    /// 8 bits.
    Octet,
    /// 16 bits.
    Short,
    /// 32 bits.
    Long,
    /// 64 bits.
    LongLong,
    /// A short string of UTF-8.
    ShortStr,
    /// A short string that is passed on as it is, whatever its bytes.
    ShortBytes,
    /// A long string of any bytes.
    LongStr,
    /// A field table.
    Table,
}

/// Why arguments were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Cut, left over bytes, or an unreadable table.
    Syntax,
    /// A short string is not UTF-8.
    Utf8,
}

impl From<nom::Err<()>> for Fault {
    fn from(_: nom::Err<()>) -> Self {
        Self::Syntax
    }
}

/// The arguments of one method.
pub(super) trait Arguments<'a>: Sized {
    /// What is on the wire, reserved arguments included, which are called `reserved`.
    const LIST: &'static [(&'static str, ArgumentKind)];

    /// Reads all of `input`.
    fn decode(input: &'a [u8]) -> Result<Self, Fault>;

    /// Appends the arguments.
    fn encode(&self, out: &mut Vec<u8>);
}

/// A type of argument: first it is cut from the input, then, when the whole method was well-formed,
/// its content is checked. So a cut method is reported as such even when a string in it is bad.
pub(super) trait Argument<'a> {
    type Raw;
    type Value: Default;

    fn read(input: &'a [u8], bits: &mut Bits) -> Parsed<'a, Self::Raw>;
    fn check(raw: Self::Raw) -> Result<Self::Value, Fault>;
    fn write(value: Self::Value, out: &mut Vec<u8>, bits: &mut Bits);
}

/// How much of the last octet of bits is used.
#[derive(Default)]
pub(super) struct Bits {
    octet: u8,
    used: u32,
}

pub(super) struct Bit;

impl<'a> Argument<'a> for Bit {
    type Raw = bool;
    type Value = bool;

    #[inline(always)]
    fn read(mut input: &'a [u8], bits: &mut Bits) -> Parsed<'a, bool> {
        if bits.used.is_multiple_of(u8::BITS) {
            (input, bits.octet) = be_u8(input)?;
            bits.used = 0;
        }
        let bit = bits.octet >> bits.used & 1 != 0;
        bits.used += 1;
        Ok((input, bit))
    }

    #[inline(always)]
    fn check(raw: bool) -> Result<bool, Fault> {
        Ok(raw)
    }

    #[inline(always)]
    fn write(value: bool, out: &mut Vec<u8>, bits: &mut Bits) {
        if bits.used.is_multiple_of(u8::BITS) {
            out.push(0);
            bits.used = 0;
        }
        if let Some(octet) = out.last_mut() {
            *octet |= u8::from(value) << bits.used;
        }
        bits.used += 1;
    }
}

/// Implements the other types: all that begin at an octet of their own.
macro_rules! argument {
    ($($kind:ident: $raw:ty => $value:ty, $read:expr, $check:expr, $write:expr;)*) => {$(
        pub(super) struct $kind;

        impl<'a> Argument<'a> for $kind {
            type Raw = $raw;
            type Value = $value;

            #[inline(always)]
            fn read(input: &'a [u8], bits: &mut Bits) -> Parsed<'a, $raw> {
                bits.used = 0;
                $read(input)
            }

            #[inline(always)]
            fn check(raw: $raw) -> Result<$value, Fault> {
                $check(raw)
            }

            #[inline(always)]
            fn write(value: $value, out: &mut Vec<u8>, bits: &mut Bits) {
                bits.used = 0;
                $write(out, value);
            }
        }
    )*};
}

argument! {
    Octet: u8 => u8, be_u8, Ok, |out: &mut Vec<u8>, n| out.push(n);
    Short: u16 => u16, be_u16, Ok, |out: &mut Vec<u8>, n: u16| out.extend_from_slice(&n.to_be_bytes());
    Long: u32 => u32, be_u32, Ok, |out: &mut Vec<u8>, n: u32| out.extend_from_slice(&n.to_be_bytes());
    LongLong: u64 => u64, be_u64, Ok, |out: &mut Vec<u8>, n: u64| out.extend_from_slice(&n.to_be_bytes());
    ShortStr: &'a [u8] => &'a str, short_string, utf8, put_short_str;
    ShortBytes: &'a [u8] => &'a [u8], short_string, Ok, put_short_string;
    LongStr: &'a [u8] => &'a [u8], long_string, Ok, put_long_string;
    Table: &'a [u8] => table::Table<'a>, long_string, readable, |out: &mut Vec<u8>, table: table::Table<'_>| put_long_string(out, table.as_bytes());
}

#[inline(always)]
fn utf8(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|_| Fault::Utf8)
}

#[inline(always)]
fn readable(bytes: &[u8]) -> Result<table::Table<'_>, Fault> {
    table::Table::parse(bytes).map_err(|_| Fault::Syntax)
}

/// Reads an argument that has no meaning any more. A bad one is noted in `fault`, to be told when
/// the rest turns out to be well-formed.
#[inline(always)]
pub(super) fn skip<'a, A: Argument<'a>>(
    input: &'a [u8],
    bits: &mut Bits,
    fault: &mut Result<(), Fault>,
) -> Result<&'a [u8], Fault> {
    let (rest, raw) = A::read(input, bits)?;
    *fault = fault.and(A::check(raw).map(drop));
    Ok(rest)
}

/// The Rust type of an argument.
macro_rules! value {
    (Bit) => { bool };
    (Octet) => { u8 };
    (Short) => { u16 };
    (Long) => { u32 };
    (LongLong) => { u64 };
    (ShortStr) => { &'a str };
    (ShortBytes) => { &'a [u8] };
    (LongStr) => { &'a [u8] };
    (Table) => { $crate::Table<'a> };
}

/// Makes the methods of a class: each with its arguments in wire order, and in brackets before and
/// after them those that the specification reserves. Reserved ones are read, checked and forgotten,
/// and written as zero or empty.
macro_rules! methods {
    ($(
        $(#[$doc:meta])*
        $name:ident $(<$lifetime:lifetime>)? $([$($before:ident),*])? {
            $($(#[$field_doc:meta])* $field:ident: $kind:ident,)*
        } $([$($after:ident),*])?
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $name $(<$lifetime>)? {
            $($(#[$field_doc])* pub $field: $crate::method::arguments::value!($kind),)*
        }

        impl<'a> $crate::method::arguments::Arguments<'a> for $name $(<$lifetime>)? {
            const LIST: &'static [(&'static str, $crate::method::ArgumentKind)] = &[
                $($(("reserved", $crate::method::ArgumentKind::$before),)*)?
                $((stringify!($field), $crate::method::ArgumentKind::$kind),)*
                $($(("reserved", $crate::method::ArgumentKind::$after),)*)?
            ];

            #[inline]
            #[allow(unused_imports, unused_mut, unused_variables, reason = "a method may be without arguments")]
            fn decode(input: &'a [u8]) -> Result<Self, $crate::method::arguments::Fault> {
                use $crate::method::arguments::{self, Argument, Fault};

                let mut bits = arguments::Bits::default();
                let mut reserved: Result<(), Fault> = Ok(());
                $($(let input = arguments::skip::<arguments::$before>(input, &mut bits, &mut reserved)?;)*)?
                $(let (input, $field) = arguments::$kind::read(input, &mut bits)?;)*
                $($(let input = arguments::skip::<arguments::$after>(input, &mut bits, &mut reserved)?;)*)?
                if !input.is_empty() {
                    return Err(Fault::Syntax);
                }
                reserved?;
                Ok(Self { $($field: arguments::$kind::check($field)?,)* })
            }

            #[inline]
            #[allow(unused_imports, unused_mut, unused_variables, reason = "a method may be without arguments")]
            fn encode(&self, out: &mut Vec<u8>) {
                use $crate::method::arguments::{self, Argument};

                let mut bits = arguments::Bits::default();
                $($(arguments::$before::write(Default::default(), out, &mut bits);)*)?
                $(arguments::$kind::write(self.$field, out, &mut bits);)*
                $($(arguments::$after::write(Default::default(), out, &mut bits);)*)?
            }
        }
    )*};
}

pub(super) use {methods, value};
