//! The requests that tests encode by hand, at one fixed version each, and what they read from the answers.

use std::io;

use super::wire::{Connection, Decoder, Encoder, Request};

pub const PRODUCE: i16 = 0;
pub const FETCH: i16 = 1;
pub const LIST_OFFSETS: i16 = 2;
pub const METADATA: i16 = 3;
pub const API_VERSIONS: i16 = 18;
pub const CREATE_TOPICS: i16 = 19;
pub const DELETE_TOPICS: i16 = 20;
pub const INIT_PRODUCER_ID: i16 = 22;

/// Error codes of the protocol, by the names of Kafka's `Errors.java`.
pub mod error {
    pub const NONE: i16 = 0;
    pub const OFFSET_OUT_OF_RANGE: i16 = 1;
    pub const CORRUPT_MESSAGE: i16 = 2;
    pub const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    pub const LEADER_NOT_AVAILABLE: i16 = 5;
    pub const MESSAGE_TOO_LARGE: i16 = 10;
    pub const INVALID_TOPIC: i16 = 17;
    pub const INVALID_REQUIRED_ACKS: i16 = 21;
    pub const UNSUPPORTED_VERSION: i16 = 35;
    pub const TOPIC_ALREADY_EXISTS: i16 = 36;
    pub const INVALID_PARTITIONS: i16 = 37;
    pub const INVALID_REPLICATION_FACTOR: i16 = 38;
    pub const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
    pub const INVALID_PRODUCER_EPOCH: i16 = 47;
    pub const INVALID_RECORD: i16 = 87;
}

/// A partition's answer to Produce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Produced {
    pub partition: i32,
    pub error: i16,
    pub base_offset: i64,
}

/// A partition's answer to Fetch.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub partition: i32,
    pub error: i16,
    pub high_watermark: i64,
    pub records: Vec<u8>,
}

/// Produce v3, one topic: (partition, records).
pub fn produce(acks: i16, topic: &str, partitions: &[(i32, &[u8])]) -> Request {
    let mut body = Encoder::new().null_string().i16(acks).i32(30_000).i32(1).string(topic);
    body = body.i32(partitions.len() as i32);
    for (partition, records) in partitions {
        body = body.i32(*partition).bytes(records);
    }
    Request { api_key: PRODUCE, version: 3, body: body.0 }
}

/// The partitions of the single topic in a Produce v3 answer, by partition number: Apache Kafka answers in any order.
pub fn produced(body: &[u8]) -> io::Result<Vec<Produced>> {
    let mut decoder = Decoder(body);
    let topics = decoder.list(|d| {
        d.string()?;
        d.list(|d| {
            let (partition, error, base_offset) = (d.i32()?, d.i16()?, d.i64()?);
            d.i64()?;
            Ok(Produced { partition, error, base_offset })
        })
    })?;
    decoder.i32()?;
    decoder.finish()?;
    let mut all: Vec<Produced> = topics.into_iter().flatten().collect();
    all.sort_by_key(|one| one.partition);
    Ok(all)
}

/// What a Fetch asks for, beside its partition.
#[derive(Clone, Copy)]
pub struct FetchLimits {
    pub max_wait_ms: i32,
    pub min_bytes: i32,
    pub max_bytes: i32,
}

/// Fetch v4 of one topic: (partition, offset).
pub fn fetch(topic: &str, partitions: &[(i32, i64)], limits: FetchLimits) -> Request {
    let mut body = Encoder::new()
        .i32(-1)
        .i32(limits.max_wait_ms)
        .i32(limits.min_bytes)
        .i32(limits.max_bytes)
        .i8(0)
        .i32(1)
        .string(topic)
        .i32(partitions.len() as i32);
    for (partition, offset) in partitions {
        body = body.i32(*partition).i64(*offset).i32(limits.max_bytes);
    }
    Request { api_key: FETCH, version: 4, body: body.0 }
}

/// The partitions of a Fetch v4 answer, by partition number.
pub fn fetched(body: &[u8]) -> io::Result<Vec<Fetched>> {
    let mut decoder = Decoder(body);
    decoder.i32()?;
    let topics = decoder.list(|d| {
        d.string()?;
        d.list(|d| {
            let (partition, error, high_watermark) = (d.i32()?, d.i16()?, d.i64()?);
            d.i64()?;
            d.list(|d| Ok((d.i64()?, d.i64()?)))?;
            let records = d.bytes()?.unwrap_or_default().to_vec();
            Ok(Fetched { partition, error, high_watermark, records })
        })
    })?;
    decoder.finish()?;
    let mut all: Vec<Fetched> = topics.into_iter().flatten().collect();
    all.sort_by_key(|one| one.partition);
    Ok(all)
}

