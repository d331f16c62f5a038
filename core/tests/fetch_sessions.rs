//! Fetch sessions (KIP-227) on the wire, as Apache Kafka serves them.

mod harness;

use std::time::{Duration, Instant};

use corelane_net::codec::{Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    DeleteTopicsRequest, FetchPartition, FetchRequest, FetchResponse, FetchTopic, ForgottenTopic,
    MetadataRequest, MetadataRequestTopic,
};

use harness::batch::Batch;
use harness::broker::Broker;
use harness::options::Options;
use harness::process;
use harness::rdkafka_client::fresh_topic;
use harness::requests::{create_ready_topic, produce_one};
use harness::typed::{self, typed};
use harness::wire::Connection;

/// The last version that names topics, and the newest, which gives their ids.
const BY_NAME: i16 = 12;
const BY_ID: i16 = 18;

/// A session stays on the shard that its connection came to: one shard, so that any connection finds it.
fn one_shard() -> Options {
    Options { shards: 1, ..Options::default() }
}

fn at(partition: i32, fetch_offset: i64) -> FetchPartition {
    FetchPartition { partition, fetch_offset, partition_max_bytes: 1 << 20, ..Default::default() }
}

fn named(topic: &str, partitions: Vec<FetchPartition>) -> FetchTopic {
    FetchTopic { topic: Str::from(topic), partitions, ..Default::default() }
}

fn request(session: (i32, i32), topics: Vec<FetchTopic>) -> FetchRequest {
    let (session_id, session_epoch) = session;
    FetchRequest {
        max_wait_ms: 0,
        min_bytes: 1,
        max_bytes: 1 << 20,
        session_id,
        session_epoch,
        topics,
        ..Default::default()
    }
}

fn ask(connection: &mut Connection, version: i16, request: FetchRequest) -> FetchResponse {
    typed!(connection, version, Fetch, request)
}

/// Partition, error and bytes of records of all that is answered, by partition: the order is the broker's own.
fn rows(answer: &FetchResponse) -> Vec<(i32, ErrorCode, usize)> {
    assert_eq!(answer.error_code, ErrorCode::None);
    let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
    let mut rows: Vec<_> = partitions
        .map(|one| {
            let bytes = one.records.as_ref().map_or(0, |records| records.len_bytes());
            (one.partition_index, one.error_code, bytes)
        })
        .collect();
    rows.sort_by_key(|(partition, ..)| *partition);
    rows
}

