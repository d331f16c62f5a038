//! Committing, deleting, growing old.

use super::*;
use crate::group::rules::STEP_MAX;

const DAY_MS: u64 = 24 * 3_600_000;

#[test]
fn who_may_commit() {
    let mut world = World::new();
    assert_eq!(world.commit("", 1, 5), Err(ErrorCode::IllegalGeneration));
    let newer = CommitContext { version: 9, ..commit_context("", 1) };
    let refused = world.take(|groups, turn| groups.commit(&newer, &[asked("t", 0, 5)], turn));
    assert_eq!(refused, Err(ErrorCode::GroupIdNotFound));
    // Nobody is in: anybody may.
    assert_eq!(world.commit("", -1, 5), Ok(ErrorCode::None));
    assert_eq!(world.offset(), Some(5));
    let ids = world.stable(&[None]);
    let id = &*ids[0];
    assert_eq!(world.commit("", -1, 6), Err(ErrorCode::UnknownMemberId));
    assert_eq!(world.commit("stranger", 1, 6), Err(ErrorCode::UnknownMemberId));
    assert_eq!(world.commit(id, 0, 6), Err(ErrorCode::IllegalGeneration));
    assert_eq!(world.commit(id, 1, 6), Ok(ErrorCode::None));
    // While others join it may still, while shares are made it may not.
    let second = world.join_as(3, &join_request(""));
    assert_eq!(world.commit(id, 1, 7), Ok(ErrorCode::None));
    world.join_as(3, &join_request(id));
    world.joined(second);
    assert_eq!(world.commit(id, 1, 8), Err(ErrorCode::IllegalGeneration));
    assert_eq!(world.commit(id, 2, 8), Err(ErrorCode::RebalanceInProgress));
    assert_eq!(world.offset(), Some(7));
    assert_eq!(world.reread().offset(GROUP, "t", 0).unwrap().offset, 7);
}

#[test]
fn commits_are_counted_and_a_walk_over_groups_can_pause() {
    let mut world = World::new();
    let places = [("a", 1), ("a", 3), ("b", 0)];
    for group_id in ["x", "y", "z"] {
        let context = CommitContext { group_id: group_id.into(), ..commit_context("", -1) };
        let offsets = places.map(|(topic, partition)| asked(topic, partition, 7));
        let commits = world.step(|groups, turn| {
            groups.commit(&context, &offsets, turn).unwrap();
            turn.tally.commits
        });
        assert_eq!(commits, 3);
    }
    world.settle();
    let behind = |id: Option<&str>| {
        let found = world.coordinator.group_behind(id.map(Str::from).as_ref());
        found.map(|(listed, members)| (listed.group_id.to_string(), members))
    };
    let ids = [None, Some("x"), Some("xx"), Some("z")].map(behind);
    let group = |id: &str| Some((id.to_owned(), 0));
    assert_eq!(ids, [group("x"), group("y"), group("y"), None]);
}

#[test]
fn a_commit_is_visible_when_it_is_durable() {
    let mut world = World::new();
    let context = commit_context("", -1);
    for offset in [3, 4] {
        world.step(|groups, turn| groups.commit(&context, &[asked("t", 0, offset)], turn)).unwrap();
    }
    assert_eq!(world.offset(), None);
    world.settle_one();
    assert_eq!(world.offset(), Some(3));
    world.settle_one();
    assert_eq!(world.offset(), Some(4));
}

#[test]
fn a_group_deleted_while_commits_are_under_way_is_gone() {
    let mut world = World::new();
    let context = commit_context("", -1);
    world.step(|groups, turn| groups.commit(&context, &[asked("t", 0, 3)], turn)).unwrap();
    assert_eq!(world.step(delete), Ok(()));
    assert_eq!(world.state(), "Dead");
    world.settle();
    assert_eq!((world.coordinator.offset_count(), world.reread().offset_count()), (0, 0));
    assert_eq!(world.reread().group_count(), 0);
    let again = world.take(delete);
    assert_eq!(again, Err(ErrorCode::GroupIdNotFound));
    let ids = world.stable(&[None]);
    let refused = world.take(delete);
    assert_eq!(refused, Err(ErrorCode::NonEmptyGroup));
    world.leave(&[(&ids[0], None)]);
    assert_eq!(world.take(delete), Ok(()));
}

#[test]
fn texts_are_measured_as_kafka_measures_them() {
    let mut world = World::new();
    let with = |text: String| {
        let mut asked = asked("t", 0, 1);
        asked.partition.committed_metadata = Some(text.into());
        asked
    };
    let texts = ["ä".repeat(4_096), "x".repeat(4_097), "🦀".repeat(2_049)];
    let asked = texts.map(with);
    let context = commit_context("", -1);
    let codes = world.take(|groups, turn| groups.commit(&context, &asked, turn)).unwrap();
    let large = ErrorCode::OffsetMetadataTooLarge;
    assert_eq!(codes, [ErrorCode::None, large, large]);
    assert_eq!(world.coordinator.offsets.metadata_bytes(), 8_192);
}

