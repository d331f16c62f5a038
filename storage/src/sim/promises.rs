//! The promises, held on many seeds; and the named mutants, each caught by the same checker.
//!
//! `CORELANE_SIM_SEEDS=N` runs N seeds instead of the default; `CORELANE_SIM_SEED=S` begins with S.

use std::path::Path;
use std::sync::Arc;

use super::workload::{Outcome, run, run_compacted, run_uniform};
use super::{Crash, SimRuntime, Simulation};
use crate::batch::BatchBuilder;
use crate::ids::{PartitionId, TopicId};
use crate::log::LogConfig;
use crate::manifest::Manifest;
use crate::mutants::{Mutant, activate};
use crate::runtime::Runtime;
use crate::store::{Boot, Store, StoreError, StoreLimits};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

#[test]
fn promises_are_kept() {
    let first = number("CORELANE_SIM_SEED", 1);
    let seeds = number("CORELANE_SIM_SEEDS", 150);
    let mut total = Outcome::default();
    for seed in first..first + seeds {
        match run(seed) {
            Ok(outcome) => total = total.plus(&outcome),
            Err(broken) => panic!("{broken}"),
        }
    }
    for seed in first..first + seeds / 10 {
        match run_uniform(seed) {
            Ok(outcome) => total = total.plus(&outcome),
            Err(broken) => panic!("uniform: {broken}"),
        }
    }
    for seed in first..first + seeds / 5 {
        match run_compacted(seed) {
            Ok(outcome) => total = total.plus(&outcome),
            Err(broken) => panic!("compacted: {broken}"),
        }
    }
    println!("{seeds} seeds, lost 0: {total:#?}");
    assert!(total.acknowledged > 0 && total.duplicates > 0 && total.clean_stops > 0);
    assert!(total.records_gone > 0, "nothing was compacted");
    assert!(total.deletions > 0 && total.expirations > 0 && total.times_found > 0);
    assert!(total.whole_ranges > 0, "no read could have been sent from a file");
    let counters = total.counters;
    assert!(counters.kills > 0 && counters.power_losses > 0 && counters.writes_torn > 0);
}

/// A log whose code has panicked may be half changed: a stop must neither checkpoint it nor call
/// itself clean, and what was acknowledged is there after the recovery.
#[test]
fn a_log_that_was_taken_offline_is_recovered_and_not_checkpointed() {
    let sim = Simulation::new(1);
    let id = PartitionId { topic_id: TopicId([1; 16]), index: 0 };
    let batch = BatchBuilder::new().value(0, "kept").build();
    sim.run_until(async {
        let (boot, manifest, store) = boot_one(&sim.runtime(), id).await;
        boot.recovered(&manifest).await.unwrap();
        store.start();
        let log = store.log(id).unwrap();
        log.append(&batch).unwrap();
        log.acknowledged(1).await.unwrap();
        log.go_offline("a panic");
        assert!(log.append(&batch).is_err());
        assert!(matches!(store.stop().await, Err(StoreError::NotAtRest(_))));
        let dir = Path::new("/data/topics").join(id.topic_id.to_string());
        assert!(sim.runtime().list(&dir).await.unwrap().is_empty(), "it was checkpointed");
    });
    sim.crash(Crash::Kill);
    sim.run_until(async {
        let (boot, _, store) = boot_one(&sim.runtime(), id).await;
        assert!(!boot.was_clean());
        assert_eq!(store.log(id).unwrap().offsets().high_watermark, 1);
    });
}

async fn boot_one(
    runtime: &SimRuntime,
    id: PartitionId,
) -> (Arc<Boot>, Manifest<SimRuntime>, Store<SimRuntime>) {
    let (boot, manifest) = Boot::open(runtime, Path::new("/data"), [7; 16]).await.unwrap();
    let boot = Arc::new(boot);
    let logs = vec![(id, LogConfig::default())];
    let limits = StoreLimits::default();
    let recovered = Store::recover(runtime.clone(), boot.clone(), 0, 1, limits, logs).await;
    (boot, manifest, recovered.unwrap().0)
}

/// Seeds until the mutant is caught.
fn caught(mutant: Mutant, run: fn(u64) -> Result<Outcome, String>) -> u64 {
    let _active = activate(mutant);
    let seeds = number("CORELANE_SIM_MUTANT_SEEDS", 1_000);
    for seed in 1..=seeds {
        let ended = std::panic::catch_unwind(|| run(seed));
        if let Ok(Err(broken)) = &ended {
            println!("{mutant:?} caught after {seed} seeds: {broken}");
            return seed;
        }
        if ended.is_err() {
            println!("{mutant:?} caught after {seed} seeds by an assertion");
            return seed;
        }
    }
    panic!("{mutant:?} was not caught in {seeds} seeds");
}

#[test]
fn acknowledging_before_the_write_is_caught() {
    caught(Mutant::AcknowledgeBeforeWrite, run);
}

#[test]
fn acknowledging_strictly_before_the_fsync_is_caught() {
    caught(Mutant::AcknowledgeBeforeFsync, run);
}

#[test]
fn publishing_out_of_order_is_caught() {
    caught(Mutant::PublishOutOfOrder, run);
}

#[test]
fn skipping_the_journals_incarnation_is_caught() {
    caught(Mutant::SkipJournalIncarnation, run);
}

#[test]
fn forgetting_to_cut_the_torn_tail_is_caught() {
    caught(Mutant::ForgetTornTailCut, run_uniform);
}

#[test]
fn forgetting_the_log_start_is_caught() {
    caught(Mutant::ForgetLogStart, run);
}

#[test]
fn forgetting_the_times_of_a_segment_is_caught() {
    caught(Mutant::ForgetSegmentTimes, run);
}

#[test]
fn removing_a_leased_segment_is_caught() {
    caught(Mutant::RemoveLeasedSegment, run);
}

#[test]
fn retention_beyond_the_high_watermark_is_caught() {
    caught(Mutant::RetainBeyondHighWatermark, run);
}

#[test]
fn reusing_a_producer_id_is_caught() {
    caught(Mutant::ReuseProducerId, run);
}

#[test]
fn keeping_the_older_record_of_a_key_is_caught() {
    caught(Mutant::CompactKeepsOlder, run_compacted);
}

#[test]
fn dropping_tombstones_early_is_caught() {
    caught(Mutant::DropTombstonesEarly, run_compacted);
}

#[test]
fn compacting_for_what_is_not_synced_is_caught() {
    caught(Mutant::CompactUnflushed, run_compacted);
}

#[test]
fn swapping_before_the_sync_is_caught() {
    caught(Mutant::SwapBeforeSync, run_compacted);
}

#[test]
fn dropping_a_producers_last_batch_is_caught() {
    caught(Mutant::DropProducersLastBatch, run_compacted);
}
