//! Groups over the wire: what no client of today does, or not when it is wanted.

use std::time::{Duration, Instant};

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    DeleteGroupsRequest, LeaveGroupRequest, ListGroupsRequest, MemberIdentity,
};

use crate::group::{Group, receive_join};
use crate::harness::rdkafka_client::{self, PATIENCE};
use crate::harness::requests::create_ready_topic;
use crate::harness::typed::{send, typed};
use crate::harness::wire::Connection;
use crate::start;

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
