//! Joining, syncing, living, leaving: what Kafka's rules say.

use super::*;

#[test]
fn a_new_member_comes_back_with_its_id_and_waits_for_others() {
    let mut world = World::new();
    let first = world.join_as(9, &join_request(""));
    let refused = world.joined(first);
    assert_eq!(refused.error_code, ErrorCode::MemberIdRequired);
    assert_eq!(&*refused.member_id, "client-0001");
    assert_eq!(world.state(), "Empty");
    let waiter = world.join_as(9, &join_request(&refused.member_id));
    assert_eq!(world.state(), "PreparingRebalance");
    world.pass(2_999);
    assert!(world.waiting.contains(&waiter));
    world.pass(1);
    let joined = world.joined(waiter);
    assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::None, 1));
    assert_eq!(joined.leader, refused.member_id);
    assert_eq!(joined.members.len(), 1);
    assert_eq!(joined.protocol_name.as_deref(), Some("range"));
    assert_eq!(world.state(), "CompletingRebalance");
}

#[test]
fn the_initial_delay_grows_with_every_newcomer_up_to_the_rebalance_timeout() {
    let mut world = World::new();
    let first = world.join_as(3, &join_request(""));
    for _ in 0..30 {
        world.pass(2_000);
        world.join_as(3, &join_request(""));
    }
    let waited = world.now.monotonic;
    assert!(!world.waiting.contains(&first), "after {waited:?}");
    let joined = world.joined(first);
    let ids: Vec<_> = joined.members.iter().map(|one| &*one.member_id).collect();
    assert!(ids.len() > 20, "{} came before the rebalance timeout", ids.len());
}

#[test]
fn a_second_member_makes_the_first_join_again() {
    let mut world = World::new();
    let ids = world.stable(&[None]);
    assert_eq!(world.heartbeat(&ids[0], 1), ErrorCode::None);
    let second = world.join_as(3, &join_request(""));
    assert_eq!(world.heartbeat(&ids[0], 1), ErrorCode::RebalanceInProgress);
    assert_eq!(world.state(), "PreparingRebalance");
    let first = world.join_as(3, &join_request(&ids[0]));
    let (first, second) = (world.joined(first), world.joined(second));
    assert_eq!((first.generation_id, second.generation_id), (2, 2));
    assert_eq!((first.members.len(), second.members.len()), (2, 0));
    assert_eq!(world.heartbeat(&ids[0], 1), ErrorCode::IllegalGeneration);
    assert_eq!(world.heartbeat("stranger", 2), ErrorCode::UnknownMemberId);
}

#[test]
fn a_member_that_shows_no_life_is_taken_out() {
    let mut world = World::new();
    let ids = world.stable(&[None, None]);
    world.pass(8_000);
    assert_eq!(world.heartbeat(&ids[0], 1), ErrorCode::None);
    world.pass(3_000);
    assert_eq!(world.heartbeat(&ids[0], 1), ErrorCode::RebalanceInProgress);
    assert_eq!(world.heartbeat(&ids[1], 1), ErrorCode::UnknownMemberId);
    let alone = world.join_as(3, &join_request(&ids[0]));
    assert_eq!(world.joined(alone).members.len(), 1);
    world.pass(200_000);
    assert_eq!(world.state(), "Empty");
    assert_eq!(world.coordinator.members_bytes, 0);
    assert_eq!(world.coordinator.wake(), None);
    assert_eq!(world.reread().describe(GROUP).unwrap().group_state, "Empty");
}

