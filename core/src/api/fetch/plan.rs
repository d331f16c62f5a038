//! The owners' plans, and waiting until they are worth an answer.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use corelane_net::codec::Uuid;
use corelane_net::messages::FetchRequest;
use corelane_storage::ids::PartitionId;
use corelane_storage::notify::Signal;
use corelane_storage::runtime::Runtime;
use futures_util::FutureExt;
use futures_util::future::select;

use super::super::fan_out;
use super::super::topics::Finder;
use super::Refusal;
use crate::catalog::{Catalog, Topic};
use crate::fetch_session::{Asked, TopicKey};
use crate::metrics::stages::Stage;
use crate::partition::{PartitionError, Planned, Want};
use crate::shard::Shard;
use crate::shard::pauses::Pauses;
use crate::shard::read::{Subscription, is_short};

/// Most bytes of records in one answer, whatever is asked for; Kafka's `fetch.max.bytes`.
const ANSWER_BYTES_MAX: usize = 55 << 20;

/// Partitions that are looked up at once.
const FOUND_AT_ONCE: usize = 512;

/// One plan per want, in order.
pub(super) type Plans = Vec<Result<Planned, PartitionError>>;

/// Bytes that a plan yields.
pub(super) fn bytes(plan: &Result<Planned, PartitionError>) -> usize {
    match plan {
        Ok(Planned::Read(plan)) => plan.bytes,
        Ok(Planned::Diverging(..)) | Err(_) => 0,
    }
}

impl fan_out::Placed for Want {
    fn partition(&self) -> PartitionId {
        self.partition
    }
}

/// A fetch under way.
pub(super) struct Fetch {
    pub(super) shard: Rc<Shard>,
    max_bytes: usize,
    /// What it gets at most: under pressure answers are smaller, which is always allowed.
    pub(super) limit_bytes: usize,
    /// In the order of what is asked: why there is no plan, or its place in `wants`.
    pub(super) entries: Vec<Result<usize, Refusal>>,
    pub(super) wants: Vec<Want>,
}

impl Fetch {
    pub(super) async fn new(shard: &Rc<Shard>, request: &FetchRequest, asked: &[Asked]) -> Fetch {
        let max_bytes = usize::try_from(request.max_bytes).unwrap_or(0).min(ANSWER_BYTES_MAX);
        let mut entries = Vec::with_capacity(asked.len());
        let mut wants = Vec::with_capacity(asked.len());
        let mut pauses = Pauses::new(&shard.runtime);
        for some in asked.chunks(FOUND_AT_ONCE) {
            pauses.after_cheap(FOUND_AT_ONCE).await;
            let catalog = shard.catalog();
            for of_topic in some.chunk_by(|one, next| one.key.topic == next.key.topic) {
                let topic = find(&catalog, &of_topic[0].key.topic);
                for asked in of_topic {
                    let want = want(&topic, asked, max_bytes);
                    entries.push(want.map(|want| {
                        wants.push(want);
                        wants.len() - 1
                    }));
                }
            }
        }
        Fetch { shard: shard.clone(), max_bytes, limit_bytes: max_bytes, entries, wants }
    }

    /// The plans, as soon as together they are worth an answer, or time is up.
    pub(super) async fn wait_for_plans(&mut self, min_bytes: i32, deadline: Duration) -> Plans {
        let asked_bytes = usize::try_from(min_bytes).unwrap_or(0);
        let is_refused = |entry: &Result<usize, Refusal>| matches!(entry, Err(Refusal::Refused(_)));
        let worth_waiting = !self.wants.is_empty() && !self.entries.iter().any(is_refused);
        loop {
            let left = deadline.saturating_sub(self.shard.runtime.monotonic());
            let stopping = self.shard.stopping.is_disconnected();
            self.limit_bytes = self.max_bytes.min(self.shard.fetch_budget.share_bytes());
            let min_bytes = asked_bytes.min(self.limit_bytes.max(1));
            let may_wait = worth_waiting && !left.is_zero() && !stopping;
            let signal = Signal::new();
            let subscription = Subscription { signal: signal.clone(), min_bytes };
            let plans = self.plan(may_wait.then_some(subscription)).await;
            if !may_wait || !is_short(&plans, min_bytes) {
                return plans;
            }
            // What is there but too little is not held while waiting: it is planned again.
            let nothing_yet = is_short(&plans, 1).then_some(plans);
            let _parked = self.shard.counters.parked_fetch();
            let mut watch = self.shard.stopwatch();
            let timeout = self.shard.runtime.sleep(left).boxed_local();
            let stop = self.shard.stopping.recv_async().map(|_| ()).boxed_local();
            select(signal.fired().boxed_local(), select(timeout, stop)).await;
            self.shard.lap(&mut watch, Stage::Wait);
            if let Some(plans) = nothing_yet
                && !signal.has_fired()
            {
                return plans;
            }
        }
    }

    async fn plan(&self, subscription: Option<Subscription>) -> Plans {
        let limited =
            |want: &Want| Want { max_bytes: want.max_bytes.min(self.limit_bytes), ..*want };
        let wants: Vec<Want> = self.wants.iter().map(limited).collect();
        let plans = fan_out::ask(&self.shard, &wants, move |shard, wants| {
            let (shard, subscription) = (shard.clone(), subscription.clone());
            async move { shard.plan(&wants, subscription).await }
        });
        plans.await
    }
}

pub(super) type Found<'a> = Result<&'a Arc<Topic>, PartitionError>;

pub(super) fn find<'a>(catalog: &'a Catalog, key: &TopicKey) -> Found<'a> {
    let (name, id) = match key {
        TopicKey::Name(name) => (name.as_str(), Uuid::default()),
        TopicKey::Id(id) => ("", *id),
    };
    Finder { catalog, by_id: matches!(key, TopicKey::Id(_)) }.topic(name, id)
}

fn want(topic: &Found<'_>, asked: &Asked, max_bytes: usize) -> Result<Want, Refusal> {
    let topic = topic.clone().map_err(Refusal::Unknown)?;
    let unknown = || Refusal::Unknown(PartitionError::UnknownPartition);
    let partition = topic.partition(asked.key.index).ok_or_else(unknown)?;
    let position = asked.position;
    let negative = |_| Refusal::Refused(PartitionError::NegativeLimit);
    let limit = usize::try_from(position.max_bytes).map_err(negative)?;
    Ok(Want {
        partition,
        offset: position.offset,
        max_bytes: limit.min(max_bytes),
        // To Fetch, unlike to the others, every negative epoch is none.
        current_leader_epoch: position.current_leader_epoch.max(-1),
        last_fetched_epoch: position.last_fetched_epoch.max(-1),
    })
}
