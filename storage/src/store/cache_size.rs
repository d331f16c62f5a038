//! How much memory the tail cache may hold at the moment: pure state.
//!
//! Memory that is touched for the first time costs more than all else that an append does to it, and
//! memory that was used a moment ago is in the core's caches. So the cache begins small, and goes
//! round in the same memory. It grows by what readers had to be sent to the disk for although a
//! cache of the configured size would have had it, and shrinks once nobody reads so far behind.

use std::time::Duration;

/// What it holds at least, if it is allowed as much.
const BYTES_MIN: u64 = 128 << 20;

/// It stays as large as it is for so long after somebody has read what a cache of [`BYTES_MIN`]
/// would not have had.
const USEFUL_FOR: Duration = Duration::from_secs(600);

/// Part of it that it gives up in each step.
const STEP: u64 = 32;

/// The size of one shard's cache.
#[derive(Debug)]
pub(crate) struct CacheSize {
    bytes: u64,
    bytes_min: u64,
    bytes_max: u64,
    last_useful: Duration,
}

impl CacheSize {
    /// A cache that may grow to `bytes_max`; if it is `fixed`, it has them at once and for good.
    pub(crate) fn new(bytes_max: u64, fixed: bool) -> CacheSize {
        let bytes_min = if fixed { bytes_max } else { bytes_max.min(BYTES_MIN) };
        CacheSize { bytes: bytes_min, bytes_min, bytes_max, last_useful: Duration::ZERO }
    }

    /// What it may hold now.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A reader was given about `bytes`, which lie `behind_bytes` before the end of their log: out of
    /// memory, or else from the disk.
    pub(crate) fn read(&mut self, behind_bytes: u64, bytes: u64, in_memory: bool, now: Duration) {
        if !(self.bytes_min..=self.bytes_max).contains(&behind_bytes) {
            return;
        }
        self.last_useful = now;
        if !in_memory {
            self.bytes = self.bytes.saturating_add(bytes).min(self.bytes_max);
        }
    }

    /// Gives up a part of what nobody needs any more. To be called about once a second.
    pub(crate) fn tick(&mut self, now: Duration) {
        if now.saturating_sub(self.last_useful) >= USEFUL_FOR {
            self.bytes = (self.bytes - self.bytes / STEP).max(self.bytes_min);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_grows_by_what_it_would_have_had_and_no_further() {
        let mut size = CacheSize::new(1000 * MIB, false);
        assert_eq!(size.bytes(), BYTES_MIN);
        size.read(10 * MIB, MIB, false, SECOND);
        size.read(2000 * MIB, MIB, false, SECOND);
        size.read(500 * MIB, MIB, true, SECOND);
        assert_eq!(size.bytes(), BYTES_MIN, "near, too far, and already in memory");
        size.read(500 * MIB, MIB, false, SECOND);
        assert_eq!(size.bytes(), BYTES_MIN + MIB);
        size.read(500 * MIB, u64::MAX, false, SECOND);
        assert_eq!(size.bytes(), 1000 * MIB);
    }

    #[test]
    fn it_shrinks_once_nobody_needs_it() {
        let mut size = CacheSize::new(1000 * MIB, false);
        size.read(500 * MIB, 1000 * MIB, false, SECOND);
        size.read(500 * MIB, MIB, true, 400 * SECOND);
        size.tick(999 * SECOND);
        assert_eq!(size.bytes(), 1000 * MIB, "somebody has read from it");
        size.tick(1000 * SECOND);
        assert!(size.bytes() < 1000 * MIB && size.bytes() > 900 * MIB);
        (0..200).for_each(|_| size.tick(1001 * SECOND));
        assert_eq!(size.bytes(), BYTES_MIN);
    }

    #[test]
    fn a_fixed_or_a_small_one_stays_as_it_is() {
        for mut size in [CacheSize::new(1000 * MIB, true), CacheSize::new(MIB, false)] {
            let before = size.bytes();
            size.read(before, MIB, false, SECOND);
            size.tick(2000 * SECOND);
            assert_eq!(size.bytes(), before);
        }
    }
}
