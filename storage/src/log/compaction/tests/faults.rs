//! Compaction among crashes, broken and full disks, and people who change their mind.

use std::io::Write;
use std::time::Duration;

use super::swaps::{config, fill, one, read_all};
use crate::batch::tests::compressed::{compress, with_records};
use crate::batch::{BatchBuilder, Compression, Record};
use crate::log::compaction::CompactionLimits;
use crate::log::tests::{Broker, log_dir};
use crate::log::{AppendError, LogConfig};
use crate::runtime::Runtime;
use crate::sim::{Crash, Simulation};

pub(super) const COUNT: u8 = 60;

/// Segments that were not compacted yet, and a broker that goes on.
pub(super) async fn uncompacted(sim: &Simulation) -> Broker {
    let broker = Broker::start(sim, LogConfig { compact_policy: false, ..config() }).await;
    fill(&broker, COUNT).await;
    assert_eq!(read_all(&broker).await.len(), usize::from(COUNT));
    broker
}

/// Each of the five keys must have its last record, and nothing may be there that was not appended.
pub(super) async fn assert_latest(broker: &Broker) -> usize {
    let found = read_all(broker).await;
    for (offset, (key, value)) in &found {
        assert_eq!((*key, *value), ((offset % 5) as u8, Some(*offset as u8)));
    }
    for offset in COUNT - 5..COUNT {
        assert!(found.contains_key(&i64::from(offset)), "{offset} is gone: {found:?}");
    }
    assert_eq!(broker.log.offsets().log_end, i64::from(COUNT));
    found.len()
}

fn limits(broker: &Broker, bytes_per_second: u64, map_bytes: u64) {
    let limits = CompactionLimits { bytes_per_second, map_bytes, ..CompactionLimits::default() };
    broker.store.set_compaction(limits);
}

/// Files of segments, but for those that were appended.
async fn generations(broker: &Broker) -> usize {
    broker.files(".log").await.iter().filter(|name| name.matches('.').count() > 1).count()
}

/// Compacts until the `operation`th disk operation and crashes there. False if it had ended before.
fn crashes_at(operation: u64, crash: Crash) -> bool {
    let sim = Simulation::new(operation);
    sim.run_until(async { uncompacted(&sim).await.stop().await });
    sim.crash(Crash::Kill);
    let ended = sim.run_until_crash(async {
        let broker = Broker::start(&sim, config()).await;
        let ended = || broker.store.meters().compaction.ended.get() > 0;
        sim.disk().crash_after_operations(operation);
        while !ended() {
            broker.sleep_s(1).await;
        }
        sim.disk().crash_after_operations(u64::MAX);
    });
    sim.crash(crash);
    sim.run_until(async {
        let broker = Broker::start(&sim, config()).await;
        assert_latest(&broker).await;
        broker.sleep_s(40).await;
        assert!(assert_latest(&broker).await < 20, "it was not compacted after all");
        let named = broker.log.gauges().segments;
        let there = broker.files(".log").await;
        assert!(there.len() <= named, "{named} segments, {there:?}");
        broker.stop().await;
    });
    ended.is_none()
}

#[test]
fn a_crash_at_any_operation_leaves_the_old_log_or_the_new_one() {
    for crash in [Crash::Kill, Crash::PowerLoss] {
        let crashed = (1..).take_while(|operation| crashes_at(*operation, crash)).count();
        assert!(crashed > 40, "only {crashed} operations until it ended");
    }
}

#[test]
fn a_damaged_batch_stops_the_compaction_and_not_the_partition() {
    let sim = Simulation::new(21);
    sim.run_until(async {
        let broker = uncompacted(&sim).await;
        let second = log_dir().join(&broker.files(".log").await[1]);
        sim.disk().rot(&second, 5_000, 3);
        broker.log.set_config(config());
        broker.sleep_s(60).await;
        let meters = || &broker.store.meters().compaction;
        assert_eq!((meters().ended.get(), meters().failed.get()), (0, 1), "said once");
        assert_eq!(broker.store.gauges().uncleanable_logs, 1);
        assert_eq!((broker.log.offline_reason(), generations(&broker).await), (None, 0));
        assert_eq!(broker.append(&one(1, Some(1), 1)).await, i64::from(COUNT));
        sim.disk().rot(&second, 5_000, 3);
        broker.sleep_s(60).await;
        assert_eq!(meters().ended.get(), 0, "nobody has said that it is mended");
        broker.log.set_config(config());
        broker.sleep_s(60).await;
        assert_eq!((meters().ended.get(), broker.store.gauges().uncleanable_logs), (1, 0));
    });
}

