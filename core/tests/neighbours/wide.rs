//! Guests that name very many partitions.

use std::ops::Range;
use std::sync::atomic::Ordering;

use corelane_net::messages::*;

use crate::harness::batch::Batch;
use crate::harness::broker::Broker;
use crate::harness::requests::{FetchLimits, create_ready_topic, fetch, produce};
use crate::harness::typed::{frame, receive_fetch, send};
use crate::large::repeat;
use crate::stage::{Visit, beside, broker};

const PARTITIONS: i32 = 10_000;

fn wide_broker() -> Broker {
    let broker = broker();
    create_ready_topic(&mut broker.connect(), "wide", PARTITIONS);
    broker
}

#[test]
#[ignore = "a measurement"]
fn fetches_of_many_partitions() {
    let broker = wide_broker();
    let limits = FetchLimits { max_wait_ms: 0, min_bytes: 0, max_bytes: 1 << 20 };
    let all: Vec<(i32, i64)> = (0..PARTITIONS).map(|partition| (partition, 0)).collect();
    let frame = fetch("wide", &all, limits).frame(1);
    beside("fetches of 10,000 partitions", &broker, 1, |visit, _| repeat(visit, &frame, 1));
}

fn fetch_incrementally(visit: &Visit<'_>) {
    let mut connection = visit.broker.connect();
    let partition = |partition| FetchPartition {
        partition,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    let topic = FetchTopic {
        topic: "wide".into(),
        partitions: (0..PARTITIONS).map(partition).collect(),
        ..Default::default()
    };
    let full = FetchRequest { max_bytes: 1 << 20, topics: vec![topic], ..Default::default() };
    send(&mut connection, 7, FetchRequest { session_epoch: 0, ..full.clone() });
    let session_id = receive_fetch(&mut connection, 7).session_id;
    assert!(session_id != 0);
    for session_epoch in 1.. {
        let next = FetchRequest { topics: Vec::new(), session_id, session_epoch, ..full.clone() };
        send(&mut connection, 7, next);
        connection.receive().expect("an answer");
        visit.done.fetch_add(1, Ordering::Relaxed);
        if visit.is_over() {
            return;
        }
    }
}

#[test]
#[ignore = "a measurement"]
fn incremental_fetches_of_many_partitions() {
    let broker = wide_broker();
    beside("incremental fetches of 10,000", &broker, 1, |visit, _| fetch_incrementally(visit));
}

#[test]
#[ignore = "a measurement"]
fn deletions_of_records_of_many_partitions() {
    let broker = wide_broker();
    let offset = DELETE_UP_TO_HIGH_WATERMARK;
    let partition = |partition_index| DeleteRecordsPartition { partition_index, offset };
    let topic = DeleteRecordsTopic {
        name: "wide".into(),
        partitions: (0..PARTITIONS).map(partition).collect(),
    };
    let request = DeleteRecordsRequest { topics: vec![topic], timeout_ms: 60_000 };
    let frame = frame(1, request);
    let record = Batch::of(&[b"x"]).encode();
    let some =
        |numbers: Range<i32>| numbers.map(|number| (number, &record[..])).collect::<Vec<_>>();
    beside("DeleteRecords of 10,000 partitions", &broker, 1, |visit, _| {
        let mut connection = visit.broker.connect();
        while !visit.is_over() {
            for first in (0..PARTITIONS).step_by(500) {
                let request = produce(1, "wide", &some(first..first + 500));
                connection.call(&request).expect("an answer");
            }
            connection.send_raw(&frame).expect("sent");
            connection.receive().expect("an answer");
            visit.done.fetch_add(1, Ordering::Relaxed);
        }
    });
}
