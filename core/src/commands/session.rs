//! From options to a cluster, and what is known of a topic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use corelane_net::client::{ClientError, Cluster, Settings};
use corelane_net::codec::{Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    DescribeConfigsRequest, DescribeConfigsResource, ListOffsetsPartition, ListOffsetsRequest,
    ListOffsetsTopic, MetadataResponse, MetadataResponsePartition, MetadataResponseTopic, Request,
    Response, config_resource_type,
};

use super::Error;
use crate::cli::ClientOptions;

/// How long a topic that is not there may be one that was just created.
const CREATION: Duration = Duration::from_secs(1);

/// Connects.
pub(super) fn connect(options: &ClientOptions, stop: Arc<AtomicBool>) -> Result<Cluster, Error> {
    let usual = Settings::new("corelane");
    let settings = Settings {
        connect_timeout: usual.connect_timeout.min(options.timeout),
        answer_timeout: options.timeout,
        stop,
        ..usual
    };
    Ok(Cluster::connect(options.bootstrap.0.clone(), settings, options.timeout)?)
}

/// What the broker may take of the time that an answer may take: its own word that it took too long
/// is worth more than silence.
pub(super) fn broker_timeout_ms(cluster: &Cluster) -> i32 {
    let timeout = cluster.timeout();
    i32::try_from((timeout - timeout / 8).as_millis()).unwrap_or(i32::MAX)
}

/// A topic, and the leaders of its partitions.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    pub(super) name: Str,
    /// Zero if the broker knows no ids.
    pub(super) id: Uuid,
    /// By index, from 0 without gaps, at least one. A leader is a broker's id, or -1.
    pub(super) leaders: BTreeMap<i32, i32>,
}

impl Topic {
    /// The topic of this name.
    ///
    /// # Errors
    /// [`Error::NoTopic`] if it is not there, nor about to be.
    pub(super) fn find(cluster: &mut Cluster, name: &str) -> Result<Topic, Error> {
        let began = Instant::now();
        loop {
            let response = cluster.retry(|cluster| cluster.metadata(Some(&[Str::from(name)])))?;
            match Topic::read(name, &response) {
                Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {
                    if began.elapsed() >= CREATION.min(cluster.timeout()) {
                        return Err(no_topic(cluster, name));
                    }
                }
                Err(error) if error.is_retriable() && began.elapsed() < cluster.timeout() => {}
                other => return Ok(other?),
            }
            cluster.sleep(Duration::from_millis(50))?;
        }
    }

    /// Asks again who leads.
    pub(super) fn refresh(&mut self, cluster: &mut Cluster) -> Result<(), ClientError> {
        let response = cluster.metadata(Some(std::slice::from_ref(&self.name)))?;
        *self = Topic::read(&self.name, &response)?;
        Ok(())
    }

    fn read(name: &str, response: &MetadataResponse) -> Result<Topic, ClientError> {
        let what = || format!("looking for topic '{name}'");
        let answer = response.topics.iter().find(|topic| topic.name.as_deref() == Some(name));
        let topic = answer.ok_or_else(|| ClientError::Unanswered { what: what() })?;
        if !topic.error_code.is_none() {
            return Err(ClientError::refused(what(), topic.error_code, None));
        }
        let leader = |partition: &MetadataResponsePartition| {
            (partition.partition_index, partition.leader_id)
        };
        let leaders: BTreeMap<i32, i32> = topic.partitions.iter().map(leader).collect();
        if let Some(missing) = missing_partition(&leaders) {
            let count = leaders.len();
            return Err(ClientError::MissingPartition { topic: name.to_owned(), count, missing });
        }
        Ok(Topic { name: Str::from(name).detached(), id: topic.topic_id, leaders })
    }
}

/// The first of 0, 1, ... that is not there although a higher one is; 0 if there are none.
fn missing_partition(leaders: &BTreeMap<i32, i32>) -> Option<i32> {
    match leaders.is_empty() {
        true => Some(0),
        false => (0..).zip(leaders.keys()).find(|(nth, index)| nth != *index).map(|(nth, _)| nth),
    }
}

/// The topic is not there: one of those that are may be meant.
pub(super) fn no_topic(cluster: &mut Cluster, name: &str) -> Error {
    let names = cluster.metadata(None).map(|response| {
        let names = response.topics.into_iter().filter_map(|topic| topic.name);
        names.map(|name| name.to_string()).collect::<Vec<_>>()
    });
    let nearest = nearest(name, names.unwrap_or_default());
    Error::NoTopic { name: name.to_owned(), nearest }
}

/// The most similar of `names`, if it is similar enough to be meant.
pub(super) fn nearest(name: &str, names: Vec<String>) -> Option<String> {
    let likeness = |other: &str| strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase());
    let rated = names.into_iter().map(|other| (likeness(&other), other));
    let best = rated.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(likeness, _)| *likeness > 0.85).map(|(_, other)| other)
}

