//! Partitions that a request names, each once: what becomes of one that is named twice differs from
//! API to API.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

/// The partitions met so far; `K` is how the API names topics.
pub struct Once<K> {
    topics: HashMap<K, usize>,
    places: HashMap<(usize, i32), usize>,
}

/// A topic that was met.
#[derive(Clone, Copy)]
pub struct TopicNumber(usize);

/// Where a partition stands among the different ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Behind all others: it is the first time that it is named.
    First,
    /// At this place: it was named before.
    Again(usize),
}

impl<K> Default for Once<K> {
    fn default() -> Once<K> {
        Once { topics: HashMap::new(), places: HashMap::new() }
    }
}

impl<K: Hash + Eq> Once<K> {
    /// Meets a topic, perhaps again.
    pub fn topic(&mut self, key: K) -> TopicNumber {
        let next = self.topics.len();
        TopicNumber(*self.topics.entry(key).or_insert(next))
    }

    /// Meets one of its partitions, perhaps again.
    pub fn partition(&mut self, topic: TopicNumber, index: i32) -> Place {
        let next = self.places.len();
        match self.places.entry((topic.0, index)) {
            Entry::Vacant(vacant) => {
                vacant.insert(next);
                Place::First
            }
            Entry::Occupied(place) => Place::Again(*place.get()),
        }
    }
}
