//! Whole compactions: what readers, searches, deletions and restarts see of them.

use std::collections::BTreeMap;

use crate::batch::tests::compressed::compress;
use crate::batch::{BatchBuilder, HEADER_BYTES, RawRecords, RawStep, Record};
use crate::batch::{BatchHeader, Compression};
use crate::log::tests::{Broker, ENDS, two_lives};
use crate::log::{LogConfig, ReadError};
use crate::runtime::Runtime;
use crate::sim::Simulation;

const PAD: usize = 3_000;

pub(super) fn config() -> LogConfig {
    LogConfig {
        compact_policy: true,
        delete_policy: false,
        segment_bytes: 20_000,
        min_cleanable_dirty_ppm: 0,
        delete_retention_ms: 60_000,
        ..LogConfig::default()
    }
}

/// A batch of one record; `None` is a tombstone.
pub(super) fn one(key: u8, value: Option<u8>, timestamp_ms: i64) -> Vec<u8> {
    let value = value.map(|byte| vec![byte; PAD]);
    let record = Record { key: Some(vec![key]), value, headers: Vec::new(), timestamp_ms };
    compress(&BatchBuilder::new().record(record).build(), Compression::None)
}

/// Appends `count` records of keys 0..5, the newest at the end, and waits until all but the last
/// segment are compacted.
pub(super) async fn fill(broker: &Broker, count: u8) {
    for i in 0..count {
        let now_ms = broker.runtime.now_ms();
        broker.append(&one(i % 5, Some(i), now_ms)).await;
    }
    broker.sleep_s(40).await;
}

/// Offset and first byte of the value (`None`: a tombstone) of each record that can be read.
pub(super) async fn read_all(broker: &Broker) -> BTreeMap<i64, (u8, Option<u8>)> {
    let offsets = broker.log.offsets();
    let (mut next, mut found) = (offsets.log_start, BTreeMap::new());
    while next < offsets.high_watermark {
        let plan = broker.log.read(next, 10_000).await.unwrap();
        let mut bytes = Vec::new();
        for lease in plan.leases {
            lease.load().await.unwrap().iter().for_each(|slice| bytes.extend_from_slice(slice));
        }
        assert!(!bytes.is_empty(), "nothing at {next}");
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let header = *BatchHeader::read(rest).unwrap();
            let batch = &rest[..header.total_bytes()];
            rest = &rest[batch.len()..];
            next = header.last_offset() + 1;
            let mut records = RawRecords::new(&header, &batch[HEADER_BYTES..], 1 << 20).unwrap();
            loop {
                match records.step().unwrap() {
                    RawStep::Paused => {}
                    RawStep::End => break,
                    RawStep::Record(r) => {
                        let key = r.key.unwrap()[0];
                        let value = r.has_value.then(|| r.bytes[r.bytes.len() - 2]);
                        found.insert(r.offset, (key, value));
                    }
                }
            }
        }
    }
    found
}

#[test]
fn only_the_last_records_are_left_in_this_life_and_the_next() {
    for (seed, end) in (1..).zip(ENDS) {
        let before = async |_: &Simulation, broker: &Broker| {
            fill(broker, 60).await;
            let found = read_all(broker).await;
            assert!(found.len() < 20, "{found:?}");
            for (offset, (key, value)) in &found {
                assert_eq!((*key, *value), ((offset % 5) as u8, Some(*offset as u8)));
            }
            let names = broker.files(".log").await;
            assert!(names.contains(&"00000000000000000000.1.log".to_owned()), "{names:?}");
            assert!(!names.contains(&"00000000000000000000.log".to_owned()), "{names:?}");
        };
        let after = async |_: &Simulation, broker: &Broker| {
            let found = read_all(broker).await;
            assert!(found.len() < 20 && found.len() >= 5, "{found:?}");
            assert_eq!(broker.log.offsets().log_end, 60);
        };
        two_lives(seed, &config(), end, before, after);
    }
}

#[test]
fn offsets_in_gaps_read_on_behind_them_and_times_are_found() {
    let sim = Simulation::new(3);
    sim.run_until(async {
        let broker = Broker::start(&sim, config()).await;
        let began_ms = broker.runtime.now_ms();
        fill(&broker, 60).await;
        let left: Vec<i64> = read_all(&broker).await.into_keys().collect();
        for offset in 0..60 {
            let plan = broker.log.read(offset, 1).await.unwrap();
            let lease = plan.leases.into_iter().next().expect("something is there");
            let mut bytes = Vec::new();
            lease.load().await.unwrap().iter().for_each(|slice| bytes.extend_from_slice(slice));
            let found = BatchHeader::read(&bytes).unwrap().last_offset();
            let mut behind = left.iter().copied().filter(|&left| left >= offset);
            // An emptied batch may come before the next record.
            assert!(found >= offset && behind.next().is_some_and(|next| found <= next));
        }
        let first = broker.log.offset_for_timestamp(began_ms).await.unwrap().unwrap();
        assert_eq!(first.offset, left[0]);
        let newest = broker.log.max_timestamp().await.unwrap().unwrap();
        assert!(left.contains(&newest.offset));
        assert!(broker.log.offset_for_timestamp(i64::MAX).await.unwrap().is_none());
        assert!(matches!(broker.log.read(61, 1).await, Err(ReadError::OutOfRange { .. })));
    });
}

