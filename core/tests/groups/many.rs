//! Very many offsets of one group: more than one step of its coordinator looks at.

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::*;

use crate::group::Group;
use crate::harness::requests::create_ready_topic;
use crate::harness::topics::delete;
use crate::harness::typed::typed;
use crate::harness::wire::Connection;
use crate::start;

const PARTITIONS: i32 = 900;
const TOPICS: [&str; 3] = ["few", "more", "many"];

fn commit_all(connection: &mut Connection, group: &str) {
    let topic = |(name, number): (&str, i64)| OffsetCommitRequestTopic {
        name: name.into(),
        partitions: (0..PARTITIONS)
            .map(|partition_index| OffsetCommitRequestPartition {
                partition_index,
                committed_offset: number * 10_000 + i64::from(partition_index),
                committed_metadata: Some("x".repeat(partition_index as usize % 300).into()),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: group.into(),
        generation_id_or_member_epoch: -1,
        topics: TOPICS.into_iter().zip(0..).map(topic).collect(),
        ..Default::default()
    };
    let answer = typed!(connection, 8, OffsetCommit, request);
    let codes = answer.topics.iter().flat_map(|topic| &topic.partitions);
    assert_eq!(codes.filter(|one| one.error_code.is_none()).count(), 3 * PARTITIONS as usize);
}

/// Every offset that the group has, by topic and partition; asked for at once, and one by one.
fn all(connection: &mut Connection, group: &str) -> Vec<(Str, i32, i64)> {
    let every = OffsetFetchRequestGroup { group_id: group.into(), ..Default::default() };
    let topics = TOPICS.map(|name| OffsetFetchRequestTopics {
        name: name.into(),
        partition_indexes: (0..PARTITIONS).collect(),
        ..Default::default()
    });
    let named = OffsetFetchRequestGroup { topics: Some(topics.to_vec()), ..every.clone() };
    let every = OffsetFetchRequestGroup { topics: None, ..every };
    let request = OffsetFetchRequest {
        groups: vec![every, named],
        require_stable: true,
        ..Default::default()
    };
    let mut answer = typed!(connection, 8, OffsetFetch, request);
    let flat = |group: OffsetFetchResponseGroup| {
        assert_eq!(group.error_code, ErrorCode::None);
        let one = |topic: OffsetFetchResponseTopics| {
            let name = topic.name;
            let offsets = topic.partitions.into_iter();
            offsets.map(move |one| (name.clone(), one.partition_index, one.committed_offset))
        };
        let mut all: Vec<_> = group.topics.into_iter().flat_map(one).collect();
        all.retain(|(_, _, offset)| *offset >= 0);
        all.sort();
        all
    };
    let named = flat(answer.groups.pop().expect("the second group"));
    let every = flat(answer.groups.pop().expect("the first group"));
    assert_eq!(every, named);
    every
}

#[test]
fn a_group_with_many_offsets() {
    let Some(mut broker) = start("a_group_with_many_offsets") else { return };
    let mut connection = broker.connect();
    for topic in TOPICS {
        create_ready_topic(&mut connection, topic, PARTITIONS);
    }
    let group = Group::new(&mut connection, "many");
    commit_all(&mut connection, &group.id);
    let of_topic = |(name, number): (&str, i64)| {
        let name = Str::from(name);
        (0..PARTITIONS).map(move |index| (name.clone(), index, number * 10_000 + i64::from(index)))
    };
    let mut expected: Vec<(Str, i32, i64)> =
        TOPICS.into_iter().zip(0..).flat_map(of_topic).collect();
    expected.sort();
    assert_eq!(all(&mut connection, &group.id), expected);

    broker.kill();
    broker.options.shards = 3;
    broker.start_again();
    let mut connection = broker.connect();
    group.wait_until_loaded(&mut connection);
    assert_eq!(all(&mut connection, &group.id), expected);

    // A topic's offsets go with it, those of the others stay.
    assert_eq!(delete(&mut connection, "few"), ErrorCode::None);
    expected.retain(|(topic, _, _)| **topic != *"few");
    assert_eq!(all(&mut connection, &group.id), expected);

    let topic = OffsetDeleteRequestTopic {
        name: "more".into(),
        partitions: (0..PARTITIONS)
            .map(|partition_index| OffsetDeleteRequestPartition { partition_index })
            .collect(),
    };
    let request = OffsetDeleteRequest { group_id: (*group.id).into(), topics: vec![topic] };
    let answer = typed!(&mut connection, 0, OffsetDelete, request);
    assert_eq!(answer.error_code, ErrorCode::None);
    let codes = answer.topics[0].partitions.iter().map(|one| one.error_code);
    assert_eq!(codes.filter(|code| code.is_none()).count(), PARTITIONS as usize);
    expected.retain(|(topic, _, _)| **topic != *"more");
    assert_eq!(all(&mut connection, &group.id), expected);

    let request = DeleteGroupsRequest { groups_names: vec![(*group.id).into()] };
    let answer = typed!(&mut connection, 2, DeleteGroups, request.clone());
    assert_eq!(answer.results[0].error_code, ErrorCode::None);
    let answer = typed!(&mut connection, 2, DeleteGroups, request);
    assert_eq!(answer.results[0].error_code, ErrorCode::GroupIdNotFound);
    broker.kill();
    broker.start_again();
    let mut connection = broker.connect();
    group.wait_until_loaded(&mut connection);
    assert_eq!(all(&mut connection, &group.id), []);
}

#[test]
fn very_many_groups_are_listed() {
    let Some(broker) = start("very_many_groups_are_listed") else { return };
    let mut connection = broker.connect();
    create_ready_topic(&mut connection, "again", 1);
    Group::new(&mut connection, "first");
    let mut expected: Vec<String> = (0..1_500).map(|number| format!("group-{number:04}")).collect();
    for id in &expected {
        let group = Group { id: id.clone() };
        assert_eq!(group.commit(&mut connection, "", -1, 1), ErrorCode::None);
    }
    let listed = typed!(&mut connection, 5, ListGroups, ListGroupsRequest::default());
    let listed: Vec<String> =
        listed.groups.iter().map(|group| group.group_id.to_string()).collect();
    assert_eq!(listed, expected);
    let request = DeleteGroupsRequest {
        groups_names: expected.drain(..1_400).map(|id| Str::from(id.as_str())).collect(),
    };
    let deleted = typed!(&mut connection, 2, DeleteGroups, request);
    assert!(deleted.results.iter().all(|one| one.error_code.is_none()));
    let listed = typed!(&mut connection, 5, ListGroups, ListGroupsRequest::default());
    assert_eq!(listed.groups.len(), expected.len());
}
