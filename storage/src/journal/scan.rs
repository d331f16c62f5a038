//! Reading the journals of an earlier run: which fragments count, and in which order.
//!
//! A file's entries count from its first on, as long as they carry the same incarnation and
//! consecutive sequences; what follows is a torn write or an earlier life of the file. Files may
//! come from any number of shards: fragments are ordered by (start, sequence), which for one
//! partition is the order in which they were journalled, since a partition has one shard per start.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::path::{Path, PathBuf};

use crate::buffer::{AlignedBuf, AlignedSlice};
use crate::ids::PartitionId;
use crate::journal::format::{
    Entry, EntryNumbers, Incarnation, JOURNAL_VERSION, Parsed, parse_entry,
};
use crate::journal::writer::journal_file_number;
use crate::mutants::{Mutant, active};
use crate::runtime::{BLOCK_BYTES, DiskError, File, OpenMode, Runtime};

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;

const WINDOW_BYTES: usize = 4 << 20;

/// Bytes of a partition's log that were found in a journal.
#[derive(Clone, Debug)]
pub(crate) struct Fragment {
    pub segment_base: i64,
    pub position: u64,
    pub bytes: AlignedSlice,
    pub(super) stream: Stream,
    pub(super) sequence: u64,
}

/// One shard's entries of one start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Stream {
    pub(super) start_epoch: u32,
    pub(super) shard: u32,
}

/// The entries found of a stream.
#[derive(Default)]
pub(super) struct StreamEntries {
    sequences: BTreeSet<u64>,
    flushed: u64,
    pub(super) released: u64,
}

impl StreamEntries {
    pub(super) fn note(&mut self, numbers: &EntryNumbers) {
        self.sequences.insert(numbers.sequence);
        self.flushed = self.flushed.max(numbers.flushed);
        self.released = self.released.max(numbers.released);
    }
}

/// What the journals hold.
#[derive(Debug, Default)]
pub(crate) struct JournalScan {
    /// Per partition, in the order in which they were written: where two overlap, the later counts.
    pub fragments: HashMap<PartitionId, Vec<Fragment>>,
    /// Every journal file found.
    pub files: Vec<PathBuf>,
    /// A number above all of theirs.
    pub next_file_number: u64,
    /// Bytes read from them.
    pub bytes_read: u64,
    /// Damage in the midst of synced entries, in words for the operator.
    pub faults: Vec<String>,
}

/// Why the journals can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Written by a later release.
    #[error(
        "journal {path} has format version {found}, this build knows up to {known}: start the release that wrote it, or a later one"
    )]
    NewerVersion {
        /// The journal file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
}

/// Lists the journal files in `dir` without reading them.
pub(crate) async fn list_journals<R: Runtime>(
    runtime: &R,
    dir: &Path,
) -> Result<JournalScan, ScanError> {
    let mut scan = JournalScan::default();
    for entry in runtime.list(dir).await? {
        if let Some(number) = journal_file_number(&entry.name) {
            scan.next_file_number = scan.next_file_number.max(number.saturating_add(1));
            scan.files.push(dir.join(entry.name));
        }
    }
    Ok(scan)
}

/// Reads every journal in `dir`; entries of starts before `floor` are dead.
pub(crate) async fn scan_journals<R: Runtime>(
    runtime: &R,
    dir: &Path,
    floor: u32,
) -> Result<JournalScan, ScanError> {
    let mut scan = list_journals(runtime, dir).await?;
    let mut streams: BTreeMap<Stream, StreamEntries> = BTreeMap::new();
    for path in scan.files.clone() {
        let file = runtime.open(&path, OpenMode::Read).await?;
        let mut reader = FileScan::new(file, path, floor);
        while let Some(found) = reader.next_entry().await? {
            streams.entry(found.stream).or_default().note(&found.numbers);
            for (partition, fragment) in found.fragments {
                scan.fragments.entry(partition).or_default().push(fragment);
            }
        }
        scan.bytes_read += reader.bytes_read;
        runtime.yield_now().await;
    }
    for fragments in scan.fragments.values_mut() {
        // What was released may still be readable, but is not complete any more.
        fragments.retain(|f| streams.get(&f.stream).is_none_or(|s| f.sequence > s.released));
        fragments.sort_by_key(|f| (f.stream.start_epoch, f.sequence));
    }
    for (stream, entries) in &streams {
        scan.faults.extend(missing_entries(*stream, entries));
    }
    Ok(scan)
}

/// Entries that an fdatasync had covered and that are gone although later ones are there.
pub(super) fn missing_entries(stream: Stream, entries: &StreamEntries) -> Vec<String> {
    let mut faults = Vec::new();
    let mut previous = entries.released;
    for &sequence in entries.sequences.range((Bound::Excluded(entries.released), Bound::Unbounded))
    {
        if sequence > previous + 1 && previous < entries.flushed {
            faults.push(format!(
                "entries {}..={} of shard {}, start {}, were synced but can't be read",
                previous + 1,
                (sequence - 1).min(entries.flushed),
                stream.shard,
                stream.start_epoch,
            ));
        }
        previous = sequence;
    }
    faults
}