#[test]
fn single_offsets_are_deleted_unless_they_are_read() {
    let mut world = World::new();
    let group = Str::from(GROUP);
    let topics = [(Str::from("t"), 0), (Str::from("u"), 0), (Str::from("u"), 1)];
    let delete =
        |world: &mut World| world.take(|groups, turn| groups.delete_offsets(&group, &topics, turn));
    assert_eq!(delete(&mut world), Err(ErrorCode::GroupIdNotFound));
    let ids = world.stable(&[None]);
    let context = commit_context(&ids[0], 1);
    let both = [asked("t", 0, 1), asked("u", 0, 1)];
    world.take(|groups, turn| groups.commit(&context, &both, turn)).unwrap();
    let read = ErrorCode::GroupSubscribedToTopic;
    assert_eq!(delete(&mut world).unwrap(), [read, ErrorCode::None, ErrorCode::None]);
    assert!(world.offset().is_some() && world.coordinator.offset_count() == 1);
    world.leave(&[(&ids[0], None)]);
    delete(&mut world).unwrap();
    assert_eq!(world.coordinator.offset_count(), 0);
}

#[test]
fn offsets_grow_old_when_their_group_is_empty() {
    let mut world = World::new();
    let ids = world.stable(&[None]);
    let context = commit_context(&ids[0], 1);
    let both = [asked("t", 0, 1), asked("u", 0, 1)];
    world.take(|groups, turn| groups.commit(&context, &both, turn)).unwrap();
    let look = |world: &mut World| world.take(grow_old);
    // A topic that the group does not read any more grows old while the group lives.
    for _ in 0..7 * 24 * 3_600 / 5 {
        world.pass(5_000);
        world.heartbeat(&ids[0], 1);
    }
    look(&mut world);
    assert_eq!(world.coordinator.offset_count(), 1);
    world.leave(&[(&ids[0], None)]);
    world.pass(7 * DAY_MS - 1);
    look(&mut world);
    assert_eq!(world.offset(), Some(1));
    world.pass(1);
    look(&mut world);
    assert_eq!((world.offset(), world.coordinator.group_count()), (None, 0));
    assert_eq!(world.reread().group_count(), 0);
}

#[test]
fn offsets_without_members_grow_old_by_their_commit() {
    let mut world = World::new();
    world.commit("", -1, 1).unwrap();
    let short = CommitContext { retention_ms: 1_000, ..commit_context("", -1) };
    world.take(|groups, turn| groups.commit(&short, &[asked("t", 1, 1)], turn)).unwrap();
    world.pass(1_000);
    world.take(grow_old);
    assert_eq!(world.coordinator.offset_count(), 1);
    world.pass(7 * DAY_MS);
    // One that is on its way is not old.
    let context = commit_context("", -1);
    world.step(|groups, turn| groups.commit(&context, &[asked("t", 0, 9)], turn)).unwrap();
    world.step(grow_old);
    world.settle();
    assert_eq!(world.offset(), Some(9));
}

#[test]
fn offsets_of_a_deleted_topic_are_forgotten() {
    let mut world = World::new();
    let context = commit_context("", -1);
    let both = [asked("t", 0, 1), asked("u", 0, 1)];
    world.take(|groups, turn| groups.commit(&context, &both, turn)).unwrap();
    world.take(|groups, turn| {
        groups.topic_deleted("t", Uuid::ZERO, &mut TopicSearch::default(), turn)
    });
    assert_eq!((world.offset(), world.coordinator.offset_count()), (None, 1));
    assert_eq!(world.reread().offset_count(), 1);
}

/// More offsets than one step takes, and commits that come in between.
#[test]
fn a_large_group_is_deleted_in_steps_and_as_a_whole() {
    let mut world = World::new();
    let context = commit_context("", -1);
    let many = 2 * STEP_MAX as i32 + 10;
    for first in (0..many).step_by(STEP_MAX) {
        let some: Vec<_> =
            (first..many.min(first + STEP_MAX as i32)).map(|index| asked("t", index, 1)).collect();
        world.take(|groups, turn| groups.commit(&context, &some, turn)).unwrap();
    }
    let (group, mut place, mut steps) = (Str::from(GROUP), None, 0);
    loop {
        steps += 1;
        let flow = world.step(|groups, turn| groups.delete(&group, &mut place, turn));
        if let ControlFlow::Break(deleted) = flow {
            assert_eq!(deleted, Ok(()));
            break;
        }
        if steps == 2 {
            // Behind the place that was come to, and before it.
            let late = [asked("a", 0, 1), asked("t", 0, 2), asked("z", 0, 1)];
            world.step(|groups, turn| groups.commit(&context, &late, turn)).unwrap();
        }
    }
    assert!(steps > 3, "{steps}");
    world.settle();
    assert_eq!((world.coordinator.group_count(), world.coordinator.offset_count()), (0, 0));
    let reread = world.reread();
    assert_eq!((reread.group_count(), reread.offset_count()), (0, 0));
}

