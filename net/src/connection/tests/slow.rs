//! Clients that send slowly, and those that wait for the memory of their frames.

use std::time::Duration;

use super::world::*;
use crate::budget::{ByteBudget, Reserve};
use crate::limits::Limits;

const MEBIBYTE: usize = 1 << 20;
const BUDGET_BYTES: usize = 16 * MEBIBYTE;
const RESERVE_BYTES: usize = 2 * MEBIBYTE;
const SMALL_BYTES: usize = 64 << 10;

const TOO_SLOW: &str = "came too slowly while others waited for its memory";

fn world() -> World {
    let limits = Limits { request_bytes_max: 2 * MEBIBYTE, ..Limits::default() };
    let mut world = World::with(limits, BUDGET_BYTES);
    let reserve = Reserve::new(RESERVE_BYTES, SMALL_BYTES);
    world.budget = ByteBudget::with_reserve("test", BUDGET_BYTES, 2 * MEBIBYTE, reserve);
    world
}

/// The first `start_bytes` of a request of a mebibyte, and the rest.
fn split_frame(start_bytes: usize) -> (Vec<u8>, Vec<u8>) {
    let mut start = frames(&[(1, produce(vec![7; MEBIBYTE]))]);
    let rest = start.split_off(start_bytes);
    (start, rest)
}

/// Clients that announce a mebibyte and stop after 600 KiB.
fn stalled(world: &World, clients: usize) -> Vec<Client<'_>> {
    let (start, _) = split_frame(600 << 10);
    let clients: Vec<_> = (0..clients).map(|_| world.connect()).collect();
    clients.iter().for_each(|client| client.send_bytes(&start));
    clients
}

/// Those that were ended for being too slow.
fn ended(clients: &[Client<'_>]) -> usize {
    let ended = clients.iter().filter(|client| !client.is_open());
    ended
        .inspect(|client| assert!(client.closed().ends_with(TOO_SLOW), "{}", client.closed()))
        .count()
}

#[test]
fn small_frames_do_not_wait_for_those_that_stall() {
    let world = world();
    let slow = stalled(&world, 300);
    assert!(world.budget.waiting() > 250, "{} wait", world.budget.waiting());
    for records in [10, 10_000, SMALL_BYTES - 1000] {
        let client = world.connect();
        client.send(&[(1, produce(vec![1; records]))]);
        client.answer_default(1);
        assert_eq!(client.received_ids(), [1], "{records} bytes, at once");
    }
    assert_eq!(ended(&slow), 0, "no time has passed");
    let most_bytes = BUDGET_BYTES + 2 * MEBIBYTE;
    assert!(world.budget.used_bytes() <= most_bytes);
}

#[test]
fn the_reserve_is_bounded_and_first_come_first_served() {
    let world = world();
    let _slow = stalled(&world, 40);
    let clients: Vec<_> = (0..50).map(|_| world.connect()).collect();
    clients.iter().for_each(|client| client.send(&[(1, produce(vec![1; 60_000]))]));
    let begun = |client: &Client<'_>| client.broker.begun().len();
    let first = clients.iter().map(begun).sum();
    assert!((30..=RESERVE_BYTES / 60_000).contains(&first), "{first} of 2 MiB");
    assert!(clients[..first].iter().all(|client| begun(client) == 1), "those that came first");
    clients[0].answer_default(1);
    assert_eq!((begun(&clients[first]), clients.iter().map(begun).sum()), (1, first + 1));
}

#[test]
fn those_that_stall_are_ended_while_a_large_frame_waits() {
    let world = world();
    let slow = stalled(&world, 60);
    let client = world.connect();
    client.send(&[(1, produce(vec![1; MEBIBYTE]))]);
    // Every two seconds those are ended that hold the budget, and as many others take their place.
    let mut waited_seconds = 0;
    while client.broker.begun().is_empty() {
        world.pass(Duration::from_secs(1));
        waited_seconds += 1;
        assert!(waited_seconds < 20, "read_timeout alone would be 46 s for each step");
        assert!(world.budget.used_bytes() <= BUDGET_BYTES + 2 * MEBIBYTE);
    }
    assert!(ended(&slow) >= 40, "{} are ended", ended(&slow));
    client.answer_default(1);
    assert_eq!(client.received_ids(), [1]);
    world.pass(Duration::from_secs(100));
    assert_eq!((world.budget.used_bytes(), world.budget.waiting()), (0, 0));
}

#[test]
fn a_large_frame_waits_for_seconds_not_for_the_read_timeout() {
    let world = world();
    // All of the budget, and the allowance.
    let slow = stalled(&world, 15);
    let client = world.connect();
    client.send(&[(1, produce(vec![1; 2 * MEBIBYTE - 1000]))]);
    assert!(client.broker.begun().is_empty());
    world.pass(Duration::from_secs(3));
    client.answer_default(1);
    assert_eq!(client.received_ids(), [1]);
    assert!((1..=4).contains(&ended(&slow)), "{} are ended", ended(&slow));
}

#[test]
fn nobody_is_ended_for_being_slow_while_nobody_waits() {
    let world = world();
    let slow = stalled(&world, 5);
    let (_, rest) = split_frame(600 << 10);
    for byte in &rest[..40] {
        world.pass(Duration::from_secs(1));
        slow.iter().for_each(|client| client.send_bytes(&[*byte]));
    }
    assert!(slow.iter().all(Client::is_open));
    slow.iter().for_each(|client| client.send_bytes(&rest[40..]));
    slow.iter().for_each(|client| client.answer_default(1));
    assert!(slow.iter().all(|client| client.received_ids() == [1]));
}

#[test]
fn the_slowest_are_ended_and_those_at_a_fair_pace_are_not() {
    let world = world();
    let (start, rest) = split_frame(300 << 10);
    let fair: Vec<_> = (0..5).map(|_| world.connect()).collect();
    fair.iter().for_each(|client| client.send_bytes(&start));
    let trickling = stalled(&world, 10);
    let client = world.connect();
    client.send(&[(1, produce(vec![1; 2 * MEBIBYTE - 1000]))]);
    assert!(client.broker.begun().is_empty());
    // 80 KiB/s, where 64 are the least; and one byte a second.
    for piece in rest.chunks(80 << 10) {
        fair.iter().for_each(|client| client.send_bytes(piece));
        trickling.iter().for_each(|client| client.send_bytes(&[7]));
        world.pass(Duration::from_secs(1));
    }
    client.answer_default(1);
    fair.iter().for_each(|client| client.answer_default(1));
    assert!(fair.iter().all(|client| client.received_ids() == [1]));
    assert!((1..=4).contains(&ended(&trickling)), "{} are ended", ended(&trickling));
}
