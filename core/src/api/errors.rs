//! From what went wrong to Kafka's error codes: the only place where the two meet.

use corelane_net::codec::{STRING_BYTES_MAX, Str};
use corelane_net::error_code::ErrorCode;
use corelane_storage::batch::BatchError;
use corelane_storage::log::{AppendError, DeleteRecordsError, ReadError};
use corelane_storage::producers::SequenceError;

use crate::catalog::change::Refusal;
use crate::partition::PartitionError;
use crate::shard::controller::ChangeError;
use crate::shard::mailbox::CallError;
use crate::shard::producer_ids::ProducerIdError;

/// The code of a partition's error.
pub fn partition_code(error: &PartitionError) -> ErrorCode {
    match error {
        PartitionError::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
        PartitionError::UnknownTopicId => ErrorCode::UnknownTopicId,
        PartitionError::FencedLeaderEpoch { .. } => ErrorCode::FencedLeaderEpoch,
        PartitionError::UnknownLeaderEpoch { .. } => ErrorCode::UnknownLeaderEpoch,
        PartitionError::Append(error) => append_code(error),
        PartitionError::Read(error) => read_code(error),
        PartitionError::Delete(error) => delete_code(error),
        PartitionError::InternalTopic(_) => ErrorCode::InvalidTopicException,
        PartitionError::NoDeletePolicy => ErrorCode::PolicyViolation,
        PartitionError::UnsupportedTimestamp => ErrorCode::UnsupportedVersion,
        PartitionError::NamedTwice => ErrorCode::InvalidRequest,
        PartitionError::UnknownFetchedEpoch { .. } => ErrorCode::OffsetOutOfRange,
        PartitionError::InvalidRecord(_) => ErrorCode::InvalidRecord,
        PartitionError::UnsupportedCompression => ErrorCode::UnsupportedCompressionType,
        PartitionError::TimedOut => ErrorCode::RequestTimedOut,
        PartitionError::NegativeLimit | PartitionError::Panicked => ErrorCode::UnknownServerError,
        PartitionError::Offline(_) => ErrorCode::KafkaStorageError,
        // Retriable, after a look at the metadata: what a client should do while we restart.
        PartitionError::Stopping => ErrorCode::NotLeaderOrFollower,
    }
}

fn append_code(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::Batch(BatchError::Corrupt(_)) => ErrorCode::CorruptMessage,
        // Fatal to a transactional producer of every client library, and not retried.
        AppendError::Batch(BatchError::Transactional) => {
            ErrorCode::TransactionalIdAuthorizationFailed
        }
        // Of the served versions each allows format 2 only; Kafka then says the same.
        AppendError::Batch(BatchError::Invalid(_) | BatchError::UnsupportedMagic(_)) => {
            ErrorCode::InvalidRecord
        }
        AppendError::Records(_) | AppendError::NoKeys { .. } => ErrorCode::InvalidRecord,
        AppendError::InvalidTimestamp { .. } => ErrorCode::InvalidTimestamp,
        AppendError::TooLarge { .. } => ErrorCode::MessageTooLarge,
        AppendError::Sequence(error) => sequence_code(error),
        AppendError::OffsetsExhausted | AppendError::Offline(_) => ErrorCode::KafkaStorageError,
    }
}

fn sequence_code(error: &SequenceError) -> ErrorCode {
    match error {
        SequenceError::OutOfOrder { .. } => ErrorCode::OutOfOrderSequenceNumber,
        SequenceError::StaleEpoch { .. } => ErrorCode::InvalidProducerEpoch,
    }
}

fn read_code(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        ReadError::Damaged { .. } | ReadError::Records { .. } => ErrorCode::CorruptMessage,
        ReadError::Disk(_) | ReadError::Offline(_) => ErrorCode::KafkaStorageError,
    }
}

fn delete_code(error: &DeleteRecordsError) -> ErrorCode {
    match error {
        DeleteRecordsError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        DeleteRecordsError::Offline(_) => ErrorCode::KafkaStorageError,
    }
}

/// The code of a refused or failed change of the catalog.
pub fn change_code(error: &ChangeError) -> ErrorCode {
    match error {
        ChangeError::Refused(refusal) => refusal_code(refusal),
        ChangeError::UnknownTopic => ErrorCode::UnknownTopicOrPartition,
        ChangeError::UnknownTopicId => ErrorCode::UnknownTopicId,
        ChangeError::Log(_) => ErrorCode::KafkaStorageError,
        ChangeError::Random(_) | ChangeError::Call(_) => ErrorCode::UnknownServerError,
    }
}

/// The code of a change that can't be.
pub fn refusal_code(refusal: &Refusal) -> ErrorCode {
    match refusal {
        Refusal::Name(_) | Refusal::Collision { .. } | Refusal::Internal(_) => {
            ErrorCode::InvalidTopicException
        }
        Refusal::Exists(_) => ErrorCode::TopicAlreadyExists,
        Refusal::NoPartitions | Refusal::SamePartitions(_) | Refusal::FewerPartitions { .. } => {
            ErrorCode::InvalidPartitions
        }
        Refusal::TooManyPartitionsAtOnce | Refusal::TooManyPartitions | Refusal::TooManyConfigs => {
            ErrorCode::PolicyViolation
        }
        Refusal::NoReplicas | Refusal::TooManyReplicas(_) | Refusal::OneHost(_) => {
            ErrorCode::InvalidReplicationFactor
        }
        Refusal::Assignment(_) => ErrorCode::InvalidReplicaAssignment,
        Refusal::Config(_)
        | Refusal::NullConfigs(_)
        | Refusal::NotAList(_)
        | Refusal::NoSuchConfig(_) => ErrorCode::InvalidConfig,
        Refusal::Request(_) => ErrorCode::InvalidRequest,
        Refusal::UnknownTopic(_) => ErrorCode::UnknownTopicOrPartition,
    }
}

/// The code of a producer id that could not be had.
pub fn producer_id_code(error: &ProducerIdError) -> ErrorCode {
    match error {
        // Retriable: the next start, or a disk with room again, may give one.
        ProducerIdError::Manifest(_) => ErrorCode::CoordinatorNotAvailable,
        ProducerIdError::Call(_) => ErrorCode::UnknownServerError,
    }
}

/// The error of a partition whose shard did not answer.
pub fn call_error(error: CallError) -> PartitionError {
    match error {
        CallError::Panicked => PartitionError::Panicked,
        CallError::Stopped => PartitionError::Stopping,
    }
}

/// Bytes of an error's words that are sent: they may repeat a client's text, which may have as many
/// bytes as a whole string of the answer.
const MESSAGE_BYTES_MAX: usize = 1_000;
const _: () = assert!(MESSAGE_BYTES_MAX <= STRING_BYTES_MAX);

/// An error's words, for the fields that carry some.
pub fn message(error: &impl std::fmt::Display) -> Option<Str> {
    let mut words = error.to_string();
    let mut len = words.len().min(MESSAGE_BYTES_MAX);
    while !words.is_char_boundary(len) {
        len -= 1;
    }
    words.truncate(len);
    Some(Str::from(words))
}
