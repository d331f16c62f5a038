//! Groups that change their protocol while members are in them.

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::group_records::{embedded_assignment, embedded_subscription};
use corelane_net::messages::{
    ConsumerGroupHeartbeatRequest, HeartbeatRequest, JoinGroupRequest, JoinGroupRequestProtocol,
    JoinGroupResponse, LeaveGroupRequest, MemberIdentity, SyncGroupRequest,
    SyncGroupRequestAssignment, SyncGroupResponse,
};

use super::super::super::turn::Turn;
use super::super::{Coordinator, JoinContext};
use super::consumer_stage::{GROUP, Stage, beat, join, told};
use super::{Answer, asked, commit_context, delete, join_request, protocol};

impl Stage {
    fn classic_join(&mut self, request: &JoinGroupRequest) -> super::Waiter {
        let waiter = self.new_waiter();
        let context = JoinContext {
            version: 3,
            client_id: "classic".into(),
            client_host: "/127.0.0.1".into(),
            unique_id: format!("{:04}", waiter.0),
        };
        self.step(|coordinator, turn| coordinator.join(request, &context, waiter, turn));
        self.settle();
        waiter
    }

    fn joined(&mut self, waiter: super::Waiter) -> JoinGroupResponse {
        match self.answers.remove(&waiter) {
            Some(Answer::Join(answer)) => answer,
            other => panic!("{other:?}"),
        }
    }

    fn classic_sync(&mut self, id: &str, generation: i32, share: &[u8]) -> SyncGroupResponse {
        self.classic_sync_of(id, generation, None, share)
    }

    fn classic_sync_of(
        &mut self,
        id: &str,
        generation: i32,
        instance_id: Option<&str>,
        share: &[u8],
    ) -> SyncGroupResponse {
        let waiter = self.new_waiter();
        let given = SyncGroupRequestAssignment {
            member_id: id.into(),
            assignment: bytes::Bytes::copy_from_slice(share),
        };
        let request = SyncGroupRequest {
            group_id: GROUP.into(),
            generation_id: generation,
            member_id: id.into(),
            group_instance_id: instance_id.map(Str::from),
            assignments: if share.is_empty() { vec![] } else { vec![given] },
            ..Default::default()
        };
        self.step(|coordinator, turn| coordinator.sync(&request, waiter, turn));
        self.settle();
        match self.answers.remove(&waiter) {
            Some(Answer::Sync(answer)) => answer,
            other => panic!("{other:?}"),
        }
    }

    fn classic_beat(&mut self, id: &str, generation_id: i32) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: GROUP.into(),
            generation_id,
            member_id: id.into(),
            group_instance_id: None,
        };
        self.step(|coordinator, turn| coordinator.heartbeat(&request, turn))
    }

    /// A stable classic group with one member that has everything; its id.
    fn classic_group(&mut self) -> String {
        let waiter = self.classic_join(&join_request(""));
        self.pass(4_000);
        let joined = self.joined(waiter);
        // One topic "t" with partitions 0 and 1.
        let share =
            [0, 0, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 255, 255, 255, 255];
        let synced = self.classic_sync(&joined.member_id, joined.generation_id, &share);
        assert_eq!(synced.assignment, &share[..]);
        joined.member_id.to_string()
    }
}

fn partitions(share: &bytes::Bytes) -> Vec<i32> {
    let read = embedded_assignment(share).unwrap();
    read.assigned_partitions.into_iter().flat_map(|topic| topic.partitions).collect()
}

/// A join that says what the member owns, in version 1 of the embedded protocol.
fn owning_join(id: &str, owned: &[i32]) -> JoinGroupRequest {
    let mut metadata =
        vec![0, 1, 0, 0, 0, 1, 0, 1, b't', 255, 255, 255, 255, 0, 0, 0, 1, 0, 1, b't'];
    metadata.extend(u32::try_from(owned.len()).unwrap().to_be_bytes());
    owned.iter().for_each(|index| metadata.extend(index.to_be_bytes()));
    let mut request = join_request(id);
    request.protocols[0].metadata = metadata.into();
    assert!(embedded_subscription(&request.protocols[0].metadata).is_ok());
    request
}

