//! What coordinators know of topics: enough to share their partitions out.

use std::fmt::Debug;

use corelane_net::codec::{Str, Uuid};

/// A topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicFacts {
    /// Its id.
    pub id: Uuid,
    /// How many partitions it has.
    pub partitions: i32,
}

/// The topics that there are.
pub trait Topics: Debug {
    /// Differs from what it was before whenever a topic was made, grown or deleted.
    fn version(&self) -> u64;
    /// The topic of this name.
    fn facts(&self, name: &str) -> Option<TopicFacts>;
    /// The name of the topic with this id.
    fn name(&self, id: Uuid) -> Option<Str>;
    /// How many there are.
    fn count(&self) -> usize;
    /// Their names, sorted.
    fn names(&self) -> Vec<Str>;
}

/// No topics: for steps that have nothing to do with them.
#[derive(Clone, Copy, Debug)]
pub struct NoTopics;

impl Topics for NoTopics {
    fn version(&self) -> u64 {
        0
    }

    fn facts(&self, _: &str) -> Option<TopicFacts> {
        None
    }

    fn name(&self, _: Uuid) -> Option<Str> {
        None
    }

    fn count(&self) -> usize {
        0
    }

    fn names(&self) -> Vec<Str> {
        Vec::new()
    }
}
