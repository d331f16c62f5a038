//! ListOffsets: a partition's first and last offset.
//!
//! Offsets by time and the highest timestamp need the time index: refused with
//! UNSUPPORTED_FOR_MESSAGE_FORMAT until it serves them.

use std::future::ready;
use std::rc::Rc;

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    EARLIEST_LOCAL_TIMESTAMP, EARLIEST_PENDING_UPLOAD_TIMESTAMP, EARLIEST_TIMESTAMP,
    LATEST_TIERED_TIMESTAMP, LATEST_TIMESTAMP, ListOffsetsPartition, ListOffsetsPartitionResponse,
    ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse, MAX_TIMESTAMP,
};
use corelane_storage::ids::PartitionId;

use super::topics::Finder;
use super::{errors, fan_out};
use crate::partition::{PartitionError, check_leader_epoch};
use crate::shard::Shard;

/// What a timestamp asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Earliest,
    Latest,
    /// Nothing is tiered: there is none.
    Nothing,
    Refused(ErrorCode),
}

/// What is found; -1 stands for none.
enum Found {
    At { offset: i64, leader_epoch: i32 },
    Refused(ErrorCode),
}

/// Answers when the owners of all partitions have said theirs.
pub async fn answer(
    shard: Rc<Shard>,
    request: ListOffsetsRequest,
    version: i16,
) -> ListOffsetsResponse {
    let mut response = ListOffsetsResponse::default();
    let (mut answers, mut asked) = (Vec::new(), Vec::new());
    for topic in request.topics {
        let catalog = shard.catalog();
        let finder = Finder { catalog: &catalog, by_id: false };
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let partition_index = partition.partition_index;
            partitions.push(ListOffsetsPartitionResponse { partition_index, ..Default::default() });
            let found = finder.partition(&topic.name, Default::default(), partition_index);
            answers.push(found.as_ref().err().map(|error| Err(error.clone())));
            asked.extend(found.map(|id| (answers.len() - 1, Asked { id, partition })));
        }
        response.topics.push(ListOffsetsTopicResponse { name: topic.name, partitions });
    }
    let (places, asked): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
    let found = fan_out::ask(&shard, &asked, move |shard, asked| {
        let found = asked.iter().map(|asked| look_up(shard, asked, version)).collect();
        ready(found)
    });
    fan_out::put(&mut answers, &places, Ok(found.await));
    let partitions = response.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    for (partition, answer) in partitions.zip(answers) {
        fill(partition, answer.unwrap_or(Err(PartitionError::Panicked)));
    }
    response
}

fn fill(partition: &mut ListOffsetsPartitionResponse, found: Result<Found, PartitionError>) {
    match found {
        Ok(Found::At { offset, leader_epoch }) => {
            partition.offset = offset;
            partition.leader_epoch = leader_epoch;
        }
        Ok(Found::Refused(code)) => partition.error_code = code,
        Err(error) => partition.error_code = errors::partition_code(&error),
    }
}

#[derive(Clone)]
struct Asked {
    id: PartitionId,
    partition: ListOffsetsPartition,
}

impl fan_out::Placed for Asked {
    fn partition(&self) -> PartitionId {
        self.id
    }
}

fn look_up(shard: &Shard, asked: &Asked, version: i16) -> Result<Found, PartitionError> {
    let partition = shard.partition(asked.id)?;
    let leader_epoch = partition.leader_epoch()?;
    check_leader_epoch(asked.partition.current_leader_epoch, leader_epoch)?;
    let offsets = partition.offsets()?;
    Ok(match wanted(asked.partition.timestamp, version) {
        // The epoch of the first record is not at hand: -1 says so, a wrong one would mislead.
        Wanted::Earliest => Found::At { offset: offsets.log_start, leader_epoch: -1 },
        // Without transactions the last stable offset is the high watermark.
        Wanted::Latest => Found::At { offset: offsets.high_watermark, leader_epoch },
        Wanted::Nothing => Found::At { offset: -1, leader_epoch: -1 },
        Wanted::Refused(code) => Found::Refused(code),
    })
}

/// What `timestamp` asks for in this version; as Kafka answers without tiered storage.
pub(super) fn wanted(timestamp: i64, version: i16) -> Wanted {
    match timestamp {
        LATEST_TIMESTAMP => Wanted::Latest,
        EARLIEST_TIMESTAMP => Wanted::Earliest,
        EARLIEST_LOCAL_TIMESTAMP if version >= 8 => Wanted::Earliest,
        LATEST_TIERED_TIMESTAMP if version >= 9 => Wanted::Nothing,
        EARLIEST_PENDING_UPLOAD_TIMESTAMP if version >= 11 => Wanted::Nothing,
        MAX_TIMESTAMP if version >= 7 => Wanted::Refused(ErrorCode::UnsupportedForMessageFormat),
        0.. => Wanted::Refused(ErrorCode::UnsupportedForMessageFormat),
        _ => Wanted::Refused(ErrorCode::UnsupportedVersion),
    }
}
