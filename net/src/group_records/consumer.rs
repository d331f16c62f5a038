//! Records of groups of the consumer protocol (KIP-848). Schemas: `ConsumerGroup*Key.json`,
//! `ConsumerGroup*Value.json` of Kafka's group coordinator.
//!
//! Key 4, the partitions that Kafka before 4.1 believed topics to have, is passed over: the catalog knows.

use bytes::Bytes;

use super::{encoded, plain};
use crate::codec::declare::message;
use crate::codec::{DecodeError, DecodeErrorKind, Decoder, EncodeError, Field, Str, Uuid, Version};
use crate::messages::ConsumerTopicPartitions;

const EPOCH_KEY: i16 = 3;
const MEMBER_KEY: i16 = 5;
const TARGET_EPOCH_KEY: i16 = 6;
const TARGET_KEY: i16 = 7;
const CURRENT_KEY: i16 = 8;
const PATTERN_KEY: i16 = 16;
/// The only version of every value; it is flexible, as no key is.
const VALUE_VERSION: Version = Version { number: 0, flexible: true };

message! {
    /// Which group it is.
    pub struct ConsumerGroupKey {
        /// The group.
        group: Str [0..];
    }

    /// Which member it is.
    pub struct ConsumerMemberKey {
        /// The group.
        group: Str [0..];
        /// The member's id.
        member_id: Str [0..];
    }

    /// Which pattern it is.
    pub struct ConsumerPatternKey {
        /// The group.
        group: Str [0..];
        /// The regular expression.
        pattern: Str [0..];
    }

    /// A group's epoch.
    pub struct ConsumerEpochValue {
        /// The epoch.
        epoch: i32 [0..];
        /// A hash of what the topics that its members read are like (KIP-1101).
        metadata_hash: i64 [0.., tag 0];
    }

    /// A member, as it joined.
    pub struct ConsumerMemberValue {
        /// The static member's name, or null.
        instance_id: Option<Str> [0.., null 0..];
        /// Its rack, or null.
        rack_id: Option<Str> [0.., null 0..];
        /// The client's id.
        client_id: Str [0..];
        /// The client's address.
        client_host: Str [0..];
        /// The topics that it wants to read.
        subscribed_topic_names: Vec<Str> [0..];
        /// The pattern of topics that it wants to read, or null.
        subscribed_topic_regex: Option<Str> [0.., null 0..];
        /// Milliseconds that it may take to give partitions up.
        rebalance_timeout_ms: i32 [0..] = -1;
        /// The assignor that it prefers, or null.
        server_assignor: Option<Str> [0.., null 0..];
        /// What a member that speaks the classic protocol has more, or null.
        classic: Option<ClassicMemberValue> [0.., null 0.., tag 0];
    }

    /// What a member that speaks the classic protocol has more.
    pub struct ClassicMemberValue {
        /// Milliseconds without a heartbeat after which it counts as dead.
        session_timeout_ms: i32 [0..];
        /// Its protocols, the preferred one first.
        protocols: Vec<ClassicProtocolValue> [0..];
    }

    /// A protocol of such a member.
    pub struct ClassicProtocolValue {
        /// Its name.
        name: Str [0..];
        /// What the client has kept with it.
        metadata: Bytes [0..];
    }

    /// The epoch that a group's target assignment is of.
    pub struct ConsumerTargetEpochValue {
        /// The epoch.
        assignment_epoch: i32 [0..];
        /// When it was computed, in milliseconds since 1970 (KIP-1263).
        assignment_timestamp: i64 [0.., tag 0];
    }

    /// What a member is to own.
    pub struct ConsumerTargetValue {
        /// Partitions, by topic.
        topic_partitions: Vec<ConsumerTopicPartitions> [0..];
    }

    /// What a member owns.
    pub struct ConsumerCurrentValue {
        /// The epoch expected of the member.
        member_epoch: i32 [0..];
        /// The one before: the answer that told the new one may be lost.
        previous_member_epoch: i32 [0..];
        /// Where it stands on its way to its target.
        state: i8 [0..];
        /// What it owns.
        assigned_partitions: Vec<OwnedTopicPartitions> [0..];
        /// What it is to give up.
        partitions_pending_revocation: Vec<OwnedTopicPartitions> [0..];
    }

    /// Partitions of one topic, and since when they are owned.
    pub struct OwnedTopicPartitions {
        /// The topic's id.
        topic_id: Uuid [0..];
        /// The partitions.
        partitions: Vec<i32> [0..];
        /// The member's epoch when it got each (KIP-1251), or null.
        assignment_epochs: Option<Vec<i32>> [0.., null 0.., tag 0];
    }

    /// The topics that match a pattern.
    pub struct ConsumerPatternValue {
        /// Their names.
        topics: Vec<Str> [0..];
        /// The version of the cluster's metadata that was looked through.
        version: i64 [0..];
        /// When it was, in milliseconds since 1970.
        timestamp: i64 [0..];
    }
}

