//! Where reading stops, and what a connection may hold.

use std::time::Duration;

use bytes::Bytes;

use super::world::*;
use crate::codec::Records;
use crate::limits::Limits;
use crate::messages::{FetchResponse, FetchableTopicResponse, PartitionData};
use crate::service::Answer;

/// Limits under which one frame of this length may go over the budget.
fn one_over(frame_bytes: usize) -> Limits {
    Limits { request_bytes_max: frame_bytes, ..Limits::default() }
}

fn frame_bytes(records: &'static str) -> usize {
    frames(&[(1, produce(records))]).len() - 4
}

#[test]
fn reading_stops_at_the_limit_of_requests_under_way() {
    let limits = Limits { in_flight_max: 4, read_chunk_bytes: 64, ..Limits::default() };
    let world = World::with(limits, 1 << 20);
    let client = world.connect();
    let requests: Vec<_> = (0..20).map(|id| (id, produce("records"))).collect();
    client.send(&requests);
    assert_eq!(client.broker.begun(), [0, 1, 2, 3]);
    let unread_bytes = client.unread_bytes();
    assert!(unread_bytes >= 15 * frame_bytes("records"), "{unread_bytes}");
    client.answer_default(0);
    assert_eq!(client.broker.begun(), [0, 1, 2, 3, 4]);
    // An answer that cannot leave yet makes no room.
    client.answer_default(3);
    assert_eq!(client.broker.begun(), [0, 1, 2, 3, 4]);
    client.answer_default(1);
    assert_eq!(client.broker.begun(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn frames_wait_for_their_bytes_in_the_order_they_came() {
    let small = frame_bytes("small");
    let world = World::with(one_over(small), small);
    let [a, b, c] = [world.connect(), world.connect(), world.connect()];
    a.send(&[(1, produce("small")), (2, produce("small")), (3, produce("small"))]);
    assert_eq!(a.broker.begun(), [1, 2]);
    b.send(&[(1, produce("small"))]);
    c.send(&[(1, produce("small"))]);
    assert_eq!((b.broker.begun().len(), c.broker.begun().len()), (0, 0));
    assert_eq!((world.budget.used_bytes(), world.budget.waiting()), (2 * small, 3));
    // Its own third frame came first. An answer frees its bytes, though it cannot leave yet.
    a.answer_default(2);
    assert_eq!((a.broker.begun().len(), b.broker.begun().len()), (3, 0));
    a.answer_default(3);
    assert_eq!((b.broker.begun().len(), c.broker.begun().len()), (1, 0));
    b.answer_default(1);
    assert_eq!(c.broker.begun().len(), 1);
    a.answer_default(1);
    c.answer_default(1);
    assert_eq!((world.budget.used_bytes(), world.budget.waiting()), (0, 0));
    assert_eq!(a.received_ids(), [1, 2, 3]);
}

#[test]
fn a_connection_that_ends_gives_back_bytes_and_its_place_in_the_queue() {
    let small = frame_bytes("small");
    let world = World::with(one_over(small), small);
    let [a, b, c, d] = [(); 4].map(|()| world.connect());
    [&a, &b, &c, &d].into_iter().for_each(|client| client.send(&[(1, produce("small"))]));
    assert_eq!((a.broker.begun().len(), b.broker.begun().len()), (1, 1));
    assert_eq!(world.budget.waiting(), 2);
    a.answer(1, Answer::Close);
    assert_eq!((c.broker.begun().len(), d.broker.begun().len()), (1, 0));
    b.answer(1, Answer::Close);
    assert_eq!(d.broker.begun().len(), 1);
    c.answer(1, Answer::Close);
    d.answer(1, Answer::Close);
    assert_eq!((world.budget.used_bytes(), world.budget.waiting()), (0, 0));
}

#[test]
fn a_frame_larger_than_the_budget_goes_over_it_alone() {
    let world = World::with(one_over(60_000), 1000);
    let (client, other) = (world.connect(), world.connect());
    client.send(&[(1, produce(vec![1; 50_000]))]);
    assert_eq!(client.broker.begun(), [1]);
    assert!((50_000..51_000).contains(&world.budget.used_bytes()));
    other.send(&[(1, produce(vec![1; 50_000]))]);
    assert!(other.broker.begun().is_empty());
    client.answer_default(1);
    assert_eq!(other.broker.begun(), [1]);
    other.answer_default(1);
    assert_eq!(world.budget.used_bytes(), 0);
}

#[test]
fn waiting_for_the_budget_is_not_the_clients_fault() {
    let small = frame_bytes("small");
    let world = World::with(one_over(small), small);
    let [a, b, c] = [(); 3].map(|()| world.connect());
    [&a, &b, &c].into_iter().for_each(|client| client.send(&[(1, produce("small"))]));
    assert_eq!(world.budget.waiting(), 1);
    world.pass(Duration::from_secs(1300));
    assert!(a.is_open() && b.is_open() && c.is_open());
    [&a, &b, &c].into_iter().for_each(|client| client.answer_default(1));
    assert_eq!(c.received_ids(), [1]);
}

const MEBIBYTE: usize = 1 << 20;

/// A Produce request of `MEBIBYTE` and some bytes, in two pieces: the first holds `start_bytes`.
fn split_frame(start_bytes: usize) -> (Vec<u8>, Vec<u8>) {
    let mut start = frames(&[(1, produce(vec![7; MEBIBYTE]))]);
    let rest = start.split_off(start_bytes);
    (start, rest)
}

#[test]
fn what_is_only_claimed_keeps_nobody_waiting() {
    let world = World::with(one_over(2 * MEBIBYTE), 2 * MEBIBYTE);
    let (start, _) = split_frame(1000);
    let claims: Vec<_> = (0..1000).map(|_| world.connect()).collect();
    claims.iter().for_each(|client| client.send_bytes(&start));
    assert_eq!((world.budget.used_bytes(), world.budget.waiting()), (0, 0));
    let client = world.connect();
    client.send(&[(1, produce(vec![1; MEBIBYTE]))]);
    client.answer_default(1);
    assert_eq!(client.received_ids(), [1]);
}

#[test]
fn a_long_frame_reserves_as_its_bytes_arrive() {
    let world = World::with(one_over(2 * MEBIBYTE), 2 * MEBIBYTE);
    // More than half of the budget is in use: no longer ample.
    let other = world.connect();
    other.send(&[(1, produce(vec![1; MEBIBYTE]))]);
    let before = world.budget.used_bytes();
    let client = world.connect();
    let (start, rest) = split_frame(0);
    client.send_bytes(&start);
    let mut sent_bytes = 0;
    for piece in rest.chunks(10_000) {
        client.send_bytes(piece);
        sent_bytes += piece.len();
        let reserved_bytes = world.budget.used_bytes() - before;
        assert!(reserved_bytes <= 2 * sent_bytes, "{reserved_bytes} for {sent_bytes}");
    }
    assert_eq!(world.budget.used_bytes() - before, rest.len() - 4, "all of it, and no more");
    client.answer_default(1);
    assert_eq!(world.budget.used_bytes(), before);
    assert_eq!(client.broker.requests(), [produce(vec![7; MEBIBYTE])]);
}

/// Forty frames of 1 MiB, half of each sent, and a budget of four: each holds some and waits for
/// more. They must all get through, however their second halves come, in bounded memory.
#[test]
fn half_received_frames_do_not_wait_for_each_other_for_ever() {
    let world = World::with(one_over(2 * MEBIBYTE), 4 * MEBIBYTE);
    let clients: Vec<_> = (0..40).map(|_| world.connect()).collect();
    let (start, rest) = split_frame(MEBIBYTE / 2);
    for piece in start.chunks(32 << 10) {
        clients.iter().for_each(|client| client.send_bytes(piece));
    }
    let most_bytes = 6 * MEBIBYTE;
    assert!(world.budget.waiting() > 30 && world.budget.used_bytes() <= most_bytes);
    clients.iter().rev().for_each(|client| client.send_bytes(&rest));
    let mut order = Vec::new();
    while order.len() < clients.len() {
        assert!(world.budget.used_bytes() <= most_bytes);
        let through = |number: &usize| !clients[*number].broker.begun().is_empty();
        let next = (0..clients.len()).filter(through).find(|number| !order.contains(number));
        let next = next.unwrap_or_else(|| panic!("stuck after {order:?}"));
        clients[next].answer_default(1);
        order.push(next);
    }
    assert!(order.is_sorted(), "the order in which they began: {order:?}");
    assert_eq!((world.budget.used_bytes(), world.budget.waiting()), (0, 0));
}

#[test]
fn a_frame_that_stands_still_over_the_limit_is_ended_and_those_that_wait_are_not() {
    let world = World::with(one_over(2 * MEBIBYTE), MEBIBYTE / 2);
    let clients: Vec<_> = (0..8).map(|_| world.connect()).collect();
    let (start, rest) = split_frame(MEBIBYTE / 2);
    clients.iter().for_each(|client| client.send_bytes(&start));
    // The first that waited goes on over the limit, and its client sends no more.
    assert!(world.budget.used_bytes() > MEBIBYTE / 2);
    clients[1..].iter().for_each(|client| client.send_bytes(&rest));
    for _ in 0..100 {
        world.pass(Duration::from_secs(10));
        for client in &clients[1..] {
            if client.is_open() && client.broker.begun().len() > client.received_ids().len() {
                client.answer_default(1);
            }
        }
    }
    assert!(clients[0].closed().ends_with("came too slowly while others waited for its memory"));
    for client in &clients[1..] {
        assert_eq!((client.is_open(), client.received_ids()), (false, vec![1]));
        assert_eq!(client.closed(), "idle for too long");
    }
    assert_eq!((world.budget.used_bytes(), world.budget.waiting()), (0, 0));
}

fn fetched(bytes: usize) -> Answer {
    let records = Records::from(Bytes::from(vec![7; bytes]));
    let partition = PartitionData { records: Some(records), ..Default::default() };
    let topic = FetchableTopicResponse { partitions: vec![partition], ..Default::default() };
    Answer::Send(FetchResponse { responses: vec![topic], ..Default::default() }.into())
}

#[test]
fn a_client_that_never_reads_is_read_no_more_and_then_closed() {
    let limits = Limits { in_flight_max: 8, read_chunk_bytes: 64, ..Limits::default() };
    let world = World::with(limits, 1 << 20);
    let client = world.connect();
    client.set_room(1000);
    let requests: Vec<_> = (0..100).map(|id| (id, fetch())).collect();
    client.send(&requests);
    for id in 0..8 {
        client.answer(id, fetched(100_000));
    }
    // The first answer is being written; eight others wait, and no answer is asked for.
    assert_eq!(client.received_bytes(), 1000);
    assert_eq!(client.broker.begun(), (0..9).collect::<Vec<_>>());
    assert!(client.unread_bytes() > 0);
    // As long as it takes a byte now and then, it may go on.
    for _ in 0..5 {
        world.pass(Duration::from_secs(50));
        client.set_room(1);
    }
    assert!(client.is_open());
    world.pass(Duration::from_secs(100));
    assert_eq!(client.closed(), "the client does not read its answers");
    assert_eq!(world.budget.used_bytes(), 0);
}

#[test]
fn answers_are_gathered_up_to_a_limit() {
    let limits = Limits { write_gather_bytes: 250_000, ..Limits::default() };
    let world = World::with(limits, 1 << 20);
    let client = world.connect();
    let requests: Vec<_> = (0..10).map(|id| (id, fetch())).collect();
    client.send(&requests);
    (0..10).rev().for_each(|id| client.answer(id, fetched(100_000)));
    assert_eq!(client.received_ids(), (0..10).collect::<Vec<_>>());
    assert_eq!(client.writes(), 4);
}
