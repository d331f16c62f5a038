//! Leader epochs (KIP-320): fencing, and where a client's log leaves ours.

use corelane_storage::log::LogOffsets;

use super::PartitionError;

/// A leader epoch, and the offset after its last record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The epoch.
    pub epoch: i32,
    /// Where the next one begins, or the log end.
    pub end_offset: i64,
}

/// Says that a client knows no epoch; the other negative ones are older than all, as in Kafka.
const NO_EPOCH: i32 = -1;

/// Checks the leader epoch that a client sent (-1: none) against `current`.
pub fn check_leader_epoch(asked: i32, current: i32) -> Result<(), PartitionError> {
    match asked {
        asked if asked == NO_EPOCH || asked == current => Ok(()),
        asked if asked < current => Err(PartitionError::FencedLeaderEpoch { asked, current }),
        asked => Err(PartitionError::UnknownLeaderEpoch { asked, current }),
    }
}

/// Where `asked` ends, as Kafka's leader says it (KIP-101, KIP-279): with the largest epoch of the
/// log that is not newer. `current` is the leader's, which counts as begun at the log end if it has
/// no record yet; `known` is the largest one with records at or below `asked`, and its end. `None` if
/// the log can't have had the epoch.
pub fn epoch_end(
    asked: i32,
    current: i32,
    known: Option<(i32, i64)>,
    offsets: &LogOffsets,
) -> Option<EpochEnd> {
    match known {
        _ if asked == NO_EPOCH || asked > current => None,
        _ if asked == current => Some(EpochEnd { epoch: current, end_offset: offsets.log_end }),
        Some((epoch, end_offset)) => Some(EpochEnd { epoch, end_offset }),
        // Older than all that is kept: what the client has of it lies before our first record.
        None => Some(EpochEnd { epoch: asked, end_offset: offsets.log_start }),
    }
}

/// Where a client that wants `offset` and has records up to it, the last of epoch `last_epoch`, must
/// truncate; `None` if its log is a prefix of ours. `end` is where `last_epoch` ends here.
pub fn diverges(last_epoch: i32, offset: i64, end: EpochEnd) -> Option<EpochEnd> {
    (end.epoch < last_epoch || end.end_offset < offset).then_some(end)
}
