//! Committing offsets for a group that nobody is in.

use std::collections::BTreeMap;

use corelane_net::client::{ClientError, Cluster, Connection, Outcomes};
use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, Response,
};

use super::super::super::{Error, retriable};
use super::super::Partition;
use super::super::delete_offsets::of_one;
use super::Row;

/// The last version that names topics.
const NAMES_UP_TO: i16 = 9;

/// What became of each.
pub(super) type Codes = BTreeMap<Partition, ErrorCode>;

/// Commits all of them.
pub(super) fn commit(
    cluster: &mut Cluster,
    group: &Str,
    offsets: &BTreeMap<Partition, i64>,
) -> Result<Codes, Error> {
    let outcomes = cluster.ask_coordinators(std::slice::from_ref(group), |connection, _| {
        let outcome = commit_once(connection, group, offsets)?;
        Ok(Outcomes::from([(group.clone(), outcome)]))
    })?;
    Ok(of_one(outcomes, group)?)
}

fn commit_once(
    connection: &mut Connection,
    group: &Str,
    offsets: &BTreeMap<Partition, i64>,
) -> Result<Result<Codes, ClientError>, ClientError> {
    let mut topics: BTreeMap<&Str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for ((topic, partition_index), offset) in offsets {
        let partition = OffsetCommitRequestPartition {
            partition_index: *partition_index,
            committed_offset: *offset,
            ..Default::default()
        };
        topics.entry(topic).or_default().push(partition);
    }
    let topic = |(name, partitions): (&Str, _)| OffsetCommitRequestTopic {
        name: name.clone(),
        partitions,
        ..Default::default()
    };
    // Of no member, in no generation: taken only while nobody is in.
    let request = OffsetCommitRequest {
        group_id: group.clone(),
        topics: topics.into_iter().map(topic).collect(),
        ..Default::default()
    };
    let Response::OffsetCommit(response) = connection.call_up_to(NAMES_UP_TO, &request.into())?
    else {
        unreachable!("the API decides which response is decoded");
    };
    let mut codes = Codes::new();
    for topic in response.topics {
        let name = topic.name.detached();
        for partition in topic.partitions {
            let code = partition.error_code;
            // A topic that is gone stays gone; all else that passes is of the group as a whole.
            if retriable(code) && code != ErrorCode::UnknownTopicOrPartition {
                let what = format!("committing offsets of group '{group}'");
                return Ok(Err(ClientError::refused(what, code, None)));
            }
            codes.insert((name.clone(), partition.partition_index), code);
        }
    }
    Ok(Ok(codes))
}

/// Notes what became of a partition.
pub(super) fn note(row: &mut Row, codes: &Codes) {
    if row.new_offset.is_none() {
        return;
    }
    let error = match codes.get(&(Str::from(&*row.topic), row.partition)) {
        Some(ErrorCode::None) => return,
        Some(
            ErrorCode::UnknownMemberId
            | ErrorCode::IllegalGeneration
            | ErrorCode::RebalanceInProgress
            | ErrorCode::StaleMemberEpoch,
        ) => "a member has joined the group meanwhile".to_owned(),
        Some(code) => format!("the broker refused with {code}"),
        None => "the broker's answer does not say".to_owned(),
    };
    row.new_offset = None;
    row.lag = None;
    row.note = None;
    row.error = Some(error);
}
