//! Changes of the catalog, as they stand in the command log.
//!
//! Encoding, big-endian: `version u8 = 1`, `kind u8`, then
//! - kind 1, create topic: `id [16]`, `name text`, `partitions u32`, `configs u32` times (`key text`, `value text`)
//! - kind 2, delete topic: `id [16]`
//!
//! where text is `length u32` and so many bytes of UTF-8. Nothing may follow. Whole records and
//! their checksums are the command log's business.

use std::sync::Arc;

use corelane_storage::ids::TopicId;

use super::config::{self, Configs};
use super::name;
use super::topic::{MAX_PARTITIONS_PER_TOPIC, Topic};

const VERSION: u8 = 1;
const CREATE_TOPIC: u8 = 1;
const DELETE_TOPIC: u8 = 2;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A new topic.
    CreateTopic(Arc<Topic>),
    /// This topic is gone, with its records.
    DeleteTopic(TopicId),
}

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
        let mut out = vec![VERSION];
        match self {
            Command::CreateTopic(topic) => {
                out.push(CREATE_TOPIC);
                out.extend_from_slice(&topic.id.0);
                put_text(&mut out, &topic.name);
                out.extend_from_slice(&topic.partitions.to_be_bytes());
                out.extend_from_slice(&(topic.configs.len() as u32).to_be_bytes());
                for (key, value) in &topic.configs {
                    put_text(&mut out, key);
                    put_text(&mut out, value);
                }
            }
            Command::DeleteTopic(id) => {
                out.push(DELETE_TOPIC);
                out.extend_from_slice(&id.0);
            }
        }
        out
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
            kind => return Err(DecodeError::UnknownKind(kind)),
        };
        match input.0.len() {
            0 => Ok(command),
            n => Err(DecodeError::TrailingBytes(n)),
        }
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
        let partitions = self.u32()?;
        if partitions == 0 || partitions > MAX_PARTITIONS_PER_TOPIC {
            return Err(DecodeError::Invalid("partition count"));
        }
        let mut configs = Configs::new();
        for _ in 0..self.u32()? {
            let (key, value) = (self.text()?, self.text()?);
            config::check(key, value).map_err(|_| DecodeError::Invalid("config"))?;
            configs.insert(key.to_owned(), value.to_owned());
        }
        Ok(Topic { name: name.into(), id, partitions, configs })
    }
}
