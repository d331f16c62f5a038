//! AlterPartitionReassignments: a partition may be told to stay where it is, and nothing else.

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartition,
    ReassignablePartitionResponse, ReassignableTopicResponse,
};

use super::errors;
use crate::catalog::Catalog;

type Refusal = (ErrorCode, Option<String>);

/// Answers at once.
pub fn answer(
    catalog: &Catalog,
    node_id: i32,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let mut response = AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: request.allow_replication_factor_change,
        ..Default::default()
    };
    for topic in request.topics {
        let partitions = topic.partitions.iter().map(|partition| {
            let outcome = check(catalog, node_id, &topic.name, partition);
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
    node_id: i32,
    name: &str,
    asked: &ReassignablePartition,
) -> Result<(), Refusal> {
    let unknown = |words| Err((ErrorCode::UnknownTopicOrPartition, Some(words)));
    let Some(topic) = catalog.topic(name) else {
        return unknown(format!("Unable to find a topic named {name}."));
    };
    let index = asked.partition_index;
    if topic.partition(index).is_none() {
        return unknown(format!("Unable to find partition {name}:{index}."));
    }
    let Some(replicas) = &asked.replicas else {
        return Err((ErrorCode::NoReassignmentInProgress, None));
    };
    let wrong = match replicas.iter().find(|id| **id != node_id) {
        None if replicas.len() == 1 => return Ok(()),
        None if replicas.is_empty() => "an empty replica list".to_owned(),
        None => format!("the broker {node_id} more than once"),
        Some(other) => format!("broker {other}, but no such broker is registered"),
    };
    let words = format!("The manual partition assignment includes {wrong}.");
    Err((ErrorCode::InvalidReplicaAssignment, Some(words)))
}
