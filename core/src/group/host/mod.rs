//! Coordinators where they live: on the shard that owns their partition of the offsets topic.
//!
//! A step of a coordinator, the appends that it asks for and the answers that it has run without a
//! pause, so that the log has its records in the order of its decisions. What waits for the disk follows,
//! in the same order.
//!
//! - `load.rs`: reading a partition back
//! - `write.rs`: appends, and what follows when they are durable
//! - `aside.rs`: work that is too long for a step
//! - `topics.rs`: the topics, as coordinators see them
//! - `figures.rs`: what metrics tell of them
//! - `clock.rs`: what happens when nobody does anything

mod aside;
mod clock;
mod figures;
pub(super) mod load;
mod topics;
mod write;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    ConsumerGroupHeartbeatResponse, JoinGroupResponse, SyncGroupResponse,
};
use corelane_storage::ids::{PartitionId, TopicId};
use corelane_storage::runtime::Runtime;

use super::classic::{join_refusal, sync_refusal};
use super::coordinator::Coordinator;
use super::rules::Rules;
use super::turn::{Answer, Now, Turn, Waiter};
use crate::shard::Shard;
use clock::Clock;
pub use figures::{GroupCounters, Standing};
use write::Pending;

/// How long a coordinator that has failed is left alone before it is loaded again.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// The coordinators of one shard.
pub struct Groups {
    rules: Rules,
    hosts: RefCell<HashMap<PartitionId, Rc<Host>>>,
    waiters: Cell<u64>,
    counters: GroupCounters,
}

/// One partition's coordinator.
pub(crate) struct Host {
    id: PartitionId,
    phase: RefCell<Phase>,
    parked: RefCell<HashMap<Waiter, Parked>>,
    /// Written, but not durable yet; in the order of the log.
    pending: RefCell<VecDeque<Pending>>,
    is_pumped: Cell<bool>,
    clock: Clock,
}

enum Phase {
    Loading,
    Active(Box<Coordinator>),
    /// Since when, by the monotonic clock.
    Failed(Duration),
    /// Its topic is deleted.
    Gone,
}

/// Where a late answer goes. The other end is on the connection's shard; if it is gone, so is the
/// client.
pub(super) enum Parked {
    Join(flume::Sender<JoinGroupResponse>),
    Sync(flume::Sender<SyncGroupResponse>),
    Beat(flume::Sender<ConsumerGroupHeartbeatResponse>),
}

/// A step's writes: resolves when all of them are durable.
#[must_use]
pub(crate) struct Stored(Option<flume::Receiver<()>>);

impl Stored {
    /// These and, if there are none, those of an earlier step: writes become durable in their order.
    fn or(self, earlier: Stored) -> Stored {
        Stored(self.0.or(earlier.0))
    }

    /// False if they are lost.
    pub async fn wait(self) -> bool {
        match self.0 {
            None => true,
            Some(stored) => stored.recv_async().await.is_ok(),
        }
    }
}

impl Groups {
    /// No coordinators yet.
    pub fn new(rules: Rules) -> Groups {
        Groups {
            rules,
            hosts: RefCell::default(),
            waiters: Cell::new(0),
            counters: GroupCounters::default(),
        }
    }

    /// Kafka's configs for groups.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The coordinator of a partition that this shard owns; loads it if that is to be done.
    ///
    /// # Errors
    /// NOT_COORDINATOR if this shard does not have the partition, or not yet.
    pub(super) fn host(&self, shard: &Rc<Shard>, id: PartitionId) -> Result<Rc<Host>, ErrorCode> {
        let known = self.hosts.borrow().get(&id).cloned();
        if let Some(host) = known {
            host.retry(shard);
            return Ok(host);
        }
        shard.partition(id).map_err(|_| ErrorCode::NotCoordinator)?;
        let host = Rc::new(Host::new(id));
        self.hosts.borrow_mut().insert(id, host.clone());
        host.clone().begin_loading(shard);
        Ok(host)
    }

