//! Changes of the catalog, as they stand in the command log.
//!
//! Encoding, big-endian: `version u8`, `kind u8`, then
//! - kind 1, create topic (version 1): `id [16]`, `name text`, `partitions u32`, `configs`
//! - kind 2, delete topic (version 1): `id [16]`
//! - kind 3, set a topic's configs (version 2): `id [16]`, `configs`
//! - kind 4, set a topic's number of partitions (version 2): `id [16]`, `partitions u32`
//! - kind 5, set brokers' configs (version 2): `node i32` (-1: all), `configs`
//!
//! where text is `length u32` and so many bytes of UTF-8, and configs are `count u32` and so many
//! times `key text`, `value text`: the whole new set. Nothing may follow. A kind is written with the
//! version that it came with, so an older release says which it needs. Values are not checked
//! again: rules change from release to release, and what was taken stays. Whole records and their
//! checksums are the command log's business.

use std::sync::Arc;

use corelane_storage::ids::TopicId;

use super::config::Configs;
use super::name;
use super::topic::{MAX_PARTITIONS_PER_TOPIC, Topic};

/// The newest version that is read.
const VERSION: u8 = 2;

/// Which brokers configs are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BrokerScope {
    /// All of them.
    Cluster,
    /// The one of this id.
    Node(i32),
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A new topic.
    CreateTopic(Arc<Topic>),
    /// This topic is gone, with its records.
    DeleteTopic(TopicId),
    /// The topic has these configs, and no others.
    SetTopicConfigs {
        /// The topic.
        id: TopicId,
        /// All its configs.
        configs: Configs,
    },
    /// The topic has this many partitions; never fewer than before.
    SetPartitions {
        /// The topic.
        id: TopicId,
        /// How many: 1..=[`MAX_PARTITIONS_PER_TOPIC`].
        partitions: u32,
    },
    /// The brokers have these configs, and no others.
    SetBrokerConfigs {
        /// Which brokers.
        scope: BrokerScope,
        /// All their configs.
        configs: Configs,
    },
}

const CREATE_TOPIC: u8 = 1;
const DELETE_TOPIC: u8 = 2;
const SET_TOPIC_CONFIGS: u8 = 3;
const SET_PARTITIONS: u8 = 4;
const SET_BROKER_CONFIGS: u8 = 5;

/// Stands for [`BrokerScope::Cluster`].
const ALL_NODES: i32 = -1;

/// Why bytes are not a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Written by a newer Corelane.
    #[error("command of version {0}; this Corelane knows up to {VERSION}: use a newer one")]
    NewerVersion(u8),
    /// Not a kind that this version has.
    #[error("unknown kind {0}")]
    UnknownKind(u8),
    /// It ends before it should.
    #[error("truncated")]
    Truncated,
    /// Bytes are left over.
    #[error("{0} bytes too many")]
    TrailingBytes(usize),
    /// A value that no command may hold.
    #[error("invalid {0}")]
    Invalid(&'static str),
}

impl Command {
    /// As bytes, for the command log.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Command::CreateTopic(topic) => {
                let mut out = vec![1, CREATE_TOPIC];
                out.extend_from_slice(&topic.id.0);
                put_text(&mut out, &topic.name);
                out.extend_from_slice(&topic.partitions.to_be_bytes());
                put_configs(&mut out, &topic.configs);
                out
            }
            Command::DeleteTopic(id) => [&[1, DELETE_TOPIC][..], &id.0].concat(),
            Command::SetTopicConfigs { id, configs } => {
                let mut out = [&[2, SET_TOPIC_CONFIGS][..], &id.0].concat();
                put_configs(&mut out, configs);
                out
            }
            Command::SetPartitions { id, partitions } => {
                [&[2, SET_PARTITIONS][..], &id.0, &partitions.to_be_bytes()].concat()
            }
            Command::SetBrokerConfigs { scope, configs } => {
                let node = match scope {
                    BrokerScope::Cluster => ALL_NODES,
                    BrokerScope::Node(id) => *id,
                };
                let mut out = [&[2, SET_BROKER_CONFIGS][..], &node.to_be_bytes()].concat();
                put_configs(&mut out, configs);
                out
            }
        }
    }

    /// From bytes of the command log.
    pub fn decode(bytes: &[u8]) -> Result<Command, DecodeError> {
        let mut input = Input(bytes);
        let version = input.u8()?;
        if version > VERSION {
            return Err(DecodeError::NewerVersion(version));
        }
        let command = match input.u8()? {
            CREATE_TOPIC => Command::CreateTopic(Arc::new(input.topic()?)),
            DELETE_TOPIC => Command::DeleteTopic(input.topic_id()?),
            SET_TOPIC_CONFIGS => {
                Command::SetTopicConfigs { id: input.topic_id()?, configs: input.configs()? }
            }
            SET_PARTITIONS => {
                Command::SetPartitions { id: input.topic_id()?, partitions: input.partitions()? }
            }
            SET_BROKER_CONFIGS => {
                Command::SetBrokerConfigs { scope: input.scope()?, configs: input.configs()? }
            }
            kind => return Err(DecodeError::UnknownKind(kind)),
        };
        match input.0.len() {
            0 => Ok(command),
            n => Err(DecodeError::TrailingBytes(n)),
        }
    }
}

fn put_configs(out: &mut Vec<u8>, configs: &Configs) {
    out.extend_from_slice(&(configs.len() as u32).to_be_bytes());
    for (key, value) in configs {
        put_text(out, key);
        put_text(out, value);
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u32).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.take(N)?.try_into().map_err(|_| DecodeError::Truncated)
    }

    fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn text(&mut self) -> Result<&'a str, DecodeError> {
        let len = self.u32()? as usize;
        std::str::from_utf8(self.take(len)?).map_err(|_| DecodeError::Invalid("UTF-8"))
    }

    fn topic_id(&mut self) -> Result<TopicId, DecodeError> {
        Ok(TopicId(self.array()?))
    }

    fn topic(&mut self) -> Result<Topic, DecodeError> {
        let id = self.topic_id()?;
        let name = self.text()?;
        name::check(name).map_err(|_| DecodeError::Invalid("topic name"))?;
        let (partitions, configs) = (self.partitions()?, self.configs()?);
        Ok(Topic { name: name.into(), id, partitions, configs })
    }

    fn partitions(&mut self) -> Result<u32, DecodeError> {
        match self.u32()? {
            partitions @ 1..=MAX_PARTITIONS_PER_TOPIC => Ok(partitions),
            _ => Err(DecodeError::Invalid("partition count")),
        }
    }

    fn configs(&mut self) -> Result<Configs, DecodeError> {
        let mut configs = Configs::new();
        for _ in 0..self.u32()? {
            let (key, value) = (self.text()?, self.text()?);
            configs.insert(key.to_owned(), value.to_owned());
        }
        Ok(configs)
    }

    fn scope(&mut self) -> Result<BrokerScope, DecodeError> {
        match i32::from_be_bytes(self.array()?) {
            ALL_NODES => Ok(BrokerScope::Cluster),
            id @ 0.. => Ok(BrokerScope::Node(id)),
            _ => Err(DecodeError::Invalid("node id")),
        }
    }
}
