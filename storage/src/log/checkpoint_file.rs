//! A checkpoint on disk.
//!
//! Two slots, `checkpoint.a` and `checkpoint.b`, are written in turn, so that one is always whole.
//! A slot says: everything before this place is in the segments, synced; here are the bytes behind
//! the last full block, the idempotent producers and the leader epochs as of this very offset; and
//! nothing below this log start is there any more, whatever files are left.

use std::path::{Path, PathBuf};

use zerocopy::little_endian::{I32, I64, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::ids::PartitionId;
use crate::log::seal::aligned;
use crate::log::state::Mark;
use crate::producers::{ProducerStates, SnapshotError};
use crate::runtime::{BLOCK_BYTES, DiskError, File, OpenMode, Runtime, block_ceil};

mod compacted;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod slots;
#[cfg(test)]
mod tests;

pub(crate) use compacted::{Compacted, CompactedSegment};
pub(crate) use slots::{Slots, read_slots};

const MAGIC: u32 = u32::from_le_bytes(*b"CLP1");

/// Version of this layout.
pub(crate) const CHECKPOINT_VERSION: u32 = 3;

/// Why a checkpoint can't be read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Written by a later release.
    #[error(
        "{path} has format version {found}, this build knows up to {CHECKPOINT_VERSION}: start the release that wrote it, or a later one"
    )]
    NewerVersion {
        /// The slot.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// The newest slot's checksum fits, and what it says can't be.
    #[error("{}: the checkpoint can't be Corelane's: {fault}", dir.display())]
    Impossible {
        /// The partition's directory.
        dir: PathBuf,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// Neither slot is whole, where one must be: no crash can cause that.
    #[error("{0}: both checkpoint slots are damaged: restore the directory from a copy")]
    Damaged(PathBuf),
    /// A slot is not whole after a clean stop, or it is an older one that was found where a newer one
    /// was written: what is missing may be the newest one.
    #[error(
        "{0}: the newest of the two checkpoint slots may be the one that is damaged: restore the directory from a copy"
    )]
    NewestDamaged(PathBuf),
    /// The segment that holds the log start is gone, which neither a crash nor a deletion can cause.
    #[error("{dir}: the log starts at offset {log_start}, but its first segment is {first}")]
    SegmentMissing {
        /// The partition's directory.
        dir: PathBuf,
        /// First offset that should be there.
        log_start: i64,
        /// Base offset of the first segment that is.
        first: i64,
    },
    /// Segments do not meet: as when the newest checkpoint is damaged, and the one before it does not
    /// name what compaction has put in their place.
    #[error(
        "{path}: the next segment begins at offset {next}, but this one ends before {end}: what was between them is gone, or is in files that only a damaged checkpoint slot has named: restore the directory from a copy"
    )]
    Hole {
        /// The segment before.
        path: PathBuf,
        /// Where it ends.
        end: i64,
        /// Where it should.
        next: i64,
    },
    /// A compacted segment that the checkpoint names is not there as it was written.
    #[error(
        "{path}: a compacted segment of {expected} bytes should be here, {found} are there: restore it from a copy"
    )]
    CompactedMissing {
        /// Its file.
        path: PathBuf,
        /// Its length.
        expected: u64,
        /// The length of what is there; 0 without a file.
        found: u64,
    },
    /// The producers' part is not what was written, although its checksum fits.
    #[error("{path}: {source}")]
    Producers {
        /// The slot.
        path: PathBuf,
        /// What does not fit.
        source: SnapshotError,
    },
}

/// What a slot says.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoint {
    pub sequence: u64,
    /// First offset that can be read. May lie behind `end`, and even behind the log's end: a
    /// power loss may take batches that were asked to be deleted.
    pub log_start: i64,
    pub end: Mark,
    pub times: SegmentTimes,
    /// Bytes from the last block boundary before `end` up to it.
    pub remainder: Vec<u8>,
    pub epochs: Vec<(i32, i64)>,
    pub producers: ProducerStates,
    pub compacted: Compacted,
}

/// Times of the segment that a checkpoint ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentTimes {
    /// Wall clock of its first append.
    pub opened_ms: i64,
    /// Highest timestamp of its batches before the checkpoint, or more; -1 if none.
    pub max_timestamp: i64,
}

impl Checkpoint {
    /// The checkpoint of a log that never had one.
    pub(crate) fn of_nothing(now_ms: i64) -> Self {
        Checkpoint {
            sequence: 0,
            log_start: 0,
            end: Mark { offset: 0, segment_base: 0, position: 0 },
            times: SegmentTimes { opened_ms: now_ms, max_timestamp: -1 },
            remainder: Vec::new(),
            epochs: Vec::new(),
            producers: ProducerStates::default(),
            compacted: Compacted::default(),
        }
    }
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    magic: U32,
    /// CRC-32 (crc32fast) of everything behind this field.
    checksum: U32,
    version: U32,
    total_bytes: U32,
    topic_id: [u8; 16],
    partition: U32,
    remainder_bytes: U32,
    epochs: U32,
    producers_bytes: U32,
    sequence: U64,
    log_start: I64,
    end_offset: I64,
    segment_base: I64,
    position: U64,
}

