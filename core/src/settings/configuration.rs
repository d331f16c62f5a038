//! A configuration that is right, typed.

use std::path::PathBuf;
use std::time::Duration;

use corelane_storage::log::Durability;

use super::connection_limits::{ConnectionLimits, connection_limits};
use super::gather::Gathered;
use super::host_port::HostPort;
use super::listener::{Listener, check_apart, listeners};
use super::problem::Problems;
use super::table::keys;
use crate::catalog::config::{Settings, broker_key};
use crate::shard::nodes::Node;

/// This host's id; also that of the one broker that clients see, unless each shard is one.
pub const NODE_ID: i32 = 1;

/// All that a broker is told at its start.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// At least one.
    pub listeners: Vec<Listener>,
    /// How many may connect; `listeners` in the same order.
    pub connection_limits: ConnectionLimits,
    /// A connection without requests is closed after this.
    pub idle_timeout: Duration,
    /// Largest request, in bytes.
    pub max_request_bytes: u32,
    /// Where all data is.
    pub data_dir: PathBuf,
    /// Shards; `None` is one per usable core.
    pub shards: Option<u16>,
    /// How long a shard without work looks for some before it sleeps.
    pub spin: Duration,
    /// Whether connections move to the shard that owns most of what they ask for.
    pub connections_move: bool,
    /// Whether each shard is told to clients as a broker of its own, at a port of its own.
    pub port_per_shard: bool,
    /// What an acknowledgement waits for.
    pub durability: Durability,
    /// Partitions of a topic that is created without saying how many.
    pub default_partitions: u32,
    /// Whether naming a topic may create it.
    pub auto_create_topics: bool,
    /// Memory for the newest data, of all shards together; `None` is a share of the memory.
    pub cache_bytes: Option<u64>,
    /// Whether that memory is taken at the start.
    pub cache_preallocated: bool,
    /// Where metrics and health are served; `None` is nowhere.
    pub http_listen: Option<HttpListen>,
    /// As the broker configs that clients can ask for, but for what is advertised: see
    /// [`Configuration::settings_at`].
    pub settings: Settings,
    listeners_told: bool,
    advertise_told: bool,
}

/// Where metrics and health are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpListen {
    /// Where.
    pub address: HostPort,
    /// True if it was asked for, and is no default.
    pub told: bool,
}

impl Configuration {
    /// What `gathered` asks for.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn new(gathered: &Gathered) -> Result<Configuration, Problems> {
        // What was refused left its default behind: whatever follows from that is no news.
        let mut problems = Problems::default();
        let listeners = listeners(gathered, &mut problems);
        check_apart(gathered, &listeners, &mut problems);
        let connection_limits = connection_limits(gathered, &listeners, &mut problems);
        let read = Reader { gathered };
        let settings = read.settings(&listeners);
        let configuration = Configuration {
            listeners,
            connection_limits,
            idle_timeout: read.span("connections.max.idle.ms"),
            max_request_bytes: read.number("socket.request.max.bytes").unwrap_or(100 << 20),
            data_dir: PathBuf::from(gathered.text("log.dirs").unwrap_or_default()),
            shards: read.number("corelane.shards"),
            spin: read.number("corelane.spin.us").map_or(Duration::ZERO, Duration::from_micros),
            connections_move: gathered.text("corelane.connections.move") == Some("true"),
            port_per_shard: gathered.text("corelane.port.per.shard") == Some("true"),
            durability: read.durability(),
            default_partitions: read.number("num.partitions").unwrap_or(1),
            auto_create_topics: gathered.text("auto.create.topics.enable") == Some("true"),
            cache_bytes: read.number("corelane.cache.bytes"),
            cache_preallocated: gathered.text("corelane.cache.preallocate") == Some("true"),
            http_listen: read.http_listen(),
            settings,
            listeners_told: gathered.is_told("listeners"),
            advertise_told: gathered.is_told("advertised.listeners"),
        };
        let mut all = gathered.problems.clone();
        all.extend(problems);
        all.or(configuration)
    }

    /// The broker configs of a broker whose listeners got these ports.
    pub fn settings_at(&self, ports: &[u16]) -> Settings {
        let told = self.listeners.iter().zip(ports);
        let told: Vec<String> = told
            .map(|(listener, port)| format!("{}://{}", listener.name, listener.advertise.at(*port)))
            .collect();
        let mut settings = self.settings.clone();
        settings.set("advertised.listeners", told.join(","), self.advertise_told);
        settings
    }

    /// The same, as one of several nodes of this host tells them.
    pub fn settings_of_node(&self, ports: &[u16], node: Node) -> Settings {
        let mut settings = self.settings_at(ports);
        let list = |element: &dyn Fn(&Listener, u16) -> HostPort| {
            let each = self.listeners.iter().zip(ports);
            let each = each.map(|(one, port)| format!("{}://{}", one.name, element(one, *port)));
            each.collect::<Vec<_>>().join(",")
        };
        let told = list(&|one, port| one.advertise.at(port).above(node.number));
        settings.set("advertised.listeners", told, self.advertise_told);
        let bound = |one: &Listener, port| HostPort { host: one.bind.host.clone(), port };
        let places = list(&|one, port| bound(one, port).above(node.number));
        settings.set("listeners", places, self.listeners_told);
        settings.set("node.id", node.id.to_string(), false);
        settings.set("broker.id", node.id.to_string(), false);
        settings
    }
}

/// Values that have been checked, typed.
struct Reader<'a> {
    gathered: &'a Gathered,
}

impl Reader<'_> {
    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.gathered.text(name)?.parse().ok()
    }

    fn span(&self, name: &str) -> Duration {
        self.number(name).map_or(Duration::MAX, Duration::from_millis)
    }

    fn durability(&self) -> Durability {
        match self.gathered.text("corelane.durability") {
            Some("strict") => Durability::Flushed,
            _ => Durability::Written,
        }
    }

    fn http_listen(&self) -> Option<HttpListen> {
        let setting = self.gathered.get("corelane.http.listen")?;
        let address = HostPort::parse(setting.text.as_deref()?)?;
        Some(HttpListen { address, told: self.gathered.is_told("corelane.http.listen") })
    }

    /// Kafka's keys, as DescribeConfigs tells them.
    fn settings(&self, listeners: &[Listener]) -> Settings {
        let gathered = self.gathered;
        let mut settings = Settings::new(self.durability());
        for key in keys() {
            if let (Some(broker_key), Some(text)) = (broker_key(key.name), gathered.text(key.name))
            {
                let name = broker_key.definition.name;
                settings.set(name, text.to_owned(), gathered.is_told(name));
            }
        }
        let list = |element: &dyn Fn(&Listener) -> String| {
            listeners.iter().map(element).collect::<Vec<_>>().join(",")
        };
        let places = list(&|one| format!("{}://{}", one.name, one.bind));
        settings.set("listeners", places, gathered.is_told("listeners"));
        let protocols = list(&|one| format!("{}:PLAINTEXT", one.name));
        let protocols_told = gathered.is_told("listener.security.protocol.map");
        settings.set("listener.security.protocol.map", protocols, protocols_told);
        let log_dir = gathered.text("log.dirs").unwrap_or_default();
        settings.set("log.dir", log_dir.to_owned(), false);
        settings.set("node.id", NODE_ID.to_string(), false);
        settings.set("broker.id", NODE_ID.to_string(), false);
        settings
    }
}
