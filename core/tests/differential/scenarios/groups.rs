//! Consumer groups: members, offsets, and those who look after them.

use std::time::Duration;

use bytes::Bytes;
use corelane_net::codec::{Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::*;

use crate::stage::Stage;

/// Longer than the first rebalance of a group waits for members.
const INITIAL_DELAY: Duration = Duration::from_millis(3_500);

/// Waits until the group has a coordinator: Kafka makes the topic first.
pub fn wait_for_coordinator(stage: &mut Stage<'_>, group: &str) {
    let asked = FindCoordinatorRequest {
        coordinator_keys: vec![group.into()],
        ..FindCoordinatorRequest::default()
    };
    let listed = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup { group_id: group.into(), ..Default::default() }],
        ..OffsetFetchRequest::default()
    };
    for _ in 0..200 {
        let found = match stage.call(4, &asked.clone().into()) {
            Some(Response::FindCoordinator(answer)) => answer.coordinators[0].error_code,
            other => panic!("{other:?}"),
        };
        let loaded = match stage.call(8, &listed.clone().into()) {
            Some(Response::OffsetFetch(answer)) => answer.groups[0].error_code,
            other => panic!("{other:?}"),
        };
        if found.is_none() && loaded.is_none() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{group} has no coordinator");
}

pub fn find_coordinator(stage: &mut Stage<'_>) {
    wait_for_coordinator(stage, "a-group");
    let one = FindCoordinatorRequest { key: "a-group".into(), ..Default::default() };
    stage.ask_at(&[0, 1, 2, 3], "a group", one.clone());
    stage.ask_at(&[1, 3], "of an unknown kind", FindCoordinatorRequest { key_type: 9, ..one });
    let keys = |keys: &[&str]| keys.iter().copied().map(Str::from).collect::<Vec<_>>();
    let some = FindCoordinatorRequest {
        coordinator_keys: keys(&["a-group", "b-group", ""]),
        ..Default::default()
    };
    stage.ask_at(&[4, 5, 6], "groups", some.clone());
    let unknown = FindCoordinatorRequest { key_type: 9, ..some };
    stage.ask_at(&[4, 6], "of an unknown kind", unknown);
    stage.ask_at(&[4, 6], "nothing", FindCoordinatorRequest::default());
}

pub fn commit(group: &str, topics: Vec<OffsetCommitRequestTopic>) -> OffsetCommitRequest {
    OffsetCommitRequest { group_id: group.into(), topics, ..Default::default() }
}

pub fn offsets(
    name: &str,
    topic_id: Uuid,
    offsets: &[(i32, i64, &str)],
) -> OffsetCommitRequestTopic {
    let partition = |(index, offset, metadata): &(i32, i64, &str)| OffsetCommitRequestPartition {
        partition_index: *index,
        committed_offset: *offset,
        committed_leader_epoch: 0,
        committed_metadata: Some(Str::from(*metadata)),
    };
    let partitions = offsets.iter().map(partition).collect();
    OffsetCommitRequestTopic { name: name.into(), topic_id, partitions }
}

const COMMITS: &[i16] = &[2, 3, 4, 5, 6, 7, 8, 9];

pub fn commits(stage: &mut Stage<'_>) {
    let id = stage.create_topic("read", 2, &[]);
    wait_for_coordinator(stage, "commits");
    let topic = |offsets_of: &[(i32, i64, &str)]| vec![offsets("read", id, offsets_of)];
    let plain = commit("commits", topic(&[(0, 5, "kept"), (1, 7, "")]));
    stage.ask_at(COMMITS, "without members", plain.clone());
    stage.ask("v10: without members", 10, plain);
    let long = "x".repeat(4_097);
    let mixed = vec![
        offsets("read", id, &[(0, 6, &long), (7, 1, ""), (1, -3, "negative")]),
        offsets("nowhere", Uuid([9; 16]), &[(0, 1, "")]),
    ];
    stage.ask_at(COMMITS, "good and bad", commit("commits", mixed.clone()));
    stage.ask("v10: good and bad", 10, commit("commits", mixed));
    stage.ask_at(COMMITS, "no topics", commit("commits", vec![]));
    stage.ask_at(COMMITS, "the empty group", commit("", topic(&[(0, 5, "")])));
    let member = |member_id: &str, generation_id_or_member_epoch| OffsetCommitRequest {
        member_id: member_id.into(),
        generation_id_or_member_epoch,
        ..commit("commits", topic(&[(0, 99, "")]))
    };
    stage.ask_at(COMMITS, "of a stranger", member("stranger", 3));
    stage.ask_at(COMMITS, "of a stranger without generation", member("stranger", -1));
    let elsewhere = |generation| OffsetCommitRequest {
        group_id: "no-such-group".into(),
        ..member("stranger", generation)
    };
    stage.ask_at(COMMITS, "to an unknown group", elsewhere(3));
    stage.ask("v10: to an unknown group", 10, elsewhere(3));
    fetches(stage, id);
    deletions(stage);
}

