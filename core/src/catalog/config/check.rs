//! Whole sets of configs, checked before they are stored: `LogConfig.validate` and
//! `DynamicBrokerConfig.validate` of Kafka, in the same order.

use super::broker_keys::broker_key;
use super::definition::{Definition, Rule};
use super::layers::Layers;
use super::topic_keys::topic_key;
use super::value::{self, Wrong};
use super::{Configs, VALUE_BYTES_MAX};

/// Why configs are refused, in words for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No such topic config.
    #[error("Unknown topic config name: {0}")]
    UnknownTopicKey(String),
    /// The value does not fit the key.
    #[error("Invalid value {value} for configuration {key}: {expected}")]
    InvalidValue {
        /// The key.
        key: &'static str,
        /// What was sent, shortened.
        value: String,
        /// What would have been right.
        expected: String,
    },
    /// A list with nothing between two commas.
    #[error("Configuration '{0}' values must not be empty.")]
    EmptyElement(&'static str),
    /// There is no tiered storage.
    #[error(
        "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with \
         remote log storage."
    )]
    Tiered,
    /// Two configs that exclude each other.
    #[error(
        "conflict topic config setting min.compaction.lag.ms ({min_ms}) > max.compaction.lag.ms \
         ({max_ms})"
    )]
    CompactionLags {
        /// min.compaction.lag.ms
        min_ms: i64,
        /// max.compaction.lag.ms
        max_ms: i64,
    },
    /// Broker configs that only a start can change, or that there are none of.
    #[error("Cannot update these configs dynamically: [{}]", .0.join(", "))]
    NotDynamic(Vec<String>),
}

/// Characters of a refused value that are sent back.
const SHOWN_CHARS_MAX: usize = 200;

/// Checks one value of a config.
///
/// # Errors
/// Every [`ConfigError`] about single values.
pub fn check_value(definition: &Definition, text: &str) -> Result<(), ConfigError> {
    let key = definition.name;
    let invalid = |expected| {
        let value: String = text.chars().take(SHOWN_CHARS_MAX).collect();
        // Kafka's way to say that the list as a whole is wrong.
        let whole_list = matches!(definition.rule, Rule::ThrottledReplicas);
        let value = if whole_list { format!("[{value}]") } else { value };
        Err(ConfigError::InvalidValue { key, value, expected })
    };
    if text.len() > VALUE_BYTES_MAX {
        return invalid(format!("Value must be no longer than {VALUE_BYTES_MAX} bytes"));
    }
    match value::check(definition, text) {
        Ok(()) => Ok(()),
        Err(Wrong::Value(expected)) => invalid(expected),
        Err(Wrong::EmptyElement) => Err(ConfigError::EmptyElement(key)),
        Err(Wrong::Tiered) => Err(ConfigError::Tiered),
    }
}

/// Checks all configs of one topic: `layers.topic` is the set to be stored.
pub fn check_topic(layers: &Layers<'_>) -> Result<(), ConfigError> {
    let unknown = layers.topic.keys().find(|name| topic_key(name).is_none());
    if let Some(name) = unknown {
        let name = name.chars().take(SHOWN_CHARS_MAX).collect();
        return Err(ConfigError::UnknownTopicKey(name));
    }
    for (name, text) in layers.topic {
        topic_key(name).map_or(Ok(()), |key| check_value(&key.definition, text))?;
    }
    let (min_ms, max_ms) =
        (layers.integer("min.compaction.lag.ms"), layers.integer("max.compaction.lag.ms"));
    if min_ms > max_ms {
        return Err(ConfigError::CompactionLags { min_ms, max_ms });
    }
    Ok(())
}

/// Checks all configs that are to be stored for one broker, or for all of them.
pub fn check_broker(configs: &Configs) -> Result<(), ConfigError> {
    let is_fixed = |name: &&String| broker_key(name).is_none_or(|key| !key.dynamic);
    let fixed: Vec<String> = configs.keys().filter(is_fixed).cloned().collect();
    if !fixed.is_empty() {
        return Err(ConfigError::NotDynamic(fixed));
    }
    for (name, text) in configs {
        broker_key(name).map_or(Ok(()), |key| check_value(&key.definition, text))?;
    }
    Ok(())
}
