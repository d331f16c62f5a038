//! Guests whose requests or answers are large, and those who never pause.

use std::sync::atomic::Ordering;

use crate::harness::batch::Batch;
use crate::harness::requests::{FetchLimits, create_ready_topic, fetch, produce};
use crate::harness::typed::create_topic_with;
use crate::slow::fill;
use crate::stage::{Visit, beside, broker};

/// Sends `frame` again and again, `depth` of them under way.
pub fn repeat(visit: &Visit<'_>, frame: &[u8], depth: usize) {
    let mut connection = visit.broker.connect();
    let mut under_way = 0;
    while !visit.is_over() {
        while under_way < depth {
            connection.send_raw(frame).expect("sent");
            under_way += 1;
        }
        connection.receive().expect("an answer");
        visit.done.fetch_add(1, Ordering::Relaxed);
        under_way -= 1;
    }
}

fn batch(bytes: usize) -> Vec<u8> {
    let record = vec![b'x'; 1_000];
    Batch::of(&vec![&record[..]; bytes / 1_010]).encode()
}

#[test]
#[ignore = "a measurement"]
fn large_requests_of_many_partitions() {
    let broker = broker();
    create_ready_topic(&mut broker.connect(), "large", 60);
    let batch = batch(1_000_000);
    let all: Vec<(i32, &[u8])> = (0..60).map(|number| (number, &batch[..])).collect();
    let frame = produce(1, "large", &all).frame(1);
    beside("6 produces of 60 x 1 MB", &broker, 6, |visit, _| repeat(visit, &frame, 1));
}

#[test]
#[ignore = "a measurement"]
fn large_requests_of_one_batch() {
    let broker = broker();
    let configs = [("max.message.bytes", "104857600")];
    create_topic_with(&mut broker.connect(), "large", 6, &configs);
    let batch = batch(60_000_000);
    beside("6 produces of one batch of 60 MB", &broker, 6, |visit, number| {
        repeat(visit, &produce(1, "large", &[(number as i32, &batch)]).frame(1), 1);
    });
}

#[test]
#[ignore = "a measurement"]
fn large_requests_that_are_refused() {
    let broker = broker();
    create_ready_topic(&mut broker.connect(), "large", 6);
    let batch = batch(60_000_000);
    beside("6 produces of 60 MB, too large", &broker, 6, |visit, number| {
        repeat(visit, &produce(1, "large", &[(number as i32, &batch)]).frame(1), 1);
    });
}

#[test]
#[ignore = "a measurement"]
fn many_producers_of_a_mebibyte() {
    let broker = broker();
    create_ready_topic(&mut broker.connect(), "large", 64);
    let batch = batch(1_000_000);
    beside("64 producers of 1 MB batches", &broker, 64, |visit, number| {
        repeat(visit, &produce(1, "large", &[(number as i32, &batch)]).frame(1), 1);
    });
}

#[test]
#[ignore = "a measurement"]
fn a_hot_partition() {
    let broker = broker();
    create_ready_topic(&mut broker.connect(), "hot", 1);
    let frame = produce(1, "hot", &[(0, &batch(1_000_000))]).frame(1);
    beside("a hot partition, 5 x 1 MB", &broker, 1, |visit, _| repeat(visit, &frame, 5));
}

#[test]
#[ignore = "a measurement"]
fn a_hot_partition_of_small_batches() {
    let broker = broker();
    create_ready_topic(&mut broker.connect(), "hot", 1);
    let frame = produce(1, "hot", &[(0, &batch(16_000))]).frame(1);
    beside("a hot partition, 5 x 16 KB", &broker, 1, |visit, _| repeat(visit, &frame, 5));
}

fn backlog(max_bytes: i32, name: &str) {
    let broker = broker();
    fill(&broker, "backlog");
    let limits = FetchLimits { max_wait_ms: 0, min_bytes: 1, max_bytes };
    let frame = fetch("backlog", &[(0, 0)], limits).frame(1);
    beside(name, &broker, 1, |visit, _| repeat(visit, &frame, 1));
}

#[test]
#[ignore = "a measurement"]
fn fetches_of_two_gibibytes() {
    backlog(i32::MAX, "fetches of max_bytes 2 GiB");
}

#[test]
#[ignore = "a measurement"]
fn fetches_of_one_byte() {
    backlog(1, "fetches of max_bytes 1");
}