fn fetches(stage: &mut Stage<'_>, id: Uuid) {
    let older = |group: &str, topics: Option<Vec<(&str, Vec<i32>)>>| OffsetFetchRequest {
        group_id: group.into(),
        topics: topics.map(|topics| {
            let topic = |(name, partition_indexes): (&str, Vec<i32>)| OffsetFetchRequestTopic {
                name: name.into(),
                partition_indexes,
            };
            topics.into_iter().map(topic).collect()
        }),
        ..OffsetFetchRequest::default()
    };
    let old = &[1, 2, 3, 4, 5, 6, 7];
    let some = vec![("read", vec![0, 1, 7]), ("nowhere", vec![0])];
    stage.ask_at(old, "some", older("commits", Some(some.clone())));
    stage.ask_at(&old[1..], "all", older("commits", None));
    stage.ask_at(old, "none", older("commits", Some(vec![])));
    stage.ask_at(old, "of an unknown group", older("nobody", Some(some)));
    stage.ask_at(&old[1..], "all of an unknown group", older("nobody", None));
    stage.ask_at(old, "of the empty group", older("", Some(vec![("read", vec![0])])));
    let group =
        |group: &str, topics: Option<Vec<(&str, Uuid, Vec<i32>)>>| OffsetFetchRequestGroup {
            group_id: group.into(),
            topics: topics.map(|topics| {
                let topic = |(name, topic_id, partition_indexes): (&str, Uuid, Vec<i32>)| {
                    OffsetFetchRequestTopics { name: name.into(), topic_id, partition_indexes }
                };
                topics.into_iter().map(topic).collect()
            }),
            ..OffsetFetchRequestGroup::default()
        };
    let some = vec![("read", id, vec![0, 1, 7]), ("nowhere", Uuid([9; 16]), vec![0])];
    for require_stable in [false, true] {
        let several = OffsetFetchRequest {
            groups: vec![group("commits", Some(some.clone())), group("nobody", Some(some.clone()))],
            require_stable,
            ..OffsetFetchRequest::default()
        };
        stage.ask_at(&[8, 9, 10], &format!("several, stable {require_stable}"), several);
        let all = OffsetFetchRequest {
            groups: vec![group("commits", None), group("nobody", None)],
            require_stable,
            ..OffsetFetchRequest::default()
        };
        stage.ask_at(&[8, 9, 10], &format!("all of several, stable {require_stable}"), all);
    }
    let none = OffsetFetchRequest::default();
    stage.ask_at(&[8, 9, 10], "of no group", none);
}

