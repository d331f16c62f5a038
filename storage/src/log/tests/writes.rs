//! What goes to the disk for what was appended.

use std::cell::Cell;
use std::pin::pin;

use futures_util::FutureExt;
use futures_util::future::{Either, join, join_all, select};

use super::*;
use crate::batch::BatchBuilder;
use crate::log::write::SEGMENT_WRITE_BYTES_MAX;
use crate::runtime::block_floor;

fn batch_of(bytes: usize) -> Vec<u8> {
    BatchBuilder::new().value(0, vec![7; bytes]).build()
}

/// Bytes in (segment, journal) writes so far.
fn written(broker: &Broker) -> (u64, u64) {
    let meters = broker.store.meters();
    (meters.segment_written_bytes.get(), meters.journal_written_bytes.get())
}

#[test]
fn a_long_run_goes_straight_into_its_segment_but_for_its_last_block() {
    let sim = Simulation::new(1);
    sim.run_until(async {
        let broker = Broker::start(&sim, LogConfig::default()).await;
        let batch = batch_of(64_000);
        for _ in 0..50 {
            broker.append(&batch).await;
        }
        let (segment, journal) = written(&broker);
        let appended = 50 * batch.len() as u64;
        assert_eq!(segment, appended - appended % 4096, "each full block once, and at once");
        assert!(journal <= 50 * 2 * 4096, "{journal} bytes for what is left of 50 runs");
    });
}

#[test]
fn short_runs_go_into_the_journal_and_follow_in_long_ones() {
    let sim = Simulation::new(2);
    sim.run_until(async {
        let broker = Broker::start(&sim, LogConfig::default()).await;
        let batch = batch_of(1_000);
        for _ in 0..1_000 {
            broker.append(&batch).await;
        }
        broker.sleep_s(1).await;
        let (segment, journal) = written(&broker);
        assert_eq!(journal, 1_000 * 4096, "an entry each, since each was waited for");
        let writes = broker.store.meters().segment_writes.durations().count();
        assert!(segment >= 512 << 10, "{segment} bytes");
        // Of 16 KiB, the least, as this broker has no memory for its cache; the first are smaller.
        assert!(writes <= segment / (16 << 10) + 8, "{writes} writes for {segment} bytes");
    });
}

/// Many partitions may each have less than is worth a write, and all together more than may wait.
#[test]
fn many_logs_with_little_each_do_not_hold_appends_up() {
    const LOGS: u32 = 128;
    let sim = Simulation::new(3);
    sim.run_until(async {
        let runtime = sim.runtime();
        let (boot, manifest) = Boot::open(&runtime, Path::new("/data"), [7; 16]).await.unwrap();
        let boot = Arc::new(boot);
        let limits = StoreLimits { unwritten_bytes: 1 << 20, ..StoreLimits::default() };
        let recovered = Store::recover(runtime.clone(), boot.clone(), 0, 1, limits, Vec::new());
        let (store, _) = recovered.await.unwrap();
        boot.recovered(&manifest).await.unwrap();
        store.start();
        let began = runtime.monotonic();
        let batch = batch_of(8_000);
        for _ in 0..3 {
            let append = async |index| {
                let id = PartitionId { topic_id: TopicId([1; 16]), index };
                let log = store.create_log(id, LogConfig::default());
                store.admit(batch.len()).await;
                let appended = log.append(&batch).unwrap();
                log.acknowledged(appended.last_offset + 1).await.unwrap();
            };
            for some in 0..LOGS / 16 {
                join_all((0..16).map(|one| append(some * 16 + one))).await;
            }
        }
        let took = runtime.monotonic() - began;
        assert!(took < Duration::from_secs(4), "{took:?}: idle logs are looked after every 5 s");
        let waiting = store.gauges().unwritten_bytes;
        assert!(waiting <= (1 << 20) + 16 * 8_192, "{waiting} bytes wait");
    });
}

#[test]
fn of_a_very_large_batch_the_disk_has_a_little_at_a_time() {
    let sim = Simulation::new(4);
    sim.run_until(async {
        let config = LogConfig { max_message_bytes: 64 << 20, ..LogConfig::default() };
        let broker = Broker::start(&sim, config).await;
        let batch = batch_of(20 << 20);
        let appended = broker.log.append_in_steps(&batch).await.unwrap();
        let acknowledged = broker.log.acknowledged(appended.last_offset + 1);
        let most_bytes = Cell::new(0);
        let watch = async {
            loop {
                let shared = &broker.log.inner.shared;
                let bytes = shared.writing_bytes.get() + shared.following_bytes.get();
                most_bytes.set(most_bytes.get().max(bytes));
                broker.runtime.sleep(Duration::from_micros(20)).await;
            }
        };
        let (acknowledged, watch) = (pin!(acknowledged), pin!(watch));
        let Either::Left((acknowledged, _)) = select(acknowledged, watch).await;
        acknowledged.unwrap();
        let most_bytes = most_bytes.get();
        let limit = SEGMENT_WRITE_BYTES_MAX / 2 * 3;
        assert!((1..=limit).contains(&most_bytes), "{most_bytes} bytes at once");
        let (segment, _) = written(&broker);
        assert_eq!(segment, block_floor(batch.len() as u64), "each block once");
    });
}

