//! The partitions that a request names, each once.

use corelane_net::messages::{FetchPartition, FetchTopic};

use super::{Asked, PartitionKey, Position, TopicKey};
use crate::once::{Once, Place};

/// The partitions in the order of the request. One that is named twice has the place of the first
/// mention and the position of the last, as in Kafka.
pub fn asked(topics: &[FetchTopic], by_id: bool) -> Vec<Asked> {
    let mut asked = Vec::with_capacity(topics.iter().map(|topic| topic.partitions.len()).sum());
    let mut once = Once::default();
    for topic in topics {
        let key = TopicKey::new(&topic.topic, topic.topic_id, by_id);
        let number = once.topic(key.clone());
        for partition in &topic.partitions {
            let position = position(partition);
            match once.partition(number, partition.partition) {
                Place::First => {
                    let key = PartitionKey { topic: key.clone(), index: partition.partition };
                    asked.push(Asked { key, position, place: 0 });
                }
                Place::Again(place) => asked[place].position = position,
            }
        }
    }
    asked
}

fn position(partition: &FetchPartition) -> Position {
    Position {
        offset: partition.fetch_offset,
        max_bytes: partition.partition_max_bytes,
        current_leader_epoch: partition.current_leader_epoch,
        last_fetched_epoch: partition.last_fetched_epoch,
    }
}
