//! Clients that mean harm: they get an answer, and nobody else notices.

use std::time::{Duration, Instant};

use bytes::Bytes;
use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::*;

use crate::group::{Group, receive_join};
use crate::harness::process::resident_bytes;
use crate::harness::rdkafka_client::PATIENCE;
use crate::harness::requests::create_ready_topic;
use crate::harness::typed::{receive, send, typed};
use crate::start;

#[test]
fn ids_that_are_empty_or_huge() {
    let Some(mut broker) = start("ids_that_are_empty_or_huge") else { return };
    let mut connection = broker.connect();
    create_ready_topic(&mut connection, "again", 1);
    let huge = "ü".repeat(16_383);
    let group = Group::new(&mut connection, &huge);
    let empty = Group { id: String::new() };
    let refused = typed!(&mut connection, 9, JoinGroup, empty.join(""));
    assert_eq!(refused.error_code, ErrorCode::InvalidGroupId);
    let refused = typed!(&mut connection, 4, SyncGroup, empty.sync("", 1, ""));
    assert_eq!(refused.error_code, ErrorCode::InvalidGroupId);
    assert_eq!(empty.beat(&mut connection, "", 1), ErrorCode::InvalidGroupId);
    assert_eq!(empty.commit(&mut connection, "", -1, 1), ErrorCode::None, "as Kafka");

    // A static member with a huge name: its id begins with the name, and must be sayable.
    let join = JoinGroupRequest { group_instance_id: Some((*huge).into()), ..group.join("") };
    let joined = typed!(&mut connection, 9, JoinGroup, join);
    assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::None, 1));
    let id = joined.member_id.to_string();
    let synced = typed!(&mut connection, 4, SyncGroup, group.sync(&id, 1, "share"));
    assert_eq!(synced.error_code, ErrorCode::None);
    assert_eq!(&synced.assignment[..], b"share");
    assert_eq!(group.commit(&mut connection, &id, 1, 5), ErrorCode::None);
    let stranger = "x".repeat(32_767);
    assert_eq!(group.beat(&mut connection, &stranger, 1), ErrorCode::UnknownMemberId);
    assert_eq!(group.beat(&mut connection, &id, i32::MIN), ErrorCode::IllegalGeneration);
    assert_eq!(group.commit(&mut connection, &id, i32::MAX, 5), ErrorCode::IllegalGeneration);

    broker.kill();
    broker.start_again();
    let mut connection = broker.connect();
    group.wait_until_loaded(&mut connection);
    assert_eq!(group.offset(&mut connection), 5);
    assert_eq!(group.beat(&mut connection, &id, 1), ErrorCode::None);
}

#[test]
fn megabytes_of_shares_and_of_metadata() {
    let Some(broker) = start("megabytes_of_shares_and_of_metadata") else { return };
    let mut connection = broker.connect();
    let group = Group::new(&mut connection, "megabytes");
    let joined = typed!(&mut connection, 3, JoinGroup, group.join(""));
    let id = joined.member_id.to_string();
    let share = "x".repeat(12 << 20);
    let refused = typed!(&mut connection, 4, SyncGroup, group.sync(&id, 1, &share));
    assert_eq!(refused.error_code, ErrorCode::UnknownServerError);
    assert_eq!(group.beat(&mut connection, &id, 1), ErrorCode::RebalanceInProgress);
    let mut join = group.join(&id);
    join.protocols[0].metadata = Bytes::from(vec![0; 12 << 20]);
    let refused = typed!(&mut connection, 3, JoinGroup, join);
    assert_eq!(refused.error_code, ErrorCode::PolicyViolation);
    // It can still go on as it should.
    let joined = typed!(&mut connection, 3, JoinGroup, group.join(&id));
    assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::None, 2));
    let synced = typed!(&mut connection, 4, SyncGroup, group.sync(&id, 2, "share"));
    assert_eq!(&synced.assignment[..], b"share");
}

