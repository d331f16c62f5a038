//! The log start: by request and by retention.

use futures_util::future::{Either, select};

use super::*;
use crate::batch::{BatchBuilder, BatchHeader};
use crate::log::{DeleteRecordsError, Durability, Lease, ReadError};

/// Ten records in 50 kB; four of them fill a segment.
fn ten_records() -> Vec<u8> {
    ten_records_at(0)
}

fn ten_records_at(timestamp_ms: i64) -> Vec<u8> {
    (0..10).fold(BatchBuilder::new(), |b, _| b.value(timestamp_ms, vec![7; 5_000])).build()
}

async fn append_100(broker: &Broker) {
    for _ in 0..10 {
        broker.append(&ten_records()).await;
    }
}

#[test]
fn records_below_the_log_start_are_gone_for_good() {
    for (seed, end) in (1..).zip(ENDS) {
        let before = async |_: &Simulation, broker: &Broker| {
            append_100(broker).await;
            assert_eq!(broker.log.delete_records(Some(47)).await, Ok(47));
            assert_eq!(broker.log.delete_records(Some(5)).await, Ok(47), "never back");
            let out = broker.log.read(46, 1).await.unwrap_err();
            assert!(matches!(out, ReadError::OutOfRange { log_start: 47, log_end: 100, .. }));
            let lease = broker.log.read(47, 1).await.unwrap().leases.remove(0);
            let bytes = lease.load().await.unwrap().remove(0);
            assert_eq!(BatchHeader::read(&bytes).unwrap().base_offset(), 40, "a whole batch");
        };
        let after = async |_: &Simulation, broker: &Broker| {
            let offsets = broker.log.offsets();
            assert_eq!((offsets.log_start, offsets.log_end), (47, 100), "{end:?}");
            assert!(broker.log.read(46, 1).await.is_err());
            assert_eq!((broker.log.epoch_of(46), broker.log.epoch_of(47)), (None, Some(0)));
            assert_eq!(broker.log.end_of_epoch(0), Some((0, 100)));
        };
        let strict = LogConfig { durability: Durability::Flushed, ..small_segments() };
        two_lives(seed, &strict, end, before, after);
    }
}

#[test]
fn only_what_is_acknowledged_can_be_deleted() {
    let sim = Simulation::new(1);
    sim.run_until(async {
        let broker = Broker::start(&sim, small_segments()).await;
        append_100(&broker).await;
        for before in [-1, -2, 101] {
            let refused = Err(DeleteRecordsError::OutOfRange { before, high_watermark: 100 });
            assert_eq!(broker.log.delete_records(Some(before)).await, refused);
        }
        assert_eq!(broker.log.delete_records(None).await, Ok(100));
        assert_eq!(broker.append(&ten_records()).await, 100);
        broker.log.go_offline("a test");
        let refused = broker.log.delete_records(None).await;
        assert_eq!(refused, Err(DeleteRecordsError::Offline("a test".into())));
    });
}

#[test]
fn a_power_loss_that_takes_the_tail_does_not_take_the_log_start_back() {
    let mut lost = 0;
    for seed in 0..20 {
        let config = LogConfig { flush_ms: 60_000, ..small_segments() };
        let before = async |_: &Simulation, broker: &Broker| {
            append_100(broker).await;
            assert_eq!(broker.log.delete_records(None).await, Ok(100));
        };
        let after = async |_: &Simulation, broker: &Broker| {
            let offsets = broker.log.offsets();
            assert_eq!((offsets.log_start, offsets.log_end), (100, 100));
            assert_eq!(broker.append(&ten_records()).await, 100);
            assert_eq!(broker.log.epoch_of(100), Some(1));
            broker.sleep_s(10).await;
            let first = broker.files(".log").await.remove(0);
            lost += u32::from(first == "00000000000000000100.log");
        };
        two_lives(seed, &config, Some(Crash::PowerLoss), before, after);
    }
    assert!(lost > 0, "the tail was never lost");
}

