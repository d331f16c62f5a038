//! Addresses to listen on.

use std::io;

use super::{Check, Finding};
use crate::facts::{Facts, PortFacts};

pub(super) fn ports(facts: &Facts) -> impl Iterator<Item = Finding> {
    facts.ports.iter().map(port)
}

fn port(facts: &PortFacts) -> Finding {
    let (check, address) = (Check("port"), facts.address);
    let Some(errno) = facts.errno else { return check.fine(format!("{address} is free")) };
    let cause = io::Error::from_raw_os_error(errno);
    let remedy = match errno {
        libc::EADDRINUSE => format!(
            "ss -ltnp 'sport = :{}'   (shows who has it: stop that, or choose another --listen)",
            address.port()
        ),
        libc::EADDRNOTAVAIL => {
            "ip -brief address   (choose one of these for --listen, or 0.0.0.0 for all)".to_owned()
        }
        libc::EACCES | libc::EPERM => {
            "choose a port above 1023 for --listen (or systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE)"
                .to_owned()
        }
        _ => "choose another --listen".to_owned(),
    };
    check.prevents(
        format!("{address}: {cause}"),
        format!("can't listen on {address}: {cause}"),
        remedy,
    )
}