/// The answer would be larger than the request by a factor that nobody has memory for.
#[test]
fn one_large_group_asked_about_very_often() {
    let Some(broker) = start("one_large_group_asked_about_very_often") else { return };
    let mut connection = broker.connect();
    let group = Group::new(&mut connection, "large");
    let joined = typed!(&mut connection, 3, JoinGroup, group.join(""));
    let id = joined.member_id.to_string();
    let share = "x".repeat(900_000);
    let synced = typed!(&mut connection, 4, SyncGroup, group.sync(&id, 1, &share));
    assert_eq!((synced.error_code, synced.assignment.len()), (ErrorCode::None, 900_000));
    let request =
        DescribeGroupsRequest { groups: vec![Str::from("large"); 10_000], ..Default::default() };
    let described = typed!(&mut connection, 5, DescribeGroups, request);
    assert_eq!(described.groups.len(), 10_000);
    let told = described.groups.iter().filter(|group| group.error_code.is_none()).count();
    assert!((50..100).contains(&told), "{told}");
    assert_eq!(described.groups[9_999].error_code, ErrorCode::PolicyViolation);
}

/// They join once and are never seen again, so many that the group is full of their ids.
#[test]
fn ten_thousand_that_join_once() {
    let Some(broker) = start("ten_thousand_that_join_once") else { return };
    let mut connection = broker.connect();
    create_ready_topic(&mut connection, "again", 1);
    let group = Group::new(&mut connection, "once");
    let other = Group { id: "other".into() };
    let id = other.join_alone(&mut connection);
    let pid = broker.pid().expect("our own");
    let before = resident_bytes(pid);
    let mut flood = broker.connect();
    let mut codes = std::collections::BTreeMap::<String, usize>::new();
    for _ in 0..120 {
        for _ in 0..100 {
            send(&mut flood, 9, group.join(""));
        }
        for _ in 0..100 {
            let code = receive_join(&mut flood, 9).error_code;
            *codes.entry(format!("{code:?}")).or_default() += 1;
        }
        assert_eq!(other.beat(&mut connection, &id, 1), ErrorCode::None);
        assert_eq!(other.commit(&mut connection, &id, 1, 3), ErrorCode::None);
    }
    let more = resident_bytes(pid).saturating_sub(before);
    assert!(more < 32 << 20, "{more} bytes more for ids that nobody uses: {codes:?}");
    assert!(codes["MemberIdRequired"] >= 10_000, "{codes:?}");
    // They are forgotten when the time has passed in which they might have come back.
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert_eq!(other.beat(&mut connection, &id, 1), ErrorCode::None);
        let joined = typed!(&mut connection, 9, JoinGroup, group.join(""));
        if joined.error_code == ErrorCode::MemberIdRequired {
            break;
        }
        assert_eq!(joined.error_code, ErrorCode::GroupMaxSizeReached);
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(200));
    }
    let deleted = DeleteGroupsRequest { groups_names: vec!["once".into()] };
    let deleted = typed!(&mut connection, 2, DeleteGroups, deleted);
    assert_eq!(deleted.results[0].error_code, ErrorCode::None);
}

/// The leader joins and is never heard of again, while others wait for their shares.
#[test]
fn a_leader_that_never_brings_the_shares() {
    let Some(broker) = start("a_leader_that_never_brings_the_shares") else { return };
    let group = Group::new(&mut broker.connect(), "leaderless");
    let mut members: Vec<_> = (0..3).map(|_| broker.connect()).collect();
    let short = JoinGroupRequest { rebalance_timeout_ms: 2_000, ..group.join("") };
    members.iter_mut().for_each(|member| send(member, 3, short.clone()));
    let joined: Vec<_> = members.iter_mut().map(|member| receive_join(member, 3)).collect();
    let ids: Vec<String> = joined.iter().map(|one| one.member_id.to_string()).collect();
    let leader = joined.iter().position(|one| one.leader == one.member_id).expect("one leads");
    let others: Vec<usize> = (0..3).filter(|number| *number != leader).collect();
    for number in &others {
        send(&mut members[*number], 4, group.sync(&ids[*number], 1, ""));
    }
    for number in &others {
        match receive(&mut members[*number], Api::SyncGroup, 4) {
            Response::SyncGroup(answer) => {
                assert_eq!(answer.error_code, ErrorCode::RebalanceInProgress);
            }
            other => panic!("{other:?}"),
        }
    }
    for number in &others {
        send(&mut members[*number], 3, group.join(&ids[*number]));
    }
    let again: Vec<_> = others.iter().map(|n| receive_join(&mut members[*n], 3)).collect();
    assert!(again.iter().all(|one| one.error_code.is_none() && one.generation_id == 2));
    assert_eq!(again.iter().map(|one| one.members.len()).sum::<usize>(), 2);
    let gone = group.beat(&mut members[leader], &ids[leader], 1);
    assert_eq!(gone, ErrorCode::UnknownMemberId);
}
