//! A new topic.

use corelane_storage::ids::TopicId;

use super::{AssignmentError, MAX_PARTITIONS, Refusal, View, check_brokers};
use crate::catalog::Topic;
use crate::catalog::config::{Configs, KEYS_MAX, check_topic};
use crate::catalog::name;
use crate::catalog::topic::MAX_PARTITIONS_PER_TOPIC;
use crate::group::placement::OFFSETS_TOPIC;
use crate::group::rules::Rules;

/// Most partitions that one request may make, as in Kafka.
const PARTITIONS_PER_REQUEST_MAX: u64 = 10_000;

/// A topic that is asked for; nothing in it is checked yet.
#[derive(Clone, Debug)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; -1 is the broker's default, or as many as there are assignments.
    pub partitions: i32,
    /// How many replicas; -1 is the broker's default.
    pub replication_factor: i16,
    /// Where its partitions shall be; empty lets the broker choose.
    pub assignments: Vec<Assignment>,
    /// Its configs.
    pub configs: Vec<(String, Option<String>)>,
}

/// Where one partition shall be.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// The partition.
    pub partition: i32,
    /// Its brokers.
    pub brokers: Vec<i32>,
}

impl NewTopic {
    /// A topic with the broker's defaults.
    pub fn named(name: &str) -> NewTopic {
        NewTopic {
            name: name.to_owned(),
            partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
        }
    }

    /// How many partitions it would have, as far as can be said of a topic that is not checked.
    fn claimed_partitions(&self, default: u32) -> u64 {
        match (self.assignments.len(), self.partitions) {
            (0, -1) => u64::from(default),
            (0, partitions) => u64::try_from(partitions).unwrap_or(0),
            (assigned, _) => assigned as u64,
        }
    }
}

/// Checks what all topics of one request ask for together.
pub fn check_request_size(topics: &[NewTopic], default_partitions: u32) -> Result<(), Refusal> {
    let claimed = topics.iter().map(|topic| topic.claimed_partitions(default_partitions));
    if claimed.sum::<u64>() > PARTITIONS_PER_REQUEST_MAX {
        return Err(Refusal::TooManyPartitionsAtOnce);
    }
    Ok(())
}

/// The topic that `new` asks for, with `id`. The order of the checks is Kafka's.
pub fn create(view: &View<'_>, new: NewTopic, id: TopicId) -> Result<Topic, Refusal> {
    check_name(view, &new.name)?;
    let configs = new_configs(view, new.configs)?;
    let partitions = match &*new.assignments {
        [] => chosen(view, new.partitions, new.replication_factor)?,
        assignments => assigned(view, assignments, new.partitions, new.replication_factor)?,
    };
    check_total(view, partitions)?;
    Ok(Topic { name: new.name.into(), id, partitions, configs })
}

fn check_total(view: &View<'_>, partitions: u32) -> Result<(), Refusal> {
    let total = view.catalog.partition_count() + u64::from(partitions);
    if partitions > MAX_PARTITIONS_PER_TOPIC || total > MAX_PARTITIONS {
        return Err(Refusal::TooManyPartitions);
    }
    Ok(())
}

/// The topic in which groups are kept, as Kafka makes it.
pub fn create_offsets_topic(view: &View<'_>, rules: &Rules, id: TopicId) -> Result<Topic, Refusal> {
    let segment_bytes = rules.offsets_topic_segment_bytes.to_string();
    let configs = [
        ("cleanup.policy", "compact"),
        ("compression.type", "producer"),
        ("segment.bytes", &segment_bytes),
    ];
    let configs = configs.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let partitions = chosen(view, rules.offsets_topic_partitions, 1)?;
    check_total(view, partitions)?;
    Ok(Topic { name: OFFSETS_TOPIC.into(), id, partitions, configs: configs.into() })
}

fn check_name(view: &View<'_>, name: &str) -> Result<(), Refusal> {
    if name == name::CLUSTER_METADATA {
        let words = format!("Creation of internal topic {name} is prohibited.");
        return Err(Refusal::Request(words));
    }
    name::check(name)?;
    if view.catalog.topic(name).is_some() {
        return Err(Refusal::Exists(name.to_owned()));
    }
    if let Some(with) = view.catalog.collision(name) {
        return Err(Refusal::Collision { name: name.to_owned(), with: with.to_owned() });
    }
    if name::is_internal(name) {
        return Err(Refusal::Internal(name.to_owned()));
    }
    Ok(())
}

/// Of a key that is there twice the last one counts.
fn new_configs(view: &View<'_>, asked: Vec<(String, Option<String>)>) -> Result<Configs, Refusal> {
    if asked.len() > KEYS_MAX {
        let words = format!("At most {KEYS_MAX} configs of one topic can be set at once");
        return Err(Refusal::Request(words));
    }
    let mut configs = Configs::new();
    let mut nulls = Vec::new();
    for (key, value) in asked {
        match value {
            Some(value) => drop(configs.insert(key, value)),
            None => nulls.push(key),
        }
    }
    if !nulls.is_empty() {
        return Err(Refusal::NullConfigs(nulls));
    }
    check_topic(&view.catalog.layers(&configs, view.nodes.host_id(), view.settings))?;
    Ok(configs)
}

/// Partitions of a topic whose places the broker chooses.
fn chosen(view: &View<'_>, partitions: i32, replicas: i16) -> Result<u32, Refusal> {
    if replicas < -1 || replicas == 0 {
        return Err(Refusal::NoReplicas);
    }
    let partitions = match partitions {
        -1 => view.default_partitions,
        // Kafka looks at the number before it looks for brokers.
        _ => u32::try_from(partitions).ok().filter(|n| *n > 0).ok_or(Refusal::NoPartitions)?,
    };
    if replicas > 1 {
        let is_one = !view.nodes.are_shards();
        let refusal = if is_one { Refusal::TooManyReplicas } else { Refusal::OneHost };
        return Err(refusal(replicas));
    }
    Ok(partitions)
}

/// Partitions of a topic whose places the request names: 0, 1, 2 and so on, in any order.
fn assigned(
    view: &View<'_>,
    assignments: &[Assignment],
    partitions: i32,
    replicas: i16,
) -> Result<u32, Refusal> {
    let with_number = |what| {
        let words =
            format!("A manual partition assignment was specified, but {what} was not set to -1.");
        Err(Refusal::Request(words))
    };
    if replicas != -1 {
        return with_number("replication factor");
    }
    if partitions != -1 {
        return with_number("numPartitions");
    }
    let mut indexes = std::collections::BTreeSet::new();
    for assignment in assignments {
        if !indexes.insert(assignment.partition) {
            return Err(AssignmentError::Repeated(assignment.partition).into());
        }
        check_brokers(&assignment.brokers, view.nodes)?;
    }
    if indexes.iter().zip(0..).any(|(index, expected)| *index != expected) {
        return Err(AssignmentError::Gap.into());
    }
    u32::try_from(indexes.len()).map_err(|_| Refusal::TooManyPartitions)
}
