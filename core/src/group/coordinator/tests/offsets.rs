//! Committing, deleting, growing old.

use super::*;

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
