//! What breaks the protocol ends its own connection, with a reason, and no other.

use std::time::Duration;

use super::world::*;
use crate::codec::Str;
use crate::error_code::ErrorCode;
use crate::limits::Limits;
use crate::messages::{
    Api, MetadataRequest, MetadataRequestTopic, ProduceResponse, Response, TopicProduceResponse,
};
use crate::service::Answer;

const SECOND: Duration = Duration::from_secs(1);

/// Sends `bytes` after a good request; returns why the connection ended. The good request is
/// answered all the same, and a neighbour does not notice.
fn ends_with(bytes: &[u8]) -> String {
    let world = World::default();
    let (client, neighbour) = (world.connect(), world.connect());
    client.send(&[(1, produce("good"))]);
    client.send_bytes(bytes);
    assert!(client.is_open(), "the good request is not yet answered");
    client.answer_default(1);
    assert_eq!(client.received_ids(), [1]);
    assert_eq!(world.budget.used_bytes(), 0);
    neighbour.send(&[(9, produce("good"))]);
    neighbour.answer_default(9);
    assert_eq!(neighbour.received_ids(), [9]);
    client.closed()
}

#[test]
fn frame_lengths_that_no_request_has() {
    for length in [-1, i32::MIN, 0, 9, (100 << 20) + 1, i32::MAX] {
        let reason = ends_with(&i32::to_be_bytes(length));
        assert_eq!(reason, format!("frame length {length}, allowed are 10 to 104857600"));
    }
}

#[test]
fn more_elements_than_a_request_may_have() {
    let limits = Limits { request_elements_max: 5_000, ..Limits::default() };
    let world = World::with(limits, 64 << 20);
    let named = |names: usize| {
        let names = (0..names).map(|n| MetadataRequestTopic {
            name: Some(format!("a topic with a name of some length, number {n}").into()),
            ..Default::default()
        });
        MetadataRequest { topics: Some(names.collect()), ..Default::default() }.into()
    };
    let client = world.connect();
    // Long enough to be decoded aside, and short enough to be decoded here.
    client.send(&[(1, named(5_000)), (2, named(10))]);
    client.answer_default(1);
    client.answer_default(2);
    assert_eq!(client.received_ids(), [1, 2]);
    client.send(&[(3, named(5_001))]);
    let reason = client.closed();
    assert!(reason.contains("more than 5000 elements in one request at byte"), "{reason}");
}

#[test]
fn apis_and_versions_that_are_not_served() {
    let frame = |key: i16, version: i16| {
        [&[0, 0, 0, 10][..], &key.to_be_bytes(), &version.to_be_bytes(), &[0, 0, 0, 7, 255, 255]]
            .concat()
    };
    for (key, version) in [(4, 0), (999, 0), (-1, -1), (0, 2), (0, 14), (3, -1), (3, 14)] {
        let expected = format!("API key {key} version {version} is not served");
        assert_eq!(ends_with(&frame(key, version)), expected);
    }
}

#[test]
fn bodies_that_do_not_fit() {
    let reason =
        ends_with(&[&[0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 255, 255][..], &[9; 4]].concat());
    assert_eq!(
        reason,
        "undecodable request, API key 3 version 1: array of 151587081 elements in 0 bytes \
         at byte 14 of the frame, in field topics"
    );
    let client_id = ends_with(&[0, 0, 0, 10, 0, 3, 0, 1, 0, 0, 0, 7, 0, 5]);
    assert_eq!(
        client_id,
        "undecodable request, API key 3 version 1: 5 bytes wanted, 0 left \
         at byte 10 of the frame, in field client_id"
    );
}

#[test]
fn an_api_versions_request_from_the_future_is_answered() {
    let world = World::default();
    let client = world.connect();
    let future = [&[0, 0, 0, 13, 0, 18, 0, 99, 0, 0, 0, 7][..], &[255; 5]].concat();
    client.send_bytes(&future);
    assert!(client.broker.begun().is_empty());
    let frame = client.received().remove(0);
    let (id, response) = Response::decode(Api::ApiVersions, 0, &frame).unwrap();
    let Response::ApiVersions(body) = response else { panic!("{response:?}") };
    assert_eq!((id, body.error_code), (7, ErrorCode::UnsupportedVersion));
    let ranges: Vec<_> =
        body.api_keys.iter().map(|k| (k.api_key, k.min_version, k.max_version)).collect();
    assert_eq!(ranges, [(18, 0, 5)]);
    // The client then asks in a version that it has seen.
    client.send(&[(8, api_versions())]);
    client.answer_default(8);
    assert_eq!(client.received_ids(), [7, 8]);
}

