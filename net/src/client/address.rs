//! Where a broker is.

use std::fmt;
use std::str::FromStr;

/// The port that Kafka's clients take for granted.
pub const DEFAULT_PORT: u16 = 9092;

/// A host, by name or number, and a port. As text `host`, `host:port`, `[::1]:port` or `::1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Name or number, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Why a text is no [`Address`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no broker's address: {reason}; expected HOST:PORT, such as 127.0.0.1:9092")]
pub struct AddressError {
    text: String,
    reason: &'static str,
}

impl Address {
    /// The addresses of a list with commas between; at least one.
    ///
    /// # Errors
    /// [`AddressError`] for the first that is none.
    pub fn list(text: &str) -> Result<Vec<Address>, AddressError> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let addresses = parts.map(str::parse).collect::<Result<Vec<Address>, _>>()?;
        if addresses.is_empty() {
            return Err(AddressError { text: text.to_owned(), reason: "it is empty" });
        }
        Ok(addresses)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        let wrong = |reason| AddressError { text: text.to_owned(), reason };
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => match rest.split_once(']').ok_or(wrong("a bracket is not closed"))? {
                (host, "") => (host, None),
                (host, rest) => {
                    let port = rest.strip_prefix(':').ok_or(wrong("text behind the bracket"))?;
                    (host, Some(port))
                }
            },
            // More than one colon is an IPv6 address without brackets.
            None => match text.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (text, None),
            },
        };
        if text.contains("://") {
            return Err(wrong("it is a URL"));
        }
        if host.is_empty() {
            return Err(wrong("the host is missing"));
        }
        if host.contains(|c: char| c.is_whitespace() || c.is_control() || "/[]@".contains(c)) {
            return Err(wrong("no host is called so"));
        }
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) => match port.parse() {
                Ok(port) if port > 0 => port,
                _ => return Err(wrong("the port is no number from 1 to 65535")),
            },
        };
        Ok(Address { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn addresses_are_read_and_written() {
        for (text, written) in [
            ("localhost", "localhost:9092"),
            ("broker-1.example:19092", "broker-1.example:19092"),
            ("::1", "[::1]:9092"),
            ("[fe80::1]", "[fe80::1]:9092"),
            ("[::1]:1", "[::1]:1"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), written);
        }
        let list = Address::list(" a:1 ,, b ").unwrap();
        assert_eq!(list.iter().map(Address::to_string).collect::<Vec<_>>(), ["a:1", "b:9092"]);
    }

    #[test]
    fn what_is_no_address_is_told() {
        for (text, reason) in [
            ("", "empty"),
            (",", "empty"),
            (":9092", "host is missing"),
            ("a:", "port is no number"),
            ("a:0", "port is no number"),
            ("a:65536", "port is no number"),
            ("a:b", "port is no number"),
            ("http://a:80", "URL"),
            ("[::1:9092", "not closed"),
            ("[::1]9092", "behind the bracket"),
            ("a b:1", "no host"),
        ] {
            let error = Address::list(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
