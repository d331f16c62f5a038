//! What is begun when, and which answer leaves when.

use std::sync::Arc;

use bytes::Bytes;

use super::world::*;
use crate::codec::Records;
use crate::codec::generate::Source;
use crate::extent::Extent;
use crate::messages::{
    Api, FetchResponse, FetchableTopicResponse, PartitionData, Request, Response,
};
use crate::service::Answer;

#[test]
fn produce_and_fetch_overlap_and_are_answered_in_order() {
    let world = World::default();
    let client = world.connect();
    client.send(&[(1, produce("a")), (2, fetch()), (3, produce("b"))]);
    assert_eq!(client.broker.begun(), [1, 2, 3]);
    client.answer_default(3);
    client.answer_default(2);
    assert!(client.received_ids().is_empty());
    client.answer_default(1);
    assert_eq!(client.received_ids(), [1, 2, 3]);
    assert_eq!(client.writes(), 1);
    assert!(client.is_open());
}

#[test]
fn any_other_request_has_the_connection_to_itself() {
    let world = World::default();
    let client = world.connect();
    client.send(&[(1, produce("a")), (2, fetch()), (3, metadata()), (4, produce("b"))]);
    assert_eq!(client.broker.begun(), [1, 2]);
    client.answer_default(2);
    assert_eq!(client.broker.begun(), [1, 2]);
    client.answer_default(1);
    assert_eq!(client.broker.begun(), [1, 2, 3]);
    client.answer_default(3);
    assert_eq!(client.broker.begun(), [1, 2, 3, 4]);
    assert_eq!(client.received_ids(), [1, 2, 3]);
}

#[test]
fn a_silent_answer_sends_nothing_and_holds_nothing_up() {
    let world = World::default();
    let client = world.connect();
    client.send(&[(1, produce("a")), (2, produce("b"))]);
    client.answer(1, Answer::Silent);
    client.answer_default(2);
    assert_eq!(client.received_ids(), [2]);
}

#[test]
fn the_service_is_told_of_each_answer_as_it_leaves() {
    let world = World::default();
    let client = world.connect();
    let asked = |id: i32, request: Request| frames(&[(id, request)]).len();
    client.send(&[(1, fetch()), (2, produce("a")), (3, produce("b"))]);
    client.answer(2, Answer::Silent);
    assert_eq!(client.broker.told(), [], "its turn has not come");
    client.answer_default(1);
    client.answer(3, Answer::Close);
    let told = |api, request_bytes, response_bytes| Told { api, request_bytes, response_bytes };
    let sent_bytes = client.received_bytes();
    assert!(sent_bytes > 0);
    let expected = [
        told(Api::Fetch, asked(1, fetch()), sent_bytes),
        told(Api::Produce, asked(2, produce("a")), 0),
        told(Api::Produce, asked(3, produce("b")), 0),
    ];
    assert_eq!(client.broker.told(), expected);
}

#[test]
fn a_closing_answer_lets_the_earlier_ones_leave() {
    let world = World::default();
    let client = world.connect();
    client.send(&[(1, produce("a")), (2, produce("b")), (3, produce("c"))]);
    client.answer_default(3);
    client.answer(2, Answer::Close);
    assert!(client.is_open());
    client.answer_default(1);
    assert_eq!(client.received_ids(), [1]);
    assert_eq!(client.closed(), "closed by the broker");
    assert_eq!(world.budget.used_bytes(), 0);
}

#[test]
fn the_context_tells_who_asks() {
    let world = World::default();
    let client = world.connect();
    client.send(&[(1, api_versions()), (2, produce("a"))]);
    client.answer_default(1);
    let contexts = client.broker.contexts();
    let software = contexts[1].client_software.clone().unwrap();
    assert_eq!((software.name.as_str(), software.version.as_str()), ("kitten", "1.2"));
    assert_eq!(contexts[1].client_id.as_deref(), Some("test"));
    assert_eq!((&*contexts[1].listener, contexts[1].version), ("plain", 9));
    assert_eq!(contexts[1].peer.port(), 4711);
}

