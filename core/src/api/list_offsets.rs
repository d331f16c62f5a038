//! ListOffsets: a partition's first and last offset, and those of its records by time.

use std::rc::Rc;

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    EARLIEST_LOCAL_TIMESTAMP, EARLIEST_PENDING_UPLOAD_TIMESTAMP, EARLIEST_TIMESTAMP,
    LATEST_TIERED_TIMESTAMP, LATEST_TIMESTAMP, ListOffsetsPartition, ListOffsetsPartitionResponse,
    ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse, MAX_TIMESTAMP,
};
use corelane_storage::ids::PartitionId;
use corelane_storage::log::TimestampOffset;

use super::topics::Finder;
use super::{errors, fan_out};
use crate::once::{Once, Place};
use crate::partition::PartitionError;
use crate::shard::Shard;

/// What a timestamp asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Earliest,
    Latest,
    /// The first record of this time, or later.
    Since(i64),
    /// The first of the records with the highest timestamp (KIP-734).
    Newest,
    /// Nothing is tiered: there is none.
    Nothing,
    /// Not known in this version.
    Unsupported,
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

fn fill(
    partition: &mut ListOffsetsPartitionResponse,
    found: Result<Option<TimestampOffset>, PartitionError>,
) {
    match found {
        Ok(Some(found)) => {
            partition.timestamp = found.timestamp_ms;
            partition.offset = found.offset;
            partition.leader_epoch = found.leader_epoch;
        }
        Ok(None) => {}
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

/// Offset, time (-1 where it is an end of the log) and epoch; `None` if there is no such record.
async fn look_up(
    shard: &Shard,
    asked: &Asked,
    version: i16,
) -> Result<Option<TimestampOffset>, PartitionError> {
    let partition = shard.partition(asked.id)?;
    partition.check_leader_epoch(asked.partition.current_leader_epoch)?;
    let end =
        |offset, leader_epoch| Some(TimestampOffset { offset, timestamp_ms: -1, leader_epoch });
    match wanted(asked.partition.timestamp, version) {
        Wanted::Earliest => {
            let offset = partition.offsets()?.log_start;
            Ok(end(offset, partition.epoch_of(offset)?))
        }
        // Without transactions the last stable offset is the high watermark.
        Wanted::Latest => Ok(end(partition.offsets()?.high_watermark, partition.leader_epoch()?)),
        Wanted::Since(timestamp_ms) => {
            let _turn = shard.record_searches.acquire(1).await;
            partition.offset_for_timestamp(timestamp_ms).await
        }
        Wanted::Newest => {
            let _turn = shard.record_searches.acquire(1).await;
            partition.max_timestamp().await
        }
        Wanted::Nothing => Ok(None),
        Wanted::Unsupported => Err(PartitionError::UnsupportedTimestamp),
    }
}

/// What `timestamp` asks for in this version; as Kafka answers without tiered storage.
pub(super) fn wanted(timestamp: i64, version: i16) -> Wanted {
    match timestamp {
        LATEST_TIMESTAMP => Wanted::Latest,
        EARLIEST_TIMESTAMP => Wanted::Earliest,
        MAX_TIMESTAMP if version >= 7 => Wanted::Newest,
        EARLIEST_LOCAL_TIMESTAMP if version >= 8 => Wanted::Earliest,
        LATEST_TIERED_TIMESTAMP if version >= 9 => Wanted::Nothing,
        EARLIEST_PENDING_UPLOAD_TIMESTAMP if version >= 11 => Wanted::Nothing,
        0.. => Wanted::Since(timestamp),
        _ => Wanted::Unsupported,
    }
}
