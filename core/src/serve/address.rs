//! Where to listen, and what clients are told.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// Why the addresses can't be used.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// Not HOST:PORT, or no such host.
    #[error("--listen {text}: {source} (expected an address and a port, as 127.0.0.1:9092)")]
    Listen {
        /// What was given.
        text: String,
        /// The resolver's reason.
        source: io::Error,
    },
    /// No client can connect to "every address".
    #[error(
        "--listen {listen} accepts on every address, but clients need one to connect to: say which \
         with --advertise HOST[:PORT], as --advertise {example}"
    )]
    NothingToAdvertise {
        /// What was given.
        listen: String,
        /// An example that may be right.
        example: String,
    },
    /// Not HOST[:PORT].
    #[error(
        "--advertise {text}: expected a host name or address, and perhaps a port, as {example}"
    )]
    Advertise {
        /// What was given.
        text: String,
        /// An example.
        example: String,
    },
}

/// Host and port that clients connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// The addresses to listen on.
pub fn resolve(listen: &str) -> Result<Vec<SocketAddr>, AddressError> {
    let failed = |source| AddressError::Listen { text: listen.to_owned(), source };
    let mut addresses: Vec<_> = listen.to_socket_addrs().map_err(failed)?.collect();
    addresses.sort();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(failed(io::Error::from(io::ErrorKind::AddrNotAvailable)));
    }
    Ok(addresses)
}

/// What clients are told; `port` is the one that is listened on.
pub fn advertised(
    listen: &str,
    advertise: Option<&str>,
    port: u16,
) -> Result<Advertised, AddressError> {
    let listen_host = split(listen).0;
    let Some(text) = advertise else {
        let everywhere = listen_host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
        if everywhere {
            let example = format!("{}:{port}", own_name());
            return Err(AddressError::NothingToAdvertise { listen: listen.to_owned(), example });
        }
        return Ok(Advertised { host: listen_host.to_owned(), port });
    };
    let wrong = || AddressError::Advertise {
        text: text.to_owned(),
        example: format!("{}:{port}", own_name()),
    };
    let (host, own_port) = split(text);
    let port = own_port.map_or(Ok(port), str::parse).map_err(|_| wrong())?;
    let usable = !host.is_empty()
        && host.len() <= 253
        && !host.contains(|c: char| c.is_whitespace() || c == '/')
        && !host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
    if !usable || port == 0 {
        return Err(wrong());
    }
    Ok(Advertised { host: host.to_owned(), port })
}

/// Host, without the brackets of an IPv6 address, and port.
fn split(text: &str) -> (&str, Option<&str>) {
    if let Some(rest) = text.strip_prefix('[')
        && let Some((host, port)) = rest.split_once(']')
    {
        return (host, port.strip_prefix(':'));
    }
    match text.rsplit_once(':') {
        // A bare IPv6 address has more colons.
        Some((host, port)) if !host.contains(':') => (host, Some(port)),
        _ => (text, None),
    }
}

fn own_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "broker.example.org".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Advertised, advertised, resolve};

    fn at(listen: &str, advertise: Option<&str>) -> Option<(String, u16)> {
        let Advertised { host, port } = advertised(listen, advertise, 9092).ok()?;
        Some((host, port))
    }

    fn is(host: &str, port: u16) -> Option<(String, u16)> {
        Some((host.to_owned(), port))
    }

    #[test]
    fn the_listen_address_is_advertised_unless_it_is_every_address() {
        assert_eq!(at("127.0.0.1:9092", None), is("127.0.0.1", 9092));
        assert_eq!(at("localhost:0", None), is("localhost", 9092), "the port that was bound");
        assert_eq!(at("[::1]:9092", None), is("::1", 9092));
        assert_eq!(at("0.0.0.0:9092", None), None);
        assert_eq!(at("[::]:9092", None), None);
    }

    #[test]
    fn what_is_advertised_must_be_reachable() {
        assert_eq!(at("0.0.0.0:9092", Some("kafka.example.org")), is("kafka.example.org", 9092));
        assert_eq!(at("0.0.0.0:9092", Some("10.1.2.3:19092")), is("10.1.2.3", 19092));
        assert_eq!(at("0.0.0.0:9092", Some("[fd00::1]:5")), is("fd00::1", 5));
        assert_eq!(at("0.0.0.0:9092", Some("fd00::1")), is("fd00::1", 9092));
        for wrong in ["", ":9092", "0.0.0.0", "[::]:1", "a b", "host:0", "host:x", "http://h:1"] {
            assert_eq!(at("0.0.0.0:9092", Some(wrong)), None, "{wrong}");
        }
    }

    #[test]
    fn listening_needs_a_port() {
        assert!(resolve("127.0.0.1:9092").is_ok());
        for wrong in ["127.0.0.1", "127.0.0.1:99999", "", "nine:thousand"] {
            assert!(resolve(wrong).is_err(), "{wrong}");
        }
    }
}
