//! One rule of the consumer protocol after the other.

use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{ConsumerGroupHeartbeatRequest, OffsetCommitRequestPartition};

use super::super::{AskedOffset, CommitContext};
use super::consumer_stage::{GROUP, Stage, beat, join, told};

#[test]
fn the_first_member_gets_everything() {
    let mut stage = Stage::with_topic("t", 3);
    let joined = stage.join("a", &["t"]);
    assert_eq!((joined.member_epoch, told(&joined)), (1, Some(vec![0, 1, 2])));
    assert_eq!(joined.heartbeat_interval_ms, 5_000);
    // Nothing has changed: nothing is told, unless it asks for all.
    let again = stage.go_on("a", 1, None);
    assert_eq!((again.member_epoch, again.assignment), (1, None));
    assert_eq!(&*stage.describe().group_state, "Stable");
}

#[test]
fn a_second_member_waits_for_what_the_first_gives_up() {
    let mut stage = Stage::with_topic("t", 4);
    let t = stage.topics.by_name["t"].id;
    stage.join("a", &["t"]);
    let joined = stage.join("b", &["t"]);
    // It comes to the new epoch, with nothing.
    assert_eq!((joined.member_epoch, told(&joined)), (2, Some(vec![])));
    let all: &[i32] = &[0, 1, 2, 3];
    let asked = stage.go_on("a", 1, Some(&[(t, all)]));
    let kept = told(&asked).unwrap();
    assert_eq!((asked.member_epoch, kept.len()), (1, 2));
    assert_eq!(&*stage.describe().group_state, "Reconciling");
    // As long as it owns them, nobody else gets them.
    assert_eq!(told(&stage.go_on("a", 1, Some(&[(t, all)]))), None);
    assert_eq!(told(&stage.go_on("b", 2, Some(&[]))), None);
    let done = stage.go_on("a", 1, Some(&[(t, &kept)]));
    assert_eq!((done.member_epoch, done.assignment), (2, None));
    let got = stage.go_on("b", 2, Some(&[]));
    let mut both = told(&got).unwrap();
    both.extend(kept);
    both.sort_unstable();
    assert_eq!(both, all);
    assert_eq!(&*stage.describe().group_state, "Stable");
}

#[test]
fn who_does_not_give_up_in_time_is_fenced() {
    let mut stage = Stage::with_topic("t", 2);
    let t = stage.topics.by_name["t"].id;
    stage.join("a", &["t"]);
    stage.join("b", &["t"]);
    let all: &[i32] = &[0, 1];
    stage.go_on("a", 1, Some(&[(t, all)]));
    for _ in 0..4 {
        stage.pass(14_000);
        assert_eq!(told(&stage.go_on("b", 2, None)), None);
        assert_eq!(stage.go_on("a", 1, Some(&[(t, all)])).error_code, ErrorCode::None);
    }
    stage.pass(5_000);
    let fenced = stage.go_on("a", 1, Some(&[(t, all)]));
    assert_eq!(fenced.error_code, ErrorCode::UnknownMemberId);
    assert_eq!(told(&stage.go_on("b", 2, Some(&[]))), Some(vec![0, 1]));
}

#[test]
fn a_member_that_is_silent_is_given_up() {
    let mut stage = Stage::with_topic("t", 2);
    stage.join("a", &["t"]);
    stage.pass(44_000);
    assert_eq!(stage.go_on("a", 1, None).error_code, ErrorCode::None);
    stage.pass(46_000);
    assert_eq!(stage.go_on("a", 1, None).error_code, ErrorCode::UnknownMemberId);
    assert_eq!(&*stage.describe().group_state, "Empty");
}