/// Behind the header since version 2.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct TimesEntry {
    opened_ms: I64,
    max_timestamp: I64,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct EpochEntry {
    epoch: I32,
    start_offset: I64,
}

const CHECKSUM_FROM: usize = 8;

impl Checkpoint {
    fn encode(&self, id: PartitionId) -> Vec<u8> {
        let producers = self.producers.encode();
        let total = size_of::<Header>()
            + size_of::<TimesEntry>()
            + self.remainder.len()
            + self.epochs.len() * size_of::<EpochEntry>()
            + producers.len()
            + self.compacted.encoded_bytes();
        let mut header = Header {
            magic: MAGIC.into(),
            checksum: 0.into(),
            version: CHECKPOINT_VERSION.into(),
            total_bytes: (total as u32).into(),
            topic_id: id.topic_id.0,
            partition: id.index.into(),
            remainder_bytes: (self.remainder.len() as u32).into(),
            epochs: (self.epochs.len() as u32).into(),
            producers_bytes: (producers.len() as u32).into(),
            sequence: self.sequence.into(),
            log_start: self.log_start.into(),
            end_offset: self.end.offset.into(),
            segment_base: self.end.segment_base.into(),
            position: self.end.position.into(),
        };
        let mut bytes = Vec::with_capacity(total);
        bytes.extend_from_slice(header.as_bytes());
        let times = TimesEntry {
            opened_ms: self.times.opened_ms.into(),
            max_timestamp: self.times.max_timestamp.into(),
        };
        bytes.extend_from_slice(times.as_bytes());
        bytes.extend_from_slice(&self.remainder);
        for &(epoch, start) in &self.epochs {
            let entry = EpochEntry { epoch: epoch.into(), start_offset: start.into() };
            bytes.extend_from_slice(entry.as_bytes());
        }
        bytes.extend_from_slice(&producers);
        self.compacted.encode(&mut bytes);
        header.checksum = crc32fast::hash(&bytes[CHECKSUM_FROM..]).into();
        bytes[..size_of::<Header>()].copy_from_slice(header.as_bytes());
        bytes
    }

    /// What no broker would write, although the checksum fits: anybody can make one that does.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let end = self.end;
        if end.segment_base < 0 || end.offset < end.segment_base || self.log_start < 0 {
            return Some("its offsets are impossible");
        }
        if end.position > i64::MAX as u64
            || end.position % BLOCK_BYTES as u64 != self.remainder.len() as u64
        {
            return Some("its position does not go with the bytes that it carries");
        }
        if !self.compacted.is_possible(end.segment_base) {
            return Some("its compacted segments are impossible");
        }
        None
    }

    /// `None` if the bytes are not a whole slot of this partition.
    fn decode(
        bytes: &[u8],
        id: PartitionId,
        path: &Path,
        now_ms: i64,
    ) -> Result<Option<Self>, CheckpointError> {
        let Ok((header, _)) = Header::ref_from_prefix(bytes) else { return Ok(None) };
        if header.magic.get() != MAGIC {
            return Ok(None);
        }
        let total = header.total_bytes.get() as usize;
        let Some(whole) = bytes.get(..total).filter(|b| b.len() >= size_of::<Header>()) else {
            return Ok(None);
        };
        if crc32fast::hash(&whole[CHECKSUM_FROM..]) != header.checksum.get() {
            return Ok(None);
        }
        if header.version.get() > CHECKPOINT_VERSION {
            let found = header.version.get();
            return Err(CheckpointError::NewerVersion { path: path.to_owned(), found });
        }
        if header.topic_id != id.topic_id.0 || header.partition.get() != id.index {
            return Ok(None);
        }
        let mut rest = &whole[size_of::<Header>()..];
        let mut take = |n: usize| {
            let part = rest.get(..n)?;
            rest = &rest[n..];
            Some(part)
        };
        let times = match header.version.get() {
            // Not said in version 1. As if it were new, so that nothing is deleted too early.
            1 => SegmentTimes { opened_ms: now_ms, max_timestamp: now_ms },
            _ => match take(size_of::<TimesEntry>()).map(TimesEntry::ref_from_bytes) {
                Some(Ok(times)) => SegmentTimes {
                    opened_ms: times.opened_ms.get(),
                    max_timestamp: times.max_timestamp.get(),
                },
                _ => return Ok(None),
            },
        };
        let epochs_bytes = header.epochs.get() as usize * size_of::<EpochEntry>();
        let parts = (
            take(header.remainder_bytes.get() as usize),
            take(epochs_bytes),
            take(header.producers_bytes.get() as usize),
        );
        let (Some(remainder), Some(epochs), Some(producers)) = parts else { return Ok(None) };
        let producers = ProducerStates::decode(producers)
            .map_err(|source| CheckpointError::Producers { path: path.to_owned(), source })?;
        let Ok(epochs) = <[EpochEntry]>::ref_from_bytes(epochs) else { return Ok(None) };
        let compacted = match header.version.get() {
            1 | 2 => Some(Compacted::default()),
            _ => Compacted::decode(rest),
        };
        let Some(compacted) = compacted else { return Ok(None) };
        Ok(Some(Checkpoint {
            sequence: header.sequence.get(),
            log_start: header.log_start.get(),
            end: Mark {
                offset: header.end_offset.get(),
                segment_base: header.segment_base.get(),
                position: header.position.get(),
            },
            times,
            remainder: remainder.to_vec(),
            epochs: epochs.iter().map(|e| (e.epoch.get(), e.start_offset.get())).collect(),
            producers,
            compacted,
        }))
    }
}

