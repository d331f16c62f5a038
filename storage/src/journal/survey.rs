//! Reading the journals of a directory that is not going to be served: where the fragments lie
//! instead of the fragments themselves, and what a start would pass over.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use crate::buffer::AlignedBuf;
use crate::ids::PartitionId;
use crate::journal::format::{ENTRY_BYTES_MAX, Incarnation, Parsed, claimed_entry, parse_entry};
use crate::journal::scan::{
    FileScan, Found, Fragment, ScanError, Stream, StreamEntries, list_journals, missing_entries,
};
use crate::runtime::{BLOCK_BYTES, DiskError, File, OpenMode, Runtime, block_ceil, block_floor};

#[cfg(test)]
mod tests;

const WINDOW_BYTES: usize = 4 << 20;

/// Where a fragment that counts lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FragmentAt {
    pub segment_base: i64,
    pub position: u64,
    pub len_bytes: usize,
    file: usize,
    at: u64,
    stream: Stream,
    sequence: u64,
}

impl FragmentAt {
    /// Behind its last byte in the segment.
    pub(crate) fn end(&self) -> u64 {
        self.position.saturating_add(self.len_bytes as u64)
    }
}

/// A journal file.
#[derive(Debug)]
pub(crate) struct SurveyedFile {
    pub path: PathBuf,
    pub len_bytes: u64,
    /// Entries that count.
    pub entries: u64,
    /// Where an entry begins that continues them, but is not whole.
    pub torn_at: Option<u64>,
    /// Its first entry is unreadable, though there are live ones behind it that could not have been
    /// written before it was synced: where the first of them begins.
    pub headless_at: Option<u64>,
    /// Per partition: how far those entries reach (segment and position).
    pub headless_ends: HashMap<PartitionId, (i64, u64)>,
}

/// What the journals hold.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub files: Vec<SurveyedFile>,
    /// Per partition, in the order in which they were written.
    pub fragments: HashMap<PartitionId, Vec<FragmentAt>>,
    /// Damage in the midst of synced entries, in words.
    pub faults: Vec<String>,
}

impl Survey {
    /// Reads every journal in `dir`; entries of starts before `floor` are dead. Shows `visit` each
    /// entry that counts and the file that it is in.
    pub(crate) async fn take<R: Runtime>(
        runtime: &R,
        dir: &Path,
        floor: u32,
        visit: &mut dyn FnMut(&Path, &Found),
    ) -> Result<Survey, ScanError> {
        let mut survey = Survey::default();
        let mut streams: BTreeMap<Stream, StreamEntries> = BTreeMap::new();
        for path in list_journals(runtime, dir).await?.files {
            let file = runtime.open(&path, OpenMode::Read).await?;
            let mut scan = FileScan::new(file.clone(), path.clone(), floor);
            let (mut entries, mut end) = (0, 0);
            while let Some(found) = scan.next_entry().await? {
                streams.entry(found.stream).or_default().note(&found.numbers);
                visit(&path, &found);
                survey.note(&found);
                (entries, end) = (entries + 1, found.position + found.block_bytes as u64);
            }
            let mut surveyed = SurveyedFile {
                len_bytes: file.len().await?,
                path,
                entries,
                torn_at: None,
                headless_at: None,
                headless_ends: HashMap::new(),
            };
            match scan.chain {
                Some(chain) => surveyed.torn_at = torn_at(&file, end, chain).await?,
                None => find_headless(&file, floor, &mut surveyed).await?,
            }
            survey.files.push(surveyed);
        }
        for fragments in survey.fragments.values_mut() {
            fragments.retain(|f| streams.get(&f.stream).is_none_or(|s| f.sequence > s.released));
            fragments.sort_by_key(|f| (f.stream.start_epoch, f.sequence));
        }
        let faults = streams.iter().flat_map(|(stream, seen)| missing_entries(*stream, seen));
        survey.faults = faults.collect();
        Ok(survey)
    }