#[test]
fn epochs_are_fenced() {
    let mut stage = Stage::with_topic("t", 2);
    let t = stage.topics.by_name["t"].id;
    stage.join("a", &["t"]);
    stage.join("b", &["t"]);
    stage.go_on("a", 1, Some(&[(t, &[0])]));
    let epoch = |stage: &mut Stage, epoch, owned: &[i32]| {
        stage.go_on("a", epoch, Some(&[(t, owned)])).error_code
    };
    assert_eq!(epoch(&mut stage, 3, &[]), ErrorCode::FencedMemberEpoch);
    // The epoch before, of a member that has missed an answer.
    assert_eq!(epoch(&mut stage, 1, &[0]), ErrorCode::None);
    assert_eq!(epoch(&mut stage, 1, &[0, 1]), ErrorCode::FencedMemberEpoch);
    assert_eq!(stage.go_on("a", 1, None).error_code, ErrorCode::FencedMemberEpoch);
    assert_eq!(stage.go_on("nobody", 1, None).error_code, ErrorCode::UnknownMemberId);
    // Who joins again owns nothing, and is told what it has.
    assert_eq!(told(&stage.join("a", &["t"])).unwrap().len(), 1);
}

#[test]
fn what_is_no_request_is_refused() {
    let mut stage = Stage::with_topic("t", 2);
    let good = join("a", &["t"]);
    let wrong = |change: fn(&mut ConsumerGroupHeartbeatRequest)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    for request in [
        wrong(|r| r.member_id = "".into()),
        wrong(|r| r.group_id = "".into()),
        wrong(|r| r.instance_id = Some("".into())),
        wrong(|r| r.rack_id = Some("".into())),
        wrong(|r| r.rebalance_timeout_ms = -1),
        wrong(|r| r.topic_partitions = None),
        wrong(|r| r.subscribed_topic_names = None),
        wrong(|r| r.member_epoch = -2),
        wrong(|r| r.member_epoch = -3),
    ] {
        assert_eq!(stage.beat(&request).error_code, ErrorCode::InvalidRequest, "{request:?}");
    }
    let assignor = wrong(|r| r.server_assignor = Some("mine".into()));
    assert_eq!(stage.beat(&assignor).error_code, ErrorCode::UnsupportedAssignor);
    let unknown = ConsumerGroupHeartbeatRequest { member_epoch: 7, ..good };
    assert_eq!(stage.beat(&unknown).error_code, ErrorCode::GroupIdNotFound);
    // Nothing of this has left a trace.
    assert_eq!((stage.coordinator.group_count(), stage.log.len()), (0, 0));
}

#[test]
fn a_group_that_is_full_takes_nobody() {
    let mut stage = Stage::with_topic("t", 2);
    stage.rules.consumer_group_size_max = 1;
    stage.join("a", &["t"]);
    assert_eq!(stage.join("b", &["t"]).error_code, ErrorCode::GroupMaxSizeReached);
    assert_eq!(stage.join("a", &["t"]).error_code, ErrorCode::None);
}

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    let mut stage = Stage::with_topic("t", 4);
    let named = |id: &str, epoch: i32| ConsumerGroupHeartbeatRequest {
        instance_id: Some("i".into()),
        member_epoch: epoch,
        ..join(id, &["t"])
    };
    stage.beat(&named("a", 0));
    assert_eq!(stage.beat(&named("b", 0)).error_code, ErrorCode::UnreleasedInstanceId);
    let left = stage.beat(&named("a", -2));
    assert_eq!((left.error_code, left.member_epoch), (ErrorCode::None, -2));
    let back = stage.beat(&named("b", 0));
    // Nobody else has noticed.
    assert_eq!((back.member_epoch, told(&back)), (1, Some(vec![0, 1, 2, 3])));
    assert_eq!(stage.beat(&named("a", 1)).error_code, ErrorCode::FencedInstanceId);
    let stranger = ConsumerGroupHeartbeatRequest { instance_id: Some("j".into()), ..named("b", 1) };
    assert_eq!(stage.beat(&stranger).error_code, ErrorCode::UnknownMemberId);
    // One that does not come back is given up.
    stage.beat(&named("b", -2));
    stage.pass(46_000);
    assert_eq!(&*stage.describe().group_state, "Empty");
}

