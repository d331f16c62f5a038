//! Requests that are too large to be appended in one step: they let others pass, and nothing else is different.

mod harness;

use harness::batch::Batch;
use harness::broker::Broker;
use harness::options::Options;
use harness::requests::{
    FetchLimits, create_ready_topic, error, fetch, fetched, init_producer_id, produce, produced,
};
use harness::typed::create_topic_with;
use harness::wire::Connection;

/// Longer than what is appended at once.
const LARGE_BYTES: usize = 2 << 20;

/// The base offsets that the next `count` answers of one partition each tell, in order.
fn base_offsets(connection: &mut Connection, count: usize) -> Vec<i64> {
    let answers = (0..count).map(|_| {
        let (_, body) = connection.receive().expect("an answer");
        let produced = produced(&body).expect("Produce v3");
        assert_eq!(produced[0].error, error::NONE, "{produced:?}");
        produced[0].base_offset
    });
    answers.collect()
}

/// A producer that numbers its batches is refused if one overtakes another.
#[test]
fn batches_of_one_partition_stay_in_order_whatever_their_size() {
    let broker = Broker::any(Options::default());
    let mut connection = broker.connect();
    let configs = [("max.message.bytes", "10000000")];
    create_topic_with(&mut connection, "sizes", 4, &configs);
    let large = vec![7; LARGE_BYTES];
    let sizes: Vec<&[u8]> =
        [&large[..], b"a", b"b", &large, &large, b"c", b"d", &large, b"e"].to_vec();
    for partition in 0..4 {
        let (_, producer_id, producer_epoch) =
            init_producer_id(&mut connection).expect("an answer");
        let mut sent = Vec::new();
        for (number, value) in sizes.iter().enumerate() {
            let batch = Batch {
                producer_id,
                producer_epoch,
                base_sequence: number as i32,
                ..Batch::of(&[value])
            };
            sent.push(batch.encode());
        }
        for batch in &sent {
            connection.send(&produce(-1, "sizes", &[(partition, batch)])).expect("sent");
        }
        let expected: Vec<i64> = (0..sizes.len() as i64).collect();
        assert_eq!(base_offsets(&mut connection, sizes.len()), expected, "partition {partition}");
        // What is read is what was sent, but for the offset and the epoch.
        let limits = FetchLimits { max_wait_ms: 0, min_bytes: 1, max_bytes: 50 << 20 };
        let mut read = Vec::new();
        while read.len() < sent.iter().map(Vec::len).sum() {
            let offset = count_batches(&read) as i64;
            let body = connection.call(&fetch("sizes", &[(partition, offset)], limits));
            let more = fetched(&body.expect("an answer")).expect("Fetch v4").remove(0).records;
            assert!(!more.is_empty());
            read.extend(more);
        }
        let mut rest = &read[..];
        for batch in &sent {
            let (found, behind) = rest.split_at(batch.len());
            assert!(found[16..] == batch[16..], "from the magic byte on");
            rest = behind;
        }
    }
}

fn count_batches(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while !bytes.is_empty() {
        let length = u32::from_be_bytes(bytes[8..12].try_into().expect("four bytes"));
        bytes = &bytes[12 + length as usize..];
        count += 1;
    }
    count
}

#[test]
fn a_request_may_have_very_many_batches_and_the_next_comes_behind_them() {
    const PARTITIONS: i32 = 2_000;
    let broker = Broker::any(Options::default());
    let mut connection = broker.connect();
    create_ready_topic(&mut connection, "many", PARTITIONS);
    let batch = Batch::of(&[b"x"]).encode();
    let all: Vec<(i32, &[u8])> = (0..PARTITIONS).map(|number| (number, &batch[..])).collect();
    let last = [(PARTITIONS - 1, &batch[..])];
    for request in [&all[..], &last, &all] {
        connection.send(&produce(1, "many", request)).expect("sent");
    }
    for (count, offset) in [(PARTITIONS, 0), (1, 1), (PARTITIONS, 1)] {
        let (_, body) = connection.receive().expect("an answer");
        let produced = produced(&body).expect("Produce v3");
        assert_eq!(produced.len(), count as usize);
        for one in produced {
            let is_last = one.partition == PARTITIONS - 1 && count > 1 && offset == 1;
            let expected = if is_last { 2 } else { offset };
            assert_eq!((one.error, one.base_offset), (error::NONE, expected), "{one:?}");
        }
    }
}
