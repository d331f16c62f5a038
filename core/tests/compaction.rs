//! Compacted topics and kill -9: a producer of keyed records and tombstones, in one codec after the other, goes on
//! through kills that come while its topic is compacted, with another number of shards each time. At the end the last
//! record of every key is there, at the offset that was acknowledged; what else is there was sent, and where it says;
//! and `corelane log verify` finds no damage in what a kill has left.
//!
//! `CORELANE_KILLS` sets the number of kills (4), `CORELANE_TEST_SEED` the moments.

mod harness;

use std::collections::HashMap;
use std::process::Command;
use std::time::{Duration, Instant};

use harness::broker::Broker;
use harness::http::Samples;
use harness::options::Options;
use harness::random::Random;
use harness::rdkafka_client::{
    Admin, Delivered, PATIENCE, Record, TestProducer, fresh_topic, read_all,
};

const PARTITIONS: usize = 3;
const KEYS: usize = 200;
const RECORDS_PER_LIFE: usize = 15_000;
/// Shards of the starts, in rotation.
const SHARDS: [usize; 3] = [2, 3, 1];
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

fn options() -> Options {
    let more = ["--set", "log.cleaner.backoff.ms=20"].map(str::to_owned).to_vec();
    Options { shards: SHARDS[0], http_listen: Some("127.0.0.1:0"), more, ..Options::default() }
}

/// The record of this number: some keys often, some once; one in nine deletes its key.
fn record(number: usize) -> (usize, Record) {
    let mut random = Random::new(number as u64);
    let key = match random.below(50) {
        0 => format!("once-{number}"),
        _ => format!("key-{}", random.below(KEYS as u64)),
    };
    let partition = key.bytes().map(usize::from).sum::<usize>() % PARTITIONS;
    let length = random.below(600) as usize;
    let value = (random.below(9) > 0).then(|| {
        let mut value = format!("{number} ").into_bytes();
        value.extend(random.text(length));
        value
    });
    (partition, Record { key: Some(key.into_bytes()), value, timestamp_ms: 1, ..Record::default() })
}

/// What was sent, by number, with what was reported of it.
#[derive(Default)]
struct Sent(Vec<(usize, Delivered)>);

impl Sent {
    /// Sends the records of one life, and calls `meanwhile` before it waits for their deliveries.
    fn send(
        &mut self,
        broker: &mut Broker,
        topic: &str,
        codec: &str,
        meanwhile: impl FnOnce(&mut Broker),
    ) {
        let settings = [
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("compression.type", codec),
            ("linger.ms", "1"),
            ("batch.num.messages", "200"),
            ("message.timeout.ms", "600000"),
            ("reconnect.backoff.max.ms", "200"),
            ("retry.backoff.ms", "20"),
        ];
        let producer = TestProducer::new(broker, &settings);
        let first = self.0.len();
        for number in first..first + RECORDS_PER_LIFE {
            let (partition, record) = record(number);
            producer.send(topic, Some(partition as i32), &record, number);
        }
        meanwhile(broker);
        producer.flush();
        let mut reports = producer.deliveries.take();
        reports.sort_by_key(|(number, _)| *number);
        self.0.extend(reports);
        assert_eq!(self.0.len(), first + RECORDS_PER_LIFE);
    }

    /// Holds what is in the log against what was sent; how many records are there.
    fn check(&self, log: &[Vec<(i64, Record)>]) -> usize {
        let (mut at, mut last) = (HashMap::new(), HashMap::new());
        for (number, delivered) in &self.0 {
            let (partition, offset) = delivered.clone().expect("the broker came back each time");
            let (_, record) = record(*number);
            assert!(at.insert((partition, offset), *number).is_none(), "an offset given twice");
            let newest = last.entry(record.key).or_insert((offset, *number));
            *newest = (*newest).max((offset, *number));
        }
        let mut there = HashMap::new();
        for (partition, records) in log.iter().enumerate() {
            assert!(records.windows(2).all(|two| two[0].0 < two[1].0), "offsets must rise");
            for (offset, found) in records {
                let number = at.get(&(partition as i32, *offset));
                let number = *number.unwrap_or_else(|| panic!("{partition}/{offset}: never sent"));
                assert_eq!(*found, record(number).1, "{partition}/{offset}");
                there.insert(number, ());
            }
        }
        for (key, (offset, number)) in last {
            assert!(there.contains_key(&number), "{key:?} at {offset} is gone");
        }
        there.len()
    }
}

/// Waits until compaction has ended so many times more.
fn wait_for_compactions(broker: &Broker, more: f64) {
    let ended = || Samples::of(broker).sum("corelane_compactions_total");
    let (before, deadline) = (ended(), Instant::now() + PATIENCE);
    while ended() < before + more {
        assert!(Instant::now() < deadline, "nothing is compacted");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn verify(broker: &Broker) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_corelane"));
    let output = command.args(["log", "verify"]).arg(broker.data_dir()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_last_record_of_each_key_survives_kills_in_the_midst_of_compaction() {
    if Broker::must_skip("compaction") {
        return;
    }
    let kills = std::env::var("CORELANE_KILLS").map_or(4, |n| n.parse().expect("a number"));
    let mut random = Random::from_environment(31);
    let mut broker = Broker::start(options());
    let topic = fresh_topic("compacted");
    let configs = [
        ("cleanup.policy", "compact"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("segment.bytes", "1048576"),
    ];
    Admin::new(&broker).create(&topic, PARTITIONS as i32, &configs).expect("created");
    let mut sent = Sent::default();
    sent.send(&mut broker, &topic, CODECS[0], |broker| wait_for_compactions(broker, 1.0));
    for kill in 1..=kills {
        let pause = Duration::from_millis(random.below(600));
        sent.send(&mut broker, &topic, CODECS[kill % CODECS.len()], |broker| {
            std::thread::sleep(pause);
            broker.kill();
            verify(broker);
            broker.options.shards = SHARDS[kill % SHARDS.len()];
            broker.start_again();
        });
        let there = sent.check(&read_all(&broker, &topic, PARTITIONS as i32));
        println!("kill {kill}: {} sent, {there} there", sent.0.len());
    }
    // One life more without a kill: what was written before is in closed segments then.
    sent.send(&mut broker, &topic, "none", |broker| wait_for_compactions(broker, 1.0));
    let deadline = Instant::now() + PATIENCE;
    let log = loop {
        let log = read_all(&broker, &topic, PARTITIONS as i32);
        let there = sent.check(&log);
        // Segments that are appended to stay as they are.
        if there < sent.0.len() / 2 {
            break log;
        }
        assert!(Instant::now() < deadline, "{there} of {} are there yet", sent.0.len());
        std::thread::sleep(Duration::from_millis(200));
    };
    println!("{} sent, {} there", sent.0.len(), log.iter().map(Vec::len).sum::<usize>());
    let samples = Samples::of(&broker);
    for metric in ["read_bytes_total", "written_bytes_total", "freed_bytes_total", "seconds_total"]
    {
        assert!(samples.sum(&format!("corelane_compaction_{metric}")) > 0.0, "{metric}");
    }
    assert_eq!(samples.sum("corelane_compactions_failed_total"), 0.0);
    assert_eq!(samples.sum("corelane_partitions_uncleanable"), 0.0);
    broker.terminate();
    verify(&broker);
    broker.start_again();
    sent.check(&read_all(&broker, &topic, PARTITIONS as i32));
}
