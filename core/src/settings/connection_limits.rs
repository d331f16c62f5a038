//! How many may connect.

use std::collections::BTreeMap;
use std::net::{IpAddr, ToSocketAddrs};

use super::gather::Gathered;
use super::listener::{Listener, limit_name};
use super::lookup::limited_listener;
use super::problem::Problems;

/// Most connections that may be open at once; `usize::MAX` is no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// On all listeners together.
    pub broker: usize,
    /// On each listener, in their order.
    pub listeners: Vec<usize>,
    /// From one address.
    pub per_ip: usize,
    /// From these addresses.
    pub per_ip_overrides: BTreeMap<IpAddr, usize>,
}

impl ConnectionLimits {
    /// None, for this many listeners.
    pub fn none(listeners: usize) -> ConnectionLimits {
        ConnectionLimits {
            broker: usize::MAX,
            listeners: vec![usize::MAX; listeners],
            per_ip: usize::MAX,
            per_ip_overrides: BTreeMap::new(),
        }
    }
}

/// Kafka's word for no limit.
fn limit(text: &str) -> usize {
    match text.parse() {
        Ok(number) if number < i32::MAX as usize => number,
        _ => usize::MAX,
    }
}

pub(super) fn connection_limits(
    gathered: &Gathered,
    listeners: &[Listener],
    problems: &mut Problems,
) -> ConnectionLimits {
    let of = |name: &str| gathered.text(name).map_or(usize::MAX, limit);
    let limits = ConnectionLimits {
        broker: of("max.connections"),
        listeners: per_listener(gathered, listeners, problems),
        per_ip: of("max.connections.per.ip"),
        per_ip_overrides: overrides(gathered, problems),
    };
    if let Some(setting) = gathered.get("max.connections.per.ip")
        && limits.per_ip == 0
        && gathered.text("max.connections.per.ip.overrides").is_none()
    {
        let words = "`max.connections.per.ip` is 0, which lets nobody in: say who may connect with \
                     max.connections.per.ip.overrides, or give another number";
        problems.add(&setting.source, words);
    }
    limits
}

fn per_listener(
    gathered: &Gathered,
    listeners: &[Listener],
    problems: &mut Problems,
) -> Vec<usize> {
    let mut limits = vec![usize::MAX; listeners.len()];
    for setting in gathered.settings() {
        let Some(name) = limited_listener(&setting.name) else { continue };
        let is_it = |listener: &Listener| limit_name(&listener.name) == limit_name(name);
        match listeners.iter().position(is_it) {
            Some(index) => limits[index] = setting.text.as_deref().map_or(usize::MAX, limit),
            // What is listened on is not known if it could not be read.
            None if listeners.is_empty() => {}
            None => {
                let names: Vec<&str> = listeners.iter().map(|one| &*one.name).collect();
                let words = format!(
                    "`{}`: there is no such listener: there is {}",
                    setting.name,
                    names.join(", ")
                );
                problems.add(&setting.source, words);
            }
        }
    }
    limits
}

fn overrides(gathered: &Gathered, problems: &mut Problems) -> BTreeMap<IpAddr, usize> {
    let mut overrides = BTreeMap::new();
    let name = "max.connections.per.ip.overrides";
    let Some(setting) = gathered.get(name) else { return overrides };
    for element in setting.text.iter().flat_map(|text| text.split(',')) {
        match read_override(element) {
            Ok((addresses, limit)) => {
                for address in addresses {
                    overrides.insert(address, limit);
                }
            }
            Err(words) => problems.add(&setting.source, format!("`{name}`: {words}")),
        }
    }
    overrides
}

fn read_override(element: &str) -> Result<(Vec<IpAddr>, usize), String> {
    let expected =
        || format!("\"{element}\": expected HOST:NUMBER, as 10.0.0.7:100 or [fd00::1]:100");
    let (host, number) = element.rsplit_once(':').ok_or_else(expected)?;
    let number: u32 = number.trim().parse().map_err(|_| expected())?;
    let host = host.trim().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(expected());
    }
    let found = (host, 0).to_socket_addrs();
    let found = found.map_err(|error| format!("\"{host}\" has no address: {error}"))?;
    let addresses = found.map(|address| address.ip().to_canonical()).collect();
    Ok((addresses, limit(&number.to_string())))
}
