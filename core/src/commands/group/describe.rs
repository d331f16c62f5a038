//! `corelane group describe`: what is to be shown; `show.rs` shows it.

use std::collections::{BTreeMap, BTreeSet};

use corelane_net::client::Cluster;
use corelane_net::codec::Str;
use corelane_net::messages::{EARLIEST_TIMESTAMP, LATEST_TIMESTAMP};
use serde::Serialize;

use super::super::{Error, print, session, tell};
use super::ask::{self, Found, Group, Member};
use super::committed::{OfGroup, committed};
use super::{Partition, bounds, show};
use crate::cli::group::DescribeOptions;

#[derive(Serialize)]
struct Description<'a> {
    groups: &'a [Described],
}

/// One group; `None` is what the broker does not tell.
#[derive(Serialize)]
pub(super) struct Described {
    pub(super) group: String,
    pub(super) state: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) protocol_type: Option<String>,
    pub(super) assignor: Option<String>,
    pub(super) coordinator: Option<String>,
    /// Over all partitions of which it is known.
    pub(super) lag: Option<i64>,
    pub(super) members: Option<Vec<DescribedMember>>,
    pub(super) offsets: Vec<Row>,
}

#[derive(Serialize)]
pub(super) struct DescribedMember {
    pub(super) member: String,
    pub(super) instance: Option<String>,
    pub(super) client: String,
    pub(super) host: String,
    pub(super) partitions: Option<Vec<TopicPartition>>,
}

#[derive(Serialize)]
pub(super) struct TopicPartition {
    pub(super) topic: String,
    pub(super) partition: i32,
}

/// How far a group has read one partition.
#[derive(Serialize)]
pub(super) struct Row {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) committed: Option<i64>,
    pub(super) start_offset: Option<i64>,
    pub(super) end_offset: Option<i64>,
    pub(super) lag: Option<i64>,
    pub(super) metadata: Option<String>,
    /// Who reads it, by its place among the members.
    #[serde(skip)]
    pub(super) reader: Option<usize>,
    pub(super) member: Option<String>,
}

pub(super) fn run(options: &DescribeOptions) -> Result<(), Error> {
    let mut cluster = session::connect(&options.client, Default::default())?;
    let (names, mut failures) = ask::names(&mut cluster, &options.which)?;
    let Found { groups, failures: missing } = ask::describe(&mut cluster, &names)?;
    failures.extend(missing);
    let described = describe_all(&mut cluster, groups, &mut failures)?;
    match options.client.json {
        true => print::json(&Description { groups: &described })?,
        false if options.members => show::members(&described)?,
        false if options.state => show::states(&described)?,
        false => show::offsets(&described)?,
    }
    let failures: Vec<String> = failures.iter().map(ToString::to_string).collect();
    super::finish(&failures, !described.is_empty(), String::new())
}

fn describe_all(
    cluster: &mut Cluster,
    groups: Vec<Group>,
    failures: &mut Vec<Error>,
) -> Result<Vec<Described>, Error> {
    let names: Vec<Str> = groups.iter().map(|group| group.listed.group.clone()).collect();
    let mut offsets: BTreeMap<Str, OfGroup> = BTreeMap::new();
    for (name, outcome) in committed(cluster, &names)? {
        match outcome {
            Ok(found) => drop(offsets.insert(name, found)),
            Err(error) => failures.push(error.into()),
        }
    }
    let read = groups.iter().flat_map(|group| group.members.iter().flatten());
    let read = read.flat_map(|member| member.partitions.iter().flatten());
    let partitions: BTreeSet<Partition> =
        offsets.values().flat_map(BTreeMap::keys).chain(read).cloned().collect();
    let mut at = |timestamp| bounds::offsets_at(cluster, &partitions, timestamp);
    let (starts, ends) = (at(EARLIEST_TIMESTAMP)?, at(LATEST_TIMESTAMP)?);
    tell_unknown(&partitions, &ends);
    let described = groups.into_iter().filter_map(|group| {
        let of_group = offsets.get(&group.listed.group)?;
        Some(describe(group, of_group, &starts, &ends))
    });
    Ok(described.collect())
}

/// Says why lines have no end.
fn tell_unknown(partitions: &BTreeSet<Partition>, ends: &BTreeMap<Partition, i64>) {
    let unknown = partitions.iter().filter(|partition| !ends.contains_key(partition));
    let topics: BTreeSet<&Str> = unknown.map(|(topic, _)| topic).collect();
    for topic in topics {
        tell(format_args!(
            "corelane: partitions of topic '{topic}' are not there, have no leader, or may not be \
             looked at: how far they go is not known"
        ));
    }
}

fn describe(
    group: Group,
    committed: &OfGroup,
    starts: &BTreeMap<Partition, i64>,
    ends: &BTreeMap<Partition, i64>,
) -> Described {
    let members = group.members.as_deref().unwrap_or_default();
    let readers = members.iter().enumerate().flat_map(|(place, member)| {
        member.partitions.iter().flatten().map(move |partition| (partition, place))
    });
    let readers: BTreeMap<&Partition, usize> = readers.collect();
    let partitions: BTreeSet<&Partition> =
        committed.keys().chain(readers.keys().copied()).collect();
    let row = |partition: &Partition| {
        let told = committed.get(partition);
        let (start, end) = (starts.get(partition).copied(), ends.get(partition).copied());
        let reader = readers.get(partition).copied();
        Row {
            topic: partition.0.to_string(),
            partition: partition.1,
            committed: told.map(|told| told.offset),
            start_offset: start,
            end_offset: end,
            lag: told.zip(end).map(|(told, end)| lag(told.offset, end)),
            metadata: told.map(|told| told.metadata.clone()),
            reader,
            member: reader.map(|place| members[place].id.to_string()),
        }
    };
    let offsets: Vec<Row> = partitions.into_iter().map(row).collect();
    let lags: Vec<i64> = offsets.iter().filter_map(|row| row.lag).collect();
    let lag = lags.iter().fold(0_i64, |sum, lag| sum.saturating_add(*lag));
    Described {
        group: group.listed.group.to_string(),
        state: group.listed.state,
        kind: group.listed.kind,
        protocol_type: group.listed.protocol_type,
        assignor: group.assignor,
        coordinator: group.coordinator,
        lag: (!lags.is_empty()).then_some(lag),
        members: group.members.map(|members| members.into_iter().map(describe_member).collect()),
        offsets,
    }
}

/// One that has committed more than there is (the topic was made again) has nothing left to read.
fn lag(committed: i64, end: i64) -> i64 {
    end.saturating_sub(committed).max(0)
}

fn describe_member(member: Member) -> DescribedMember {
    let partition =
        |(topic, partition): Partition| TopicPartition { topic: topic.to_string(), partition };
    DescribedMember {
        member: member.id.to_string(),
        instance: member.instance,
        client: member.client,
        host: member.host,
        partitions: member.partitions.map(|all| all.into_iter().map(partition).collect()),
    }
}
