//! What happens when nobody does anything: sessions end, rebalances go on, offsets grow old.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Duration;

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_storage::runtime::Runtime;

use super::{Host, Phase};
use crate::api::topics::topic_id;
use crate::shard::Shard;

/// The task that gives a coordinator the time; there is one only while something is due some day.
pub(super) struct Clock {
    /// Until when it sleeps; `None` if there is no task.
    until: Cell<Option<Duration>>,
    poke: flume::Sender<()>,
    poked: flume::Receiver<()>,
}

impl Default for Clock {
    fn default() -> Clock {
        let (poke, poked) = flume::bounded(1);
        Clock { until: Cell::new(None), poke, poked }
    }
}

impl Clock {
    /// Lets the task look again.
    pub(super) fn poke(&self) {
        // Full: it will.
        let _ = self.poke.try_send(());
    }
}

impl Host {
    /// Sees to it that the coordinator is woken in time.
    pub(super) fn keep_time(self: &Rc<Self>, shard: &Rc<Shard>) {
        let Some(wake) = self.wake() else { return };
        match self.clock.until.get() {
            Some(until) if until <= wake => {}
            Some(_) => self.clock.poke(),
            None => {
                self.clock.until.set(Some(Duration::ZERO));
                let (host, on) = (self.clone(), shard.clone());
                shard.runtime.spawn(async move { host.run_clock(&on).await });
            }
        }
    }

    async fn run_clock(self: &Rc<Self>, shard: &Rc<Shard>) {
        // The task that spawned this one may be in the middle of a step.
        shard.runtime.yield_now().await;
        while let Some(wake) = self.wake() {
            if wake > shard.runtime.monotonic() {
                self.clock.until.set(Some(wake));
                let _ = shard.until(wake, self.clock.poked.recv_async()).await;
                self.clock.until.set(Some(Duration::ZERO));
                continue;
            }
            // A failure ends the loop: there is nothing to wake any more.
            let _ = self.step(shard, |coordinator, turn| coordinator.expire(turn));
            shard.runtime.yield_now().await;
        }
        self.clock.until.set(None);
    }

    fn wake(&self) -> Option<Duration> {
        match &*self.phase.borrow() {
            Phase::Active(coordinator) => coordinator.wake(),
            Phase::Loading | Phase::Failed(_) | Phase::Gone => None,
        }
    }
}

/// Forgets what nobody has used for long, on one shard, for as long as it runs.
pub(super) async fn forget_old(shard: Rc<Shard>) {
    loop {
        shard.runtime.sleep(shard.groups.rules().retention_check_interval).await;
        for host in shard.groups.all() {
            // One that is loading, or has failed, has its turn the next time.
            let _ = host.forget_old(&shard).await;
        }
    }
}

impl Host {
    async fn forget_old(self: &Rc<Self>, shard: &Rc<Shard>) -> Result<(), ErrorCode> {
        let mut after: Option<Str> = None;
        loop {
            let ids = self.look(|coordinator| coordinator.ids(after.as_ref()))?;
            let Some(last) = ids.last().cloned() else { return Ok(()) };
            after = Some(last);
            for id in ids {
                let mut place = None;
                let old = self.steps(shard, |coordinator, turn| {
                    let catalog = shard.catalog();
                    let is_there = |topic| catalog.topic_by_id(topic_id(topic)).is_some();
                    match coordinator.grow_old(&id, &mut place, is_there, turn) {
                        true => ControlFlow::Break(()),
                        false => ControlFlow::Continue(()),
                    }
                });
                // Whether it is durable matters to nobody: what is lost is found again.
                let ((), _stored) = old.await?;
                shard.runtime.yield_now().await;
            }
        }
    }
}
