//! Who a client is: SASL mechanisms and users (C-08 to C-14).

mod sasl;

use std::net::IpAddr;
use std::sync::Arc;

pub use sasl::{AuthError, Mechanism};

/// The users that the broker knows.
#[derive(Clone, Debug)]
pub struct Users {
    users: Vec<User>,
    /// Users that may come only from this machine (C-14).
    loopback_only: Vec<String>,
    /// Whom the ANONYMOUS mechanism stands for (C-11); none if it is not offered.
    anonymous: Option<String>,
}

#[derive(Clone, Debug)]
struct User {
    name: Arc<str>,
    password: String,
}

impl Users {
    /// One user. `loopback_only` names users that may come only from this machine.
    pub fn new(name: &str, password: &str, loopback_only: Vec<String>, offers_anonymous: bool) -> Self {
        let users = vec![User { name: name.into(), password: password.to_owned() }];
        Self { users, loopback_only, anonymous: offers_anonymous.then(|| name.to_owned()) }
    }

    /// The mechanisms offered, separated by spaces (C-04).
    pub fn mechanisms(&self) -> String {
        let offered = Mechanism::ALL.iter().filter(|mechanism| self.offers(**mechanism));
        offered.map(|mechanism| mechanism.name()).collect::<Vec<_>>().join(" ")
    }

    /// Checks a client's answer to connection.start and tells who it is.
    ///
    /// # Errors
    /// [`AuthError::Malformed`] for what gets no answer (C-08, C-09, C-12), [`AuthError::Refused`] for wrong credentials (C-13, C-14).
    pub fn authenticate(&self, mechanism: &str, response: &[u8], peer: Option<IpAddr>) -> Result<Arc<str>, AuthError> {
        let mechanism =
            Mechanism::from_name(mechanism).filter(|mechanism| self.offers(*mechanism)).ok_or(AuthError::Malformed)?;
        let name = match mechanism {
            Mechanism::Anonymous => self.anonymous.as_deref().map(|name| self.named(name.as_bytes())),
            Mechanism::Plain | Mechanism::AmqPlain => {
                let credentials = mechanism.credentials(response)?;
                Some(self.named(credentials.user).filter(|user| same(user.password.as_bytes(), credentials.password)))
            }
        };
        let user = name.flatten().ok_or(AuthError::Refused)?;
        let from_here = peer.is_none_or(|address| address.to_canonical().is_loopback());
        if !from_here && self.loopback_only.iter().any(|name| **name == *user.name) {
            return Err(AuthError::Refused);
        }
        Ok(user.name.clone())
    }

    fn offers(&self, mechanism: Mechanism) -> bool {
        mechanism != Mechanism::Anonymous || self.anonymous.is_some()
    }

    fn named(&self, name: &[u8]) -> Option<&User> {
        self.users.iter().find(|user| user.name.as_bytes() == name)
    }
}

/// Compares passwords in a time that does not tell where they differ. A blank one never fits (C-13).
fn same(expected: &[u8], given: &[u8]) -> bool {
    let differences = expected.iter().zip(given).fold(0, |all, (a, b)| all | (a ^ b));
    !given.is_empty() && expected.len() == given.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> Users {
        Users::new("guest", "guest", vec!["guest".to_owned()], true)
    }

    #[test]
    fn c_14_guest_comes_from_this_machine_only() {
        let login = |address: &str| users().authenticate("PLAIN", b"\0guest\0guest", Some(address.parse().unwrap()));
        assert!(login("127.0.0.1").is_ok());
        assert!(login("::1").is_ok());
        assert!(login("::ffff:127.0.0.1").is_ok());
        assert_eq!(login("192.0.2.1"), Err(AuthError::Refused));
    }

    #[test]
    fn c_13_wrong_and_blank_passwords_are_refused() {
        for response in [&b"\0guest\0wrong"[..], b"\0guest\0", b"\0nobody\0guest", b"\0guest\0guestx"] {
            assert_eq!(users().authenticate("PLAIN", response, None), Err(AuthError::Refused));
        }
    }

    #[test]
    fn c_12_a_mechanism_that_is_not_offered_is_malformed() {
        for mechanism in ["EXTERNAL", "plain", ""] {
            assert_eq!(users().authenticate(mechanism, b"\0guest\0guest", None), Err(AuthError::Malformed));
        }
        let users = Users::new("guest", "guest", vec![], false);
        assert_eq!(users.authenticate("ANONYMOUS", b"", None), Err(AuthError::Malformed));
    }
}
