//! Fetch: the connection's shard owns it. It asks the owners of the partitions for plans (no byte is
//! read), waits if they hold too little, shares out `max_bytes` in the order of the request, loads
//! what it sends, and answers.
//!
//! - `share.rs`: who gets how many bytes: a pure function

pub(super) mod share;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use corelane_net::codec::{Records, Str};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    EpochEndOffset, FetchRequest, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch,
    NodeEndpoint, PartitionData,
};
use corelane_storage::buffer::AlignedSlice;
use corelane_storage::ids::PartitionId;
use corelane_storage::log::{Lease, LogOffsets, ReadPlan};
use corelane_storage::notify::Signal;
use corelane_storage::runtime::Runtime;
use futures_util::FutureExt;
use futures_util::future::{join_all, select};

use super::topics::Finder;
use super::{errors, fan_out};
use crate::partition::{PartitionError, Planned, Want, batches};
use crate::runtime::DiskFile;
use crate::shard::Shard;
use crate::shard::budget::Credit;
use crate::shard::read::{Subscription, is_short};
use crate::shard::turns::Turn;

/// Most bytes of records in one answer, whatever is asked for; Kafka's `fetch.max.bytes`.
const ANSWER_BYTES_MAX: usize = 55 << 20;

/// `session_epoch` of a full fetch that leaves its session, and of one that wants a new one. Both
/// are answered in full; there are no sessions, which `session_id` 0 says (KIP-227).
const FULL_FETCH_EPOCHS: [i32; 2] = [-1, 0];

type Plans = Vec<Result<Planned, PartitionError>>;

/// Answers when there is enough to send, when the client has waited long enough, or at once if
/// something is wrong with one of the partitions.
pub async fn answer(
    shard: Rc<Shard>,
    request: FetchRequest,
    version: i16,
    mut turn: Turn,
) -> FetchResponse {
    if !FULL_FETCH_EPOCHS.contains(&request.session_epoch) {
        let error_code = ErrorCode::FetchSessionIdNotFound;
        return FetchResponse { error_code, ..Default::default() };
    }
    let deadline = shard.deadline(request.max_wait_ms);
    turn.come().await;
    let mut fetch = Fetch::new(&shard, &request, version);
    let plans = fetch.wait_for_plans(request.min_bytes, deadline).await;
    let loaded = fetch.load(plans, turn).await;
    fetch.respond(request, loaded)
}

impl fan_out::Placed for Want {
    fn partition(&self) -> PartitionId {
        self.partition
    }
}

struct Fetch {
    shard: Rc<Shard>,
    max_bytes: usize,
    /// What it gets at most: under pressure answers are smaller, which is always allowed.
    limit_bytes: usize,
    /// In the order of the request: what is wrong with it, or its place in `wants`.
    entries: Vec<Result<usize, PartitionError>>,
    wants: Vec<Want>,
}

/// What one partition is answered with.
enum Loaded {
    Records { records: Records, offsets: LogOffsets },
    Diverging { end: EpochEndOffset, offsets: LogOffsets },
    Refused(PartitionError),
}

impl Fetch {
    fn new(shard: &Rc<Shard>, request: &FetchRequest, version: i16) -> Fetch {
        let max_bytes = usize::try_from(request.max_bytes).unwrap_or(0).min(ANSWER_BYTES_MAX);
        let (mut entries, mut wants) = (Vec::new(), Vec::new());
        let catalog = shard.catalog();
        let finder = Finder { catalog: &catalog, by_id: version >= 13 };
        for topic in &request.topics {
            for asked in &topic.partitions {
                let found = finder.partition(&topic.topic, topic.topic_id, asked.partition);
                entries.push(found.map(|partition| {
                    let limit = usize::try_from(asked.partition_max_bytes).unwrap_or(0);
                    wants.push(Want {
                        partition,
                        offset: asked.fetch_offset,
                        max_bytes: limit.min(max_bytes),
                        current_leader_epoch: asked.current_leader_epoch,
                        last_fetched_epoch: asked.last_fetched_epoch,
                    });
                    wants.len() - 1
                }));
            }
        }
        drop(catalog);
        Fetch { shard: shard.clone(), max_bytes, limit_bytes: max_bytes, entries, wants }
    }

