//! What a data directory holds, as far as it is not a partition's own.

use std::io;
use std::path::{Path, PathBuf};

use crate::command_log::{self, CommandLogError, ReadCommands};
use crate::ids::{PartitionId, TopicId};
use crate::inspect::plain_disk::{PlainDisk, now};
use crate::journal::scan::{Found, ScanError};
use crate::journal::survey::Survey;
use crate::manifest::{
    self, DATA_NAMES, MANIFEST_FILE, ManifestError, ManifestFields, ReadManifest,
};
use crate::runtime::{DirEntry, DiskError, Runtime};
use crate::store::{journal_dir, topics_dir};

/// Why a directory can't be looked into.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// There is nothing, or no directory.
    #[error("{}: {source} (expected a data directory, as of --data-dir)", path.display())]
    NoDirectory {
        /// What was given.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A directory without anything of Corelane's.
    #[error(
        "{} is not a data directory: it has no file `{MANIFEST_FILE}`, and nothing that goes with it",
        path.display()
    )]
    NoDataDir {
        /// What was given.
        path: PathBuf,
    },
    /// Of another format, or unreadable.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The journals are of another format, or unreadable.
    #[error(transparent)]
    Journals(#[from] ScanError),
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// One entry of a journal that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// The journal's file.
    pub path: PathBuf,
    /// Where in it the entry begins.
    pub position: u64,
    /// Bytes that it takes, in whole blocks.
    pub block_bytes: usize,
    /// The start that wrote it.
    pub start_epoch: u32,
    /// The life of the file within that start.
    pub life: u32,
    /// The shard that wrote it.
    pub shard: u32,
    /// Counts the shard's entries in that start, from 1.
    pub sequence: u64,
    /// Highest sequence that was synced when it was written.
    pub flushed_sequence: u64,
    /// Highest sequence that was given back by then.
    pub released_sequence: u64,
    /// Parts of segments.
    pub fragments: Vec<JournalFragment>,
}

/// A range of a segment's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalFragment {
    /// The partition.
    pub partition: PartitionId,
    /// The segment's base offset.
    pub segment_base: i64,
    /// Byte position in it.
    pub position: u64,
    /// How many bytes.
    pub len_bytes: usize,
}

/// An opened data directory. Nothing in it is ever changed.
#[derive(Debug)]
pub struct DataDir {
    pub(super) disk: PlainDisk,
    pub(super) path: PathBuf,
    pub(super) manifest: Result<ReadManifest, ManifestError>,
    pub(super) survey: Survey,
}

impl DataDir {
    /// Opens `path`, and reads its manifest and its journals. A damaged or missing manifest is no
    /// error if there is data; the journals, which can't be judged without it, are not read then.
    ///
    /// # Errors
    /// Every [`InspectError`].
    pub fn open(path: &Path) -> Result<DataDir, InspectError> {
        DataDir::open_with(path, &mut |_| {})
    }

