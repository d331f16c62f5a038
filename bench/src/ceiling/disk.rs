//! The disk under a directory: direct sequential writes and reads, and fdatasync.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use hdrhistogram::Histogram;

use super::report::Latency;
use super::{CeilingArgs, gb_per_s};
use crate::direct_file::{ALIGN_BYTES, AlignedBlock, fill, open_unnamed, preallocate};
use crate::error::BenchError;
use crate::load::FREE_BYTES;
use crate::stop::Stop;

/// Slower syncs count as this, a minute.
const SYNC_NANOS_MAX: u64 = 60_000_000_000;

/// Largest block of one operation.
const BLOCK_BYTES_MAX: usize = 64 << 20;

/// Most operations at once; each has a thread and a block of memory.
const DEPTH_MAX: usize = 64;

/// One measurement of a disk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiskCeiling {
    /// False if the filesystem refuses O_DIRECT: then the page cache was measured as well.
    pub is_direct: bool,
    /// Bytes written in sequence into preallocated space.
    pub written_bytes: u64,
    /// 10^9 of them per second.
    pub write_gb_per_s: f64,
    /// Bytes of the same that were read.
    pub read_bytes: u64,
    /// 10^9 of them per second.
    pub read_gb_per_s: f64,
    /// fdatasync after each write of one 4 KiB block, where blocks were written before.
    pub sync: Latency,
}

pub(super) fn measure(args: &CeilingArgs, stop: &Stop) -> Result<DiskCeiling, BenchError> {
    let failed =
        |operation| move |source| BenchError::File { operation, path: args.dir.clone(), source };
    let blocks = (args.bytes / args.block_bytes as u64).max(1);
    let (file, is_direct) = open_unnamed(&args.dir).map_err(failed("creating a file in"))?;
    preallocate(&file, blocks * args.block_bytes as u64).map_err(failed("reserving space in"))?;

    let began = Instant::now();
    let write = |block: &mut [u8], position| file.write_all_at(block, position);
    let written = transfer(args, blocks, stop, write).map_err(failed("writing in"))?;
    let write_s = began.elapsed().as_secs_f64();

    let began = Instant::now();
    let read = |block: &mut [u8], position| file.read_exact_at(block, position);
    let read = transfer(args, written, stop, read).map_err(failed("reading in"))?;
    let read_s = began.elapsed().as_secs_f64();

    let sync = time_syncs(args, &file, written, stop).map_err(failed("syncing in"))?;
    let (written_bytes, read_bytes) =
        (written * args.block_bytes as u64, read * args.block_bytes as u64);
    Ok(DiskCeiling {
        is_direct,
        written_bytes,
        write_gb_per_s: gb_per_s(written_bytes, write_s),
        read_bytes,
        read_gb_per_s: gb_per_s(read_bytes, read_s),
        sync,
    })
}

pub(super) fn check(args: &CeilingArgs) -> Result<(), BenchError> {
    let wrong = |text: String| Err(BenchError::Argument(text));
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
    let bytes = args.bytes.saturating_mul(u64::from(args.repeats.max(1)));
    if bytes > FREE_BYTES && !args.is_confirmed {
        let gb = bytes as f64 / 1e9;
        return wrong(format!("this would write {gb:.1} GB; --yes allows it"));
    }
    Ok(())
}

/// Runs `operation` over the blocks in order, `depth` at once, until all are done or the time is
/// up; returns how many were done. They are the first ones, without a gap.
fn transfer(
    args: &CeilingArgs,
    blocks: u64,
    stop: &Stop,
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
            if over || stop.is_set() || failed.load(Ordering::Relaxed) {
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
fn time_syncs(args: &CeilingArgs, file: &File, written: u64, stop: &Stop) -> io::Result<Latency> {
    let mut nanos =
        Histogram::<u64>::new_with_bounds(1, SYNC_NANOS_MAX, 3).map_err(io::Error::other)?;
    let mut memory = AlignedBlock::new(ALIGN_BYTES);
    let block = memory.bytes_mut();
    fill(block, 0);
    let places = (written * args.block_bytes as u64 / ALIGN_BYTES as u64).max(1);
    file.sync_data()?;
    let started = Instant::now();
    for sample in 0..args.sync_samples {
        if stop.is_set() || (sample > 0 && started.elapsed() >= args.duration_max) {
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