#[test]
fn topics_that_are_made_grown_and_deleted_are_shared_out() {
    let mut stage = Stage::with_topic("t", 1);
    assert_eq!(told(&stage.join("a", &["t", "later"])), Some(vec![0]));
    stage.set_topic("t", 2);
    assert_eq!(told(&stage.go_on("a", 1, None)), Some(vec![0, 1]));
    stage.set_topic("later", 1);
    assert_eq!(told(&stage.go_on("a", 2, None)), Some(vec![0, 1, 0]));
    // What it does not read does not matter.
    stage.set_topic("other", 1);
    assert_eq!(stage.go_on("a", 3, None).member_epoch, 3);
    let t = stage.topics.by_name["t"].id;
    stage.delete_topic("later");
    let answer = stage.go_on("a", 3, Some(&[(t, &[0, 1])]));
    assert_eq!((answer.member_epoch, told(&answer)), (4, Some(vec![0, 1])));
    // Of the same name, but another topic.
    stage.delete_topic("t");
    stage.set_topic("t", 1);
    let answer = stage.go_on("a", 4, Some(&[]));
    assert_eq!((answer.member_epoch, told(&answer)), (5, Some(vec![0])));
}

#[test]
fn patterns_are_matched_by_whole_names() {
    let mut stage = Stage::with_topic("log-a", 1);
    stage.set_topic("log-b", 1);
    stage.set_topic("logs", 7);
    let by_pattern = |pattern: &str, epoch| ConsumerGroupHeartbeatRequest {
        subscribed_topic_regex: Some(pattern.into()),
        member_epoch: epoch,
        ..join("a", &[])
    };
    assert_eq!(told(&stage.beat(&by_pattern("log-.*", 0))), Some(vec![0, 0]));
    stage.set_topic("log-c", 2);
    assert_eq!(told(&stage.go_on("a", 1, None)), Some(vec![0, 0, 0, 1]));
    // After a restart it is known, too.
    stage.kill();
    stage.set_topic("log-d", 1);
    // Not before it is looked through again, aside.
    assert_eq!(told(&stage.go_on("a", 2, None)), None);
    assert_eq!(told(&stage.go_on("a", 2, None)), Some(vec![0, 0, 0, 1, 0]));
    let changed = stage.beat(&by_pattern("logs", 3));
    assert_eq!(told(&changed), Some((0..7).collect()));
    assert_eq!(&**stage.describe().members[0].subscribed_topic_regex.as_ref().unwrap(), "logs");
    // Many topics are looked through aside; the answer waits for it.
    for number in 0..600 {
        stage.set_topic(&format!("many-{number:03}"), 1);
    }
    let epoch = stage.describe().members[0].member_epoch;
    let waiter = stage.send(&by_pattern("many-.*", epoch));
    while stage.settle_one() {}
    assert_eq!((stage.answer(waiter), stage.jobs.len()), (None, 1));
    stage.settle();
    // It has to give the others up first.
    assert_eq!(told(&stage.answer(waiter).unwrap()), Some(vec![0; 600]));
}

#[test]
fn a_large_group_is_shared_out_aside() {
    let mut stage = Stage::with_topic("t", 10_000);
    let waiter = stage.send(&join("a", &["t"]));
    while stage.settle_one() {}
    assert_eq!((stage.answer(waiter), stage.jobs.len()), (None, 1));
    assert_eq!(&*stage.describe().group_state, "Assigning");
    // Another one comes meanwhile: the work is out of date when it is done.
    let other = stage.send(&join("b", &["t"]));
    stage.work_one();
    assert_eq!((stage.answer(waiter), stage.jobs.len()), (None, 1));
    stage.settle();
    let told_a = told(&stage.answer(waiter).unwrap()).unwrap().len();
    let told_b = told(&stage.answer(other).unwrap()).unwrap().len();
    assert_eq!((told_a, told_b), (5_000, 5_000));
}

