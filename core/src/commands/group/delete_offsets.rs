//! `corelane group delete-offsets`.

use std::collections::{BTreeMap, BTreeSet};

use corelane_net::client::{ClientError, Connection, Outcomes};
use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic, Response,
};
use serde::Serialize;

use super::super::{Error, confirm, print, session};
use super::committed::{OfGroup, committed};
use super::{Partition, ask};
use crate::cli::group::{DeleteOffsetsOptions, TopicPartitions};

#[derive(Serialize)]
struct Deleted<'a> {
    group: &'a str,
    offsets: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    topic: String,
    partition: i32,
    /// What was committed before, if anything was.
    committed: Option<i64>,
    error: Option<String>,
}

pub(super) fn run(options: &DeleteOffsetsOptions) -> Result<(), Error> {
    confirm::check_can_ask(options.yes, "offsets are not forgotten")?;
    let mut cluster = session::connect(&options.client, Default::default())?;
    let group = Str::from(&*options.group);
    // That the group is there.
    let found = ask::describe(&mut cluster, std::slice::from_ref(&group))?;
    if let Some(failure) = found.failures.into_iter().next() {
        return Err(failure);
    }
    let known = of_one(committed(&mut cluster, std::slice::from_ref(&group))?, &group)?;
    let asked = asked(&options.topic, &known, &options.group)?;
    if !options.yes && !confirm::is_confirmed(&question(&options.group, &asked))? {
        return Err(Error::Data("nothing was forgotten".to_owned()));
    }
    let outcome = cluster.ask_coordinators(std::slice::from_ref(&group), |connection, _| {
        delete_once(connection, &group, &asked)
    })?;
    let codes = of_one(outcome, &group)?;
    let rows: Vec<Row> = asked.iter().map(|partition| row(partition, &known, &codes)).collect();
    report(options, rows)
}

/// The outcome of the only group that was asked about.
pub(super) fn of_one<T>(outcomes: Outcomes<T>, group: &Str) -> Result<T, ClientError> {
    let what = || format!("asking about group '{group}'");
    let outcome = outcomes.into_values().next();
    outcome.unwrap_or_else(|| Err(ClientError::Unanswered { what: what() }))
}

/// A topic without numbers is all partitions of which there is an offset.
fn asked(
    topics: &[TopicPartitions],
    known: &OfGroup,
    group: &str,
) -> Result<BTreeSet<Partition>, Error> {
    let mut asked = BTreeSet::new();
    for TopicPartitions { topic, partitions } in topics {
        let name = Str::from(&**topic);
        if !partitions.is_empty() {
            asked.extend(partitions.iter().map(|index| (name.clone(), *index)));
            continue;
        }
        let of_topic = known.keys().filter(|(other, _)| *other == name);
        let before = asked.len();
        asked.extend(of_topic.cloned());
        if asked.len() == before {
            let text = format!(
                "group '{group}' has committed no offset of topic '{topic}'; `corelane group \
                 describe {group}` shows what it has"
            );
            return Err(Error::Data(text));
        }
    }
    Ok(asked)
}

fn question(group: &str, asked: &BTreeSet<Partition>) -> String {
    let topics: BTreeSet<&Str> = asked.iter().map(|(topic, _)| topic).collect();
    let topics: Vec<String> = topics.into_iter().map(ToString::to_string).collect();
    let count = super::counted(asked.len(), "offset");
    format!("Forget {count} of {} that group '{group}' has committed?", confirm::quoted(&topics))
}

type Codes = BTreeMap<Partition, ErrorCode>;

fn delete_once(
    connection: &mut Connection,
    group: &Str,
    asked: &BTreeSet<Partition>,
) -> Result<Outcomes<Codes>, ClientError> {
    let mut topics: BTreeMap<&Str, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
    for (topic, partition_index) in asked {
        let partition = OffsetDeleteRequestPartition { partition_index: *partition_index };
        topics.entry(topic).or_default().push(partition);
    }
    let topic =
        |(name, partitions): (&Str, _)| OffsetDeleteRequestTopic { name: name.clone(), partitions };
    let topics = topics.into_iter().map(topic).collect();
    let request = OffsetDeleteRequest { group_id: group.clone(), topics };
    let Response::OffsetDelete(response) = connection.call(&request.into())? else {
        unreachable!("the API decides which response is decoded");
    };
    let outcome = match response.error_code {
        ErrorCode::None => {
            let codes = response.topics.into_iter().flat_map(|topic| {
                let name = topic.name.detached();
                let code = move |p: &corelane_net::messages::OffsetDeleteResponsePartition| {
                    ((name.clone(), p.partition_index), p.error_code)
                };
                topic.partitions.iter().map(code).collect::<Vec<_>>()
            });
            Ok(codes.collect())
        }
        code => {
            let what = format!("deleting offsets of group '{group}'");
            Err(ClientError::refused(what, code, None))
        }
    };
    Ok(Outcomes::from([(group.clone(), outcome)]))
}

fn row(partition: &Partition, known: &OfGroup, codes: &Codes) -> Row {
    let (topic, index) = partition;
    let error = match codes.get(partition) {
        Some(ErrorCode::None) => None,
        Some(ErrorCode::GroupSubscribedToTopic) => {
            Some(format!("a member of the group reads topic '{topic}': stop it first"))
        }
        Some(ErrorCode::UnknownTopicOrPartition) => {
            Some(format!("topic '{topic}' has no partition {index}, or does not exist"))
        }
        Some(code) => Some(format!("the broker refused with {code}")),
        None => Some("the broker's answer does not say".to_owned()),
    };
    Row {
        topic: topic.to_string(),
        partition: *index,
        committed: known.get(partition).map(|known| known.offset),
        error,
    }
}

fn report(options: &DeleteOffsetsOptions, rows: Vec<Row>) -> Result<(), Error> {
    let failed = |row: &Row| {
        let place = format!("partition {} of topic '{}'", row.partition, row.topic);
        row.error.as_ref().map(|error| format!("{place}: {error}"))
    };
    let failures: Vec<String> = rows.iter().filter_map(failed).collect();
    let is_partial = failures.len() < rows.len();
    let done =
        format!("\ncorelane: {} of {} offsets forgotten", rows.len() - failures.len(), rows.len());
    match options.client.json {
        true => print::json(&Deleted { group: &options.group, offsets: rows })?,
        false => {
            let lines: Vec<Vec<String>> = rows
                .iter()
                .filter(|row| row.error.is_none())
                .map(|row| {
                    let (topic, partition) = (row.topic.clone(), row.partition.to_string());
                    vec![options.group.clone(), topic, partition, print::or_dash(row.committed)]
                })
                .collect();
            if !lines.is_empty() {
                print::rows(&["group", "topic", "partition", "forgotten"], &lines)?;
            }
        }
    }
    super::finish(&failures, is_partial, done)
}
