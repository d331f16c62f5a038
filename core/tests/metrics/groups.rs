//! How far groups have read, and how far that is behind.

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    DeleteGroupsRequest, FindCoordinatorRequest, OffsetCommitRequest, OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
};
use rdkafka::consumer::{CommitMode, Consumer};

use crate::harness::batch::Batch;
use crate::harness::broker::Broker;
use crate::harness::http::Samples;
use crate::harness::options::Options;
use crate::harness::rdkafka_client;
use crate::harness::requests::{create_ready_topic, produce, produced};
use crate::harness::topics;
use crate::harness::typed::{self, typed};
use crate::harness::wire::Connection;
use crate::watched;

/// Commits offsets for a group that nobody is in.
pub fn commit(connection: &mut Connection, group: &str, topic: &str, offsets: &[(i32, i64)]) {
    let partition = |(partition_index, committed_offset): &(i32, i64)| {
        let (partition_index, committed_offset) = (*partition_index, *committed_offset);
        OffsetCommitRequestPartition { partition_index, committed_offset, ..Default::default() }
    };
    let topic = OffsetCommitRequestTopic {
        name: Str::from(topic),
        partitions: offsets.iter().map(partition).collect(),
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: Str::from(group),
        topics: vec![topic],
        ..Default::default()
    };
    let asked = FindCoordinatorRequest { key: Str::from(group), ..Default::default() };
    typed!(connection, 3, FindCoordinator, asked);
    // The topic of offsets may just have been made.
    for _ in 0..500 {
        let answer = typed!(connection, 8, OffsetCommit, request.clone());
        match answer.topics[0].partitions[0].error_code {
            ErrorCode::None => return,
            ErrorCode::CoordinatorLoadInProgress | ErrorCode::NotCoordinator => {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            code => panic!("{code}"),
        }
    }
    panic!("no coordinator");
}

fn of(samples: &Samples, name: &str, group: &str, partition: i32) -> Option<f64> {
    let labels = format!(r#"group="{group}",topic="t",partition="{partition}""#);
    samples.0.get(&format!("corelane_group_{name}{{{labels}}}")).copied()
}

/// A page that tells of the group `g`, which may have to be read back first.
fn when_told(broker: &Broker) -> Samples {
    for _ in 0..500 {
        let samples = Samples::of(broker);
        if of(&samples, "lag", "g", 0).is_some() {
            return samples;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("the group is not told of")
}

#[test]
fn the_lag_is_that_of_partitions_of_all_shards() {
    if Broker::must_skip("metrics") {
        return;
    }
    let mut broker = Broker::start(watched());
    {
        let connection = &mut broker.connect();
        create_ready_topic(connection, "t", 4);
        let batch = Batch::of(&[b"a".as_slice(); 10]).encode();
        let all: Vec<(i32, &[u8])> = (0..4).map(|index| (index, &batch[..])).collect();
        let body = connection.call(&produce(-1, "t", &all)).expect("an answer");
        assert!(produced(&body).unwrap().iter().all(|one| one.error == 0));
        // Two shards: neighbouring partitions are on different ones, whichever has the group.
        commit(connection, "g", "t", &[(0, 0), (1, 4), (2, 10), (3, 99)]);
    }
    let check = |broker: &Broker, commits: f64| {
        let samples = when_told(broker);
        let told = |name| [0, 1, 2, 3].map(|index| of(&samples, name, "g", index).unwrap_or(-1.0));
        assert_eq!(told("committed_offset"), [0.0, 4.0, 10.0, 99.0]);
        assert_eq!(told("lag"), [10.0, 6.0, 0.0, 0.0]);
        assert_eq!(samples.value(r#"corelane_group_members{group="g"}"#), 0.0);
        assert_eq!(samples.value(r#"corelane_groups{type="classic",state="Empty"}"#), 1.0);
        assert_eq!(samples.sum("corelane_group_offset_commits_total"), commits);
        assert_eq!(samples.sum("corelane_group_offsets"), 4.0);
        assert_eq!(samples.value("corelane_groups_omitted"), 0.0);
    };
    check(&broker, 4.0);
    // What was committed is read back; the counter begins again.
    broker.terminate();
    broker.start_again();
    let connection = &mut broker.connect();
    commit(connection, "h", "t", &[(0, 1)]);
    let groups = DeleteGroupsRequest { groups_names: vec![Str::from("h")] };
    assert_eq!(typed!(connection, 2, DeleteGroups, groups).results[0].error_code, ErrorCode::None);
    check(&broker, 1.0);
    let samples = Samples::of(&broker);
    assert!(samples.sum("corelane_group_load_duration_seconds_count") >= 1.0);
    assert_eq!(of(&samples, "lag", "h", 0), None, "it is deleted");
    // A topic that is made again has no lag of what was committed before.
    let (request, version) = topics::deletion("t");
    typed::call(connection, version, request);
    create_ready_topic(connection, "t", 4);
    let samples = Samples::of(&broker);
    assert_eq!((of(&samples, "lag", "g", 0), of(&samples, "lag", "g", 3)), (None, None));
}

#[test]
fn members_and_rebalances_are_counted() {
    if Broker::must_skip("metrics") {
        return;
    }
    let broker = Broker::start(Options { group_delay_ms: Some(100), ..watched() });
    let connection = &mut broker.connect();
    create_ready_topic(connection, "t", 1);
    let batch = Batch::of(&[b"a".as_slice(); 5]).encode();
    connection.call(&produce(-1, "t", &[(0, &batch)])).expect("an answer");
    let settings = [
        ("group.id", "a \"quoted\" group"),
        ("auto.offset.reset", "earliest"),
        ("enable.auto.offset.store", "true"),
    ];
    let member = rdkafka_client::consumer(&broker, &settings);
    member.subscribe(&["t"]).expect("subscribe");
    (0..3).for_each(|_| drop(rdkafka_client::next_message(&member)));
    member.commit_consumer_state(CommitMode::Sync).expect("a commit");
    let samples = Samples::of(&broker);
    let group = r#"a \"quoted\" group"#;
    assert_eq!(samples.value(&format!(r#"corelane_group_members{{group="{group}"}}"#)), 1.0);
    assert_eq!(of(&samples, "committed_offset", group, 0), Some(3.0));
    assert_eq!(of(&samples, "lag", group, 0), Some(2.0));
    assert_eq!(samples.value(r#"corelane_groups{type="classic",state="Stable"}"#), 1.0);
    assert!(samples.sum("corelane_group_rebalances_total") >= 1.0);
    let active =
        |shard| format!(r#"corelane_group_coordinators{{shard="{shard}",state="active"}}"#);
    assert!(samples.value(&active(0)) + samples.value(&active(1)) >= 1.0);
}
