//! ListOffsets, OffsetForLeaderEpoch and DeleteRecords on the wire, at every version, as Apache Kafka answers them.

mod harness;

use corelane_net::codec::Str;
use corelane_net::error_code::ErrorCode;
use corelane_net::messages::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic, FetchPartition, FetchRequest,
    FetchTopic, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};

use corelane_storage::batch::BatchBuilder;

use harness::batch::Batch;
use harness::broker::Broker;
use harness::options::Options;
use harness::rdkafka_client::fresh_topic;
use harness::requests::{create_ready_topic, produce_one};
use harness::typed::{create_topic_with, typed};
use harness::wire::Connection;

const OK: ErrorCode = ErrorCode::None;

/// Error, timestamp, offset and leader epoch of each partition, by partition.
type Offsets = Vec<(i32, ErrorCode, i64, i64, i32)>;

fn list(connection: &mut Connection, version: i16, topic: &str, asked: &[(i32, i64)]) -> Offsets {
    list_fenced(connection, version, topic, asked, -1)
}

fn list_fenced(
    connection: &mut Connection,
    version: i16,
    topic: &str,
    asked: &[(i32, i64)],
    current_leader_epoch: i32,
) -> Offsets {
    let partition = |(partition_index, timestamp): &(i32, i64)| ListOffsetsPartition {
        partition_index: *partition_index,
        current_leader_epoch,
        timestamp: *timestamp,
    };
    let partitions = asked.iter().map(partition).collect();
    let topics = vec![ListOffsetsTopic { name: Str::from(topic), partitions }];
    let answer = typed!(
        connection,
        version,
        ListOffsets,
        ListOffsetsRequest { topics, ..Default::default() }
    );
    let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    let mut offsets: Offsets = partitions
        .map(|p| (p.partition_index, p.error_code, p.timestamp, p.offset, p.leader_epoch))
        .collect();
    offsets.sort_by_key(|(partition, ..)| *partition);
    offsets
}

#[test]
fn the_ends_of_a_log_at_every_version() {
    let broker = Broker::any(Options::default());
    let connection = &mut broker.connect();
    let topic = fresh_topic("ends");
    create_ready_topic(connection, &topic, 2);
    for _ in 0..3 {
        produce_one(connection, &topic, 0, &Batch::of(&[b"a", b"b"]).encode());
    }
    let epoch = leader_epoch(connection, &topic);
    for version in 1..=11 {
        let epoch = if version >= 4 { epoch } else { -1 };
        let mut at =
            |timestamp| list(connection, version, &topic, &[(0, timestamp), (1, timestamp)]);
        assert_eq!(at(-1), [(0, OK, -1, 6, epoch), (1, OK, -1, 0, epoch)], "v{version}");
        let first = [(0, OK, -1, 0, epoch), (1, OK, -1, 0, epoch)];
        assert_eq!(at(-2), first, "v{version}");
        let refused = [0, 1].map(|index| (index, ErrorCode::UnsupportedVersion, -1, -1, -1));
        let nothing = [0, 1].map(|index| (index, OK, -1, -1, -1));
        assert_eq!(at(-4), if version >= 8 { first } else { refused }, "v{version}");
        assert_eq!(at(-5), if version >= 9 { nothing } else { refused }, "v{version}");
        assert_eq!(at(-6), if version >= 11 { nothing } else { refused }, "v{version}");
        assert_eq!(at(-7), refused, "v{version}");
        assert_eq!(at(i64::MIN), refused, "v{version}");
    }
}

/// Two batches of records at 1,000, 3,000 and 2,000 ms.
#[test]
fn offsets_by_time_at_every_version() {
    let broker = Broker::any(Options::default());
    let connection = &mut broker.connect();
    let topic = fresh_topic("times");
    create_ready_topic(connection, &topic, 2);
    let batch = BatchBuilder::new().value(1_000, "a").value(3_000, "b").value(2_000, "c").build();
    for _ in 0..2 {
        produce_one(connection, &topic, 0, &batch);
    }
    let epoch = leader_epoch(connection, &topic);
    for version in 1..=11 {
        let epoch = if version >= 4 { epoch } else { -1 };
        let none = |index| (index, OK, -1, -1, -1);
        let mut at =
            |timestamp| list(connection, version, &topic, &[(0, timestamp), (1, timestamp)]);
        for timestamp in [0, 1_000] {
            assert_eq!(at(timestamp), [(0, OK, 1_000, 0, epoch), none(1)], "v{version}");
        }
        for timestamp in [1_001, 2_500, 3_000] {
            assert_eq!(at(timestamp), [(0, OK, 3_000, 1, epoch), none(1)], "v{version}");
        }
        for timestamp in [3_001, i64::MAX] {
            assert_eq!(at(timestamp), [none(0), none(1)], "v{version}");
        }
        let newest = if version >= 7 {
            [(0, OK, 3_000, 1, epoch), none(1)]
        } else {
            [0, 1].map(|index| (index, ErrorCode::UnsupportedVersion, -1, -1, -1))
        };
        assert_eq!(at(-3), newest, "v{version}");
    }
}

