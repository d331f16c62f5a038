//! Consumer groups through real clients and over the wire: shared partitions, rebalances, commits, and brokers and
//! members that die in between.

mod harness;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    DeleteGroupsRequest, FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest,
    JoinGroupRequestProtocol, JoinGroupResponse, LeaveGroupRequest, ListGroupsRequest,
    MemberIdentity, OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, SyncGroupRequest,
    SyncGroupRequestAssignment,
};
use harness::broker::Broker;
use harness::options::Options;
use harness::rdkafka_client::{self, PATIENCE, Record, TestProducer, fresh_topic};
use harness::requests::create_ready_topic;
use harness::typed::{send, typed};
use harness::wire::Connection;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, TopicPartitionList};

fn start(test: &str) -> Option<Broker> {
    let options = Options { group_delay_ms: Some(300), ..Options::default() };
    (!Broker::must_skip(test)).then(|| Broker::start(options))
}

fn member(broker: &Broker, group: &str, settings: &[(&str, &str)]) -> BaseConsumer {
    let defaults = [
        ("group.id", group),
        ("auto.offset.reset", "earliest"),
        ("session.timeout.ms", "6000"),
        ("heartbeat.interval.ms", "300"),
    ];
    let all: Vec<_> = defaults.iter().chain(settings).copied().collect();
    rdkafka_client::consumer(broker, &all)
}

fn fill(broker: &Broker, topic: &str, partitions: i32, per_partition: usize) {
    let producer = TestProducer::new(broker, &[]);
    let mut number = 0;
    for index in 0..per_partition {
        for partition in 0..partitions {
            let value = Some(format!("{partition}/{index}").into_bytes());
            let record = Record { value, timestamp_ms: 1, ..Record::default() };
            producer.send(topic, Some(partition), &record, number);
            number += 1;
        }
    }
    producer.delivered(number);
}

/// Polls until `done`; what it yields is what was read: partition and offset.
fn read(
    members: &[&BaseConsumer],
    mut seen: impl FnMut(usize, i32, i64),
    mut done: impl FnMut() -> bool,
) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "not done within {PATIENCE:?}");
        for (number, member) in members.iter().enumerate() {
            match member.poll(Duration::from_millis(20)) {
                Some(Ok(message)) => seen(number, message.partition(), message.offset()),
                None | Some(Err(KafkaError::MessageConsumption(_))) => {}
                Some(Err(error)) => panic!("member {number}: {error}"),
            }
        }
    }
}

fn assigned(member: &BaseConsumer) -> Vec<i32> {
    let list = member.assignment().expect("an assignment");
    let mut partitions: Vec<i32> = list.elements().iter().map(|one| one.partition()).collect();
    partitions.sort_unstable();
    partitions
}

fn committed(broker: &Broker, group: &str, topic: &str, partitions: i32) -> Vec<i64> {
    let asker = rdkafka_client::consumer(broker, &[("group.id", group)]);
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition(topic, partition);
    }
    let found = asker.committed_offsets(list, PATIENCE).expect("committed offsets");
    let offset =
        |one: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match one.offset() {
            Offset::Offset(offset) => offset,
            _ => -1,
        };
    found.elements().iter().map(offset).collect()
}

#[test]
fn members_share_partitions_and_take_over_from_those_that_leave() {
    for strategy in ["range", "cooperative-sticky"] {
        let Some(broker) = start("members_share_partitions") else { return };
        let topic = fresh_topic("shared");
        create_ready_topic(&mut broker.connect(), &topic, 4);
        fill(&broker, &topic, 4, 50);
        let settings = [("partition.assignment.strategy", strategy)];
        let first = member(&broker, "sharing", &settings);
        first.subscribe(&[&topic]).expect("subscribe");
        let mut count = 0;
        read(&[&first], |_, _, _| count += 1, || assigned(&first).len() == 4);
        let second = member(&broker, "sharing", &settings);
        second.subscribe(&[&topic]).expect("subscribe");
        read(
            &[&first, &second],
            |_, _, _| {},
            || assigned(&first).len() == 2 && assigned(&second).len() == 2,
        );
        let both = [assigned(&first), assigned(&second)].concat();
        let mut both: Vec<i32> = both.into_iter().collect();
        both.sort_unstable();
        assert_eq!(both, [0, 1, 2, 3], "{strategy}");
        drop(second);
        read(&[&first], |_, _, _| {}, || assigned(&first).len() == 4);
    }
}

