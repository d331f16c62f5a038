//! librdkafka against the broker: what is produced in any way it knows is read back the same, by offset and by byte.

mod harness;

use std::time::{Duration, Instant};

use harness::broker::Broker;
use harness::options::Options;
use harness::random::Random;
use harness::rdkafka_client::{
    Admin, PATIENCE, Record, TestProducer, assign, consumer, fresh_topic, next_message, read_all,
    record_of, watermarks,
};
use rdkafka::Offset;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
const TIMESTAMP_MS: i64 = 1_700_000_000_000;

/// A record whose every part varies with the seed: null, empty and long keys, values and headers, repeated header names.
fn any_record(random: &mut Random, number: usize, value_bytes_max: u64) -> Record {
    let optional = |random: &mut Random, bytes_max: u64| match random.below(8) {
        0 => None,
        1 => Some(vec![]),
        _ => {
            let len = 1 + random.below(bytes_max) as usize;
            Some(if random.below(2) == 0 { random.text(len) } else { random.bytes(len) })
        }
    };
    let key = optional(random, 40);
    let value = optional(random, value_bytes_max);
    let headers = (0..random.below(4))
        .map(|_| (format!("name-{}", random.below(2)), optional(random, 100)))
        .collect();
    Record { key, value, headers, timestamp_ms: TIMESTAMP_MS + number as i64 }
}

/// Produces the records to one topic and holds what is read back against them: every record where its delivery
/// report says, offsets dense from 0, and per partition in the order of sending.
fn round_trip(broker: &Broker, topic: &str, settings: &[(&str, &str)], records: &[Record]) {
    let producer = TestProducer::new(broker, settings);
    for (number, record) in records.iter().enumerate() {
        producer.send(topic, None, record, number);
    }
    let places = producer.delivered(records.len());
    let partitions = Admin::new(broker).partitions(topic).expect("the topic was created");
    if settings.contains(&("acks", "0")) {
        wait_for_count(broker, topic, partitions as i32, records.len() as i64);
    }
    let read = read_all(broker, topic, partitions as i32);
    let mut sent_to = vec![Vec::new(); partitions];
    for (record, (partition, offset)) in records.iter().zip(&places) {
        let dense = sent_to[*partition as usize].len() as i64;
        if *offset >= 0 {
            assert_eq!(*offset, dense, "the delivery report's offset, {topic} {settings:?}");
        }
        sent_to[*partition as usize].push((dense, record.clone()));
    }
    for (partition, (sent, read)) in sent_to.iter().zip(&read).enumerate() {
        let first = sent.iter().zip(read).find(|(sent, read)| sent != read);
        assert!(first.is_none(), "{topic}/{partition} {settings:?}: {first:?}");
        assert_eq!(sent.len(), read.len(), "records in {topic}/{partition} {settings:?}");
    }
}

