//! ListPartitionReassignments: on one broker no partition is ever on its way to another.

use corelane_net::messages::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

/// Answers at once.
pub fn answer(_: ListPartitionReassignmentsRequest) -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default()
}
