//! The promises, held on many seeds; and the named mutants, each caught by the same checker.
//!
//! `CORELANE_SIM_SEEDS=N` runs N seeds instead of the default; `CORELANE_SIM_SEED=S` begins with S.

use super::workload::{Outcome, run, run_uniform};
use crate::mutants::{Mutant, activate};

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
    println!("{seeds} seeds, lost 0: {total:#?}");
    assert!(total.acknowledged > 0 && total.duplicates > 0 && total.clean_stops > 0);
    let counters = total.counters;
    assert!(counters.kills > 0 && counters.power_losses > 0 && counters.writes_torn > 0);
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
fn reusing_a_producer_id_is_caught() {
    caught(Mutant::ReuseProducerId, run);
}
