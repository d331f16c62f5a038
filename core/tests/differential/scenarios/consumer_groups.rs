//! Groups of the consumer protocol (KIP-848): what is refused, how members share, and static members.

use std::time::Duration;

use corelane_net::codec::Uuid;
use corelane_net::messages::*;

use super::groups::{commit, join as classic_join, offsets, wait_for_coordinator};
use crate::stage::Stage;

/// As clients make them up.
const A: &str = "AAAAAAAAAAAAAAAAAAAAAA";
const B: &str = "BBBBBBBBBBBBBBBBBBBBBB";
const C: &str = "CCCCCCCCCCCCCCCCCCCCCC";

fn owned(topic_id: Uuid, partitions: &[i32]) -> Option<Vec<ConsumerTopicPartitions>> {
    Some(vec![ConsumerTopicPartitions { topic_id, partitions: partitions.to_vec() }])
}

fn join(group: &str, member: &str, topic: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: group.into(),
        member_id: member.into(),
        member_epoch: 0,
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(vec![topic.into()]),
        topic_partitions: Some(vec![]),
        ..Default::default()
    }
}

fn beat(group: &str, member: &str, member_epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: group.into(),
        member_id: member.into(),
        member_epoch,
        ..Default::default()
    }
}

fn describe(groups: &[&str]) -> ConsumerGroupDescribeRequest {
    ConsumerGroupDescribeRequest {
        group_ids: groups.iter().map(|group| (*group).into()).collect(),
        ..Default::default()
    }
}

pub fn refused(stage: &mut Stage<'_>) {
    let group = "consumer-refused";
    let id = stage.create_topic("refused-of-consumers", 1, &[]);
    wait_for_coordinator(stage, group);
    let good = || join(group, A, "refused-of-consumers");
    let bad = [
        ("the empty group", ConsumerGroupHeartbeatRequest { group_id: "".into(), ..good() }),
        ("an epoch below -2", ConsumerGroupHeartbeatRequest { member_epoch: -3, ..good() }),
        ("an empty name", ConsumerGroupHeartbeatRequest { instance_id: Some("".into()), ..good() }),
        ("an empty rack", ConsumerGroupHeartbeatRequest { rack_id: Some("".into()), ..good() }),
        ("no time-out", ConsumerGroupHeartbeatRequest { rebalance_timeout_ms: -1, ..good() }),
        ("no partitions", ConsumerGroupHeartbeatRequest { topic_partitions: None, ..good() }),
        (
            "partitions at the beginning",
            ConsumerGroupHeartbeatRequest { topic_partitions: owned(id, &[0]), ..good() },
        ),
        (
            "an unknown assignor",
            ConsumerGroupHeartbeatRequest { server_assignor: Some("none".into()), ..good() },
        ),
        ("no topics", ConsumerGroupHeartbeatRequest { subscribed_topic_names: None, ..good() }),
        ("a stranger's heartbeat", beat(group, A, 5)),
        ("a stranger leaves", beat(group, A, -1)),
        ("a static stranger leaves without its name", beat(group, A, -2)),
    ];
    for (step, request) in bad {
        stage.ask_at(&[0, 1], step, request);
    }
    let nameless = join(group, "", "refused-of-consumers");
    stage.ask("v1: a join without an id", 1, nameless);
    stage.ask("v0: a heartbeat without an id", 0, beat(group, "", 5));
    let pattern = |text: &str| ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some(text.into()),
        ..good()
    };
    stage.ask("v1: a pattern that is none", 1, pattern("refused("));
    stage.ask_at(&[0, 1], "describe an unknown group", describe(&[group]));
    stage.ask_at(&[0, 1], "describe the empty group", describe(&[""]));
    stage.ask_at(&[0, 1], "describe nothing", describe(&[]));
}