#[test]
fn a_static_member_that_comes_back_while_a_large_group_is_shared_out_gets_its_part() {
    let mut stage = Stage::with_topic("t", 10_000);
    let named = |id: &str, epoch: i32| ConsumerGroupHeartbeatRequest {
        instance_id: Some("i".into()),
        member_epoch: epoch,
        ..join(id, &["t"])
    };
    stage.beat(&named("a", 0));
    stage.beat(&named("a", -2));
    // The topic grows; while that is worked out, the member comes back with another id.
    stage.set_topic("t", 10_001);
    let other = stage.send(&join("b", &["t"]));
    assert_eq!(stage.jobs.len(), 1);
    let back = stage.send(&named("c", 0));
    stage.settle();
    let kept = told(&stage.answer(back).unwrap()).unwrap();
    assert_eq!(stage.answer(other).unwrap().error_code, ErrorCode::None);
    let described = stage.describe();
    let targets = described.members.iter().flat_map(|m| &m.target_assignment.topic_partitions);
    assert_eq!(targets.map(|topic| topic.partitions.len()).sum::<usize>(), 10_001);
    assert!(kept.len() >= 5_000);
}

#[test]
fn a_name_that_a_member_has_given_up_is_free() {
    let mut stage = Stage::with_topic("t", 2);
    let named = |id: &str, name: &str| ConsumerGroupHeartbeatRequest {
        instance_id: Some(name.into()),
        ..join(id, &["t"])
    };
    assert_eq!(stage.beat(&named("a", "i")).error_code, ErrorCode::None);
    assert_eq!(stage.beat(&named("a", "j")).error_code, ErrorCode::None);
    assert_eq!(stage.beat(&named("b", "i")).error_code, ErrorCode::None);
    assert_eq!(stage.beat(&named("b", "j")).error_code, ErrorCode::UnreleasedInstanceId);
}

#[test]
fn a_group_reads_no_more_than_a_record_can_say() {
    let mut stage = Stage::with_topic("t", 100_001);
    assert_eq!(stage.join("a", &["t"]).error_code, ErrorCode::PolicyViolation);
    stage.set_topic("s", 100_000);
    assert_eq!(told(&stage.join("a", &["s"])).unwrap().len(), 100_000);
    let largest = stage.log.iter().map(|record| record.encode().unwrap().1.map_or(0, |v| v.len()));
    assert!(largest.max().unwrap() < 1_000_000);
}

#[test]
fn answers_wait_for_the_disk() {
    let mut stage = Stage::with_topic("t", 2);
    let joined = stage.send(&join("a", &["t"]));
    // What it would be told hangs on the records before.
    let next = stage.send(&beat("a", 1, None));
    assert_eq!((stage.answer(joined), stage.answer(next)), (None, None));
    stage.settle();
    assert!(stage.answer(joined).is_some() && stage.answer(next).is_some());
    // Nothing to wait for.
    let next = stage.send(&beat("a", 1, None));
    assert!(stage.answer(next).is_some());
}