pub(crate) fn slot_path(dir: &Path, sequence: u64) -> PathBuf {
    dir.join(if sequence.is_multiple_of(2) { "checkpoint.a" } else { "checkpoint.b" })
}

/// What is in one of the two slots.
#[derive(Debug)]
pub(crate) enum Slot {
    /// There is no file.
    Absent,
    /// Room was reserved, and nothing was written.
    Unwritten,
    /// Torn, or altered, or of another partition.
    Unreadable,
    /// A whole checkpoint.
    Whole(Checkpoint),
}

/// More than any slot needs: a longer file is read no further.
const SLOT_BYTES_MAX: u64 = 256 << 20;

/// Reads `checkpoint.a` (`slot` 0) or `checkpoint.b` (1).
pub(crate) async fn read_slot<R: Runtime>(
    runtime: &R,
    dir: &Path,
    id: PartitionId,
    slot: u64,
) -> Result<Slot, CheckpointError> {
    let path = slot_path(dir, slot);
    let file = match runtime.open(&path, OpenMode::Read).await {
        Ok(file) => file,
        Err(error) if error.is_not_found() => return Ok(Slot::Absent),
        Err(error) => return Err(error.into()),
    };
    let length = block_ceil(file.len().await?.min(SLOT_BYTES_MAX)) as usize;
    let bytes = file.read_at(0, length.max(BLOCK_BYTES)).await?;
    Ok(match Checkpoint::decode(bytes.as_bytes(), id, &path, runtime.now_ms())? {
        Some(checkpoint) => Slot::Whole(checkpoint),
        None if bytes.as_bytes().iter().all(|byte| *byte == 0) => Slot::Unwritten,
        None => Slot::Unreadable,
    })
}

/// Writes the slot that is not the newest one; durable on return. The other slot gets as much room:
/// a deletion, which is to free space on a full disk, writes this checkpoint again and must need none.
///
/// # Errors
/// Every [`DiskError`], also a full disk: then the newest checkpoint is still the one before.
pub(crate) async fn write_checkpoint<R: Runtime>(
    runtime: &R,
    dir: &Path,
    id: PartitionId,
    checkpoint: &Checkpoint,
) -> Result<(), DiskError> {
    let path = slot_path(dir, checkpoint.sequence);
    runtime.create_dir_all(dir).await?;
    let file = runtime.open(&path, OpenMode::Create).await?;
    let data = aligned(&checkpoint.encode(id));
    let length = data.len() as u64;
    file.write_at(0, data).await?;
    file.sync_data().await?;
    // Only now: while this slot is the only one, it must never be seen torn beside an empty one.
    reserve_slot(runtime, &slot_path(dir, checkpoint.sequence + 1), length).await?;
    if checkpoint.sequence <= 2 {
        runtime.sync_dir(dir).await?;
    }
    Ok(())
}

async fn reserve_slot<R: Runtime>(runtime: &R, path: &Path, length: u64) -> Result<(), DiskError> {
    let reserve = async {
        let file = runtime.open(path, OpenMode::Create).await?;
        if file.len().await? < length {
            file.allocate(0, length).await?;
        }
        Ok(())
    };
    match reserve.await {
        Err(error) if DiskError::is_no_space(&error) => Ok(()),
        other => other,
    }
}

/// Makes a slot durable that was read from a disk which a kill may have left unsynced.
pub(crate) async fn sync_checkpoint<R: Runtime>(
    runtime: &R,
    dir: &Path,
    sequence: u64,
) -> Result<(), DiskError> {
    runtime.open(&slot_path(dir, sequence), OpenMode::ReadWrite).await?.sync_data().await
}
