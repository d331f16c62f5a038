use proptest::prelude::*;

use super::*;
use crate::runtime::BLOCK_BYTES;

/// A batch as the naive model knows it.
#[derive(Clone, Copy, Debug)]
struct Batch {
    offset: i64,
    position: u64,
    timestamp: i64,
}

/// Batches of the given (records, KiB, timestamp), one behind the other.
fn lay_out(base: i64, shapes: &[(i64, u64, i64)]) -> Vec<Batch> {
    let (mut offset, mut position) = (base, 0);
    let mut batches = Vec::new();
    for &(records, kib, timestamp) in shapes {
        batches.push(Batch { offset, position, timestamp });
        offset += records;
        position += kib * 1024;
    }
    batches
}

fn index_of(base: i64, batches: &[Batch]) -> SegmentIndex {
    let mut index = SegmentIndex::new(base);
    for b in batches {
        index.maybe_push(b.offset, b.position, b.timestamp);
    }
    index
}

/// Position of the last batch for which `wanted` holds, counting the segment's start as one.
fn starts_at_or_before(batches: &[Batch], found: IndexPosition, limit: impl Fn(&Batch) -> bool) {
    let batch = batches.iter().find(|b| b.position == found.position);
    let batch = batch.unwrap_or_else(|| panic!("{found:?} is no batch"));
    assert_eq!(batch.offset, found.offset);
    assert!(found.position == 0 || limit(batch), "{found:?} lies behind what was asked for");
    // Sparse, but not too sparse: never more than an interval and two batches away.
    let best = batches.iter().rfind(|b| limit(b)).map_or(0, |b| b.position);
    assert!(best - found.position < INTERVAL_BYTES + 100 * 1024, "{found:?} is far off {best}");
}

fn agrees_with_model(index: &SegmentIndex, batches: &[Batch]) {
    for b in batches {
        for offset in [b.offset - 1, b.offset, b.offset + 1] {
            starts_at_or_before(batches, index.floor_offset(offset), |x| x.offset <= offset);
        }
        for position in [b.position, b.position + 1, b.position.saturating_sub(1)] {
            let found = index.floor_position(position);
            starts_at_or_before(batches, found, |x| x.position <= position);
        }
        for timestamp in [b.timestamp - 1, b.timestamp, b.timestamp + 1] {
            time_search_agrees(index, batches, timestamp);
        }
    }
}

fn time_search_agrees(index: &SegmentIndex, batches: &[Batch], timestamp: i64) {
    let first = batches.iter().find(|b| b.timestamp >= timestamp);
    let from = index.first_at_or_after_timestamp(timestamp);
    let scanned = from.and_then(|from| {
        batches.iter().find(|b| b.position >= from.position && b.timestamp >= timestamp)
    });
    assert_eq!(scanned.map(|b| b.position), first.map(|b| b.position), "timestamp {timestamp}");
}

