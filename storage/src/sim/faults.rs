//! Which operations fail, and how often anything happened.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::rng::Rng;

/// Kinds of disk operations, as far as faults and counters tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Read,
    Write,
    /// fdatasync.
    Sync,
    /// allocate, truncate.
    Resize,
    /// open, list, create, remove, length.
    Name,
    SyncDir,
}

/// How often operations fail with EIO, per million.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FaultRates {
    pub(crate) read_eio: u32,
    pub(crate) write_eio: u32,
    /// Of fdatasync and of syncing a directory.
    pub(crate) sync_eio: u32,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) operations: u64,
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    pub(crate) syncs: u64,
    pub(crate) kills: u64,
    pub(crate) power_losses: u64,
    /// Operations failed on purpose.
    pub(crate) eio_reads: u64,
    pub(crate) eio_writes: u64,
    pub(crate) eio_syncs: u64,
    pub(crate) no_space: u64,
    pub(crate) bits_rotten: u64,
    /// Completed writes that a failed sync made impossible to sync.
    pub(crate) writes_dropped_by_failed_sync: u64,
    /// What crashes did to writes in flight or unsynced.
    pub(crate) writes_kept: u64,
    pub(crate) writes_lost: u64,
    pub(crate) writes_torn: u64,
    pub(crate) resizes_lost: u64,
    pub(crate) names_vanished: u64,
    pub(crate) names_come_back: u64,
}

impl Counters {
    /// Both runs' sums.
    pub(crate) fn plus(&self, other: &Counters) -> Counters {
        Counters {
            operations: self.operations + other.operations,
            reads: self.reads + other.reads,
            writes: self.writes + other.writes,
            syncs: self.syncs + other.syncs,
            kills: self.kills + other.kills,
            power_losses: self.power_losses + other.power_losses,
            eio_reads: self.eio_reads + other.eio_reads,
            eio_writes: self.eio_writes + other.eio_writes,
            eio_syncs: self.eio_syncs + other.eio_syncs,
            no_space: self.no_space + other.no_space,
            bits_rotten: self.bits_rotten + other.bits_rotten,
            writes_dropped_by_failed_sync: self.writes_dropped_by_failed_sync
                + other.writes_dropped_by_failed_sync,
            writes_kept: self.writes_kept + other.writes_kept,
            writes_lost: self.writes_lost + other.writes_lost,
            writes_torn: self.writes_torn + other.writes_torn,
            resizes_lost: self.resizes_lost + other.resizes_lost,
            names_vanished: self.names_vanished + other.names_vanished,
            names_come_back: self.names_come_back + other.names_come_back,
        }
    }
}

/// Decides which operations fail.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) rates: Cell<FaultRates>,
    /// Per kind: operations seen so far, and the numbers of those that must fail.
    planned: RefCell<BTreeMap<Kind, (u64, Vec<u64>)>>,
}

impl Faults {
    /// Makes the `nth` operation of `kind` from now on (1 = the next one) fail with EIO.
    pub(super) fn fail_nth(&self, kind: Kind, nth: u64) {
        let mut planned = self.planned.borrow_mut();
        let (seen, fail) = planned.entry(kind).or_default();
        fail.push(*seen + nth);
    }

    /// Whether the next operation of `kind` fails; to be asked once for each.
    pub(super) fn strikes(&self, kind: Kind, rng: &Rng) -> bool {
        let mut planned = self.planned.borrow_mut();
        let (seen, fail) = planned.entry(kind).or_default();
        *seen += 1;
        let due = fail.iter().position(|n| n == seen);
        if let Some(at) = due {
            fail.swap_remove(at);
        }
        let rates = self.rates.get();
        let rate = match kind {
            Kind::Read => rates.read_eio,
            Kind::Write => rates.write_eio,
            Kind::Sync | Kind::SyncDir => rates.sync_eio,
            Kind::Resize | Kind::Name => 0,
        };
        due.is_some() || rng.chance(rate)
    }
}
