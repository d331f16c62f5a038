//! `corelane topic describe`.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use corelane_net::client::{ClientError, Cluster};
use corelane_net::codec::{Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    Api, DescribableLogDirTopic, DescribeConfigsRequest, DescribeConfigsResource,
    DescribeLogDirsRequest, EARLIEST_TIMESTAMP, LATEST_TIMESTAMP, MetadataResponsePartition,
    MetadataResponseTopic, Response, config_resource_type, config_source,
};
use serde::Serialize;

use super::super::session::{self, OffsetQuery, Topic};
use super::super::{Error, print};
use crate::cli::topic::DescribeOptions;

#[derive(Serialize)]
struct Description {
    topics: Vec<Described>,
}

/// `None` is what the broker does not tell.
#[derive(Serialize)]
struct Described {
    name: String,
    /// As Kafka's tools write it.
    id: Option<String>,
    internal: bool,
    replication_factor: usize,
    records: Option<i64>,
    bytes: Option<i64>,
    /// Those that differ from the default.
    configs: Option<BTreeMap<String, Option<String>>>,
    partitions: Vec<Partition>,
}

#[derive(Serialize)]
struct Partition {
    partition: i32,
    leader: Option<i32>,
    replicas: Vec<i32>,
    isr: Vec<i32>,
    offline: Vec<i32>,
    start_offset: Option<i64>,
    end_offset: Option<i64>,
    /// Offsets between both; compaction and transactions leave fewer records.
    records: Option<i64>,
    /// In the leader's directories.
    bytes: Option<i64>,
}

pub(super) fn run(options: &DescribeOptions) -> Result<(), Error> {
    let mut cluster = session::connect(&options.client, Default::default())?;
    let (found, failures) = find(&mut cluster, &options.names)?;
    let mut topics = Vec::with_capacity(found.len());
    let mut sizes = sizes(&mut cluster, &found);
    let mut configs = configs(&mut cluster, &found);
    for topic in &found {
        let name = topic.name.as_deref().unwrap_or_default();
        let sizes = sizes.as_mut().and_then(|sizes| sizes.remove(name));
        let configs = configs.as_mut().and_then(|configs| configs.remove(name));
        topics.push(describe(&mut cluster, topic, sizes.unwrap_or_default(), configs)?);
    }
    let count = topics.len();
    match options.client.json {
        true => print::json(&Description { topics })?,
        false => topics.iter().try_for_each(show)?,
    }
    if failures.is_empty() {
        return Ok(());
    }
    let words: Vec<String> = failures.iter().map(ToString::to_string).collect();
    let several = Error::Several(words.join("\ncorelane: "));
    match count {
        0 => Err(several),
        _ => Err(Error::Partial { source: Box::new(several), done: String::new() }),
    }
}

/// The topics, and why some of those that were named are not among them.
fn find(
    cluster: &mut Cluster,
    names: &[String],
) -> Result<(Vec<MetadataResponseTopic>, Vec<Error>), Error> {
    if names.is_empty() {
        let mut topics = cluster.retry(|cluster| cluster.metadata(None))?.topics;
        topics.retain(|topic| session::is_shown(topic, false));
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        return Ok((topics, Vec::new()));
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        match Topic::find(cluster, name) {
            Ok(_) => {
                let names = [Str::from(name.as_str())];
                let response = cluster.retry(|cluster| cluster.metadata(Some(&names)))?;
                found.extend(response.topics);
            }
            Err(error @ Error::NoTopic { .. }) => failures.push(error),
            Err(Error::Client { source }) if source.code().is_some() => {
                failures.push(source.into())
            }
            Err(error) => return Err(error),
        }
    }
    Ok((found, failures))
}

fn describe(
    cluster: &mut Cluster,
    topic: &MetadataResponseTopic,
    sizes: BTreeMap<i32, i64>,
    configs: Option<BTreeMap<String, Option<String>>>,
) -> Result<Described, Error> {
    let name = topic.name.as_deref().unwrap_or_default();
    let leader = |p: &MetadataResponsePartition| (p.partition_index, p.leader_id);
    let leaders: BTreeMap<i32, i32> = topic.partitions.iter().map(leader).collect();
    let mut led =
        Topic { name: Str::from(name).detached(), id: topic.topic_id, leaders: leaders.clone() };
    let indexes: Vec<i32> =
        leaders.iter().filter(|(_, leader)| **leader >= 0).map(|(index, _)| *index).collect();
    let mut bounds = |timestamp| {
        let query = OffsetQuery { timestamp, read_committed: false };
        optional(session::offsets(cluster, &mut led, &indexes, query))
    };
    let starts = bounds(EARLIEST_TIMESTAMP)?.unwrap_or_default();
    let ends = bounds(LATEST_TIMESTAMP)?.unwrap_or_default();
    let partition = |p: &MetadataResponsePartition| {
        let (start, end) = (starts.get(&p.partition_index), ends.get(&p.partition_index));
        Partition {
            partition: p.partition_index,
            leader: (p.leader_id >= 0).then_some(p.leader_id),
            replicas: p.replica_nodes.clone(),
            isr: p.isr_nodes.clone(),
            offline: p.offline_replicas.clone(),
            start_offset: start.copied(),
            end_offset: end.copied(),
            records: start.zip(end).map(|(start, end)| end.saturating_sub(*start)),
            bytes: sizes.get(&p.partition_index).copied(),
        }
    };
    let mut partitions: Vec<Partition> = topic.partitions.iter().map(partition).collect();
    partitions.sort_by_key(|partition| partition.partition);
    Ok(Described {
        name: name.to_owned(),
        id: (topic.topic_id != Uuid::ZERO).then(|| BASE64_URL_SAFE_NO_PAD.encode(topic.topic_id.0)),
        internal: topic.is_internal,
        replication_factor: partitions.first().map_or(0, |p| p.replicas.len()),
        records: partitions.iter().map(|p| p.records).sum(),
        bytes: partitions.iter().map(|p| p.bytes).sum(),
        configs,
        partitions,
    })
}

