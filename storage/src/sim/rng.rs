//! Randomness of a simulation: SplitMix64 (Steele, Lea, Flood 2014).

use std::cell::Cell;
use std::ops::Range;

/// A stream of random numbers, given by its seed.
#[derive(Debug)]
pub(crate) struct Rng {
    state: Cell<u64>,
}

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Rng { state: Cell::new(seed) }
    }

    pub(crate) fn next(&self) -> u64 {
        let state = self.state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.state.set(state);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of `range`, which must not be empty.
    pub(crate) fn within(&self, range: Range<u64>) -> u64 {
        assert!(range.start < range.end);
        range.start + self.next() % (range.end - range.start)
    }

    /// True `per_million` times in a million.
    pub(crate) fn chance(&self, per_million: u32) -> bool {
        per_million > 0 && self.next() % 1_000_000 < u64::from(per_million)
    }

    /// True every other time.
    pub(crate) fn coin(&self) -> bool {
        self.next() & 1 == 1
    }
}