#[test]
fn commits_outlive_kills_and_never_go_back() {
    let Some(mut broker) = start("commits_outlive_kills") else { return };
    let topic = fresh_topic("committed");
    create_ready_topic(&mut broker.connect(), &topic, 3);
    fill(&broker, &topic, 3, 400);
    let mut read_so_far: BTreeMap<i32, i64> = BTreeMap::new();
    let mut before = vec![-1; 3];
    for (round, shards) in [(0, 1), (1, 2), (2, 3), (3, 2)] {
        let consumer = member(&broker, "kept", &[]);
        consumer.subscribe(&[&topic]).expect("subscribe");
        let mut count = 0;
        let mut next = Vec::new();
        let counted = std::cell::Cell::new(0);
        read(
            &[&consumer],
            |_, partition, offset| {
                next.push((partition, offset));
                count += 1;
                counted.set(count);
            },
            || counted.get() >= 150,
        );
        for (partition, offset) in next {
            let expected = read_so_far.entry(partition).or_insert(0);
            assert_eq!(offset, *expected, "round {round}: partition {partition} in its order");
            *expected += 1;
        }
        consumer.commit_consumer_state(CommitMode::Sync).expect("committed");
        broker.kill();
        broker.options.shards = shards;
        broker.start_again();
        let kept = committed(&broker, "kept", &topic, 3);
        for (partition, (kept, before)) in kept.iter().zip(&before).enumerate() {
            let read = read_so_far.get(&(partition as i32)).copied().unwrap_or(-1);
            assert!(kept >= before, "round {round}: {partition} went back to {kept}");
            assert_eq!(*kept, read, "round {round}: partition {partition}");
        }
        before = kept;
        drop(consumer);
    }
}

#[test]
fn a_member_outlives_the_brokers_kill_without_a_rebalance() {
    let Some(mut broker) = start("a_member_outlives") else { return };
    let mut connection = broker.connect();
    let group = Group::new(&mut connection, "outlives");
    let id = group.join_alone(&mut connection);
    broker.kill();
    broker.start_again();
    let mut connection = broker.connect();
    let deadline = Instant::now() + PATIENCE;
    loop {
        // While its group loads it is told to go on.
        assert_eq!(group.beat(&mut connection, &id, 1), ErrorCode::None);
        let synced = typed!(&mut connection, 4, SyncGroup, group.sync(&id, 1, ""));
        match synced.error_code {
            ErrorCode::None => {
                assert_eq!(&synced.assignment[..], b"share");
                break;
            }
            code => assert_eq!(code, ErrorCode::RebalanceInProgress),
        }
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Members that are stopped (SIGSTOP looks like this from here) lose their place, and their commits are refused.
#[test]
fn a_member_that_sleeps_loses_its_place() {
    let Some(broker) = start("a_member_that_sleeps") else { return };
    let mut connection = broker.connect();
    create_ready_topic(&mut connection, "again", 1);
    let group = Group::new(&mut connection, "sleeps");
    let id = group.join_alone(&mut connection);
    let mut second = broker.connect();
    send(&mut second, 3, group.join(""));
    let deadline = Instant::now() + PATIENCE;
    while group.beat(&mut connection, &id, 1) != ErrorCode::RebalanceInProgress {
        assert!(Instant::now() < deadline);
    }
    // It sleeps through its session; the second one goes on alone.
    let joined = receive_join(&mut second, 3);
    assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::None, 2));
    assert_eq!(joined.members.len(), 1);
    assert_eq!(group.beat(&mut connection, &id, 1), ErrorCode::UnknownMemberId);
    let refused = group.commit(&mut connection, &id, 1, 5);
    assert_eq!(refused, ErrorCode::UnknownMemberId);
}