    /// All coordinators that there are by now, in the order of their partitions.
    pub(crate) fn all(&self) -> Vec<Rc<Host>> {
        let mut all: Vec<Rc<Host>> = self.hosts.borrow().values().cloned().collect();
        all.sort_unstable_by_key(|host| (host.id.topic_id, host.id.index));
        all
    }

    /// What they did.
    pub fn counters(&self) -> &GroupCounters {
        &self.counters
    }

    pub(super) fn new_waiter(&self) -> Waiter {
        self.waiters.set(self.waiters.get() + 1);
        Waiter(self.waiters.get())
    }

    /// The offsets topic is deleted, and with it its groups.
    pub fn close(&self, topic: TopicId) {
        let is_gone = |id: &PartitionId| id.topic_id == topic;
        let mut hosts = self.hosts.borrow_mut();
        let gone: Vec<_> = hosts.extract_if(|id, _| is_gone(id)).map(|(_, host)| host).collect();
        drop(hosts);
        gone.iter().for_each(|host| host.leave(Phase::Gone));
    }
}

impl Host {
    fn new(id: PartitionId) -> Host {
        Host {
            id,
            phase: RefCell::new(Phase::Loading),
            parked: RefCell::default(),
            pending: RefCell::default(),
            is_pumped: Cell::new(false),
            clock: Clock::default(),
        }
    }

    /// Whether it can be asked; `None` if its topic is deleted.
    pub fn standing(&self) -> Option<Standing> {
        match &*self.phase.borrow() {
            Phase::Loading => Some(Standing::Loading),
            Phase::Active(_) => Some(Standing::Active),
            Phase::Failed(_) => Some(Standing::Failed),
            Phase::Gone => None,
        }
    }

