//! The simulated disk.
//!
//! # Fault model
//!
//! A file is: its durable content; the changes (writes, changes of size) that completed since but
//! are not synced; the operations in flight. A directory likewise, its changes being names.
//! Operations take random time and complete in any order; a dropped future does not end its
//! operation.
//!
//! * KILL (kill -9 of the process): completed changes survive, synced or not. A write in flight
//!   happens, does not happen, or is torn at sectors of 512 bytes: any subset of its sectors
//!   happens. Other operations in flight happen or not; a recursive removal in part.
//! * POWER LOSS: as a kill, and then every change not covered by a sync that BEGAN after the change
//!   had completed is kept, lost, or (a write) torn at sectors, each independently of the others.
//!   Where several unsynced writes hit one sector, any of them may be the last one kept, but never
//!   an older one over a newer one. Names created or removed since the last sync of their
//!   directory: created ones may vanish, removed ones may come back.
//! * EIO, by rate or at the nth operation: a read gives nothing; a write that fails has happened
//!   in any part; a failed sync leaves each covered change durable, unsynced as before, or clean
//!   but not durable: no later sync covers that one (Linux, "fsyncgate").
//! * ENOSPC when the files' sizes exceed a budget: the operation does nothing.
//! * Bit rot in a chosen byte, on demand.
//!
//! Not modelled: misdirected writes, damage to directories, errors that heal a sector.
//!
//! # What is ours to keep
//!
//! These panic, being faults of the code under test: positions, lengths or memory that are not
//! block-aligned; writing through a file opened for reading; use of a file by a process that has
//! crashed; reading or writing a range with a write in flight to it (can be switched off:
//! [`Disk::allow_races`]).

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::path::Path;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::content::Change;
use super::executor::Executor;
use super::faults::{Counters, FaultRates, Faults, Kind};
use super::namespace::{EIO, ENOSPC, Errno, Node, Tree};
use super::operation::{Operation, Outcome};
use super::rng::Rng;

/// The disk of a simulation; outlives its processes.
pub(crate) struct Disk {
    pub(super) rng: Rng,
    pub(super) tree: RefCell<Tree>,
    pub(super) in_flight: RefCell<BTreeMap<u64, Operation>>,
    pub(super) counters: Cell<Counters>,
    executor: Rc<Executor>,
    faults: Faults,
    next_operation: Cell<u64>,
    space_bytes: Cell<u64>,
    crash_at: Cell<u64>,
    races_allowed: Cell<bool>,
}

#[derive(Default)]
struct Completion {
    result: Option<Result<Outcome, Errno>>,
    waker: Option<Waker>,
}

impl Disk {
    pub(super) fn new(rng: Rng, executor: Rc<Executor>) -> Rc<Self> {
        Rc::new(Disk {
            rng,
            executor,
            tree: RefCell::new(Tree::new()),
            in_flight: RefCell::default(),
            counters: Cell::default(),
            faults: Faults::default(),
            next_operation: Cell::new(0),
            space_bytes: Cell::new(u64::MAX),
            crash_at: Cell::new(u64::MAX),
            races_allowed: Cell::new(false),
        })
    }

    /// How often operations fail from now on.
    pub(crate) fn set_fault_rates(&self, rates: FaultRates) {
        self.faults.rates.set(rates);
    }

    /// Makes the `nth` operation of `kind` from now on (1 = the next one) fail with EIO.
    pub(crate) fn fail_nth(&self, kind: Kind, nth: u64) {
        self.faults.fail_nth(kind, nth);
    }

    /// Sets how many bytes all files together may have; may be raised and lowered.
    pub(crate) fn set_space_bytes(&self, bytes: u64) {
        self.space_bytes.set(bytes);
    }

