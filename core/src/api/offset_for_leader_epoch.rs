//! OffsetForLeaderEpoch: where a leader epoch ends, so that a client can tell whether what it has
//! read is still there (KIP-320).

use std::future::ready;
use std::rc::Rc;

use corelane_net::messages::{
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderPartitionResult, OffsetForLeaderTopicResult,
};
use corelane_storage::ids::PartitionId;

use super::topics::Finder;
use super::{errors, fan_out};
use crate::partition::{EpochEnd, PartitionError};
use crate::shard::Shard;
use crate::shard::pauses::Pauses;

#[derive(Clone)]
struct Asked {
    id: PartitionId,
    partition: OffsetForLeaderPartition,
}

impl fan_out::Placed for Asked {
    fn partition(&self) -> PartitionId {
        self.id
    }
}

/// Answers when the owners of all partitions have said theirs. An epoch that a partition can't have
/// had ends nowhere: -1 and -1.
pub async fn answer(
    shard: Rc<Shard>,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let mut response = OffsetForLeaderEpochResponse::default();
    let mut asked = Vec::new();
    let mut pauses = Pauses::new(&shard.runtime);
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        pauses.after(1).await;
        for partition in topic.partitions {
            let index = partition.partition;
            partitions
                .push(OffsetForLeaderPartitionResult { partition: index, ..Default::default() });
            let found = Finder { catalog: &shard.catalog(), by_id: false }.partition(
                &topic.topic,
                Default::default(),
                index,
            );
            asked.push(found.map(|id| Asked { id, partition }));
            pauses.after(1).await;
        }
        response.topics.push(OffsetForLeaderTopicResult { topic: topic.topic, partitions });
    }
    let ends = fan_out::ask_found(&shard, asked, |shard, asked| {
        ready(asked.iter().map(|asked| look_up(shard, asked)).collect())
    });
    let ends = ends.await;
    let partitions = response.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    for (partition, end) in partitions.zip(ends) {
        match end {
            Ok(Some(end)) => {
                partition.leader_epoch = end.epoch;
                partition.end_offset = end.end_offset;
            }
            Ok(None) => {}
            Err(error) => partition.error_code = errors::partition_code(&error),
        }
        pauses.after(1).await;
    }
    response
}

fn look_up(shard: &Shard, asked: &Asked) -> Result<Option<EpochEnd>, PartitionError> {
    let partition = shard.partition(asked.id)?;
    partition.check_leader_epoch(asked.partition.current_leader_epoch)?;
    partition.epoch_end(asked.partition.leader_epoch)
}