#[test]
fn a_classic_group_is_upgraded_and_goes_back() {
    let mut stage = Stage::with_topic("t", 2);
    let old = stage.classic_group();
    let joined = stage.join("new", &["t"]);
    assert_eq!((joined.member_epoch, told(&joined)), (2, Some(vec![])));
    assert_eq!(&*stage.coordinator.list(None)[0].group_type, "consumer");
    // The member of the classic protocol is called to join, says what it owns, and gives one up.
    assert_eq!(stage.classic_beat(&old, 1), ErrorCode::RebalanceInProgress);
    let waiter = stage.classic_join(&owning_join(&old, &[0, 1]));
    let generation = stage.joined(waiter).generation_id;
    let kept = partitions(&stage.classic_sync(&old, generation, &[]).assignment);
    assert_eq!((generation, kept.len()), (1, 1));
    assert_eq!(told(&stage.go_on("new", 2, Some(&[]))), None);
    assert_eq!(stage.classic_beat(&old, 1), ErrorCode::RebalanceInProgress);
    let waiter = stage.classic_join(&owning_join(&old, &kept));
    assert_eq!(stage.joined(waiter).generation_id, 2);
    assert_eq!(partitions(&stage.classic_sync(&old, 2, &[]).assignment), kept);
    assert_eq!(stage.classic_beat(&old, 2), ErrorCode::None);
    assert_eq!(told(&stage.go_on("new", 2, Some(&[]))), Some(vec![1 - kept[0]]));
    let described = stage.describe();
    let types: Vec<i8> = described.members.iter().map(|member| member.member_type).collect();
    assert_eq!((&*described.group_state, types), ("Stable", vec![0, 1]));
    // All that is in the log, too.
    stage.kill();
    assert_eq!(stage.describe(), described);
    // The last member of the new protocol leaves: those of the old one go on among themselves.
    stage.go_on("new", -1, None);
    assert_eq!(&*stage.coordinator.list(None)[0].group_type, "classic");
    assert_eq!(stage.classic_beat(&old, 2), ErrorCode::RebalanceInProgress);
    let waiter = stage.classic_join(&join_request(&old));
    let generation = stage.joined(waiter).generation_id;
    assert_eq!(generation, 3);
    stage.classic_sync(&old, generation, b"share");
    stage.kill();
    let described = stage.coordinator.describe(GROUP).unwrap();
    assert_eq!((&*described.group_state, described.members.len()), ("Stable", 1));
}

#[test]
fn a_classic_member_joins_a_group_of_the_new_protocol() {
    let mut stage = Stage::with_topic("t", 2);
    let t = stage.topics.by_name["t"].id;
    stage.join("new", &["t"]);
    let waiter = stage.classic_join(&join_request(""));
    let joined = stage.joined(waiter);
    assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::None, 2));
    assert_eq!(joined.protocol_name.as_deref(), Some("range"));
    assert!(partitions(&stage.classic_sync(&joined.member_id, 2, &[]).assignment).is_empty());
    let kept = told(&stage.go_on("new", 1, Some(&[(t, &[0, 1])]))).unwrap();
    assert_eq!(stage.classic_beat(&joined.member_id, 2), ErrorCode::None);
    stage.go_on("new", 1, Some(&[(t, &kept)]));
    // What it waits for is free.
    assert_eq!(stage.classic_beat(&joined.member_id, 2), ErrorCode::RebalanceInProgress);
    let waiter = stage.classic_join(&owning_join(&joined.member_id, &[]));
    let generation = stage.joined(waiter).generation_id;
    let share = stage.classic_sync(&joined.member_id, generation, &[]).assignment;
    assert_eq!(partitions(&share), [1 - kept[0]]);
    let leaving = MemberIdentity { member_id: joined.member_id.clone(), ..Default::default() };
    let request = LeaveGroupRequest {
        group_id: GROUP.into(),
        members: vec![
            leaving.clone(),
            leaving,
            MemberIdentity { member_id: "new".into(), ..Default::default() },
        ],
        ..Default::default()
    };
    let left = stage.step(|coordinator, turn| coordinator.leave(&request, turn));
    let codes: Vec<ErrorCode> = left.members.iter().map(|member| member.error_code).collect();
    let unknown = ErrorCode::UnknownMemberId;
    assert_eq!(codes, [ErrorCode::None, unknown, unknown]);
    stage.settle();
    assert_eq!(told(&stage.go_on("new", 2, Some(&[(t, &kept)]))), Some(vec![0, 1]));
}

