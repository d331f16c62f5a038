//! Who shall read which partitions: pure, and the same for the same question.
//!
//! - `range.rs`: each topic cut into runs, so that equal partitions of several topics go to one member
//! - `uniform.rs`: equal numbers, with as few moves as possible
//! - `balance.rs`: the same where members read different topics

mod balance;
mod range;
#[cfg(test)]
mod tests;
mod uniform;

use std::sync::Arc;

use corelane_net::codec::{Str, Uuid};

use super::partitions::Partitions;

/// Ways to share partitions out, by the names that clients know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assignor {
    /// `uniform`
    Uniform,
    /// `range`
    Range,
}

impl Assignor {
    /// Every one of them.
    pub const ALL: [Assignor; 2] = [Assignor::Uniform, Assignor::Range];

    /// The assignor of this name.
    pub fn named(name: &str) -> Option<Assignor> {
        Assignor::ALL.into_iter().find(|assignor| assignor.name() == name)
    }

    /// The assignor that a config names, by name or by Kafka's class.
    pub fn configured(name: &str) -> Option<Assignor> {
        match name.trim() {
            "org.apache.kafka.coordinator.group.assignor.UniformAssignor" => {
                Some(Assignor::Uniform)
            }
            "org.apache.kafka.coordinator.group.assignor.RangeAssignor" => Some(Assignor::Range),
            name => Assignor::named(name),
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Assignor::Uniform => "uniform",
            Assignor::Range => "range",
        }
    }
}

/// A topic that somebody reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskedTopic {
    /// Its id.
    pub id: Uuid,
    /// How many partitions it has.
    pub partitions: i32,
}

/// A member, and what it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedMember {
    /// Its id.
    pub id: Str,
    /// The static member's name.
    pub instance_id: Option<Str>,
    /// The topics that it reads: places in [`Question::topics`], ascending. Members that read the same share it.
    pub topics: Arc<[usize]>,
    /// What it was to own before.
    pub before: Partitions,
}

/// Whom to share what among.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// How.
    pub assignor: Assignor,
    /// What, by id.
    pub topics: Vec<AskedTopic>,
    /// Among whom, by id.
    pub members: Vec<AskedMember>,
}

impl Question {
    /// How long an answer takes, in partitions handled, roughly.
    pub fn cost(&self) -> usize {
        let partitions: usize = self.topics.iter().map(|topic| count(topic.partitions)).sum();
        let wishes: usize = self.members.iter().map(|member| member.topics.len() + 1).sum();
        // Balancing goes over everything up to 16 times.
        let rounds = if self.is_homogeneous() { 1 } else { 4 };
        (partitions + wishes) * rounds
    }

    /// Whether all members read the same topics.
    fn is_homogeneous(&self) -> bool {
        self.members.windows(2).all(|pair| pair[0].topics == pair[1].topics)
    }

    /// What each member is to own, in the order of the members.
    pub fn answer(&self) -> Vec<Partitions> {
        let owners = match (self.assignor, self.is_homogeneous()) {
            _ if self.members.is_empty() => return Vec::new(),
            (Assignor::Range, _) => range::assign(self),
            (Assignor::Uniform, true) => uniform::assign(self),
            (Assignor::Uniform, false) => balance::assign(self),
        };
        let mut answer = vec![Partitions::new(); self.members.len()];
        for (topic, owners) in self.topics.iter().zip(owners) {
            for (partition, owner) in (0..).zip(owners) {
                if let Some(owner) = owner {
                    answer[owner].entry(topic.id).or_default().push(partition);
                }
            }
        }
        answer
    }

    /// Who owned each partition before and still reads its topic: by topic and partition.
    fn owners_before(&self) -> Owners {
        let nobody = |topic: &AskedTopic| vec![None; count(topic.partitions)];
        let mut owners: Owners = self.topics.iter().map(nobody).collect();
        for (member, asked) in self.members.iter().enumerate() {
            for &topic in &*asked.topics {
                let kept = asked.before.get(&self.topics[topic].id);
                for &partition in kept.into_iter().flatten() {
                    let place =
                        usize::try_from(partition).ok().and_then(|at| owners[topic].get_mut(at));
                    // What is not there any more is passed over.
                    if let Some(place) = place {
                        place.get_or_insert(member);
                    }
                }
            }
        }
        owners
    }
}

/// The owner of each partition, by topic: a place in [`Question::members`].
type Owners = Vec<Vec<Option<usize>>>;

fn count(partitions: i32) -> usize {
    usize::try_from(partitions).unwrap_or(0)
}