/// One record of a group of the consumer protocol; a value of `None` is a tombstone.
#[derive(Debug, Clone, PartialEq)]
pub enum ConsumerRecord {
    /// The group's epoch.
    Epoch(ConsumerGroupKey, Option<ConsumerEpochValue>),
    /// A member.
    Member(ConsumerMemberKey, Option<ConsumerMemberValue>),
    /// The epoch of the target assignment.
    TargetEpoch(ConsumerGroupKey, Option<ConsumerTargetEpochValue>),
    /// What a member is to own.
    Target(ConsumerMemberKey, Option<ConsumerTargetValue>),
    /// What a member owns.
    Current(ConsumerMemberKey, Option<ConsumerCurrentValue>),
    /// The topics that match a pattern.
    Pattern(ConsumerPatternKey, Option<ConsumerPatternValue>),
}

impl ConsumerRecord {
    /// The record's key and value.
    ///
    /// # Errors
    /// If a text is longer than the format can say.
    pub(super) fn encode(&self) -> Result<(Bytes, Option<Bytes>), EncodeError> {
        match self {
            ConsumerRecord::Epoch(key, value) => pair(EPOCH_KEY, key, value.as_ref()),
            ConsumerRecord::Member(key, value) => pair(MEMBER_KEY, key, value.as_ref()),
            ConsumerRecord::TargetEpoch(key, value) => pair(TARGET_EPOCH_KEY, key, value.as_ref()),
            ConsumerRecord::Target(key, value) => pair(TARGET_KEY, key, value.as_ref()),
            ConsumerRecord::Current(key, value) => pair(CURRENT_KEY, key, value.as_ref()),
            ConsumerRecord::Pattern(key, value) => pair(PATTERN_KEY, key, value.as_ref()),
        }
    }

    /// Reads a record whose key's version is read already; `None` if it is about something else.
    ///
    /// # Errors
    /// If it is none.
    pub(super) fn decode(
        version: i16,
        input: &mut Decoder<'_>,
        value: Option<&Bytes>,
    ) -> Result<Option<ConsumerRecord>, DecodeError> {
        Ok(Some(match version {
            EPOCH_KEY => ConsumerRecord::Epoch(key(input, version)?, read(value)?),
            MEMBER_KEY => ConsumerRecord::Member(key(input, version)?, read(value)?),
            TARGET_EPOCH_KEY => ConsumerRecord::TargetEpoch(key(input, version)?, read(value)?),
            TARGET_KEY => ConsumerRecord::Target(key(input, version)?, read(value)?),
            CURRENT_KEY => ConsumerRecord::Current(key(input, version)?, read(value)?),
            PATTERN_KEY => ConsumerRecord::Pattern(key(input, version)?, read(value)?),
            _ => return Ok(None),
        }))
    }

    /// The group that it is about.
    pub fn group(&self) -> &Str {
        match self {
            ConsumerRecord::Epoch(key, _) | ConsumerRecord::TargetEpoch(key, _) => &key.group,
            ConsumerRecord::Member(key, _)
            | ConsumerRecord::Target(key, _)
            | ConsumerRecord::Current(key, _) => &key.group,
            ConsumerRecord::Pattern(key, _) => &key.group,
        }
    }

    /// Whether it is a tombstone.
    pub fn is_tombstone(&self) -> bool {
        match self {
            ConsumerRecord::Epoch(_, value) => value.is_none(),
            ConsumerRecord::Member(_, value) => value.is_none(),
            ConsumerRecord::TargetEpoch(_, value) => value.is_none(),
            ConsumerRecord::Target(_, value) => value.is_none(),
            ConsumerRecord::Current(_, value) => value.is_none(),
            ConsumerRecord::Pattern(_, value) => value.is_none(),
        }
    }
}

fn pair(
    number: i16,
    key: &impl Field,
    value: Option<&impl Field>,
) -> Result<(Bytes, Option<Bytes>), EncodeError> {
    let value = value.map(|value| encoded(value, VALUE_VERSION));
    Ok((encoded(key, plain(number))?, value.transpose()?))
}

fn key<T: Field>(input: &mut Decoder<'_>, number: i16) -> Result<T, DecodeError> {
    T::decode(input, plain(number))
}

fn read<T: Field>(value: Option<&Bytes>) -> Result<Option<T>, DecodeError> {
    let Some(value) = value else { return Ok(None) };
    let mut input = Decoder::new(value);
    let number = input.i16()?;
    if number != VALUE_VERSION.number {
        return Err(input.error(DecodeErrorKind::UnknownVersion(number)));
    }
    T::decode(&mut input, VALUE_VERSION).map(Some)
}
