//! What a group-committed journal can do: the bound of a broker whose acknowledgement means fdatasync.
//!
//! So many producers in a closed loop, each with one record under way. All records that wait go, each behind a
//! header of 32 bytes, into one direct write at the journal's end; after the fdatasync that covers it, all
//! are acknowledged, and append again. Behind it another thread moves every record to the file of its
//! partition, in direct writes of 128 KiB, as whoever keeps a journal must. There are no sockets, no requests and no
//! checksums: what a broker spends on them is what it is held against.
//!
//! - [`segments`]: the files of the partitions; [`report`]: the outcome, for people and as JSON

mod report;
mod segments;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::cores;
use crate::direct_file::{ALIGN_BYTES, AlignedBlock, fill, open_unnamed, preallocate};
use crate::error::BenchError;
use crate::stop::Stop;

pub use report::JournalReport;
use segments::Segments;

/// Bytes before each record: what tells it from stale ones, where it belongs, its checksum.
const HEADER_BYTES: usize = 32;

/// Bytes of the journal. Its space is reserved and not written before, and used again from its start.
const JOURNAL_BYTES: u64 = 1 << 30;

/// Largest commit, bytes.
const COMMIT_BYTES_MAX: usize = 64 << 20;

/// Slower commits count as this, a minute.
const NANOS_MAX: u64 = 60_000_000_000;

/// What to measure.
#[derive(Clone, Debug)]
pub struct JournalArgs {
    /// The directory whose disk is measured; it must exist.
    pub dir: PathBuf,
    /// Records under way at once.
    pub producers: usize,
    /// Bytes of each.
    pub record_bytes: usize,
    /// Partitions that they are dealt to.
    pub partitions: usize,
    /// How long to measure, each time.
    pub duration: Duration,
    /// How often.
    pub repeats: u32,
    /// The core of both threads; none: any.
    pub core: Option<usize>,
}

impl JournalArgs {
    /// 64 producers of 1 KiB into one partition.
    pub fn new(dir: &Path) -> JournalArgs {
        JournalArgs {
            dir: dir.to_owned(),
            producers: 64,
            record_bytes: 1 << 10,
            partitions: 1,
            duration: Duration::from_secs(3),
            repeats: 3,
            core: None,
        }
    }

    fn commit_bytes(&self) -> usize {
        let record_bytes = self.record_bytes.saturating_add(HEADER_BYTES);
        let bytes = self.producers.saturating_mul(record_bytes);
        bytes.checked_next_multiple_of(ALIGN_BYTES).unwrap_or(usize::MAX)
    }

    fn check(&self) -> Result<(), BenchError> {
        let wrong = |text: String| Err(BenchError::Argument(text));
        if self.producers == 0 || self.record_bytes == 0 || self.commit_bytes() > COMMIT_BYTES_MAX {
            return wrong(format!(
                "{} producers of {} bytes are no commit of at most {COMMIT_BYTES_MAX} bytes",
                self.producers, self.record_bytes
            ));
        }
        segments::check(self.partitions, self.record_bytes)
    }
}

/// One measurement.
#[derive(Clone, Debug, PartialEq)]
struct Measured {
    appends: u64,
    seconds: f64,
    /// Nanoseconds of each commit.
    commits: Histogram<u64>,
    segment_bytes: u64,
    is_direct: bool,
}

/// Measures, `repeats` times. Needs 2 GiB of free space for the while; the files have no names, so
/// nothing is left behind however this ends.
///
/// # Errors
/// [`BenchError::Argument`] for what makes no sense, others if the system refuses. Ctrl-C is no error:
/// the report has what was measured until then, and says so.
pub fn run(args: &JournalArgs, stop: &Stop) -> Result<JournalReport, BenchError> {
    args.check()?;
    let mut rounds = Vec::new();
    for _ in 0..args.repeats.max(1) {
        // Threads of its own: the pinning ends with them.
        let round = thread::scope(|scope| scope.spawn(|| measure(args, stop)).join());
        let round = round.expect("measuring does not panic")?;
        if stop.is_set() {
            break;
        }
        rounds.push(round);
    }
    Ok(JournalReport::new(args, &rounds))
}

fn measure(args: &JournalArgs, stop: &Stop) -> Result<Measured, BenchError> {
    let failed =
        |operation| move |source| BenchError::File { operation, path: args.dir.clone(), source };
    cores::pin(args.core)?;
    let (file, is_direct) = open_unnamed(&args.dir).map_err(failed("creating a file in"))?;
    preallocate(&file, JOURNAL_BYTES).map_err(failed("reserving space in"))?;
    let segments =
        Segments::open(&args.dir, args.partitions).map_err(failed("creating files in"))?;
    commit_until(args, &file, segments, stop)
        .map(|measured| Measured { is_direct, ..measured })
        .map_err(failed("writing a journal in"))
}

/// Commit after commit, until the time is up.
fn commit_until(
    args: &JournalArgs,
    file: &File,
    mut segments: Segments,
    stop: &Stop,
) -> io::Result<Measured> {
    let mut commits =
        Histogram::<u64>::new_with_bounds(1, NANOS_MAX, 3).map_err(io::Error::other)?;
    let mut record = vec![0; args.record_bytes];
    fill(&mut record, 1);
    let mut memory = AlignedBlock::new(args.commit_bytes());
    let (mut position, mut appends) = (0, 0);
    let began = Instant::now();
    while commits.is_empty() || (began.elapsed() < args.duration && !stop.is_set()) {
        let asked = Instant::now();
        let block = memory.bytes_mut();
        for entry in block.chunks_exact_mut(HEADER_BYTES + record.len()).take(args.producers) {
            entry[HEADER_BYTES..].copy_from_slice(&record);
        }
        if position + block.len() as u64 > JOURNAL_BYTES {
            position = 0;
        }
        file.write_all_at(block, position)?;
        file.sync_data()?;
        position += block.len() as u64;
        let nanos = u64::try_from(asked.elapsed().as_nanos()).unwrap_or(u64::MAX);
        commits.saturating_record(nanos);
        for _ in 0..args.producers {
            segments.append(appends, &record)?;
            appends += 1;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let segment_bytes = segments.finish()?;
    Ok(Measured { appends, seconds, commits, segment_bytes, is_direct: false })
}
