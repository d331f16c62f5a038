//! Which process has a port: /proc/net/tcp names the socket, /proc/PID/fd its owner (proc(5)).

use std::fs;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use crate::usage::process_ids;

/// State of a listening socket in /proc/net/tcp.
const LISTEN: &str = "0A";

/// The one process that listens on the broker's port, if the broker is on this machine and the
/// kernel lets us see it.
pub fn broker_pid(bootstrap: &str) -> Option<u32> {
    let first = bootstrap.split(',').map(str::trim).find(|text| !text.is_empty())?;
    let address = first.to_socket_addrs().ok()?.find(|address| address.ip().is_loopback())?;
    let mut owners = owners(address);
    owners.retain(|pid| *pid != std::process::id());
    match owners[..] {
        // Its usage is told only to its own user and to root.
        [pid] if fs::read(format!("/proc/{pid}/io")).is_ok() => Some(pid),
        _ => None,
    }
}

/// The processes that listen where a client would reach `address`; none if they can't be seen.
pub(super) fn owners(address: SocketAddr) -> Vec<u32> {
    let inodes: Vec<u64> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|table| listening(&table, address))
        .collect();
    if inodes.is_empty() {
        return Vec::new();
    }
    let names: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    process_ids().filter(|pid| has_open(*pid, &names)).collect()
}

fn has_open(pid: u32, names: &[String]) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    descriptors.flatten().any(|descriptor| {
        let target = fs::read_link(descriptor.path()).unwrap_or_default();
        names.iter().any(|name| target.as_os_str() == name.as_str())
    })
}

/// Inodes of the sockets of a table that listen on the port, on this address or on all.
fn listening(table: &str, address: SocketAddr) -> Vec<u64> {
    let socket = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, state, ..] = fields[..] else { return None };
        let (ip, port) = local.split_once(':')?;
        let is_meant = u16::from_str_radix(port, 16).ok()? == address.port()
            && state == LISTEN
            && (is_any(ip) || parse_ip(ip)? == address.ip());
        // Inode: after the queues, timers, retransmits, user and timeout.
        if is_meant { fields.get(9)?.parse().ok() } else { None }
    };
    table.lines().skip(1).filter_map(socket).collect()
}

fn is_any(ip: &str) -> bool {
    ip.bytes().all(|digit| digit == b'0')
}

/// Words of four bytes, each in the machine's order.
fn parse_ip(text: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = text.get(at..at + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    match text.len() {
        8 => Some(IpAddr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for index in 0..4 {
                bytes[index * 4..index * 4 + 4].copy_from_slice(&word(index * 8)?);
            }
            Some(IpAddr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::{listening, owners, parse_ip};

    #[test]
    fn a_table_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:2384 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n\
            1: 0100007F:2384 0100007F:1111 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n\
            2: 00000000:2384 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1\n\
            3: 0200007F:2384 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4714 1\n\
            4: nonsense\n";
        if cfg!(target_endian = "little") {
            assert_eq!(listening(table, "127.0.0.1:9092".parse().unwrap()), [4711, 4713]);
            assert_eq!(parse_ip("0100007F"), Some([127, 0, 0, 1].into()));
            let mapped = "0000000000000000FFFF00000100007F";
            assert_eq!(parse_ip(mapped), Some([127, 0, 0, 1].into()));
        }
        for wrong in ["", "01", "zzzzzzzz", "ööööö"] {
            assert_eq!(parse_ip(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn this_process_is_found_by_its_port() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(owners(address), [std::process::id()]);
        drop(listener);
        assert!(owners(address).is_empty());
    }
}
