//! Named faults of coordinators, which the seeded members must be able to catch: a checker that has never caught
//! anything proves nothing.
//!
//! The code asks `mutants::active(Mutant::X)` where the fault would sit. Outside this crate's tests the answer is a
//! constant `false`, and nothing of it is left in the shipped code.

/// A fault that can be switched on in tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutant {
    /// A member gets partitions that another still holds.
    TakeHeldPartitions,
    /// Partitions count as given up although their member still says that it owns them.
    ForgetWhoOwns,
    /// A member that leaves is taken out, but not of the log.
    LeaveWithoutTombstones,
    /// A heartbeat is answered before the records that it hangs on are durable.
    AnswerBeforeWrite,
}

#[cfg(not(test))]
pub(super) const fn active(_: Mutant) -> bool {
    false
}

#[cfg(test)]
pub(super) use switch::{activate, active};

#[cfg(test)]
mod switch {
    use std::cell::Cell;

    use super::Mutant;

    thread_local! {
        static ACTIVE: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    pub fn active(mutant: Mutant) -> bool {
        ACTIVE.get() == Some(mutant)
    }

    /// Switches `mutant` on, on this thread, until the guard is dropped.
    pub fn activate(mutant: Mutant) -> ActiveMutant {
        assert_eq!(ACTIVE.replace(Some(mutant)), None, "one mutant at a time");
        ActiveMutant(())
    }

    pub struct ActiveMutant(());

    impl Drop for ActiveMutant {
        fn drop(&mut self) {
            ACTIVE.set(None);
        }
    }
}
