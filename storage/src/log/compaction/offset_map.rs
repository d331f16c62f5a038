//! From keys to the offsets of their last records, in bounded memory.
//!
//! Of a key only 128 bits of hash are kept: two SipHashes, each with keys of its own that nobody
//! outside knows. That two of a billion keys meet in all of them happens once in 10^20 passes, and
//! can't be brought about. (Kafka keeps MD5, and ignores collisions too.)

use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};

use crate::mutants::{Mutant, active};

/// Two halves of the hash, and the offset + 1; 0 is an empty slot.
const SLOT_WORDS: usize = 3;
pub(super) const SLOT_BYTES: u64 = (SLOT_WORDS * size_of::<u64>()) as u64;

/// Slots of one piece of memory: small enough to be taken and given back in a moment.
const CHUNK_SLOTS: usize = 8192;

/// The smallest map.
const SLOTS_MIN: u64 = 8;

/// Of ten slots, eight are used at most: probes stay short.
const LOAD: (usize, usize) = (8, 10);

/// What is kept of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyHash([u64; 2]);

/// Takes in a key, piece by piece: a long one takes longer than a step may.
#[derive(Debug)]
pub(super) struct KeyHasher([DefaultHasher; 2]);

impl KeyHasher {
    pub(super) fn write(&mut self, piece: &[u8]) {
        self.0.iter_mut().for_each(|hasher| hasher.write(piece));
    }

    pub(super) fn finish(&self) -> KeyHash {
        let [first, second] = &self.0;
        KeyHash([first.finish(), second.finish()])
    }
}

/// Offsets by key. Memory is taken as it is needed.
#[derive(Debug)]
pub(super) struct OffsetMap {
    hashers: [RandomState; 2],
    chunks: Vec<Vec<u64>>,
    slots: usize,
    used: usize,
}

impl OffsetMap {
    /// A map for `keys` keys, but of no more than `limit_bytes`.
    pub(super) fn new(keys: u64, limit_bytes: u64) -> Self {
        let wanted = keys.saturating_mul(LOAD.1 as u64) / LOAD.0 as u64 + 1;
        let slots = wanted.min(limit_bytes / SLOT_BYTES).max(SLOTS_MIN) as usize;
        let chunks = vec![Vec::new(); slots.div_ceil(CHUNK_SLOTS)];
        OffsetMap { hashers: [RandomState::new(), RandomState::new()], chunks, slots, used: 0 }
    }

    /// Begins to hash a key for this map.
    pub(super) fn hasher(&self) -> KeyHasher {
        KeyHasher([self.hashers[0].build_hasher(), self.hashers[1].build_hasher()])
    }

    /// Notes that a key is at `offset`, which is behind all offsets before; false if there is no room.
    pub(super) fn put(&mut self, KeyHash(hash): KeyHash, offset: i64) -> bool {
        let slot = self.find(hash);
        let is_full = self.used >= self.slots * LOAD.0 / LOAD.1;
        let words = self.words_mut(slot);
        if words[2] == 0 {
            if is_full {
                return false;
            }
            words[0] = hash[0];
            words[1] = hash[1];
        } else if active(Mutant::CompactKeepsOlder) {
            return true;
        }
        let is_new = words[2] == 0;
        words[2] = offset as u64 + 1;
        self.used += usize::from(is_new);
        true
    }

    /// The last offset of a key.
    pub(super) fn get(&self, KeyHash(hash): KeyHash) -> Option<i64> {
        let slot = self.find(hash);
        self.words(slot)[2].checked_sub(1).map(|offset| offset as i64)
    }

    /// Keys in it.
    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// Gives back some pieces of its memory; false if there are none left. Nothing can be asked any
    /// more.
    pub(super) fn shrink(&mut self, pieces: usize) -> bool {
        self.chunks.truncate(self.chunks.len().saturating_sub(pieces));
        !self.chunks.is_empty()
    }

