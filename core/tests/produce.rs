//! Produce on the wire: what is said of each partition, as Apache Kafka says it.

mod harness;

use std::time::{SystemTime, UNIX_EPOCH};

use corelane_net::codec::{Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    TopicProduceData,
};

use corelane_storage::batch::BatchBuilder;

use harness::batch::{Batch, ZSTD};
use harness::broker::Broker;
use harness::options::Options;
use harness::rdkafka_client::fresh_topic;
use harness::requests::create_ready_topic;
use harness::typed::{self, create_topic_with, typed};
use harness::wire::Connection;

fn request(acks: i16, topic: &str, batches: &[(i32, Vec<u8>)]) -> ProduceRequest {
    let partition = |(index, batch): &(i32, Vec<u8>)| PartitionProduceData {
        index: *index,
        records: Some(batch.clone().into()),
    };
    let partition_data = batches.iter().map(partition).collect();
    let name = Str::from(topic);
    let topic_data = vec![TopicProduceData { name, partition_data, ..Default::default() }].into();
    ProduceRequest { acks, timeout_ms: 30_000, topic_data, ..Default::default() }
}

fn rows(answer: &ProduceResponse) -> Vec<&PartitionProduceResponse> {
    let mut rows: Vec<_> =
        answer.responses.iter().flat_map(|topic| &topic.partition_responses).collect();
    rows.sort_by_key(|row| row.index);
    rows
}

/// The single partition's answer: error, base offset, log start.
fn one(
    connection: &mut Connection,
    version: i16,
    topic: &str,
    batch: Vec<u8>,
) -> (ErrorCode, i64, i64) {
    let answer = typed!(connection, version, Produce, request(-1, topic, &[(0, batch)]));
    let rows = rows(&answer);
    assert_eq!(rows.len(), 1);
    (rows[0].error_code, rows[0].base_offset, rows[0].log_start_offset)
}

#[test]
fn a_partition_named_twice_counts_once_with_its_last_batch() {
    let broker = Broker::any(Options::default());
    let connection = &mut broker.connect();
    let topic = fresh_topic("twice");
    create_ready_topic(connection, &topic, 2);
    let (two, one) = (Batch::of(&[b"a", b"b"]).encode(), Batch::of(&[b"c"]).encode());
    let twice = [(0, two.clone()), (1, one.clone()), (0, one.clone())];
    let answer = typed!(connection, 9, Produce, request(-1, &topic, &twice));
    let said: Vec<_> =
        rows(&answer).iter().map(|row| (row.index, row.error_code, row.base_offset)).collect();
    assert_eq!(said, [(0, ErrorCode::None, 0), (1, ErrorCode::None, 0)]);
    let next = typed!(connection, 9, Produce, request(-1, &topic, &[(0, two)]));
    assert_eq!(rows(&next)[0].base_offset, 1, "only the last one was appended");
}

#[test]
fn zstd_needs_a_version_that_knows_it() {
    let broker = Broker::any(Options::default());
    let connection = &mut broker.connect();
    let topic = fresh_topic("zstd");
    create_ready_topic(connection, &topic, 1);
    let marked = Batch { attributes: ZSTD, ..Batch::of(&[b"not really compressed"]) }.encode();
    for version in 3..=6 {
        let (code, offset, _) = one(connection, version, &topic, marked.clone());
        assert_eq!((code, offset), (ErrorCode::UnsupportedCompressionType, -1), "v{version}");
    }
    let good = Batch::of(&[b"plain"]).encode();
    assert_eq!(one(connection, 3, &topic, good).0, ErrorCode::None);
}