#[test]
fn tombstones_go_with_the_first_pass_behind_their_horizon() {
    let sim = Simulation::new(4);
    sim.run_until(async {
        let broker = Broker::start(&sim, config()).await;
        broker.append(&one(9, Some(1), 1)).await;
        broker.append(&one(9, None, 2)).await;
        fill(&broker, 30).await;
        let found = read_all(&broker).await;
        assert_eq!((found.get(&0), found.get(&1)), (None, Some(&(9, None))), "{found:?}");
        broker.sleep_s(120).await;
        fill(&broker, 30).await;
        let found = read_all(&broker).await;
        assert_eq!(found.get(&1), None, "{found:?}");
        assert!(found.values().any(|(_, value)| value.is_some()));
    });
}

#[test]
fn a_lease_keeps_what_it_was_given_for() {
    let sim = Simulation::new(5);
    sim.run_until(async {
        let never = LogConfig { compact_policy: false, ..config() };
        let broker = Broker::start(&sim, never).await;
        fill(&broker, 60).await;
        let plan = broker.log.read(0, 6_000).await.unwrap();
        broker.log.set_config(config());
        broker.sleep_s(40).await;
        assert!(read_all(&broker).await.len() < 20);
        let mut bytes = Vec::new();
        for lease in plan.leases {
            lease.load().await.unwrap().iter().for_each(|slice| bytes.extend_from_slice(slice));
        }
        assert_eq!(BatchHeader::read(&bytes).unwrap().base_offset(), 0, "gone by now");
    });
}

#[test]
fn records_are_deleted_from_compacted_segments_too() {
    for (seed, end) in (6..).zip(ENDS) {
        let before = async |_: &Simulation, broker: &Broker| {
            fill(broker, 60).await;
            assert_eq!(broker.log.delete_records(Some(52)).await, Ok(52));
            broker.sleep_s(10).await;
        };
        let after = async |_: &Simulation, broker: &Broker| {
            assert_eq!(broker.log.offsets().log_start, 52);
            assert!(read_all(broker).await.keys().all(|offset| *offset >= 52));
            fill(broker, 30).await;
            assert!(read_all(broker).await.len() < 20);
        };
        two_lives(seed, &config(), end, before, after);
    }
}

#[test]
fn a_compacted_segment_that_is_damaged_or_gone_is_said() {
    let sim = Simulation::new(9);
    sim.run_until(async {
        let broker = Broker::start(&sim, config()).await;
        fill(&broker, 60).await;
        let path = crate::log::tests::log_dir().join("00000000000000000000.1.log");
        assert!(sim.bytes_of(&path).is_some());
        broker.runtime.remove_file(&path).await.unwrap();
        broker.stop().await;
    });
    sim.crash(crate::sim::Crash::Kill);
    sim.run_until(async {
        let broker = Broker::start_unchecked(&sim, config()).await;
        let reason = broker.log.offline_reason().expect("it must not be served");
        assert!(reason.contains("00000000000000000000.1.log"), "{reason}");
    });
}

#[test]
fn records_that_wait_for_too_long_are_compacted_without_new_ones() {
    let sim = Simulation::new(10);
    sim.run_until(async {
        let config = LogConfig {
            max_compaction_lag_ms: 5_000,
            min_cleanable_dirty_ppm: 1_000_000,
            ..config()
        };
        let broker = Broker::start(&sim, config).await;
        broker.append(&one(1, Some(1), 1)).await;
        broker.append(&one(1, Some(2), 1)).await;
        broker.sleep_s(60).await;
        assert_eq!(read_all(&broker).await, BTreeMap::from([(1, (1, Some(2)))]));
    });
}

#[test]
fn records_are_safe_for_min_compaction_lag_ms() {
    let sim = Simulation::new(11);
    sim.run_until(async {
        let config = LogConfig { min_compaction_lag_ms: 3_600_000, ..config() };
        let broker = Broker::start(&sim, config).await;
        fill(&broker, 60).await;
        assert_eq!(read_all(&broker).await.len(), 60);
    });
}
