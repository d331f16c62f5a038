//! Plans of a fetch, made by the shard that owns the partitions. No byte is read here.

use std::sync::Arc;

use corelane_storage::log::{Lease, ReadPlan};
use corelane_storage::notify::Signal;
use corelane_storage::runtime::Runtime;

use super::Shard;
use super::pauses::Pauses;
use crate::partition::{PartitionError, Planned, Want, batches};
use crate::runtime::DiskFile;

/// Plans made before others of the shard get their turn.
const PLANS_AT_ONCE: usize = 100;

/// Wakes a fetch that found less than it wants.
#[derive(Clone)]
pub struct Subscription {
    /// Fired at most once, however many partitions and shards it is given to.
    pub signal: Arc<Signal>,
    /// Subscribe only if the partitions asked about hold less than this.
    pub min_bytes: usize,
}

impl Shard {
    /// One plan per want, in order. If together they yield less than the subscription asks for, and
    /// nothing is wrong with any of them, the signal fires as soon as one of them grows.
    pub async fn plan(
        &self,
        wants: &[Want],
        subscription: Option<Subscription>,
    ) -> Vec<Result<Planned, PartitionError>> {
        let mut plans = Vec::with_capacity(wants.len());
        for (number, want) in wants.iter().enumerate() {
            if number % PLANS_AT_ONCE == PLANS_AT_ONCE - 1 {
                self.runtime.yield_now().await;
            }
            plans.push(match self.partition(want.partition) {
                Ok(partition) => partition.plan(want).await,
                Err(error) => Err(error),
            });
        }
        if let Some(subscription) = subscription
            && is_short(&plans, subscription.min_bytes)
        {
            self.subscribe(wants, &plans, &subscription.signal).await;
        }
        plans
    }

    /// Whatever grows before its turn has come fires the signal then.
    async fn subscribe(
        &self,
        wants: &[Want],
        plans: &[Result<Planned, PartitionError>],
        signal: &Arc<Signal>,
    ) {
        let mut pauses = Pauses::new(&self.runtime);
        for (want, plan) in wants.iter().zip(plans) {
            pauses.after(1).await;
            let Ok(Planned::Read(plan)) = plan else { continue };
            let past_offset = plan.offsets.high_watermark;
            let subscribed = self
                .partition(want.partition)
                .and_then(|partition| partition.subscribe(past_offset, signal));
            if subscribed.is_err() {
                // Whatever it is, the fetch will see it when it looks again.
                signal.fire();
            }
        }
    }
}

/// True if these plans alone are no reason to answer, and waiting may bring more.
pub fn is_short(plans: &[Result<Planned, PartitionError>], min_bytes: usize) -> bool {
    let bytes = |plan: &Result<Planned, PartitionError>| match plan {
        Ok(Planned::Read(plan)) => plan.bytes,
        Ok(Planned::Diverging(..)) | Err(_) => 0,
    };
    // What lies behind a plan that does not reach the end is for the next fetch.
    let may_grow = |plan: &Result<Planned, PartitionError>| match plan {
        Ok(Planned::Read(plan)) => reaches_end(plan),
        Ok(Planned::Diverging(..)) | Err(_) => false,
    };
    let total = plans.iter().map(bytes).fold(0, usize::saturating_add);
    total < min_bytes && plans.iter().all(may_grow)
}

/// True if the plan holds all that may be read by now.
fn reaches_end(plan: &ReadPlan<DiskFile>) -> bool {
    let mut slices = Vec::with_capacity(plan.leases.len());
    for lease in &plan.leases {
        match lease {
            Lease::Memory(slice) => slices.push(slice),
            Lease::File(_) => return false,
        }
    }
    let end = plan.offsets.high_watermark;
    slices.is_empty() || batches::next_offset(&slices).is_none_or(|next| next >= end)
}
