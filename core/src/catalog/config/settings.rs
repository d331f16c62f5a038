//! What the command line says, as broker configs.

use std::collections::BTreeMap;

use corelane_storage::log::Durability;

use super::broker_keys::broker_key;

/// The broker's own settings; the same on every shard, for as long as it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What an acknowledgement waits for, unless a topic asks for more.
    pub durability: Durability,
    on_command_line: BTreeMap<&'static str, String>,
    defaults: BTreeMap<&'static str, String>,
}

impl Settings {
    /// Settings of a broker that is told nothing but its durability.
    pub fn new(durability: Durability) -> Settings {
        let mut settings =
            Settings { durability, on_command_line: BTreeMap::new(), defaults: BTreeMap::new() };
        if durability == Durability::Flushed {
            settings.set("log.flush.interval.messages", "1".to_owned(), true);
        }
        settings
    }

    /// Sets the value of a broker config; `told` says that it was asked for, and is no default.
    pub fn set(&mut self, name: &'static str, value: String, told: bool) {
        let map = if told { &mut self.on_command_line } else { &mut self.defaults };
        map.insert(name, value);
    }

    /// What was asked for.
    pub fn on_command_line(&self, name: &str) -> Option<&str> {
        self.on_command_line.get(name).map(String::as_str)
    }

    /// What holds if nobody asked: on this machine, or in general.
    pub fn default_of(&self, name: &str) -> Option<&str> {
        let here = self.defaults.get(name).map(String::as_str);
        here.or_else(|| broker_key(name)?.definition.default)
    }
}