#[test]
fn a_connection_that_closes_while_it_waits_leaves_nothing_behind() {
    let Some(broker) = start("a_connection_that_closes") else { return };
    let mut connection = broker.connect();
    let group = Group::new(&mut connection, "closes");
    for _ in 0..200 {
        let mut gone = broker.connect();
        send(&mut gone, 3, group.join(""));
    }
    // All 200 are members until their sessions end; the group is empty after that.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let list = ListGroupsRequest { states_filter: vec!["Empty".into()], ..Default::default() };
        let listed = typed!(&mut connection, 4, ListGroups, list);
        if listed.groups.iter().any(|found| *found.group_id == *group.id) {
            break;
        }
        assert!(Instant::now() < deadline, "{listed:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
    let deleted = DeleteGroupsRequest { groups_names: vec![(*group.id).into()] };
    let deleted = typed!(&mut connection, 2, DeleteGroups, deleted);
    assert_eq!(deleted.results[0].error_code, ErrorCode::None);
}

#[test]
fn offsets_of_a_topic_made_again_are_not_those_of_the_old_one() {
    let Some(broker) = start("offsets_of_a_topic_made_again") else { return };
    let mut connection = broker.connect();
    let group = Group::new(&mut connection, "again");
    create_ready_topic(&mut connection, "again", 1);
    assert_eq!(group.commit(&mut connection, "", -1, 7), ErrorCode::None);
    assert_eq!(group.offset(&mut connection), 7);
    let admin = rdkafka_client::Admin::new(&broker);
    admin.delete("again").expect("deleted");
    assert_eq!(group.commit(&mut connection, "", -1, 8), ErrorCode::UnknownTopicOrPartition);
    create_ready_topic(&mut connection, "again", 1);
    assert_eq!(group.offset(&mut connection), -1);
}

/// One group does not wait for another: while one of them waits for members, others commit.
#[test]
fn groups_do_not_hold_each_other_up() {
    let Some(broker) = start("groups_do_not_hold_each_other_up") else { return };
    let mut connection = broker.connect();
    create_ready_topic(&mut connection, "again", 1);
    let waiting: Vec<Connection> = (0..1_500)
        .map(|number| {
            let mut connection = broker.connect();
            let group = Group { id: format!("waits-{}", number % 3) };
            if number == 0 {
                Group::new(&mut connection, "waits-0");
            }
            send(&mut connection, 3, group.join(""));
            connection
        })
        .collect();
    for number in 0..100 {
        let group = Group { id: format!("commits-{number}") };
        assert_eq!(group.commit(&mut connection, "", -1, number), ErrorCode::None);
        assert_eq!(group.offset(&mut connection), number);
    }
    drop(waiting);
}

#[test]
fn a_group_over_the_wire_in_its_oldest_versions() {
    let Some(broker) = start("a_group_over_the_wire") else { return };
    let mut connection = broker.connect();
    let group = Group::new(&mut connection, "oldest");
    let joined = typed!(&mut connection, 0, JoinGroup, group.join(""));
    assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::None, 1));
    let id = joined.member_id.to_string();
    let synced = typed!(&mut connection, 0, SyncGroup, group.sync(&id, 1, "share"));
    assert_eq!(&synced.assignment[..], b"share");
    let leave = LeaveGroupRequest {
        group_id: (*group.id).into(),
        member_id: (*id).into(),
        members: vec![MemberIdentity { member_id: (*id).into(), ..Default::default() }],
    };
    let left = typed!(&mut connection, 0, LeaveGroup, leave.clone());
    assert_eq!(left.error_code, ErrorCode::None);
    let again = typed!(&mut connection, 0, LeaveGroup, leave);
    assert_eq!(again.error_code, ErrorCode::UnknownMemberId);
}