    /// The slot that has this hash, or the empty one where it belongs.
    fn find(&self, hash: [u64; 2]) -> usize {
        let mut slot = ((u128::from(hash[0]) * self.slots as u128) >> 64) as usize;
        loop {
            let words = self.words(slot);
            if words[2] == 0 || words[..2] == hash {
                return slot;
            }
            slot = (slot + 1) % self.slots;
        }
    }

    fn words(&self, slot: usize) -> [u64; SLOT_WORDS] {
        let chunk = &self.chunks[slot / CHUNK_SLOTS];
        let at = slot % CHUNK_SLOTS * SLOT_WORDS;
        match chunk.get(at..at + SLOT_WORDS) {
            Some(words) => [words[0], words[1], words[2]],
            None => [0; SLOT_WORDS],
        }
    }

    fn words_mut(&mut self, slot: usize) -> &mut [u64] {
        let chunk = &mut self.chunks[slot / CHUNK_SLOTS];
        if chunk.is_empty() {
            *chunk = vec![0; CHUNK_SLOTS * SLOT_WORDS];
        }
        let at = slot % CHUNK_SLOTS * SLOT_WORDS;
        &mut chunk[at..at + SLOT_WORDS]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::sim::rng::Rng;

    fn hash(map: &OffsetMap, key: &[u8]) -> KeyHash {
        let mut hasher = map.hasher();
        hasher.write(key);
        hasher.finish()
    }

    #[test]
    fn it_says_what_a_hash_map_says() {
        let rng = Rng::new(7);
        let (mut map, mut model) = (OffsetMap::new(20_000, u64::MAX), HashMap::new());
        for offset in 0..60_000 {
            let key = rng.within(0..20_000).to_string();
            assert!(map.put(hash(&map, key.as_bytes()), offset));
            model.insert(key, offset);
        }
        assert_eq!(map.len(), model.len());
        for key in 0..25_000 {
            let key = key.to_string();
            assert_eq!(map.get(hash(&map, key.as_bytes())), model.get(&key).copied(), "{key}");
        }
    }

    #[test]
    fn it_is_full_at_its_limit_and_still_knows_what_it_has() {
        let mut map = OffsetMap::new(u64::MAX, 24 * 10_000);
        let taken =
            (0..).take_while(|key: &i64| map.put(hash(&map, &key.to_be_bytes()), *key)).count();
        assert_eq!(taken, 8_000);
        assert!(map.put(hash(&map, &5i64.to_be_bytes()), 9_999), "a key that it has takes no room");
        assert_eq!(map.get(hash(&map, &5i64.to_be_bytes())), Some(9_999));
        assert_eq!(map.get(hash(&map, &7_999i64.to_be_bytes())), Some(7_999));
        assert_eq!(map.get(hash(&map, &8_000i64.to_be_bytes())), None);
    }

    #[test]
    fn a_key_is_the_same_in_whatever_pieces_it_comes() {
        let map = OffsetMap::new(1, u64::MAX);
        let key: Vec<u8> = (0..100).collect();
        for at in 0..=key.len() {
            let mut hasher = map.hasher();
            hasher.write(&key[..at]);
            hasher.write(&key[at..]);
            assert_eq!(hasher.finish(), hash(&map, &key));
        }
        assert_ne!(hash(&map, &key), hash(&map, &key[1..]));
    }

    #[test]
    fn memory_is_taken_for_keys_and_not_for_the_limit() {
        let map = OffsetMap::new(10, 1 << 40);
        assert_eq!(map.chunks.len(), 1);
        let mut map = OffsetMap::new(100_000, 1 << 30);
        assert!(map.chunks.iter().all(Vec::is_empty));
        assert!(map.put(hash(&map, b""), 0));
        assert_eq!(map.get(hash(&map, b"")), Some(0));
        assert!(map.shrink(1));
        assert!(!map.shrink(usize::MAX));
    }
}