#[test]
fn commits_are_taken_of_members_in_their_epoch() {
    let mut stage = Stage::with_topic("t", 2);
    let t = stage.topics.by_name["t"].id;
    let commit = |stage: &mut Stage, version, id: &str, generation, index| {
        let context = CommitContext {
            version,
            group_id: GROUP.into(),
            member_id: id.into(),
            group_instance_id: None,
            generation,
            retention_ms: -1,
        };
        let partition = OffsetCommitRequestPartition {
            partition_index: index,
            committed_offset: 5,
            ..Default::default()
        };
        let asked = [AskedOffset { topic: "t".into(), topic_id: t, partition }];
        let code = stage.step(|coordinator, turn| coordinator.commit(&context, &asked, turn));
        stage.settle();
        code.map_or_else(|code| code, |codes| codes[0])
    };
    stage.join("a", &["t"]);
    assert_eq!(commit(&mut stage, 9, "a", 1, 0), ErrorCode::None);
    assert_eq!(commit(&mut stage, 9, "a", 2, 0), ErrorCode::StaleMemberEpoch);
    assert_eq!(commit(&mut stage, 9, "b", 1, 0), ErrorCode::UnknownMemberId);
    assert_eq!(commit(&mut stage, 8, "a", 1, 0), ErrorCode::UnsupportedVersion);
    assert_eq!(commit(&mut stage, 9, "", -1, 0), ErrorCode::UnknownMemberId);
    stage.join("b", &["t"]);
    let kept = told(&stage.go_on("a", 1, Some(&[(t, &[0, 1])]))).unwrap()[0];
    stage.go_on("a", 1, Some(&[(t, &[kept])]));
    // Of an older epoch, but it has had the partition since then (KIP-1251); the other one not any more.
    assert_eq!(commit(&mut stage, 9, "a", 1, kept), ErrorCode::None);
    assert_eq!(commit(&mut stage, 9, "a", 1, 1 - kept), ErrorCode::StaleMemberEpoch);
    let fetch = |stage: &Stage, id: Option<&str>, epoch| {
        let id = id.map(Into::into);
        stage.coordinator.check_fetch(GROUP, id.as_ref(), epoch)
    };
    assert_eq!(fetch(&stage, Some("a"), 2), Ok(()));
    assert_eq!(fetch(&stage, Some("a"), 1), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(fetch(&stage, Some("x"), 1), Err(ErrorCode::UnknownMemberId));
    assert_eq!(fetch(&stage, None, -1), Ok(()));
}

#[test]
fn a_group_without_members_is_deleted_with_all_its_records() {
    let mut stage = Stage::with_topic("t", 2);
    stage.join("a", &["t"]);
    let delete = |stage: &mut Stage| stage.step(super::delete);
    assert_eq!(delete(&mut stage), Err(ErrorCode::NonEmptyGroup));
    let left = stage.go_on("a", -1, None);
    assert_eq!((left.error_code, left.member_epoch), (ErrorCode::None, -1));
    assert_eq!(delete(&mut stage), Ok(()));
    stage.settle();
    // Compaction leaves nothing: the last record of every key is a tombstone.
    let mut last = std::collections::HashMap::new();
    for record in &stage.log {
        let (key, value) = record.encode().unwrap();
        last.insert(key, value.is_none());
    }
    assert!(last.values().all(|is_tombstone| *is_tombstone), "{last:?}");
    stage.kill();
    assert_eq!(stage.coordinator.group_count(), 0);
}

#[test]
fn patterns_count_as_memory_as_long_as_somebody_has_them() {
    let mut stage = Stage::with_topic("t", 1);
    let by_pattern = |id: &str, epoch: i32, pattern: &str| ConsumerGroupHeartbeatRequest {
        subscribed_topic_regex: Some(pattern.into()),
        member_epoch: epoch,
        ..join(id, &[])
    };
    // Each takes 3 MiB, of 64.
    let large = |number: i32| format!("\\w{{5}}-{number}");
    let mut refused = None;
    for number in 0..30 {
        let answer = stage.beat(&by_pattern(&format!("m-{number}"), 0, &large(number)));
        if answer.error_code == ErrorCode::GroupMaxSizeReached {
            refused = Some(number);
            break;
        }
    }
    assert_eq!(refused, Some(22));
    // One that is there goes on, and may say something small, but not change to another large one.
    let epoch = stage.describe().members[0].member_epoch;
    assert_eq!(stage.go_on("m-0", epoch, None).error_code, ErrorCode::None);
    let changed = stage.beat(&by_pattern("m-0", epoch, &large(99)));
    assert_eq!(changed.error_code, ErrorCode::GroupMaxSizeReached);
    let small = stage.beat(&by_pattern("m-0", epoch, "t.*"));
    assert_eq!(small.error_code, ErrorCode::None);
    // That has made room.
    assert_eq!(stage.beat(&by_pattern("new", 0, &large(22))).error_code, ErrorCode::None);
    // With the last member of a group go its patterns.
    let ids: Vec<_> = stage.describe().members.iter().map(|m| m.member_id.clone()).collect();
    for id in ids {
        stage.go_on(&id, -1, None);
    }
    assert_eq!(stage.coordinator.members_bytes(), 0);
}
