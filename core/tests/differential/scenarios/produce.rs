//! Produce: good batches, bad ones, and who may append what where.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use corelane_net::codec::Uuid;
use corelane_net::messages::{PartitionProduceData, ProduceRequest, TopicProduceData};

use crate::harness::batch::{Batch, CONTROL, TRANSACTIONAL, old_message_set};
use crate::stage::Stage;

const EVERY_NAMED_VERSION: &[i16] = &[3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
const SOME_VERSIONS: &[i16] = &[3, 7, 8, 10, 12];

/// Each partition of one topic with its batches.
pub fn request(topic: &str, partitions: &[(i32, &[u8])]) -> ProduceRequest {
    let partition = |(index, records): &(i32, &[u8])| PartitionProduceData {
        index: *index,
        records: Some(Bytes::copy_from_slice(records)),
    };
    let topic = TopicProduceData {
        name: topic.into(),
        partition_data: partitions.iter().map(partition).collect(),
        ..TopicProduceData::default()
    };
    ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![topic].into(),
        ..ProduceRequest::default()
    }
}

pub fn by_id(id: Uuid, partitions: &[(i32, &[u8])]) -> ProduceRequest {
    let mut request = request("", partitions);
    let by_id = |topic| TopicProduceData { topic_id: id, ..topic };
    request.topic_data = request.topic_data.into_iter().map(by_id).collect();
    request
}

pub fn play(stage: &mut Stage<'_>) {
    let id = stage.create_topic("produced", 2, &[]);
    let batch = Batch::of(&[b"one", b"two"]).encode();
    stage.ask_at(EVERY_NAMED_VERSION, "a batch", request("produced", &[(0, &batch)]));
    stage.ask_at(&[13], "a batch", by_id(id, &[(0, &batch)]));
    stage.ask_at(&[3, 12], "two partitions", request("produced", &[(0, &batch), (1, &batch)]));
    stage.ask_at(SOME_VERSIONS, "an unknown topic", request("nowhere", &[(0, &batch)]));
    stage.ask_at(&[3, 12], "an illegal name", request("a/b", &[(0, &batch)]));
    stage.ask_at(SOME_VERSIONS, "an unknown partition", request("produced", &[(2, &batch)]));
    stage.ask_at(&[3, 12], "a negative partition", request("produced", &[(-1, &batch)]));
    stage.ask_at(&[13], "an unknown partition", by_id(id, &[(2, &batch)]));
    stage.ask_at(&[13], "an unknown id", by_id(Uuid(*b"an unknown topic"), &[(0, &batch)]));
    stage.ask_at(&[13], "the id zero", by_id(Uuid::ZERO, &[(0, &batch)]));
    stage.ask_at(&[3, 12], "a partition twice", request("produced", &[(1, &batch), (1, &batch)]));
    let mut twice = request("produced", &[(1, &batch)]);
    twice.topic_data =
        twice.topic_data.clone().into_iter().chain(twice.topic_data.clone()).collect();
    stage.ask_at(&[3, 12], "a topic twice", twice);
    let empty = ProduceRequest { topic_data: Vec::new().into(), ..request("", &[]) };
    stage.ask_at(&[3, 12], "no topic", empty);
    stage.ask_at(&[3, 12], "no partition", request("produced", &[]));
    let mut transactional = request("produced", &[(1, &batch)]);
    transactional.transactional_id = Some("a transaction".into());
    stage.ask_at(&[3, 12], "a transactional id, a plain batch", transactional);
    acks(stage);
}

fn acks(stage: &mut Stage<'_>) {
    let batch = Batch::of(&[b"acknowledged?"]).encode();
    for acks in [1, 2, -2, i16::MAX] {
        let request = ProduceRequest { acks, ..request("produced", &[(0, &batch)]) };
        stage.ask_at(&[3, 12], &format!("acks {acks}"), request);
    }
    let bad = Batch { crc_damage: 1, ..Batch::of(&[b"bad"]) }.encode();
    for (step, topic, partition, batch) in [
        ("a batch", "produced", 0, &batch),
        ("an unknown topic", "nowhere", 0, &batch),
        ("an unknown partition", "produced", 9, &batch),
        ("a damaged batch", "produced", 0, &bad),
    ] {
        for version in [3, 12] {
            let request = ProduceRequest { acks: 0, ..request(topic, &[(partition, batch)]) };
            stage.send_unanswered(&format!("v{version}: acks 0, {step}"), version, request);
        }
    }
}