#[test]
fn segments_go_when_nobody_reads_them_any_more() {
    let sim = Simulation::new(3);
    sim.run_until(async {
        let broker = Broker::start(&sim, small_segments()).await;
        append_100(&broker).await;
        broker.sleep_s(70).await;
        assert_eq!(broker.files(".log").await.len(), 4);
        let leases = broker.log.read(0, 1).await.unwrap().leases;
        assert!(matches!(leases[0], Lease::File(_)), "the cache has given it up");
        assert_eq!(broker.log.delete_records(Some(65)).await, Ok(65));
        broker.sleep_s(5).await;
        assert_eq!(broker.log.size_bytes() / 1_000, 200, "two of four segments");
        let first = "00000000000000000000.log".to_owned();
        assert_eq!(broker.files(".log").await[0], first, "it is leased");
        assert_eq!(broker.files(".log").await.len(), 3);
        for lease in leases {
            assert!(!lease.load().await.unwrap().is_empty());
        }
        broker.sleep_s(1).await;
        assert_eq!(broker.files(".log").await[0], "00000000000000000060.log");
        assert!(broker.files(".index").await.iter().all(|name| **name >= *"00000000000000000060"));
    });
}

#[test]
fn what_a_crash_leaves_of_deleted_segments_is_swept() {
    let before = async |sim: &Simulation, broker: &Broker| {
        append_100(broker).await;
        broker.sleep_s(10).await;
        assert_eq!(broker.log.delete_records(None).await, Ok(100));
        assert_eq!(broker.files(".log").await.len(), 4, "not yet removed");
        sim.disk().crash_after_operations(u64::MAX);
    };
    let after = async |_: &Simulation, broker: &Broker| {
        assert_eq!(broker.files(".log").await, ["00000000000000000090.log"]);
    };
    two_lives(4, &small_segments(), Some(Crash::Kill), before, after);
}

#[test]
fn a_missing_segment_above_the_log_start_is_damage() {
    let sim = Simulation::new(5);
    sim.run_until(async {
        let broker = Broker::start(&sim, small_segments()).await;
        append_100(&broker).await;
        broker.log.delete_records(Some(35)).await.unwrap();
        broker.sleep_s(10).await;
        let runtime = broker.runtime.clone();
        broker.stop().await;
        runtime.remove_file(&log_dir().join("00000000000000000030.log")).await.unwrap();
    });
    sim.crash(Crash::Kill);
    sim.run_until(async {
        let runtime = sim.runtime();
        let (boot, _) = Boot::open(&runtime, Path::new("/data"), [7; 16]).await.unwrap();
        let logs = vec![(ID, small_segments())];
        let limits = StoreLimits::default();
        let recovered = Store::recover(runtime, Arc::new(boot), 0, 1, limits, logs).await;
        let reason = recovered.unwrap().0.log(ID).unwrap().offline_reason().unwrap();
        assert!(reason.contains("the log starts at offset 35, but its first segment is 60"));
    });
}

#[test]
fn time_and_size_delete_whole_segments() {
    let sim = Simulation::new(6);
    sim.run_until(async {
        let broker = Broker::start(&sim, small_segments()).await;
        let now_ms = broker.runtime.now_ms();
        for age_ms in [90_000, 80_000, 70_000, 60_000, 50_000, 0, 0, 0, 0, 0] {
            broker.append(&ten_records_at(now_ms - age_ms)).await;
        }
        broker.sleep_s(5).await;
        assert_eq!(broker.log.offsets().log_start, 0, "nothing is to be deleted");
        broker.log.set_config(LogConfig { retention_ms: 65_000, ..small_segments() });
        broker.sleep_s(2).await;
        assert_eq!(broker.log.offsets().log_start, 30, "the next segment has newer records");
        broker.log.set_config(LogConfig { retention_bytes: 100_000, ..small_segments() });
        broker.sleep_s(2).await;
        assert_eq!(broker.log.offsets().log_start, 60, "100 kB must stay");
        let by_size = LogConfig { retention_bytes: 0, delete_policy: false, ..small_segments() };
        broker.log.set_config(by_size);
        broker.sleep_s(2).await;
        assert_eq!(broker.log.offsets().log_start, 60, "not the topic's policy");
        broker.log.set_config(LogConfig { retention_ms: 1_000, ..small_segments() });
        broker.sleep_s(5).await;
        let offsets = broker.log.offsets();
        assert_eq!((offsets.log_start, offsets.log_end), (100, 100), "the active one too");
        broker.sleep_s(5).await;
        assert!(broker.files(".log").await.is_empty() && broker.log.size_bytes() == 0);
        assert_eq!(broker.append(&ten_records_at(now_ms)).await, 100);
    });
}

