//! OffsetFetch: how far groups have read.

use std::collections::BTreeMap;
use std::rc::Rc;

use corelane_net::codec::{Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};

use super::topics;
use crate::group::coordinator::Coordinator;
use crate::group::offsets::Committed;
use crate::shard::Shard;

/// First version that asks about several groups (KIP-709).
const GROUPS_SINCE: i16 = 8;
/// First version that names topics by id.
const IDS_SINCE: i16 = 10;
/// First version with an error for the whole answer.
const ERROR_SINCE: i16 = 2;

/// Whether the answer may be many times larger than the request.
pub fn asks_for_all(request: &OffsetFetchRequest) -> bool {
    request.topics.is_none() || request.groups.iter().any(|group| group.topics.is_none())
}

/// Answers when all coordinators have.
pub async fn answer(
    shard: Rc<Shard>,
    request: OffsetFetchRequest,
    version: i16,
) -> OffsetFetchResponse {
    let mut response = OffsetFetchResponse::default();
    if version >= GROUPS_SINCE {
        for group in request.groups {
            response.groups.push(fetch(&shard, group, version).await);
        }
        return response;
    }
    let asked = request.topics.clone();
    let topic = |topic: corelane_net::messages::OffsetFetchRequestTopic| OffsetFetchRequestTopics {
        name: topic.name,
        partition_indexes: topic.partition_indexes,
        ..Default::default()
    };
    let group = OffsetFetchRequestGroup {
        group_id: request.group_id,
        topics: request.topics.map(|topics| topics.into_iter().map(topic).collect()),
        ..Default::default()
    };
    let answered = fetch(&shard, group, version).await;
    response.error_code = answered.error_code;
    response.topics = answered.topics.into_iter().map(older_topic).collect();
    if version < ERROR_SINCE && !answered.error_code.is_none() {
        response.topics = all_failed(asked.unwrap_or_default(), answered.error_code);
    }
    response
}

/// The error of the whole, where only partitions can have one.
fn all_failed(
    asked: Vec<corelane_net::messages::OffsetFetchRequestTopic>,
    error_code: ErrorCode,
) -> Vec<OffsetFetchResponseTopic> {
    let topic = |topic: corelane_net::messages::OffsetFetchRequestTopic| {
        let partition = |partition_index| OffsetFetchResponsePartition {
            partition_index,
            committed_offset: -1,
            error_code,
            ..Default::default()
        };
        let partitions = topic.partition_indexes.into_iter().map(partition).collect();
        OffsetFetchResponseTopic { name: topic.name, partitions }
    };
    asked.into_iter().map(topic).collect()
}

fn older_topic(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partition = |partition: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
    };
    let partitions = topic.partitions.into_iter().map(partition).collect();
    OffsetFetchResponseTopic { name: topic.name, partitions }
}

async fn fetch(
    shard: &Rc<Shard>,
    group: OffsetFetchRequestGroup,
    version: i16,
) -> OffsetFetchResponseGroup {
    let group_id = group.group_id.clone();
    let asker = Asker { member_id: group.member_id, epoch: group.member_epoch };
    let found = match group.topics {
        Some(asked) => fetch_some(shard, &group_id, asked, asker, version).await,
        None => fetch_all(shard, &group_id, asker, version).await,
    };
    match found {
        Ok(topics) => OffsetFetchResponseGroup { group_id, topics, ..Default::default() },
        Err(error_code) => OffsetFetchResponseGroup { group_id, error_code, ..Default::default() },
    }
}

/// A member of the consumer protocol says who it is, and in which epoch.
struct Asker {
    member_id: Option<Str>,
    epoch: i32,
}

impl Asker {
    fn check(&self, groups: &Coordinator, group: &str) -> Result<(), ErrorCode> {
        groups.check_fetch(group, self.member_id.as_ref(), self.epoch)
    }
}

type Topics = Vec<OffsetFetchResponseTopics>;

