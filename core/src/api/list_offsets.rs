//! ListOffsets: a partition's first and last offset.
//!
//! Offsets by time and the highest timestamp need the time index: refused with
//! UNSUPPORTED_FOR_MESSAGE_FORMAT until it serves them.

use std::rc::Rc;

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    EARLIEST_LOCAL_TIMESTAMP, EARLIEST_PENDING_UPLOAD_TIMESTAMP, EARLIEST_TIMESTAMP,
    LATEST_TIERED_TIMESTAMP, LATEST_TIMESTAMP, ListOffsetsPartition, ListOffsetsPartitionResponse,
    ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse, MAX_TIMESTAMP,
};
use corelane_storage::ids::PartitionId;

use super::once::{Once, Place};
use super::topics::Finder;
use super::{errors, fan_out};
use crate::partition::PartitionError;
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

/// Answers when the owners of all partitions have said theirs. A partition that is named twice is
/// refused, as in Kafka.
pub async fn answer(
    shard: Rc<Shard>,
    request: ListOffsetsRequest,
    version: i16,
) -> ListOffsetsResponse {
    let known_isolation = matches!(request.isolation_level, 0 | 1);
    let (mut response, asked) = sort(&shard, request);
    let found = fan_out::ask_found(&shard, asked, move |shard, asked| {
        let shard = shard.clone();
        async move {
            let mut found = Vec::with_capacity(asked.len());
            for asked in asked {
                found.push(look_up(&shard, &asked, version).await);
            }
            found
        }
    });
    let found = found.await;
    let partitions = response.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    for (partition, found) in partitions.zip(found) {
        match known_isolation {
            true => fill(partition, found),
            false => partition.error_code = ErrorCode::UnknownServerError,
        }
    }
    response
}

type Sorted = (ListOffsetsResponse, Vec<Result<Asked, PartitionError>>);

/// The response's frame, and what is asked about each of its partitions.
fn sort(shard: &Shard, request: ListOffsetsRequest) -> Sorted {
    let mut response = ListOffsetsResponse::default();
    let mut all = Vec::new();
    let mut once = Once::default();
    let catalog = shard.catalog();
    let finder = Finder { catalog: &catalog, by_id: false };
    for topic in request.topics {
        let number = once.topic(topic.name.clone());
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let partition_index = partition.partition_index;
            if let Place::Again(place) = once.partition(number, partition_index) {
                all[place] = Err(PartitionError::NamedTwice);
                continue;
            }
            partitions.push(ListOffsetsPartitionResponse { partition_index, ..Default::default() });
            let found = finder.partition(&topic.name, Default::default(), partition_index);
            all.push(found.map(|id| Asked { id, partition }));
        }
        if !partitions.is_empty() {
            response.topics.push(ListOffsetsTopicResponse { name: topic.name, partitions });
        }
    }
    (response, all)
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

async fn look_up(shard: &Shard, asked: &Asked, version: i16) -> Result<Found, PartitionError> {
    let partition = shard.partition(asked.id)?;
    partition.check_leader_epoch(asked.partition.current_leader_epoch)?;
    let offsets = partition.offsets()?;
    Ok(match wanted(asked.partition.timestamp, version) {
        Wanted::Earliest => Found::At {
            offset: offsets.log_start,
            leader_epoch: partition.epoch_of(offsets.log_start)?,
        },
        // Without transactions the last stable offset is the high watermark.
        Wanted::Latest => {
            Found::At { offset: offsets.high_watermark, leader_epoch: partition.leader_epoch()? }
        }
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
