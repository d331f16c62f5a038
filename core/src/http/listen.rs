//! Where the HTTP port listens.

use std::io;
use std::net::{SocketAddr, TcpListener};

use crate::settings::HttpListen;

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

/// Listens. Who asked for an address gets it or an error; the default is given up for a port that the
/// system chooses, so that several brokers may share a machine.
///
/// # Errors
/// [`ListenError`].
pub fn bind(listen: &HttpListen) -> Result<Bound, ListenError> {
    let address = listen.address.to_string();
    let failed = |source| ListenError::Bind { address: address.clone(), source };
    let resolved = listen.address.resolve();
    let candidates =
        resolved.map_err(|source| ListenError::Resolve { address: address.clone(), source })?;
    match TcpListener::bind(&candidates[..]) {
        Ok(listener) => Ok(Bound { listener, instead_of: None }),
        Err(error) if !listen.told && error.kind() == io::ErrorKind::AddrInUse => {
            let any_port: Vec<SocketAddr> =
                candidates.iter().map(|address| SocketAddr::new(address.ip(), 0)).collect();
            let listener = TcpListener::bind(&any_port[..]).map_err(failed)?;
            Ok(Bound { listener, instead_of: Some(address) })
        }
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::HostPort;

    #[test]
    fn a_taken_port_is_an_error_only_to_who_asked_for_it() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let wanted = HostPort::parse(&address.to_string()).unwrap();
        let listen = |told| HttpListen { address: wanted.clone(), told };
        let error = bind(&listen(true)).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()) && error.contains("none"), "{error}");
        let bound = bind(&listen(false)).unwrap();
        assert_ne!(bound.listener.local_addr().unwrap().port(), address.port());
        assert_eq!(bound.instead_of, Some(address.to_string()));
    }
}
