//! Single values: type and bounds.

use leveret_protocol::FieldValue;

use super::InvalidValue;
use super::term::type_name;

/// Ten years in milliseconds: the longest TTL and expiry.
pub(super) const EXPIRY_MS_MAX: i64 = 315_360_000_000;

pub(super) fn integer(value: &FieldValue) -> Result<i64, InvalidValue> {
    let type_name = type_name(value);
    value.as_integer().ok_or(InvalidValue::ExpectedInteger { type_name })
}

pub(super) fn not_negative(value: &FieldValue) -> Result<u64, InvalidValue> {
    let n = integer(value)?;
    u64::try_from(n).map_err(|_| InvalidValue::Negative(n))
}

pub(super) fn positive(value: &FieldValue) -> Result<u64, InvalidValue> {
    match not_negative(value)? {
        0 => Err(InvalidValue::Zero),
        n => Ok(n),
    }
}

/// Milliseconds of at most ten years.
pub(super) fn expiry_ms(value: &FieldValue) -> Result<u64, InvalidValue> {
    let n = integer(value)?;
    if n > EXPIRY_MS_MAX {
        return Err(InvalidValue::TooLarge(n));
    }
    not_negative(value)
}

pub(super) fn boolean(value: &FieldValue) -> Result<bool, InvalidValue> {
    match value {
        FieldValue::Bool(b) => Ok(*b),
        _ => Err(unacceptable(value)),
    }
}

pub(super) fn string(value: &FieldValue) -> Result<&[u8], InvalidValue> {
    match value {
        FieldValue::LongString(bytes) => Ok(bytes),
        _ => Err(unacceptable(value)),
    }
}

const fn unacceptable(value: &FieldValue) -> InvalidValue {
    InvalidValue::UnacceptableType { type_name: type_name(value) }
}