#[test]
fn the_age_of_a_closed_segment_is_known_after_a_restart() {
    for (seed, end) in (1..).zip(ENDS) {
        let config = LogConfig { retention_ms: 100_000, ..small_segments() };
        let before = async |_: &Simulation, broker: &Broker| {
            let now_ms = broker.runtime.now_ms();
            for _ in 0..10 {
                broker.append(&ten_records_at(now_ms)).await;
            }
            broker.sleep_s(40).await;
        };
        let after = async |_: &Simulation, broker: &Broker| {
            broker.sleep_s(30).await;
            assert_eq!(broker.log.offsets().log_start, 0, "{end:?}");
            broker.sleep_s(60).await;
            assert_eq!(broker.log.offsets().log_start, 100, "{end:?}");
        };
        two_lives(seed, &config, end, before, after);
    }
}

#[test]
fn a_full_disk_does_not_keep_retention_from_freeing_it() {
    let sim = Simulation::new(7);
    sim.run_until(async {
        let broker = Broker::start(&sim, small_segments()).await;
        let now_ms = broker.runtime.now_ms();
        for _ in 0..10 {
            broker.append(&ten_records_at(now_ms)).await;
        }
        broker.log.checkpoint().await;
        assert_eq!(broker.log.with_state(|state| state.checkpoint_sequence), 1);
        let disk = sim.disk();
        disk.set_space_bytes(disk.used_bytes());
        broker.log.set_config(LogConfig { retention_bytes: 0, ..small_segments() });
        broker.sleep_s(20).await;
        let offsets = broker.log.offsets();
        assert_eq!((offsets.log_start, offsets.log_end), (100, 100));
    });
}

#[test]
fn a_deletion_does_not_wait_for_a_checkpoint_that_waits_for_space() {
    let sim = Simulation::new(8);
    sim.run_until(async {
        let broker = Broker::start(&sim, small_segments()).await;
        let now_ms = broker.runtime.now_ms();
        for _ in 0..5 {
            broker.append(&ten_records_at(now_ms)).await;
        }
        broker.log.checkpoint().await;
        // What is known of ten thousand producers needs more room than there is.
        for producer_id in 0..10_000 {
            let batch = BatchBuilder::new().producer(producer_id, 0, 0).value(now_ms, "x");
            broker.append(&batch.build()).await;
        }
        broker.sleep_s(1).await;
        let disk = sim.disk();
        disk.set_space_bytes(disk.used_bytes());
        let log = broker.log.clone();
        broker.runtime.spawn(async move { log.checkpoint().await });
        broker.sleep_s(2).await;
        assert!(disk.counters().no_space > 0, "the checkpoint waits");
        let delete = std::pin::pin!(broker.log.delete_records(Some(30)));
        let patience = std::pin::pin!(broker.runtime.sleep(Duration::from_secs(20)));
        let Either::Left((outcome, _)) = select(delete, patience).await else {
            panic!("the deletion waits too");
        };
        assert_eq!(outcome, Ok(30));
        disk.set_space_bytes(u64::MAX);
        broker.sleep_s(2).await;
    });
}
