//! Where a broker is: `amqp://user:password@host:port/vhost`.

use std::str::FromStr;

/// A broker's address and login.
#[derive(Debug, Clone)]
pub(crate) struct Uri {
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) address: String,
    pub(crate) vhost: String,
}

impl FromStr for Uri {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("amqp://").ok_or("the URI begins with amqp://")?;
        let (authority, vhost) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, host) = authority.rsplit_once('@').unwrap_or(("guest:guest", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let address = match host.rsplit_once(':') {
            Some((_, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host.to_owned(),
            _ => format!("{host}:5672"),
        };
        let vhost = match vhost {
            "" => "/".to_owned(),
            name => name.replace("%2f", "/").replace("%2F", "/"),
        };
        Ok(Self { user: user.to_owned(), password: password.to_owned(), address, vhost })
    }
}