    /// Bytes of all files.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.tree.borrow().used_bytes()
    }

    /// Makes the run end as soon as `count` more operations have begun or completed.
    pub(crate) fn crash_after_operations(&self, count: u64) {
        self.crash_at.set(count);
    }

    /// Lets reads and writes overlap writes in flight: such a read sees any mix of sectors.
    pub(crate) fn allow_races(&self, allowed: bool) {
        self.races_allowed.set(allowed);
    }

    /// What happened so far.
    pub(crate) fn counters(&self) -> Counters {
        self.counters.get()
    }

    /// Flips a bit of a file, in whatever copies there are but those on their way.
    pub(crate) fn rot(&self, path: &Path, position: u64, bit: u32) {
        let mut tree = self.tree.borrow_mut();
        let inode = tree.find(path).expect("a file to rot");
        let file = tree.file(inode);
        file.current.flip_bit(position, bit);
        if position < file.durable.len() {
            file.durable.flip_bit(position, bit);
        }
        self.count(|c| c.bits_rotten += 1);
    }

    pub(super) fn bytes_of(&self, path: &Path) -> Option<Vec<u8>> {
        let mut tree = self.tree.borrow_mut();
        let inode = tree.find(path)?;
        match &mut tree.nodes.get_mut(&inode)? {
            Node::File(file) => Some(file.current.read(0, file.current.len() as usize)),
            Node::Dir(_) => None,
        }
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Counters)) {
        let mut counters = self.counters.get();
        change(&mut counters);
        self.counters.set(counters);
    }

    /// Number of the last change that has completed.
    pub(super) fn completed(&self) -> u64 {
        self.tree.borrow().completed()
    }

    /// Begins an operation; it completes whether or not the result is awaited.
    pub(super) fn submit(
        self: &Rc<Self>,
        operation: Operation,
    ) -> impl Future<Output = Result<Outcome, Errno>> + use<> {
        self.check_races(&operation);
        self.count_operation(operation.kind());
        let id = self.next_operation.get();
        self.next_operation.set(id + 1);
        let latency = self.latency(operation.kind());
        self.in_flight.borrow_mut().insert(id, operation);

        let completion = Rc::new(RefCell::new(Completion::default()));
        let (disk, shared) = (self.clone(), completion.clone());
        let complete = move || {
            let result = disk.complete(id);
            disk.approach_crash();
            let mut completion = shared.borrow_mut();
            completion.result = Some(result);
            if let Some(waker) = completion.waker.take() {
                waker.wake();
            }
        };
        self.executor.after(latency, Box::new(complete));
        self.approach_crash();
        poll_fn(move |cx| {
            let mut completion = completion.borrow_mut();
            completion.waker = Some(cx.waker().clone());
            completion.result.take().map_or(Poll::Pending, Poll::Ready)
        })
    }

    fn approach_crash(&self) {
        match self.crash_at.get() {
            u64::MAX => {}
            0 | 1 => {
                self.crash_at.set(u64::MAX);
                self.executor.request_crash();
            }
            more => self.crash_at.set(more - 1),
        }
    }

    fn check_races(&self, operation: &Operation) {
        if self.races_allowed.get() {
            return;
        }
        for other in self.in_flight.borrow().values() {
            assert!(!operation.races_with(other), "{operation:?} races with {other:?}");
        }
    }

    fn count_operation(&self, kind: Kind) {
        self.count(|c| {
            c.operations += 1;
            match kind {
                Kind::Read => c.reads += 1,
                Kind::Write => c.writes += 1,
                Kind::Sync | Kind::SyncDir => c.syncs += 1,
                Kind::Resize | Kind::Name => {}
            }
        });
    }

    fn latency(&self, kind: Kind) -> Duration {
        let (usual, rare) = match kind {
            Kind::Read => (300, 5_000),
            Kind::Write => (500, 20_000),
            Kind::Sync | Kind::SyncDir => (3_000, 50_000),
            Kind::Resize | Kind::Name => (100, 2_000),
        };
        let most = if self.rng.chance(20_000) { rare } else { usual };
        Duration::from_micros(self.rng.within(5..most))
    }

    fn complete(&self, id: u64) -> Result<Outcome, Errno> {
        let operation = self.in_flight.borrow_mut().remove(&id).expect("completes once");
        let mut tree = self.tree.borrow_mut();
        if self.faults.strikes(operation.kind(), &self.rng) {
            self.fail(&operation, &mut tree);
            return Err(EIO);
        }
        let growth = operation.growth(&mut tree);
        if growth > 0 && self.space_bytes.get() < u64::MAX {
            let used = tree.used_bytes();
            if used.saturating_add(growth) > self.space_bytes.get() {
                self.count(|c| c.no_space += 1);
                return Err(ENOSPC);
            }
        }
        tree.now_ms = self.executor.wall_ms();
        let outcome = operation.apply(&mut tree)?;
        drop(tree);
        Ok(self.mix_in_races(&operation, outcome))
    }

    /// What an operation does that ends in EIO.
    fn fail(&self, operation: &Operation, tree: &mut Tree) {
        match operation {
            Operation::Read { .. } => self.count(|c| c.eio_reads += 1),
            Operation::Change { inode, change } => {
                self.count(|c| c.eio_writes += 1);
                if matches!(change, Change::Write { .. }) {
                    tree.change_file(*inode, change.clone().torn(&self.rng));
                }
            }
            Operation::Sync { inode, mark } => {
                self.count(|c| c.eio_syncs += 1);
                self.fail_sync(tree, *inode, *mark);
            }
            Operation::SyncDir { .. } => self.count(|c| c.eio_syncs += 1),
            _ => {}
        }
    }

    fn fail_sync(&self, tree: &mut Tree, inode: u64, mark: u64) {
        let file = tree.file(inode);
        for (number, change) in std::mem::take(&mut file.unsynced) {
            match self.rng.within(0..3) {
                _ if number > mark => file.unsynced.push((number, change)),
                0 => file.unsynced.push((number, change)),
                1 => file.durable.apply(&change),
                _ => self.count(|c| c.writes_dropped_by_failed_sync += 1),
            }
        }
    }

    fn mix_in_races(&self, operation: &Operation, outcome: Outcome) -> Outcome {
        let (Operation::Read { inode, position, len }, Outcome::Bytes(_)) = (operation, &outcome)
        else {
            return outcome;
        };
        let in_flight = self.in_flight.borrow();
        let mut racing = in_flight.values().filter(|other| operation.races_with(other)).peekable();
        if racing.peek().is_none() {
            return outcome;
        }
        let mut seen = self.tree.borrow_mut().file(*inode).current.clone();
        for other in racing {
            if let Operation::Change { change, .. } = other {
                seen.apply(&change.clone().torn(&self.rng));
            }
        }
        Outcome::Bytes(seen.read(*position, *len))
    }
}