/// Metadata v1 of these topics.
pub fn metadata(topics: &[&str]) -> Request {
    let mut body = Encoder::new().i32(topics.len() as i32);
    for topic in topics {
        body = body.string(topic);
    }
    Request { api_key: METADATA, version: 1, body: body.0 }
}

/// Metadata v1 answer: per topic its error, name and its partitions' errors.
pub fn metadata_topics(body: &[u8]) -> io::Result<Vec<(i16, String, Vec<i16>)>> {
    let mut decoder = Decoder(body);
    decoder.list(|d| Ok((d.i32()?, d.string()?, d.i32()?, d.string()?)))?;
    decoder.i32()?;
    let topics = decoder.list(|d| {
        let (error, name, _internal) = (d.i16()?, d.string()?, d.i8()?);
        let partitions = d.list(|d| {
            let (error, _index, _leader) = (d.i16()?, d.i32()?, d.i32()?);
            d.list(Decoder::i32)?;
            d.list(Decoder::i32)?;
            Ok(error)
        })?;
        Ok((error, name.unwrap_or_default(), partitions))
    })?;
    decoder.finish()?;
    Ok(topics)
}

/// CreateTopics v2 of one topic.
pub fn create_topic(name: &str, partitions: i32, replication: i16) -> Request {
    let body = Encoder::new().i32(1).string(name).i32(partitions).i16(replication);
    let body = body.i32(0).i32(0).i32(30_000).i8(0);
    Request { api_key: CREATE_TOPICS, version: 2, body: body.0 }
}

/// CreateTopics v2 answer for one topic: its error.
pub fn created(body: &[u8]) -> io::Result<i16> {
    let mut decoder = Decoder(body);
    decoder.i32()?;
    let topics = decoder.list(|d| {
        d.string()?;
        let error = d.i16()?;
        d.string()?;
        Ok(error)
    })?;
    decoder.finish()?;
    topics.first().copied().ok_or_else(|| io::Error::other("the answer names no topic"))
}

/// InitProducerId v0 without a transactional id; answers (error, producer id, epoch).
pub fn init_producer_id(connection: &mut Connection) -> io::Result<(i16, i64, i16)> {
    let body = Encoder::new().null_string().i32(60_000).0;
    let answer = connection.call(&Request { api_key: INIT_PRODUCER_ID, version: 0, body })?;
    let mut decoder = Decoder(&answer);
    decoder.i32()?;
    let answer = (decoder.i16()?, decoder.i64()?, decoder.i16()?);
    decoder.finish()?;
    Ok(answer)
}

/// Creates a topic and waits until all its partitions serve: Apache Kafka names a leader in its metadata a moment
/// before that leader knows of the partition.
pub fn create_ready_topic(connection: &mut Connection, name: &str, partitions: i32) {
    let answer = connection.call(&create_topic(name, partitions, 1)).expect("an answer");
    assert_eq!(created(&answer).expect("CreateTopics v2"), error::NONE, "{name}");
    wait_until_ready(connection, name, partitions);
}

/// Waits until all partitions of a topic that was just created serve.
pub fn wait_until_ready(connection: &mut Connection, name: &str, partitions: i32) {
    for _ in 0..500 {
        if serves(connection, name, partitions) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("topic {name} does not serve after 10 s");
}

/// True if all partitions of a topic have a leader that answers a fetch.
pub fn serves(connection: &mut Connection, name: &str, partitions: i32) -> bool {
    let answer = connection.call(&metadata(&[name])).expect("an answer");
    let topics = metadata_topics(&answer).expect("Metadata v1");
    let led = topics.iter().all(|(error, _, errors)| {
        *error == 0 && errors.len() == partitions as usize && errors.iter().all(|e| *e == 0)
    });
    let limits = FetchLimits { max_wait_ms: 0, min_bytes: 0, max_bytes: 1 };
    let all: Vec<(i32, i64)> = (0..partitions).map(|partition| (partition, 0)).collect();
    let answer = connection.call(&fetch(name, &all, limits)).expect("an answer");
    let fetched = fetched(&answer).expect("Fetch v4");
    led && topics.len() == 1 && fetched.iter().all(|one| one.error == error::NONE)
}

/// Produces one batch with acks=all and expects it to be taken; its base offset.
pub fn produce_one(connection: &mut Connection, topic: &str, partition: i32, batch: &[u8]) -> i64 {
    let answer = connection.call(&produce(-1, topic, &[(partition, batch)])).expect("an answer");
    let produced = produced(&answer).expect("Produce v3");
    assert_eq!(produced.len(), 1, "{produced:?}");
    assert_eq!(produced[0].error, error::NONE, "{produced:?}");
    produced[0].base_offset
}