#[test]
fn a_classic_member_that_does_not_join_in_time_is_given_up() {
    let mut stage = Stage::with_topic("t", 2);
    let old = stage.classic_group();
    stage.join("new", &["t"]);
    for _ in 0..8 {
        stage.classic_beat(&old, 1);
        stage.go_on("new", 2, None);
        stage.pass(9_000);
    }
    assert_eq!(stage.classic_beat(&old, 1), ErrorCode::UnknownMemberId);
}

#[test]
fn the_policy_says_who_may_migrate() {
    let mut stage = Stage::with_topic("t", 2);
    (stage.rules.can_upgrade, stage.rules.can_downgrade) = (false, false);
    let old = stage.classic_group();
    let refused = stage.join("new", &["t"]);
    assert_eq!(refused.error_code, ErrorCode::GroupIdNotFound);
    assert_eq!(refused.error_message.as_deref(), Some("Group group is not a consumer group."));
    assert_eq!(stage.classic_beat(&old, 1), ErrorCode::None);
    // One without members is nobody's.
    let leaving = MemberIdentity { member_id: Str::from(&*old), ..Default::default() };
    let members = vec![leaving];
    let request = LeaveGroupRequest { group_id: GROUP.into(), members, ..Default::default() };
    stage.step(|coordinator, turn| coordinator.leave(&request, turn));
    stage.settle();
    assert_eq!(stage.join("new", &["t"]).error_code, ErrorCode::None);
    let waiter = stage.classic_join(&join_request(""));
    assert_eq!(stage.joined(waiter).error_code, ErrorCode::InconsistentGroupProtocol);
    stage.rules.can_upgrade = true;
    let mut other = join_request("");
    other.protocol_type = "connect".into();
    let waiter = stage.classic_join(&other);
    assert_eq!(stage.joined(waiter).error_code, ErrorCode::InconsistentGroupProtocol);
    let mut broken = join_request("");
    broken.protocols = vec![protocol("range", &["t"])];
    broken.protocols[0].metadata = bytes::Bytes::from_static(&[0, 0, 127]);
    let waiter = stage.classic_join(&broken);
    assert_eq!(stage.joined(waiter).error_code, ErrorCode::InconsistentGroupProtocol);
}

/// A join of a classic member that says much of itself.
fn large_join(id: &str, bytes: &[usize]) -> JoinGroupRequest {
    let mut request = owning_join(id, &[]);
    let metadata = |bytes: usize| {
        let mut metadata = vec![0, 0, 0, 0, 0, 1, 0, 1, b't'];
        metadata.extend(u32::try_from(bytes).unwrap().to_be_bytes());
        metadata.resize(metadata.len() + bytes, 7);
        metadata
    };
    let one = |(number, &bytes): (usize, &usize)| JoinGroupRequestProtocol {
        name: format!("protocol-{number}").into(),
        metadata: metadata(bytes).into(),
    };
    request.protocols = bytes.iter().enumerate().map(one).collect();
    request
}

/// What the offsets topic can't take would stop the coordinator of all groups of a partition.
fn largest_record(stage: &Stage) -> usize {
    let bytes = stage.log.iter().map(|record| record.encode().unwrap().1.map_or(0, |v| v.len()));
    bytes.max().unwrap()
}

#[test]
fn a_member_that_one_record_can_not_say_stays_in_a_classic_group() {
    let mut stage = Stage::with_topic("t", 2);
    let waiter = stage.classic_join(&large_join("", &[500_000, 500_000]));
    stage.pass(4_000);
    let joined = stage.joined(waiter);
    assert_eq!(joined.error_code, ErrorCode::None);
    stage.classic_sync(&joined.member_id, joined.generation_id, &[]);
    let refused = stage.join("new", &["t"]);
    assert_eq!(refused.error_code, ErrorCode::GroupIdNotFound);
    assert!(refused.error_message.unwrap().contains("A member may say at most 900000 bytes"));
    assert_eq!(stage.classic_beat(&joined.member_id, 1), ErrorCode::None);
    assert!(largest_record(&stage) < 1_000_000);
}

