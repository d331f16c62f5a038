//! What the codec costs on the data path, in nanoseconds: `cargo bench -p corelane-net`. Where the
//! crate `kafka-protocol` does the same, it is measured in the same run.
//!
//! Each figure is the fastest of many short runs, which noise disturbs least.

use std::hint::black_box;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use corelane_net::codec::{Encoder, Records, Str, Uuid};
use corelane_net::messages::{
    FetchResponse, FetchableTopicResponse, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic, PartitionData, PartitionProduceData,
    ProduceRequest, Request, Response, TopicProduceData,
};
use kafka_protocol::messages::{ApiKey, RequestHeader, RequestKind, ResponseHeader, ResponseKind};
use kafka_protocol::protocol::{Decodable as _, Encodable as _};

const RUNS: usize = 300;
const STEPS_PER_RUN: usize = 2_000;

/// Prints what one of the `steps` of a call costs.
fn measure(name: &str, steps: usize, mut call: impl FnMut()) {
    let calls = STEPS_PER_RUN.div_ceil(steps);
    let mut best = f64::MAX;
    for _ in 0..RUNS {
        let start = Instant::now();
        (0..calls).for_each(|_| call());
        best = best.min(start.elapsed().as_nanos() as f64 / calls as f64);
    }
    println!("{name:<66} {:>8.1} ns", best / steps as f64);
}

fn produce_frame(version: i16, partitions: usize) -> Bytes {
    let partition = |index| PartitionProduceData { index, records: Some(vec![7; 1024].into()) };
    let topic = TopicProduceData {
        name: "some-topic-of-ours".into(),
        partition_data: (0..partitions as i32).map(partition).collect(),
        ..Default::default()
    };
    let request = Request::from(ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![topic].into(),
        ..Default::default()
    });
    let mut out = Encoder::new();
    request.encode(version, 1, Some("producer-1"), &mut out).expect("encodable");
    // As the connection has it: cut out of a buffer that other frames share.
    let mut buf = BytesMut::from(&out.take_bytes()[..]);
    let _prefix = buf.split_to(4);
    buf.freeze()
}

fn walk(request: ProduceRequest) -> usize {
    let topics = request.topic_data.into_iter();
    topics
        .map(|topic| topic.partition_data.into_iter().filter(|data| data.records.is_some()).count())
        .sum()
}

fn produce(version: i16, partitions: usize) {
    let frame = produce_frame(version, partitions);
    let what = format!("Produce v{version} of {partitions} batches, a batch");
    measure(&format!("decode {what}"), partitions, || {
        black_box(Request::decode(black_box(&frame)).is_ok());
    });
    measure(&format!("decode and walk {what}"), partitions, || {
        let Ok((_, Request::Produce(request))) = Request::decode(black_box(&frame)) else {
            panic!("not decoded");
        };
        black_box(walk(request));
    });
    let header_version = ApiKey::Produce.request_header_version(version);
    measure(&format!("  kafka-protocol: decode {what}"), partitions, || {
        let mut rest = black_box(&frame).clone();
        let header = RequestHeader::decode(&mut rest, header_version).expect("decodable");
        black_box(&header);
        black_box(RequestKind::decode(ApiKey::Produce, &mut rest, version).is_ok());
    });
}

fn fetch_response(partitions: usize, records: Option<Bytes>) -> Response {
    let partition = |partition_index| PartitionData {
        partition_index,
        high_watermark: 1 << 40,
        records: records.clone().map(Records::from),
        ..Default::default()
    };
    FetchResponse {
        responses: vec![FetchableTopicResponse {
            topic: "some-topic-of-ours".into(),
            partitions: (0..partitions as i32).map(partition).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
    .into()
}

fn metadata_response(partitions: usize) -> Response {
    let partition = |partition_index| MetadataResponsePartition {
        partition_index,
        leader_epoch: 7,
        replica_nodes: vec![0],
        isr_nodes: vec![0],
        ..Default::default()
    };
    MetadataResponse {
        brokers: vec![MetadataResponseBroker { host: "localhost".into(), ..Default::default() }],
        topics: vec![MetadataResponseTopic {
            name: Some("some-topic-of-ours".into()),
            topic_id: Uuid([7; 16]),
            partitions: (0..partitions as i32).map(partition).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
    .into()
}

fn encode(what: &str, partitions: usize, version: i16, response: &Response) {
    let api = response.api();
    let what = format!("{api:?} v{version} of {partitions} partitions, {what}, a partition");
    let mut out = Encoder::new();
    measure(&format!("encode {what}"), partitions, || {
        response.encode(version, 1, &mut out).expect("encodable");
        black_box(out.take_parts());
    });
    response.encode(version, 1, &mut out).expect("encodable");
    let mut rest = out.take_bytes().slice(4..);
    let key = ApiKey::try_from(api.key()).expect("known to both");
    let header_version = key.response_header_version(version);
    let header = ResponseHeader::decode(&mut rest, header_version).expect("decodable");
    let body = ResponseKind::decode(key, &mut rest, version).expect("decodable");
    let mut out = BytesMut::new();
    measure(&format!("  kafka-protocol: encode {what}"), partitions, || {
        header.encode(&mut out, header_version).expect("encodable");
        body.encode(&mut out, version).expect("encodable");
        black_box(out.split());
    });
}

fn main() {
    for version in [3, 9, 13] {
        produce(version, 1);
    }
    produce(13, 1024);
    for version in [4, 12, 16] {
        encode("no records", 100, version, &fetch_response(100, None));
        let records = Bytes::from(vec![7; 64 << 10]);
        encode("64 KiB", 100, version, &fetch_response(100, Some(records)));
    }
    encode("one topic", 10_000, 12, &metadata_response(10_000));
    let name = Str::from("some-topic-of-ours");
    measure("a name as text", 1, || {
        black_box(black_box(&name).as_str());
    });
    let name = Bytes::from("some-topic-of-ours");
    measure("the same, checked anew", 1, || {
        black_box(std::str::from_utf8(black_box(&name)).is_ok());
    });
}
