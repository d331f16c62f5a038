//! ListOffsets: the first, the last, and by time, in plain and in compressed batches.

use corelane_net::messages::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};

use crate::harness::batch::Batch;
use crate::harness::rdkafka_client::{Record, TestProducer};
use crate::harness::requests::produce_one;
use crate::stage::Stage;

const EVERY_VERSION: &[i16] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const START_MS: i64 = 1_700_000_000_000;

fn request(topic: &str, partitions: &[(i32, i64)]) -> ListOffsetsRequest {
    let partition = |(partition_index, timestamp): &(i32, i64)| ListOffsetsPartition {
        partition_index: *partition_index,
        timestamp: *timestamp,
        ..ListOffsetsPartition::default()
    };
    let partitions = partitions.iter().map(partition).collect();
    let topics = vec![ListOffsetsTopic { name: topic.into(), partitions }];
    ListOffsetsRequest { topics, timeout_ms: 10_000, ..ListOffsetsRequest::default() }
}

/// Partition 0 has records at 0, 100, 50 | 200, 200 | 150 ms after the start; partition 1 none.
fn filled(stage: &mut Stage<'_>) {
    stage.create_topic("timed", 2, &[]);
    let mut connection = stage.connect();
    for after_ms in [vec![0, 100, 50], vec![200, 200], vec![150]] {
        let values: Vec<&[u8]> = after_ms.iter().map(|_| &b"value"[..]).collect();
        let timestamps_ms = after_ms.iter().map(|after| START_MS + after).collect();
        let batch = Batch { timestamps_ms, ..Batch::of(&values) };
        produce_one(&mut connection, "timed", 0, &batch.encode());
    }
}

pub fn play(stage: &mut Stage<'_>) {
    filled(stage);
    for timestamp in [-1, -2, -3, -4, -5, -6, -7, i64::MIN] {
        let asked = request("timed", &[(0, timestamp), (1, timestamp)]);
        stage.ask_at(EVERY_VERSION, &format!("timestamp {timestamp}"), asked);
    }
    for after_ms in [-1, 0, 1, 50, 100, 101, 150, 200, 201] {
        let asked = request("timed", &[(0, START_MS + after_ms), (1, START_MS + after_ms)]);
        stage.ask_at(&[1, 4, 11], &format!("{after_ms} ms after the start"), asked);
    }
    for timestamp in [0, i64::MAX] {
        stage.ask_at(&[1, 11], &format!("at {timestamp}"), request("timed", &[(0, timestamp)]));
    }
    stage.ask_at(&[1, 4, 11], "an unknown topic", request("nowhere", &[(0, -1)]));
    stage.ask_at(&[1, 4, 11], "an illegal name", request("a/b", &[(0, -1)]));
    stage.ask_at(
        &[1, 4, 11],
        "unknown partitions",
        request("timed", &[(2, -1), (-1, -2), (0, -1)]),
    );
    stage.ask_at(&[1, 4, 11], "a partition twice", request("timed", &[(0, -1), (0, -2), (1, -1)]));
    let mut split = request("timed", &[(0, -1)]);
    split.topics.extend(request("timed", &[(1, -1)]).topics);
    stage.ask_at(&[1, 11], "a topic twice", split);
    stage.ask_at(&[1, 11], "no topic", ListOffsetsRequest::default());
    for isolation_level in [1, 2] {
        let asked = ListOffsetsRequest { isolation_level, ..request("timed", &[(0, -1), (1, -1)]) };
        stage.ask_at(&[2, 11], &format!("isolation {isolation_level}"), asked);
    }
    for replica_id in [-2, 0, 99] {
        let asked = ListOffsetsRequest { replica_id, ..request("timed", &[(0, -1)]) };
        stage.ask_at(&[1, 11], &format!("replica {replica_id}"), asked);
    }
    let now = stage.leader_epoch();
    for (step, epoch) in [("the leader's", now), ("a later", now + 1), ("an impossible", -2)] {
        let mut asked = request("timed", &[(0, -1)]);
        asked.topics[0].partitions[0].current_leader_epoch = epoch;
        stage.ask_at(&[3, 4, 11], &format!("{step} epoch"), asked);
    }
}

/// One batch of five records a codec, made by librdkafka.
pub fn compressed(stage: &mut Stage<'_>) {
    for codec in ["gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("timed-{codec}");
        stage.create_topic(&topic, 1, &[]);
        let settings = [("compression.codec", codec), ("linger.ms", "300"), ("acks", "all")];
        let producer = TestProducer::new(stage.broker(), &settings);
        for number in 0..5 {
            let timestamp_ms = START_MS + number * 10;
            let value = Some(vec![b'v'; 400]);
            let record = Record { value, timestamp_ms, ..Record::default() };
            producer.send(&topic, Some(0), &record, number as usize);
        }
        producer.delivered(5);
        for (step, timestamp) in [
            ("before", START_MS - 1),
            ("the first", START_MS),
            ("in the midst", START_MS + 15),
            ("the last", START_MS + 40),
            ("after", START_MS + 41),
            ("the highest", -3),
        ] {
            let asked = request(&topic, &[(0, timestamp)]);
            stage.ask_at(&[7, 11], &format!("{codec}, {step}"), asked);
        }
    }
}

/// With LogAppendTime a batch has one time, the broker's.
pub fn stamped(stage: &mut Stage<'_>) {
    stage.create_topic("timed-by-broker", 1, &[("message.timestamp.type", "LogAppendTime")]);
    let mut connection = stage.connect();
    produce_one(&mut connection, "timed-by-broker", 0, &Batch::of(&[b"one", b"two"]).encode());
    for timestamp in [START_MS, -3, i64::MAX] {
        let asked = request("timed-by-broker", &[(0, timestamp)]);
        stage.ask_at(&[7, 11], &format!("at {timestamp}"), asked);
    }
}
