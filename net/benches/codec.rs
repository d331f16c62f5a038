//! What the codec costs on the data path, in nanoseconds: `cargo bench -p corelane-net`.
//!
//! Each figure is the fastest of many short runs, which noise disturbs least.

use std::hint::black_box;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use corelane_net::codec::{Encoder, Records, Str};
use corelane_net::messages::{
    FetchResponse, FetchableTopicResponse, PartitionData, PartitionProduceData, ProduceRequest,
    Request, Response, TopicProduceData,
};

const RUNS: usize = 300;
const CALLS_PER_RUN: usize = 2_000;

fn measure(name: &str, divisor: usize, mut call: impl FnMut()) {
    let mut best = f64::MAX;
    for _ in 0..RUNS {
        let start = Instant::now();
        (0..CALLS_PER_RUN).for_each(|_| call());
        best = best.min(start.elapsed().as_nanos() as f64 / CALLS_PER_RUN as f64);
    }
    println!("{name:<58} {:>8.1} ns", best / divisor as f64);
}

fn produce_frame(version: i16, partitions: usize) -> Bytes {
    let partition = |index| PartitionProduceData { index, records: Some(vec![7; 1024].into()) };
    let request = Request::from(ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: "some-topic-of-ours".into(),
            partition_data: (0..partitions as i32).map(partition).collect(),
            ..Default::default()
        }],
        ..Default::default()
    });
    let mut out = Encoder::new();
    let client_id = Some("producer-1");
    request.encode(version, 1, client_id, &mut out).expect("encodable");
    // As the connection has it: cut out of a buffer that other frames share.
    let mut buf = BytesMut::from(&out.take_bytes()[..]);
    let _prefix = buf.split_to(4);
    buf.freeze()
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

fn main() {
    for version in [3, 9, 13] {
        let frame = produce_frame(version, 1);
        measure(&format!("decode Produce v{version}, one batch of 1 KiB"), 1, || {
            black_box(Request::decode(black_box(&frame)).is_ok());
        });
    }
    let frame = produce_frame(9, 100);
    measure("decode Produce v9 of 100 partitions, each", 100, || {
        black_box(Request::decode(black_box(&frame)).is_ok());
    });
    for version in [4, 12, 16] {
        for (what, records) in [("no records", None), ("64 KiB", Some(vec![7; 64 << 10]))] {
            let response = fetch_response(100, records.map(Bytes::from));
            let mut out = Encoder::new();
            measure(
                &format!("encode Fetch v{version} of 100 partitions, {what}, each"),
                100,
                || {
                    response.encode(version, 1, &mut out).expect("encodable");
                    black_box(out.take_parts());
                },
            );
        }
    }
    let name = Str::from("some-topic-of-ours");
    measure("a name as text", 1, || {
        black_box(black_box(&name).as_str());
    });
    let name = Bytes::from("some-topic-of-ours");
    measure("the same, checked anew", 1, || {
        black_box(std::str::from_utf8(black_box(&name)).is_ok());
    });
}
