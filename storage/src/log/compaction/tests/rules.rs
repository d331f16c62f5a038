//! What becomes of batches, byte by byte: for any history of keys, values and tombstones, in any codec.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use crate::batch::tests::compressed::compress;
use crate::batch::{
    BatchBuilder, BatchHeader, Compression, HEADER_BYTES, RawRecords, RawStep, Record, Rewrite,
    TimestampType, emptied,
};
use crate::log::compaction::offset_map::{KeyHash, OffsetMap};
use crate::log::compaction::retain::{Fate, Rules, Tally};

const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

/// A record as a consumer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    offset: i64,
    timestamp_ms: i64,
    key: Option<Vec<u8>>,
    /// Offset, key, value, headers.
    bytes: Vec<u8>,
    is_tombstone: bool,
}

fn records(batch: &[u8]) -> Vec<Seen> {
    let header = BatchHeader::read(batch).unwrap();
    header.verify_crc(batch).unwrap();
    assert_eq!(header.total_bytes(), batch.len());
    let mut records = RawRecords::new(header, &batch[HEADER_BYTES..], u64::MAX).unwrap();
    let mut seen = Vec::new();
    loop {
        match records.step().unwrap() {
            RawStep::Paused => {}
            RawStep::End => return seen,
            RawStep::Record(r) => seen.push(Seen {
                offset: r.offset,
                timestamp_ms: r.timestamp_ms,
                key: r.key.map(<[u8]>::to_vec),
                bytes: r.behind_timestamp.to_vec(),
                is_tombstone: !r.has_value,
            }),
        }
    }
}

/// One pass over `batches`, all of them dirty.
fn pass(batches: &[Vec<u8>], now_ms: i64, last_of_producers: &HashSet<i64>) -> Vec<Vec<u8>> {
    let mut map = OffsetMap::new(1_000, u64::MAX);
    for record in batches.iter().flat_map(|batch| records(batch)) {
        let Some(key) = record.key else { continue };
        let hash = hash(&map, &key);
        assert!(map.put(hash, record.offset));
    }
    let until = batches.last().map_or(0, |b| BatchHeader::read(b).unwrap().last_offset() + 1);
    let rules = Rules { map: &map, until, now_ms, delete_retention_ms: 100 };
    batches.iter().filter_map(|batch| compacted(&rules, batch, last_of_producers)).collect()
}

fn hash(map: &OffsetMap, key: &[u8]) -> KeyHash {
    let mut hasher = map.hasher();
    hasher.write(key);
    hasher.finish()
}

fn compacted(rules: &Rules<'_>, batch: &[u8], last_of_producers: &HashSet<i64>) -> Option<Vec<u8>> {
    let header = BatchHeader::read(batch).unwrap();
    let mut tally = Tally::default();
    each(batch, |record| {
        let key = record.key.map(|key| hash(rules.map, key));
        tally.note(&record, rules.keep(header, &record, key));
    });
    let is_last = last_of_producers.contains(&header.last_offset());
    match rules.fate(header, &tally, is_last) {
        Fate::Dropped => None,
        Fate::Stays => Some(batch.to_vec()),
        Fate::Emptied => Some(emptied(header).unwrap()),
        Fate::Rewritten { delete_horizon_ms } => {
            let mut rewrite = Rewrite::new(header, delete_horizon_ms, tally.kept_bytes()).unwrap();
            each(batch, |record| {
                if tally.is_kept(record.index) {
                    let rest = rewrite.put(&record);
                    rewrite.extend(rest);
                }
            });
            while rewrite.step().unwrap() {}
            Some(rewrite.finish().unwrap().sealed())
        }
    }
}

