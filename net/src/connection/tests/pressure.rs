//! Where reading stops, and what a connection may hold.

use std::time::Duration;

use bytes::Bytes;

use super::world::*;
use crate::codec::Records;
use crate::limits::Limits;
use crate::messages::{FetchResponse, FetchableTopicResponse, PartitionData};
use crate::service::Answer;

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
    let world = World::with(Limits::default(), 2 * small);
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
    let world = World::with(Limits::default(), frame_bytes("small"));
    let [a, b, c] = [world.connect(), world.connect(), world.connect()];
    a.send(&[(1, produce("small"))]);
    b.send(&[(1, produce("small"))]);
    c.send(&[(1, produce("small"))]);
    assert_eq!(world.budget.waiting(), 2);
    a.answer(1, Answer::Close);
    assert_eq!((b.broker.begun().len(), c.broker.begun().len()), (1, 0));
    b.answer(1, Answer::Close);
    assert_eq!(c.broker.begun().len(), 1);
    c.answer(1, Answer::Close);
    assert_eq!((world.budget.used_bytes(), world.budget.waiting()), (0, 0));
}

#[test]
fn a_frame_larger_than_the_budget_takes_all_of_it() {
    let world = World::with(Limits::default(), 1000);
    let client = world.connect();
    client.send(&[(1, produce(vec![1; 50_000]))]);
    assert_eq!(client.broker.begun(), [1]);
    assert_eq!(world.budget.used_bytes(), 1000);
    client.answer_default(1);
    assert_eq!(world.budget.used_bytes(), 0);
}

#[test]
fn waiting_for_the_budget_is_not_the_clients_fault() {
    let world = World::with(Limits::default(), frame_bytes("small"));
    let (a, b) = (world.connect(), world.connect());
    a.send(&[(1, produce("small"))]);
    b.send(&[(1, produce("small"))]);
    world.pass(Duration::from_secs(1300));
    assert!(a.is_open() && b.is_open());
    a.answer_default(1);
    b.answer_default(1);
    assert_eq!((a.received_ids(), b.received_ids()), (vec![1], vec![1]));
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
