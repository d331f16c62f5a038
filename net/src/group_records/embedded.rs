//! The consumers' embedded protocol, as far as a coordinator reads and writes it: what consumers of the
//! classic protocol tell each other. Schemas: `ConsumerProtocolSubscription.json`,
//! `ConsumerProtocolAssignment.json`.

use bytes::Bytes;

use super::{encoded, plain};
use crate::codec::declare::message;
use crate::codec::{DecodeError, DecodeErrorKind, Decoder, EncodeError, Field, Str};

/// The newest version that is known; newer ones begin alike.
const VERSION_MAX: i16 = 3;

message! {
    /// What a consumer wants to read.
    pub struct EmbeddedSubscription {
        /// The topics.
        topics: Vec<Str> [0..];
        /// What its assignor keeps.
        user_data: Option<Bytes> [0.., null 0..];
        /// What it owns.
        owned_partitions: Vec<EmbeddedTopicPartitions> [1..];
        /// The generation in which it owned that, or -1.
        generation_id: i32 [2..] = -1;
        /// Its rack.
        rack_id: Option<Str> [3.., null 3..];
    }

    /// What a consumer is to read.
    pub struct EmbeddedAssignment {
        /// The partitions.
        assigned_partitions: Vec<EmbeddedTopicPartitions> [0..];
        /// What its assignor keeps.
        user_data: Option<Bytes> [0.., null 0..];
    }

    /// Partitions of one topic.
    pub struct EmbeddedTopicPartitions {
        /// The topic's name.
        topic: Str [0..];
        /// Its partitions.
        partitions: Vec<i32> [0..];
    }
}

/// Reads a subscription of whatever version, and says of which.
///
/// # Errors
/// If it is none.
pub fn embedded_subscription(metadata: &Bytes) -> Result<(i16, EmbeddedSubscription), DecodeError> {
    read(metadata)
}

/// Reads an assignment of whatever version; no bytes are an empty one.
///
/// # Errors
/// If it is none.
pub fn embedded_assignment(assignment: &Bytes) -> Result<EmbeddedAssignment, DecodeError> {
    if assignment.is_empty() {
        return Ok(EmbeddedAssignment::default());
    }
    read(assignment).map(|(_, assignment)| assignment)
}

/// Writes an assignment for a member whose subscription is of this version.
///
/// # Errors
/// If a text is longer than the format can say.
pub fn encode_embedded_assignment(
    assignment: &EmbeddedAssignment,
    version: i16,
) -> Result<Bytes, EncodeError> {
    encoded(assignment, plain(version.clamp(0, VERSION_MAX)))
}

fn read<T: Field>(bytes: &Bytes) -> Result<(i16, T), DecodeError> {
    let mut input = Decoder::new(bytes);
    let version = input.i16()?;
    if version < 0 {
        return Err(input.error(DecodeErrorKind::UnknownVersion(version)));
    }
    Ok((version, T::decode(&mut input, plain(version.min(VERSION_MAX)))?))
}
