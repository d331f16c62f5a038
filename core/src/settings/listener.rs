//! Listeners: `[NAME://]HOST:PORT`, and for each what clients are told: `[NAME://]HOST[:PORT]`.
//!
//! The first without a name is PLAINTEXT, the others are LISTENER_2, LISTENER_3, ... by their place.
//! Names have no case (KIP-103).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::gather::Gathered;
use super::host_port::{self, HostPort, own_name};
use super::problem::Problems;
use super::source::Source;

/// Most listeners; each costs a socket, and names one more metric.
const LISTENERS_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 64;

/// Protocols of Kafka that are not there yet.
const ABSENT_PROTOCOLS: &[&str] = &["SSL", "SASL_PLAINTEXT", "SASL_SSL"];

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name, in capitals.
    pub name: String,
    /// Where it accepts.
    pub bind: HostPort,
    /// What its clients are told.
    pub advertise: Advertise,
    /// The addresses that `bind` stands for.
    pub addresses: Vec<SocketAddr>,
}

/// What the clients of a listener are told to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertise {
    /// Name or address, without brackets.
    pub host: String,
    /// `None` is the port that is listened on.
    pub port: Option<u16>,
}

impl Advertise {
    /// With the port that is listened on.
    pub fn at(&self, port: u16) -> HostPort {
        HostPort { host: self.host.clone(), port: self.port.unwrap_or(port) }
    }
}

/// An element of a list: its name, if it has one, and the rest.
type Element<'a> = (Option<String>, &'a str);

/// The listeners that `gathered` asks for; what is wrong with them goes to `problems`.
pub(super) fn listeners(gathered: &Gathered, problems: &mut Problems) -> Vec<Listener> {
    let Some(setting) = gathered.get("listeners") else { return Vec::new() };
    let (source, text) = (&setting.source, setting.text.as_deref().unwrap_or_default());
    let elements: Vec<&str> = text.split(',').collect();
    if elements.len() > LISTENERS_MAX {
        problems.add(source, format!("`listeners` are more than {LISTENERS_MAX}: name fewer"));
        return Vec::new();
    }
    let mut listeners: Vec<Listener> = Vec::new();
    let mut advertised = advertised(gathered, elements.len() == 1, problems);
    let mut all_read = true;
    for (index, element) in elements.into_iter().enumerate() {
        match read(index, element) {
            Ok((name, bind, addresses)) => {
                let told = advertised.take(&name);
                let advertise = told.unwrap_or(Advertise { host: bind.host.clone(), port: None });
                listeners.push(Listener { name, bind, advertise, addresses });
            }
            Err(words) => {
                all_read = false;
                problems.add(source, format!("`listeners` has \"{element}\": {words}"));
            }
        }
    }
    check_distinct(&listeners, source, problems);
    check_protocols(&listeners, gathered, problems);
    check_reachable(&listeners, source, problems);
    // Names are not judged where listeners could not be read.
    if all_read {
        advertised.check_all_taken(&listeners, problems);
    }
    listeners
}

fn read(index: usize, element: &str) -> Result<(String, HostPort, Vec<SocketAddr>), String> {
    let (name, place) = named(element)?;
    let name = name.unwrap_or_else(|| default_name(index));
    let bind = HostPort::parse(place).ok_or(
        "expected an address and a port, as 127.0.0.1:9092, [::1]:9092 or INTERNAL://host:9093",
    )?;
    let addresses = bind.resolve().map_err(|error| {
        format!("{error} (expected an address of this machine, or a name that it can resolve)")
    })?;
    Ok((name, bind, addresses))
}

fn default_name(index: usize) -> String {
    match index {
        0 => "PLAINTEXT".to_owned(),
        index => format!("LISTENER_{}", index + 1),
    }
}

fn named(element: &str) -> Result<Element<'_>, String> {
    let Some((name, place)) = element.split_once("://") else { return Ok((None, element)) };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(fits) {
        return Err(format!(
            "expected a name of at most {NAME_BYTES_MAX} letters, digits, _ and - before ://"
        ));
    }
    Ok((Some(name.to_ascii_uppercase()), place))
}

/// What `advertised.listeners` says, by listener.
struct Advertised {
    source: Source,
    by_name: BTreeMap<String, Advertise>,
    /// There is one listener, and one without a name is its.
    only: Option<Advertise>,
}

fn advertised(gathered: &Gathered, single: bool, problems: &mut Problems) -> Advertised {
    let none = Advertised { source: Source::Default, by_name: BTreeMap::new(), only: None };
    let Some(setting) = gathered.get("advertised.listeners") else { return none };
    let Some(text) = &setting.text else { return none };
    let mut advertised = Advertised { source: setting.source.clone(), ..none };
    for (index, element) in text.split(',').enumerate() {
        let read = named(element).and_then(|(name, place)| Ok((name, advertise(place)?)));
        let (name, advertise) = match read {
            Ok(read) => read,
            Err(words) => {
                let words = format!("`advertised.listeners` has \"{element}\": {words}");
                problems.add(&setting.source, words);
                continue;
            }
        };
        if name.is_none() && single && advertised.only.is_none() {
            advertised.only = Some(advertise);
            continue;
        }
        let name = name.unwrap_or_else(|| default_name(index));
        if advertised.by_name.insert(name.clone(), advertise).is_some() {
            let words = format!("`advertised.listeners` names {name} twice: give it once");
            problems.add(&setting.source, words);
        }
    }
    advertised
}

