//! Ports of listeners: one each, or one for each shard, from the listener's upwards.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use super::ServeError;
use crate::runtime::bind;
use crate::settings::{Configuration, Listener};

/// How often ports are looked for that lie side by side, where the system chooses the first.
const TRIES: usize = 64;

/// Ports that do not go together.
#[derive(Debug, thiserror::Error)]
pub enum PortsError {
    /// The last port would be none.
    #[error(
        "listener {listener}: with corelane.port.per.shard its {shards} shards need ports {first} to \
         {last}, and 65535 is the last there is: choose a lower port or fewer shards"
    )]
    TooHigh {
        /// The listener.
        listener: String,
        /// How many shards there are.
        shards: usize,
        /// The listener's port.
        first: u16,
        /// What would be the last shard's.
        last: usize,
    },
    /// Two listeners want the same port.
    #[error(
        "listeners {one} and {other}: with corelane.port.per.shard each has {shards} ports from its \
         own upwards, and these overlap: leave as much room between them"
    )]
    Overlap {
        /// A listener.
        one: String,
        /// And another.
        other: String,
        /// How many shards there are.
        shards: usize,
    },
}

/// Ports of each listener.
pub(super) fn per_listener(configuration: &Configuration, shards: usize) -> usize {
    if configuration.port_per_shard { shards } else { 1 }
}

/// Checks that each shard can have a port of its own, if it is to have one.
///
/// # Errors
/// Which listener it fails for.
pub(super) fn check(configuration: &Configuration, shards: usize) -> Result<(), PortsError> {
    if !configuration.port_per_shard {
        return Ok(());
    }
    let listeners = &configuration.listeners;
    for (number, listener) in listeners.iter().enumerate() {
        let told = listener.advertise.at(listener.bind.port).port;
        for first in [listener.bind.port, told] {
            let last = usize::from(first) + shards - 1;
            if last > usize::from(u16::MAX) {
                let listener = listener.name.clone();
                return Err(PortsError::TooHigh { listener, shards, first, last });
            }
        }
        if let Some(other) = listeners[..number].iter().find(|one| overlap(one, listener, shards)) {
            let (one, other) = (other.name.clone(), listener.name.clone());
            return Err(PortsError::Overlap { one, other, shards });
        }
    }
    Ok(())
}

fn overlap(one: &Listener, other: &Listener, shards: usize) -> bool {
    let (first, second) = (one.bind.port, other.bind.port);
    let near = first != 0 && second != 0 && usize::from(first.abs_diff(second)) < shards;
    let meet = |one: &SocketAddr, other: &SocketAddr| {
        let (one, other) = (one.ip(), other.ip());
        let anywhere = one.is_unspecified() || other.is_unspecified();
        one.is_ipv4() == other.is_ipv4() && (one == other || anywhere)
    };
    near && one.addresses.iter().any(|one| other.addresses.iter().any(|other| meet(one, other)))
}

/// The addresses of so many shards. (That there are so many ports, [`check`] has seen.)
pub(super) fn of_shards(first: SocketAddr, count: usize) -> impl Iterator<Item = SocketAddr> {
    (first.port()..=u16::MAX).take(count).map(move |port| SocketAddr::new(first.ip(), port))
}

/// Listens on `address` and on so many ports from there on as there are shards to have one. With port
/// 0 the system chooses the first.
pub(super) fn bind_all(address: SocketAddr, count: usize) -> Result<Vec<OwnedFd>, ServeError> {
    let tries = if address.port() == 0 && count > 1 { TRIES } else { 1 };
    let mut tried = bind_from(address, count);
    for _ in 1..tries {
        if tried.is_ok() {
            break;
        }
        tried = bind_from(address, count);
    }
    tried
}

fn bind_from(address: SocketAddr, count: usize) -> Result<Vec<OwnedFd>, ServeError> {
    let failed = |address| move |source| ServeError::Listen { address, source };
    let first = bind(address).map_err(failed(address))?;
    let bound = socket2::SockRef::from(&first).local_addr().map_err(failed(address))?;
    let bound = bound.as_socket().unwrap_or(address);
    let mut sockets = vec![first];
    for address in of_shards(bound, count).skip(1) {
        sockets.push(bind(address).map_err(failed(address))?);
    }
    if sockets.len() < count {
        return Err(failed(bound)(std::io::ErrorKind::AddrNotAvailable.into()));
    }
    Ok(sockets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(name: &str, address: &str) -> Listener {
        let address: SocketAddr = address.parse().unwrap();
        let (host, port) = (address.ip().to_string(), address.port());
        Listener {
            name: name.to_owned(),
            bind: crate::settings::HostPort { host: host.clone(), port },
            advertise: crate::settings::Advertise { host, port: None },
            addresses: vec![address],
        }
    }

    #[test]
    fn listeners_overlap_where_a_shard_of_one_has_a_port_of_the_other() {
        let overlaps =
            |one, other, shards| overlap(&listener("A", one), &listener("B", other), shards);
        assert!(!overlaps("127.0.0.1:9092", "127.0.0.1:9093", 1));
        assert!(overlaps("127.0.0.1:9092", "127.0.0.1:9093", 2));
        assert!(overlaps("127.0.0.1:9095", "127.0.0.1:9092", 4));
        assert!(!overlaps("127.0.0.1:9092", "127.0.0.1:9096", 4));
        assert!(!overlaps("127.0.0.1:9092", "127.0.0.2:9093", 4));
        assert!(overlaps("0.0.0.0:9092", "127.0.0.2:9093", 4));
        assert!(!overlaps("[::]:9092", "127.0.0.2:9093", 4), "families are apart");
        assert!(!overlaps("127.0.0.1:0", "127.0.0.1:0", 4), "the system chooses");
    }

    #[test]
    fn shards_have_ports_side_by_side_also_where_the_system_chooses() {
        let sockets = bind_all("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        let port = |socket: &OwnedFd| {
            socket2::SockRef::from(socket).local_addr().unwrap().as_socket().unwrap().port()
        };
        let ports: Vec<u16> = sockets.iter().map(port).collect();
        assert_eq!(ports, [ports[0], ports[0] + 1, ports[0] + 2]);
        let taken = bind_all(SocketAddr::from(([127, 0, 0, 1], ports[0])), 2).unwrap_err();
        assert!(taken.to_string().contains("another process has this port"), "{taken}");
    }
}
