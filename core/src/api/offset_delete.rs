//! OffsetDelete (KIP-496).

use std::ops::ControlFlow;
use std::rc::Rc;

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
};

use crate::group::offsets::Place;
use crate::group::rules::STEP_MAX;
use crate::shard::Shard;

/// Answers when the offsets are gone for good.
pub async fn answer(shard: Rc<Shard>, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let refused = |error_code| OffsetDeleteResponse { error_code, ..Default::default() };
    let (topics, found) = sort(&shard, &request);
    if request.group_id.is_empty() {
        return refused(ErrorCode::InvalidGroupId);
    }
    let mut response = OffsetDeleteResponse { topics, ..Default::default() };
    if found.is_empty() {
        return response;
    }
    let group = request.group_id.clone();
    let asked: Vec<Place> = found.iter().map(|(asked, _)| asked.clone()).collect();
    let mut codes = Vec::with_capacity(asked.len());
    let deleted = shard.change_group_in_steps(&request.group_id, move |groups, turn| {
        let rest = &asked[codes.len()..];
        match groups.delete_offsets(&group, &rest[..rest.len().min(STEP_MAX)], turn) {
            Ok(some) => codes.extend(some),
            Err(code) => return ControlFlow::Break(Err(code)),
        }
        match codes.len() == asked.len() {
            true => ControlFlow::Break(Ok(std::mem::take(&mut codes))),
            false => ControlFlow::Continue(()),
        }
    });
    match deleted.await.unwrap_or_else(Err) {
        Ok(codes) => {
            for (((_, partition_index), place), error_code) in found.into_iter().zip(codes) {
                let answered = OffsetDeleteResponsePartition { partition_index, error_code };
                response.topics[place].partitions.push(answered);
            }
            response
        }
        Err(code) => refused(code),
    }
}

/// An offset to delete, and the place of its topic.
type Found = (Place, usize);

/// The topics with what is known to fail, and the rest.
fn sort(
    shard: &Shard,
    request: &OffsetDeleteRequest,
) -> (Vec<OffsetDeleteResponseTopic>, Vec<Found>) {
    let (mut topics, mut found) = (Vec::new(), Vec::new());
    let catalog = shard.catalog();
    for (place, topic) in request.topics.iter().enumerate() {
        let known = catalog.topic(&topic.name);
        let mut partitions = Vec::new();
        for partition in &topic.partitions {
            let partition_index = partition.partition_index;
            if known.is_some_and(|known| known.partition(partition_index).is_some()) {
                found.push(((topic.name.clone(), partition_index), place));
            } else {
                let error_code = ErrorCode::UnknownTopicOrPartition;
                partitions.push(OffsetDeleteResponsePartition { partition_index, error_code });
            }
        }
        topics.push(OffsetDeleteResponseTopic { name: topic.name.clone(), partitions });
    }
    (topics, found)
}
