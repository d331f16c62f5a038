//! Pools as they are sent.

use std::collections::{BTreeMap, BTreeSet};

use corelane_net::client::partition_of_key;
use corelane_storage::batch::{BatchBuilder, BatchHeader};

use super::{Pool, RecordSettings};
use crate::error::BenchError;
use crate::stop::Stop;

fn small() -> RecordSettings {
    RecordSettings { pool_bytes: 1 << 20, ..RecordSettings::default() }
}

fn build(settings: &RecordSettings, partitions: usize) -> Pool {
    Pool::build(settings, partitions, 1_700_000_000_000, &Stop::new()).unwrap()
}

/// Key and value of a record, both shorter than 8 KiB.
type KeyAndValue<'a> = (&'a [u8], &'a [u8]);

/// The records of an uncompressed batch, read by hand.
fn records(batch: &[u8]) -> Vec<KeyAndValue<'_>> {
    fn varint(bytes: &mut &[u8]) -> i64 {
        let (mut value, mut shift) = (0u64, 0);
        loop {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return (value >> 1) as i64 ^ -((value & 1) as i64);
            }
        }
    }
    fn bytes<'a>(from: &mut &'a [u8]) -> &'a [u8] {
        let len = varint(from).max(0) as usize;
        let (taken, rest) = from.split_at(len);
        *from = rest;
        taken
    }
    let (mut rest, mut found) = (&batch[61..], Vec::new());
    while !rest.is_empty() {
        let mut record = bytes(&mut rest);
        record = &record[1..];
        varint(&mut record);
        varint(&mut record);
        let key = bytes(&mut record);
        found.push((key, bytes(&mut record)));
    }
    found
}

#[test]
fn a_batch_is_as_full_as_it_can_be() {
    for (record_bytes, batch_bytes) in
        [(100, 64 << 10), (0, 1000), (1, 300), (63, 5000), (64, 5000), (8191, 1 << 20)]
    {
        let settings = RecordSettings { record_bytes, batch_bytes, ..small() };
        for batch in build(&settings, 1).batches {
            let header = BatchHeader::validate_from_producer(&batch.bytes).unwrap();
            assert_eq!(header.records_count() as u64, batch.work.records);
            let room = batch_bytes - batch.bytes.len();
            assert!(room < record_bytes + 12, "{record_bytes} of {batch_bytes}: {room} left");
        }
    }
    let lone = RecordSettings { record_bytes: 1000, batch_bytes: 10, pool_bytes: 1, ..small() };
    let lone = build(&lone, 1);
    assert_eq!((lone.report.batches, lone.report.bytes), (1, 1070));
}

#[test]
fn batches_differ_and_the_pool_is_bounded() {
    let pool = build(&small(), 1);
    let different: BTreeSet<_> = pool.batches.iter().map(|batch| batch.bytes.clone()).collect();
    assert_eq!((different.len(), pool.report.batches), (pool.batches.len(), pool.batches.len()));
    assert!((900_000..=1 << 20).contains(&pool.report.bytes), "{:?}", pool.report);
    assert_eq!(pool.report.bytes, pool.report.raw_bytes);
    // The same seed, the same batches.
    assert_eq!(build(&small(), 1).batches[3].bytes, pool.batches[3].bytes);
    let other = RecordSettings { seed: 2, ..small() };
    assert_ne!(build(&other, 1).batches[3].bytes, pool.batches[3].bytes);
    let stop = Stop::new();
    stop.set();
    let stopped = Pool::build(&small(), 1, 0, &stop);
    assert!(matches!(stopped, Err(BenchError::Interrupted)));
}

#[test]
fn keyed_records_lie_where_kafka_would_put_them_and_none_is_left_out() {
    let keys = "zipf:500:1.0".parse().unwrap();
    let settings = RecordSettings { keys, batch_bytes: 4096, ..small() };
    let pool = build(&settings, 7);
    let mut by_key: BTreeMap<&[u8], usize> = BTreeMap::new();
    for batch in &pool.batches {
        BatchHeader::validate_from_producer(&batch.bytes).unwrap();
        assert!(batch.bytes.len() <= 4096);
        for (key, value) in records(&batch.bytes) {
            assert_eq!((value.len(), batch.partition), (100, Some(partition_of_key(key, 7))));
            *by_key.entry(key).or_default() += 1;
        }
    }
    let total: usize = by_key.values().sum();
    assert_eq!(total as u64, pool.report.records);
    // 1 / H(500) of all records have the first key.
    let first = by_key[&b"0000000000000"[..]] as f64 / total as f64;
    assert!((first - 1.0 / 6.793).abs() < 0.02, "{first}");
    let partitions: BTreeSet<_> = pool.batches.iter().map(|batch| batch.partition).collect();
    assert_eq!(partitions.len(), 7);
}

#[test]
fn values_are_as_compressible_as_they_say() {
    for compressibility in [0.0, 0.25, 0.9, 1.0] {
        let settings = RecordSettings { compressibility, record_bytes: 7, ..small() };
        let pool = build(&settings, 1);
        let values: Vec<_> =
            pool.batches.iter().flat_map(|batch| records(&batch.bytes)).map(|r| r.1).collect();
        // A random byte is a filler once in 256.
        let filler = values.concat().iter().filter(|byte| **byte == b'.').count() as f64;
        let share = filler / (values.len() * 7) as f64;
        let expected = compressibility + (1.0 - compressibility) / 256.0;
        assert!((share - expected).abs() < 0.003, "{share} of {compressibility}");
    }
}

#[test]
fn a_files_bytes_are_sent_in_a_circle() {
    let dir = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let path = dir.join(format!("payload-{}", std::process::id()));
    std::fs::write(&path, b"abcdefghij").unwrap();
    let settings = RecordSettings {
        payload_file: Some(path.clone()),
        record_bytes: 4,
        pool_bytes: 300,
        batch_bytes: 120,
        ..small()
    };
    let pool = build(&settings, 1);
    let values: Vec<_> =
        pool.batches.iter().flat_map(|batch| records(&batch.bytes)).map(|r| r.1).collect();
    assert_eq!(values[..6], [b"abcd", b"efgh", b"ijab", b"cdef", b"ghij", b"abcd"]);
    std::fs::write(&path, b"").unwrap();
    let empty = Pool::build(&settings, 1, 0, &Stop::new()).unwrap_err();
    assert!(empty.to_string().contains("is empty"), "{empty}");
    std::fs::remove_file(&path).unwrap();
    let absent = Pool::build(&settings, 1, 0, &Stop::new()).unwrap_err();
    assert!(absent.to_string().contains("reading"), "{absent}");
}

#[test]
fn the_size_of_a_record_is_known_before_it_is_built() {
    let keyed = RecordSettings { keys: "uniform:9".parse().unwrap(), ..small() };
    for settings in [small(), keyed] {
        let report = build(&settings, 3).report;
        assert_eq!(report.bytes, report.raw_bytes, "{settings:?}");
    }
    assert_eq!(
        BatchBuilder::new().value(1, b"x").build().len(),
        61 + super::encoded_bytes(0, None, 1)
    );
}