    /// As [`DataDir::open`]; shows `visit` each entry of the journals that counts.
    ///
    /// # Errors
    /// Every [`InspectError`].
    pub fn open_with(
        path: &Path,
        visit: &mut dyn FnMut(JournalEntry),
    ) -> Result<DataDir, InspectError> {
        let no_directory = |source| InspectError::NoDirectory { path: path.to_owned(), source };
        std::fs::read_dir(path).map_err(no_directory)?;
        let disk = PlainDisk;
        let manifest = read_manifest(&disk, path)?;
        let mut survey = Survey::default();
        if let Ok(read) = &manifest
            && !read.fields.stopped_cleanly
        {
            let floor = u32::try_from(read.fields.journal_floor).unwrap_or(u32::MAX);
            let mut each = |path: &Path, found: &Found| visit(entry_of(path, found));
            survey = now(Survey::take(&disk, &journal_dir(path), floor, &mut each))?;
        }
        Ok(DataDir { disk, path: path.to_owned(), manifest, survey })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What its manifest says.
    ///
    /// # Errors
    /// Why that is not known: [`ManifestError::Damaged`] or [`ManifestError::Missing`].
    pub fn manifest(&self) -> Result<ManifestFields, &ManifestError> {
        self.manifest.as_ref().map(|read| read.fields)
    }

    /// Reads the command log of this name ("catalog.log"); `None` if there is none.
    ///
    /// # Errors
    /// As [`command_log::read_only`].
    pub fn commands(&self, name: &str) -> Result<Option<ReadCommands>, CommandLogError> {
        now(command_log::read_only(&self.disk, &self.path.join(name)))
    }

    /// The journals' files: length, and number of entries that count (none after a clean stop, which
    /// leaves nothing in them).
    ///
    /// # Errors
    /// [`InspectError::Disk`].
    pub fn journals(&self) -> Result<Vec<(PathBuf, u64, u64)>, InspectError> {
        let dir = journal_dir(&self.path);
        let entries_in = |path: &Path| {
            self.survey.files.iter().find(|file| file.path == path).map_or(0, |file| file.entries)
        };
        let files = self.list(&dir)?.into_iter().filter(|entry| !entry.is_dir);
        let with_entries = files.map(|file| {
            let path = dir.join(&file.name);
            let entries = entries_in(&path);
            (path, file.len_bytes, entries)
        });
        Ok(with_entries.collect())
    }

    /// The partitions that have a directory or are in a journal, by topic.
    ///
    /// # Errors
    /// [`InspectError::Disk`].
    pub fn partitions(&self) -> Result<Vec<PartitionId>, InspectError> {
        let mut found: Vec<PartitionId> = self.survey.fragments.keys().copied().collect();
        let topics = topics_dir(&self.path);
        for topic in self.list(&topics)? {
            let Some(topic_id) = TopicId::from_hex(&topic.name) else { continue };
            for partition in self.list(&topics.join(&topic.name))? {
                let index = partition.name.parse().ok().filter(|_| partition.is_dir);
                found.extend(index.map(|index| PartitionId { topic_id, index }));
            }
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// True if the last run ended by a clean stop; if that is not known, checkpoints are believed too.
    pub(super) fn was_clean(&self) -> bool {
        self.manifest.as_ref().map_or(true, |read| read.fields.stopped_cleanly)
    }

    /// The highest leader epoch that can be in it.
    pub(super) fn start_epoch(&self) -> i32 {
        self.manifest.as_ref().map_or(i32::MAX, |read| read.fields.start_epoch)
    }

    pub(super) fn list(&self, dir: &Path) -> Result<Vec<DirEntry>, DiskError> {
        now(self.disk.list(dir))
    }
}

/// The inner error leaves something to look at, the outer one does not.
fn read_manifest(
    disk: &PlainDisk,
    dir: &Path,
) -> Result<Result<ReadManifest, ManifestError>, InspectError> {
    match now(manifest::read_only(disk, dir)) {
        Ok(read) => Ok(Ok(read)),
        Err(error @ ManifestError::Damaged { .. }) => Ok(Err(error)),
        Err(ManifestError::Disk(error)) if error.is_not_found() => {
            let names = now(disk.list(dir))?.into_iter().map(|entry| entry.name);
            let is_data = |name: &String| DATA_NAMES.iter().any(|data| name.starts_with(data));
            match names.into_iter().find(is_data) {
                Some(found) => {
                    Ok(Err(ManifestError::Missing { path: dir.join(MANIFEST_FILE), found }))
                }
                None => Err(InspectError::NoDataDir { path: dir.to_owned() }),
            }
        }
        Err(error) => Err(error.into()),
    }
}

fn entry_of(path: &Path, found: &Found) -> JournalEntry {
    let fragments = found.fragments.iter().map(|(partition, fragment)| JournalFragment {
        partition: *partition,
        segment_base: fragment.segment_base,
        position: fragment.position,
        len_bytes: fragment.bytes.len(),
    });
    JournalEntry {
        path: path.to_owned(),
        position: found.position,
        block_bytes: found.block_bytes,
        start_epoch: found.incarnation.start_epoch,
        life: found.incarnation.life,
        shard: found.numbers.shard,
        sequence: found.numbers.sequence,
        flushed_sequence: found.numbers.flushed,
        released_sequence: found.numbers.released,
        fragments: fragments.collect(),
    }
}