fn advertise(place: &str) -> Result<Advertise, String> {
    let example = own_name();
    let expected =
        || format!("expected a host name or address, and perhaps a port, as {example}:9092");
    let (host, port) = host_port::split(place).ok_or_else(expected)?;
    if port == Some(0) || host.is_empty() {
        return Err(expected());
    }
    if host_port::is_everywhere(host) {
        return Err(format!(
            "this is every address, and no client can connect to that: {}",
            how_to_advertise(&example)
        ));
    }
    Ok(Advertise { host: host.to_owned(), port })
}

fn how_to_advertise(example: &str) -> String {
    format!(
        "give the name or address by which clients reach this machine, as --advertise {example} \
         (in a container or behind NAT: the host's name and the published port)"
    )
}

impl Advertised {
    fn take(&mut self, name: &str) -> Option<Advertise> {
        self.only.take().or_else(|| self.by_name.remove(name))
    }

    fn check_all_taken(&self, listeners: &[Listener], problems: &mut Problems) {
        let names: Vec<&str> = listeners.iter().map(|listener| &*listener.name).collect();
        for name in self.by_name.keys() {
            let words = format!(
                "`advertised.listeners` names {name}, but there is no such listener: there is {}",
                names.join(", ")
            );
            problems.add(&self.source, words);
        }
    }
}

/// HTTP can't be where a listener is.
pub(super) fn check_apart(gathered: &Gathered, listeners: &[Listener], problems: &mut Problems) {
    let Some(setting) = gathered.get("corelane.http.listen") else { return };
    let Some(http) = setting.text.as_deref().and_then(HostPort::parse) else { return };
    let Ok(addresses) = http.resolve() else { return };
    let clashes = |listener: &&Listener| {
        listener.addresses.iter().any(|one| addresses.iter().any(|other| overlap(one, other)))
    };
    if let Some(listener) = listeners.iter().find(clashes) {
        let words = format!(
            "`corelane.http.listen` ({http}) is where the listener {} is ({}): give one another \
             port, as --http-listen 127.0.0.1:9645",
            listener.name, listener.bind
        );
        match setting.source {
            Source::Default => problems.add_anywhere(words),
            _ => problems.add(&setting.source, words),
        }
    }
}

fn check_distinct(listeners: &[Listener], source: &Source, problems: &mut Problems) {
    for (index, later) in listeners.iter().enumerate() {
        for before in &listeners[..index] {
            if limit_name(&before.name) == limit_name(&later.name) {
                let words = format!("`listeners` names {} twice: give each its name", later.name);
                problems.add(source, words);
            }
            let clash = later
                .addresses
                .iter()
                .find(|address| before.addresses.iter().any(|other| overlap(address, other)));
            if let Some(address) = clash {
                let words = format!(
                    "`listeners` {} and {} are both on {address}: give one another port",
                    before.name, later.name
                );
                problems.add(source, words);
            }
        }
    }
}

/// How the name stands in `listener.name.<name>.max.connections`: an environment variable can say no
/// hyphen.
pub(super) fn limit_name(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}

/// True if not both can be listened on.
fn overlap(a: &SocketAddr, b: &SocketAddr) -> bool {
    let unspecified = a.ip().is_unspecified() || b.ip().is_unspecified();
    let same_family = a.is_ipv4() == b.is_ipv4();
    a.port() != 0 && a.port() == b.port() && (a == b || (same_family && unspecified))
}

fn check_protocols(listeners: &[Listener], gathered: &Gathered, problems: &mut Problems) {
    let mut mapped = BTreeMap::new();
    if let Some(setting) = gathered.get("listener.security.protocol.map")
        && let Some(text) = &setting.text
    {
        for element in text.split(',') {
            let pair = element.split_once(':').map(|(a, b)| (a.trim(), b.trim()));
            let words = match pair {
                Some((name, protocol)) if protocol.eq_ignore_ascii_case("PLAINTEXT") => {
                    let again = mapped.insert(name.to_ascii_uppercase(), ()).is_some();
                    again.then(|| format!("{name} is there twice: give it once"))
                }
                Some((_, protocol)) => Some(format!(
                    "\"{element}\": the protocol {} is not there yet, only PLAINTEXT",
                    protocol.to_ascii_uppercase()
                )),
                None => Some(format!("\"{element}\": expected NAME:PLAINTEXT")),
            };
            if let Some(words) = words {
                let words = format!("`listener.security.protocol.map`: {words}");
                problems.add(&setting.source, words);
            }
        }
    }
    let source = gathered.get("listeners").map_or(Source::Default, |found| found.source.clone());
    for listener in listeners {
        let name = &listener.name;
        if ABSENT_PROTOCOLS.contains(&&**name) && !mapped.contains_key(name) {
            let words = format!(
                "`listeners` has {name}: this protocol is not there yet; use PLAINTEXT://{}",
                listener.bind
            );
            problems.add(&source, words);
        }
    }
}

/// Who listens on every address must say which one clients are to use.
fn check_reachable(listeners: &[Listener], source: &Source, problems: &mut Problems) {
    for listener in listeners.iter().filter(|one| host_port::is_everywhere(&one.advertise.host)) {
        let mut example = own_name();
        if listeners.len() > 1 {
            example = format!("{}://{example}", listener.name);
        }
        let words = format!(
            "`listeners` has {}, which is every address, but clients need one to connect to: {}",
            listener.bind,
            how_to_advertise(&format!("{example}:{}", listener.bind.port.max(1)))
        );
        problems.add(source, words);
    }
}
