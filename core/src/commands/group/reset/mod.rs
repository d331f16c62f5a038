//! `corelane group reset-offsets`.
//!
//! - `plan.rs`: where each partition goes on: pure
//! - `csv.rs`: files of offsets
//! - `commit.rs`: doing it

mod commit;
mod csv;
mod plan;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use corelane_net::client::Cluster;
use corelane_net::codec::Str;
use corelane_net::messages::{EARLIEST_TIMESTAMP, LATEST_TIMESTAMP};
use serde::Serialize;

use self::plan::{Facts, Planned, Target};
use super::super::session::Topic;
use super::super::{Error, print, session, tell};
use super::committed::{OfGroup, committed};
use super::delete_offsets::of_one;
use super::{Partition, ask, bounds};
use crate::cli::group::{ResetOptions, TopicPartitions};

#[derive(Serialize)]
struct Reset<'a> {
    group: &'a str,
    executed: bool,
    offsets: &'a [Row],
}

/// One partition; `None` is what is not known.
#[derive(Serialize)]
struct Row {
    topic: String,
    partition: i32,
    committed: Option<i64>,
    new_offset: Option<i64>,
    start_offset: Option<i64>,
    end_offset: Option<i64>,
    /// As it is with the new offset.
    lag: Option<i64>,
    error: Option<String>,
    #[serde(skip)]
    note: Option<String>,
}

pub(super) fn run(options: &ResetOptions) -> Result<(), Error> {
    let file = options.from_file.as_deref().map(|path| csv::read(path, &options.group));
    let file = file.transpose()?;
    let mut cluster = session::connect(&options.client, Default::default())?;
    let group = Str::from(&*options.group);
    let obstacle = obstacle(&mut cluster, &group)?;
    if let (true, Some(obstacle)) = (options.execute, &obstacle) {
        return Err(Error::Data(obstacle.clone()));
    }
    let known = of_one(committed(&mut cluster, std::slice::from_ref(&group))?, &group)?;
    let (target, wanted) = match file {
        Some(offsets) => {
            let wanted = offsets.keys().cloned().collect();
            (Target::Listed(offsets), wanted)
        }
        None => (target(options), wanted(&mut cluster, options, &known)?),
    };
    let mut rows = plan(&mut cluster, &target, &wanted, &known)?;
    let changes = rows.iter().filter_map(|row| {
        let partition = (Str::from(&*row.topic), row.partition);
        row.new_offset.map(|offset| (partition, offset))
    });
    let changes: BTreeMap<Partition, i64> = changes.collect();
    if options.execute && !changes.is_empty() {
        let codes = commit::commit(&mut cluster, &group, &changes)?;
        rows.iter_mut().for_each(|row| commit::note(row, &codes));
    }
    report(options, &rows, obstacle)
}

/// Why the group's offsets can't be set now.
fn obstacle(cluster: &mut Cluster, group: &Str) -> Result<Option<String>, Error> {
    let mut found = ask::describe(cluster, std::slice::from_ref(group))?;
    let Some(described) = found.groups.pop() else {
        return match found.failures.pop() {
            // The first commit makes it.
            None | Some(Error::NoGroup { .. }) => Ok(None),
            Some(other) => Err(other),
        };
    };
    if let Some(kind @ ("share" | "streams")) = described.listed.kind.as_deref() {
        return Err(Error::Data(format!(
            "group '{group}' is a {kind} group: this command sets offsets of consumer groups"
        )));
    }
    let is_free = described.is_inactive();
    Ok((!is_free).then(|| {
        format!(
            "group '{group}' {}: its offsets can be set only while nobody is in; stop its members \
             and wait until they have left",
            described.who_is_in()
        )
    }))
}

