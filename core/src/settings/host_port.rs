//! A host and a port.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

/// Longest name of the DNS.
const HOST_BYTES_MAX: usize = 253;

/// A name or an address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// Without brackets; empty is every address of this machine.
    pub host: String,
    /// 0 lets the system choose.
    pub port: u16,
}

impl HostPort {
    /// Reads `HOST:PORT`, `[IPv6]:PORT` or `:PORT`.
    pub fn parse(text: &str) -> Option<HostPort> {
        let (host, port) = split(text)?;
        Some(HostPort { host: host.to_owned(), port: port? })
    }

    /// The same host, so many ports higher. (That there are so many is checked at the start.)
    pub fn above(&self, ports: u16) -> HostPort {
        HostPort { host: self.host.clone(), port: self.port.saturating_add(ports) }
    }

    /// True if it stands for every address.
    pub fn is_everywhere(&self) -> bool {
        is_everywhere(&self.host)
    }

    /// The addresses that it stands for: at least one, in a fixed order.
    ///
    /// # Errors
    /// The resolver's, or `NotFound`.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let mut addresses: Vec<SocketAddr> = if self.host.is_empty() {
            let any4 = IpAddr::from(Ipv4Addr::UNSPECIFIED);
            let any6 = has_ipv6().then_some(IpAddr::from(Ipv6Addr::UNSPECIFIED));
            [Some(any4), any6].into_iter().flatten().map(|ip| (ip, self.port).into()).collect()
        } else {
            (&*self.host, self.port).to_socket_addrs()?.collect()
        };
        addresses.sort();
        addresses.dedup();
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        Ok(addresses)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HostPort { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// True for 0.0.0.0, [::] and nothing.
pub(super) fn is_everywhere(host: &str) -> bool {
    host.is_empty() || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_unspecified())
}

/// Host, without the brackets of an IPv6 address, and port if there is one. `None` if it is neither
/// a name nor an address, or the port is no port.
pub(super) fn split(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            address_v6(host)?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
            (host, port)
        }
        None => match text.rsplit_once(':') {
            // A bare IPv6 address has more colons, and no port.
            Some((host, _)) if host.contains(':') => {
                address_v6(text)?;
                (text, None)
            }
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok()?),
        Some(_) => return None,
        None => None,
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    (host.len() <= HOST_BYTES_MAX && host.chars().all(fits)).then_some((host, port))
}

/// With its scope, if it has one.
fn address_v6(text: &str) -> Option<Ipv6Addr> {
    text.split_once('%').map_or(text, |(address, _)| address).parse().ok()
}

fn has_ipv6() -> bool {
    std::fs::read_to_string("/proc/net/if_inet6").is_ok_and(|text| !text.is_empty())
}

/// This machine's name, for examples.
pub fn own_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" | "localhost" => "broker.example.org".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{HostPort, split};

    fn read(text: &str) -> Option<(String, u16)> {
        HostPort::parse(text).map(|HostPort { host, port }| (host, port))
    }

    #[test]
    fn hosts_and_ports_are_read() {
        let is = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(read("127.0.0.1:9092"), is("127.0.0.1", 9092));
        assert_eq!(read("[::1]:0"), is("::1", 0));
        assert_eq!(read("[fe80::1%eth0]:7"), is("fe80::1%eth0", 7));
        assert_eq!(read(":9092"), is("", 9092));
        assert_eq!(read("kafka-1.example.org:65535"), is("kafka-1.example.org", 65535));
        assert_eq!(split("fd00::1"), Some(("fd00::1", None)));
        assert_eq!(split("[fd00::1]"), Some(("fd00::1", None)));
        for wrong in [
            "",
            "host",
            "host:",
            "host:x",
            "host:65536",
            "host:+1",
            "[::1]",
            "[::1]9",
            "[host]:1",
            "::1:x",
            "a b:1",
            "a/b:1",
            "http://h:1",
            "1:2:3",
            "h\u{e9}:1",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["[::1]:9092", "127.0.0.1:1", "host:0", "[::]:5"] {
            assert_eq!(HostPort::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn addresses_are_found() {
        let addresses = |text| HostPort::parse(text).unwrap().resolve().unwrap();
        assert_eq!(addresses("127.0.0.1:1"), ["127.0.0.1:1".parse().unwrap()]);
        assert_eq!(addresses("[::1]:1"), ["[::1]:1".parse().unwrap()]);
        assert_eq!(addresses(":1")[0], "0.0.0.0:1".parse().unwrap());
    }
}
