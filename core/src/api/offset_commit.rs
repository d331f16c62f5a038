//! OffsetCommit: answered when the offsets are as durable as an acknowledged record.

use std::rc::Rc;

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    OffsetCommitRequest, OffsetCommitRequestTopic, OffsetCommitResponse,
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};

use super::{errors, topics};
use crate::group::coordinator::{AskedOffset, CommitContext};
use crate::shard::Shard;

/// First version that names topics by id.
const IDS_SINCE: i16 = 10;

/// Answers when the offsets are durable, or refused.
pub async fn answer(
    shard: Rc<Shard>,
    request: OffsetCommitRequest,
    version: i16,
) -> OffsetCommitResponse {
    let (mut response, asked) = sort(&shard, &request.topics, version);
    if asked.is_empty() {
        return response;
    }
    let context = CommitContext {
        version,
        group_id: request.group_id.clone(),
        member_id: request.member_id,
        group_instance_id: request.group_instance_id,
        generation: request.generation_id_or_member_epoch,
        retention_ms: request.retention_time_ms,
    };
    let offsets: Vec<AskedOffset> = asked.iter().map(|(asked, _)| asked.clone()).collect();
    let count = offsets.len();
    let committed = shard.change_group(&request.group_id, move |groups, turn| {
        groups.commit(&context, &offsets, turn)
    });
    let committed = committed.await.unwrap_or_else(|code| {
        // No version of this API has a place for it, nor do clients know it here.
        Err(match code {
            ErrorCode::UnknownServerError => ErrorCode::CoordinatorNotAvailable,
            code => code,
        })
    });
    let codes = committed.unwrap_or_else(|code| vec![code; count]);
    for ((asked, place), code) in asked.into_iter().zip(codes) {
        let partition_index = asked.partition.partition_index;
        let answered = OffsetCommitResponsePartition { partition_index, error_code: code };
        response.topics[place].partitions.push(answered);
    }
    response.topics.retain(|topic| !topic.partitions.is_empty());
    response
}

/// The response's frame with what is known to fail, and the offsets to commit, each with the place of
/// its topic. What fails stands before what is committed, as in Kafka.
fn sort(
    shard: &Shard,
    asked: &[OffsetCommitRequestTopic],
    version: i16,
) -> (OffsetCommitResponse, Vec<(AskedOffset, usize)>) {
    let mut response = OffsetCommitResponse::default();
    let mut found = Vec::new();
    let catalog = shard.catalog();
    let finder = topics::Finder { catalog: &catalog, by_id: version >= IDS_SINCE };
    for topic in asked {
        let known = finder.topic(&topic.name, topic.topic_id);
        let mut answered = OffsetCommitResponseTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: Vec::new(),
        };
        let place = response.topics.len();
        for partition in &topic.partitions {
            let error_code = match known.as_ref() {
                Err(error) => errors::partition_code(error),
                Ok(topic) if topic.partition(partition.partition_index).is_none() => {
                    ErrorCode::UnknownTopicOrPartition
                }
                Ok(topic) => {
                    let asked = AskedOffset {
                        topic: corelane_net::codec::Str::from(&*topic.name),
                        topic_id: topics::uuid(topic.id),
                        partition: partition.clone(),
                    };
                    found.push((asked, place));
                    continue;
                }
            };
            let partition_index = partition.partition_index;
            answered.partitions.push(OffsetCommitResponsePartition { partition_index, error_code });
        }
        response.topics.push(answered);
    }
    (response, found)
}