/// Batches that are none, or not as they claim, each sent to a partition of its own.
pub fn malformed(stage: &mut Stage<'_>) {
    let batches = malformed_batches();
    stage.create_topic("malformed", batches.len() as i32 + 1, &[]);
    let versions = &[3, 8, 12];
    for (partition, (step, records)) in (1..).zip(&batches) {
        stage.ask_at(versions, step, request("malformed", &[(partition, records)]));
    }
    let null = PartitionProduceData { index: 0, records: None };
    let topic = TopicProduceData {
        name: "malformed".into(),
        partition_data: vec![null].into(),
        ..TopicProduceData::default()
    };
    let null = ProduceRequest { topic_data: vec![topic].into(), ..request("", &[]) };
    stage.ask_at(versions, "null", null);
}

fn malformed_batches() -> Vec<(&'static str, Vec<u8>)> {
    let good = Batch::of(&[b"one", b"two", b"three"]);
    let bytes = good.encode();
    let with = |change: &dyn Fn(&mut Batch)| {
        let mut batch = good.clone();
        change(&mut batch);
        batch.encode()
    };
    let patched = |at: usize, patch: &[u8]| {
        let mut patched = bytes.clone();
        patched[at..at + patch.len()].copy_from_slice(patch);
        patched
    };
    let length = (bytes.len() - 12) as i32;
    vec![
        ("no bytes", Vec::new()),
        ("a header that is cut", bytes[..40].to_vec()),
        ("a batch that is cut", bytes[..bytes.len() - 1].to_vec()),
        ("a byte behind the batch", [&bytes[..], &[0]].concat()),
        ("two batches", [&bytes[..], &bytes].concat()),
        ("a length one too small", patched(8, &(length - 1).to_be_bytes())),
        ("a length one too large", patched(8, &(length + 1).to_be_bytes())),
        ("a negative length", patched(8, &(-1i32).to_be_bytes())),
        ("the length zero", patched(8, &0i32.to_be_bytes())),
        ("the largest length", patched(8, &i32::MAX.to_be_bytes())),
        ("a base offset of 7", patched(0, &7i64.to_be_bytes())),
        ("a leader epoch of 9", patched(12, &9i32.to_be_bytes())),
        ("a wrong checksum", with(&|batch| batch.crc_damage = 1)),
        ("magic 0", with(&|batch| batch.magic = 0)),
        ("magic 1", with(&|batch| batch.magic = 1)),
        ("magic 3", with(&|batch| batch.magic = 3)),
        ("magic -1", with(&|batch| batch.magic = -1)),
        ("a message set of magic 0", old_message_set(0, b"old")),
        ("a message set of magic 1", old_message_set(1, b"old")),
        ("one record too few", with(&|batch| batch.count = Some(4))),
        ("one record too many", with(&|batch| batch.count = Some(2))),
        ("count zero", with(&|batch| batch.count = Some(0))),
        ("count -1", with(&|batch| batch.count = Some(-1))),
        ("a last offset delta too small", with(&|batch| batch.last_offset_delta = Some(1))),
        ("a last offset delta too large", with(&|batch| batch.last_offset_delta = Some(3))),
        ("a last offset delta below zero", with(&|batch| batch.last_offset_delta = Some(-1))),
        ("compression 5", with(&|batch| batch.attributes = 5)),
        ("compression 7", with(&|batch| batch.attributes = 7)),
        ("gzip that is none", with(&|batch| batch.attributes = 1)),
        ("log append time", with(&|batch| batch.attributes = 1 << 3)),
        ("a control batch", with(&|batch| batch.attributes = CONTROL)),
        ("a transactional batch", with(&|batch| batch.attributes = TRANSACTIONAL)),
        ("an unused attribute", with(&|batch| batch.attributes = 1 << 8)),
        ("no records", Batch::of(&[]).encode()),
    ]
}

/// Kafka forgets a producer whose records are old by their own timestamps.
pub fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    now.as_millis() as i64
}