/// What a client may not see, or a broker does not offer, is no reason to show nothing.
fn optional<T>(outcome: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(ClientError::Unsupported { .. }) => Ok(None),
        Err(error) => match error.code() {
            Some(
                ErrorCode::TopicAuthorizationFailed
                | ErrorCode::ClusterAuthorizationFailed
                | ErrorCode::UnsupportedVersion,
            ) => Ok(None),
            _ => Err(error),
        },
    }
}

type ByPartition = BTreeMap<i32, i64>;

/// Bytes of each topic's partitions where they are led; `None` if that can't be asked.
fn sizes(
    cluster: &mut Cluster,
    topics: &[MetadataResponseTopic],
) -> Option<BTreeMap<String, ByPartition>> {
    let mut asked: BTreeMap<i32, Vec<DescribableLogDirTopic>> = BTreeMap::new();
    for topic in topics {
        let mut by_leader: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for partition in topic.partitions.iter().filter(|partition| partition.leader_id >= 0) {
            by_leader.entry(partition.leader_id).or_default().push(partition.partition_index);
        }
        for (leader, partitions) in by_leader {
            let topic = topic.name.clone().unwrap_or_default();
            asked.entry(leader).or_default().push(DescribableLogDirTopic { topic, partitions });
        }
    }
    let mut sizes: BTreeMap<String, ByPartition> = BTreeMap::new();
    for (leader, topics) in asked {
        let request = DescribeLogDirsRequest { topics: Some(topics) }.into();
        let response = cluster.retry(|cluster| cluster.broker(leader)?.call(&request)).ok()?;
        let Response::DescribeLogDirs(response) = response else { return None };
        for topic in response.results.into_iter().flat_map(|directory| directory.topics) {
            let of_topic = sizes.entry(topic.name.to_string()).or_default();
            for partition in topic.partitions.iter().filter(|partition| !partition.is_future_key) {
                *of_topic.entry(partition.partition_index).or_default() += partition.partition_size;
            }
        }
    }
    Some(sizes)
}

type Configs = BTreeMap<String, Option<String>>;

/// Each topic's configs that were set on it; `None` if that can't be asked.
fn configs(
    cluster: &mut Cluster,
    topics: &[MetadataResponseTopic],
) -> Option<BTreeMap<String, Configs>> {
    cluster.any().ok()?.version(Api::DescribeConfigs).ok()?;
    let resource = |topic: &MetadataResponseTopic| DescribeConfigsResource {
        resource_type: config_resource_type::TOPIC,
        resource_name: topic.name.clone().unwrap_or_default(),
        configuration_keys: None,
    };
    let request = DescribeConfigsRequest {
        resources: topics.iter().map(resource).collect(),
        ..Default::default()
    }
    .into();
    let response = cluster.retry(|cluster| cluster.any()?.call(&request)).ok()?;
    let Response::DescribeConfigs(response) = response else { return None };
    let told = response.results.into_iter().filter(|result| result.error_code.is_none());
    let of_topic = told.map(|result| {
        let set = result.configs.into_iter();
        let set = set.filter(|config| config.config_source == config_source::DYNAMIC_TOPIC_CONFIG);
        let pairs = set
            .map(|config| (config.name.to_string(), config.value.map(|value| value.to_string())));
        (result.resource_name.to_string(), pairs.collect())
    });
    Some(of_topic.collect())
}

fn show(topic: &Described) -> Result<(), Error> {
    use std::io::{IsTerminal, stdout};
    let is_terminal = stdout().is_terminal();
    if is_terminal {
        print::text(&summary(topic))?;
    }
    let list = |ids: &[i32]| match ids {
        [] => "-".to_owned(),
        ids => ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    };
    let row = |p: &Partition| {
        vec![
            topic.name.clone(),
            p.partition.to_string(),
            print::or_dash(p.leader),
            list(&p.replicas),
            list(&p.isr),
            print::or_dash(p.start_offset),
            print::or_dash(p.end_offset),
            print::or_dash(p.records),
            match (is_terminal, p.bytes) {
                (true, Some(bytes)) => print::human_bytes(bytes.max(0).unsigned_abs()),
                (_, bytes) => print::or_dash(bytes),
            },
        ]
    };
    let rows: Vec<_> = topic.partitions.iter().map(row).collect();
    let header =
        ["topic", "partition", "leader", "replicas", "isr", "start", "end", "records", "size"];
    print::rows(&header, &rows)
}

fn summary(topic: &Described) -> String {
    let id = topic.id.as_deref().unwrap_or("-");
    let bytes = topic.bytes.map(|bytes| print::human_bytes(bytes.max(0).unsigned_abs()));
    let mut text = format!(
        "{}  id {id}, {} partitions, {} replicas, {} records, {}",
        topic.name,
        topic.partitions.len(),
        topic.replication_factor,
        print::or_dash(topic.records),
        print::or_dash(bytes),
    );
    for (name, value) in topic.configs.iter().flatten() {
        text += &format!("\n  {name}={}", value.as_deref().unwrap_or("(hidden)"));
    }
    text
}
