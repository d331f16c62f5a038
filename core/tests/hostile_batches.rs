//! Record batches that a broker must not take, and the error code that each gets. What the codes are was asked of
//! Apache Kafka 4.3.

mod harness;

use std::time::{Duration, Instant};

use harness::batch::{Batch, CONTROL, TRANSACTIONAL, old_message_set};
use harness::broker::Broker;
use harness::options::Options;
use harness::rdkafka_client::{PATIENCE, fresh_topic};
use harness::requests::{
    FetchLimits, create_ready_topic, error, fetch, fetched, init_producer_id, produce, produce_one,
    produced,
};
use harness::wire::Connection;

const ALL: FetchLimits = FetchLimits { max_wait_ms: 0, min_bytes: 0, max_bytes: 1 << 20 };

struct Partition {
    broker: Broker,
    client: Connection,
    topic: String,
}

impl Partition {
    fn create() -> Partition {
        let broker = Broker::any(Options::default());
        let mut client = broker.connect();
        let topic = fresh_topic("batches");
        create_ready_topic(&mut client, &topic, 2);
        Partition { broker, client, topic }
    }

    /// The error that producing these bytes to partition 0 gets; None if the connection is closed instead.
    fn error_of(&mut self, acks: i16, records: &[u8]) -> Option<i16> {
        let mut client = self.broker.connect();
        let answer = client.call(&produce(acks, &self.topic, &[(0, records)])).ok()?;
        let produced = produced(&answer).expect("Produce v3");
        assert_eq!(produced.len(), 1);
        if produced[0].error != error::NONE {
            assert_eq!(produced[0].base_offset, -1);
        }
        Some(produced[0].error)
    }

