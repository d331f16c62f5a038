//! memcpy and CRC-32C on one core: what the payload costs at least if it is touched.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use crc_fast::crc32_iscsi;

use super::gb_per_s;
use crate::cores;
use crate::direct_file::fill;
use crate::error::BenchError;
use crate::stop::Stop;

/// One copy, one checksum.
const BLOCK_BYTES: usize = 1 << 20;

/// Source and target are so large, each, that no cache holds them.
const MEMORY_BYTES: usize = 256 << 20;

/// One measurement of a core.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemoryCeiling {
    /// 10^9 bytes per second that are copied from memory to memory, blocks of 1 MiB.
    pub memcpy_gb_per_s: f64,
    /// 10^9 bytes per second that are checksummed from memory, blocks of 1 MiB.
    pub crc32c_gb_per_s: f64,
}

pub(super) fn measure(
    duration: Duration,
    core: Option<usize>,
    stop: &Stop,
) -> Result<MemoryCeiling, BenchError> {
    // A thread of its own: the pinning ends with it.
    thread::scope(|scope| {
        let measuring = scope.spawn(|| {
            cores::pin(core)?;
            let mut source = vec![0; MEMORY_BYTES];
            fill(&mut source, 1);
            // Touched once: pages that are not there yet are not what is measured.
            let mut target = source.clone();
            let memcpy_gb_per_s = timed(duration, stop, |at| {
                target[at..at + BLOCK_BYTES].copy_from_slice(&source[at..at + BLOCK_BYTES]);
                black_box(&target);
            });
            let crc32c_gb_per_s = timed(duration, stop, |at| {
                black_box(crc32_iscsi(&source[at..at + BLOCK_BYTES]));
            });
            Ok(MemoryCeiling { memcpy_gb_per_s, crc32c_gb_per_s })
        });
        measuring.join().expect("copying does not panic")
    })
}

fn timed(duration: Duration, stop: &Stop, mut block: impl FnMut(usize)) -> f64 {
    let began = Instant::now();
    let mut bytes = 0;
    while bytes == 0 || (began.elapsed() < duration && !stop.is_set()) {
        block((bytes % MEMORY_BYTES as u64) as usize);
        bytes += BLOCK_BYTES as u64;
    }
    gb_per_s(bytes, began.elapsed().as_secs_f64())
}
