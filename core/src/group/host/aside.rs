//! Work that is too long for a step, on another thread.

use std::io;
use std::rc::Rc;

use corelane_storage::runtime::Runtime;

use super::super::consumer::{Done, Job};
use super::Host;
use crate::shard::Shard;

impl Host {
    /// Does the work, and lets the coordinator know. One that has stopped meanwhile does not care.
    pub(super) fn work(self: &Rc<Self>, shard: &Rc<Shard>, job: Job) {
        let (host, on) = (self.clone(), shard.clone());
        shard.runtime.spawn(async move {
            // The step that asked for it may not be over.
            on.runtime.yield_now().await;
            let group = job.group.clone();
            let worked = on.runtime.blocking_io(move || Ok::<Done, io::Error>(job.run())).await;
            let done = worked.unwrap_or_else(|error| {
                tracing::error!(%group, %error, "the group's partitions can't be shared out");
                Done::Failed
            });
            let _ = host.step(&on, |coordinator, turn| coordinator.finish(&group, done, turn));
        });
    }
}
