//! Partitions that a request names, each once: what becomes of one that is named twice differs from
//! API to API.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

/// The partitions met so far; `K` is how the API names topics. Nothing is allocated for the first
/// of them: most requests of the data path name one.
pub struct Once<K> {
    first_topic: Option<K>,
    /// All topics but the first.
    topics: HashMap<K, usize>,
    first_partition: Option<(usize, i32)>,
    /// All partitions but the first.
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
        Once {
            first_topic: None,
            topics: HashMap::new(),
            first_partition: None,
            places: HashMap::new(),
        }
    }
}

impl<K: Hash + Eq> Once<K> {
    /// Meets a topic, perhaps again.
    pub fn topic(&mut self, key: K) -> TopicNumber {
        if self.first_topic.as_ref().is_none_or(|first| *first == key) {
            self.first_topic = Some(key);
            return TopicNumber(0);
        }
        let next = self.topics.len() + 1;
        TopicNumber(*self.topics.entry(key).or_insert(next))
    }

    /// Meets one of its partitions, perhaps again.
    pub fn partition(&mut self, topic: TopicNumber, index: i32) -> Place {
        let met = (topic.0, index);
        match self.first_partition {
            None => {
                self.first_partition = Some(met);
                return Place::First;
            }
            Some(first) if first == met => return Place::Again(0),
            Some(_) => {}
        }
        let next = self.places.len() + 1;
        match self.places.entry(met) {
            Entry::Vacant(vacant) => {
                vacant.insert(next);
                Place::First
            }
            Entry::Occupied(place) => Place::Again(*place.get()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Once, Place};

    #[test]
    fn a_partition_named_again_has_the_place_of_the_first_mention() {
        let mut once = Once::default();
        let (a, b) = (once.topic("a"), once.topic("b"));
        assert_eq!(once.partition(a, 0), Place::First);
        assert_eq!(once.partition(b, 0), Place::First);
        assert_eq!(once.partition(a, 7), Place::First);
        let a = once.topic("a");
        assert_eq!(once.partition(a, 7), Place::Again(2));
        assert_eq!(once.partition(a, 0), Place::Again(0));
        assert_eq!(once.partition(b, 0), Place::Again(1));
        assert_eq!(once.partition(b, -1), Place::First);
    }
}
