//! AlterPartitionReassignments: a partition may be told to stay where it is, and nothing else.

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartition,
    ReassignablePartitionResponse, ReassignableTopicResponse,
};

use super::errors;
use crate::catalog::Catalog;
use crate::shard::nodes::Nodes;

type Refusal = (ErrorCode, Option<String>);

/// Answers at once.
pub fn answer(
    catalog: &Catalog,
    nodes: Nodes,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let mut response = AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: request.allow_replication_factor_change,
        ..Default::default()
    };
    for topic in request.topics {
        let partitions = topic.partitions.iter().map(|partition| {
            let outcome = check(catalog, nodes, &topic.name, partition);
            let (error_code, words) = outcome.err().unzip();
            ReassignablePartitionResponse {
                partition_index: partition.partition_index,
                error_code: error_code.unwrap_or_default(),
                error_message: words.flatten().and_then(|words| errors::message(&words)),
            }
        });
        let partitions = partitions.collect();
        response.responses.push(ReassignableTopicResponse { name: topic.name, partitions });
    }
    response
}

fn check(
    catalog: &Catalog,
    nodes: Nodes,
    name: &str,
    asked: &ReassignablePartition,
) -> Result<(), Refusal> {
    let unknown = |words| Err((ErrorCode::UnknownTopicOrPartition, Some(words)));
    let Some(topic) = catalog.topic(name) else {
        return unknown(format!("Unable to find a topic named {name}."));
    };
    let index = asked.partition_index;
    let Some(partition) = topic.partition(index) else {
        return unknown(format!("Unable to find partition {name}:{index}."));
    };
    let Some(replicas) = &asked.replicas else {
        return Err((ErrorCode::NoReassignmentInProgress, None));
    };
    let leader = nodes.leader(partition).id;
    let wrong = match replicas.iter().find(|id| nodes.find(**id).is_none()) {
        None if **replicas == [leader] => return Ok(()),
        None if replicas.is_empty() => "an empty replica list".to_owned(),
        None => match replicas.iter().find(|id| **id != leader) {
            None => format!("the broker {leader} more than once"),
            Some(other) => format!("broker {other}, but the partition can only be at {leader}"),
        },
        Some(other) => format!("broker {other}, but no such broker is registered"),
    };
    let words = format!("The manual partition assignment includes {wrong}.");
    Err((ErrorCode::InvalidReplicaAssignment, Some(words)))
}
