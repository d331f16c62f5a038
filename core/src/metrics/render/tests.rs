use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::Api;
use corelane_storage::ids::TopicId;
use corelane_storage::log::{LogGauges, LogOffsets};

use super::{Facts, ListenerView, ShardView, page};
use crate::catalog::Topic;
use crate::metrics::counters::{ApiTotals, Sent};
use crate::metrics::families::SECTIONS;
use crate::metrics::groups::{GroupSnapshot, GroupsSnapshot};
use crate::metrics::process;
use crate::metrics::snapshot::{PartitionSnapshot, SentChunk, ShardSnapshot};
use crate::shard::admission::Refused;

fn topic(name: &str, id: u8) -> Arc<Topic> {
    let (name, id) = (Arc::from(name), TopicId([id; 16]));
    Arc::new(Topic { name, id, partitions: 2, configs: Default::default() })
}

fn partition(topic: usize, index: u32, bytes: u64) -> PartitionSnapshot {
    let offsets = LogOffsets { log_start: 1, log_end: 9, high_watermark: 8, flushed: 7 };
    let log = LogGauges {
        offsets,
        size_bytes: bytes,
        segments: 1,
        is_offline: false,
        unflushed_since: None,
    };
    PartitionSnapshot { topic, index, received: [bytes, 8, 4], log }
}

fn requests(took_ms: u64, errors: u64) -> (Api, ApiTotals) {
    let mut totals = ApiTotals { request_bytes: 10, response_bytes: 20, ..ApiTotals::default() };
    totals.durations.record(Duration::from_millis(took_ms));
    totals.add_errors(ErrorCode::MessageTooLarge, errors);
    (Api::Produce, totals)
}

fn chunk(first: usize, bytes: u64, records: u64) -> SentChunk {
    SentChunk { topic: 0, first, sent: vec![Sent { bytes, records }] }
}

fn view(is_up: bool, snapshot: ShardSnapshot) -> ShardView {
    ShardView { is_up, last: Some(Arc::new(snapshot)) }
}

fn facts(shards: Vec<ShardView>) -> Facts {
    let listener = ListenerView {
        name: "PLAINTEXT".to_owned(),
        accepted: 3,
        refused: Refused::ALL.map(|reason| (reason, 1)),
    };
    Facts {
        process: process::read(),
        uptime: Duration::from_secs(5),
        is_ready: true,
        space: None,
        listeners: vec![listener],
        shards,
    }
}

fn samples(text: &str) -> BTreeMap<&str, &str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let samples: Vec<_> = lines.map(|line| line.rsplit_once(' ').expect("a value")).collect();
    let names: BTreeSet<_> = samples.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), samples.len(), "each series once");
    samples.into_iter().collect()
}