/// Kafka shares out once a second at most, and on another thread: asks on until that is done. The epoch that the
/// member has then.
fn wait_for_shares(stage: &mut Stage<'_>, group: &str, member: &str, mut epoch: i32) -> i32 {
    for _ in 0..100 {
        let described = match stage.call(1, &describe(&[group]).into()) {
            Some(Response::ConsumerGroupDescribe(mut answer)) => answer.groups.remove(0),
            other => panic!("{other:?}"),
        };
        if described.assignment_epoch == described.group_epoch {
            return epoch;
        }
        epoch = match stage.call(1, &beat(group, member, epoch).into()) {
            Some(Response::ConsumerGroupHeartbeat(answer)) => answer.member_epoch,
            other => panic!("{other:?}"),
        };
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("{group} does not share out");
}

/// A heartbeat, recorded, that must succeed: the member's epoch, and what it is told of one topic.
fn heard(
    stage: &mut Stage<'_>,
    step: &str,
    request: ConsumerGroupHeartbeatRequest,
) -> (i32, Vec<i32>) {
    let answer = match stage.ask(&format!("v1: {step}"), 1, request) {
        Some(Response::ConsumerGroupHeartbeat(answer)) => answer,
        other => panic!("{step}: {other:?}"),
    };
    assert!(answer.error_code.is_none(), "{step}: {answer:?}");
    let told = answer.assignment.unwrap_or_default().topic_partitions;
    (answer.member_epoch, told.into_iter().flat_map(|topic| topic.partitions).collect())
}

/// Two members come, share, are fenced, commit and go.
pub fn members(stage: &mut Stage<'_>) {
    let group = "consumer-members";
    let id = stage.create_topic("shared", 4, &[]);
    stage.settle();
    wait_for_coordinator(stage, group);
    // Everything is said, so that everything is told.
    let mine = |member: &str, epoch: i32, partitions: &[i32]| ConsumerGroupHeartbeatRequest {
        member_epoch: epoch,
        topic_partitions: owned(id, partitions),
        ..join(group, member, "shared")
    };
    let (first, all) = heard(stage, "the first joins", join(group, A, "shared"));
    stage.ask("v1: it joins again", 1, join(group, A, "shared"));
    stage.ask_at(&[0, 1], "described with one", describe(&[group]));
    heard(stage, "it beats", mine(A, first, &all));
    heard(stage, "it beats and says nothing", beat(group, A, first));
    stage.ask("v1: a heartbeat of an epoch to come", 1, beat(group, A, 9));
    stage.ask("v1: a stranger's heartbeat", 1, beat(group, B, 1));
    // Not recorded: Kafka answers with one epoch or the next, as the second since it shared out last is over or not.
    let joined = match stage.call(1, &join(group, B, "shared").into()) {
        Some(Response::ConsumerGroupHeartbeat(answer)) => answer.member_epoch,
        other => panic!("{other:?}"),
    };
    let second = wait_for_shares(stage, group, B, joined);
    let (second, _) = heard(stage, "the second waits", mine(B, second, &[]));
    stage.ask_at(&[0, 1], "described while it waits", describe(&[group]));
    let (first, kept) = heard(stage, "the first is told to give up", mine(A, first, &all));
    heard(stage, "the first has not yet", mine(A, first, &all));
    let (epoch, _) = heard(stage, "the first has given up", mine(A, first, &kept));
    heard(stage, "its answer was lost", mine(A, first, &kept));
    let (second, got) = heard(stage, "the second gets", mine(B, second, &[]));
    heard(stage, "the second has it", mine(B, second, &got));
    stage.ask_at(&[0, 1], "described with two", describe(&[group]));
    looked_after(stage, group, id, epoch);
    stage.ask("v1: the second leaves", 1, beat(group, B, -1));
    stage.ask("v1: the second leaves again", 1, beat(group, B, -1));
    let epoch = wait_for_shares(stage, group, A, epoch);
    heard(stage, "the first gets all", mine(A, epoch, &kept));
    stage.ask("v1: the first leaves", 1, beat(group, A, -1));
    stage.ask("v1: described without members", 1, describe(&[group]));
    let deletion = DeleteGroupsRequest { groups_names: vec![group.into()] };
    stage.ask("v2: deleted", 2, deletion);
    stage.ask("v1: described when it is gone", 1, describe(&[group]));
}

/// What others may do with a group that has members.
fn looked_after(stage: &mut Stage<'_>, group: &str, id: Uuid, epoch: i32) {
    let offset = |member: &str, generation_id_or_member_epoch| OffsetCommitRequest {
        member_id: member.into(),
        generation_id_or_member_epoch,
        ..commit(group, vec![offsets("shared", id, &[(0, 1, "")])])
    };
    stage.ask_at(&[8, 9], "a commit", offset(A, epoch));
    stage.ask_at(&[8, 9], "a commit of an epoch to come", offset(A, 7));
    stage.ask_at(&[8, 9], "a stranger's commit", offset(C, epoch));
    stage.ask_at(&[8, 9], "nobody's commit", offset("", -1));
    let fetch = |member: &str, member_epoch| OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: group.into(),
            member_id: Some(member.into()),
            member_epoch,
            topics: Some(vec![OffsetFetchRequestTopics {
                name: "shared".into(),
                topic_id: id,
                partition_indexes: vec![0],
            }]),
        }],
        ..OffsetFetchRequest::default()
    };
    stage.ask_at(&[9, 10], "its offsets", fetch(A, epoch));
    stage.ask_at(&[9, 10], "its offsets by an epoch to come", fetch(A, 7));
    stage.ask_at(&[9, 10], "its offsets by a stranger", fetch(C, epoch));
    let listed = ListGroupsRequest { types_filter: vec!["consumer".into()], ..Default::default() };
    stage.ask("v5: listed", 5, listed);
    let classic = DescribeGroupsRequest { groups: vec![group.into()], ..Default::default() };
    stage.ask_at(&[5, 6], "described as a classic group", classic);
    let deletion = DeleteGroupsRequest { groups_names: vec![group.into()] };
    stage.ask("v2: deleted with members", 2, deletion);
    let other = JoinGroupRequest { protocol_type: "other".into(), ..classic_join(group, "") };
    stage.ask("v9: one of another kind joins", 9, other);
    stage.ask_at(
        &[0, 4],
        "a classic stranger's heartbeat",
        HeartbeatRequest {
            group_id: group.into(),
            generation_id: epoch,
            member_id: C.into(),
            group_instance_id: None,
        },
    );
}