fn deletions(stage: &mut Stage<'_>) {
    let delete = |group: &str, topics: &[(&str, &[i32])]| OffsetDeleteRequest {
        group_id: group.into(),
        topics: topics
            .iter()
            .map(|(name, partitions)| OffsetDeleteRequestTopic {
                name: Str::from(*name),
                partitions: partitions
                    .iter()
                    .map(|&partition_index| OffsetDeleteRequestPartition { partition_index })
                    .collect(),
            })
            .collect(),
    };
    let some: &[(&str, &[i32])] = &[("read", &[0, 7]), ("nowhere", &[0])];
    stage.ask("v0: delete offsets of an unknown group", 0, delete("nobody", some));
    stage.ask("v0: delete offsets of the empty group", 0, delete("", some));
    stage.ask("v0: delete offsets", 0, delete("commits", some));
    stage.ask("v0: delete offsets again", 0, delete("commits", some));
    let all = OffsetFetchRequest { group_id: "commits".into(), topics: None, ..Default::default() };
    stage.ask("v7: what is left", 7, all.clone());
    let groups = |names: &[&str]| DeleteGroupsRequest {
        groups_names: names.iter().copied().map(Str::from).collect(),
    };
    let describe = DescribeGroupsRequest {
        groups: vec!["commits".into(), "nobody".into(), "".into()],
        include_authorized_operations: true,
    };
    stage.ask_at(&[0, 1, 2, 3, 4, 5, 6], "describe without members", describe);
    let simple = ListGroupsRequest {
        states_filter: vec!["empty".into()],
        types_filter: vec!["Classic".into()],
    };
    stage.ask_at(&[0, 3, 4, 5], "list the empty ones", simple);
    stage.ask_at(&[0, 1, 2], "delete unknown groups", groups(&["nobody", "nobody", ""]));
    stage.ask("v1: delete groups", 1, groups(&["commits", "nobody"]));
    stage.ask("v7: what is left of a deleted group", 7, all);
}

pub fn join(group: &str, member_id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 30_000,
        member_id: member_id.into(),
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: Bytes::from_static(b"\0\0\0\0\0\x01\0\x04read\xff\xff\xff\xff"),
        }],
        ..JoinGroupRequest::default()
    }
}

fn sync(group: &str, member_id: &str, generation_id: i32) -> SyncGroupRequest {
    let assignment = SyncGroupRequestAssignment {
        member_id: member_id.into(),
        assignment: Bytes::from_static(b"a share"),
    };
    SyncGroupRequest {
        group_id: group.into(),
        generation_id,
        member_id: member_id.into(),
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        assignments: vec![assignment],
        ..SyncGroupRequest::default()
    }
}

const JOINS: &[i16] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

pub fn refused_joins(stage: &mut Stage<'_>) {
    wait_for_coordinator(stage, "refused");
    stage.ask_at(JOINS, "the empty group", join("", ""));
    let short = JoinGroupRequest { session_timeout_ms: 5_999, ..join("refused", "") };
    stage.ask_at(JOINS, "too short a session", short);
    let long = JoinGroupRequest { session_timeout_ms: 1_800_001, ..join("refused", "") };
    stage.ask_at(JOINS, "too long a session", long);
    stage.ask_at(JOINS, "an unknown member", join("refused", "unknown"));
    let none = JoinGroupRequest { protocols: vec![], ..join("refused", "") };
    stage.ask_at(JOINS, "no protocols", none);
    let no_type = JoinGroupRequest { protocol_type: Str::EMPTY, ..join("refused", "") };
    stage.ask_at(JOINS, "no kind of protocols", no_type);
    stage.ask_at(&[4, 5, 6, 7, 8, 9], "a new member", join("refused", ""));
    let beat = |group: &str| HeartbeatRequest {
        group_id: group.into(),
        generation_id: 1,
        member_id: "stranger".into(),
        group_instance_id: None,
    };
    stage.ask_at(&[0, 1, 2, 3, 4], "a stranger's heartbeat", beat("refused"));
    stage.ask_at(&[0, 4], "a heartbeat to an unknown group", beat("nobody"));
    stage.ask_at(&[0, 4], "a heartbeat to the empty group", beat(""));
    stage.ask_at(&[0, 1, 2, 3, 4, 5], "a stranger syncs", sync("refused", "stranger", 1));
    stage.ask_at(&[0, 4, 5], "sync with an unknown group", sync("nobody", "stranger", 1));
    stage.ask_at(&[0, 5], "sync with the empty group", sync("", "stranger", 1));
    let mute = SyncGroupRequest { protocol_type: None, ..sync("refused", "stranger", 1) };
    stage.ask_at(&[5], "sync without a protocol", mute);
    let leave = |group: &str, members: &[(&str, Option<&str>)]| LeaveGroupRequest {
        group_id: group.into(),
        member_id: "stranger".into(),
        members: members
            .iter()
            .map(|(id, instance)| MemberIdentity {
                member_id: Str::from(*id),
                group_instance_id: instance.map(Str::from),
                reason: None,
            })
            .collect(),
    };
    let strangers = &[("stranger", None), ("", Some("static")), ("", None)];
    stage.ask_at(&[0, 1, 2, 3, 4, 5], "strangers leave", leave("refused", strangers));
    stage.ask_at(&[0, 3, 5], "they leave an unknown group", leave("nobody", strangers));
    stage.ask_at(&[0, 3, 5], "they leave the empty group", leave("", strangers));
    stage.ask_at(&[3, 5], "nobody leaves", leave("refused", &[]));
}