/// The epoch in which the topic's partitions are led.
fn leader_epoch(connection: &mut Connection, topic: &str) -> i32 {
    list(connection, 4, topic, &[(0, -1)])[0].4
}

#[test]
fn list_offsets_refuses_what_kafka_refuses() {
    let broker = Broker::any(Options::default());
    let connection = &mut broker.connect();
    let topic = fresh_topic("refuses");
    create_ready_topic(connection, &topic, 2);
    let epoch = leader_epoch(connection, &topic);
    let twice = list(connection, 11, &topic, &[(0, -1), (0, -2), (1, -1), (9, -1)]);
    let refused = |index, code| (index, code, -1, -1, -1);
    let unknown = ErrorCode::UnknownTopicOrPartition;
    let expected =
        [refused(0, ErrorCode::InvalidRequest), (1, OK, -1, 0, epoch), refused(9, unknown)];
    assert_eq!(twice, expected);
    assert_eq!(list(connection, 1, "nope", &[(0, -1)]), [refused(0, unknown)]);
    let newer = list_fenced(connection, 11, &topic, &[(0, -1)], epoch + 1);
    assert_eq!(newer, [refused(0, ErrorCode::UnknownLeaderEpoch)]);
    if epoch > 0 {
        let older = list_fenced(connection, 11, &topic, &[(0, -1)], epoch - 1);
        assert_eq!(older, [refused(0, ErrorCode::FencedLeaderEpoch)]);
    }
    let partitions = vec![ListOffsetsPartition { timestamp: -1, ..Default::default() }];
    let odd = ListOffsetsRequest {
        isolation_level: 9,
        topics: vec![ListOffsetsTopic { name: Str::from(&*topic), partitions }],
        ..Default::default()
    };
    let answer = typed!(connection, 11, ListOffsets, odd);
    assert_eq!(answer.topics[0].partitions[0].error_code, ErrorCode::UnknownServerError);
}

/// Error, epoch and end of `epoch` in one partition.
fn epoch_end(
    connection: &mut Connection,
    version: i16,
    topic: &str,
    partition: i32,
    epochs: (i32, i32),
) -> (ErrorCode, i32, i64) {
    let (current_leader_epoch, leader_epoch) = epochs;
    let asked = OffsetForLeaderPartition { partition, current_leader_epoch, leader_epoch };
    let request = OffsetForLeaderEpochRequest {
        topics: vec![OffsetForLeaderTopic { topic: Str::from(topic), partitions: vec![asked] }],
        ..Default::default()
    };
    let answer = typed!(connection, version, OffsetForLeaderEpoch, request);
    let one = &answer.topics[0].partitions[0];
    assert_eq!(one.partition, partition);
    (one.error_code, one.leader_epoch, one.end_offset)
}

#[test]
fn a_leader_epoch_ends_where_the_next_begins() {
    if Broker::must_skip("a_leader_epoch_ends_where_the_next_begins") {
        return;
    }
    let mut broker = Broker::start(Options::default());
    let topic = fresh_topic("epochs");
    let connection = &mut broker.connect();
    create_ready_topic(connection, &topic, 2);
    let batch = Batch::of(&[b"a", b"b"]).encode();
    produce_one(connection, &topic, 0, &batch);
    let first = leader_epoch(connection, &topic);
    for version in 2..=4 {
        let mut end = |partition, epochs| epoch_end(connection, version, &topic, partition, epochs);
        assert_eq!(end(0, (-1, first)), (OK, first, 2), "v{version}");
        assert_eq!(end(1, (-1, first)), (OK, first, 0), "no record yet");
        assert_eq!(end(0, (-1, first + 1)), (OK, -1, -1), "not yet");
        assert_eq!(end(0, (-1, -1)), (OK, -1, -1));
        assert_eq!(end(0, (first + 1, first)), (ErrorCode::UnknownLeaderEpoch, -1, -1));
        assert_eq!(end(7, (-1, first)), (ErrorCode::UnknownTopicOrPartition, -1, -1));
    }
    broker.terminate();
    broker.start_again();
    let connection = &mut broker.connect();
    let second = leader_epoch(connection, &topic);
    assert!(second > first);
    produce_one(connection, &topic, 0, &batch);
    let mut end = |epochs| epoch_end(connection, 4, &topic, 0, epochs);
    assert_eq!(end((second, first)), (OK, first, 2));
    assert_eq!(end((second, second)), (OK, second, 4));
    assert_eq!(end((first, first)), (ErrorCode::FencedLeaderEpoch, -1, -1));
    let mut fetch = |offset, last_fetched_epoch, current_leader_epoch| {
        let partition = FetchPartition {
            fetch_offset: offset,
            last_fetched_epoch,
            current_leader_epoch,
            partition_max_bytes: 1 << 20,
            ..Default::default()
        };
        let topics = vec![FetchTopic {
            topic: Str::from(&*topic),
            partitions: vec![partition],
            ..Default::default()
        }];
        let request = FetchRequest { max_bytes: 1 << 20, topics, ..Default::default() };
        let mut answer = typed!(connection, 12, Fetch, request);
        let one = answer.responses.remove(0).partitions.remove(0);
        let has_records = one.records.is_some_and(|records| !records.is_empty());
        (one.error_code, one.diverging_epoch.epoch, one.diverging_epoch.end_offset, has_records)
    };
    assert_eq!(fetch(2, first, -1), (OK, -1, -1, true));
    assert_eq!(fetch(3, first, -1), (OK, first, 2, false), "it diverges at 2");
    assert_eq!(fetch(4, second, -1), (OK, -1, -1, false));
    assert_eq!(fetch(0, second + 1, -1), (ErrorCode::OffsetOutOfRange, -1, -1, false));
    assert_eq!(fetch(0, -1, first), (ErrorCode::FencedLeaderEpoch, -1, -1, false));
    assert_eq!(fetch(0, -1, second + 1), (ErrorCode::UnknownLeaderEpoch, -1, -1, false));
}