fn each(batch: &[u8], mut visit: impl FnMut(crate::batch::RawRecord<'_>)) {
    let header = BatchHeader::read(batch).unwrap();
    let mut records = RawRecords::new(header, &batch[HEADER_BYTES..], u64::MAX).unwrap();
    loop {
        match records.step().unwrap() {
            RawStep::Paused => {}
            RawStep::End => return,
            RawStep::Record(record) => visit(record),
        }
    }
}

fn record(key: Option<u8>, value: Option<Vec<u8>>, timestamp_ms: i64) -> Record {
    let headers = vec![("name".to_owned(), None)];
    Record { key: key.map(|k| vec![k]), value, headers, timestamp_ms }
}

/// Batches behind each other, of these records, in these codecs.
fn log(batches: &[(Vec<Record>, Compression)]) -> Vec<Vec<u8>> {
    let (mut offset, mut sequence) = (0, 0);
    let batch = |(records, codec): &(Vec<Record>, Compression)| {
        let mut builder = BatchBuilder::new().stamped(offset, 3).producer(9, 1, sequence);
        for record in records {
            builder = builder.record(record.clone());
        }
        offset += records.len() as i64;
        sequence += records.len() as i32;
        compress(&builder.build(), *codec)
    };
    batches.iter().map(batch).collect()
}

fn any_batches() -> impl Strategy<Value = Vec<(Vec<Record>, Compression)>> {
    let value = proptest::option::weighted(0.7, proptest::collection::vec(any::<u8>(), 0..300));
    let record = (proptest::option::weighted(0.95, 0u8..6), value, -1i64..1_000_000)
        .prop_map(|(key, value, timestamp_ms)| record(key, value, timestamp_ms));
    let codec = proptest::sample::select(CODECS.to_vec());
    proptest::collection::vec((proptest::collection::vec(record, 1..8), codec), 1..12)
}

proptest! {
    #[test]
    fn the_last_record_of_each_key_stays_and_nothing_else(batches in any_batches()) {
        let before = log(&batches);
        let after = pass(&before, 5_000, &HashSet::new());
        let all: Vec<Seen> = before.iter().flat_map(|b| records(b)).collect();
        let last: HashMap<_, _> = all.iter().map(|r| (r.key.clone(), r.offset)).collect();
        let expected: Vec<_> =
            all.into_iter().filter(|r| r.key.is_some() && last[&r.key] == r.offset).collect();
        let kept: Vec<_> = after.iter().flat_map(|b| records(b)).collect();
        prop_assert_eq!(kept, expected);
        // A second pass, before any horizon, changes nothing.
        prop_assert_eq!(pass(&after, 5_099, &HashSet::new()), after.clone());
        // And once it has come, tombstones go, and nothing else.
        let later = pass(&after, 5_100, &HashSet::new());
        let left: Vec<_> = later.iter().flat_map(|b| records(b)).collect();
        let values: Vec<_> = after.iter().flat_map(|b| records(b)).filter(|r| !r.is_tombstone).collect();
        prop_assert_eq!(left, values);
    }

    #[test]
    fn batches_keep_everything_by_which_others_know_them(batches in any_batches()) {
        let before = log(&batches);
        let mut originals = before.iter().map(|b| *BatchHeader::read(b).unwrap());
        for batch in pass(&before, 5_000, &HashSet::new()) {
            let after = *BatchHeader::read(&batch).unwrap();
            let original = originals.find(|o| o.base_offset() == after.base_offset()).unwrap();
            prop_assert_eq!(after.last_offset(), original.last_offset());
            prop_assert_eq!(after.leader_epoch(), 3);
            prop_assert_eq!((after.producer_id(), after.producer_epoch()), (9, 1));
            prop_assert_eq!(after.base_sequence(), original.base_sequence());
            prop_assert_eq!(after.last_sequence(), original.last_sequence());
            let kept = records(&batch);
            prop_assert_eq!(after.records_count() as usize, kept.len());
            if let Some(newest) = kept.iter().map(|r| r.timestamp_ms).max() {
                prop_assert_eq!(after.max_timestamp(), newest.max(-1));
                prop_assert_eq!(after.compression(), original.compression());
                let has_tombstone = kept.iter().any(|r| r.is_tombstone);
                prop_assert_eq!(after.delete_horizon_ms(), has_tombstone.then_some(5_100));
            }
        }
    }

    #[test]
    fn damaged_records_are_errors_and_never_panic(
        batches in any_batches(), at in any::<proptest::sample::Index>(), flip in 1u8..,
    ) {
        let mut batch = log(&batches).swap_remove(0);
        let at = HEADER_BYTES + at.index(batch.len() - HEADER_BYTES);
        batch[at] ^= flip;
        let header = *BatchHeader::read(&batch).unwrap();
        let mut records = RawRecords::new(&header, &batch[HEADER_BYTES..], 1 << 20).unwrap();
        while !matches!(records.step(), Ok(RawStep::End) | Err(_)) {}
    }
}

#[test]
fn a_producers_last_batch_and_the_last_of_the_pass_stay_without_records() {
    let one = |key| (vec![record(Some(key), Some(vec![1]), 10)], Compression::Zstd);
    let gone = (vec![record(None, None, 10)], Compression::None);
    let before = log(&[one(1), one(1), one(1), gone]);
    let after = pass(&before, 0, &HashSet::from([1]));
    let kept: Vec<_> = after
        .iter()
        .map(|b| BatchHeader::read(b).unwrap())
        .map(|h| (h.base_offset(), h.records_count(), h.base_sequence(), h.max_timestamp()))
        .collect();
    assert_eq!(kept, [(1, 0, 1, 10), (2, 1, 2, 10), (3, 0, 3, 10)]);
    assert_eq!(after[0].len(), HEADER_BYTES, "nothing is left to be compressed");
    assert_eq!(pass(&after, 0, &HashSet::from([1])), after, "and they stay as they are");
}

#[test]
fn the_brokers_stamp_stays_the_time_of_all_records() {
    let mut batches = log(&[(
        vec![record(Some(1), Some(vec![1]), 10), record(Some(1), None, 20)],
        Compression::None,
    )]);
    let mut header = *BatchHeader::read(&batches[0]).unwrap();
    header.stamp_log_append_time(77);
    batches[0][..HEADER_BYTES].copy_from_slice(zerocopy::IntoBytes::as_bytes(&header));
    let after = pass(&batches, 5_000, &HashSet::new());
    let header = BatchHeader::read(&after[0]).unwrap();
    assert_eq!(header.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!((header.max_timestamp(), header.delete_horizon_ms()), (77, Some(5_100)));
    assert_eq!(records(&after[0]).iter().map(|r| r.timestamp_ms).collect::<Vec<_>>(), [77]);
}