    fn note(&mut self, found: &Found) {
        let file = self.files.len();
        for ((partition, fragment), at) in found.fragments.iter().zip(&found.fragments_at) {
            self.fragments.entry(*partition).or_default().push(FragmentAt {
                segment_base: fragment.segment_base,
                position: fragment.position,
                len_bytes: fragment.bytes.len(),
                file,
                at: *at,
                stream: found.stream,
                sequence: found.numbers.sequence,
            });
        }
    }

    /// The fragments of a partition that reach behind byte `position` of the segment `base`, or lie
    /// in later ones.
    pub(crate) async fn load<R: Runtime>(
        &self,
        runtime: &R,
        id: PartitionId,
        (base, position): (i64, u64),
    ) -> Result<Vec<Fragment>, DiskError> {
        let mut loaded = Vec::new();
        for found in self.fragments.get(&id).into_iter().flatten() {
            if (found.segment_base, found.end()) <= (base, position) {
                continue;
            }
            let file = runtime.open(&self.files[found.file].path, OpenMode::Read).await?;
            let begin = block_floor(found.at);
            let end = found.at + found.len_bytes as u64;
            let block = file.read_at(begin, (block_ceil(end) - begin) as usize).await?;
            let from = (found.at - begin) as usize;
            // Shorter only if the file was cut meanwhile: then as much as there is.
            let upto = (from + found.len_bytes).min(block.filled());
            loaded.push(Fragment {
                segment_base: found.segment_base,
                position: found.position,
                bytes: block.slice(from.min(upto), upto),
                stream: found.stream,
                sequence: found.sequence,
            });
        }
        Ok(loaded)
    }
}

/// `end` if an entry begins there that claims to be the next one.
async fn torn_at<F: File>(
    file: &F,
    end: u64,
    (incarnation, last): (Incarnation, u64),
) -> Result<Option<u64>, DiskError> {
    let block = file.read_at(end, BLOCK_BYTES).await?;
    let next = last.checked_add(1).map(|next| (incarnation, next));
    Ok((claimed_entry(block.as_bytes()) == next && next.is_some()).then_some(end))
}

/// Live entries of one life in a file without a first one.
#[derive(Default)]
struct Headless {
    first_at: u64,
    lowest: Option<u64>,
    flushed: u64,
    ends: HashMap<PartitionId, (i64, u64)>,
}

async fn find_headless<F: File>(
    file: &F,
    floor: u32,
    surveyed: &mut SurveyedFile,
) -> Result<(), DiskError> {
    let mut lives: BTreeMap<Incarnation, Headless> = BTreeMap::new();
    let (mut at, mut window, mut window_at) = (0, AlignedBuf::with_capacity(1), 0);
    while at < surveyed.len_bytes {
        let window_end = window_at + window.filled() as u64;
        let is_short = window_end.saturating_sub(at) < (ENTRY_BYTES_MAX + BLOCK_BYTES) as u64;
        if window.filled() == 0 || (is_short && window_end < surveyed.len_bytes) {
            window = file.read_at(at, WINDOW_BYTES).await?;
            window_at = at;
            if window.filled() == 0 {
                break;
            }
        }
        let bytes = window.as_bytes().get((at - window_at) as usize..).unwrap_or_default();
        let Parsed::Entry(entry) = parse_entry(bytes) else {
            at += BLOCK_BYTES as u64;
            continue;
        };
        if entry.incarnation.start_epoch >= floor {
            let life = lives.entry(entry.incarnation).or_default();
            if life.lowest.is_none() {
                life.first_at = at;
            }
            let sequence = entry.numbers.sequence;
            life.lowest = Some(life.lowest.map_or(sequence, |lowest| lowest.min(sequence)));
            life.flushed = life.flushed.max(entry.numbers.flushed);
            for (place, _, bytes) in entry.fragments() {
                let end = (place.segment_base, place.position.saturating_add(bytes.len() as u64));
                let known = life.ends.entry(place.partition).or_insert(end);
                *known = end.max(*known);
            }
        }
        at += entry.block_bytes as u64;
    }
    // What was synced before them is the entry that is missing.
    let lost = lives.into_values().rfind(|life| life.lowest.is_some_and(|n| life.flushed + 1 >= n));
    if let Some(life) = lost {
        surveyed.headless_at = Some(life.first_at);
        surveyed.headless_ends = life.ends;
    }
    Ok(())
}
