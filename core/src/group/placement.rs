//! Which partition of the offsets topic a group belongs to.

/// The topic in which groups are kept.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// The partition of `group` among `partitions`: tools compute it, so it is Kafka's.
pub fn partition_of(group: &str, partitions: u32) -> u32 {
    // Java's `Utils.abs`.
    let hash = (java_hash(group) & 0x7fff_ffff).unsigned_abs();
    hash % partitions.max(1)
}

/// Java's `String.hashCode`: over UTF-16 units.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16()
        .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Java says.
    #[test]
    fn hashes_are_those_of_java() {
        for (text, hash) in
            [("", 0), ("a", 97), ("console-consumer-1", 35_782_224), ("größe", 98_762_257)]
        {
            assert_eq!(java_hash(text), hash, "{text}");
        }
        assert_eq!(partition_of("🦀 group", 50), 5);
        // Its hash is i32::MIN, of which there is no absolute value.
        assert_eq!(java_hash("polygenelubricants"), i32::MIN);
        assert_eq!(partition_of("polygenelubricants", 50), 0);
    }
}
