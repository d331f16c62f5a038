//! The disk under a directory: how fast it writes, reads and syncs, without a broker.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::direct_file::{ALIGN_BYTES, AlignedBlock, fill, open_unnamed, preallocate};
use crate::report::{CeilingReport, Latency, Throughput};

/// Slower syncs count as this, a minute.
const SYNC_NANOS_MAX: u64 = 60_000_000_000;

/// Largest block of one operation.
const BLOCK_BYTES_MAX: usize = 64 << 20;

/// Most operations at once; each has a thread and a block of memory.
const DEPTH_MAX: usize = 64;

/// What to measure.
#[derive(Clone, Debug)]
pub struct CeilingArgs {
    /// The directory whose disk is measured; it must exist.
    pub dir: PathBuf,
    /// Bytes to write and read; rounded down to whole blocks, at least one.
    pub bytes: u64,
    /// Bytes of one write or read, a multiple of 4096.
    pub block_bytes: usize,
    /// Writes or reads under way at once.
    pub depth: usize,
    /// How often to time an fdatasync.
    pub sync_samples: u64,
    /// Each of the three measurements ends after this, whatever it has done by then.
    pub duration_max: Duration,
}

impl CeilingArgs {
    /// The shape that a broker's segments have: 1 GiB, 1 MiB blocks, 4 at once.
    pub fn new(dir: &Path) -> Self {
        CeilingArgs {
            dir: dir.to_owned(),
            bytes: 1 << 30,
            block_bytes: 1 << 20,
            depth: 4,
            sync_samples: 1000,
            duration_max: Duration::from_secs(10),
        }
    }
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum CeilingError {
    /// An argument makes no sense.
    #[error("{0}")]
    Argument(String),
    /// The system refused.
    #[error("{operation} in {}: {source}", dir.display())]
    Io {
        /// The operation, as a verb.
        operation: &'static str,
        /// The measured directory.
        dir: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

/// Measures. Needs `bytes` of free space for the while; its file has no name, so nothing is left
/// behind however this ends. Reports progress on stderr if that is a terminal.
pub fn run(args: &CeilingArgs) -> Result<CeilingReport, CeilingError> {
    check(args)?;
    let failed =
        |operation| move |source| CeilingError::Io { operation, dir: args.dir.clone(), source };
    let blocks = (args.bytes / args.block_bytes as u64).max(1);
    let (file, direct) = open_unnamed(&args.dir).map_err(failed("creating a file"))?;
    preallocate(&file, blocks * args.block_bytes as u64).map_err(failed("reserving space"))?;

    progress("writing");
    let started = Instant::now();
    let written = transfer(args, blocks, |block, position| file.write_all_at(block, position))
        .map_err(failed("writing"))?;
    let write = Throughput {
        bytes: written * args.block_bytes as u64,
        seconds: started.elapsed().as_secs_f64(),
    };

    progress("reading");
    let started = Instant::now();
    let read_blocks =
        transfer(args, written, |block, position| file.read_exact_at(block, position))
            .map_err(failed("reading"))?;
    let read = Throughput {
        bytes: read_blocks * args.block_bytes as u64,
        seconds: started.elapsed().as_secs_f64(),
    };

    progress("syncing");
    let sync = time_syncs(args, &file, written).map_err(failed("syncing"))?;
    progress("");
    Ok(CeilingReport {
        dir: args.dir.clone(),
        direct,
        block_bytes: args.block_bytes as u64,
        depth: args.depth,
        write,
        read,
        sync,
    })
}

fn check(args: &CeilingArgs) -> Result<(), CeilingError> {
    let wrong = |text: String| Err(CeilingError::Argument(text));
    let block_bytes = args.block_bytes;
    if block_bytes == 0 || !block_bytes.is_multiple_of(ALIGN_BYTES) || block_bytes > BLOCK_BYTES_MAX
    {
        return wrong(format!(
            "block size {block_bytes} is not a multiple of {ALIGN_BYTES} up to {BLOCK_BYTES_MAX}"
        ));
    }
    if !(1..=DEPTH_MAX).contains(&args.depth) {
        return wrong(format!("depth {} is not between 1 and {DEPTH_MAX}", args.depth));
    }
    if i64::try_from(args.bytes).is_err() {
        return wrong(format!("{} bytes are more than a file can hold", args.bytes));
    }
    Ok(())
}

/// Runs `operation` over the blocks in order, `depth` at once, until all are done or the time is
/// up; returns how many were done. They are the first ones, without a gap.
fn transfer(
    args: &CeilingArgs,
    blocks: u64,
    operation: impl Fn(&mut [u8], u64) -> io::Result<()> + Sync,
) -> io::Result<u64> {
    let next = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    let failure = Mutex::new(None);
    let deadline = Instant::now() + args.duration_max;
    let worker = || {
        let mut memory = AlignedBlock::new(args.block_bytes);
        let block = memory.bytes_mut();
        fill(block, block.as_ptr().addr() as u64);
        loop {
            // Judged before a block is taken: what was taken is done.
            let over = next.load(Ordering::Relaxed) > 0 && Instant::now() >= deadline;
            if over || failed.load(Ordering::Relaxed) {
                return;
            }
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= blocks {
                return;
            }
            if let Err(cause) = operation(block, index * args.block_bytes as u64) {
                failed.store(true, Ordering::Relaxed);
                failure
                    .lock()
                    .unwrap_or_else(|poisoned| poisoned.into_inner())
                    .get_or_insert(cause);
                return;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..args.depth {
            scope.spawn(worker);
        }
    });
    match failure.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
        Some(cause) => Err(cause),
        None => Ok(next.into_inner().min(blocks)),
    }
}

/// Writes one small block and times the fdatasync after it, again and again, where blocks were
/// written before: as in a journal that is recycled.
fn time_syncs(args: &CeilingArgs, file: &File, written: u64) -> io::Result<Latency> {
    let mut nanos =
        Histogram::<u64>::new_with_bounds(1, SYNC_NANOS_MAX, 3).map_err(io::Error::other)?;
    let mut memory = AlignedBlock::new(ALIGN_BYTES);
    let block = memory.bytes_mut();
    fill(block, 0);
    let places = (written * args.block_bytes as u64 / ALIGN_BYTES as u64).max(1);
    file.sync_data()?;
    let started = Instant::now();
    for sample in 0..args.sync_samples {
        if sample > 0 && started.elapsed() >= args.duration_max {
            break;
        }
        file.write_all_at(block, sample % places * ALIGN_BYTES as u64)?;
        let before = Instant::now();
        file.sync_data()?;
        nanos.saturating_record(u64::try_from(before.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    let us = |nanos: u64| nanos as f64 / 1000.0;
    Ok(Latency {
        samples: nanos.len(),
        p50_us: us(nanos.value_at_quantile(0.5)),
        p99_us: us(nanos.value_at_quantile(0.99)),
        max_us: us(nanos.max()),
    })
}

fn progress(phase: &str) {
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        // A line that can't be drawn is no reason to stop.
        let _ = write!(stderr, "\r\x1b[K{phase}{}", if phase.is_empty() { "" } else { " ..." });
    }
}