/// A static member goes for a while, is replaced, and fences the one before.
pub fn static_member(stage: &mut Stage<'_>) {
    let group = "consumer-static";
    let id = stage.create_topic("shared-by-names", 2, &[]);
    stage.settle();
    wait_for_coordinator(stage, group);
    let named = |request: ConsumerGroupHeartbeatRequest| ConsumerGroupHeartbeatRequest {
        instance_id: Some("the-name".into()),
        ..request
    };
    let joins = |member: &str| named(join(group, member, "shared-by-names"));
    let (epoch, all) = heard(stage, "joins", joins(A));
    let beats = ConsumerGroupHeartbeatRequest {
        topic_partitions: owned(id, &all),
        ..named(beat(group, A, epoch))
    };
    heard(stage, "beats", beats);
    stage.ask("v1: another of its name joins", 1, joins(B));
    stage.ask(
        "v1: one of an unknown name",
        1,
        ConsumerGroupHeartbeatRequest {
            instance_id: Some("no-such-name".into()),
            ..beat(group, A, epoch)
        },
    );
    stage.ask("v1: goes for a while", 1, named(beat(group, A, -2)));
    stage.ask("v1: described when it is away", 1, describe(&[group]));
    stage.ask("v1: comes back with another id", 1, joins(B));
    stage.ask("v1: described when it is back", 1, describe(&[group]));
    stage.ask("v1: the one before beats", 1, named(beat(group, A, epoch)));
    stage.ask("v1: the one before leaves", 1, named(beat(group, A, -1)));
    stage.ask("v1: leaves for good", 1, named(beat(group, B, -1)));
    stage.ask("v1: described when it is gone", 1, describe(&[group]));
}
