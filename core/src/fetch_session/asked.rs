//! The partitions that a request names, each once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use corelane_net::messages::{FetchPartition, FetchTopic};

use super::{Asked, PartitionKey, Position, TopicKey};

/// The partitions in the order of the request. One that is named twice has the place of the first
/// mention and the position of the last, as in Kafka.
pub fn asked(topics: &[FetchTopic], by_id: bool) -> Vec<Asked> {
    let count = topics.iter().map(|topic| topic.partitions.len()).sum();
    let mut asked = Vec::with_capacity(count);
    // A topic that is named twice counts as the first.
    let mut firsts: HashMap<TopicKey, usize> = HashMap::new();
    let mut places: HashMap<(usize, i32), usize> = HashMap::with_capacity(count);
    for (number, topic) in topics.iter().enumerate() {
        let key = TopicKey::new(&topic.topic, topic.topic_id, by_id);
        let first = match topics.len() {
            1 => number,
            _ => *firsts.entry(key.clone()).or_insert(number),
        };
        for partition in &topic.partitions {
            let position = position(partition);
            match places.entry((first, partition.partition)) {
                Entry::Vacant(vacant) => {
                    vacant.insert(asked.len());
                    let key = PartitionKey { topic: key.clone(), index: partition.partition };
                    asked.push(Asked { key, position, place: 0 });
                }
                Entry::Occupied(place) => asked[*place.get()].position = position,
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
