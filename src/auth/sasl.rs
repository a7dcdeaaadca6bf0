//! The SASL mechanisms: what a response means, not whether it is right.

use leveret_protocol::{Table, Value};
use thiserror::Error;

/// A mechanism that can be offered (C-04).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// `PLAIN` (C-08).
    Plain,
    /// `AMQPLAIN` (C-09).
    AmqPlain,
    /// `ANONYMOUS` (C-11).
    Anonymous,
}

/// Why a client is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AuthError {
    /// An unknown mechanism or an unreadable response: the connection ends without a word (C-08, C-09, C-12).
    #[error("mechanism not offered or response malformed")]
    Malformed,
    /// Wrong user or password, or from another machine (C-13, C-14).
    #[error("credentials refused")]
    Refused,
}

/// Name and password as the client gave them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Credentials<'a> {
    pub(super) user: &'a [u8],
    pub(super) password: &'a [u8],
}

impl Mechanism {
    /// All, in the order of preference.
    pub const ALL: [Self; 3] = [Self::Plain, Self::AmqPlain, Self::Anonymous];

    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::AmqPlain => "AMQPLAIN",
            Self::Anonymous => "ANONYMOUS",
        }
    }

    /// The mechanism of this name; case counts (C-12).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }

    pub(super) fn credentials(self, response: &[u8]) -> Result<Credentials<'_>, AuthError> {
        match self {
            Self::Plain => plain(response),
            Self::AmqPlain => amqplain(response),
            Self::Anonymous => None,
        }
        .ok_or(AuthError::Malformed)
    }
}

/// Authorization identity (must be empty), user and password behind a zero octet each.
fn plain(response: &[u8]) -> Option<Credentials<'_>> {
    let mut parts = response.strip_prefix(b"\0")?.split(|octet| *octet == 0);
    let (user, password) = (parts.next()?, parts.next()?);
    parts.next().is_none().then_some(Credentials { user, password })
}

/// A field table without its length, with LOGIN and PASSWORD.
fn amqplain(response: &[u8]) -> Option<Credentials<'_>> {
    let table = Table::parse(response).ok()?;
    let Some(Value::LongString(user)) = table.get("LOGIN") else { return None };
    match table.get("PASSWORD") {
        Some(Value::LongString(password) | Value::Bytes(password)) => Some(Credentials { user, password }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_08_plain_has_three_parts_of_which_the_first_is_empty() {
        let ok = Mechanism::Plain.credentials(b"\0u\0p").unwrap();
        assert_eq!((ok.user, ok.password), (&b"u"[..], &b"p"[..]));
        for malformed in [&b"x\0u\0p"[..], b"\0u", b"\0u\0p\0", b"", b"u\0p"] {
            assert_eq!(Mechanism::Plain.credentials(malformed), Err(AuthError::Malformed));
        }
    }

    #[test]
    fn c_09_amqplain_is_a_table_without_length() {
        let response = b"\x05LOGINS\0\0\0\x01u\x08PASSWORDS\0\0\0\x01p";
        assert_eq!(Mechanism::AmqPlain.credentials(response).unwrap().user, b"u");
        for malformed in
            [&b"\x05loginS\0\0\0\x01u\x08PASSWORDS\0\0\0\x01p"[..], b"\x05LOGINS\0\0\0\x01u", b"\0\0\0\x1f"]
        {
            assert_eq!(Mechanism::AmqPlain.credentials(malformed), Err(AuthError::Malformed));
        }
    }
}