#[test]
fn members_that_do_not_join_again_in_time_are_left_behind() {
    let mut world = World::new();
    let ids = world.stable(&[None, None]);
    let first = world.join_as(
        3,
        &JoinGroupRequest {
            protocols: vec![protocol("range", &["t", "u"])],
            ..join_request(&ids[0])
        },
    );
    // The other one lives, but does not join.
    for _ in 0..12 {
        world.pass(5_000);
        world.heartbeat(&ids[1], 1);
    }
    let joined = world.joined(first);
    assert_eq!((joined.generation_id, joined.members.len()), (2, 1));
    assert_eq!(world.heartbeat(&ids[1], 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_leader_that_never_syncs_does_not_hold_the_group() {
    let mut world = World::new();
    let waiters = [(); 2].map(|()| world.join_as(3, &join_request("")));
    world.pass(6_000);
    let joined = waiters.map(|waiter| world.joined(waiter));
    let follower = &joined.iter().find(|one| one.leader != one.member_id).unwrap().member_id;
    let share = world.sync(&sync_request(follower, 1, &[]));
    for _ in 0..12 {
        world.pass(5_000);
        world.heartbeat(&joined[0].leader, 1);
    }
    assert_eq!(world.synced(share).error_code, ErrorCode::RebalanceInProgress);
    let again = world.join_as(3, &join_request(follower));
    let again = world.joined(again);
    assert_eq!((again.generation_id, &again.leader), (2, follower));
}

#[test]
fn shares_are_told_when_they_are_stored() {
    let mut world = World::new();
    let waiter = world.join_as(3, &join_request(""));
    world.pass(3_000);
    let id = world.joined(waiter).member_id.to_string();
    let waiter = world.sync(&sync_request(&id, 1, &[(id.clone(), "share".into())]));
    assert!(world.waiting.contains(&waiter));
    assert_eq!(world.state(), "CompletingRebalance");
    world.settle();
    assert_eq!(&world.synced(waiter).assignment[..], b"share");
    let restored = world.reread().describe(GROUP).unwrap();
    assert_eq!(restored, world.coordinator.describe(GROUP).unwrap());
    // Asked again, it is told again.
    let waiter = world.sync(&sync_request(&id, 1, &[]));
    assert_eq!(&world.synced(waiter).assignment[..], b"share");
}

#[test]
fn a_rebalance_during_the_store_takes_precedence() {
    let mut world = World::new();
    let waiter = world.join_as(3, &join_request(""));
    world.pass(3_000);
    let id = world.joined(waiter).member_id.to_string();
    let share = world.sync(&sync_request(&id, 1, &[(id.clone(), "share".into())]));
    let waiter = world.new_waiter();
    let context = JoinContext {
        version: 3,
        client_id: "late".into(),
        client_host: "/h".into(),
        unique_id: "x".into(),
    };
    let request = join_request("");
    world.step(|coordinator, turn| coordinator.join(&request, &context, waiter, turn));
    assert_eq!(world.synced(share).error_code, ErrorCode::RebalanceInProgress);
    world.settle();
    assert_eq!(world.state(), "PreparingRebalance");
}

#[test]
fn protocols_and_kinds_must_fit() {
    let mut world = World::new();
    world.stable(&[None]);
    let other = JoinGroupRequest { protocol_type: "connect".into(), ..join_request("") };
    let strange = JoinGroupRequest { protocols: vec![protocol("x", &[])], ..join_request("") };
    for request in [other, strange] {
        let waiter = world.join_as(3, &request);
        assert_eq!(world.joined(waiter).error_code, ErrorCode::InconsistentGroupProtocol);
    }
    // What all support and most prefer.
    let both = JoinGroupRequest {
        protocols: vec![protocol("sticky", &["t"]), protocol("range", &["t"])],
        ..join_request("")
    };
    world.join_as(3, &both);
    let sync = SyncGroupRequest {
        protocol_type: Some("consumer".into()),
        protocol_name: Some("sticky".into()),
        ..sync_request("client-0001", 1, &[])
    };
    let waiter = world.sync(&sync);
    assert_eq!(world.synced(waiter).error_code, ErrorCode::InconsistentGroupProtocol);
}

#[test]
fn a_group_whose_members_left_while_others_were_waited_for_takes_new_ones() {
    let mut world = World::new();
    let waiter = world.join_as(3, &join_request(""));
    assert_eq!(world.leave(&[("client-0001", None)]), [ErrorCode::None]);
    assert_eq!(world.joined(waiter).error_code, ErrorCode::UnknownMemberId);
    assert_eq!(world.state(), "PreparingRebalance");
    let waiter = world.join_as(3, &join_request(""));
    world.pass(6_000);
    assert_eq!(world.joined(waiter).error_code, ErrorCode::None);
}

#[test]
fn nothing_is_made_for_who_cannot_join() {
    let mut world = World::new();
    let none = JoinGroupRequest { protocols: vec![], ..join_request("") };
    let unknown = join_request("unknown");
    let short = JoinGroupRequest { session_timeout_ms: 5_999, ..join_request("") };
    for (request, code) in [
        (none, ErrorCode::InconsistentGroupProtocol),
        (unknown, ErrorCode::UnknownMemberId),
        (short, ErrorCode::InvalidSessionTimeout),
    ] {
        let waiter = world.join_as(9, &request);
        assert_eq!(world.joined(waiter).error_code, code);
    }
    assert_eq!((world.coordinator.group_count(), world.log.len()), (0, 0));
}

#[test]
fn a_static_member_comes_back_to_its_share_without_a_rebalance() {
    let mut world = World::new();
    let ids = world.stable(&[Some("a"), Some("b")]);
    let described = world.coordinator.describe(GROUP).unwrap();
    let back = JoinGroupRequest { group_instance_id: Some("a".into()), ..join_request("") };
    let waiter = world.join_as(9, &back);
    let joined = world.joined(waiter);
    assert_eq!((joined.error_code, joined.generation_id), (ErrorCode::None, 1));
    assert_eq!(joined.leader, joined.member_id);
    assert!(joined.skip_assignment && joined.members.len() == 2);
    assert_eq!(world.heartbeat(&ids[0], 1), ErrorCode::UnknownMemberId);
    let fenced =
        SyncGroupRequest { group_instance_id: Some("a".into()), ..sync_request(&ids[0], 1, &[]) };
    let waiter = world.sync(&fenced);
    assert_eq!(world.synced(waiter).error_code, ErrorCode::FencedInstanceId);
    let waiter = world.sync(&sync_request(&joined.member_id, 1, &[]));
    assert_eq!(world.synced(waiter).assignment, format!("share of {}", ids[0]).into_bytes());
    // Both the other member and the log know nothing of it but the new id.
    assert_eq!(world.heartbeat(&ids[1], 1), ErrorCode::None);
    let now = world.coordinator.describe(GROUP).unwrap();
    assert_eq!(now.members.len(), described.members.len());
    assert_eq!(world.reread().describe(GROUP).unwrap(), now);
}

#[test]
fn an_old_client_that_comes_back_is_not_told_that_it_leads() {
    let mut world = World::new();
    let ids = world.stable(&[Some("a")]);
    let back = JoinGroupRequest { group_instance_id: Some("a".into()), ..join_request("") };
    let waiter = world.join_as(5, &back);
    let joined = world.joined(waiter);
    assert_eq!((&*joined.leader, joined.members.len()), (&*ids[0], 0));
    // Other topics in the same protocol need no rebalance either, another protocol does.
    let sticky = JoinGroupRequest { protocols: vec![protocol("sticky", &["t"])], ..back };
    let waiter = world.join_as(5, &sticky);
    let refused = world.joined(waiter);
    assert_eq!(refused.error_code, ErrorCode::InconsistentGroupProtocol);
}

#[test]
fn members_leave_one_by_one_and_together() {
    let mut world = World::new();
    let ids = world.stable(&[Some("a"), None]);
    let codes = world.leave(&[("nobody", None), (&ids[1], None), ("", Some("z"))]);
    let unknown = ErrorCode::UnknownMemberId;
    assert_eq!(codes, [unknown, ErrorCode::None, unknown]);
    assert_eq!(world.state(), "PreparingRebalance");
    assert_eq!(world.leave(&[("other", Some("a"))]), [ErrorCode::FencedInstanceId]);
    assert_eq!(world.leave(&[("", Some("a"))]), [ErrorCode::None]);
    assert_eq!(world.state(), "Empty");
    let id_only = world.join_as(9, &join_request(""));
    let id = world.joined(id_only).member_id.to_string();
    assert_eq!(world.leave(&[(&id, None)]), [ErrorCode::None]);
    assert!(world.coordinator.groups[GROUP].group.is_empty());
}

#[test]
fn ten_thousand_one_shot_joins_cost_little_and_leave_nothing() {
    let mut world = World::new();
    let mut refused = 0;
    for _ in 0..12_000 {
        let waiter = world.join_as(9, &join_request(""));
        let code = world.joined(waiter).error_code;
        refused += usize::from(code == ErrorCode::GroupMaxSizeReached);
    }
    assert_eq!(refused, 2_000);
    assert!(world.coordinator.members_bytes > 10_000 * "client-0001".len());
    world.pass(u64::try_from(SESSION_MS).unwrap());
    assert!(world.coordinator.groups[GROUP].group.is_empty());
    assert_eq!(world.coordinator.members_bytes, 0);
    world.pass(0);
    world.take(grow_old);
    assert_eq!(world.coordinator.group_count(), 0);
}

#[test]
fn shares_too_large_to_be_stored_are_refused() {
    let mut world = World::new();
    let waiter = world.join_as(3, &join_request(""));
    world.pass(3_000);
    let id = world.joined(waiter).member_id.to_string();
    let share = "x".repeat(1_100_000);
    let waiter = world.sync(&sync_request(&id, 1, &[(id.clone(), share)]));
    assert_eq!(world.synced(waiter).error_code, ErrorCode::UnknownServerError);
    assert_eq!(world.state(), "PreparingRebalance");
    let large = JoinGroupRequest {
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: vec![0; 2 << 20].into(),
        }],
        ..join_request("")
    };
    let waiter = world.join_as(3, &large);
    assert_eq!(world.joined(waiter).error_code, ErrorCode::PolicyViolation);
}

#[test]
fn a_full_group_takes_nobody() {
    let mut world = World::new();
    world.rules.group_size_max = 2;
    world.stable(&[None, None]);
    let waiter = world.join_as(3, &join_request(""));
    let refused = world.joined(waiter);
    assert_eq!(refused.error_code, ErrorCode::GroupMaxSizeReached);
    assert_eq!(&*refused.member_id, "");
}

/// `group.max.size` was lowered before a restart.
#[test]
fn a_group_that_is_too_large_by_now_finds_out_who_stays() {
    let mut world = World::new();
    let ids = world.stable(&[None, None, None]);
    world.rules.group_size_max = 2;
    world.coordinator = world.reread();
    assert_eq!(world.state(), "PreparingRebalance");
    let waiters: Vec<_> = ids.iter().map(|id| world.join_as(3, &join_request(id))).collect();
    let last = world.joined(waiters[2]);
    assert_eq!(last.error_code, ErrorCode::GroupMaxSizeReached);
    world.pass(u64::try_from(REBALANCE_MS).unwrap());
    let joined = [0, 1].map(|number: usize| world.joined(waiters[number]));
    assert_eq!(joined.iter().map(|one| one.members.len()).sum::<usize>(), 2);
}

/// The disk takes longer than the session lasts to store a static member's new id.
#[test]
fn a_static_member_that_waited_long_for_the_disk_can_still_die() {
    let mut world = World::new();
    world.stable(&[Some("a")]);
    let back = JoinGroupRequest { group_instance_id: Some("a".into()), ..join_request("") };
    let (waiter, request) = (world.new_waiter(), back);
    let context = JoinContext {
        version: 9,
        client_id: "back".into(),
        client_host: "/h".into(),
        unique_id: "x".into(),
    };
    world.step(|coordinator, turn| coordinator.join(&request, &context, waiter, turn));
    let end = world.now.monotonic + Duration::from_millis(SESSION_MS as u64 + 1);
    world.set_time(end);
    while world.step(|coordinator, turn| coordinator.expire(turn)) {}
    world.settle();
    assert_eq!(world.joined(waiter).error_code, ErrorCode::None);
    assert_eq!(world.state(), "Stable");
    world.pass(SESSION_MS as u64 + 1);
    assert_eq!(world.state(), "Empty");
}

#[test]
fn a_static_member_that_comes_back_too_large_to_be_stored_is_refused() {
    let mut world = World::new();
    let named = |metadata: usize| JoinGroupRequest {
        group_instance_id: Some("i".into()),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: vec![0; metadata].into(),
        }],
        ..join_request("")
    };
    let waiter = world.join_as(5, &named(10));
    world.pass(3_000);
    let id = world.joined(waiter).member_id.to_string();
    let waiter = world.sync(&sync_request(&id, 1, &[(id.clone(), "x".repeat(900_000))]));
    world.settle();
    assert_eq!(world.synced(waiter).error_code, ErrorCode::None);
    // Small enough alone, but not with its share.
    let waiter = world.join_as(5, &named(500_000));
    assert_eq!(world.joined(waiter).error_code, ErrorCode::UnknownServerError);
    assert_eq!(world.heartbeat(&id, 1), ErrorCode::None, "it is who it was");
    let waiter = world.join_as(5, &named(20_000));
    assert_eq!(world.joined(waiter).error_code, ErrorCode::None);
    let stored = world.log.iter().map(|record| record.encode().unwrap().1.map_or(0, |v| v.len()));
    assert!(stored.max().unwrap() < 1_000_000);
}

#[test]
fn members_without_a_leader_are_not_looked_at_all_the_time() {
    let mut world = World::new();
    let hasty = |instance: Option<&str>| JoinGroupRequest {
        group_instance_id: instance.map(Str::from),
        rebalance_timeout_ms: 0,
        ..join_request("")
    };
    let stays = world.join_as(3, &hasty(Some("i")));
    let goes = world.join_as(3, &JoinGroupRequest { rebalance_timeout_ms: 1_000, ..hasty(None) });
    world.pass(3_000);
    let (stays, goes) = (world.joined(stays).member_id, world.joined(goes).member_id);
    // Who stays is called to join, has no time for it, and does not.
    world.leave(&[(&goes, None)]);
    let steps = (0..10).take_while(|_| world.take(|groups, turn| groups.expire(turn))).count();
    assert!(steps < 10, "the group is looked at over and over");
    assert_eq!(world.heartbeat(&stays, 1), ErrorCode::RebalanceInProgress);
    let waiter = world.join_as(3, &JoinGroupRequest { member_id: stays, ..hasty(Some("i")) });
    world.pass(1_000);
    assert_eq!(world.joined(waiter).error_code, ErrorCode::None);
}
