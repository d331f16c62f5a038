//! The records of `__consumer_offsets`, in Kafka's own format, and what of the consumers' embedded
//! protocol a coordinator reads.
//!
//! A key and a value begin with their version, an `i16`. The key's version says what the record is
//! about: 0 and 1 an offset, 2 a group of the classic protocol, 3 to 8 and 16 a group of the consumer protocol
//! (`group_records/consumer.rs`).
//! A null value is a tombstone. Schemas: `OffsetCommitKey.json`, `OffsetCommitValue.json`,
//! `GroupMetadataKey.json`, `GroupMetadataValue.json`, `ConsumerProtocolSubscription.json`.

mod consumer;
mod embedded;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use consumer::*;
pub use embedded::*;

use crate::codec::declare::message;
use crate::codec::{
    DecodeError, DecodeErrorKind, Decoder, EncodeError, Encoder, Field, Str, Uuid, Version,
};

const OFFSET_KEY_VERSION: i16 = 1;
const GROUP_KEY_VERSION: i16 = 2;
const GROUP_VALUE_VERSION: i16 = 3;
/// From here on tagged fields are there, and tags that are not known are passed over (KIP-915).
const FLEXIBLE_SINCE: i16 = 4;
const VALUE_VERSION_MAX: i16 = 4;
/// The only version of an offset that may carry an expiry of its own.
const EXPIRING_OFFSET_VERSION: i16 = 1;
const OFFSET_VALUE_VERSION: i16 = 4;

message! {
    /// Whose offset it is.
    pub struct OffsetCommitKey {
        /// The group.
        group: Str [0..];
        /// The topic.
        topic: Str [0..];
        /// The partition.
        partition: i32 [0..];
    }

    /// An offset.
    pub struct OffsetCommitValue {
        /// The offset of the next record to read.
        offset: i64 [0..];
        /// The leader epoch of the record before, or -1.
        leader_epoch: i32 [3..] = -1;
        /// What the client wants kept with it.
        metadata: Str [0..];
        /// When it was committed: milliseconds since 1970.
        commit_timestamp: i64 [0..];
        /// When it expires whatever the group does, or -1.
        expire_timestamp: i64 [1..=1] = -1;
        /// The topic's id, or zero.
        topic_id: Uuid [4.., tag 0];
    }

    /// Which group it is.
    pub struct GroupMetadataKey {
        /// The group.
        group: Str [0..];
    }

    /// A group and its members.
    pub struct GroupMetadataValue {
        /// The kind of its protocols, or empty.
        protocol_type: Str [0..];
        /// Its generation.
        generation: i32 [0..];
        /// The protocol chosen.
        protocol: Option<Str> [0.., null 0..];
        /// The leader's id.
        leader: Option<Str> [0.., null 0..];
        /// Since when it is in its state: milliseconds since 1970, or -1.
        current_state_timestamp: i64 [2..] = -1;
        /// Its members.
        members: Vec<MemberMetadata> [0..];
    }

    /// A member.
    pub struct MemberMetadata {
        /// Its id.
        member_id: Str [0..];
        /// The static member's name, or null.
        group_instance_id: Option<Str> [3.., null 3..];
        /// The client's id as it joined.
        client_id: Str [0..];
        /// The address that it joined from.
        client_host: Str [0..];
        /// Milliseconds that it may take to join again, or -1.
        rebalance_timeout: i32 [1..] = -1;
        /// Milliseconds without a heartbeat after which it counts as dead.
        session_timeout: i32 [0..];
        /// Its metadata in the protocol chosen.
        subscription: Bytes [0..];
        /// Its share.
        assignment: Bytes [0..];
    }

    /// The part of a consumer's metadata that all versions have.
    pub struct ConsumerSubscription {
        /// The topics that it wants to read.
        topics: Vec<Str> [0..];
    }
}

/// One record of the topic; a value of `None` is a tombstone.
#[derive(Debug, Clone, PartialEq)]
pub enum GroupRecord {
    /// An offset.
    Offset(OffsetCommitKey, Option<OffsetCommitValue>),
    /// A group of the classic protocol.
    Group(GroupMetadataKey, Option<GroupMetadataValue>),
    /// Of a group of the consumer protocol.
    Consumer(ConsumerRecord),
}

impl GroupRecord {
    /// The record's key and value.
    ///
    /// # Errors
    /// If a text is longer than the format can say.
    pub fn encode(&self) -> Result<(Bytes, Option<Bytes>), EncodeError> {
        match self {
            GroupRecord::Offset(key, value) => {
                let version = |value: &OffsetCommitValue| match value.expire_timestamp {
                    -1 => OFFSET_VALUE_VERSION,
                    _ => EXPIRING_OFFSET_VERSION,
                };
                let value = value.as_ref().map(|value| versioned(value, version(value)));
                Ok((versioned(key, OFFSET_KEY_VERSION)?, value.transpose()?))
            }
            GroupRecord::Group(key, value) => {
                let value = value.as_ref().map(|value| versioned(value, GROUP_VALUE_VERSION));
                Ok((versioned(key, GROUP_KEY_VERSION)?, value.transpose()?))
            }
            GroupRecord::Consumer(record) => record.encode(),
        }
    }

    /// Reads a record; `None` if it is about something that this codec does not know.
    ///
    /// # Errors
    /// If it is none.
    pub fn decode(key: &Bytes, value: Option<&Bytes>) -> Result<Option<GroupRecord>, DecodeError> {
        let mut input = Decoder::new(key);
        let version = input.i16()?;
        Ok(match version {
            0 | OFFSET_KEY_VERSION => {
                let key = OffsetCommitKey::decode(&mut input, plain(version))?;
                Some(GroupRecord::Offset(key, value.map(read).transpose()?))
            }
            GROUP_KEY_VERSION => {
                let key = GroupMetadataKey::decode(&mut input, plain(version))?;
                Some(GroupRecord::Group(key, value.map(read).transpose()?))
            }
            _ => ConsumerRecord::decode(version, &mut input, value)?.map(GroupRecord::Consumer),
        })
    }
}

/// The topics in a consumer's metadata, of whatever version: what newer ones have more stands behind.
///
/// # Errors
/// If it is none.
pub fn subscribed_topics(metadata: &Bytes) -> Result<Vec<Str>, DecodeError> {
    let mut input = Decoder::new(metadata);
    let version = input.i16()?;
    if version < 0 {
        return Err(input.error(DecodeErrorKind::UnknownVersion(version)));
    }
    Ok(ConsumerSubscription::decode(&mut input, plain(0))?.topics)
}

fn plain(number: i16) -> Version {
    Version { number, flexible: false }
}

fn versioned(body: &impl Field, number: i16) -> Result<Bytes, EncodeError> {
    encoded(body, Version { number, flexible: number >= FLEXIBLE_SINCE })
}

fn encoded(body: &impl Field, version: Version) -> Result<Bytes, EncodeError> {
    let mut out = Encoder::new();
    out.frame(|out| {
        out.put(&version.number.to_be_bytes());
        body.encode(out, version);
    })?;
    // Without the frame's length.
    Ok(out.take_bytes().slice(4..))
}

fn read<T: Field>(value: &Bytes) -> Result<T, DecodeError> {
    let mut input = Decoder::new(value);
    let number = input.i16()?;
    if !(0..=VALUE_VERSION_MAX).contains(&number) {
        return Err(input.error(DecodeErrorKind::UnknownVersion(number)));
    }
    T::decode(&mut input, Version { number, flexible: number >= FLEXIBLE_SINCE })
}