/// The window of five batches of an idempotent producer.
pub fn idempotent(stage: &mut Stage<'_>) {
    stage.create_topic("idempotent", 1, &[]);
    let producer_id = stage.producer_id();
    let batch = |epoch: i16, sequence: i32| {
        let values: [&[u8]; 2] = [b"one", b"two"];
        let batch = Batch { timestamps_ms: vec![now_ms()], ..Batch::of(&values) };
        Batch { producer_id, producer_epoch: epoch, base_sequence: sequence, ..batch }.encode()
    };
    let steps: [(&str, i16, i32); 16] = [
        ("the first", 0, 0),
        ("the first again", 0, 0),
        ("the second", 0, 2),
        ("a gap", 0, 6),
        ("the third", 0, 4),
        ("the fourth", 0, 6),
        ("the fifth", 0, 8),
        ("the sixth", 0, 10),
        ("the second again", 0, 2),
        ("the first, out of the window", 0, 0),
        ("half of one", 0, 11),
        ("a new epoch, not at zero", 1, 4),
        ("a new epoch", 1, 0),
        ("the old epoch", 0, 12),
        ("a negative sequence", 1, -1),
        ("a negative epoch", -1, 2),
    ];
    for (step, epoch, sequence) in steps {
        let records = batch(epoch, sequence);
        stage.ask(&format!("v9: {step}"), 9, request("idempotent", &[(0, &records)]));
    }
    let wrapping = batch(2, 0);
    stage.ask("v9: epoch 2", 9, request("idempotent", &[(0, &wrapping)]));
    let unknown = Batch {
        producer_id: 1 << 40,
        producer_epoch: 3,
        base_sequence: 17,
        ..Batch::of(&[b"from nowhere"])
    };
    let records = unknown.encode();
    stage.ask("v9: an unknown producer", 9, request("idempotent", &[(0, &records)]));
}

/// What a topic's configs refuse, and what they change.
pub fn configured(stage: &mut Stage<'_>) {
    let versions = &[3, 8, 12];
    stage.create_topic("small-messages", 1, &[("max.message.bytes", "200")]);
    let large = Batch::of(&[&[b'x'; 300]]).encode();
    let small = Batch::of(&[b"small"]).encode();
    stage.ask_at(versions, "too large", request("small-messages", &[(0, &large)]));
    stage.ask_at(versions, "small enough", request("small-messages", &[(0, &small)]));
    stage.create_topic("stamped", 1, &[("message.timestamp.type", "LogAppendTime")]);
    stage.ask_at(versions, "stamped by the broker", request("stamped", &[(0, &small)]));
    stage.create_topic("compacted", 1, &[("cleanup.policy", "compact")]);
    let three = Batch::of(&[b"one", b"two", b"three"]);
    let keyless = three.encode();
    stage.ask_at(versions, "no keys in a compacted topic", request("compacted", &[(0, &keyless)]));
    out_of_time(stage, versions, three);
}

fn out_of_time(stage: &mut Stage<'_>, versions: &[i16], three: Batch) {
    // A day is what they may differ from the clock.
    let limits = [
        ("message.timestamp.before.max.ms", "86400000"),
        ("message.timestamp.after.max.ms", "3600000"),
    ];
    stage.create_topic("timely", 1, &limits);
    let year_2100_ms = 4_102_444_800_000;
    for (step, timestamps_ms) in [
        ("all too old", vec![1_700_000_000_000]),
        ("too late", vec![year_2100_ms]),
        ("one too old, one too late", vec![1_700_000_000_000, year_2100_ms, year_2100_ms]),
        ("no timestamp", vec![-1]),
        ("a negative timestamp", vec![-2]),
    ] {
        let records = Batch { timestamps_ms, ..three.clone() }.encode();
        stage.ask_at(versions, step, request("timely", &[(0, &records)]));
    }
    stage.create_topic("timeless", 1, &[]);
    for (step, timestamp_ms) in [("no timestamp", -1), ("-2", -2), ("2100", year_2100_ms)] {
        let records = Batch { timestamps_ms: vec![timestamp_ms], ..three.clone() }.encode();
        let step = format!("by default, {step}");
        stage.ask_at(versions, &step, request("timeless", &[(0, &records)]));
    }
}