/// acks=0 says nothing about when the records are there: waits until they are.
fn wait_for_count(broker: &Broker, topic: &str, partitions: i32, count: i64) {
    let consumer = consumer(broker, &[]);
    let deadline = Instant::now() + PATIENCE;
    let mut seen = 0;
    while Instant::now() < deadline {
        seen = (0..partitions).map(|p| watermarks(&consumer, topic, p).1).sum();
        if seen >= count {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{topic}: {seen} of {count} records sent with acks=0 arrived");
}

#[test]
fn every_codec_and_acknowledgement_comes_back_the_same() {
    let broker = Broker::any(Options::default());
    let mut random = Random::from_environment(1);
    for codec in CODECS {
        for (acks, idempotent) in
            [("all", "true"), ("all", "false"), ("1", "false"), ("0", "false")]
        {
            let topic = fresh_topic(&format!("codec-{codec}-{acks}-{idempotent}"));
            if acks == "0" {
                // A topic that is created by this very producing may drop its first records: nobody answers.
                Admin::new(&broker).create(&topic, 4, &[]).expect("created");
            }
            let records: Vec<Record> =
                (0..400).map(|number| any_record(&mut random, number, 2_000)).collect();
            let settings =
                [("compression.type", codec), ("acks", acks), ("enable.idempotence", idempotent)];
            round_trip(&broker, &topic, &settings, &records);
        }
    }
}

#[test]
fn values_from_one_byte_to_one_mebibyte() {
    let broker = Broker::any(Options::default());
    let mut random = Random::from_environment(2);
    for codec in CODECS {
        let topic = fresh_topic(&format!("sizes-{codec}"));
        let admin = Admin::new(&broker);
        admin.create(&topic, 2, &[("max.message.bytes", "3000000")]).expect("created");
        let sizes = (0..=20).flat_map(|power| [(1usize << power) - 1, 1 << power]).skip(1);
        let records: Vec<Record> = sizes
            .enumerate()
            .map(|(number, len)| Record {
                value: Some(if number % 3 == 0 { random.text(len) } else { random.bytes(len) }),
                timestamp_ms: TIMESTAMP_MS,
                ..Record::default()
            })
            .collect();
        assert_eq!(records.last().and_then(|r| r.value.as_ref()).map(Vec::len), Some(1 << 20));
        round_trip(&broker, &topic, &[("compression.type", codec)], &records);
    }
}

#[test]
fn a_batch_above_the_topic_limit_is_refused_and_the_rest_taken() {
    let broker = Broker::any(Options::default());
    let topic = fresh_topic("limit");
    Admin::new(&broker).create(&topic, 1, &[("max.message.bytes", "20000")]).expect("created");
    let producer = TestProducer::new(&broker, &[("linger.ms", "0")]);
    let mut random = Random::new(3);
    let of = |value| Record { value: Some(value), timestamp_ms: TIMESTAMP_MS, ..Record::default() };
    for (number, len) in [10_000, 30_000, 10_000].into_iter().enumerate() {
        producer.send(&topic, Some(0), &of(random.bytes(len)), number);
        producer.flush();
    }
    let reports = producer.deliveries.take();
    assert_eq!(reports[0], (0, Ok((0, 0))));
    assert!(reports[1].1.as_ref().is_err_and(|e| e.contains("MessageSizeTooLarge")), "{reports:?}");
    assert_eq!(reports[2], (2, Ok((0, 1))));
}

#[test]
fn explicit_partitions_and_partitioner() {
    let broker = Broker::any(Options::default());
    let topic = fresh_topic("partitions");
    Admin::new(&broker).create(&topic, 10, &[]).expect("created");
    let producer = TestProducer::new(&broker, &[("partitioner", "murmur2_random")]);
    let keyed = |number: usize| Record {
        key: Some(format!("key-{}", number % 50).into_bytes()),
        value: Some(number.to_string().into_bytes()),
        timestamp_ms: TIMESTAMP_MS,
        ..Record::default()
    };
    for number in 0..1_000 {
        let explicit = (number >= 500).then_some((number % 10) as i32);
        producer.send(&topic, explicit, &keyed(number), number);
    }
    let places = producer.delivered(1_000);
    for number in 50..500 {
        assert_eq!(places[number].0, places[number % 50].0, "one key, one partition");
    }
    for (number, place) in places.iter().enumerate().skip(500) {
        assert_eq!(place.0, (number % 10) as i32);
    }
    let read = read_all(&broker, &topic, 10);
    for (number, (partition, offset)) in places.iter().enumerate() {
        assert_eq!(read[*partition as usize][*offset as usize], (*offset, keyed(number)));
    }
    let consumer = consumer(&broker, &[]);
    for (partition, read) in read.iter().enumerate() {
        let expected = (0, read.len() as i64);
        assert_eq!(watermarks(&consumer, &topic, partition as i32), expected);
    }
}

#[test]
fn reading_starts_where_it_is_asked_to() {
    let broker = Broker::any(Options::default());
    let topic = fresh_topic("start");
    Admin::new(&broker).create(&topic, 1, &[]).expect("created");
    let producer = TestProducer::new(&broker, &[("batch.num.messages", "30")]);
    let record = |n: usize| Record {
        value: Some(n.to_string().into_bytes()),
        timestamp_ms: TIMESTAMP_MS,
        ..Record::default()
    };
    (0..100).for_each(|number| producer.send(&topic, Some(0), &record(number), number));
    producer.delivered(100);
    let reader = consumer(&broker, &[]);
    for (offset, expected) in [
        (Offset::Beginning, 0),
        (Offset::Offset(57), 57),
        (Offset::Offset(99), 99),
        (Offset::OffsetTail(3), 97),
    ] {
        assign(&reader, &topic, &[0], offset);
        let message = next_message(&reader);
        assert_eq!(message.offset(), expected, "{offset:?}");
        assert_eq!(record_of(&message), record(expected as usize));
    }
    // Beyond the end: out of range, which `auto.offset.reset=error` shows.
    assign(&reader, &topic, &[0], Offset::Offset(101));
    let deadline = Instant::now() + PATIENCE;
    let error = loop {
        assert!(Instant::now() < deadline, "no error for an offset out of range");
        match reader.poll(Duration::from_millis(200)) {
            None => {}
            Some(Ok(message)) => panic!("a record at {}", message.offset()),
            Some(Err(error)) => break error,
        }
    };
    let reset = KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset);
    assert_eq!(error, reset);
}

/// A broker that polls, or answers only when the time is up, would take the minute that the consumer grants.
#[test]
fn a_waiting_consumer_is_woken_by_the_record() {
    let broker = Broker::any(Options::default());
    let topic = fresh_topic("wait");
    // One partition: the client may start its long wait before it knows the start offsets of all of several.
    Admin::new(&broker).create(&topic, 1, &[]).expect("created");
    let granted = Duration::from_secs(60);
    let settings = [("fetch.wait.max.ms", "60000"), ("socket.timeout.ms", "90000")];
    let reader = consumer(&broker, &settings);
    assign(&reader, &topic, &[0], Offset::Beginning);
    assert!(reader.poll(Duration::from_millis(500)).is_none());
    let producer = TestProducer::new(&broker, &[("linger.ms", "0")]);
    let mut latencies_us = Vec::new();
    for number in 0..200usize {
        let value = number.to_string().into_bytes();
        let record = Record { value: Some(value), timestamp_ms: TIMESTAMP_MS, ..Record::default() };
        let sent = Instant::now();
        producer.send(&topic, Some(0), &record, number);
        let message = next_message(&reader);
        latencies_us.push(sent.elapsed().as_micros());
        assert!(sent.elapsed() < granted / 2, "record {number} came only when the wait was over");
        assert_eq!(record_of(&message), record);
    }
    latencies_us.sort_unstable();
    println!("send to receive: p50 {} us, p99 {} us", latencies_us[100], latencies_us[198]);
}

#[test]
fn a_deleted_and_recreated_topic_is_a_new_topic() {
    let broker = Broker::any(Options::default());
    let admin = Admin::new(&broker);
    let topic = fresh_topic("again");
    let produce = |count: usize, text: &str, partition: i32| {
        let producer = TestProducer::new(&broker, &[("enable.idempotence", "true")]);
        for number in 0..count {
            let value = Some(format!("{text}-{number}").into_bytes());
            let record = Record { value, timestamp_ms: TIMESTAMP_MS, ..Record::default() };
            producer.send(&topic, Some(partition), &record, number);
        }
        producer.delivered(count);
    };
    admin.create(&topic, 2, &[]).expect("created");
    assert_eq!(admin.create(&topic, 2, &[]), Err(RDKafkaErrorCode::TopicAlreadyExists));
    produce(100, "old", 0);
    admin.delete(&topic).expect("deleted");
    assert_eq!(admin.partitions(&topic), None);
    assert_eq!(admin.delete(&topic), Err(RDKafkaErrorCode::UnknownTopicOrPartition));
    admin.create(&topic, 10, &[]).expect("created again");
    assert_eq!(admin.partitions(&topic), Some(10));
    let reader = consumer(&broker, &[]);
    assert_eq!(watermarks(&reader, &topic, 0), (0, 0));
    produce(5, "new", 0);
    let read = read_all(&broker, &topic, 10);
    let values: Vec<_> = read[0].iter().map(|(_, record)| record.value.clone()).collect();
    let expected: Vec<_> = (0..5).map(|n| Some(format!("new-{n}").into_bytes())).collect();
    assert_eq!(values, expected);
    assert!(read[1..].iter().all(Vec::is_empty));
}

#[test]
fn topics_that_may_not_be_created() {
    let broker = Broker::any(Options::default());
    let admin = Admin::new(&broker);
    assert_eq!(admin.create("no spaces", 1, &[]), Err(RDKafkaErrorCode::InvalidTopic));
    let topic = fresh_topic("refused");
    let refused = admin.create(&topic, 1, &[("no.such.config", "1")]);
    assert_eq!(refused, Err(RDKafkaErrorCode::InvalidConfig));
    assert_eq!(admin.partitions(&topic), None);
}

#[test]
fn a_64_mib_file_in_pieces_comes_back_whole() {
    let broker = Broker::any(Options::default());
    let topic = fresh_topic("file");
    Admin::new(&broker).create(&topic, 3, &[]).expect("created");
    let mut random = Random::from_environment(4);
    let piece_bytes = 512 << 10;
    let file: Vec<u8> = random.bytes(64 << 20);
    let producer = TestProducer::new(&broker, &[("enable.idempotence", "true")]);
    let pieces: Vec<&[u8]> = file.chunks(piece_bytes).collect();
    for (number, piece) in pieces.iter().enumerate() {
        let record = Record { value: Some(piece.to_vec()), ..Record::default() };
        producer.send(&topic, Some((number % 3) as i32), &record, number);
    }
    let places = producer.delivered(pieces.len());
    let read = read_all(&broker, &topic, 3);
    for (number, (partition, offset)) in places.iter().enumerate() {
        let (at, record) = &read[*partition as usize][*offset as usize];
        assert_eq!(at, offset);
        assert!(record.value.as_deref() == Some(pieces[number]), "piece {number} differs");
    }
}

#[test]
fn a_clean_stop_keeps_everything_for_any_number_of_shards() {
    if Broker::must_skip("a_clean_stop_keeps_everything_for_any_number_of_shards") {
        return;
    }
    let mut broker = Broker::start(Options { shards: 2, ..Options::default() });
    let mut random = Random::from_environment(5);
    let topic = fresh_topic("stop");
    let mut kept: Vec<Vec<(i64, Record)>> = vec![Vec::new(); 4];
    for shards in [1, 3, 2] {
        let producer = TestProducer::new(&broker, &[("enable.idempotence", "true")]);
        let records: Vec<Record> = (0..300).map(|n| any_record(&mut random, n, 3_000)).collect();
        for (number, record) in records.iter().enumerate() {
            producer.send(&topic, Some((number % 4) as i32), record, number);
        }
        for (record, (partition, offset)) in records.into_iter().zip(producer.delivered(300)) {
            kept[partition as usize].push((offset, record));
        }
        drop(producer);
        broker.terminate();
        broker.options.shards = shards;
        broker.start_again();
        assert_eq!(read_all(&broker, &topic, 4), kept, "with {shards} shards");
    }
}

#[test]
fn a_second_broker_on_the_same_directory_is_refused() {
    if Broker::must_skip("a_second_broker_on_the_same_directory_is_refused") {
        return;
    }
    let broker = Broker::start(Options::default());
    if !broker.is_corelane() {
        return println!("passed over: the message and the code are Corelane's own");
    }
    let (status, output) = broker.second_on_same_directory();
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(
        output.contains(&*broker.data_dir().to_string_lossy()),
        "names the directory: {output}"
    );
}
