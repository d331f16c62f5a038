//! The data directory's identity and its few durable scalars: file `manifest`.
//!
//! Two slots of 4 KiB (`manifest/slot.rs`), written in turn: the slot with the highest sequence
//! number that is undamaged holds; the one before it survives a torn write. The manifest is the
//! first file of a data directory. Creating it ends with both slots written, the first one synced
//! before the second is begun, so that a file with no good slot is an interrupted creation if it is
//! shorter than two slots, and damage otherwise. It is never overwritten when in doubt.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::mutants::{self, Mutant};
use crate::runtime::{BLOCK_BYTES, DiskError, File, OpenMode, Runtime};
use crate::turn::Turns;
use slot::Decoded;

mod look;
mod slot;
#[cfg(test)]
mod tests;

pub use look::look;
#[cfg(any(test, fuzzing))]
pub(crate) use slot::fuzz;

/// Version of everything in a data directory. A directory of another version is refused.
pub const FORMAT_VERSION: u16 = 1;

/// Name of the file in the data directory.
pub const MANIFEST_FILE: &str = "manifest";

/// Names in a data directory that can only be there if a manifest was.
pub(crate) const DATA_NAMES: [&str; 3] = ["catalog", "journal", "topics"];

const SLOTS_BYTES: usize = 2 * BLOCK_BYTES;

/// Why the manifest can't be used or changed.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Neither slot is readable.
    #[error(
        "{path} is damaged: neither of its two slots has a valid checksum. Nothing was changed. \
         Restore this file from a backup of the data directory"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A data directory of another format.
    #[error(
        "{path} has format version {found}, this release supports {supported}. Nothing was \
         changed. Start the release that wrote it, or choose another data directory"
    )]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u16,
        /// [`FORMAT_VERSION`].
        supported: u16,
    },
    /// Data without its manifest: a fresh one would give out producer ids and epochs again.
    #[error(
        "{path} is missing or incomplete, but the directory holds `{found}`. Nothing was changed. \
         Restore the manifest from a backup, or choose an empty data directory"
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// A name beside it that it should have.
        found: String,
    },
    /// All 2^63 producer ids are given out.
    #[error("no producer ids are left")]
    ProducerIdsExhausted,
    /// The future of an earlier change was dropped before it ended; its write may still be in flight.
    #[error("an earlier change of {path} was abandoned halfway; restart the broker")]
    Abandoned {
        /// The file.
        path: PathBuf,
    },
}

/// What the manifest says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestFields {
    /// Given at creation, never changed.
    pub cluster_id: [u8; 16],
    /// Number of this run: the leader epoch of all partitions. Raised and persisted at each
    /// start, before the first append; -1 before the first start.
    pub start_epoch: i32,
    /// Journals of a start epoch below it are dead.
    pub journal_floor: u64,
    /// All producer ids below it may have been given out.
    pub next_producer_id: i64,
    /// The last run drained, flushed and checkpointed everything before it ended.
    pub stopped_cleanly: bool,
}

/// The open manifest. Its changes are durable when their futures resolve, and happen one at a time.
pub struct Manifest<R: Runtime> {
    file: R::File,
    turns: Turns,
    fields: RefCell<ManifestFields>,
    sequence: Cell<u64>,
    writing: Cell<bool>,
}

impl<R: Runtime> Manifest<R> {
    /// Reads `<dir>/manifest`, or creates it with `new_cluster_id` (16 random bytes) in a
    /// directory (which must exist) without data.
    ///
    /// # Errors
    /// Every [`ManifestError`] but `ProducerIdsExhausted` and `Abandoned`.
    pub async fn open(
        runtime: &R,
        dir: &Path,
        new_cluster_id: [u8; 16],
    ) -> Result<Manifest<R>, ManifestError> {
        let path = dir.join(MANIFEST_FILE);
        let mut bytes = Vec::new();
        match runtime.open(&path, OpenMode::ReadWrite).await {
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
            Ok(file) => {
                bytes.extend_from_slice(file.read_at(0, SLOTS_BYTES).await?.as_bytes());
                if let Some((sequence, fields)) = newest_slot(&path, &bytes)? {
                    settle(runtime, dir, &file, sequence, &fields).await?;
                    return Ok(Manifest::of(file, sequence, fields));
                }
            }
        }
        if bytes.len() >= SLOTS_BYTES {
            return Err(ManifestError::Damaged { path });
        }
        refuse_data_without_manifest(runtime, dir, &path).await?;
        create(runtime, dir, &path, new_cluster_id).await
    }

    fn of(file: R::File, sequence: u64, fields: ManifestFields) -> Self {
        Manifest {
            file,
            turns: Turns::default(),
            fields: RefCell::new(fields),
            sequence: Cell::new(sequence),
            writing: Cell::new(false),
        }
    }

    /// What it says now, durably.
    pub fn fields(&self) -> ManifestFields {
        *self.fields.borrow()
    }

    /// Changes it: one write and one fdatasync. When this fails, the change may or may not show
    /// after a restart; it does not before. Await it to its end.
    ///
    /// # Errors
    /// [`ManifestError::Disk`] and [`ManifestError::Abandoned`].
    pub async fn update(
        &self,
        change: impl FnOnce(&mut ManifestFields),
    ) -> Result<(), ManifestError> {
        let _turn = self.turns.take().await;
        let mut fields = self.fields();
        change(&mut fields);
        self.write(fields).await
    }

