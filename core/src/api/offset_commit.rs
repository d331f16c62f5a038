//! OffsetCommit: answered when the offsets are as durable as an acknowledged record.

use std::ops::ControlFlow;
use std::rc::Rc;

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    OffsetCommitRequest, OffsetCommitRequestTopic, OffsetCommitResponse,
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};

use super::{errors, topics};
use crate::group::coordinator::{AskedOffset, CommitContext, Coordinator};
use crate::group::rules::STEP_MAX;
use crate::group::turn::Turn;
use crate::shard::Shard;
use crate::shard::pauses::Pauses;

/// First version that names topics by id.
const IDS_SINCE: i16 = 10;

/// Answers when the offsets are durable, or refused.
pub async fn answer(
    shard: Rc<Shard>,
    request: OffsetCommitRequest,
    version: i16,
) -> OffsetCommitResponse {
    let (mut response, asked) = sort(&shard, &request.topics, version).await;
    if asked.is_empty() {
        return response;
    }
    let context = CommitContext {
        version,
        // Kept with each offset.
        group_id: request.group_id.detached(),
        member_id: request.member_id,
        group_instance_id: request.group_instance_id,
        generation: request.generation_id_or_member_epoch,
        retention_ms: request.retention_time_ms,
    };
    let offsets: Vec<AskedOffset> = asked.iter().map(|(asked, _)| asked.clone()).collect();
    let count = offsets.len();
    let committed = commit(&shard, context, offsets).await.map_err(|code| match code {
        // No version of this API has a place for it, nor do clients know it here.
        ErrorCode::UnknownServerError => ErrorCode::CoordinatorNotAvailable,
        code => code,
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

/// Very many offsets are committed in several steps. If the member is out of the group by then, the later
/// ones are refused, each for itself.
async fn commit(
    shard: &Rc<Shard>,
    context: CommitContext,
    offsets: Vec<AskedOffset>,
) -> Result<Vec<ErrorCode>, ErrorCode> {
    let group = context.group_id.clone();
    let mut codes = Vec::with_capacity(offsets.len());
    let step = move |groups: &mut Coordinator, turn: &mut Turn<'_>| {
        let rest = &offsets[codes.len()..];
        let some = &rest[..rest.len().min(STEP_MAX)];
        match groups.commit(&context, some, turn) {
            Ok(more) => codes.extend(more),
            Err(code) => codes.extend(some.iter().map(|_| code)),
        }
        match codes.len() == offsets.len() {
            true => ControlFlow::Break(std::mem::take(&mut codes)),
            false => ControlFlow::Continue(()),
        }
    };
    shard.change_group_in_steps(&group, step).await
}

/// The response's frame with what is known to fail, and the offsets to commit, each with the place of
/// its topic. What fails stands before what is committed, as in Kafka.
async fn sort(
    shard: &Shard,
    asked: &[OffsetCommitRequestTopic],
    version: i16,
) -> (OffsetCommitResponse, Vec<(AskedOffset, usize)>) {
    let mut response = OffsetCommitResponse::default();
    let mut found = Vec::new();
    let mut pauses = Pauses::new(&shard.runtime);
    for (place, topic) in asked.iter().enumerate() {
        let (answered, offsets) = sort_topic(shard, topic, version >= IDS_SINCE);
        response.topics.push(answered);
        found.extend(offsets.into_iter().map(|asked| (asked, place)));
        pauses.after(1 + topic.partitions.len()).await;
    }
    (response, found)
}

fn sort_topic(
    shard: &Shard,
    topic: &OffsetCommitRequestTopic,
    by_id: bool,
) -> (OffsetCommitResponseTopic, Vec<AskedOffset>) {
    let catalog = shard.catalog();
    let known = topics::Finder { catalog: &catalog, by_id }.topic(&topic.name, topic.topic_id);
    let name = known.as_ref().map_or(Str::EMPTY, |topic| Str::from(&*topic.name));
    let (mut failed, mut found) = (Vec::new(), Vec::new());
    for partition in &topic.partitions {
        let partition_index = partition.partition_index;
        let error_code = match known.as_ref() {
            Err(error) => errors::partition_code(error),
            Ok(topic) if topic.partition(partition_index).is_none() => {
                ErrorCode::UnknownTopicOrPartition
            }
            Ok(topic) => {
                let (topic, topic_id) = (name.clone(), topics::uuid(topic.id));
                found.push(AskedOffset { topic, topic_id, partition: partition.clone() });
                continue;
            }
        };
        failed.push(OffsetCommitResponsePartition { partition_index, error_code });
    }
    let (name, topic_id) = (topic.name.clone(), topic.topic_id);
    (OffsetCommitResponseTopic { name, topic_id, partitions: failed }, found)
}