fn topic_id(connection: &mut Connection, name: &str) -> Uuid {
    let topic = MetadataRequestTopic { name: Some(Str::from(name)), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
    typed!(connection, 12, Metadata, request).topics[0].topic_id
}

fn delete_topic(connection: &mut Connection, name: &str) {
    let request = DeleteTopicsRequest {
        topic_names: vec![Str::from(name)],
        timeout_ms: 30_000,
        ..Default::default()
    };
    let answer = typed!(connection, 1, DeleteTopics, request);
    assert_eq!(answer.responses[0].error_code, ErrorCode::None);
}

#[test]
fn a_session_answers_only_what_is_new() {
    let broker = Broker::any(one_shard());
    let (mut producer, mut consumer) = (broker.connect(), broker.connect());
    let topic = fresh_topic("new");
    create_ready_topic(&mut producer, &topic, 3);
    let batch = Batch::of(&[b"hello"]).encode();
    let len = batch.len();
    produce_one(&mut producer, &topic, 1, &batch);
    let all = vec![at(0, 0), at(1, 0), at(2, 0)];
    let full = ask(&mut consumer, BY_NAME, request((0, 0), vec![named(&topic, all)]));
    let ok = ErrorCode::None;
    assert_eq!(rows(&full), [(0, ok, 0), (1, ok, len), (2, ok, 0)], "a full answer lists all");
    let id = full.session_id;
    assert!(id > 0);
    let mut go_on = |epoch, topics| ask(&mut consumer, BY_NAME, request((id, epoch), topics));
    let read = go_on(1, vec![named(&topic, vec![at(1, 1)])]);
    assert_eq!((rows(&read), read.session_id), (vec![], id), "nothing is new");
    produce_one(&mut producer, &topic, 2, &batch);
    assert_eq!(rows(&go_on(2, vec![])), [(2, ok, len)]);
    assert_eq!(rows(&go_on(3, vec![])), [(2, ok, len)], "the client has not moved on");
    assert_eq!(rows(&go_on(4, vec![named(&topic, vec![at(2, 1)])])), []);
    let bad = go_on(5, vec![named(&topic, vec![at(0, 99)])]);
    let out_of_range = (0, ErrorCode::OffsetOutOfRange, 0);
    assert_eq!(rows(&bad), [out_of_range]);
    assert_eq!(rows(&go_on(6, vec![])), [out_of_range], "an error is told each time");
    let good = go_on(7, vec![named(&topic, vec![at(0, 0)])]);
    assert_eq!(rows(&good), [(0, ok, 0)], "and that it is over");
    assert_eq!(rows(&go_on(8, vec![])), []);
}

#[test]
fn sessions_are_refused_as_in_kafka() {
    let broker = Broker::any(one_shard());
    let connection = &mut broker.connect();
    let topic = fresh_topic("refused");
    create_ready_topic(connection, &topic, 2);
    let mut code = |version, session| {
        let answer = ask(connection, version, request(session, vec![]));
        (answer.error_code, answer.session_id)
    };
    let not_found = (ErrorCode::FetchSessionIdNotFound, 0);
    assert_eq!(code(BY_NAME, (12_345, 1)), not_found);
    assert_eq!(code(BY_NAME, (0, 1)), not_found);
    let open = request((0, 0), vec![named(&topic, vec![at(0, 0)])]);
    let id = ask(connection, BY_NAME, open.clone()).session_id;
    let mut code = |version, session| {
        let answer = ask(connection, version, request(session, vec![]));
        (answer.error_code, answer.session_id)
    };
    assert_eq!(code(BY_NAME, (id, 2)), (ErrorCode::InvalidFetchSessionEpoch, 0));
    assert_eq!(code(BY_ID, (id, 2)), (ErrorCode::InvalidFetchSessionEpoch, 0));
    assert_eq!(code(BY_ID, (id, 1)), (ErrorCode::FetchSessionTopicIdError, 0));
    assert_eq!(code(BY_NAME, (id, 1)), (ErrorCode::None, id));
    assert_eq!(code(BY_NAME, (id, 1)), (ErrorCode::InvalidFetchSessionEpoch, 0));
    assert_eq!(code(BY_NAME, (id, -1)), (ErrorCode::None, 0), "closed");
    assert_eq!(code(BY_NAME, (id, 2)), not_found);
    let first = ask(connection, BY_NAME, open.clone()).session_id;
    let again = FetchRequest { session_id: first, ..open };
    let second = ask(connection, BY_NAME, again).session_id;
    assert!(second > 0 && second != first, "a full request ends the session that it names");
    assert_eq!(ask(connection, BY_NAME, request((first, 1), vec![])).error_code, not_found.0);
}

#[test]
fn partitions_are_added_and_forgotten_and_an_empty_session_ends() {
    let broker = Broker::any(one_shard());
    let connection = &mut broker.connect();
    let topic = fresh_topic("changed");
    create_ready_topic(connection, &topic, 3);
    let id = topic_id(connection, &topic);
    let by_id = |partitions| FetchTopic { topic_id: id, partitions, ..Default::default() };
    let open = request((0, 0), vec![by_id(vec![at(0, 0), at(7, 0)])]);
    let opened = ask(connection, BY_ID, open);
    let (ok, unknown) = (ErrorCode::None, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(rows(&opened), [(0, ok, 0), (7, unknown, 0)]);
    let session = opened.session_id;
    let forget =
        |partitions| vec![ForgottenTopic { topic_id: id, partitions, ..Default::default() }];
    let change = FetchRequest {
        forgotten_topics_data: forget(vec![7, 8]),
        ..request((session, 1), vec![by_id(vec![at(2, 0)])])
    };
    assert_eq!(rows(&ask(connection, BY_ID, change)), [(2, ok, 0)]);
    assert_eq!(rows(&ask(connection, BY_ID, request((session, 2), vec![]))), []);
    let empty =
        FetchRequest { forgotten_topics_data: forget(vec![0, 2]), ..request((session, 3), vec![]) };
    assert_eq!(ask(connection, BY_ID, empty).session_id, 0);
    let gone = ask(connection, BY_ID, request((session, 4), vec![]));
    assert_eq!(gone.error_code, ErrorCode::FetchSessionIdNotFound);
}

/// With room for one batch only, each partition gets its turn: whoever got records goes to the end.
#[test]
fn no_partition_of_a_session_starves() {
    let broker = Broker::any(one_shard());
    let connection = &mut broker.connect();
    let topic = fresh_topic("turns");
    create_ready_topic(connection, &topic, 4);
    let batch = Batch::of(&[&[b'x'; 500]]).encode();
    for partition in 0..4 {
        produce_one(connection, &topic, partition, &batch);
    }
    let all = (0..4).map(|partition| at(partition, 0)).collect();
    let narrow = |session, topics| FetchRequest { max_bytes: 1, ..request(session, topics) };
    let opened = ask(connection, BY_NAME, narrow((0, 0), vec![named(&topic, all)]));
    let mut served = Vec::new();
    for epoch in 1..=8 {
        let answer = ask(connection, BY_NAME, narrow((opened.session_id, epoch), vec![]));
        let with_records = rows(&answer).into_iter().filter(|(.., bytes)| *bytes > 0);
        served.extend(with_records.map(|(partition, ..)| partition));
    }
    assert_eq!(served, [0, 1, 2, 3, 0, 1, 2, 3]);
}

#[test]
fn a_deleted_topic_wakes_its_sessions_and_a_new_one_of_its_name_is_found_by_name() {
    let broker = Broker::any(one_shard());
    let (mut by_name, mut by_id, mut admin) =
        (broker.connect(), broker.connect(), broker.connect());
    let (kept, deleted) = (fresh_topic("kept"), fresh_topic("deleted"));
    create_ready_topic(&mut admin, &kept, 1);
    create_ready_topic(&mut admin, &deleted, 1);
    let ids = [topic_id(&mut admin, &kept), topic_id(&mut admin, &deleted)];
    let names = [&kept, &deleted].map(|name| named(name, vec![at(0, 0)])).to_vec();
    let id_topics = ids.map(|topic_id| FetchTopic {
        topic_id,
        partitions: vec![at(0, 0)],
        ..Default::default()
    });
    let name_session = ask(&mut by_name, BY_NAME, request((0, 0), names)).session_id;
    let id_session = ask(&mut by_id, BY_ID, request((0, 0), id_topics.to_vec())).session_id;
    let poll = |session| FetchRequest { max_wait_ms: 60_000, ..request(session, vec![]) };
    let asked = Instant::now();
    typed::send(&mut by_name, BY_NAME, poll((name_session, 1)));
    typed::send(&mut by_id, BY_ID, poll((id_session, 1)));
    std::thread::sleep(Duration::from_millis(300));
    delete_topic(&mut admin, &deleted);
    let unknown = [(0, ErrorCode::UnknownTopicOrPartition, 0)];
    let answer = typed::receive_fetch(&mut by_name, BY_NAME);
    assert_eq!(rows(&answer), unknown);
    assert_eq!(answer.responses[0].topic, *deleted);
    let answer = typed::receive_fetch(&mut by_id, BY_ID);
    assert_eq!(rows(&answer), unknown);
    assert_eq!(answer.responses[0].topic_id, ids[1]);
    assert!(asked.elapsed() < Duration::from_secs(30), "they waited for the time");
    create_ready_topic(&mut admin, &deleted, 1);
    let batch = Batch::of(&[b"again"]).encode();
    produce_one(&mut admin, &deleted, 0, &batch);
    let found = ask(&mut by_name, BY_NAME, request((name_session, 2), vec![]));
    assert_eq!(rows(&found), [(0, ErrorCode::None, batch.len())]);
    let lost = ask(&mut by_id, BY_ID, request((id_session, 2), vec![]));
    assert!(matches!(
        rows(&lost)[..],
        // Kafka remembers the name of the id, Corelane does not; clients do the same at either.
        [(0, ErrorCode::UnknownTopicId | ErrorCode::InconsistentTopicId, 0)]
    ));
}

#[test]
fn an_answer_that_another_request_has_overtaken_says_so() {
    let broker = Broker::any(one_shard());
    let (mut first, mut second) = (broker.connect(), broker.connect());
    let topic = fresh_topic("overtaken");
    create_ready_topic(&mut first, &topic, 1);
    let open = request((0, 0), vec![named(&topic, vec![at(0, 0)])]);
    let id = ask(&mut first, BY_NAME, open).session_id;
    let slow = FetchRequest { max_wait_ms: 600, ..request((id, 1), vec![]) };
    typed::send(&mut first, BY_NAME, slow);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(rows(&ask(&mut second, BY_NAME, request((id, 2), vec![]))), []);
    let overtaken = typed::receive_fetch(&mut first, BY_NAME);
    assert_eq!(overtaken.error_code, ErrorCode::InvalidFetchSessionEpoch);
    assert_eq!(rows(&ask(&mut first, BY_NAME, request((id, 3), vec![]))), []);
}

/// A session of 10,000 partitions: the full answer lists all, the next ones what is new.
#[test]
fn ten_thousand_partitions_in_one_session() {
    let broker = Broker::any(Options { shards: 2, ..Options::default() });
    if !broker.is_corelane() {
        return println!("passed over: Apache Kafka takes minutes to make 10,000 partitions");
    }
    let (mut producer, mut consumer) = (broker.connect(), broker.connect());
    let topic = fresh_topic("many");
    create_ready_topic(&mut producer, &topic, 10_000);
    let all = (0..10_000).map(|partition| at(partition, 0)).collect();
    let full = ask(&mut consumer, BY_NAME, request((0, 0), vec![named(&topic, all)]));
    assert_eq!(rows(&full).len(), 10_000);
    let batch = Batch::of(&[b"one of many"]).encode();
    for (epoch, partition) in [(1, 17), (2, 9_999), (3, 0)] {
        produce_one(&mut producer, &topic, partition, &batch);
        let poll =
            FetchRequest { max_wait_ms: 60_000, ..request((full.session_id, epoch), vec![]) };
        let moved = FetchRequest { topics: vec![], ..poll };
        let answer = ask(&mut consumer, BY_NAME, moved);
        let new = rows(&answer).into_iter().filter(|(at, ..)| *at == partition);
        assert_eq!(new.collect::<Vec<_>>(), [(partition, ErrorCode::None, batch.len())]);
    }
}

/// More sessions than there is room for: the old ones go on, the new ones get none, and memory does not grow.
#[test]
fn sessions_beyond_the_limit_are_not_opened_and_harm_nobody() {
    let broker = Broker::any(one_shard());
    let connection = &mut broker.connect();
    let topic = fresh_topic("overflow");
    create_ready_topic(connection, &topic, 8);
    let before = broker.pid().filter(|_| broker.is_corelane()).map(process::resident_bytes);
    let open = || {
        let all = (0..8).map(|partition| at(partition, 0)).collect();
        request((0, 0), vec![named(&topic, all)])
    };
    let ids: Vec<i32> = (0..1_500).map(|_| ask(connection, BY_NAME, open()).session_id).collect();
    let opened: Vec<i32> = ids.into_iter().filter(|id| *id > 0).collect();
    // Kafka's max.incremental.fetch.session.cache.slots, which it shares out among parts of its cache at random.
    let expected = if broker.is_corelane() { 1_000..=1_000 } else { 900..=1_000 };
    assert!(expected.contains(&opened.len()), "{}: all are young", opened.len());
    for _ in 0..3_000 {
        let full = ask(connection, BY_NAME, open());
        assert_eq!((full.session_id, rows(&full).len()), (0, 8), "served all the same");
    }
    for id in &opened {
        let answer = ask(connection, BY_NAME, request((*id, 1), vec![]));
        assert_eq!((rows(&answer), answer.session_id), (vec![], *id));
    }
    assert_has_not_grown(&broker, before);
}

/// A session is counted in partitions, so none may remember a name of any length.
#[test]
fn names_that_no_topic_can_have_are_answered_and_not_remembered() {
    let broker = Broker::any(one_shard());
    if !broker.is_corelane() {
        return println!("passed over: Apache Kafka opens a session for them");
    }
    let connection = &mut broker.connect();
    let before = broker.pid().map(process::resident_bytes);
    for number in 0..500 {
        let unknown = |topic| format!("{number}.{topic}.{}", "x".repeat(32_000));
        let topics = (0..8).map(|topic| named(&unknown(topic), vec![at(0, 0)])).collect();
        let answer = ask(connection, BY_NAME, request((0, 0), topics));
        let error = ErrorCode::UnknownTopicOrPartition;
        assert_eq!((answer.session_id, rows(&answer)), (0, vec![(0, error, 0); 8]));
    }
    assert_has_not_grown(&broker, before);
}

/// Panics if Corelane holds much more memory than before; of others it is not asked.
fn assert_has_not_grown(broker: &Broker, before_bytes: Option<u64>) {
    if let Some(before) = before_bytes {
        let after = broker.pid().map_or(0, process::resident_bytes);
        assert!(after < before + (16 << 20), "{before} -> {after} bytes");
    }
}

/// Whoever reconnects may come to another shard, which does not know the session: error 70, on which every client
/// opens a new one; a full request that names the old one closes it wherever it is.
#[test]
fn a_session_on_another_shard_is_not_found_but_can_be_closed() {
    let broker = Broker::any(Options { shards: 2, ..Options::default() });
    if !broker.is_corelane() {
        return println!("passed over: Apache Kafka's sessions are found by all its threads");
    }
    let topic = fresh_topic("elsewhere");
    // Connections go to the shard that has fewest: these two are on different ones.
    let (mut here, mut there) = (broker.connect(), broker.connect());
    create_ready_topic(&mut here, &topic, 2);
    let open = request((0, 0), vec![named(&topic, vec![at(0, 0), at(1, 0)])]);
    let id = ask(&mut here, BY_NAME, open.clone()).session_id;
    let lost = ask(&mut there, BY_NAME, request((id, 1), vec![]));
    assert_eq!(lost.error_code, ErrorCode::FetchSessionIdNotFound);
    assert_eq!(rows(&ask(&mut here, BY_NAME, request((id, 1), vec![]))), []);
    let reopened = ask(&mut there, BY_NAME, FetchRequest { session_id: id, ..open });
    assert!(reopened.session_id > 0 && reopened.session_id != id);
    let closed = ask(&mut here, BY_NAME, request((id, 2), vec![]));
    assert_eq!(closed.error_code, ErrorCode::FetchSessionIdNotFound);
}