/// The value of one config of a topic, if the broker tells it.
pub(super) fn topic_config(cluster: &mut Cluster, topic: &str, name: &str) -> Option<String> {
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: config_resource_type::TOPIC,
            resource_name: Str::from(topic),
            configuration_keys: Some(vec![Str::from(name)]),
        }],
        ..Default::default()
    };
    let Response::DescribeConfigs(response) = cluster.any().ok()?.call(&request.into()).ok()?
    else {
        return None;
    };
    let config = response.results.into_iter().flat_map(|result| result.configs).next()?;
    config.value.map(|value| value.to_string())
}

/// Topics to show: those named, or all but internal ones.
pub(super) fn is_shown(topic: &MetadataResponseTopic, internal: bool) -> bool {
    internal || !topic.is_internal
}

/// Which offset is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct OffsetQuery {
    /// Milliseconds since 1970, or one of ListOffsets' negative constants.
    pub(super) timestamp: i64,
    /// Whether only what is decided counts.
    pub(super) read_committed: bool,
}

/// An offset for each of these partitions of one topic, which leaders tell; `Ok(-1)` if there is none.
///
/// # Errors
/// The first that a leader, or the way to it, gives; what may pass is tried again.
pub(super) fn offsets(
    cluster: &mut Cluster,
    topic: &mut Topic,
    partitions: &[i32],
    query: OffsetQuery,
) -> Result<BTreeMap<i32, i64>, ClientError> {
    let mut found = BTreeMap::new();
    let mut is_first = true;
    cluster.retry(|cluster| {
        if !std::mem::take(&mut is_first) {
            topic.refresh(cluster)?;
        }
        for (leader, indexes) in by_leader(topic, partitions, &found)? {
            let request = list_offsets(&topic.name, &indexes, query);
            let response = cluster.broker(leader)?.call(&request)?;
            read_offsets(&topic.name, response, &mut found)?;
        }
        match partitions.iter().find(|index| !found.contains_key(index)) {
            None => Ok(()),
            Some(index) => {
                let what = format!("finding an offset of partition {index} of '{}'", topic.name);
                Err(ClientError::Unanswered { what })
            }
        }
    })?;
    Ok(found)
}

fn by_leader(
    topic: &Topic,
    partitions: &[i32],
    found: &BTreeMap<i32, i64>,
) -> Result<BTreeMap<i32, Vec<i32>>, ClientError> {
    let mut by_leader: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for &partition in partitions.iter().filter(|index| !found.contains_key(index)) {
        match topic.leaders.get(&partition) {
            Some(&leader) if leader >= 0 => by_leader.entry(leader).or_default().push(partition),
            _ => return Err(ClientError::NoLeader { topic: topic.name.to_string(), partition }),
        }
    }
    Ok(by_leader)
}

fn list_offsets(topic: &Str, indexes: &[i32], query: OffsetQuery) -> Request {
    let partition = |index: &i32| ListOffsetsPartition {
        partition_index: *index,
        timestamp: query.timestamp,
        ..Default::default()
    };
    ListOffsetsRequest {
        isolation_level: i8::from(query.read_committed),
        topics: vec![ListOffsetsTopic {
            name: topic.clone(),
            partitions: indexes.iter().map(partition).collect(),
        }],
        ..Default::default()
    }
    .into()
}

fn read_offsets(
    topic: &Str,
    response: Response,
    found: &mut BTreeMap<i32, i64>,
) -> Result<(), ClientError> {
    let Response::ListOffsets(response) = response else {
        unreachable!("the API decides which response is decoded");
    };
    for answer in response.topics.into_iter().flat_map(|topic| topic.partitions) {
        if !answer.error_code.is_none() {
            let index = answer.partition_index;
            let what = format!("finding an offset of partition {index} of '{topic}'");
            return Err(ClientError::refused(what, answer.error_code, None));
        }
        found.insert(answer.partition_index, answer.offset);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{missing_partition, nearest};

    #[test]
    fn partitions_are_numbered_from_0_without_gaps() {
        let missing = |indexes: &[i32]| {
            missing_partition(&indexes.iter().map(|index| (*index, 1)).collect::<BTreeMap<_, _>>())
        };
        assert_eq!(missing(&[0, 1, 2]), None);
        assert_eq!(missing(&[]), Some(0));
        assert_eq!(missing(&[1]), Some(0));
        assert_eq!(missing(&[-1, 0]), Some(0));
        assert_eq!(missing(&[0, 1, 3]), Some(2));
    }

    #[test]
    fn a_typo_finds_the_name_that_was_meant() {
        let names = || ["orders", "payments", "x"].map(str::to_owned).to_vec();
        assert_eq!(nearest("order", names()).as_deref(), Some("orders"));
        assert_eq!(nearest("PAYMENT", names()).as_deref(), Some("payments"));
        assert_eq!(nearest("greetings", names()), None);
    }
}