#[test]
fn a_stream_that_ends_within_a_frame() {
    for sent_bytes in [2, 5, 20] {
        let world = World::default();
        let client = world.connect();
        client.send_bytes(&frames(&[(1, produce("records"))])[..sent_bytes]);
        client.end();
        let reason = format!("stream ended within a frame, after {sent_bytes} bytes of it");
        assert_eq!(client.closed(), reason);
        assert_eq!(world.budget.used_bytes(), 0);
    }
}

#[test]
fn a_frame_that_is_not_completed_in_time() {
    for (sent_bytes, frame_bytes) in [(3, 4), (100, 1 << 20)] {
        let world = World::default();
        let client = world.connect();
        let frame = [&(1i32 << 20).to_be_bytes()[..], &[0; 100]].concat();
        client.send_bytes(&frame[..sent_bytes]);
        assert_eq!(world.budget.used_bytes(), 0, "what is only claimed is not reserved");
        // A byte now and then does not help.
        for _ in 0..14 {
            world.pass(2 * SECOND);
            client.send_bytes(if frame_bytes == 4 { &[] } else { &[0] });
        }
        assert!(client.is_open());
        world.pass(60 * SECOND);
        let reason = format!("a frame of {frame_bytes} bytes was not completed in time");
        assert_eq!(client.closed(), reason);
        assert_eq!(world.budget.used_bytes(), 0);
    }
}

#[test]
fn an_idle_connection_ends_unless_a_request_is_under_way() {
    let world = World::default();
    let (idle, waiting) = (world.connect(), world.connect());
    waiting.send(&[(1, fetch())]);
    world.pass(590 * SECOND);
    assert!(idle.is_open());
    world.pass(60 * SECOND);
    assert_eq!(idle.closed(), "idle for too long");
    world.pass(600 * SECOND);
    assert!(waiting.is_open());
    waiting.answer_default(1);
    assert_eq!(waiting.received_ids(), [1]);
    world.pass(590 * SECOND);
    assert!(waiting.is_open());
    world.pass(60 * SECOND);
    assert_eq!(waiting.closed(), "idle for too long");
}

#[test]
fn answers_to_a_client_that_left_are_given_up() {
    let world = World::default();
    let client = world.connect();
    client.send(&[(1, fetch())]);
    client.end();
    world.pass(9 * SECOND);
    assert!(client.is_open());
    world.pass(2 * SECOND);
    assert_eq!(
        client.closed(),
        "answers were still under way long after the client closed its side"
    );
    assert_eq!(world.budget.used_bytes(), 0);
}

#[test]
fn answers_that_are_the_brokers_fault() {
    let world = World::default();
    let client = world.connect();
    client.send(&[(1, produce("a")), (2, produce("b"))]);
    client.answer(2, Answer::Send(Response::Metadata(Default::default())));
    client.answer_default(1);
    assert_eq!(client.received_ids(), [1]);
    assert_eq!(client.closed(), "Produce was answered as Metadata");

    let client = world.connect();
    let name = Str::from("x".repeat(40_000));
    let topic = TopicProduceResponse { name, ..Default::default() };
    let body = ProduceResponse { responses: vec![topic], ..Default::default() };
    client.send_bytes(&[0, 0, 0, 22, 0, 0, 0, 3, 0, 0, 0, 1, 255, 255]);
    client.send_bytes(&[255, 255, 0, 1, 0, 0, 0, 9, 0, 0, 0, 0]);
    client.answer(1, Answer::Send(body.into()));
    assert!(client.received().is_empty());
    assert_eq!(
        client.closed(),
        "answer to Produce version 3 cannot be encoded: \
         length 40000 does not fit its length field"
    );
}

#[test]
fn a_panic_while_answering_costs_its_connection_and_no_answer_before() {
    let world = World::default();
    let (client, other) = (world.connect(), world.connect());
    client.broker.panic_at(2);
    client.send(&[(1, produce("a")), (2, produce("b")), (3, produce("c"))]);
    other.send(&[(1, produce("a"))]);
    assert!(client.is_open());
    client.answer_default(3);
    client.answer_default(1);
    assert_eq!(client.received_ids(), [1]);
    assert!(!client.is_open());
    other.answer_default(1);
    assert_eq!(other.received_ids(), [1]);
    assert!(other.is_open());
}