pub(crate) struct Found {
    pub(crate) stream: Stream,
    pub(crate) incarnation: Incarnation,
    pub(crate) numbers: EntryNumbers,
    /// Where in the file it begins.
    pub(crate) position: u64,
    pub(crate) block_bytes: usize,
    pub(crate) fragments: Vec<(PartitionId, Fragment)>,
    /// Where in the file each fragment's bytes begin.
    pub(crate) fragments_at: Vec<u64>,
}

/// Walks one file, a window at a time.
pub(super) struct FileScan<F> {
    file: F,
    path: PathBuf,
    floor: u32,
    position: u64,
    window: AlignedBuf,
    window_at: u64,
    pub(super) chain: Option<(Incarnation, u64)>,
    /// The chain has ended; only later entries of the same life, which prove damage, count.
    salvaging: bool,
    ended: bool,
    pub(super) bytes_read: u64,
}

impl<F: File> FileScan<F> {
    pub(super) fn new(file: F, path: PathBuf, floor: u32) -> Self {
        FileScan {
            file,
            path,
            floor,
            position: 0,
            window: AlignedBuf::with_capacity(BLOCK_BYTES),
            window_at: 0,
            chain: None,
            salvaging: false,
            ended: false,
            bytes_read: 0,
        }
    }

    pub(super) async fn next_entry(&mut self) -> Result<Option<Found>, ScanError> {
        loop {
            let from = (self.position - self.window_at) as usize;
            let have = self.window.as_bytes().get(from..).unwrap_or_default();
            match parse_entry(have) {
                Parsed::NeedBytes(wanted) => {
                    if !self.load(wanted).await? {
                        // A claimed length beyond the end of the file: no entry.
                        if !self.skip_block() {
                            return Ok(None);
                        }
                    }
                }
                Parsed::NewerVersion(found) => {
                    let path = self.path.clone();
                    return Err(ScanError::NewerVersion { path, found, known: JOURNAL_VERSION });
                }
                Parsed::Nothing => {
                    if !self.skip_block() {
                        return Ok(None);
                    }
                }
                Parsed::Entry(entry) => {
                    if !self.counts(&entry) {
                        if !self.skip_block() {
                            return Ok(None);
                        }
                        continue;
                    }
                    let found = collect(&entry, &self.window, from, self.position);
                    self.chain = Some((entry.incarnation, entry.numbers.sequence));
                    self.position += entry.block_bytes as u64;
                    return Ok(Some(found));
                }
            }
        }
    }

    fn counts(&self, entry: &Entry<'_>) -> bool {
        if active(Mutant::SkipJournalIncarnation) {
            return true;
        }
        if entry.incarnation.start_epoch < self.floor {
            return false;
        }
        match self.chain {
            None => true,
            Some((incarnation, last)) if self.salvaging => {
                // Entries are written one at a time: a later one proves that those before it were
                // complete. If it also says that they were synced, their loss is damage.
                entry.incarnation == incarnation
                    && entry.numbers.sequence > last
                    && entry.numbers.flushed > last
            }
            Some((incarnation, last)) => {
                entry.incarnation == incarnation
                    && last.checked_add(1) == Some(entry.numbers.sequence)
            }
        }
    }

    /// The entry expected here is missing. False if there is nothing more to look for: no entry at
    /// the very start means a file without any life that counts.
    fn skip_block(&mut self) -> bool {
        if self.ended || (self.chain.is_none() && !active(Mutant::SkipJournalIncarnation)) {
            return false;
        }
        self.salvaging = true;
        self.position += BLOCK_BYTES as u64;
        true
    }

    /// Reads a window from the current position; false if the file has fewer than `wanted` bytes there.
    async fn load(&mut self, wanted: usize) -> Result<bool, ScanError> {
        let have = self.window.filled().saturating_sub((self.position - self.window_at) as usize);
        if have >= wanted {
            return Ok(true);
        }
        self.window = self.file.read_at(self.position, WINDOW_BYTES.max(wanted)).await?;
        self.window_at = self.position;
        self.bytes_read += self.window.filled() as u64;
        self.ended = self.window.filled() == 0;
        Ok(self.window.filled() >= wanted)
    }
}

fn collect(entry: &Entry<'_>, window: &AlignedBuf, entry_at: usize, position: u64) -> Found {
    let numbers = entry.numbers;
    let stream = Stream { start_epoch: entry.incarnation.start_epoch, shard: numbers.shard };
    let fragments = entry.fragments().map(|(place, from, bytes)| {
        let start = entry_at + from;
        let fragment = Fragment {
            segment_base: place.segment_base,
            position: place.position,
            bytes: window.slice(start, start + bytes.len()),
            stream,
            sequence: numbers.sequence,
        };
        (place.partition, fragment)
    });
    Found {
        stream,
        incarnation: entry.incarnation,
        numbers,
        position,
        block_bytes: entry.block_bytes,
        fragments: fragments.collect(),
        fragments_at: entry.fragments().map(|(_, from, _)| position + from as u64).collect(),
    }
}
