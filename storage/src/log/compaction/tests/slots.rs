//! A damaged checkpoint slot beside compaction: what is missing is said, and nothing is lost or comes back
//! in silence.

use super::faults::{COUNT, assert_latest, uncompacted};
use super::swaps::{config, fill, one, read_all};
use crate::ids::PartitionId;
use crate::log::tests::{Broker, log_dir};
use crate::log::{Checkpoint, CheckpointError, read_slots, slot_path};
use crate::runtime::Runtime;
use crate::sim::{Crash, Simulation};

/// Any byte that is never zeros, and no checksum fits without.
const ROTTEN_BYTE: u64 = 100;

async fn newest(sim: &Simulation, id: PartitionId) -> Checkpoint {
    let slots = read_slots(&sim.runtime(), &log_dir(), id).await.unwrap();
    slots.newest.expect("a checkpoint was written")
}

async fn names(broker: &Broker) -> Vec<String> {
    let found = broker.runtime.list(&log_dir()).await.unwrap();
    found.into_iter().map(|entry| entry.name).collect()
}

/// What a start makes of a log whose newest slot is damaged.
#[derive(PartialEq, Eq, Debug, Clone, Copy)]
enum Outcome {
    /// Nothing was compacted by then.
    TooEarly,
    /// It was over by then.
    TooLate,
    Offline,
    /// As it was before the last swap.
    Whole,
}

/// Compacts until the `operation`th disk operation, crashes there, and damages the newest slot.
fn damaged_at(operation: u64, crash: Crash) -> Outcome {
    let sim = Simulation::new(operation);
    sim.run_until(async { uncompacted(&sim).await.stop().await });
    sim.crash(Crash::Kill);
    let mut id = None;
    let ended = sim.run_until_crash(async {
        let broker = Broker::start(&sim, config()).await;
        id = Some(broker.log.id());
        let ended = || broker.store.meters().compaction.ended.get() > 0;
        sim.disk().crash_after_operations(operation);
        while !ended() {
            broker.sleep_s(1).await;
        }
        // The old files go.
        broker.sleep_s(10).await;
        sim.disk().crash_after_operations(u64::MAX);
    });
    sim.crash(crash);
    let Some(id) = id else { return Outcome::TooEarly };
    let mut outcome = Outcome::TooEarly;
    sim.run_until(async {
        let newest = newest(&sim, id).await;
        if newest.compacted.segments.is_empty() {
            return;
        }
        sim.disk().rot(&slot_path(&log_dir(), newest.sequence), ROTTEN_BYTE, 3);
        let before = sim.runtime().list(&log_dir()).await.unwrap().len();
        let broker = Broker::start_unchecked(&sim, config()).await;
        if let Some(reason) = broker.log.offline_reason() {
            assert!(reason.contains("restore") || reason.contains("first segment"), "{reason}");
            assert_eq!(names(&broker).await.len(), before, "the files are all that is left");
            outcome = Outcome::Offline;
        } else {
            assert_latest(&broker).await;
            outcome = Outcome::Whole;
        }
    });
    match ended {
        Some(()) => Outcome::TooLate,
        None => outcome,
    }
}

#[test]
fn without_the_newest_slot_a_log_is_whole_or_offline() {
    for crash in [Crash::Kill, Crash::PowerLoss] {
        let outcomes: Vec<Outcome> = (1..)
            .map(|operation| damaged_at(operation, crash))
            .take_while(|outcome| *outcome != Outcome::TooLate)
            .collect();
        let count = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count();
        let (offline, whole) = (count(Outcome::Offline), count(Outcome::Whole));
        assert!(offline > 10 && whole > 5, "{offline} offline, {whole} whole");
    }
}

#[test]
fn a_slot_that_is_damaged_after_a_clean_stop_is_said() {
    for slot in [0, 1] {
        let sim = Simulation::new(41 + slot);
        sim.run_until(async {
            let broker = Broker::start(&sim, config()).await;
            fill(&broker, COUNT).await;
            broker.stop().await;
        });
        sim.crash(Crash::Kill);
        sim.disk().rot(&slot_path(&log_dir(), slot), ROTTEN_BYTE, 3);
        sim.run_until(async {
            let broker = Broker::start_unchecked(&sim, config()).await;
            let reason =
                broker.log.offline_reason().expect("which was the newer one, nobody knows");
            assert!(reason.contains("checkpoint slots"), "{reason}");
        });
    }
}

