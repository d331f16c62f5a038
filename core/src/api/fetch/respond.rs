//! The answer, and what of it a session need not be told.

use std::iter::{Map, Zip};
use std::slice::Iter;

use corelane_net::codec::{Records, Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    EpochEndOffset, FetchRequest, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch,
    NodeEndpoint, PartitionData,
};
use corelane_storage::log::LogOffsets;
use corelane_storage::runtime::Runtime;

use super::load::Loaded;
use super::{ASKED_AT_ONCE, Refusal, plan, session_code};
use crate::api::errors;
use crate::fetch_session::{
    Asked, Begun, FetchKind, Opening, PartitionKey, SessionError, Shown, TopicKey,
};
use crate::partition::PartitionError;
use crate::shard::nodes::Node;
use crate::shard::pauses::Pauses;
use crate::shard::{ListenerId, Shard};

/// First version that says who leads a partition, and where (KIP-951).
const LEADER_HINTS_SINCE: i16 = 16;

/// All that is known when a fetch is answered.
pub(super) struct Answered<'a> {
    pub(super) shard: &'a Shard,
    pub(super) listener: ListenerId,
    pub(super) begun: Begun,
    /// For each partition asked about.
    pub(super) loaded: Vec<Loaded>,
    pub(super) read_committed: bool,
    pub(super) version: i16,
}

impl Answered<'_> {
    /// The answer; its session remembers what it says.
    pub(super) async fn response(self) -> FetchResponse {
        let (session_id, told) = match self.session().await {
            Ok(session) => session,
            Err(error) => {
                return FetchResponse { error_code: session_code(error), ..Default::default() };
            }
        };
        let Answered { shard, listener, begun, loaded, read_committed, version } = self;
        let mut response = FetchResponse { session_id, ..Default::default() };
        let mut pauses = Pauses::new(&shard.runtime);
        for (number, (asked, loaded)) in begun.asked.into_iter().zip(loaded).enumerate() {
            pauses.after_cheap(2).await;
            if told.as_ref().is_some_and(|told| !told[number]) {
                continue;
            }
            let leader_hints = version >= LEADER_HINTS_SINCE;
            let leader = || leader_hints.then(|| leader(shard, &asked.key)).flatten();
            let data = partition_data(asked.key.index, loaded, read_committed, leader);
            if let Some(node) = shard.broker.nodes.find(data.current_leader.leader_id)
                && response.node_endpoints.iter().all(|known| known.node_id != node.id)
            {
                response.node_endpoints.push(endpoint(shard, listener, node));
            }
            push(&mut response.responses, asked.key.topic, data);
        }
        response
    }

    /// The session's id, and for one that goes on, which partitions it is told of.
    async fn session(&self) -> Result<(i32, Option<Vec<bool>>), SessionError> {
        match self.begun.kind {
            FetchKind::Sessionless => Ok((0, None)),
            FetchKind::Opening => Ok((self.open().await, None)),
            FetchKind::Incremental { id, next_epoch } => {
                Ok((id, Some(self.tell(id, next_epoch).await?)))
            }
        }
    }

    /// Opens a session if there is room, else it is 0.
    async fn open(&self) -> i32 {
        let Ok(random) = getrandom::u32() else { return 0 };
        let opening = Opening { by_id: self.version >= 13, random };
        let sessions = &self.shard.fetch_sessions;
        let mut steps = self.steps();
        let now = self.shard.runtime.monotonic();
        let id = sessions.borrow_mut().open(opening, now, steps.next().unwrap_or_else(no_step));
        for step in steps {
            self.shard.runtime.yield_now().await;
            if id == 0 || !sessions.borrow_mut().extend(id, now, step) {
                return 0;
            }
        }
        id
    }

    async fn tell(&self, id: i32, next_epoch: i32) -> Result<Vec<bool>, SessionError> {
        let sessions = &self.shard.fetch_sessions;
        let mut told = Vec::with_capacity(self.loaded.len());
        for step in self.steps() {
            if !told.is_empty() {
                self.shard.runtime.yield_now().await;
            }
            let step = step.map(|(asked, shown)| (asked.place, shown));
            let more = sessions.borrow_mut().tell(id, next_epoch, step);
            // What it was told of in part it can't go on with.
            told.extend(more.inspect_err(|_| {
                if !told.is_empty() {
                    sessions.borrow_mut().close(id);
                }
            })?);
        }
        Ok(told)
    }

    /// What a session has to know of the partitions, for step after step.
    fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        let steps = self.begun.asked.chunks(ASKED_AT_ONCE).zip(self.loaded.chunks(ASKED_AT_ONCE));
        steps.map(|(asked, loaded)| asked.iter().zip(loaded).map(show_one as ShowOne<'_>))
    }
}

fn no_step<'a>() -> Step<'a> {
    [].iter().zip(&[]).map(show_one)
}

