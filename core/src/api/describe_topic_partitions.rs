//! DescribeTopicPartitions (KIP-966): topics in pages, in the order of their names.

use std::io;
use std::rc::Rc;

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
    TopicPartitionCursor,
};
use corelane_storage::ids::{PartitionId, TopicId};

use super::authorized::TOPIC_OPERATIONS;
use super::topics;
use crate::catalog::{Catalog, Topic, name};
use crate::shard::{Broker, Shard};

/// Most partitions of a page, whatever is asked for; Kafka's `max.request.partition.size.limit`.
const PARTITIONS_MAX: usize = 2_000;

/// Most topics of a page of those that are named; Kafka has no such limit.
const TOPICS_MAX: usize = 2_000;

/// Answers when what is asked for is sorted: on another thread, if that is much.
pub async fn answer(
    shard: Rc<Shard>,
    request: DescribeTopicPartitionsRequest,
) -> io::Result<DescribeTopicPartitionsResponse> {
    let asked = if request.topics.len() <= TOPICS_MAX {
        Asked::of(request)
    } else {
        shard.runtime.blocking_io(move || Ok(Asked::of(request))).await?
    };
    Ok(page(&shard.catalog(), &shard.broker, &asked))
}

/// What of a request matters for its page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The topic and partition to begin with; `None` if the cursor is none.
    from: Option<(Str, u32)>,
    /// The first of the names, in order, from the cursor's on; `None` is all topics.
    names: Option<Vec<Str>>,
    partitions_max: usize,
}

impl Asked {
    /// Of any number of names in any order.
    pub(super) fn of(request: DescribeTopicPartitionsRequest) -> Asked {
        let asked_limit = usize::try_from(request.response_partition_limit).unwrap_or(0);
        let partitions_max = asked_limit.clamp(1, PARTITIONS_MAX);
        let mut names: Vec<Str> = request.topics.into_iter().map(|topic| topic.name).collect();
        let is_all = names.is_empty();
        let from = match request.cursor {
            None => Some((Str::EMPTY, 0)),
            Some(cursor) => {
                let was_asked_for = is_all || names.contains(&cursor.topic_name);
                let partition = u32::try_from(cursor.partition_index).ok();
                partition.filter(|_| was_asked_for).map(|first| (cursor.topic_name, first))
            }
        };
        if let Some((first, _)) = &from {
            names.retain(|name| name >= first);
        }
        names.sort_unstable();
        names.dedup();
        // One more than fits, for the next page to begin with.
        names.truncate(TOPICS_MAX + 1);
        Asked { from, names: (!is_all).then_some(names), partitions_max }
    }
}

/// Answers at once.
pub(super) fn page(
    catalog: &Catalog,
    broker: &Broker,
    asked: &Asked,
) -> DescribeTopicPartitionsResponse {
    let Some((topic, partition)) = &asked.from else {
        return refused(asked.names.as_deref().unwrap_or_default());
    };
    let (from, left) = ((&**topic, *partition), asked.partitions_max);
    let mut page = Page { broker, from, left, response: Default::default() };
    match &asked.names {
        None => {
            let mut topics = catalog.topics_from(from.0);
            while topics.next().is_some_and(|topic| page.add(&topic.name, Some(topic))) {}
        }
        Some(names) => {
            let mut names = names.iter();
            while names.next().is_some_and(|name| page.add(name, catalog.topic(name).map(|t| &**t)))
            {
            }
        }
    }
    page.response
}

fn refused(names: &[Str]) -> DescribeTopicPartitionsResponse {
    let topic = |name: &Str| DescribeTopicPartitionsResponseTopic {
        error_code: ErrorCode::InvalidRequest,
        name: Some(name.clone()),
        ..Default::default()
    };
    DescribeTopicPartitionsResponse {
        topics: names.iter().map(topic).collect(),
        ..Default::default()
    }
}

/// A page as it fills.
struct Page<'a> {
    broker: &'a Broker,
    /// The topic and partition to begin with.
    from: (&'a str, u32),
    /// Partitions that still fit.
    left: usize,
    response: DescribeTopicPartitionsResponse,
}

impl Page<'_> {
    /// Adds a topic that is not before the cursor's, as far as it fits; false once the page is full.
    fn add(&mut self, name: &str, topic: Option<&Topic>) -> bool {
        if self.left == 0 || self.response.topics.len() == TOPICS_MAX {
            self.ends_at(name, 0);
            return false;
        }
        let Some(topic) = topic else {
            self.response.topics.push(unknown(name));
            return true;
        };
        let first = if name == self.from.0 { self.from.1 } else { 0 };
        let room = u32::try_from(self.left).unwrap_or(u32::MAX);
        let end = topic.partitions.min(first.saturating_add(room));
        let indexes = first..end;
        self.left -= indexes.len();
        self.response.topics.push(DescribeTopicPartitionsResponseTopic {
            name: Some(Str::from(name)),
            topic_id: topics::uuid(topic.id),
            is_internal: name::is_internal(name),
            partitions: indexes.map(|index| partition(self.broker, topic.id, index)).collect(),
            topic_authorized_operations: TOPIC_OPERATIONS,
            ..Default::default()
        });
        if end < topic.partitions {
            self.ends_at(name, end);
            return false;
        }
        true
    }

    fn ends_at(&mut self, name: &str, partition: u32) {
        self.response.next_cursor = Some(TopicPartitionCursor {
            topic_name: Str::from(name),
            partition_index: i32::try_from(partition).unwrap_or(i32::MAX),
        });
    }
}

fn unknown(name: &str) -> DescribeTopicPartitionsResponseTopic {
    let error_code = match name::check(name) {
        Ok(()) => ErrorCode::UnknownTopicOrPartition,
        Err(_) => ErrorCode::InvalidTopicException,
    };
    DescribeTopicPartitionsResponseTopic {
        error_code,
        name: Some(Str::from(name)),
        is_internal: name::is_internal(name),
        topic_authorized_operations: TOPIC_OPERATIONS,
        ..Default::default()
    }
}

fn partition(
    broker: &Broker,
    topic_id: TopicId,
    index: u32,
) -> DescribeTopicPartitionsResponsePartition {
    let leader = broker.nodes.leader(PartitionId { topic_id, index }).id;
    DescribeTopicPartitionsResponsePartition {
        partition_index: i32::try_from(index).unwrap_or(i32::MAX),
        leader_id: leader,
        leader_epoch: broker.leader_epoch,
        replica_nodes: vec![leader],
        isr_nodes: vec![leader],
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        ..Default::default()
    }
}