    /// Waits until the high watermark is `expected`: what nobody acknowledges is written some time later.
    fn wait_for_high_watermark(&mut self, expected: i64) {
        let deadline = Instant::now() + PATIENCE;
        while self.high_watermark() != expected {
            let found = self.high_watermark();
            assert!(Instant::now() < deadline, "high watermark {found}, not {expected}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn high_watermark(&mut self) -> i64 {
        let answer = self.client.call(&fetch(&self.topic, &[(0, 0)], ALL)).expect("an answer");
        fetched(&answer).expect("Fetch v4")[0].high_watermark
    }
}

#[test]
fn refused_batches_get_their_error_and_leave_no_trace() {
    let mut partition = Partition::create();
    let good = Batch::of(&[b"a", b"b", b"c"]);
    let with = |change: &dyn Fn(&mut Batch)| {
        let mut batch = good.clone();
        change(&mut batch);
        batch.encode()
    };
    let two = [good.encode(), good.encode()].concat();
    let cut = good.encode()[..70].to_vec();
    let mut long = good.encode();
    long[8..12].copy_from_slice(&0x7fff_0000i32.to_be_bytes());
    let mut negative = good.encode();
    negative[8..12].copy_from_slice(&(-5i32).to_be_bytes());
    for (what, records, expected) in [
        ("wrong CRC", with(&|b| b.crc_damage = 1), error::CORRUPT_MESSAGE),
        ("one record more claimed", with(&|b| b.count = Some(4)), error::INVALID_RECORD),
        ("a negative count", with(&|b| b.count = Some(-1)), error::INVALID_RECORD),
        (
            "last offset delta too large",
            with(&|b| b.last_offset_delta = Some(7)),
            error::INVALID_RECORD,
        ),
        (
            "last offset delta negative",
            with(&|b| b.last_offset_delta = Some(-3)),
            error::INVALID_RECORD,
        ),
        ("a control batch", with(&|b| b.attributes = CONTROL), error::INVALID_RECORD),
        ("two batches", two, error::INVALID_RECORD),
        ("no batch", vec![], error::INVALID_RECORD),
        ("a batch cut short", cut, error::INVALID_RECORD),
        ("a batch longer than the bytes", long, error::INVALID_RECORD),
        ("a batch of negative length", negative, error::CORRUPT_MESSAGE),
        ("eight bytes", vec![0; 8], error::INVALID_RECORD),
        ("magic 0", old_message_set(0, b"old"), error::INVALID_RECORD),
        ("magic 1", old_message_set(1, b"old"), error::INVALID_RECORD),
        ("magic 3", with(&|b| b.magic = 3), error::CORRUPT_MESSAGE),
        ("magic -1", with(&|b| b.magic = -1), error::CORRUPT_MESSAGE),
    ] {
        assert_eq!(partition.error_of(-1, &records), Some(expected), "{what}");
    }
    assert_eq!(partition.high_watermark(), 0, "a refused batch left a trace");
    let client = &mut partition.client;
    assert_eq!(produce_one(client, &partition.topic, 0, &good.encode()), 0);
    assert_eq!(partition.high_watermark(), 3);
    partition.broker.assert_serves();
}

/// sarama and kafkajs send base sequence 0 without a producer id; Kafka does not look at it.
#[test]
fn a_sequence_without_a_producer_id_is_passed_over() {
    let mut partition = Partition::create();
    for base_sequence in [0, 5, 0] {
        let batch = Batch { base_sequence, ..Batch::of(&[b"a"]) };
        assert_eq!(partition.error_of(-1, &batch.encode()), Some(error::NONE));
    }
    assert_eq!(partition.high_watermark(), 3);
}

#[test]
fn transactional_batches_are_refused() {
    let mut partition = Partition::create();
    let (_, producer_id, producer_epoch) = init_producer_id(&mut partition.client).expect("an id");
    let batch = Batch {
        attributes: TRANSACTIONAL,
        producer_id,
        producer_epoch,
        base_sequence: 0,
        ..Batch::of(&[b"a"])
    };
    let answered = partition.error_of(-1, &batch.encode());
    assert_ne!(answered, Some(error::NONE));
    assert_eq!(partition.high_watermark(), 0);
}

#[test]
fn acknowledgements_that_do_not_exist() {
    let mut partition = Partition::create();
    let batch = Batch::of(&[b"a"]).encode();
    for acks in [7, 2, -2, i16::MAX, i16::MIN] {
        let expected = Some(error::INVALID_REQUIRED_ACKS);
        assert_eq!(partition.error_of(acks, &batch), expected, "acks={acks}");
    }
    assert_eq!(partition.high_watermark(), 0);
}

#[test]
fn partitions_and_topics_that_do_not_exist() {
    let mut partition = Partition::create();
    let batch = Batch::of(&[b"a"]).encode();
    let topic = partition.topic.clone();
    let asked = [(2, &batch[..]), (-1, &batch), (i32::MAX, &batch), (1, &batch)];
    let answer = partition.client.call(&produce(-1, &topic, &asked)).expect("an answer");
    let errors: Vec<i16> = produced(&answer).expect("Produce v3").iter().map(|p| p.error).collect();
    let unknown = error::UNKNOWN_TOPIC_OR_PARTITION;
    assert_eq!(errors, [unknown, error::NONE, unknown, unknown], "each partition for itself");
    for name in [fresh_topic("never-created"), "..".to_string(), String::new()] {
        let answer = partition.client.call(&produce(-1, &name, &[(0, &batch)])).expect("an answer");
        assert_eq!(produced(&answer).expect("Produce v3")[0].error, unknown, "{name:?}");
    }
}

/// acks=0 gets no answer, ever; an error shows as a closed connection.
#[test]
fn errors_without_acknowledgement_close_the_connection() {
    let mut partition = Partition::create();
    let good = Batch::of(&[b"a"]);
    let mut client = partition.broker.connect();
    client.send(&produce(0, &partition.topic, &[(0, &good.encode())])).expect("sent");
    client.api_versions_v0().expect("the next answer is the next request's");
    let bad = Batch { crc_damage: 1, ..good }.encode();
    client.send(&produce(0, &partition.topic, &[(0, &bad)])).expect("sent");
    assert!(client.is_closed_by_peer());
    partition.wait_for_high_watermark(1);
}

#[test]
fn sequences_of_an_idempotent_producer() {
    let mut partition = Partition::create();
    let (failed, producer_id, _) = init_producer_id(&mut partition.client).expect("an id");
    assert_eq!(failed, error::NONE);
    let next = init_producer_id(&mut partition.client).expect("another id").1;
    assert_ne!(producer_id, next);
    let batch = |producer_epoch, base_sequence, records: usize| Batch {
        producer_id,
        producer_epoch,
        base_sequence,
        ..Batch::of(&vec![&b"v"[..]; records])
    };
    let mut send = |batch: Batch| {
        let request = produce(-1, &partition.topic, &[(0, &batch.encode())]);
        let answer = partition.client.call(&request).expect("an answer");
        let produced = produced(&answer).expect("Produce v3").remove(0);
        (produced.error, produced.base_offset)
    };
    assert_eq!(send(batch(0, 0, 3)), (0, 0));
    assert_eq!(send(batch(0, 0, 3)), (0, 0), "a retry gets the first one's offset");
    for number in 0..5 {
        assert_eq!(send(batch(0, 3 + number, 1)), (0, 3 + i64::from(number)));
    }
    for number in 0..5 {
        let retried = send(batch(0, 3 + number, 1));
        assert_eq!(retried, (0, 3 + i64::from(number)), "within the window of five batches");
    }
    let out_of_order = error::OUT_OF_ORDER_SEQUENCE_NUMBER;
    assert_eq!(send(batch(0, 0, 3)), (out_of_order, -1), "older than the window");
    assert_eq!(send(batch(0, 7, 3)), (out_of_order, -1), "an overlap");
    assert_eq!(send(batch(0, 9, 1)), (out_of_order, -1), "a gap");
    assert_eq!(send(batch(1, 4, 1)), (out_of_order, -1), "a new epoch begins at 0");
    assert_eq!(send(batch(1, 0, 1)), (0, 8), "a new epoch");
    assert_eq!(send(batch(0, 8, 1)), (error::INVALID_PRODUCER_EPOCH, -1), "an old epoch");
    assert_eq!(send(batch(1, -1, 1)), (error::INVALID_RECORD, -1), "no sequence");
    assert_ne!(send(batch(-1, 1, 1)).0, error::NONE, "a negative epoch");
    assert_eq!(send(batch(1, 1, 1)), (0, 9));
}

#[test]
fn a_producer_without_state_may_begin_anywhere_and_sequences_wrap() {
    let mut partition = Partition::create();
    let producer_id = init_producer_id(&mut partition.client).expect("an id").1;
    let mut offset = 0;
    for base_sequence in [i32::MAX - 1, 0] {
        // The first batch takes 2^31-2 and 2^31-1, the next goes on at 0.
        let batch =
            Batch { producer_id, producer_epoch: 0, base_sequence, ..Batch::of(&[b"a", b"b"]) };
        let client = &mut partition.client;
        assert_eq!(produce_one(client, &partition.topic, 0, &batch.encode()), offset);
        offset += 2;
    }
}
