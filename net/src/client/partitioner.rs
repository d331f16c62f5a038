//! Which partition a record goes to: as Kafka's own producers choose.

/// The partition of a key among `count`: murmur2 without its sign, as Java's default partitioner.
pub fn partition_of_key(key: &[u8], count: usize) -> usize {
    (murmur2(key) & 0x7fff_ffff) as usize % count.max(1)
}

/// Austin Appleby's MurmurHash2, with the seed that Kafka's clients use.
fn murmur2(bytes: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ bytes.len() as u32;
    let mut chunks = bytes.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        k = k.wrapping_mul(M);
        k ^= k >> 24;
        k = k.wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let tail = chunks.remainder();
    for (i, byte) in tail.iter().enumerate() {
        hash ^= u32::from(*byte) << (8 * i);
    }
    if !tail.is_empty() {
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::{murmur2, partition_of_key};

    /// The vectors of Apache Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn hashes_are_those_of_java() {
        for (text, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()) as i32, hash, "{text}");
        }
    }

    #[test]
    fn the_sign_is_dropped_not_negated() {
        // -973932308 & 0x7fffffff = 1173551340.
        assert_eq!(partition_of_key(b"21", 7), 1_173_551_340 % 7);
        assert_eq!(partition_of_key(b"anything", 1), 0);
    }
}
