//! Clients that are always ready: the others of the thread have their turns all the same.

use bytes::Bytes;

use super::world::*;
use crate::codec::Records;
use crate::limits::Limits;
use crate::messages::{FetchResponse, FetchableTopicResponse, PartitionData};
use crate::service::Answer;

const TURN_BYTES: usize = 64 << 10;
const MEBIBYTE: usize = 1 << 20;

fn world(budget_bytes: usize) -> World {
    World::with(Limits { turn_bytes: TURN_BYTES, ..Limits::default() }, budget_bytes)
}

#[test]
fn a_large_frame_is_read_in_turns() {
    // With an ample budget, and with one in which its memory has to grow, and be copied.
    for (budget_bytes, least) in [(64 * MEBIBYTE, 4), (6 * MEBIBYTE, 7)] {
        let world = world(budget_bytes);
        let client = world.connect();
        client.send(&[(1, produce(vec![7; 4 * MEBIBYTE]))]);
        assert_eq!(client.broker.begun(), [1]);
        assert!(client.reads() >= 4 * MEBIBYTE / TURN_BYTES, "{} reads", client.reads());
        let yields = world.clock.yields();
        assert!(yields >= (least * MEBIBYTE - 10 * TURN_BYTES) / TURN_BYTES, "{yields} yields");
    }
}

#[test]
fn many_small_frames_are_read_in_turns() {
    let world = world(64 * MEBIBYTE);
    let client = world.connect();
    let all: Vec<_> = (0..32).map(|id| (id, produce(vec![7; 10_000]))).collect();
    client.send(&all);
    assert_eq!(client.broker.begun().len(), 32);
    assert_eq!(world.clock.yields(), 320_000 / TURN_BYTES);
}

#[test]
fn a_small_request_has_no_pause() {
    let world = world(64 * MEBIBYTE);
    let client = world.connect();
    client.send(&[(1, produce(vec![7; 1_000]))]);
    client.answer_default(1);
    assert_eq!((client.received_ids(), world.clock.yields()), (vec![1], 0));
}

#[test]
fn a_large_answer_is_written_in_turns() {
    let world = world(64 * MEBIBYTE);
    let client = world.connect();
    client.send(&[(1, fetch())]);
    // What one write takes.
    client.set_step(16 << 10);
    let records = Some(Records::from(Bytes::from(vec![7; 2 * MEBIBYTE])));
    let partitions = vec![PartitionData { records, ..Default::default() }];
    let topic = FetchableTopicResponse { partitions, ..Default::default() };
    let response = FetchResponse { responses: vec![topic], ..Default::default() };
    client.answer(1, Answer::Send(response.into()));
    assert_eq!(client.received_ids(), [1]);
    assert_eq!(world.clock.yields(), 2 * MEBIBYTE / TURN_BYTES);
}

#[test]
fn who_sends_little_and_waits_never_has_to_stand_in_line_with_those_who_send_much() {
    let world = world(64 * MEBIBYTE);
    let client = world.connect();
    for id in 0..32 {
        client.send(&[(id, produce(vec![7; 10_000]))]);
        client.answer_default(id);
    }
    assert_eq!((client.received_ids().len(), world.clock.yields()), (32, 0));
}

#[test]
fn memory_that_is_new_makes_turns_shorter() {
    let world = world(64 * MEBIBYTE);
    let client = world.connect();
    client.send(&[(1, produce(vec![7; 8 * MEBIBYTE]))]);
    assert_eq!(client.broker.begun(), [1]);
    let yields = world.clock.yields();
    assert!(yields >= 4 * 7 * MEBIBYTE / TURN_BYTES, "{yields} yields");
}