    /// Takes `count` producer ids that were never given out and never will be again.
    ///
    /// # Errors
    /// [`ManifestError::ProducerIdsExhausted`]; those of [`Manifest::update`].
    pub async fn reserve_producer_ids(&self, count: u32) -> Result<Range<i64>, ManifestError> {
        let _turn = self.turns.take().await;
        let mut fields = self.fields();
        let first = fields.next_producer_id;
        let end = first.checked_add(i64::from(count)).ok_or(ManifestError::ProducerIdsExhausted)?;
        fields.next_producer_id = end;
        if mutants::active(Mutant::ReuseProducerId) {
            *self.fields.borrow_mut() = fields;
            return Ok(first..end);
        }
        self.write(fields).await?;
        Ok(first..end)
    }

    /// Writes the next slot; the turn must be taken.
    async fn write(&self, fields: ManifestFields) -> Result<(), ManifestError> {
        if self.writing.replace(true) {
            let path = self.file.path().to_owned();
            return Err(ManifestError::Abandoned { path });
        }
        let sequence = self.sequence.get() + 1;
        let written = write_slot(&self.file, sequence, &fields).await;
        self.writing.set(false);
        written?;
        self.sequence.set(sequence);
        *self.fields.borrow_mut() = fields;
        Ok(())
    }
}

impl<R: Runtime> fmt::Debug for Manifest<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Manifest").field(&self.sequence.get()).field(&self.fields()).finish()
    }
}

/// Reads the manifest and changes nothing, not even what a crash has left.
///
/// # Errors
/// [`ManifestError::Disk`] (also if there is none), [`ManifestError::OtherVersion`] and
/// [`ManifestError::Damaged`].
pub(crate) async fn read_only<R: Runtime>(
    runtime: &R,
    dir: &Path,
) -> Result<ReadManifest, ManifestError> {
    let path = dir.join(MANIFEST_FILE);
    let file = runtime.open(&path, OpenMode::Read).await?;
    let buf = file.read_at(0, SLOTS_BYTES).await?;
    let bytes = buf.as_bytes();
    let Some((sequence, fields)) = newest_slot(&path, bytes)? else {
        return Err(ManifestError::Damaged { path });
    };
    let is_unreadable = |number: &usize| {
        let block = bytes.chunks(BLOCK_BYTES).nth(*number);
        block.is_none_or(|block| matches!(slot::decode(block), Decoded::Damaged))
    };
    let unreadable_slot = [0, 1].into_iter().find(is_unreadable);
    Ok(ReadManifest { fields, sequence, unreadable_slot })
}

/// A manifest as it lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadManifest {
    pub fields: ManifestFields,
    pub sequence: u64,
    /// The slot (0 or 1) that is torn or damaged, if one is.
    pub unreadable_slot: Option<usize>,
}

async fn write_slot<F: File>(
    file: &F,
    sequence: u64,
    fields: &ManifestFields,
) -> Result<(), DiskError> {
    let block = slot::encode(sequence, fields);
    let position = sequence % 2 * BLOCK_BYTES as u64;
    file.write_at(position, block.slice(0, BLOCK_BYTES)).await?;
    file.sync_data().await
}

/// Makes durable what was read, before the other slot, which may be the only durable one, is
/// overwritten: a kill may have left this one written but not synced. It is written again with the
/// bytes it has: if its sync failed, Linux may take it for clean, and a sync alone would do nothing.
async fn settle<R: Runtime>(
    runtime: &R,
    dir: &Path,
    file: &R::File,
    sequence: u64,
    fields: &ManifestFields,
) -> Result<(), DiskError> {
    write_slot(file, sequence, fields).await?;
    runtime.sync_dir(dir).await
}

fn newest_slot(path: &Path, bytes: &[u8]) -> Result<Option<(u64, ManifestFields)>, ManifestError> {
    let mut newest = None;
    for block in bytes.chunks(BLOCK_BYTES) {
        match slot::decode(block) {
            Decoded::Damaged => {}
            Decoded::OtherVersion(found) => {
                let path = path.to_owned();
                return Err(ManifestError::OtherVersion { path, found, supported: FORMAT_VERSION });
            }
            Decoded::Good { sequence, fields } => {
                if newest.is_none_or(|(best, _)| best < sequence) {
                    newest = Some((sequence, fields));
                }
            }
        }
    }
    Ok(newest)
}

async fn refuse_data_without_manifest<R: Runtime>(
    runtime: &R,
    dir: &Path,
    path: &Path,
) -> Result<(), ManifestError> {
    let entries = runtime.list(dir).await?;
    let is_data = |name: &str| DATA_NAMES.iter().any(|data| name.starts_with(data));
    match entries.into_iter().find(|entry| is_data(&entry.name)) {
        Some(entry) => Err(ManifestError::Missing { path: path.to_owned(), found: entry.name }),
        None => Ok(()),
    }
}

async fn create<R: Runtime>(
    runtime: &R,
    dir: &Path,
    path: &Path,
    cluster_id: [u8; 16],
) -> Result<Manifest<R>, ManifestError> {
    let fields = ManifestFields {
        cluster_id,
        start_epoch: -1,
        journal_floor: 0,
        next_producer_id: 0,
        stopped_cleanly: false,
    };
    let file = runtime.open(path, OpenMode::Create).await?;
    // An even sequence first: the file reaches its full size only with the second slot.
    write_slot(&file, 0, &fields).await?;
    runtime.sync_dir(dir).await?;
    write_slot(&file, 1, &fields).await?;
    Ok(Manifest::of(file, 1, fields))
}