    async fn wait_for_plans(&mut self, min_bytes: i32, deadline: Duration) -> Plans {
        let asked_bytes = usize::try_from(min_bytes).unwrap_or(0);
        let nothing_wrong = self.entries.iter().all(Result::is_ok) && !self.wants.is_empty();
        loop {
            let left = deadline.saturating_sub(self.shard.runtime.monotonic());
            let stopping = self.shard.stopping.is_disconnected();
            self.limit_bytes = self.max_bytes.min(self.shard.fetch_budget.share_bytes());
            let min_bytes = asked_bytes.min(self.limit_bytes.max(1));
            let may_wait = nothing_wrong && !left.is_zero() && !stopping;
            let signal = Signal::new();
            let subscription = Subscription { signal: signal.clone(), min_bytes };
            let plans = self.plan(may_wait.then_some(subscription)).await;
            if !may_wait || !is_short(&plans, min_bytes) {
                return plans;
            }
            // What is there but too little is not held while waiting: it is planned again.
            let nothing_yet = is_short(&plans, 1).then_some(plans);
            let timeout = self.shard.runtime.sleep(left).boxed_local();
            let stop = self.shard.stopping.recv_async().map(|_| ()).boxed_local();
            select(signal.fired().boxed_local(), select(timeout, stop)).await;
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

    /// Shares `max_bytes` out and brings what is sent into memory; files are read here, on the
    /// shard of the connection.
    async fn load(&self, plans: Plans, turn: Turn) -> Vec<Loaded> {
        let sizes: Vec<usize> = plans.iter().map(planned_bytes).collect();
        let shares = share::share_out(&sizes, self.limit_bytes);
        let total = shares.iter().sum();
        let credit = match total {
            0 => None,
            total => Some(Arc::new(self.shard.fetch_budget.acquire(total, turn).await)),
        };
        let first = shares.iter().position(|share| *share > 0);
        let loading = plans.into_iter().zip(shares).enumerate().map(|(place, (plan, share))| {
            let credit = credit.clone();
            async move {
                match plan {
                    Ok(Planned::Read(plan)) => {
                        load_one(plan, share, first == Some(place), credit).await
                    }
                    Ok(Planned::Diverging(divergence, offsets)) => {
                        let (epoch, end_offset) = (divergence.epoch, divergence.end_offset);
                        Loaded::Diverging { end: EpochEndOffset { epoch, end_offset }, offsets }
                    }
                    Err(error) => Loaded::Refused(error),
                }
            }
        });
        join_all(loading).await
    }

    fn respond(self, request: FetchRequest, loaded: Vec<Loaded>) -> FetchResponse {
        let read_committed = request.isolation_level == 1;
        let mut loaded: Vec<_> = loaded.into_iter().map(Some).collect();
        let mut entries = self.entries.into_iter();
        let mut response = FetchResponse::default();
        for topic in request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for asked in topic.partitions {
                let answer = match entries.next() {
                    Some(Ok(place)) => loaded.get_mut(place).and_then(Option::take),
                    Some(Err(error)) => Some(Loaded::Refused(error)),
                    None => None,
                };
                let answer = answer.unwrap_or(Loaded::Refused(PartitionError::Panicked));
                partitions.push(PartitionData {
                    partition_index: asked.partition,
                    aborted_transactions: read_committed.then(Vec::new),
                    ..partition_data(answer, self.shard.broker.node_id)
                });
            }
            response.responses.push(FetchableTopicResponse {
                topic: topic.topic,
                topic_id: topic.topic_id,
                partitions,
            });
        }
        let mut partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
        if partitions.any(|partition| partition.current_leader.leader_id >= 0) {
            response.node_endpoints = vec![endpoint(&self.shard)];
        }
        response
    }
}

fn planned_bytes(plan: &Result<Planned, PartitionError>) -> usize {
    match plan {
        Ok(Planned::Read(plan)) => plan.bytes,
        Ok(Planned::Diverging(..)) | Err(_) => 0,
    }
}

async fn load_one(
    plan: ReadPlan<DiskFile>,
    share: usize,
    at_least_one: bool,
    credit: Option<Arc<Credit>>,
) -> Loaded {
    let offsets = plan.offsets;
    let leases = if share == 0 { Vec::new() } else { plan.leases };
    match load_leases(leases).await {
        Ok(slices) => {
            let keep = batches::whole(&slices, share, at_least_one);
            Loaded::Records { records: records(slices, keep, credit.as_ref()), offsets }
        }
        Err(error) => {
            tracing::error!(%error, "a fetch can't read the log");
            Loaded::Refused(error)
        }
    }
}

async fn load_leases(leases: Vec<Lease<DiskFile>>) -> Result<Vec<AlignedSlice>, PartitionError> {
    let mut slices = Vec::with_capacity(leases.len());
    for lease in leases {
        slices.extend(lease.load().await?);
    }
    Ok(slices)
}

/// Memory that an answer sends from; keeps its bytes counted until they are sent.
struct Part {
    slice: AlignedSlice,
    _credit: Option<Arc<Credit>>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.slice
    }
}

fn records(slices: Vec<AlignedSlice>, mut keep: usize, credit: Option<&Arc<Credit>>) -> Records {
    let mut records = Records::new();
    for slice in slices {
        let take = slice.len().min(keep);
        keep -= take;
        if take > 0 {
            let slice = slice.slice(0, take);
            records.push(Bytes::from_owner(Part { slice, _credit: credit.cloned() }));
        }
    }
    records
}

fn partition_data(answer: Loaded, node_id: i32) -> PartitionData {
    let at = |offsets: LogOffsets| PartitionData {
        high_watermark: offsets.high_watermark,
        // Without transactions everything below the high watermark is decided.
        last_stable_offset: offsets.high_watermark,
        log_start_offset: offsets.log_start,
        records: Some(Records::new()),
        ..Default::default()
    };
    match answer {
        Loaded::Records { records, offsets } => {
            PartitionData { records: Some(records), ..at(offsets) }
        }
        Loaded::Diverging { end, offsets } => PartitionData { diverging_epoch: end, ..at(offsets) },
        Loaded::Refused(error) => {
            let current_leader = match error {
                PartitionError::FencedLeaderEpoch { current, .. } => {
                    LeaderIdAndEpoch { leader_id: node_id, leader_epoch: current }
                }
                _ => LeaderIdAndEpoch::default(),
            };
            PartitionData {
                error_code: errors::partition_code(&error),
                high_watermark: -1,
                records: Some(Records::new()),
                current_leader,
                ..Default::default()
            }
        }
    }
}

fn endpoint(shard: &Shard) -> NodeEndpoint {
    NodeEndpoint {
        node_id: shard.broker.node_id,
        host: Str::from(&*shard.broker.advertised_host),
        port: i32::from(shard.broker.advertised_port),
        rack: None,
    }
}
