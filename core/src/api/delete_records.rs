//! DeleteRecords: partitions lose their records below an offset, for good (KIP-107).

use std::rc::Rc;
use std::time::Duration;

use corelane_net::messages::{
    DELETE_UP_TO_HIGH_WATERMARK, DeleteRecordsPartitionResult, DeleteRecordsRequest,
    DeleteRecordsResponse, DeleteRecordsTopicResult, UNKNOWN_LOW_WATERMARK,
};
use corelane_storage::ids::PartitionId;
use futures_util::StreamExt;
use futures_util::stream;

use super::topics::Finder;
use super::{errors, fan_out};
use crate::once::{Once, Place};
use crate::partition::PartitionError;
use crate::shard::Shard;
use crate::shard::pauses::Pauses;

/// Least time that a request gets, whatever it asks for: the answer waits for the disk.
const TIMEOUT_MIN_MS: i32 = 1_000;

/// Log starts that one request writes at once on one shard.
const WRITES_MAX: usize = 64;

#[derive(Clone, Copy)]
struct Deletion {
    id: PartitionId,
    /// `None` is the high watermark.
    before: Option<i64>,
}

impl fan_out::Placed for Deletion {
    fn partition(&self) -> PartitionId {
        self.id
    }
}

/// Answers when every partition's new first offset is durable, or refused. Of a partition that is
/// named twice the last mention counts, as in Kafka.
pub async fn answer(shard: Rc<Shard>, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let deadline = shard.deadline(request.timeout_ms.max(TIMEOUT_MIN_MS));
    let (mut response, deletions) = sort(&shard, request).await;
    let deleted = fan_out::ask_found(&shard, deletions, move |shard, deletions| {
        let shard = shard.clone();
        async move { delete(&shard, deletions, deadline).await }
    });
    let deleted = deleted.await;
    let partitions = response.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    let mut pauses = Pauses::new(&shard.runtime);
    for (partition, deleted) in partitions.zip(deleted) {
        match deleted {
            Ok(log_start) => partition.low_watermark = log_start,
            Err(error) => partition.error_code = errors::partition_code(&error),
        }
        pauses.after(1).await;
    }
    response
}

type Sorted = (DeleteRecordsResponse, Vec<Result<Deletion, PartitionError>>);

/// The response's frame, and what is to be done for each of its partitions.
async fn sort(shard: &Shard, request: DeleteRecordsRequest) -> Sorted {
    let mut response = DeleteRecordsResponse::default();
    let mut deletions = Vec::new();
    let mut once = Once::default();
    let mut pauses = Pauses::new(&shard.runtime);
    for topic in request.topics {
        let number = once.topic(topic.name.clone());
        pauses.after(1).await;
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in topic.partitions {
            let partition_index = asked.partition_index;
            let found = Finder { catalog: &shard.catalog(), by_id: false }.partition_to_change(
                &topic.name,
                Default::default(),
                partition_index,
            );
            pauses.after(1).await;
            let deletion = found.map(|id| deletion(id, asked.offset));
            match once.partition(number, partition_index) {
                Place::Again(place) => deletions[place] = deletion,
                Place::First => {
                    deletions.push(deletion);
                    partitions.push(DeleteRecordsPartitionResult {
                        partition_index,
                        low_watermark: UNKNOWN_LOW_WATERMARK,
                        ..Default::default()
                    });
                }
            }
        }
        if !partitions.is_empty() {
            response.topics.push(DeleteRecordsTopicResult { name: topic.name, partitions });
        }
    }
    (response, deletions)
}

fn deletion(id: PartitionId, offset: i64) -> Deletion {
    Deletion { id, before: (offset != DELETE_UP_TO_HIGH_WATERMARK).then_some(offset) }
}

/// The new first offset of each, in order.
async fn delete(
    shard: &Rc<Shard>,
    deletions: Vec<Deletion>,
    deadline: Duration,
) -> Vec<Result<i64, PartitionError>> {
    let deleting = deletions.into_iter().map(|Deletion { id, before }| async move {
        let partition = shard.partition(id)?;
        let deleted = shard.until(deadline, partition.delete_records(before)).await;
        deleted.unwrap_or(Err(PartitionError::TimedOut))
    });
    stream::iter(deleting).buffered(WRITES_MAX).collect().await
}
