//! The `expiration` property of a message: an integer in a string (P-09).

use super::ArgumentError;
use super::check::EXPIRY_MS_MAX;
use super::term::{Encoding, Term, text};

/// The width at which RabbitMQ breaks a printed term into lines.
const LINE_WIDTH: usize = 80;

/// So many digits are never too large.
const SHORT: usize = 9;

/// How long a message lives once it is in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiration;

impl Expiration {
    /// The milliseconds that an `expiration` says: digits, with or without a sign in front.
    pub fn parse(expiration: &[u8]) -> Result<u64, ArgumentError> {
        if let 1..=SHORT = expiration.len()
            && expiration.iter().all(u8::is_ascii_digit)
        {
            return Ok(expiration.iter().fold(0, |ms, digit| ms * 10 + u64::from(digit - b'0')));
        }
        let (negative, digits, rest) = split(expiration);
        if digits.is_empty() {
            return Err(invalid(expiration, &Term::Atom("no_integer")));
        }
        if !rest.is_empty() {
            let rest = rest.iter().copied().map(char::from).collect();
            return Err(invalid(expiration, &Term::tagged("leftover_string", Term::Text(rest))));
        }
        // Digits beyond an i64 are all too large.
        let significant = text(digits);
        let significant = significant.trim_start_matches('0');
        if significant.is_empty() {
            return Ok(0);
        }
        if negative {
            let value = Term::Integer(format!("-{significant}"));
            return Err(invalid(expiration, &Term::tagged("value_negative", value)));
        }
        match significant.parse::<i64>() {
            Ok(ms) if ms <= EXPIRY_MS_MAX => Ok(ms.unsigned_abs()),
            _ => {
                let value = Term::Integer(significant.to_owned());
                Err(invalid(expiration, &Term::tagged("value_too_large", value)))
            }
        }
    }

    /// Whether the milliseconds are written as RabbitMQ writes them: without a sign and zeros in front.
    pub fn is_plain(expiration: &[u8]) -> bool {
        expiration == b"0" || matches!(expiration.first(), Some(b'1'..=b'9'))
    }
}

/// The sign, the digits and what is behind them.
fn split(expiration: &[u8]) -> (bool, &[u8], &[u8]) {
    let (negative, unsigned) = match expiration {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let end = unsigned.iter().position(|b| !b.is_ascii_digit()).unwrap_or(unsigned.len());
    let (digits, rest) = unsigned.split_at(end);
    (negative, digits, rest)
}

fn invalid(expiration: &[u8], reason: &Term) -> ArgumentError {
    let expiration = text(expiration);
    let column = format!("invalid expiration '{expiration}': ").chars().count() + 1;
    ArgumentError::Expiration { explanation: reason.wrapped(column, LINE_WIDTH, Encoding::Latin1), expiration }
}