/// One member's life, in every state of its group.
pub fn one_member(stage: &mut Stage<'_>) {
    let topic = stage.create_topic("alone", 1, &[]);
    let group = "one-member";
    wait_for_coordinator(stage, group);
    let answer = stage.ask("v3: the first joins", 3, join(group, ""));
    let Some(Response::JoinGroup(joined)) = answer else { panic!("no answer") };
    assert_eq!(joined.error_code, ErrorCode::None);
    let id = &*joined.member_id;
    let beat = |generation_id| HeartbeatRequest {
        group_id: group.into(),
        generation_id,
        member_id: id.into(),
        group_instance_id: None,
    };
    let describe = DescribeGroupsRequest { groups: vec![group.into()], ..Default::default() };
    stage.ask("v4: a heartbeat before the sync", 4, beat(1));
    stage.ask("v5: described before the sync", 5, describe.clone());
    let offset = |member_id: &str, generation_id_or_member_epoch| OffsetCommitRequest {
        member_id: member_id.into(),
        generation_id_or_member_epoch,
        ..commit(group, vec![offsets("alone", topic, &[(0, 1, "")])])
    };
    stage.ask("v8: a commit before the sync", 8, offset(id, 1));
    let other = SyncGroupRequest { protocol_name: Some("other".into()), ..sync(group, id, 1) };
    stage.ask("v5: a sync of another protocol", 5, other);
    stage.ask("v5: a sync of another generation", 5, sync(group, id, 2));
    stage.ask("v9: joins again before the sync", 9, join(group, id));
    stage.ask("v5: a sync", 5, sync(group, id, 1));
    stage.ask("v4: the sync again", 4, sync(group, id, 1));
    stage.ask("v4: a heartbeat", 4, beat(1));
    stage.ask("v4: a heartbeat of another generation", 4, beat(2));
    stage.ask("v8: a commit", 8, offset(id, 1));
    stage.ask("v8: a commit of another generation", 8, offset(id, 2));
    stage.ask("v8: a stranger's commit", 8, offset("stranger", 1));
    stage.ask("v8: nobody's commit", 8, offset("", -1));
    stage.ask("v8: a commit without generation", 8, offset(id, -1));
    stage.ask_at(&[0, 4, 5, 6], "described", describe);
    let listed = ListGroupsRequest { states_filter: vec!["Stable".into()], ..Default::default() };
    stage.ask_at(&[4, 5], "listed", listed);
    let deletion = DeleteGroupsRequest { groups_names: vec![group.into()] };
    stage.ask("v2: deleted", 2, deletion);
    let other = JoinGroupRequest { protocol_type: "other".into(), ..join(group, "") };
    stage.ask("v3: one of another kind", 3, other);
    let of_topic = OffsetDeleteRequest {
        group_id: group.into(),
        topics: vec![OffsetDeleteRequestTopic {
            name: "alone".into(),
            partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
        }],
    };
    stage.ask("v0: offsets deleted that it does not read", 0, of_topic);
    let reading = OffsetDeleteRequest {
        group_id: group.into(),
        topics: vec![OffsetDeleteRequestTopic {
            name: "read".into(),
            partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
        }],
    };
    stage.ask("v0: offsets deleted that it reads", 0, reading);
    let answer = stage.ask("v9: the leader joins again", 9, join(group, id));
    let Some(Response::JoinGroup(joined)) = answer else { panic!("no answer") };
    assert_eq!(joined.generation_id, 2);
    let leave = LeaveGroupRequest {
        group_id: group.into(),
        members: vec![MemberIdentity { member_id: id.into(), ..Default::default() }],
        ..LeaveGroupRequest::default()
    };
    stage.ask("v5: leaves", 5, leave);
    stage.ask("v4: a heartbeat after that", 4, beat(2));
    let describe = DescribeGroupsRequest { groups: vec![group.into()], ..Default::default() };
    stage.ask("v5: described when it is empty", 5, describe);
}

