//! Everything that can go wrong with one partition of a request.

use std::sync::Arc;

use corelane_storage::log::{AppendError, DeleteRecordsError, Offline, ReadError};

/// Why one partition of a request was not served. `api::errors` gives each its Kafka code.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PartitionError {
    /// No topic of this name, or it has no such partition.
    #[error("unknown topic or partition")]
    UnknownPartition,
    /// No topic of this id.
    #[error("unknown topic id")]
    UnknownTopicId,
    /// The client's leader epoch is older than ours.
    #[error("leader epoch {asked} is over; it is {current} now")]
    FencedLeaderEpoch {
        /// What the client has.
        asked: i32,
        /// What holds.
        current: i32,
    },
    /// The client's leader epoch is newer than ours.
    #[error("leader epoch {asked} is unknown; it is {current} here")]
    UnknownLeaderEpoch {
        /// What the client has.
        asked: i32,
        /// What holds.
        current: i32,
    },
    /// A batch was refused.
    #[error(transparent)]
    Append(Arc<AppendError>),
    /// A range can't be read.
    #[error(transparent)]
    Read(Arc<ReadError>),
    /// A batch that Corelane does not take although the log would.
    #[error("{0}")]
    InvalidRecord(&'static str),
    /// Records are not deleted.
    #[error(transparent)]
    Delete(Arc<DeleteRecordsError>),
    /// The topic's `cleanup.policy` does not contain `delete`.
    #[error("records can't be deleted: the topic's cleanup.policy has no delete")]
    NoDeletePolicy,
    /// The broker alone writes to it.
    #[error("{0} is a topic of the broker's own: clients read it only")]
    InternalTopic(Arc<str>),
    /// A partition that is named more than once where that is an error.
    #[error("the request names the partition more than once")]
    NamedTwice,
    /// A negative timestamp that asks for nothing in the request's version.
    #[error("the timestamp has no meaning in this version")]
    UnsupportedTimestamp,
    /// A negative limit of bytes.
    #[error("the limit of bytes is negative")]
    NegativeLimit,
    /// The client's last record is of an epoch that this log has not had.
    #[error("leader epoch {asked} of the last record fetched is not known; it is {current} here")]
    UnknownFetchedEpoch {
        /// What the client has.
        asked: i32,
        /// What holds.
        current: i32,
    },
    /// zstd in a version of Produce from before it.
    #[error("zstd needs Produce 7 or later")]
    UnsupportedCompression,
    /// Not acknowledged in the time that the client gave.
    #[error("timed out")]
    TimedOut,
    /// Its code panicked while it served this request.
    #[error("internal error; see the broker's log")]
    Panicked,
    /// It was taken offline earlier.
    #[error("partition is offline: {0}")]
    Offline(Arc<str>),
    /// The shard that owns it is stopping.
    #[error("the broker is stopping")]
    Stopping,
}

impl From<AppendError> for PartitionError {
    fn from(error: AppendError) -> Self {
        PartitionError::Append(Arc::new(error))
    }
}

impl From<DeleteRecordsError> for PartitionError {
    fn from(error: DeleteRecordsError) -> Self {
        PartitionError::Delete(Arc::new(error))
    }
}

impl From<Offline> for PartitionError {
    fn from(offline: Offline) -> Self {
        PartitionError::Offline(offline.0)
    }
}

impl From<ReadError> for PartitionError {
    fn from(error: ReadError) -> Self {
        PartitionError::Read(Arc::new(error))
    }
}
