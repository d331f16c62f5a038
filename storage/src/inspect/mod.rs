//! Looking into a data directory without serving it: offline, read-only, in bounded memory, with
//! the same parsers that a start uses.
//!
//! ```text
//! plain_disk.rs   files read with blocking calls
//! directory.rs    what a data directory holds: manifest, commands, journals, partitions
//! partition.rs    one partition's files: checkpoints, segments, indexes
//! batches.rs      batch after batch of one segment, as its file and the journals make it together
//! verify.rs       what is wrong with a data directory
//! check.rs        what is wrong with one partition
//! ```

mod batches;
mod check;
mod directory;
mod partition;
pub(crate) mod plain_disk;
mod verify;

use std::path::PathBuf;

pub use batches::BatchPlace;
pub use directory::{DataDir, InspectError, JournalEntry, JournalFragment};
pub use partition::{CheckpointFields, CheckpointSlot, PartitionFiles, SegmentSummary, SlotState};
pub use verify::{KnownCatalog, KnownTopic, Totals, verify};

use crate::ids::PartitionId;

/// What a finding means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something that was written is not there any more, or not as it was written.
    Damage,
    /// What a crash leaves; the next start puts it right.
    Mends,
    /// Nothing that a broker cares for.
    Note,
}

impl Severity {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Damage => "damage",
            Severity::Mends => "mends",
            Severity::Note => "note",
        }
    }
}

/// Something found, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it means.
    pub severity: Severity,
    /// The file or directory.
    pub path: PathBuf,
    /// Byte position in the file, where there is one.
    pub position: Option<u64>,
    /// The partition, if it belongs to one.
    pub partition: Option<PartitionId>,
    /// In a sentence.
    pub what: String,
}

/// Who is told of a verification as it goes on.
pub trait Watcher {
    /// Something was found.
    fn found(&mut self, finding: Finding);

    /// So many bytes more were read.
    fn read(&mut self, bytes: u64);
}