/// A static member's life: fenced by its successor, removed by its name.
pub fn static_member(stage: &mut Stage<'_>) {
    let group = "static-member";
    wait_for_coordinator(stage, group);
    let named = |id: &str| JoinGroupRequest {
        group_instance_id: Some("the-name".into()),
        ..join(group, id)
    };
    let answer = stage.ask("v5: joins", 5, named(""));
    let Some(Response::JoinGroup(joined)) = answer else { panic!("no answer") };
    let old = joined.member_id;
    let named_sync = |id: &str, generation| SyncGroupRequest {
        group_instance_id: Some("the-name".into()),
        ..sync(group, id, generation)
    };
    stage.ask("v5: syncs", 5, named_sync(&old, 1));
    for version in [5, 8, 9] {
        let answer = stage.ask(&format!("v{version}: comes back"), version, named(""));
        let Some(Response::JoinGroup(joined)) = answer else { panic!("no answer") };
        assert_eq!(joined.generation_id, 1);
        let step = format!("v5: syncs after version {version}");
        stage.ask(&step, 5, named_sync(&joined.member_id, 1));
    }
    stage.ask("v5: the old one syncs", 5, named_sync(&old, 1));
    stage.ask("v9: the old one joins", 9, named(&old));
    let beat = HeartbeatRequest {
        group_id: group.into(),
        generation_id: 1,
        member_id: old.clone(),
        group_instance_id: Some("the-name".into()),
    };
    stage.ask("v4: the old one's heartbeat", 4, beat.clone());
    let unknown = HeartbeatRequest { group_instance_id: Some("another".into()), ..beat };
    stage.ask("v4: a heartbeat of an unknown name", 4, unknown);
    let leave = |id: &str| LeaveGroupRequest {
        group_id: group.into(),
        members: vec![MemberIdentity {
            member_id: id.into(),
            group_instance_id: Some("the-name".into()),
            reason: Some("to see".into()),
        }],
        ..LeaveGroupRequest::default()
    };
    stage.ask("v5: the old one leaves", 5, leave(&old));
    stage.ask("v5: removed by its name", 5, leave(""));
    std::thread::sleep(INITIAL_DELAY);
    let describe = DescribeGroupsRequest { groups: vec![group.into()], ..Default::default() };
    stage.ask("v5: described", 5, describe);
}

/// What clients may do with the topic that keeps groups.
pub fn offsets_topic(stage: &mut Stage<'_>) {
    wait_for_coordinator(stage, "a-group");
    let name = "__consumer_offsets";
    let batch = crate::harness::batch::Batch::of(&[b"x"]).encode();
    let produce = ProduceRequest {
        acks: -1,
        timeout_ms: 5_000,
        topic_data: vec![TopicProduceData {
            name: name.into(),
            partition_data: vec![PartitionProduceData { index: 0, records: Some(batch.into()) }]
                .into(),
            ..Default::default()
        }]
        .into(),
        ..ProduceRequest::default()
    };
    stage.ask("v9: produce", 9, produce);
    let delete = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: name.into(),
            partitions: vec![DeleteRecordsPartition { partition_index: 0, offset: 0 }],
        }],
        timeout_ms: 5_000,
    };
    stage.ask("v2: delete records", 2, delete);
    let create = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: name.into(),
            num_partitions: 1,
            replication_factor: 1,
            ..CreatableTopic::default()
        }],
        timeout_ms: 5_000,
        ..CreateTopicsRequest::default()
    };
    stage.ask("v7: create", 7, create);
    let configs = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: config_resource_type::TOPIC,
            resource_name: name.into(),
            configuration_keys: Some(vec![
                "cleanup.policy".into(),
                "segment.bytes".into(),
                "compression.type".into(),
            ]),
        }],
        ..DescribeConfigsRequest::default()
    };
    stage.ask("v4: configs", 4, configs);
}
