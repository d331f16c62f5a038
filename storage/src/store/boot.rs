//! The process-wide part of a start: who this data directory belongs to, which run this is, and
//! what the journals hold.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64};

use crate::ids::TopicId;
use crate::journal::scan::{JournalScan, ScanError, list_journals, scan_journals};
use crate::journal::writer::JournalNumbers;
use crate::log::CheckpointError;
use crate::manifest::{Manifest, ManifestError};
use crate::runtime::{DiskError, Runtime};
use crate::store::topics_dir;

/// Why a data directory can't be served.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The manifest is unreadable, damaged or of a later release.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A journal is unreadable or of a later release.
    #[error(transparent)]
    Journal(#[from] ScanError),
    /// A checkpoint is of a later release, or can't be written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Synced journal entries are gone although later ones are there: the disk lost or changed
    /// them. Which partitions they belonged to is unknown, so serving would pretend.
    #[error(
        "the journal is damaged: {0}. Restore {1} from a copy, or move that directory away and start again to accept the loss of what was not in the segments yet"
    )]
    JournalDamaged(String, PathBuf),
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A partition is offline or unflushed, so the stop is not a clean one.
    #[error("not stopped cleanly: {0}")]
    NotAtRest(String),
    /// All 2^31 leader epochs are used up.
    #[error("this data directory was started 2^31 times: no leader epoch is left")]
    EpochsExhausted,
}

/// What all shards need to know to recover their partitions. Made once, on one shard.
#[derive(Debug)]
pub struct Boot {
    pub(crate) data_dir: PathBuf,
    pub(crate) scan: JournalScan,
    pub(crate) numbers: Arc<JournalNumbers>,
    /// Journal files without a life that counts, to be reused; each shard takes some.
    pub(crate) free_files: Mutex<Vec<PathBuf>>,
    cluster_id: [u8; 16],
    start_epoch: i32,
    was_clean: bool,
}

impl Boot {
    /// Reads the manifest of `data_dir`, or creates it with `new_cluster_id`; raises the start
    /// epoch, durably; reads the journals unless the last stop was clean.
    ///
    /// # Errors
    /// Every [`StoreError`].
    pub async fn open<R: Runtime>(
        runtime: &R,
        data_dir: &Path,
        new_cluster_id: [u8; 16],
    ) -> Result<(Boot, Manifest<R>), StoreError> {
        runtime.create_dir_all(data_dir).await?;
        let manifest = Manifest::open(runtime, data_dir, new_cluster_id).await?;
        let fields = manifest.fields();
        let start_epoch = fields.start_epoch.checked_add(1).ok_or(StoreError::EpochsExhausted)?;
        let dir = journal_dir(data_dir);
        runtime.create_dir_all(&dir).await?;
        // A kill may have come between a journal's creation and the sync of its name.
        runtime.sync_dir(&dir).await?;
        // A new directory has nothing to recover either.
        let was_clean = fields.stopped_cleanly || fields.start_epoch < 0;
        let scan = if was_clean {
            list_journals(runtime, &dir).await?
        } else {
            let floor = u32::try_from(fields.journal_floor).unwrap_or(u32::MAX);
            scan_journals(runtime, &dir, floor).await?
        };
        if !scan.faults.is_empty() {
            return Err(StoreError::JournalDamaged(scan.faults.join("; "), dir));
        }
        manifest.update(|fields| fields.start_epoch = start_epoch).await?;
        let numbers = JournalNumbers {
            start_epoch: start_epoch.unsigned_abs(),
            next_life: AtomicU32::new(0),
            next_file: AtomicU64::new(scan.next_file_number),
        };
        let boot = Boot {
            data_dir: data_dir.to_owned(),
            free_files: Mutex::new(scan.files.clone()),
            scan,
            numbers: Arc::new(numbers),
            cluster_id: fields.cluster_id,
            start_epoch,
            was_clean,
        };
        Ok((boot, manifest))
    }

    /// All shards have recovered: the journals of earlier runs are dead from here on. Call it
    /// before any [`crate::store::Store::start`].
    ///
    /// # Errors
    /// [`StoreError::Manifest`].
    pub async fn recovered<R: Runtime>(&self, manifest: &Manifest<R>) -> Result<(), StoreError> {
        let floor = u64::from(self.start_epoch.unsigned_abs());
        let change = manifest.update(|fields| {
            fields.journal_floor = floor;
            fields.stopped_cleanly = false;
        });
        Ok(change.await?)
    }

    /// True if there is something of a partition, in a directory or in a journal.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub async fn has_partitions<R: Runtime>(&self, runtime: &R) -> Result<bool, StoreError> {
        let topics = runtime.list(&topics_dir(&self.data_dir)).await?;
        let has_topic = topics.iter().any(|entry| TopicId::from_hex(&entry.name).is_some());
        Ok(has_topic || !self.scan.fragments.is_empty())
    }

    /// Number of this run: the leader epoch of all partitions.
    pub fn start_epoch(&self) -> i32 {
        self.start_epoch
    }

    /// Identity of the data directory.
    pub fn cluster_id(&self) -> [u8; 16] {
        self.cluster_id
    }

    /// The last run ended by a clean stop: there was nothing to recover.
    pub fn was_clean(&self) -> bool {
        self.was_clean
    }

    /// Bytes of journals that were read.
    pub fn journal_bytes_read(&self) -> u64 {
        self.scan.bytes_read
    }
}

/// Marks the directory as stopped cleanly; call it after every shard's [`crate::store::Store::stop`].
///
/// # Errors
/// [`StoreError::Manifest`].
pub async fn stopped_cleanly<R: Runtime>(manifest: &Manifest<R>) -> Result<(), StoreError> {
    Ok(manifest.update(|fields| fields.stopped_cleanly = true).await?)
}

pub(crate) fn journal_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("journal")
}