#[test]
fn a_slot_that_a_crash_has_torn_is_written_again() {
    let sim = Simulation::new(43);
    let mut id = None;
    sim.run_until(async {
        let broker = Broker::start(&sim, config()).await;
        fill(&broker, COUNT).await;
        id = Some(broker.log.id());
    });
    sim.crash(Crash::Kill);
    let id = id.expect("it has run");
    sim.run_until(async {
        let sequence = newest(&sim, id).await.sequence;
        // As the next one, half written.
        sim.disk().rot(&slot_path(&log_dir(), sequence + 1), ROTTEN_BYTE, 3);
        let broker = Broker::start(&sim, config()).await;
        let slots = read_slots(&sim.runtime(), &log_dir(), id).await.unwrap();
        assert!(!slots.is_alone);
        broker.stop().await;
    });
    sim.crash(Crash::Kill);
    sim.run_until(async {
        let broker = Broker::start(&sim, config()).await;
        assert_latest(&broker).await;
    });
}

#[test]
fn a_slot_that_is_damaged_while_the_broker_runs_is_written_again() {
    let sim = Simulation::new(44);
    sim.run_until(async {
        let broker = uncompacted(&sim).await;
        // The second checkpoint: from here on, both slots are written.
        broker.append(&one(0, Some(COUNT), 1)).await;
        broker.log.checkpoint().await;
        let id = broker.log.id();
        let before = newest(&sim, id).await;
        sim.disk().rot(&slot_path(&log_dir(), before.sequence), ROTTEN_BYTE, 3);
        let read = broker.log.newest_checkpoint().await;
        assert!(matches!(read, Err(CheckpointError::NewestDamaged(_))), "{read:?}");
        assert!(broker.log.unsafe_to_stop().is_some());
        broker.log.set_config(config());
        broker.sleep_s(60).await;
        // Never from the older one: what was behind it would come twice, or be gone.
        assert_eq!(broker.store.meters().compaction.ended.get(), 1);
        assert_eq!(broker.store.gauges().uncleanable_logs, 0);
        let slots = read_slots(&sim.runtime(), &log_dir(), id).await.unwrap();
        assert!(!slots.is_alone && broker.log.unsafe_to_stop().is_none());
        broker.stop().await;
    });
    sim.crash(Crash::Kill);
    sim.run_until(async {
        let found = read_all(&Broker::start(&sim, config()).await).await;
        assert!(found.len() < usize::from(COUNT));
        for offset in COUNT - 5..=COUNT {
            assert!(found.contains_key(&i64::from(offset)), "{offset} is gone: {found:?}");
        }
    });
}

#[test]
fn records_are_deleted_though_the_newest_slot_is_damaged() {
    let sim = Simulation::new(46);
    let mut end = 0;
    sim.run_until(async {
        let broker = uncompacted(&sim).await;
        broker.append(&one(0, Some(COUNT), 1)).await;
        broker.log.checkpoint().await;
        let before = newest(&sim, broker.log.id()).await;
        sim.disk().rot(&slot_path(&log_dir(), before.sequence), ROTTEN_BYTE, 3);
        assert_eq!(broker.log.delete_records(Some(7)).await.unwrap(), 7);
        end = broker.log.offsets().log_end;
        broker.stop().await;
    });
    sim.crash(Crash::Kill);
    sim.run_until(async {
        let broker = Broker::start(&sim, config()).await;
        let offsets = broker.log.offsets();
        assert_eq!((offsets.log_start, offsets.log_end), (7, end));
    });
}

#[test]
fn compacted_segments_without_a_checkpoint_are_no_leftovers() {
    let sim = Simulation::new(45);
    sim.run_until(async {
        let broker = Broker::start(&sim, config()).await;
        fill(&broker, COUNT).await;
        for slot in [0, 1] {
            broker.runtime.remove_file(&slot_path(&log_dir(), slot)).await.unwrap();
        }
    });
    sim.crash(Crash::Kill);
    sim.run_until(async {
        let there = sim.runtime().list(&log_dir()).await.unwrap().len();
        let broker = Broker::start_unchecked(&sim, config()).await;
        assert!(broker.log.offline_reason().is_some());
        assert_eq!(names(&broker).await.len(), there);
    });
}