#[test]
fn a_deletion_in_steps_stops_when_somebody_joins() {
    let mut world = World::new();
    let context = commit_context("", -1);
    let some: Vec<_> = (0..STEP_MAX as i32).map(|index| asked("t", index, 1)).collect();
    world.take(|groups, turn| groups.commit(&context, &some, turn)).unwrap();
    world.commit("", -1, 7).unwrap();
    let more: Vec<_> = (0..9).map(|index| asked("u", index, 1)).collect();
    world.take(|groups, turn| groups.commit(&context, &more, turn)).unwrap();
    let (group, mut place) = (Str::from(GROUP), None);
    let flow = world.step(|groups, turn| groups.delete(&group, &mut place, turn));
    assert_eq!(flow, ControlFlow::Continue(()));
    world.join_as(3, &join_request(""));
    let flow = world.step(|groups, turn| groups.delete(&group, &mut place, turn));
    assert_eq!(flow, ControlFlow::Break(Err(ErrorCode::NonEmptyGroup)));
}

#[test]
fn a_topic_made_again_keeps_its_new_offsets() {
    let mut world = World::new();
    let (old, new) = (Uuid([1; 16]), Uuid([2; 16]));
    let of = |id: Uuid, index: i32| AskedOffset { topic_id: id, ..asked("t", index, 5) };
    let context = commit_context("", -1);
    let both = [of(old, 0), of(old, 1)];
    world.take(|groups, turn| groups.commit(&context, &both, turn)).unwrap();
    // One is committed anew before the old ones are forgotten, and is not durable yet.
    world.step(|groups, turn| groups.commit(&context, &[of(new, 1)], turn)).unwrap();
    let mut search = TopicSearch::default();
    while !world.step(|groups, turn| groups.topic_deleted("t", old, &mut search, turn)) {}
    world.settle();
    let offsets = |coordinator: &Coordinator| {
        let offset = |index| coordinator.offset(GROUP, "t", index).map(|found| found.topic_id);
        [offset(0), offset(1)]
    };
    assert_eq!(offsets(&world.coordinator), [None, Some(new)]);
    assert_eq!(offsets(&world.reread()), [None, Some(new)]);
}

/// Many groups have read the topic, some of them very many of its partitions.
#[test]
fn a_deleted_topic_is_searched_for_in_steps() {
    let mut world = World::new();
    let id = Uuid([1; 16]);
    for number in 0..3 * STEP_MAX {
        let partitions = if number == 7 { STEP_MAX as i32 } else { 1 };
        let group_id = format!("{number:06}").into();
        let context = CommitContext { group_id, ..commit_context("", -1) };
        let of = |(topic, index)| AskedOffset { topic_id: id, ..asked(topic, index, 5) };
        let some: Vec<_> = (0..partitions).map(|index| of(("t", index))).collect();
        world.take(|groups, turn| groups.commit(&context, &some, turn)).unwrap();
        let other = [of(("u", 0))];
        world.take(|groups, turn| groups.commit(&context, &other, turn)).unwrap();
    }
    let mut search = TopicSearch::default();
    let mut most = 0_usize;
    while !world.step(|groups, turn| groups.topic_deleted("t", id, &mut search, turn)) {
        most = most.max(world.pending.iter().map(|write| write.records.len()).sum());
        world.settle();
    }
    assert_eq!((world.coordinator.offset_count(), most), (3 * STEP_MAX, STEP_MAX));
}

/// The broker was killed between the deletion of the topic and that of its offsets.
#[test]
fn offsets_of_a_topic_that_is_not_there_are_forgotten() {
    let mut world = World::new();
    let context = commit_context("", -1);
    let of = |id: u8, index| AskedOffset { topic_id: Uuid([id; 16]), ..asked("t", index, 5) };
    let some = [of(1, 0), of(2, 1), of(0, 2)];
    world.take(|groups, turn| groups.commit(&context, &some, turn)).unwrap();
    let is_there = |topic: Uuid| topic == Uuid([2; 16]);
    let group = Str::from(GROUP);
    let look = |world: &mut World| {
        world.take(|groups, turn| groups.grow_old(&group, &mut None, is_there, turn));
        world.coordinator.offset_count()
    };
    world.pass(59_000);
    assert_eq!(look(&mut world), 3, "this shard may not know the topic yet");
    world.pass(1_000);
    assert_eq!(look(&mut world), 2);
    assert_eq!(world.offset(), None);
}