#[test]
fn a_half_closed_connection_is_answered_to_the_end() {
    let world = World::default();
    let client = world.connect();
    client.send(&[(1, produce("a")), (2, metadata())]);
    client.end();
    client.answer_default(1);
    client.answer_default(2);
    assert_eq!(client.received_ids(), [1, 2]);
    assert_eq!(client.closed(), "closed by the client");
}

#[test]
fn many_small_frames_cost_few_reads_and_writes() {
    let world = World::default();
    let client = world.connect();
    let requests: Vec<_> = (0..30).map(|id| (id, produce("record"))).collect();
    client.send(&requests);
    assert_eq!(client.broker.begun().len(), 30);
    assert_eq!(client.reads(), 1);
    (0..30).rev().for_each(|id| client.answer_default(id));
    assert_eq!(client.received_ids(), (0..30).collect::<Vec<_>>());
    assert_eq!(client.writes(), 1);
}

fn fetched(records: &[u8]) -> Response {
    // In two slices, one of which is large enough not to be copied.
    let (first, second) = records.split_at(records.len() / 3);
    fetched_as([first, second].iter().map(|part| Bytes::copy_from_slice(part)).collect())
}

/// The same bytes, out of something that only the stream can read.
fn fetched_elsewhere(records: &[u8]) -> Response {
    let source = [b"before", records, b"behind"].concat();
    fetched_as(Extent::new(Arc::new(source), 6, records.len()).into())
}

fn fetched_as(records: Records) -> Response {
    let partition = PartitionData { records: Some(records), ..Default::default() };
    let topic = FetchableTopicResponse {
        topic: "topic".into(),
        partitions: vec![partition],
        ..Default::default()
    };
    FetchResponse { responses: vec![topic], ..Default::default() }.into()
}

/// Whatever the sizes, the steps in which bytes come and go, and the order in which answers become
/// known: each request arrives as it was sent, each answer leaves in its place, as it was given.
#[test]
fn any_schedule_keeps_order_and_bytes() {
    for seed in 0..150 {
        let mut source = Source(seed);
        let world = World::default();
        let client = world.connect();
        client.set_step([0, 1, 7, 1000][source.below(4)]);
        let mut requests = Vec::new();
        for id in 0..20 {
            let len = [0, 10, 3_000, 40_000][source.below(4)];
            let records: Vec<u8> = (0..len).map(|_| source.next() as u8).collect();
            requests.push((id, if source.one_in(2) { produce(records) } else { fetch() }));
        }
        let mut bytes = &frames(&requests)[..];
        let mut expected = Vec::new();
        let mut waiting: Vec<i32> = Vec::new();
        let mut begun = 0;
        while begun < requests.len() || !waiting.is_empty() {
            if !bytes.is_empty() && (waiting.is_empty() || source.one_in(2)) {
                let (now, later) = bytes.split_at(1 + source.below(bytes.len()));
                client.send_bytes(now);
                bytes = later;
            } else if !waiting.is_empty() {
                let id = waiting.swap_remove(source.below(waiting.len()));
                let records: Vec<u8> = (0..source.below(9_000)).map(|n| n as u8).collect();
                let response = match &requests[id as usize].1 {
                    Request::Fetch(_) => fetched(&records),
                    other => default_response(other.api()),
                };
                let is_fetch = matches!(response, Response::Fetch(_));
                let given = match is_fetch && !records.is_empty() && source.one_in(2) {
                    true => fetched_elsewhere(&records),
                    false => response.clone(),
                };
                expected.push((id, response));
                client.answer(id, Answer::Send(given));
            }
            let all = client.broker.begun();
            waiting.extend(&all[begun..]);
            begun = all.len();
        }
        let sent: Vec<_> = requests.iter().map(|(_, request)| request.clone()).collect();
        assert_eq!(client.broker.requests(), sent, "seed {seed}");
        expected.sort_by_key(|(id, _)| *id);
        let received = client.received().into_iter().zip(&requests).map(|(frame, (_, request))| {
            let api = request.api();
            Response::decode(api, version_of(api), &frame).unwrap()
        });
        assert_eq!(received.collect::<Vec<_>>(), expected, "seed {seed}");
        assert_eq!(world.budget.used_bytes(), 0);
    }
}
