//! Where logs begin and end: of many partitions of many topics, with one question to each leader.

use std::collections::{BTreeMap, BTreeSet};

use corelane_net::client::{ClientError, Cluster};
use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsTopic,
    Request, Response,
};

use super::super::retriable;
use super::Partition;

/// The offset that ListOffsets finds for `timestamp` in each of these partitions; -1 if there is none. A
/// partition that is not there, has no leader or may not be looked at is not among them.
pub(super) fn offsets_at(
    cluster: &mut Cluster,
    partitions: &BTreeSet<Partition>,
    timestamp: i64,
) -> Result<BTreeMap<Partition, i64>, ClientError> {
    let mut found = BTreeMap::new();
    let mut unknown = BTreeSet::new();
    cluster.retry(|cluster| {
        let left = partitions.iter();
        let left = left.filter(|one| !found.contains_key(*one) && !unknown.contains(*one));
        let mut passing = None;
        for (leader, partitions) in by_leader(cluster, left)? {
            let request = request(&partitions, timestamp);
            let answer = cluster.broker(leader).and_then(|connection| connection.call(&request));
            match answer {
                Ok(Response::ListOffsets(response)) => {
                    for topic in response.topics {
                        let name = topic.name.detached();
                        let told = topic.partitions.into_iter();
                        let told =
                            told.map(|answer| ((name.clone(), answer.partition_index), answer));
                        told.for_each(|(partition, answer)| {
                            match read(&partition, &answer) {
                                Ok(Some(offset)) => drop(found.insert(partition, offset)),
                                Ok(None) => drop(unknown.insert(partition)),
                                Err(error) => passing = Some(error),
                            };
                        });
                    }
                }
                Ok(_) => unreachable!("the API decides which response is decoded"),
                Err(error) if error.is_retriable() => passing = Some(error),
                Err(error) => return Err(error),
            }
        }
        passing.map_or(Ok(()), Err)
    })?;
    Ok(found)
}

/// `None` if it will not be told.
fn read(
    partition: &Partition,
    answer: &ListOffsetsPartitionResponse,
) -> Result<Option<i64>, ClientError> {
    match answer.error_code {
        ErrorCode::None => Ok(Some(answer.offset)),
        code if retriable(code) => {
            let what =
                format!("finding an offset of partition {} of '{}'", partition.1, partition.0);
            Err(ClientError::refused(what, code, None))
        }
        _ => Ok(None),
    }
}

fn request(partitions: &[Partition], timestamp: i64) -> Request {
    let mut topics: BTreeMap<&Str, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for (topic, partition_index) in partitions {
        let asked = ListOffsetsPartition {
            partition_index: *partition_index,
            timestamp,
            ..Default::default()
        };
        topics.entry(topic).or_default().push(asked);
    }
    let topic = |(name, partitions): (&Str, _)| ListOffsetsTopic { name: name.clone(), partitions };
    ListOffsetsRequest { topics: topics.into_iter().map(topic).collect(), ..Default::default() }
        .into()
}

fn by_leader<'a>(
    cluster: &mut Cluster,
    partitions: impl Iterator<Item = &'a Partition>,
) -> Result<BTreeMap<i32, Vec<Partition>>, ClientError> {
    let partitions: Vec<&Partition> = partitions.collect();
    let names: BTreeSet<&Str> = partitions.iter().map(|(topic, _)| topic).collect();
    let mut by_leader: BTreeMap<i32, Vec<Partition>> = BTreeMap::new();
    if names.is_empty() {
        return Ok(by_leader);
    }
    let names: Vec<Str> = names.into_iter().cloned().collect();
    let response = cluster.metadata(Some(&names))?;
    let leaders = response.topics.iter().flat_map(|topic| {
        let name = topic.name.as_deref().unwrap_or_default();
        topic.partitions.iter().map(move |p| ((name, p.partition_index), p.leader_id))
    });
    let leaders: BTreeMap<(&str, i32), i32> = leaders.filter(|(_, leader)| *leader >= 0).collect();
    for partition in partitions {
        if let Some(leader) = leaders.get(&(&*partition.0, partition.1)) {
            by_leader.entry(*leader).or_default().push(partition.clone());
        }
    }
    Ok(by_leader)
}