/// Partition, low watermark and error of each partition, by partition.
fn delete(
    connection: &mut Connection,
    version: i16,
    topic: &str,
    asked: &[(i32, i64)],
) -> Vec<(i32, i64, ErrorCode)> {
    let partition = |(partition_index, offset): &(i32, i64)| DeleteRecordsPartition {
        partition_index: *partition_index,
        offset: *offset,
    };
    let partitions = asked.iter().map(partition).collect();
    let topics = vec![DeleteRecordsTopic { name: Str::from(topic), partitions }];
    let request = DeleteRecordsRequest { topics, timeout_ms: 30_000 };
    let answer = typed!(connection, version, DeleteRecords, request);
    let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    let mut deleted: Vec<_> =
        partitions.map(|p| (p.partition_index, p.low_watermark, p.error_code)).collect();
    deleted.sort_by_key(|(partition, ..)| *partition);
    deleted
}

#[test]
fn deleted_records_stay_deleted() {
    if Broker::must_skip("deleted_records_stay_deleted") {
        return;
    }
    let mut broker = Broker::start(Options::default());
    let topic = fresh_topic("deleted");
    let connection = &mut broker.connect();
    create_ready_topic(connection, &topic, 3);
    for _ in 0..5 {
        produce_one(connection, &topic, 0, &Batch::of(&[b"a"]).encode());
    }
    produce_one(connection, &topic, 2, &Batch::of(&[b"a"]).encode());
    let out = (0, -1, ErrorCode::OffsetOutOfRange);
    for version in 0..=2 {
        assert_eq!(
            delete(connection, version, &topic, &[(0, 2), (1, 0)]),
            [(0, 2, OK), (1, 0, OK)]
        );
        assert_eq!(
            delete(connection, version, &topic, &[(0, 1)]),
            [(0, 2, OK)],
            "it never goes back"
        );
        assert_eq!(delete(connection, version, &topic, &[(0, 6)]), [out]);
        assert_eq!(delete(connection, version, &topic, &[(0, -2)]), [out]);
        let unknown = ErrorCode::UnknownTopicOrPartition;
        assert_eq!(delete(connection, version, &topic, &[(9, 0)]), [(9, -1, unknown)]);
        assert_eq!(delete(connection, version, "nope", &[(0, 0)]), [(0, -1, unknown)]);
    }
    let twice = [(0, 77), (0, 3)];
    assert_eq!(delete(connection, 2, &topic, &twice), [(0, 3, OK)], "the last mention counts");
    assert_eq!(delete(connection, 2, &topic, &[(2, -1)]), [(2, 1, OK)], "all there are");
    // Apache Kafka notes its log starts once a minute and at its end: a kill would bring records back.
    match broker.is_corelane() {
        true => broker.kill(),
        false => broker.terminate(),
    }
    broker.start_again();
    let connection = &mut broker.connect();
    let mut first = || {
        let first = list(connection, 1, &topic, &[(0, -2), (1, -2), (2, -2)]);
        first.into_iter().map(|(.., offset, _)| offset).collect::<Vec<_>>()
    };
    // A moment for Apache Kafka to lead its partitions again.
    for _ in 0..200 {
        if first() == [3, 0, 1] {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(first(), [3, 0, 1]);
}

#[test]
fn a_topic_that_is_only_compacted_keeps_its_records() {
    let broker = Broker::any(Options::default());
    let connection = &mut broker.connect();
    let (compacted, both) = (fresh_topic("compacted"), fresh_topic("both"));
    create_topic_with(connection, &compacted, 1, &[("cleanup.policy", "compact")]);
    create_topic_with(connection, &both, 1, &[("cleanup.policy", "compact,delete")]);
    let refused = (0, -1, ErrorCode::PolicyViolation);
    assert_eq!(delete(connection, 2, &compacted, &[(0, 0)]), [refused]);
    assert_eq!(delete(connection, 2, &both, &[(0, 0)]), [(0, 0, OK)]);
}
