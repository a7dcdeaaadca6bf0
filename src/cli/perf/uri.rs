//! `amqp://user:password@host:port/vhost`, with percent-encoding in each part.

use std::str::FromStr;

/// Where a broker is and how to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri {
    /// Host name or address, without brackets.
    pub host: String,
    /// Password; `guest` by default.
    pub password: String,
    /// 5672 by default.
    pub port: u16,
    /// User; `guest` by default.
    pub user: String,
    /// Virtual host; `/` if the URI has no path, empty if the path is `/`.
    pub vhost: String,
}

/// Why a text is no AMQP URI.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// A `%` without two hexadecimal digits, or bytes that are not UTF-8.
    #[error("malformed percent-encoding in `{0}`")]
    Encoding(String),
    /// No host.
    #[error("there is no host")]
    Host,
    /// The port is no number from 0 to 65535.
    #[error("`{0}` is no port")]
    Port(String),
    /// Another scheme than `amqp`.
    #[error("it must start with amqp://")]
    Scheme,
}

impl Uri {
    /// What a socket connects to.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let rest = text.strip_prefix("amqp://").ok_or(UriError::Scheme)?;
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, vhost) = match rest.split_once('/') {
            Some((authority, path)) => (authority, decode(path)?),
            None => (rest, "/".to_owned()),
        };
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, authority),
        };
        let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
            Some((user, password)) => (decode(user)?, decode(password)?),
            None => ("guest".to_owned(), "guest".to_owned()),
        };
        let (host, port) = host_and_port(place)?;
        Ok(Self { host, password, port, user, vhost })
    }
}

fn host_and_port(place: &str) -> Result<(String, u16), UriError> {
    let (host, port) = match place.strip_prefix('[').and_then(|v6| v6.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    if host.is_empty() {
        return Err(UriError::Host);
    }
    let port = match port {
        Some(port) => port.parse().map_err(|_| UriError::Port(port.to_owned()))?,
        None => 5672,
    };
    Ok((decode(host)?, port))
}

fn decode(text: &str) -> Result<String, UriError> {
    let error = || UriError::Encoding(text.to_owned());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2).ok_or_else(error)?;
        let nibble = |digit: u8| char::from(digit).to_digit(16).ok_or_else(error);
        bytes.push((nibble(digits[0])? << 4 | nibble(digits[1])?) as u8);
        rest = tail;
    }
    String::from_utf8(bytes).map_err(|_| error())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn all_parts_are_read() {
        let expected = Uri {
            host: "broker.example".into(),
            password: "p@ss:1".into(),
            port: 5673,
            user: "me".into(),
            vhost: "a/b".into(),
        };
        assert_eq!(uri("amqp://me:p%40ss%3A1@broker.example:5673/a%2Fb"), expected);
    }

    #[test]
    fn missing_parts_have_defaults() {
        let found = uri("amqp://localhost");
        assert_eq!((found.user.as_str(), found.password.as_str()), ("guest", "guest"));
        assert_eq!((found.port, found.vhost.as_str()), (5672, "/"));
    }

    #[test]
    fn the_default_virtual_host_is_written_percent_encoded() {
        assert_eq!(uri("amqp://guest:guest@127.0.0.1:5672/%2f").vhost, "/");
        assert_eq!(uri("amqp://127.0.0.1/%2F").vhost, "/");
        assert_eq!(uri("amqp://127.0.0.1/").vhost, "");
    }

    #[test]
    fn an_ipv6_address_stands_in_brackets() {
        let found = uri("amqp://[::1]:5673");
        assert_eq!((found.host.as_str(), found.port), ("::1", 5673));
        assert_eq!(found.address(), "[::1]:5673");
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        assert_eq!("http://localhost".parse::<Uri>(), Err(UriError::Scheme));
        assert_eq!("amqp://".parse::<Uri>(), Err(UriError::Host));
        assert_eq!("amqp://h:x".parse::<Uri>(), Err(UriError::Port("x".into())));
        assert_eq!("amqp://h/%2".parse::<Uri>(), Err(UriError::Encoding("%2".into())));
        assert_eq!("amqp://h/%zz".parse::<Uri>(), Err(UriError::Encoding("%zz".into())));
    }
}