    /// One step: its writes are appended and its answers on their way when this returns.
    ///
    /// # Errors
    /// COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR.
    pub(super) fn step<T>(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        work: impl FnOnce(&mut Coordinator, &mut Turn<'_>) -> T,
    ) -> Result<(T, Stored), ErrorCode> {
        let topics = shard.topics_as_coordinators_see_them();
        let mut turn = Turn::new(shard.group_time(), &shard.groups.rules).with_topics(&topics);
        let value = {
            let mut phase = self.phase.borrow_mut();
            let coordinator = match &mut *phase {
                Phase::Active(coordinator) => coordinator,
                Phase::Loading => return Err(ErrorCode::CoordinatorLoadInProgress),
                Phase::Failed(_) => return Err(ErrorCode::CoordinatorNotAvailable),
                Phase::Gone => return Err(ErrorCode::NotCoordinator),
            };
            catch_unwind(AssertUnwindSafe(|| work(coordinator, &mut turn)))
        };
        let Turn { answers, writes, jobs, tally, .. } = turn;
        drop(topics);
        let Ok(value) = value else {
            self.fail(shard, "its code has panicked; see the log above");
            return Err(ErrorCode::CoordinatorNotAvailable);
        };
        let stored = self.append(shard, writes)?;
        shard.groups.counters.add(tally);
        answers.into_iter().for_each(|(waiter, answer)| self.send(waiter, answer));
        jobs.into_iter().for_each(|job| self.work(shard, job));
        self.keep_time(shard);
        Ok((value, stored))
    }

    /// Takes steps until one of them breaks, with a pause after each, so that work on very many offsets
    /// does not hold the shard.
    ///
    /// # Errors
    /// As [`Host::step`].
    pub(super) async fn steps<T>(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        mut work: impl FnMut(&mut Coordinator, &mut Turn<'_>) -> ControlFlow<T>,
    ) -> Result<(T, Stored), ErrorCode> {
        let mut stored = Stored(None);
        loop {
            shard.store.admit_small().await;
            let (flow, more) = self.step(shard, &mut work)?;
            stored = more.or(stored);
            if let ControlFlow::Break(value) = flow {
                return Ok((value, stored));
            }
            shard.runtime.yield_now().await;
        }
    }

    /// As [`Host::step`], for a request that may be answered later.
    ///
    /// # Errors
    /// As [`Host::step`].
    pub(super) fn park(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        parked: Parked,
        work: impl FnOnce(&mut Coordinator, Waiter, &mut Turn<'_>),
    ) -> Result<(), ErrorCode> {
        let waiter = shard.groups.new_waiter();
        self.parked.borrow_mut().insert(waiter, parked);
        let stepped = self.step(shard, |coordinator, turn| work(coordinator, waiter, turn));
        if stepped.is_err() {
            self.parked.borrow_mut().remove(&waiter);
        }
        stepped.map(drop)
    }

    /// Looks at the coordinator without changing it.
    ///
    /// # Errors
    /// As [`Host::step`].
    pub fn look<T>(&self, work: impl FnOnce(&Coordinator) -> T) -> Result<T, ErrorCode> {
        match &*self.phase.borrow() {
            Phase::Active(coordinator) => Ok(work(coordinator)),
            Phase::Loading => Err(ErrorCode::CoordinatorLoadInProgress),
            Phase::Failed(_) => Err(ErrorCode::CoordinatorNotAvailable),
            Phase::Gone => Err(ErrorCode::NotCoordinator),
        }
    }

    /// Resolves when what is written by now is durable.
    pub(super) fn settled(&self) -> Stored {
        let mut pending = self.pending.borrow_mut();
        Stored(pending.back_mut().map(|last| {
            let (done, stored) = flume::bounded(1);
            last.done.push(done);
            stored
        }))
    }

    fn send(&self, waiter: Waiter, answer: Answer) {
        let parked = self.parked.borrow_mut().remove(&waiter);
        // Nobody listens any more if the connection is closed.
        match (parked, answer) {
            (Some(Parked::Join(to)), Answer::Join(answer)) => drop(to.try_send(answer)),
            (Some(Parked::Sync(to)), Answer::Sync(answer)) => drop(to.try_send(answer)),
            (Some(Parked::Beat(to)), Answer::Beat(answer)) => drop(to.try_send(answer)),
            (None, _) => {}
            (Some(_), _) => unreachable!("a waiter is answered what it asked"),
        }
    }

    /// Its state is not what the log says, or can't be made so: it is dropped, and read back later.
    fn fail(&self, shard: &Shard, reason: &str) {
        tracing::error!(partition = %self.id, reason, "the coordinator of its groups stops");
        self.leave(Phase::Failed(shard.runtime.monotonic()));
    }

    /// Whoever waits is sent to look for a coordinator again.
    fn leave(&self, phase: Phase) {
        self.phase.replace(phase);
        // Dropped outside of the borrow: receivers wake up.
        let pending = self.pending.take();
        let parked = self.parked.take();
        for (_, parked) in parked {
            let error_code = ErrorCode::NotCoordinator;
            match parked {
                Parked::Join(to) => {
                    drop(to.try_send(join_refusal("", error_code)));
                }
                Parked::Sync(to) => {
                    drop(to.try_send(sync_refusal(error_code)));
                }
                Parked::Beat(to) => {
                    let refused =
                        ConsumerGroupHeartbeatResponse { error_code, ..Default::default() };
                    drop(to.try_send(refused));
                }
            }
        }
        drop(pending);
        self.clock.poke();
    }

    fn retry(self: &Rc<Self>, shard: &Rc<Shard>) {
        let now = shard.runtime.monotonic();
        let is_due =
            matches!(&*self.phase.borrow(), Phase::Failed(since) if now >= *since + RETRY_INTERVAL);
        if is_due {
            self.phase.replace(Phase::Loading);
            self.clone().begin_loading(shard);
        }
    }
}

impl Shard {
    /// The time, as coordinators are told it.
    pub(super) fn group_time(&self) -> Now {
        Now { monotonic: self.runtime.monotonic(), wall_ms: self.runtime.now_ms() }
    }
}