#[test]
fn members_that_do_not_fit_one_record_do_not_become_a_classic_group() {
    let mut stage = Stage::with_topic("t", 2);
    stage.join("new", &["t"]);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let waiter = stage.classic_join(&large_join("", &[600_000]));
        ids.push(stage.joined(waiter).member_id);
    }
    assert_eq!(stage.go_on("new", -1, None).error_code, ErrorCode::None);
    assert_eq!(&*stage.coordinator.list(None)[0].group_type, "consumer");
    for id in &ids {
        let waiter = stage.classic_join(&large_join(id, &[600_000]));
        assert_eq!(stage.joined(waiter).error_code, ErrorCode::None);
    }
    assert!(largest_record(&stage) < 1_000_000);
}

#[test]
fn offsets_stay_though_the_other_protocol_comes_to_nothing() {
    let mut stage = Stage::with_topic("t", 100_001);
    let commit = |groups: &mut Coordinator, turn: &mut Turn<'_>| {
        groups.commit(&commit_context("", -1), &[asked("t", 0, 7)], turn)
    };
    assert_eq!(stage.step(commit), Ok(vec![ErrorCode::None]));
    stage.settle();
    // Of a topic that is too large.
    assert_eq!(stage.join("new", &["t"]).error_code, ErrorCode::PolicyViolation);
    let offset = |stage: &Stage| stage.coordinator.offset(GROUP, "t", 0).map(|one| one.offset);
    assert_eq!(offset(&stage), Some(7));
    stage.kill();
    assert_eq!(offset(&stage), Some(7));
    // A group that is deleted takes them along.
    assert_eq!(stage.step(delete), Ok(()));
    stage.settle();
    stage.kill();
    assert_eq!((offset(&stage), stage.coordinator.group_count()), (None, 0));
}

#[test]
fn who_waits_in_a_group_that_becomes_a_classic_one_is_sent_away() {
    let mut stage = Stage::with_topic("t", 10_000);
    let waits = stage.send(&join("new", &["t"]));
    stage.send(&beat("new", -1, None));
    while stage.settle_one() {}
    assert_eq!((stage.answer(waits), stage.jobs.len()), (None, 1));
    stage.classic_join(&join_request(""));
    assert_eq!(stage.answer(waits).unwrap().error_code, ErrorCode::UnknownMemberId);
}

#[test]
fn a_classic_group_stays_one_if_the_member_that_would_change_it_is_refused() {
    let mut stage = Stage::with_topic("t", 2);
    let old = stage.classic_group();
    stage.set_topic("large", 100_001);
    let written = stage.log.len();
    assert_eq!(stage.join("new", &["large"]).error_code, ErrorCode::PolicyViolation);
    assert_eq!(&*stage.coordinator.list(None)[0].group_type, "classic");
    assert_eq!((stage.log.len(), stage.classic_beat(&old, 1)), (written, ErrorCode::None));
    stage.kill();
    assert_eq!(stage.classic_beat(&old, 1), ErrorCode::None);
}

#[test]
fn a_classic_static_member_in_the_place_of_the_last_other_one_makes_a_classic_group() {
    for may_downgrade in [true, false] {
        let mut stage = Stage::with_topic("t", 2);
        stage.rules.can_downgrade = may_downgrade;
        let named = ConsumerGroupHeartbeatRequest {
            instance_id: Some("i".into()),
            ..join("static", &["t"])
        };
        assert_eq!(told(&stage.beat(&named)), Some(vec![0, 1]));
        let mut request = join_request("");
        request.group_instance_id = Some("i".into());
        let waiter = stage.classic_join(&request);
        let joined = stage.joined(waiter);
        assert_eq!(joined.error_code, ErrorCode::None);
        let group_type = if may_downgrade { "classic" } else { "consumer" };
        assert_eq!(&*stage.coordinator.list(None)[0].group_type, group_type);
        // What the other one had is its own now, without a rebalance.
        let (id, generation) = (&joined.member_id, joined.generation_id);
        let synced = stage.classic_sync_of(id, generation, Some("i"), &[]);
        assert_eq!(
            (synced.error_code, partitions(&synced.assignment)),
            (ErrorCode::None, vec![0, 1])
        );
        stage.kill();
        assert_eq!(&*stage.coordinator.list(None)[0].group_type, group_type);
        let beat = stage.go_on("static", 1, None);
        assert_ne!(beat.error_code, ErrorCode::None);
    }
}