fn receive_join(connection: &mut Connection, version: i16) -> JoinGroupResponse {
    use corelane_net::messages::{Api, Response};
    match harness::typed::receive(connection, Api::JoinGroup, version) {
        Response::JoinGroup(answer) => answer,
        other => panic!("an answer of another API: {other:?}"),
    }
}

/// A group over the wire.
struct Group {
    id: String,
}

impl Group {
    /// Makes sure that it has a coordinator.
    fn new(connection: &mut Connection, id: &str) -> Group {
        let find = FindCoordinatorRequest {
            coordinator_keys: vec![id.into()],
            ..FindCoordinatorRequest::default()
        };
        let found = typed!(connection, 4, FindCoordinator, find);
        assert_eq!(found.coordinators[0].error_code, ErrorCode::None);
        Group { id: id.into() }
    }

    fn join(&self, member_id: &str) -> JoinGroupRequest {
        let protocol = JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: Bytes::from_static(b"\0\0\0\0\0\0\xff\xff\xff\xff"),
        };
        JoinGroupRequest {
            group_id: (*self.id).into(),
            session_timeout_ms: 6_000,
            rebalance_timeout_ms: 10_000,
            member_id: member_id.into(),
            protocol_type: "consumer".into(),
            protocols: vec![protocol],
            ..JoinGroupRequest::default()
        }
    }

    fn sync(&self, member_id: &str, generation_id: i32, share: &str) -> SyncGroupRequest {
        let assignment = SyncGroupRequestAssignment {
            member_id: member_id.into(),
            assignment: Bytes::copy_from_slice(share.as_bytes()),
        };
        SyncGroupRequest {
            group_id: (*self.id).into(),
            generation_id,
            member_id: member_id.into(),
            assignments: vec![assignment],
            ..SyncGroupRequest::default()
        }
    }

    /// One member of generation 1, with its share.
    fn join_alone(&self, connection: &mut Connection) -> String {
        let joined = typed!(connection, 3, JoinGroup, self.join(""));
        assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::None, 1));
        let id = joined.member_id.to_string();
        let synced = typed!(connection, 4, SyncGroup, self.sync(&id, 1, "share"));
        assert_eq!(&synced.assignment[..], b"share");
        id
    }

    fn beat(&self, connection: &mut Connection, id: &str, generation_id: i32) -> ErrorCode {
        let beat = HeartbeatRequest {
            group_id: (*self.id).into(),
            generation_id,
            member_id: id.into(),
            group_instance_id: None,
        };
        typed!(connection, 4, Heartbeat, beat).error_code
    }

    fn commit(
        &self,
        connection: &mut Connection,
        id: &str,
        generation: i32,
        committed_offset: i64,
    ) -> ErrorCode {
        let partition = OffsetCommitRequestPartition { committed_offset, ..Default::default() };
        let topic = OffsetCommitRequestTopic {
            name: "again".into(),
            partitions: vec![partition],
            ..OffsetCommitRequestTopic::default()
        };
        let commit = OffsetCommitRequest {
            group_id: (*self.id).into(),
            generation_id_or_member_epoch: generation,
            member_id: id.into(),
            topics: vec![topic],
            ..OffsetCommitRequest::default()
        };
        typed!(connection, 8, OffsetCommit, commit).topics[0].partitions[0].error_code
    }

    fn offset(&self, connection: &mut Connection) -> i64 {
        let topic = OffsetFetchRequestTopics {
            name: "again".into(),
            partition_indexes: vec![0],
            ..OffsetFetchRequestTopics::default()
        };
        let group = OffsetFetchRequestGroup {
            group_id: (*self.id).into(),
            topics: Some(vec![topic]),
            ..OffsetFetchRequestGroup::default()
        };
        let fetch = OffsetFetchRequest { groups: vec![group], ..Default::default() };
        let fetched = typed!(connection, 8, OffsetFetch, fetch);
        assert_eq!(fetched.groups[0].error_code, ErrorCode::None);
        fetched.groups[0].topics[0].partitions[0].committed_offset
    }
}
