//! Where the HTTP port listens.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::str::FromStr;

/// Where it listens if nothing is said.
pub const DEFAULT: &str = "127.0.0.1:9644";

/// An address and a port, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpListen {
    /// There is no HTTP port.
    Off,
    /// Host and port, as they were given.
    On(String),
}

impl FromStr for HttpListen {
    type Err = String;

    fn from_str(text: &str) -> Result<HttpListen, String> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(HttpListen::Off);
        }
        let wrong = "expected HOST:PORT, such as 127.0.0.1:9644 or [::1]:9644, or none";
        let (host, port) = text.rsplit_once(':').ok_or(wrong)?;
        let is_bare_ipv6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
        if host.is_empty() || is_bare_ipv6 || port.parse::<u16>().is_err() {
            return Err(wrong.to_owned());
        }
        Ok(HttpListen::On(text.to_owned()))
    }
}

impl fmt::Display for HttpListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HttpListen::Off => "none",
            HttpListen::On(text) => text,
        })
    }
}

/// Why the HTTP port can't be had. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The host has no address.
    #[error("--http-listen {address}: {source} (give an address of this machine, or none)")]
    Resolve {
        /// As given.
        address: String,
        /// The resolver's reason.
        source: io::Error,
    },
    /// Something else has the port, or the address is not this machine's.
    #[error(
        "can't listen on {address} for HTTP: {source} (choose another address or port with \
         --http-listen; port 0 lets the system choose, none switches the port off)"
    )]
    Bind {
        /// As given.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
}

/// A socket that listens.
#[derive(Debug)]
pub struct Bound {
    /// The socket.
    pub listener: TcpListener,
    /// What was wanted and taken, if the system had to choose another port.
    pub instead_of: Option<String>,
}

impl HttpListen {
    /// Listens, if it is to. Who asked for an address (`is_told`) gets it or an error; the default
    /// is given up for a port that the system chooses, so that several brokers may share a machine.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn bind(&self, is_told: bool) -> Result<Option<Bound>, ListenError> {
        let HttpListen::On(address) = self else { return Ok(None) };
        let failed = |source| ListenError::Bind { address: address.clone(), source };
        let candidates: Vec<SocketAddr> = address
            .to_socket_addrs()
            .map_err(|source| ListenError::Resolve { address: address.clone(), source })?
            .collect();
        match TcpListener::bind(&candidates[..]) {
            Ok(listener) => Ok(Some(Bound { listener, instead_of: None })),
            Err(error) if !is_told && error.kind() == io::ErrorKind::AddrInUse => {
                let any_port: Vec<SocketAddr> =
                    candidates.iter().map(|address| SocketAddr::new(address.ip(), 0)).collect();
                let listener = TcpListener::bind(&any_port[..]).map_err(failed)?;
                Ok(Some(Bound { listener, instead_of: Some(address.clone()) }))
            }
            Err(error) => Err(failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for good in ["127.0.0.1:9644", "localhost:0", "[::1]:80", "0.0.0.0:65535"] {
            assert_eq!(good.parse(), Ok(HttpListen::On(good.to_owned())));
        }
        assert_eq!("none".parse(), Ok(HttpListen::Off));
        for wrong in ["", "9644", ":9644", "localhost", "localhost:", "a:70000", "::1:80", "a:-1"] {
            assert!(wrong.parse::<HttpListen>().is_err(), "{wrong}");
        }
        assert!(DEFAULT.parse::<HttpListen>().is_ok());
    }

    #[test]
    fn a_taken_port_is_an_error_only_to_who_asked_for_it() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let listen = HttpListen::On(address.to_string());
        let error = listen.bind(true).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()) && error.contains("none"), "{error}");
        let bound = listen.bind(false).unwrap().unwrap();
        assert_ne!(bound.listener.local_addr().unwrap().port(), address.port());
        assert_eq!(bound.instead_of, Some(address.to_string()));
        assert!(HttpListen::Off.bind(true).unwrap().is_none());
    }
}
