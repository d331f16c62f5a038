//! Produce on the wire: what is said of each partition, as Apache Kafka says it.

mod harness;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use corelane_net::codec::{Str, Uuid};
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    Api, DeleteTopicsRequest, PartitionProduceData, PartitionProduceResponse, ProduceRequest,
    ProduceResponse, Response, TopicProduceData,
};

use corelane_storage::batch::BatchBuilder;

use harness::batch::{Batch, ZSTD, zeros_by_zstd};
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
    let now_ms = now_ms();
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

/// Requests are under way on one connection while another deletes their topic: each is answered, those
/// from the deletion on with UNKNOWN_TOPIC_OR_PARTITION, and what was acknowledged came first.
#[test]
fn a_topic_deleted_in_the_middle_of_a_produce() {
    const REQUESTS: usize = 40;
    let broker = Broker::any(Options::default());
    let (connection, admin) = (&mut broker.connect(), &mut broker.connect());
    let batch = Batch::of(&[&[7; 60_000]]).encode();
    let mut refused_in_all = 0;
    for round in 0..20 {
        let topic = fresh_topic("deleted");
        create_ready_topic(connection, &topic, 2);
        let produce = request(-1, &topic, &[(0, batch.clone()), (1, batch.clone())]);
        let frame = typed::frame(9, produce);
        let delete = DeleteTopicsRequest {
            topic_names: vec![Str::from(&*topic)],
            timeout_ms: 30_000,
            ..Default::default()
        };
        for number in 0..REQUESTS {
            connection.send_raw(&frame).expect("sent");
            if number == round {
                typed::send(admin, 4, delete.clone());
            }
        }
        let codes = (0..REQUESTS).map(|_| match typed::receive(connection, Api::Produce, 9) {
            Response::Produce(answer) => rows(&answer).iter().map(|row| row.error_code).collect(),
            other => panic!("an answer of another API: {other:?}"),
        });
        let codes: Vec<Vec<ErrorCode>> = codes.collect();
        for partition in 0..2 {
            let is_refused = |row: &&Vec<ErrorCode>| row[partition] != ErrorCode::None;
            let refused: Vec<_> = codes.iter().skip_while(|row| !is_refused(row)).collect();
            let unknown = ErrorCode::UnknownTopicOrPartition;
            assert!(refused.iter().all(|row| row[partition] == unknown), "{codes:?}");
            refused_in_all += refused.len();
        }
        match typed::receive(admin, Api::DeleteTopics, 4) {
            Response::DeleteTopics(answer) => {
                assert_eq!(answer.responses[0].error_code, ErrorCode::None);
            }
            other => panic!("an answer of another API: {other:?}"),
        }
    }
    assert!(refused_in_all > 0, "no deletion came in the middle");
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

/// A topic whose batches of several records are all opened to look at their timestamps.
fn create_strict_topic(connection: &mut Connection, partitions: i32) -> String {
    let strict = fresh_topic("strict");
    let limit = [("message.timestamp.before.max.ms", "3600000")];
    create_topic_with(connection, &strict, partitions, &limit);
    strict
}

/// Records that have to be decompressed first keep nobody waiting but those of their own topic.
#[test]
fn batches_that_take_long_to_check_do_not_hold_up_other_topics() {
    const PARTITIONS: i32 = 40;
    let broker = Broker::any(Options::default());
    let (slow, other) = (&mut broker.connect(), &mut broker.connect());
    let strict = create_strict_topic(slow, PARTITIONS);
    let plain = fresh_topic("plain");
    create_ready_topic(other, &plain, 8);
    let large = zeros_by_zstd(500, now_ms());
    let batches: Vec<_> = (0..PARTITIONS).map(|partition| (partition, large.clone())).collect();
    let one = Batch::of(&[b"x"]).encode();
    let others: Vec<_> = (0..8).map(|partition| (partition, one.clone())).collect();
    let is_taken = |row: &&PartitionProduceResponse| row.error_code == ErrorCode::None;
    std::thread::scope(|scope| {
        let slow_end = scope.spawn(|| {
            let answer = typed!(slow, 7, Produce, request(-1, &strict, &batches));
            assert!(rows(&answer).iter().all(is_taken));
            Instant::now()
        });
        std::thread::sleep(Duration::from_millis(50));
        let answer = typed!(other, 7, Produce, request(-1, &plain, &others));
        let end = Instant::now();
        assert!(rows(&answer).iter().all(is_taken));
        assert!(end < slow_end.join().expect("no panic"), "the other topic had to wait");
    });
}

#[test]
fn a_batch_that_takes_long_to_check_keeps_its_place_in_the_partition() {
    let broker = Broker::any(Options::default());
    let connection = &mut broker.connect();
    let strict = create_strict_topic(connection, 1);
    let large = zeros_by_zstd(500, now_ms());
    let mut small = Batch::of(&[b"x"]);
    small.timestamps_ms = vec![now_ms()];
    let small = small.encode();
    for batch in [&large, &small, &large, &small] {
        typed::send(connection, 7, request(-1, &strict, &[(0, batch.clone())]));
    }
    for base_offset in [0, 2, 3, 5] {
        let Response::Produce(answer) = typed::receive(connection, Api::Produce, 7) else {
            panic!("an answer of another API");
        };
        let row = rows(&answer)[0];
        assert_eq!((row.error_code, row.base_offset), (ErrorCode::None, base_offset));
    }
}

/// Apache Kafka decompresses it all.
#[test]
fn a_batch_is_not_decompressed_without_bound() {
    let broker = Broker::start(Options::default());
    let connection = &mut broker.connect();
    let strict = create_strict_topic(connection, 1);
    let mut produce = |blocks| one(connection, 7, &strict, zeros_by_zstd(blocks, now_ms())).0;
    assert_eq!(produce(511), ErrorCode::None);
    assert_eq!(produce(513), ErrorCode::InvalidRecord);
}
