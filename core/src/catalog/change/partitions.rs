//! More partitions for a topic that there is.

use std::sync::Arc;

use super::{AssignmentError, MAX_PARTITIONS, Refusal, View, check_brokers};
use crate::catalog::Topic;
use crate::catalog::topic::MAX_PARTITIONS_PER_TOPIC;
use crate::group::placement::OFFSETS_TOPIC;

/// The topic and the number of partitions that it may grow to. `assignments` are the brokers of
/// each new partition; `None` lets the broker choose.
pub fn add_partitions(
    view: &View<'_>,
    name: &str,
    count: i32,
    assignments: Option<&[Vec<i32>]>,
) -> Result<(Arc<Topic>, u32), Refusal> {
    let unknown = || Refusal::UnknownTopic(name.to_owned());
    let topic = view.catalog.topic(name).ok_or_else(unknown)?;
    if *topic.name == *OFFSETS_TOPIC {
        // Groups would be looked for in other partitions than those that keep them.
        return Err(Refusal::Internal(name.to_owned()));
    }
    let current = topic.partitions;
    let asked = match u32::try_from(count) {
        Ok(asked) if asked == current => return Err(Refusal::SamePartitions(current)),
        Ok(asked) if asked > current => asked,
        _ => {
            let topic = name.to_owned();
            return Err(Refusal::FewerPartitions { topic, current, asked: count });
        }
    };
    let added = asked - current;
    if let Some(assignments) = assignments {
        if assignments.len() != added as usize {
            return Err(AssignmentError::Count { added, assigned: assignments.len() }.into());
        }
        assignments.iter().try_for_each(|brokers| check_brokers(brokers, view.nodes))?;
    }
    let total = view.catalog.partition_count() + u64::from(added);
    if asked > MAX_PARTITIONS_PER_TOPIC || total > MAX_PARTITIONS {
        return Err(Refusal::TooManyPartitions);
    }
    Ok((topic.clone(), asked))
}
