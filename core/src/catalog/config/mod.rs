//! Configs: Kafka's key names, what each may hold, and what follows from them.
//!
//! A value is stored as the text that was sent, so that what is described, added to and taken from
//! later is what the client knows. It is checked once, when it is set.
//!
//! - `definition.rs`: what a key is: type, rule, default, documentation
//! - `topic_keys.rs`: the table of topic configs
//! - `broker_keys.rs`: the table of broker configs
//! - `value.rs`: from text to a value: Kafka's syntax and Kafka's words
//! - `settings.rs`: what the command line says, as broker configs
//! - `layers.rs`: topic, node, cluster, command line, default: which value holds, and why
//! - `check.rs`: whole sets of configs, checked before they are stored
//! - `log_config.rs`: the typed view that a partition's log obeys

mod broker_keys;
mod check;
mod definition;
mod layers;
mod log_config;
mod settings;
mod topic_keys;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use broker_keys::{BrokerKey, broker_key, broker_keys};
pub use check::{ConfigError, check_broker, check_topic, check_value};
pub use definition::{ConfigType, Definition};
pub use layers::{Layers, Resolved, Source, Sourced};
pub use log_config::{compaction_limits, log_config};
pub use settings::Settings;
pub use topic_keys::{TopicKey, topic_key, topic_keys};
pub use value::shown;

/// Configs that were set for one topic, one broker or all brokers: key and text.
pub type Configs = BTreeMap<String, String>;

/// Longest value taken: as long as a text of Kafka's older encodings, in which it is told, can be.
pub const VALUE_BYTES_MAX: usize = i16::MAX as usize;

/// Most keys that one resource may be given at once: far more than there are.
pub const KEYS_MAX: usize = 1_000;