async fn fetch_some(
    shard: &Rc<Shard>,
    group: &Str,
    asked: Vec<OffsetFetchRequestTopics>,
    asker: Asker,
    version: i16,
) -> Result<Topics, ErrorCode> {
    let (known, unknown) = resolve(shard, asked, version);
    let id = group.clone();
    let found = shard.ask_group(group, move |groups, _| {
        asker.check(groups, &id)?;
        Ok(look_up(groups, &id, known))
    });
    let mut found: Topics = found.await??;
    found.extend(unknown);
    Ok(found)
}

/// A topic asked about, with the id that it has now.
type Resolved = (OffsetFetchRequestTopics, Option<Uuid>);

/// Finds the names of topics that are asked about by id; those that there are not are answered.
fn resolve(
    shard: &Shard,
    asked: Vec<OffsetFetchRequestTopics>,
    version: i16,
) -> (Vec<Resolved>, Topics) {
    let catalog = shard.catalog();
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for mut topic in asked {
        if version < IDS_SINCE {
            let id = catalog.topic(&topic.name).map(|topic| topics::uuid(topic.id));
            known.push((topic, id));
            continue;
        }
        match catalog.topic_by_id(topics::topic_id(topic.topic_id)) {
            Some(found) => {
                topic.name = Str::from(&*found.name);
                let id = topic.topic_id;
                known.push((topic, Some(id)));
            }
            None => {
                let partition = |index: i32| OffsetFetchResponsePartitions {
                    error_code: ErrorCode::UnknownTopicId,
                    ..none(index)
                };
                let partitions = topic.partition_indexes.into_iter().map(partition).collect();
                let (name, topic_id) = (topic.name, topic.topic_id);
                unknown.push(OffsetFetchResponseTopics { name, topic_id, partitions });
            }
        }
    }
    (known, unknown)
}

fn look_up(groups: &Coordinator, group: &str, asked: Vec<Resolved>) -> Topics {
    let one = |(topic, current): Resolved| {
        let partition = |index: i32| match groups.offset(group, &topic.name, index) {
            Some(offset) if offset.is_of(current) => told(index, offset),
            _ => none(index),
        };
        let partitions = topic.partition_indexes.iter().copied().map(partition).collect();
        OffsetFetchResponseTopics { name: topic.name, topic_id: topic.topic_id, partitions }
    };
    asked.into_iter().map(one).collect()
}

async fn fetch_all(
    shard: &Rc<Shard>,
    group: &Str,
    asker: Asker,
    version: i16,
) -> Result<Topics, ErrorCode> {
    let id = group.clone();
    let found = shard.ask_group(group, move |groups, _| {
        asker.check(groups, &id)?;
        let offsets = groups.offsets(&id);
        let owned = |(topic, index, offset): (&Str, i32, &Committed)| {
            (topic.clone(), index, offset.clone())
        };
        Ok(offsets.map(owned).collect())
    });
    let found: Vec<(Str, i32, Committed)> = found.await??;
    let catalog = shard.catalog();
    let mut by_topic: BTreeMap<Str, OffsetFetchResponseTopics> = BTreeMap::new();
    for (name, index, offset) in found {
        let current = catalog.topic(&name).map(|topic| topics::uuid(topic.id));
        let can_be_named = version < IDS_SINCE || current.is_some();
        if !can_be_named || !offset.is_of(current) {
            continue;
        }
        let topic = by_topic.entry(name.clone()).or_insert_with(|| OffsetFetchResponseTopics {
            name,
            topic_id: current.unwrap_or_default(),
            partitions: Vec::new(),
        });
        topic.partitions.push(told(index, &offset));
    }
    Ok(by_topic.into_values().collect())
}

fn told(partition_index: i32, offset: &Committed) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index,
        committed_offset: offset.offset,
        committed_leader_epoch: offset.leader_epoch,
        metadata: Some(offset.metadata.clone()),
        error_code: ErrorCode::None,
    }
}

fn none(partition_index: i32) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions { partition_index, committed_offset: -1, ..Default::default() }
}
