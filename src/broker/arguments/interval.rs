//! Ages such as `7D`: `x-max-age` and `x-stream-offset`.

/// A number above 0 and one of the units Y, M, D, h, m, s.
///
/// The number has any length, so it is kept as its digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interval {
    digits: String,
    unit_ms: u64,
}

impl Interval {
    /// None if it is no interval. What follows a line feed is not looked at, as in RabbitMQ.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let line = bytes.split(|b| *b == b'\n').next()?;
        let (unit, digits) = line.split_last()?;
        let digits = std::str::from_utf8(digits).ok()?;
        let is_number = digits.bytes().all(|b| b.is_ascii_digit()) && digits.bytes().any(|b| b != b'0');
        let unit_ms = unit_ms(*unit)?;
        is_number.then(|| Self { digits: digits.to_owned(), unit_ms })
    }

    /// Milliseconds, at most `u64::MAX`.
    pub(super) fn as_ms(&self) -> u64 {
        let number = self.digits.parse().unwrap_or(u64::MAX);
        self.unit_ms.saturating_mul(number)
    }

    /// All digits of the milliseconds.
    pub(super) fn ms_digits(&self) -> String {
        let mut product = Vec::with_capacity(self.digits.len() + 11);
        let mut carry = 0;
        for digit in self.digits.bytes().rev() {
            carry += u64::from(digit - b'0') * self.unit_ms;
            product.push(b'0' + (carry % 10) as u8);
            carry /= 10;
        }
        while carry > 0 {
            product.push(b'0' + (carry % 10) as u8);
            carry /= 10;
        }
        let digits: String = product.into_iter().rev().map(char::from).collect();
        digits.trim_start_matches('0').to_owned()
    }
}

/// Whether this is such an age.
pub fn is_interval(bytes: &[u8]) -> bool {
    Interval::parse(bytes).is_some()
}

const fn unit_ms(unit: u8) -> Option<u64> {
    const DAY_S: u64 = 24 * 3600;
    let seconds = match unit {
        b'Y' => 365 * DAY_S,
        b'M' => 30 * DAY_S,
        b'D' => DAY_S,
        b'h' => 3600,
        b'm' => 60,
        b's' => 1,
        _ => return None,
    };
    Some(seconds * 1000)
}
