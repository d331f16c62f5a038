//! DescribeTopicPartitions (KIP-966): topics in pages, in the order of their names.

use std::collections::BTreeSet;
use std::ops::Bound;

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
    TopicPartitionCursor,
};

use super::authorized::TOPIC_OPERATIONS;
use super::topics;
use crate::catalog::{Catalog, Topic, name};
use crate::shard::Broker;

/// Most partitions of a page, whatever is asked for; Kafka's `max.request.partition.size.limit`.
const PARTITIONS_MAX: usize = 2_000;

/// Answers at once.
pub fn answer(
    catalog: &Catalog,
    broker: &Broker,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let names: BTreeSet<&str> = request.topics.iter().map(|topic| &*topic.name).collect();
    let Some(from) = begin(&request, &names) else { return refused(&names) };
    let asked_limit = usize::try_from(request.response_partition_limit).unwrap_or(0);
    let left = asked_limit.clamp(1, PARTITIONS_MAX);
    let mut page = Page { broker, from, left, response: Default::default() };
    if names.is_empty() {
        let mut topics = catalog.topics_from(from.0);
        while topics.next().is_some_and(|topic| page.add(&topic.name, Some(topic))) {}
    } else {
        let mut names = names.range::<str, _>((Bound::Included(from.0), Bound::Unbounded));
        while names.next().is_some_and(|name| page.add(name, catalog.topic(name).map(|t| &**t))) {}
    }
    page.response
}

/// Where the page begins; `None` if the cursor is none.
fn begin<'a>(
    request: &'a DescribeTopicPartitionsRequest,
    names: &BTreeSet<&str>,
) -> Option<(&'a str, u32)> {
    let Some(cursor) = &request.cursor else { return Some(("", 0)) };
    let was_asked_for = names.is_empty() || names.contains(&*cursor.topic_name);
    let partition = u32::try_from(cursor.partition_index).ok()?;
    was_asked_for.then_some((&*cursor.topic_name, partition))
}

fn refused(names: &BTreeSet<&str>) -> DescribeTopicPartitionsResponse {
    let topic = |name: &&str| DescribeTopicPartitionsResponseTopic {
        error_code: ErrorCode::InvalidRequest,
        name: Some(Str::from(*name)),
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
        if self.left == 0 {
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
            partitions: indexes.map(|index| partition(self.broker, index)).collect(),
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

fn partition(broker: &Broker, index: u32) -> DescribeTopicPartitionsResponsePartition {
    DescribeTopicPartitionsResponsePartition {
        partition_index: i32::try_from(index).unwrap_or(i32::MAX),
        leader_id: broker.node_id,
        leader_epoch: broker.leader_epoch,
        replica_nodes: vec![broker.node_id],
        isr_nodes: vec![broker.node_id],
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        ..Default::default()
    }
}
