//! Plans of a fetch, made by the shard that owns the partitions. No byte is read here.

use std::sync::Arc;

use corelane_storage::notify::Signal;

use super::Shard;
use crate::partition::{PartitionError, Planned, Want};

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
        for want in wants {
            plans.push(match self.partition(want.partition) {
                Ok(partition) => partition.plan(want).await,
                Err(error) => Err(error),
            });
        }
        if let Some(subscription) = subscription
            && is_short(&plans, subscription.min_bytes)
        {
            self.subscribe(wants, &plans, &subscription.signal);
        }
        plans
    }

    fn subscribe(
        &self,
        wants: &[Want],
        plans: &[Result<Planned, PartitionError>],
        signal: &Arc<Signal>,
    ) {
        for (want, plan) in wants.iter().zip(plans) {
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

/// True if these plans alone are no reason to answer.
pub fn is_short(plans: &[Result<Planned, PartitionError>], min_bytes: usize) -> bool {
    let mut bytes = 0usize;
    for plan in plans {
        match plan {
            Ok(Planned::Read(plan)) => bytes = bytes.saturating_add(plan.bytes),
            Ok(Planned::Diverging(..)) | Err(_) => return false,
        }
    }
    bytes < min_bytes
}