fn shapes() -> impl Strategy<Value = Vec<(i64, u64, i64)>> {
    prop::collection::vec((1i64..5, 1u64..100, 0i64..50), 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn searches_agree_with_a_naive_model(base in 0i64..1 << 40, shapes in shapes()) {
        let batches = lay_out(base, &shapes);
        let index = index_of(base, &batches);
        agrees_with_model(&index, &batches);
        prop_assert_eq!(index.max_timestamp(), batches.iter().map(|b| b.timestamp).max());
    }

    #[test]
    fn what_is_cut_and_written_anew_is_found(shapes in shapes(), cut in 0usize..400, other in shapes()) {
        let mut batches = lay_out(7, &shapes);
        let mut index = index_of(7, &batches);
        batches.truncate(cut);
        let end = lay_out(7, &shapes).get(cut).copied();
        if let Some(end) = end {
            index.truncate_to(end.position);
            let grown = lay_out(end.offset, &other);
            for b in grown {
                let b = Batch { position: b.position + end.position, ..b };
                index.maybe_push(b.offset, b.position, b.timestamp);
                batches.push(b);
            }
        }
        agrees_with_model(&index, &batches);
    }

    #[test]
    fn pages_give_back_what_went_in(shapes in prop::collection::vec((1i64..5, 30u64..40, 0i64..50), 1..900)) {
        let batches = lay_out(3, &shapes);
        let index = index_of(3, &batches);
        let bytes = index.encode(0..usize::MAX);
        prop_assert_eq!(bytes.len(), index.page_count() * BLOCK_BYTES);
        let decoded = SegmentIndex::decode(&bytes, 3);
        prop_assert_eq!(decoded.doubt, None);
        let mut again = decoded.index;
        for b in batches.iter().filter(|b| b.position >= decoded.rescan_from) {
            prop_assert!(!again.maybe_push(b.offset, b.position, b.timestamp));
        }
        prop_assert_eq!(again, index);
    }
}

/// Three pages, the last not full.
fn three_pages() -> (SegmentIndex, Vec<u8>) {
    let mut index = SegmentIndex::new(0);
    for i in 0..(ENTRIES_PER_PAGE as u64 * 2 + 10) {
        index.maybe_push(i as i64 + 1, (i + 1) * INTERVAL_BYTES, i as i64);
    }
    let bytes = index.encode(0..3);
    assert_eq!((index.page_count(), index.full_pages(), bytes.len()), (3, 2, 3 * BLOCK_BYTES));
    (index, bytes)
}

#[test]
fn full_pages_never_change() {
    let (mut index, bytes) = three_pages();
    let next = index.last();
    for i in 1..500 {
        index.maybe_push(next.offset + i, next.position + i as u64 * INTERVAL_BYTES, 1_000);
    }
    assert_eq!(index.encode(0..2), &bytes[..2 * BLOCK_BYTES]);
}

#[test]
fn a_prefix_has_the_same_full_pages_and_nothing_beyond() {
    let (index, bytes) = three_pages();
    let cut = u64::from(index.entries[ENTRIES_PER_PAGE + 5].position.get());
    let prefix = index.prefix(cut);
    assert_eq!(prefix.entries, &index.entries[..ENTRIES_PER_PAGE + 5]);
    assert_eq!(prefix.encode(0..1), &bytes[..BLOCK_BYTES]);
    assert_eq!(index.prefix(u64::MAX), index);
    assert!(index.prefix(0).is_empty());
}

#[test]
fn reading_stops_at_the_first_page_in_doubt() {
    let (index, bytes) = three_pages();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        let decoded = SegmentIndex::decode(&flipped, 0);
        let good = at / BLOCK_BYTES * ENTRIES_PER_PAGE;
        assert!(decoded.doubt.is_some(), "byte {at}");
        assert_eq!(decoded.index.entries, &index.entries[..good]);
        let from = good.checked_sub(1).map_or(0, |i| u64::from(index.entries[i].position.get()));
        assert_eq!(decoded.rescan_from, from);
    }
    assert!(SegmentIndex::decode(&bytes, 1).index.is_empty(), "another segment's");
    assert_eq!(SegmentIndex::decode(&bytes[BLOCK_BYTES..], 0).index.len(), 0, "a page lost");
    let torn = SegmentIndex::decode(&bytes[..BLOCK_BYTES * 2 + 512], 0);
    assert_eq!(torn.index.len(), 2 * ENTRIES_PER_PAGE);
}

#[test]
fn pages_of_before_a_truncation_are_not_taken_for_new_ones() {
    let (mut index, mut bytes) = three_pages();
    let cut = u64::from(index.entries[ENTRIES_PER_PAGE + 5].position.get());
    index.truncate_to(cut);
    for i in 0..ENTRIES_PER_PAGE as u64 - 5 {
        let from = index.last();
        assert!(index.maybe_push(from.offset + 1, from.position + INTERVAL_BYTES + 1, i as i64));
    }
    assert_eq!(index.page_count(), 2);
    // The second page reaches the disk; the third is still that of before.
    bytes[BLOCK_BYTES..2 * BLOCK_BYTES].copy_from_slice(&index.encode(1..2));
    let decoded = SegmentIndex::decode(&bytes, 0);
    assert_eq!(decoded.index.entries, index.entries);
    assert!(decoded.doubt.is_some());
}

#[test]
fn batches_out_of_reach_get_no_entry() {
    let mut index = SegmentIndex::new(10);
    assert!(!index.maybe_push(10 + (1 << 32), INTERVAL_BYTES, 0));
    assert!(!index.maybe_push(11, 1 << 32, 0));
    assert!(!index.maybe_push(9, INTERVAL_BYTES, 0));
    assert!(index.maybe_push(9 + (1 << 32), (1 << 32) - 1, 0));
}

#[test]
fn garbage_never_panics() {
    let (_, good) = three_pages();
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        bytes.truncate(random() as usize % (good.len() + 1));
        for _ in 0..random() % 4 {
            if !bytes.is_empty() {
                let at = random() as usize % bytes.len().min(64);
                bytes[at] = random() as u8;
            }
        }
        // A right checksum over wrong content, half the time.
        if random() % 2 == 0 && bytes.len() >= BLOCK_BYTES {
            bytes[28..32].fill(0);
            let crc = crc32fast::hash(&bytes[..BLOCK_BYTES]);
            bytes[28..32].copy_from_slice(&crc.to_le_bytes());
        }
        let decoded = SegmentIndex::decode(&bytes, 0);
        assert!(decoded.index.entries.is_sorted_by(|a, b| a.position.get() < b.position.get()));
    }
}
