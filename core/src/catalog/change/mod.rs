//! What may change, decided without I/O: a request and the catalog in, the new state or Kafka's
//! reason against it out.
//!
//! - `create.rs`: a new topic
//! - `partitions.rs`: more partitions
//! - `configs.rs`: other configs, of a topic or of a broker

mod configs;
mod create;
mod partitions;

#[cfg(test)]
mod tests;

use super::Catalog;
use super::config::{ConfigError, Settings};
use super::name::NameError;
use super::topic::MAX_PARTITIONS_PER_TOPIC;
use crate::shard::nodes::Nodes;

pub use configs::{Alteration, ConfigChange, Operation, alter_broker, alter_topic};
pub use create::{Assignment, NewTopic, check_request_size, create, create_offsets_topic};
pub use partitions::add_partitions;

/// Most partitions of all topics together.
pub const MAX_PARTITIONS: u64 = 200_000;

/// What a change is checked against.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// What there is.
    pub catalog: &'a Catalog,
    /// What clients take for brokers.
    pub nodes: Nodes,
    /// Partitions of a topic that does not say how many.
    pub default_partitions: u32,
    /// The broker's settings.
    pub settings: &'a Settings,
}

/// Why a change is refused, in words for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// INVALID_TOPIC_EXCEPTION (17).
    #[error(transparent)]
    Name(#[from] NameError),
    /// INVALID_TOPIC_EXCEPTION (17).
    #[error("Topic '{name}' collides with existing topic: {with}")]
    Collision {
        /// The name asked for.
        name: String,
        /// The topic that is in its way.
        with: String,
    },
    /// INVALID_TOPIC_EXCEPTION (17).
    #[error("{0} is a name that the broker keeps for itself")]
    Internal(String),
    /// TOPIC_ALREADY_EXISTS (36).
    #[error("Topic '{0}' already exists.")]
    Exists(String),
    /// INVALID_PARTITIONS (37).
    #[error("Number of partitions was set to an invalid non-positive value.")]
    NoPartitions,
    /// INVALID_PARTITIONS (37).
    #[error("Topic already has {0} partition(s).")]
    SamePartitions(u32),
    /// INVALID_PARTITIONS (37).
    #[error(
        "The topic {topic} currently has {current} partition(s); {asked} would not be an increase."
    )]
    FewerPartitions {
        /// The topic.
        topic: String,
        /// What it has.
        current: u32,
        /// What was asked for.
        asked: i32,
    },
    /// POLICY_VIOLATION (44).
    #[error("Excessively large number of partitions per request.")]
    TooManyPartitionsAtOnce,
    /// POLICY_VIOLATION (44).
    #[error(
        "Too many partitions: at most {MAX_PARTITIONS_PER_TOPIC} per topic, {MAX_PARTITIONS} in all."
    )]
    TooManyPartitions,
    /// INVALID_REPLICATION_FACTOR (38).
    #[error("Replication factor must be larger than 0, or -1 to use the default value.")]
    NoReplicas,
    /// INVALID_REPLICATION_FACTOR (38).
    #[error(
        "Unable to replicate the partition {0} time(s): The target replication factor of {0} \
         cannot be reached because only 1 broker(s) are registered."
    )]
    TooManyReplicas(i16),
    /// INVALID_REPLICATION_FACTOR (38).
    #[error(
        "Unable to replicate the partition {0} time(s): the registered brokers are shards of one host, \
         where a partition has one replica."
    )]
    OneHost(i16),
    /// INVALID_REPLICA_ASSIGNMENT (39).
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
    /// INVALID_CONFIG (40).
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// INVALID_CONFIG (40).
    #[error("Null value not supported for topic configs: {}", .0.join(","))]
    NullConfigs(Vec<String>),
    /// INVALID_CONFIG (40).
    #[error("{0}")]
    NotAList(String),
    /// INVALID_CONFIG (40).
    #[error("{0}")]
    NoSuchConfig(String),
    /// INVALID_REQUEST (42).
    #[error("{0}")]
    Request(String),
    /// POLICY_VIOLATION (44).
    #[error("The answer would tell of too many configs: ask for fewer resources at once.")]
    TooManyConfigs,
    /// UNKNOWN_TOPIC_OR_PARTITION (3).
    #[error("The topic '{0}' does not exist.")]
    UnknownTopic(String),
}

/// What is wrong with an assignment of partitions to brokers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssignmentError {
    /// A partition is there twice.
    #[error("Found multiple manual partition assignments for partition {0}")]
    Repeated(i32),
    /// Partitions are not 0, 1, 2 and so on.
    #[error("partitions should be a consecutive 0-based integer sequence")]
    Gap,
    /// A partition without a broker.
    #[error("The manual partition assignment includes an empty replica list.")]
    Empty,
    /// A broker that there is not.
    #[error(
        "The manual partition assignment includes broker {0}, but no such broker is registered."
    )]
    UnknownBroker(i32),
    /// A broker twice in one partition.
    #[error("The manual partition assignment includes the broker {0} more than once.")]
    RepeatedBroker(i32),
    /// A shard cannot be chosen.
    #[error(
        "Which shard leads a partition follows from the topic's id and the partition's number: \
         leave the assignment out."
    )]
    Placed,
    /// Not as many as there are new partitions.
    #[error(
        "Attempted to add {added} additional partition(s), but only {assigned} assignment(s) were \
         specified."
    )]
    Count {
        /// New partitions.
        added: u32,
        /// Assignments.
        assigned: usize,
    },
}

/// Checks where one partition shall be: the one broker can hold it once. Where each shard is one,
/// nobody but the broker can say where it is.
fn check_brokers(brokers: &[i32], nodes: Nodes) -> Result<(), AssignmentError> {
    if let Some(unknown) = brokers.iter().find(|broker| nodes.find(**broker).is_none()) {
        return Err(AssignmentError::UnknownBroker(*unknown));
    }
    match brokers {
        [] => Err(AssignmentError::Empty),
        _ if nodes.are_shards() => Err(AssignmentError::Placed),
        [_] => Ok(()),
        [broker, ..] => Err(AssignmentError::RepeatedBroker(*broker)),
    }
}