#[test]
fn offsets_and_errors_at_every_version() {
    let broker = Broker::any(Options::default());
    let connection = &mut broker.connect();
    let (topic, stamped) = (fresh_topic("versions"), fresh_topic("stamped"));
    create_ready_topic(connection, &topic, 1);
    let configs = [("message.timestamp.type", "LogAppendTime"), ("max.message.bytes", "200")];
    create_topic_with(connection, &stamped, 1, &configs);
    let batch = Batch::of(&[b"a", b"b"]).encode();
    let large = Batch::of(&[&[b'x'; 500]]).encode();
    for version in 3..=12 {
        let log_start = if version >= 5 { 0 } else { -1 };
        let base = i64::from(version - 3) * 2;
        let taken = (ErrorCode::None, base, log_start);
        assert_eq!(one(connection, version, &topic, batch.clone()), taken, "v{version}");
        let refused = |code| (code, -1, -1);
        let too_large = one(connection, version, &stamped, large.clone());
        assert_eq!(too_large, refused(ErrorCode::MessageTooLarge), "v{version}");
        let unknown = one(connection, version, "nope", batch.clone());
        assert_eq!(unknown, refused(ErrorCode::UnknownTopicOrPartition), "v{version}");
        let answer =
            typed!(connection, version, Produce, request(1, &stamped, &[(0, batch.clone())]));
        assert!(rows(&answer)[0].log_append_time_ms > 1_700_000_000_000, "v{version}");
        let odd = typed!(connection, version, Produce, request(5, &topic, &[(0, batch.clone())]));
        let row = rows(&odd)[0].clone();
        assert_eq!((row.error_code, row.base_offset), (ErrorCode::InvalidRequiredAcks, -1));
    }
    let mut ghost = request(-1, "", &[(0, batch.clone())]);
    let by_id = |topic| TopicProduceData { topic_id: Uuid([3; 16]), ..topic };
    ghost.topic_data = ghost.topic_data.into_iter().map(by_id).collect();
    let answer = typed!(connection, 13, Produce, ghost);
    assert_eq!(rows(&answer)[0].error_code, ErrorCode::UnknownTopicId);
}

#[test]
fn records_too_far_from_the_clock_are_named() {
    let broker = Broker::any(Options::default());
    let connection = &mut broker.connect();
    let (topic, strict) = (fresh_topic("future"), fresh_topic("past"));
    create_ready_topic(connection, &topic, 1);
    create_topic_with(connection, &strict, 1, &[("message.timestamp.before.max.ms", "60000")]);
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let now_ms = since_1970.as_millis() as i64;
    let hour_ms = 3_600_000;
    let batch = |timestamps: &[i64]| {
        let add = |batch: BatchBuilder, timestamp: &i64| batch.value(*timestamp, "x");
        timestamps.iter().fold(BatchBuilder::new(), add).build()
    };
    let mut refused = |version, topic: &str, timestamps: &[i64]| {
        let answer =
            typed!(connection, version, Produce, request(-1, topic, &[(0, batch(timestamps))]));
        let row = rows(&answer)[0].clone();
        let indexes: Vec<i32> = row.record_errors.iter().map(|error| error.batch_index).collect();
        let says_why = version >= 8 && row.error_code != ErrorCode::None;
        assert_eq!(row.error_message.is_some(), says_why);
        assert!(row.record_errors.iter().all(|e| e.batch_index_error_message.is_some()));
        (row.error_code, row.base_offset, indexes)
    };
    let (ok, invalid) = (ErrorCode::None, ErrorCode::InvalidTimestamp);
    let late = [now_ms, now_ms + 2 * hour_ms, now_ms - hour_ms, now_ms + 3 * hour_ms];
    assert_eq!(refused(8, &topic, &late), (invalid, -1, vec![1, 3]));
    assert_eq!(refused(3, &topic, &late), (invalid, -1, vec![]), "before record errors (KIP-467)");
    assert_eq!(refused(12, &topic, &[now_ms - hour_ms, -1]), (ok, 0, vec![]), "old is fine");
    assert_eq!(refused(12, &strict, &[now_ms, now_ms - hour_ms]), (invalid, -1, vec![1]));
    assert_eq!(refused(12, &strict, &[now_ms - 1_000, now_ms]), (ok, 0, vec![]));
}

/// Nobody reads an answer to acks=0, so an error ends the connection.
#[test]
fn an_error_without_acknowledgement_closes_the_connection() {
    let broker = Broker::any(Options::default());
    let topic = fresh_topic("silent");
    create_ready_topic(&mut broker.connect(), &topic, 1);
    let batch = Batch::of(&[b"a"]).encode();
    let mut connection = broker.connect();
    typed::send(&mut connection, 9, request(0, &topic, &[(0, batch.clone())]));
    assert_eq!(one(&mut connection, 9, &topic, batch.clone()).1, 1, "the first was taken");
    typed::send(&mut connection, 9, request(0, "nope", &[(0, batch)]));
    assert!(connection.is_closed_by_peer());
}