#[test]
fn a_full_disk_leaves_nothing_behind_and_is_tried_again() {
    let sim = Simulation::new(22);
    sim.run_until(async {
        let broker = Broker::start(&sim, LogConfig { compact_policy: false, ..config() }).await;
        // The first segment has to be written again; one of which nothing stays needs no room, and
        // makes some.
        broker.append(&one(200, Some(200), 1)).await;
        fill(&broker, COUNT).await;
        // Until closed segments have given back what was reserved for more.
        broker.sleep_s(10).await;
        let before = sim.disk().used_bytes();
        sim.disk().set_space_bytes(before + 9_000);
        broker.log.set_config(config());
        broker.sleep_s(70).await;
        let meters = || &broker.store.meters().compaction;
        assert_eq!(meters().ended.get(), 0);
        assert!(meters().failed.get() > 2, "it was tried {} times", meters().failed.get());
        assert_eq!((sim.disk().used_bytes(), generations(&broker).await), (before, 0));
        assert_eq!(read_all(&broker).await.len(), usize::from(COUNT) + 1);
        sim.disk().set_space_bytes(u64::MAX);
        broker.sleep_s(40).await;
        let found = read_all(&broker).await;
        assert!(found.len() < 20 && meters().ended.get() > 0, "{found:?}");
        assert_eq!(found.get(&0), Some(&(200, Some(200))));
        assert!(
            (i64::from(COUNT) - 4..=i64::from(COUNT)).all(|offset| found.contains_key(&offset))
        );
    });
}

#[test]
fn a_map_that_is_too_small_takes_several_rounds() {
    let sim = Simulation::new(23);
    sim.run_until(async {
        let broker = Broker::start(&sim, LogConfig { compact_policy: false, ..config() }).await;
        for i in 0..100 {
            broker.append(&one(i % 50, Some(i), 1)).await;
        }
        broker.sleep_s(40).await;
        // Room for 9 keys.
        limits(&broker, u64::MAX, 24 * 12);
        broker.log.set_config(config());
        broker.sleep_s(120).await;
        let rounds = broker.store.meters().compaction.ended.get();
        assert!(rounds >= 9, "{rounds} rounds");
        let found = read_all(&broker).await;
        assert!(found.len() < 60, "{} are left", found.len());
        assert!((50..100).all(|offset| found.contains_key(&offset)));
    });
}

#[test]
fn a_batch_with_more_keys_than_there_is_room_for_is_said() {
    let sim = Simulation::new(24);
    sim.run_until(async {
        let broker = uncompacted(&sim).await;
        let record = |key: u8| Record {
            key: Some(vec![key]),
            value: Some(vec![0; 900]),
            headers: Vec::new(),
            timestamp_ms: 1,
        };
        let many = (0..40).fold(BatchBuilder::new(), |batch, key| batch.record(record(key)));
        broker.append(&many.build()).await;
        fill(&broker, 10).await;
        limits(&broker, u64::MAX, 24 * 12);
        broker.log.set_config(config());
        broker.sleep_s(60).await;
        assert_eq!(broker.store.gauges().uncleanable_logs, 1);
        limits(&broker, u64::MAX, 1 << 20);
        broker.log.set_config(config());
        broker.sleep_s(60).await;
        assert_eq!(broker.store.gauges().uncleanable_logs, 0);
    });
}

/// Begins a compaction that would take hours.
async fn slow(sim: &Simulation) -> Broker {
    let broker = uncompacted(sim).await;
    limits(&broker, 1_000, 1 << 20);
    broker.log.set_config(config());
    broker.sleep_s(45).await;
    assert!(broker.store.meters().compaction.read_bytes.get() > 0, "it has begun");
    broker
}

#[test]
fn a_stop_does_not_wait_for_a_compaction() {
    let sim = Simulation::new(25);
    sim.run_until(async {
        let broker = slow(&sim).await;
        let (runtime, began) = (broker.runtime.clone(), broker.runtime.monotonic());
        broker.stop().await;
        let took = runtime.monotonic() - began;
        assert!(took < Duration::from_secs(1), "{took:?}");
    });
    sim.crash(Crash::Kill);
    sim.run_until(async {
        let broker = Broker::start(&sim, config()).await;
        assert_latest(&broker).await;
    });
}

#[test]
fn a_log_that_is_no_longer_to_be_compacted_is_left_as_it_is() {
    let sim = Simulation::new(26);
    sim.run_until(async {
        let broker = slow(&sim).await;
        broker.log.set_config(LogConfig { compact_policy: false, ..config() });
        limits(&broker, u64::MAX, 1 << 20);
        broker.sleep_s(60).await;
        assert_eq!(assert_latest(&broker).await, usize::from(COUNT));
        assert_eq!(generations(&broker).await, 0);
        let meters = &broker.store.meters().compaction;
        assert_eq!((meters.ended.get(), meters.failed.get()), (0, 0));
    });
}

