//! Named faults of this crate's own code, which the simulator must be able to catch: a checker
//! that has never caught anything proves nothing.
//!
//! The code asks `mutants::active(Mutant::X)` where the fault would sit. Outside this crate's tests
//! the answer is a constant `false`, and nothing of it is left in the shipped code.

/// A fault that can be switched on in tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "each is named only where it breaks something")]
pub(crate) enum Mutant {
    /// An append is acknowledged before its write has completed.
    AcknowledgeBeforeWrite,
    /// A strict append is acknowledged before an fdatasync covers it.
    AcknowledgeBeforeFsync,
    /// A completed write is published although an earlier one is still in flight.
    PublishOutOfOrder,
    /// Recovery takes journal records of an earlier incarnation for live ones.
    SkipJournalIncarnation,
    /// Recovery leaves a torn batch at the log's end.
    ForgetTornTailCut,
    /// The log start moves without having been written.
    ForgetLogStart,
    /// Recovery forgets the timestamps before the checkpoint.
    ForgetSegmentTimes,
    /// Retention deletes what is not acknowledged yet.
    RetainBeyondHighWatermark,
    /// A segment's files are removed although a lease holds them.
    RemoveLeasedSegment,
    /// Compaction keeps the first record of a key and not the last.
    CompactKeepsOlder,
    /// Compaction drops tombstones before their horizon.
    DropTombstonesEarly,
    /// Compaction gives up records for later ones that are not synced yet.
    CompactUnflushed,
    /// A compacted segment takes its place before it is synced.
    SwapBeforeSync,
    /// Compaction drops the batch that has its producer's last sequence.
    DropProducersLastBatch,
    /// Producer ids are given out before their reservation is durable.
    ReuseProducerId,
}

#[cfg(not(test))]
pub(crate) const fn active(_: Mutant) -> bool {
    false
}

#[cfg(test)]
#[allow(unused_imports, reason = "tests switch mutants on one by one")]
pub(crate) use switch::{activate, active};

#[cfg(test)]
mod switch {
    use std::cell::Cell;

    use super::Mutant;

    thread_local! {
        static ACTIVE: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    pub(crate) fn active(mutant: Mutant) -> bool {
        ACTIVE.get() == Some(mutant)
    }

    #[allow(dead_code, reason = "as above")]
    /// Switches `mutant` on, on this thread, until the guard is dropped.
    pub(crate) fn activate(mutant: Mutant) -> ActiveMutant {
        assert_eq!(ACTIVE.replace(Some(mutant)), None, "one mutant at a time");
        ActiveMutant(())
    }

    #[allow(dead_code, reason = "as above")]
    pub(crate) struct ActiveMutant(());

    impl Drop for ActiveMutant {
        fn drop(&mut self) {
            ACTIVE.set(None);
        }
    }
}
