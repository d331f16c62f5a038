//! A seeded generator (SplitMix64, Steele, Lea and Flood 2014): the same seed gives the same test.

pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The seed of `CORELANE_TEST_SEED`, else `default`; printed, so that a failure can be replayed.
    pub fn from_environment(default: u64) -> Self {
        let seed = std::env::var("CORELANE_TEST_SEED")
            .ok()
            .map_or(default, |text| text.parse().expect("CORELANE_TEST_SEED is a number"));
        println!("CORELANE_TEST_SEED={seed}");
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Bytes that no codec makes smaller.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len + 8);
        while out.len() < len {
            out.extend_from_slice(&self.next().to_le_bytes());
        }
        out.truncate(len);
        out
    }

    /// Bytes that every codec makes smaller: runs of one byte and a little noise.
    pub fn text(&mut self, len: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len + 64);
        while out.len() < len {
            let byte = b'a' + self.below(26) as u8;
            out.extend(std::iter::repeat_n(byte, 1 + self.below(40) as usize));
        }
        out.truncate(len);
        out
    }
}