#[test]
fn a_log_can_be_deleted_while_it_is_compacted() {
    let sim = Simulation::new(27);
    sim.run_until(async {
        let broker = slow(&sim).await;
        broker.store.delete_log(broker.log.id()).await.unwrap();
        broker.sleep_s(60).await;
        assert!(broker.runtime.list(&log_dir()).await.unwrap().is_empty());
    });
}

#[test]
fn records_can_be_deleted_while_they_are_compacted() {
    let sim = Simulation::new(28);
    sim.run_until(async {
        let broker = slow(&sim).await;
        assert_eq!(broker.log.delete_records(Some(40)).await, Ok(40));
        limits(&broker, u64::MAX, 1 << 20);
        broker.sleep_s(60).await;
        let found = read_all(&broker).await;
        assert!(found.keys().all(|offset| *offset >= 40), "{found:?}");
        assert_latest(&broker).await;
        assert_eq!(broker.store.meters().compaction.failed.get(), 0);
    });
}

#[test]
fn segments_are_no_longer_than_the_config_says() {
    let sim = Simulation::new(29);
    sim.run_until(async {
        let broker = uncompacted(&sim).await;
        let small = LogConfig { segment_bytes: 7_000, ..config() };
        broker.log.set_config(LogConfig { min_compaction_lag_ms: 0, ..small });
        broker.sleep_s(40).await;
        assert!(assert_latest(&broker).await < 20);
        let dir = log_dir();
        for name in broker.files(".log").await.iter().filter(|n| n.matches('.').count() > 1) {
            assert!(sim.bytes_of(&dir.join(name)).unwrap().len() <= 7_000, "{name}");
        }
        assert!(generations(&broker).await >= 2);
        broker.stop().await;
    });
    sim.crash(Crash::PowerLoss);
    sim.run_until(async {
        let broker = Broker::start(&sim, config()).await;
        assert!(assert_latest(&broker).await < 20);
    });
}

#[test]
fn a_batch_that_decompresses_without_end_is_given_up() {
    let sim = Simulation::new(30);
    sim.run_until(async {
        let broker = uncompacted(&sim).await;
        let bomb = bomb();
        let refused = broker.log.check_records(&bomb).await;
        assert!(refused.is_ok(), "where it is not compacted, nobody looks: {refused:?}");
        broker.append(&bomb).await;
        fill(&broker, 10).await;
        broker.log.set_config(config());
        let refused = broker.log.check_records(&bomb).await;
        assert!(matches!(refused, Err(AppendError::Records(_))), "{refused:?}");
        broker.sleep_s(60).await;
        assert_eq!(broker.store.gauges().uncleanable_logs, 1);
        assert_eq!(broker.log.offline_reason(), None);
    });
}

#[test]
fn offsets_that_do_not_rise_are_refused_where_compaction_needs_them() {
    let sim = Simulation::new(31);
    sim.run_until(async {
        let broker = Broker::start(&sim, config()).await;
        let record = |value| Record {
            key: Some(vec![1]),
            value: Some(vec![value]),
            headers: Vec::new(),
            timestamp_ms: 0,
        };
        let good = BatchBuilder::new().record(record(1)).record(record(2)).build();
        assert!(!broker.log.must_check_records(&good));
        for codec in [Compression::None, Compression::Zstd] {
            assert!(broker.log.check_records(&compress(&good, codec)).await.is_ok());
            let bad = compress(&same_offsets(&good), codec);
            assert!(broker.log.must_check_records(&bad));
            let refused = broker.log.check_records(&bad).await;
            assert!(matches!(refused, Err(AppendError::Records(_))), "{refused:?}");
        }
    });
}

/// A batch of one record with 70 MiB of zeros.
fn bomb() -> Vec<u8> {
    const VALUE_BYTES: usize = 70 << 20;
    let zeros = vec![0; VALUE_BYTES];
    let mut body = vec![0, 0, 0, 2, b'k'];
    body.extend(varint(VALUE_BYTES));
    let body_bytes = body.len() + VALUE_BYTES + 1;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for part in [&varint(body_bytes), &body, &zeros, &vec![0]] {
        gzip.write_all(part).unwrap();
    }
    let one = BatchBuilder::new().value(1, "").build();
    with_records(&one, Compression::Gzip, &gzip.finish().unwrap())
}

/// A length, as records have them.
fn varint(length: usize) -> Vec<u8> {
    let (mut rest, mut bytes) = (2 * length, Vec::new());
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

/// The batch of two equal-sized records, the second with the offset of the first.
fn same_offsets(batch: &[u8]) -> Vec<u8> {
    let mut bytes = batch.to_vec();
    let second = crate::batch::HEADER_BYTES + (bytes.len() - crate::batch::HEADER_BYTES) / 2;
    // Length, attributes, timestamp delta, then the offset delta.
    assert_eq!(bytes[second + 3], 2, "1, as a varint");
    bytes[second + 3] = 0;
    bytes
}
