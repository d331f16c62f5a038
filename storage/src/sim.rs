//! A simulated world for this crate's tests: tasks, clock and disk, all from one seed.
//!
//! The same seed gives the same run, to the last torn sector. `executor.rs` says how tasks and
//! time go, `disk.rs` states the fault model.

use std::future::Future;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

mod compacted;
mod content;
mod crash;
mod disk;
mod executor;
mod faults;
mod history;
mod namespace;
mod operation;
mod promises;
pub(crate) mod rng;
mod runtime;
mod tests;
mod workload;

#[allow(unused_imports, reason = "the names that tests build upon")]
pub(crate) use self::{
    crash::Crash,
    disk::Disk,
    faults::{Counters, FaultRates, Kind},
    rng::Rng,
    runtime::{SimFile, SimRuntime},
};
use executor::Executor;

/// The whole world. Processes come and go in it: [`Simulation::runtime`] begins one,
/// [`Simulation::crash`] ends it; the disk stays.
pub(crate) struct Simulation {
    seed: u64,
    executor: Rc<Executor>,
    disk: Rc<Disk>,
}

impl Simulation {
    /// An empty disk at time 0.
    pub(crate) fn new(seed: u64) -> Self {
        let executor = Executor::new(Rng::new(seed));
        let disk = Disk::new(Rng::new(seed ^ 0xd15c), executor.clone());
        Simulation { seed, executor, disk }
    }

    /// The runtime of the present process; every shard's is a clone of it.
    pub(crate) fn runtime(&self) -> SimRuntime {
        SimRuntime::new(self.executor.clone(), self.disk.clone())
    }

    /// The disk: its faults, its counters.
    pub(crate) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The disk, for a task of the test.
    pub(crate) fn shared_disk(&self) -> Rc<Disk> {
        self.disk.clone()
    }

    /// Randomness for the test itself.
    pub(crate) fn rng(&self) -> &Rng {
        self.executor.rng()
    }

    /// Runs until `main` ends.
    ///
    /// # Panics
    /// If nothing can ever run again, if it takes more than ten minutes of virtual time, or if a crash
    /// point is reached.
    pub(crate) fn run_until<F: Future>(&self, main: F) -> F::Output {
        self.executor.run(main).expect("a crash point was reached: use run_until_crash")
    }

    /// Runs until `main` ends, or until a crash point ([`Disk::crash_after_operations`]) is
    /// reached: then `None`, and [`Simulation::crash`] is to follow.
    pub(crate) fn run_until_crash<F: Future>(&self, main: F) -> Option<F::Output> {
        self.executor.run(main)
    }

    /// Ends the process: drops every task, then lets the disk lose what this crash may lose.
    pub(crate) fn crash(&self, crash: Crash) {
        self.executor.crash();
        self.disk.crash(crash);
    }

    /// Lets the wall clock jump.
    #[allow(dead_code, reason = "for workloads")]
    pub(crate) fn shift_wall_clock(&self, by: Duration, back: bool) {
        self.executor.shift_wall_clock(by, back);
    }

    /// What a file holds now, as a process would see it; `None` if there is no such file.
    pub(crate) fn bytes_of(&self, path: &Path) -> Option<Vec<u8>> {
        self.disk.bytes_of(path)
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        self.executor.crash();
        if std::thread::panicking() {
            eprintln!("simulation seed {}: {:?}", self.seed, self.disk.counters());
        }
    }
}