fn target(options: &ResetOptions) -> Target {
    let flags = [
        (options.to_earliest, Target::Earliest),
        (options.to_latest, Target::Latest),
        (options.to_current, Target::Current),
    ];
    let flag = flags.into_iter().find(|(is_given, _)| *is_given).map(|(_, target)| target);
    let at = options.to_datetime.or(options.by_duration).and_then(|at| at.time_ms(now_ms()));
    let target = flag
        .or(options.to_offset.map(Target::Offset))
        .or(options.shift_by.map(Target::Shift))
        .or(at.map(Target::Time));
    target.unwrap_or(Target::Current)
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The partitions that are to be set.
fn wanted(
    cluster: &mut Cluster,
    options: &ResetOptions,
    known: &OfGroup,
) -> Result<BTreeSet<Partition>, Error> {
    if options.all_topics {
        if known.is_empty() {
            let group = &options.group;
            return Err(Error::Data(format!(
                "group '{group}' has committed no offsets: name topics with --topic"
            )));
        }
        return Ok(known.keys().cloned().collect());
    }
    let mut wanted = BTreeSet::new();
    for TopicPartitions { topic, partitions } in &options.topic {
        let found = Topic::find(cluster, topic)?;
        let missing = partitions.iter().find(|index| !found.leaders.contains_key(index));
        if let Some(&partition) = missing {
            let count = found.leaders.len();
            return Err(Error::NoPartition { topic: topic.clone(), partition, count });
        }
        let all = found.leaders.keys().filter(|_| partitions.is_empty());
        let indexes = all.chain(partitions).copied();
        wanted.extend(indexes.map(|index| (found.name.clone(), index)));
    }
    Ok(wanted)
}

fn plan(
    cluster: &mut Cluster,
    target: &Target,
    wanted: &BTreeSet<Partition>,
    known: &OfGroup,
) -> Result<Vec<Row>, Error> {
    let mut at = |timestamp| bounds::offsets_at(cluster, wanted, timestamp);
    let (starts, ends) = (at(EARLIEST_TIMESTAMP)?, at(LATEST_TIMESTAMP)?);
    let timed = match target {
        Target::Time(time_ms) => Some(at(*time_ms)?),
        _ => None,
    };
    let row = |partition: &Partition| {
        let (start, end) = (starts.get(partition).copied(), ends.get(partition).copied());
        let before = known.get(partition).map(|known| known.offset);
        let facts = start.zip(end).map(|(start, end)| Facts {
            partition,
            committed: before,
            start,
            // It may have grown between both questions, not shrunk.
            end: end.max(start),
            at_time: timed.as_ref().and_then(|timed| timed.get(partition).copied()),
        });
        let planned = match &facts {
            Some(facts) => plan::plan(target, facts),
            None => Err("it is not there, or has no leader".to_owned()),
        };
        let (new, note, error) = match planned {
            Ok(Planned { offset, note }) => (Some(offset), note, None),
            Err(error) => (None, None, Some(error)),
        };
        Row {
            topic: partition.0.to_string(),
            partition: partition.1,
            committed: before,
            new_offset: new,
            start_offset: start,
            end_offset: end,
            lag: new.zip(facts).map(|(new, facts)| facts.end - new),
            error,
            note,
        }
    };
    Ok(wanted.iter().map(row).collect())
}

fn report(options: &ResetOptions, rows: &[Row], obstacle: Option<String>) -> Result<(), Error> {
    if options.client.json {
        let (group, executed) = (options.group.as_str(), options.execute);
        print::json(&Reset { group, executed, offsets: rows })?;
    } else if options.export {
        rows.iter().try_for_each(|row| match row.new_offset {
            Some(offset) => print::text(&csv::line(&row.topic, row.partition, offset)),
            None => Ok(()),
        })?;
    } else {
        print::rows(
            &["group", "topic", "partition", "committed", "new", "start", "end", "lag"],
            &rows.iter().map(|row| fields(options, row)).collect::<Vec<_>>(),
        )?;
    }
    let place = |row: &Row| format!("partition {} of topic '{}'", row.partition, row.topic);
    for row in rows {
        if let Some(note) = &row.note {
            tell(format_args!("corelane: {}: {note}", place(row)));
        }
    }
    let failed = |row: &Row| row.error.as_ref().map(|error| format!("{}: {error}", place(row)));
    let failures: Vec<String> = rows.iter().filter_map(failed).collect();
    let good = rows.len() - failures.len();
    if !options.execute {
        if let Some(obstacle) = obstacle {
            tell(format_args!("corelane: {obstacle}"));
        }
        if good > 0 && !options.export {
            tell("nothing was changed: this is what --execute does");
        }
    }
    let done = match options.execute {
        true => format!("\ncorelane: {good} of {} offsets set", rows.len()),
        false => String::new(),
    };
    super::finish(&failures, good > 0, done)
}

fn fields(options: &ResetOptions, row: &Row) -> Vec<String> {
    vec![
        options.group.clone(),
        row.topic.clone(),
        row.partition.to_string(),
        print::or_dash(row.committed),
        print::or_dash(row.new_offset),
        print::or_dash(row.start_offset),
        print::or_dash(row.end_offset),
        print::or_dash(row.lag),
    ]
}
