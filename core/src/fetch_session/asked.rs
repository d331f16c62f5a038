//! The partitions that a request names, each once.

use corelane_net::messages::{FetchPartition, FetchTopic};

use super::{Asked, PartitionKey, Position, TopicKey};
use crate::once::{Once, Place, TopicNumber};

/// The partitions in the order of the request, which may be taken in piece by piece. One that is named
/// twice has the place of the first mention and the position of the last, as in Kafka.
pub struct Asking {
    by_id: bool,
    once: Once<TopicKey>,
    asked: Vec<Asked>,
}

/// A topic whose partitions follow.
pub struct AskedTopic {
    key: TopicKey,
    number: TopicNumber,
}

impl Asking {
    /// Nothing yet of these topics.
    pub fn new(topics: &[FetchTopic], by_id: bool) -> Asking {
        let partitions = topics.iter().map(|topic| topic.partitions.len()).sum();
        Asking { by_id, once: Once::default(), asked: Vec::with_capacity(partitions) }
    }

    /// The next topic.
    pub fn topic(&mut self, topic: &FetchTopic) -> AskedTopic {
        let key = TopicKey::new(&topic.topic, topic.topic_id, self.by_id);
        AskedTopic { number: self.once.topic(key.clone()), key }
    }

    /// The next partitions of it.
    pub fn partitions(&mut self, topic: &AskedTopic, partitions: &[FetchPartition]) {
        for partition in partitions {
            let position = position(partition);
            match self.once.partition(topic.number, partition.partition) {
                Place::First => {
                    let (topic, index) = (topic.key.clone(), partition.partition);
                    self.asked.push(Asked {
                        key: PartitionKey { topic, index },
                        position,
                        place: 0,
                    });
                }
                Place::Again(place) => self.asked[place].position = position,
            }
        }
    }

    /// All of them.
    pub fn asked(self) -> Vec<Asked> {
        self.asked
    }
}

fn position(partition: &FetchPartition) -> Position {
    Position {
        offset: partition.fetch_offset,
        max_bytes: partition.partition_max_bytes,
        current_leader_epoch: partition.current_leader_epoch,
        last_fetched_epoch: partition.last_fetched_epoch,
    }
}
