//! Leader epochs (KIP-320): fencing, and where a client's log leaves ours.

use super::PartitionError;

/// The largest epoch of ours that is not newer than the client's, and where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The epoch, or -1 if we have none so old.
    pub epoch: i32,
    /// The offset after its last record, or -1.
    pub end_offset: i64,
}

/// Checks the leader epoch that a client sent (-1: none) against `current`.
pub fn check_leader_epoch(asked: i32, current: i32) -> Result<(), PartitionError> {
    match asked {
        asked if asked < 0 || asked == current => Ok(()),
        asked if asked < current => Err(PartitionError::FencedLeaderEpoch { asked, current }),
        asked => Err(PartitionError::UnknownLeaderEpoch { asked, current }),
    }
}

/// Where a client that has records up to `offset`, the last of epoch `last_epoch`, must truncate;
/// `None` if its log is a prefix of ours. `ours` is the largest epoch of ours that is not newer
/// than `last_epoch`, and its end.
pub fn diverges(last_epoch: i32, offset: i64, ours: Option<(i32, i64)>) -> Option<Divergence> {
    let (epoch, end_offset) = ours.unwrap_or((-1, -1));
    let prefix = epoch == last_epoch && offset <= end_offset;
    (!prefix).then_some(Divergence { epoch, end_offset })
}