/// Partitions and what is shown of them.
type Step<'a> = Map<Zip<Iter<'a, Asked>, Iter<'a, Loaded>>, ShowOne<'a>>;
type ShowOne<'a> = fn((&'a Asked, &'a Loaded)) -> (&'a Asked, Shown);

fn show_one<'a>((asked, loaded): (&'a Asked, &'a Loaded)) -> (&'a Asked, Shown) {
    (asked, shown(loaded))
}

fn shown(loaded: &Loaded) -> Shown {
    match loaded {
        Loaded::Records { records, offsets } => Shown {
            high_watermark: offsets.high_watermark,
            log_start: offsets.log_start,
            has_records: !records.is_empty(),
            must_tell: false,
        },
        Loaded::Diverging { offsets, .. } => Shown {
            high_watermark: offsets.high_watermark,
            log_start: offsets.log_start,
            has_records: false,
            must_tell: true,
        },
        Loaded::Refused(_) => {
            Shown { high_watermark: -1, log_start: -1, has_records: false, must_tell: true }
        }
    }
}

/// Adds a partition's answer to those of its topic if that is the last one, as Kafka groups them.
fn push(topics: &mut Vec<FetchableTopicResponse>, key: TopicKey, data: PartitionData) {
    let (topic, topic_id) = match key {
        TopicKey::Name(name) => (name, Uuid::default()),
        TopicKey::Id(id) => (Str::EMPTY, id),
    };
    match topics.last_mut() {
        Some(last) if last.topic == topic && last.topic_id == topic_id => {
            last.partitions.push(data);
        }
        _ => topics.push(FetchableTopicResponse { topic, topic_id, partitions: vec![data] }),
    }
}

/// The node that leads a partition.
fn leader(shard: &Shard, key: &PartitionKey) -> Option<i32> {
    let catalog = shard.catalog();
    let partition = plan::find(&catalog, &key.topic).ok()?.partition(key.index)?;
    Some(shard.broker.nodes.leader(partition).id)
}

/// One partition's answer; `leader` tells its leader's id in versions that name whom to turn to.
fn partition_data(
    partition_index: i32,
    loaded: Loaded,
    read_committed: bool,
    leader: impl FnOnce() -> Option<i32>,
) -> PartitionData {
    let at = |offsets: LogOffsets| PartitionData {
        partition_index,
        high_watermark: offsets.high_watermark,
        // Without transactions everything below the high watermark is decided.
        last_stable_offset: offsets.high_watermark,
        log_start_offset: offsets.log_start,
        aborted_transactions: read_committed.then(Vec::new),
        records: Some(Records::new()),
        ..Default::default()
    };
    match loaded {
        Loaded::Records { records, offsets } => {
            PartitionData { records: Some(records), ..at(offsets) }
        }
        Loaded::Diverging { end, offsets } => PartitionData {
            diverging_epoch: EpochEndOffset { epoch: end.epoch, end_offset: end.end_offset },
            ..at(offsets)
        },
        Loaded::Refused(Refusal::Unknown(error)) => PartitionData {
            aborted_transactions: Some(Vec::new()),
            ..refused_data(partition_index, errors::partition_code(&error))
        },
        Loaded::Refused(Refusal::Refused(error)) => PartitionData {
            current_leader: current_leader(&error, leader),
            ..refused_data(partition_index, errors::partition_code(&error))
        },
    }
}

fn refused_data(partition_index: i32, error_code: ErrorCode) -> PartitionData {
    PartitionData {
        partition_index,
        error_code,
        high_watermark: -1,
        records: Some(Records::new()),
        ..Default::default()
    }
}

fn current_leader(
    error: &PartitionError,
    leader: impl FnOnce() -> Option<i32>,
) -> LeaderIdAndEpoch {
    let PartitionError::FencedLeaderEpoch { current, .. } = error else {
        return LeaderIdAndEpoch::default();
    };
    let told = |leader_id| LeaderIdAndEpoch { leader_id, leader_epoch: *current };
    leader().map(told).unwrap_or_default()
}

fn endpoint(shard: &Shard, listener: ListenerId, node: Node) -> NodeEndpoint {
    let advertised = shard.broker.advertised(listener, node);
    NodeEndpoint {
        node_id: node.id,
        host: Str::from(&*advertised.host),
        port: i32::from(advertised.port),
        rack: None,
    }
}

/// The answer that has one error for each partition of the request.
pub(super) fn refused(request: &FetchRequest, error_code: ErrorCode) -> FetchResponse {
    let topics = request.topics.iter().map(|topic| FetchableTopicResponse {
        topic: topic.topic.clone(),
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|asked| refused_data(asked.partition, error_code))
            .collect(),
    });
    FetchResponse { responses: topics.collect(), ..Default::default() }
}