#[test]
fn shards_are_summed_and_a_silent_one_keeps_its_part() {
    let one = ShardSnapshot {
        apis: vec![requests(1, 2)],
        topics: vec![topic("t", 1)],
        partitions: vec![vec![partition(0, 0, 100)]],
        sent: vec![chunk(0, 5, 1), chunk(1, 6, 2)],
        ..ShardSnapshot::default()
    };
    let other = ShardSnapshot {
        apis: vec![requests(400, 1)],
        topics: vec![topic("t", 1)],
        partitions: vec![vec![partition(0, 1, 200)]],
        sent: vec![chunk(0, 50, 10)],
        ..ShardSnapshot::default()
    };
    let text = page(&facts(vec![view(true, one), view(false, other)]));
    let samples = samples(&text);
    let of = |name: &str| samples.get(name).copied();
    assert_eq!(of(r#"corelane_requests_total{api="Produce"}"#), Some("2"));
    let errors = r#"corelane_request_errors_total{api="Produce",error="MESSAGE_TOO_LARGE"}"#;
    assert_eq!(of(errors), Some("3"));
    let bucket = r#"corelane_request_duration_seconds_bucket{api="Produce",le="0.1"}"#;
    assert_eq!(of(bucket), Some("1"));
    assert_eq!(of(r#"corelane_request_duration_seconds_sum{api="Produce"}"#), Some("0.401"));
    assert_eq!(of(r#"corelane_shard_up{shard="0"}"#), Some("1"));
    assert_eq!(of(r#"corelane_shard_up{shard="1"}"#), Some("0"));
    assert_eq!(of(r#"corelane_shard_calls_total{shard="1"}"#), None);
    let sent = r#"corelane_partition_sent_bytes_total{topic="t",partition="0"}"#;
    assert_eq!(of(sent), Some("55"), "what connections of a silent shard were sent stays sent");
    let size =
        |index: u8| format!(r#"corelane_partition_size_bytes{{topic="t",partition="{index}"}}"#);
    assert_eq!(of(&size(0)), Some("100"));
    assert_eq!(of(&size(1)), None, "only its owner knows");
}

#[test]
fn a_groups_offsets_meet_the_ends_that_other_shards_know() {
    let group = |id: &str, committed: &[(&str, i32, i64)]| GroupSnapshot {
        id: id.into(),
        members: 2,
        committed: vec![committed.iter().map(|(t, p, o)| ((*t).into(), *p, *o)).collect()],
    };
    let groups = |group: GroupSnapshot, omitted| GroupsSnapshot {
        states: BTreeMap::from([(("classic".into(), "Stable".into()), 3)]),
        groups: vec![vec![group]],
        omitted,
        ..GroupsSnapshot::default()
    };
    let here = ShardSnapshot {
        groups: groups(group("g", &[("t", 0, 3), ("t", 1, 9), ("gone", 0, 5)]), 1),
        topics: vec![topic("t", 1)],
        partitions: vec![vec![partition(0, 1, 100)]],
        ..ShardSnapshot::default()
    };
    let there = ShardSnapshot {
        groups: groups(group("h", &[("t", 0, 0)]), 0),
        topics: vec![topic("t", 1)],
        partitions: vec![vec![partition(0, 0, 100)]],
        ..ShardSnapshot::default()
    };
    let of = |is_up: bool, name: &str| {
        let (here, there) = (view(true, clone(&here)), view(is_up, clone(&there)));
        let text = page(&facts(vec![here, there]));
        samples(&text).get(name).map(|value| value.to_string())
    };
    let lag = |group: &str, topic: &str, partition: i32| {
        format!(r#"corelane_group_lag{{group="{group}",topic="{topic}",partition="{partition}"}}"#)
    };
    assert_eq!(of(true, &lag("g", "t", 0)).as_deref(), Some("5"), "another shard knows its end");
    assert_eq!(of(true, &lag("g", "t", 1)).as_deref(), Some("0"), "it is ahead of what was seen");
    assert_eq!(of(true, &lag("g", "gone", 0)), None);
    let committed = r#"corelane_group_committed_offset{group="g",topic="gone",partition="0"}"#;
    assert_eq!(of(true, committed).as_deref(), Some("5"));
    let states = r#"corelane_groups{type="classic",state="Stable"}"#;
    assert_eq!(of(true, states).as_deref(), Some("6"));
    assert_eq!(of(true, "corelane_groups_omitted").as_deref(), Some("1"));
    // Of a shard that is silent neither its groups nor its ends are told.
    assert_eq!(of(false, states).as_deref(), Some("3"));
    assert_eq!(of(false, &lag("g", "t", 0)), None);
    assert_eq!(of(false, r#"corelane_group_members{group="g"}"#).as_deref(), Some("2"));
    assert_eq!(of(false, r#"corelane_group_members{group="h"}"#), None);
}

fn clone(snapshot: &ShardSnapshot) -> ShardSnapshot {
    let GroupsSnapshot { states, groups, omitted, .. } = &snapshot.groups;
    let (states, groups, omitted) = (states.clone(), groups.clone(), *omitted);
    ShardSnapshot {
        groups: GroupsSnapshot { states, groups, omitted, ..GroupsSnapshot::default() },
        topics: snapshot.topics.clone(),
        partitions: snapshot.partitions.clone(),
        ..ShardSnapshot::default()
    }
}

#[test]
fn a_topic_made_again_between_two_answers_is_told_once() {
    let old = ShardSnapshot {
        topics: vec![topic("t", 1)],
        partitions: vec![vec![partition(0, 0, 100)]],
        sent: vec![chunk(0, 5, 1)],
        ..ShardSnapshot::default()
    };
    let new = ShardSnapshot {
        topics: vec![topic("t", 2)],
        partitions: vec![vec![partition(0, 0, 7), partition(0, 1, 7)]],
        ..ShardSnapshot::default()
    };
    let text = page(&facts(vec![view(true, old), view(true, new)]));
    samples(&text);
}

#[test]
fn before_any_shard_answers_there_is_a_page() {
    let text = page(&facts(vec![ShardView::default()]));
    let samples = samples(&text);
    assert_eq!(samples.get(r#"corelane_shard_up{shard="0"}"#), Some(&"0"));
    assert!(!samples.contains_key("corelane_topics"));
    let heads = text.lines().filter(|line| line.starts_with("# TYPE")).count();
    assert_eq!(heads, SECTIONS.iter().map(|(_, families)| families.len()).sum::<usize>());
}

/// docs/metrics.md holds the tables that are made here, word for word.
#[test]
fn the_documentation_is_true() {
    let doc = include_str!("../../../../docs/metrics.md");
    let mut expected = String::new();
    for (section, families) in SECTIONS {
        expected += &format!("### {section}\n\n");
        expected += "| name | type | labels | meaning | Kafka (JMX) |\n|---|---|---|---|---|\n";
        for family in *families {
            let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
            let kafka =
                if family.kafka.is_empty() { "-".into() } else { format!("`{}`", family.kafka) };
            let (name, kind, help) = (family.name, family.kind, family.help);
            let labels = labels.join(", ");
            expected += &format!("| `{name}` | {kind} | {labels} | {help} | {kafka} |\n");
        }
        expected += "\n";
    }
    let tables = doc.split_once("## Every metric\n\n").expect("the section is there").1;
    let tables = tables.split_once("\n## ").map_or(tables, |(tables, _)| tables);
    assert_eq!(tables.trim_end(), expected.trim_end(), "docs/metrics.md is to say:\n{expected}");
}

#[test]
fn names_follow_the_conventions() {
    use crate::metrics::text::Kind;
    let mut seen = BTreeSet::new();
    for family in SECTIONS.iter().flat_map(|(_, families)| *families) {
        let name = family.name;
        assert!(seen.insert(name), "{name} twice");
        assert!(name.starts_with("corelane_") || name.starts_with("process_"), "{name}");
        assert_eq!(name.ends_with("_total"), family.kind == Kind::Counter, "{name}");
        assert!(family.help.ends_with('.') && !family.help.contains('|'), "{name}");
        if family.kind == Kind::Histogram {
            assert!(name.ends_with("_seconds"), "{name}");
        }
        for unit in ["_ms", "_us", "_milliseconds", "_kb", "_mb", "_count", "_sum", "_bucket"] {
            assert!(!name.ends_with(unit), "{name}");
        }
    }
}