/// Those who write always, and those who follow, were let in by one count.
#[test]
fn a_very_large_batch_is_written_although_others_never_cease() {
    let sim = Simulation::new(7);
    sim.run_until(async {
        let config = LogConfig { max_message_bytes: 64 << 20, ..LogConfig::default() };
        let broker = Broker::start(&sim, config.clone()).await;
        let (large, other) = (batch_of(20 << 20), batch_of(900_000));
        let written_meanwhile = Cell::new(0);
        let others = (1..17).map(|index| {
            let id = PartitionId { topic_id: TopicId([1; 16]), index };
            let log = broker.store.create_log(id, config.clone());
            let (other, written_meanwhile) = (&other, &written_meanwhile);
            async move {
                for _ in 0..400 {
                    // One is always behind the one that is waited for.
                    let appended = log.append(other).unwrap();
                    log.append(other).unwrap();
                    log.acknowledged(appended.last_offset + 1).await.unwrap();
                    written_meanwhile.set(written_meanwhile.get() + other.len());
                }
            }
        });
        let appended = broker.log.append_in_steps(&large).await.unwrap();
        let acknowledged = pin!(broker.log.acknowledged(appended.last_offset + 1));
        let others = pin!(join_all(others));
        let Either::Left((acknowledged, _)) = select(acknowledged, others).await else {
            panic!("it waited until all others were done");
        };
        acknowledged.unwrap();
        let written_mib = written_meanwhile.get() >> 20;
        assert!(written_mib <= 100, "{written_mib} MiB of others came before 20");
    });
}

/// Or small appends would wait for all of the large one to be written.
#[test]
fn a_large_append_leaves_room_to_small_ones() {
    let sim = Simulation::new(5);
    sim.run_until(async {
        let broker = Broker::start(&sim, LogConfig::default()).await;
        let limit = StoreLimits::default().unwritten_bytes as usize;
        let unwritten = &broker.log.inner.shared.unwritten_bytes;
        unwritten.set(limit as u64 / 2);
        assert!(broker.store.admit(limit / 8 * 3).now_or_never().is_some());
        assert!(broker.store.admit(limit).now_or_never().is_some(), "it never fits");
        unwritten.set(limit as u64 / 2 + 4096);
        assert!(broker.store.admit(limit / 8 * 3).now_or_never().is_none());
        assert!(broker.store.admit(limit / 4).now_or_never().is_some());
        assert!(broker.store.admit_small().now_or_never().is_some());
        unwritten.set(0);
    });
}

/// Those who have nothing to give were asked before those who have.
#[test]
fn a_hot_log_beside_many_quiet_ones_keeps_the_cache_within_its_size() {
    const LOGS: u32 = 300;
    let sim = Simulation::new(6);
    sim.run_until(async {
        let runtime = sim.runtime();
        let (boot, manifest) = Boot::open(&runtime, Path::new("/data"), [7; 16]).await.unwrap();
        let boot = Arc::new(boot);
        let limits = StoreLimits { cache_bytes: 4 << 20, ..StoreLimits::default() };
        let recovered = Store::recover(runtime.clone(), boot.clone(), 0, 1, limits, Vec::new());
        let (store, _) = recovered.await.unwrap();
        boot.recovered(&manifest).await.unwrap();
        store.start();
        let append = async |index, batch: &[u8]| {
            let id = PartitionId { topic_id: TopicId([1; 16]), index };
            let config = LogConfig { segment_bytes: 16 << 20, ..LogConfig::default() };
            let log = store.create_log(id, config);
            let appended = log.append(batch).unwrap();
            log.acknowledged(appended.last_offset + 1).await.unwrap();
        };
        let (small, large) = (batch_of(1_000), batch_of(1_000_000));
        for round in 0..80_u32 {
            for quiet in 0..LOGS / 20 {
                append(1 + (20 * quiet + round) % LOGS, &small).await;
            }
            append(0, &large).await;
            let cached = store.cached_bytes();
            assert!(cached <= 8 << 20, "{cached} bytes in round {round}");
        }
    });
}

#[test]
fn logs_that_are_deleted_leave_no_trace_in_the_cache() {
    let sim = Simulation::new(8);
    sim.run_until(async {
        let limits = StoreLimits { cache_bytes: 4 << 20, ..StoreLimits::default() };
        let broker = Broker::start_within(&sim, LogConfig::default(), limits).await;
        let shared = &broker.log.inner.shared;
        let (small, large) = (batch_of(1_000), batch_of(900_000));
        let id = |index| PartitionId { topic_id: TopicId([1; 16]), index };
        broker.append(&large).await;
        let chunk_bytes = shared.chunk_bytes_max();
        for index in 1..100 {
            let log = broker.store.create_log(id(index), LogConfig::default());
            let appended = log.append(&small).unwrap();
            log.acknowledged(appended.last_offset + 1).await.unwrap();
        }
        for index in 1..100 {
            // Before, amid and after its turns of the cache.
            let others = async {
                for _ in 0..3 {
                    broker.append(&large).await;
                }
            };
            let (deleted, ()) = join(broker.store.delete_log(id(index)), others).await;
            deleted.unwrap();
        }
        for _ in 0..20 {
            broker.append(&large).await;
        }
        assert_eq!(shared.chunk_bytes_max(), chunk_bytes);
    });
}
