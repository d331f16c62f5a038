//! What the two slots of a partition say together.

use std::path::Path;

use super::{Checkpoint, CheckpointError, Slot, read_slot};
use crate::ids::PartitionId;
use crate::runtime::Runtime;

/// Both slots, read.
#[derive(Debug)]
pub(crate) struct Slots {
    /// The newest whole checkpoint, if there is one.
    pub newest: Option<Checkpoint>,
    /// The other slot was written, too, and is not whole: torn by a crash, or damaged, and then it may
    /// have been the newer one.
    pub is_alone: bool,
}

/// Reads the checkpoints in the partition's directory.
///
/// # Errors
/// Every [`CheckpointError`] but those that take more than the slots to tell.
pub(crate) async fn read_slots<R: Runtime>(
    runtime: &R,
    dir: &Path,
    id: PartitionId,
) -> Result<Slots, CheckpointError> {
    let mut newest: Option<Checkpoint> = None;
    let (mut whole, mut unreadable, mut unwritten) = (0, 0, 0);
    for slot in [0, 1] {
        match read_slot(runtime, dir, id, slot).await? {
            Slot::Whole(found) => {
                whole += 1;
                if newest.as_ref().is_none_or(|n| n.sequence < found.sequence) {
                    newest = Some(found);
                }
            }
            Slot::Absent => {}
            Slot::Unwritten => unwritten += 1,
            Slot::Unreadable => unreadable += 1,
        }
    }
    if unreadable + unwritten == 2 {
        return Err(CheckpointError::Damaged(dir.to_owned()));
    }
    // From the second on, both slots have been written.
    let both_written = newest.as_ref().is_some_and(|n| n.sequence > 1 || unreadable > 0);
    Ok(Slots { newest, is_alone: both_written && whole < 2 })
}
