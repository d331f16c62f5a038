//! kill -9 under load: an idempotent acks=all producer goes on through every kill and restart, with another number of
//! shards each time. At the end every acknowledged record is there exactly once, where the acknowledgement said, in the
//! order of sending; nothing is there twice, and nothing that was never sent.
//!
//! `CORELANE_KILLS` sets the number of kills (5), `CORELANE_TEST_SEED` the moments. What kill -9 cannot show is what
//! the disk loses with the power: that is the simulated disk's part, in the storage package.

mod harness;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use harness::broker::Broker;
use harness::options::Options;
use harness::random::Random;
use harness::rdkafka_client::{
    Admin, Delivered, PATIENCE, Record, TestProducer, fresh_topic, read_all,
};

const PARTITIONS: usize = 6;
/// Shards of the starts, in rotation.
const SHARDS: [usize; 3] = [2, 3, 1];

/// A value that says which record it is: partition and number, then bytes that depend on both.
fn value_of(partition: usize, number: usize) -> Vec<u8> {
    let mut random = Random::new(((partition as u64) << 40) | number as u64);
    let mut value = format!("{partition} {number} ").into_bytes();
    let len = if number.is_multiple_of(50) { 60_000 } else { random.below(1_500) as usize };
    value.extend(random.text(len));
    value
}

/// Reads (partition, number) back, if the value is exactly what was sent under it.
fn number_of(value: &[u8]) -> Option<(usize, usize)> {
    let mut words = value.splitn(3, |byte| *byte == b' ');
    let mut number = || std::str::from_utf8(words.next()?).ok()?.parse::<usize>().ok();
    let (partition, number) = (number()?, number()?);
    (value == value_of(partition, number)).then_some((partition, number))
}

/// The records' own time. It may be long past, and that must not matter: Apache Kafka 4.3, when it recovers after a
/// kill, forgets a producer whose last record is older than `producer.id.expiration.ms`, and then takes the retry of
/// an acknowledged batch twice. Corelane may not; Kafka is given the time of day.
fn timestamp_ms(broker: &Broker) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    if broker.is_corelane() { 1_000_000_000_000 } else { now.as_millis() as i64 }
}

/// A producer that sends round robin to all partitions until told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    thread: JoinHandle<Vec<(usize, Delivered)>>,
}

impl Load {
    fn start(broker: &Broker, topic: &str, codec: &'static str) -> Load {
        let settings = [
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("compression.type", codec),
            ("linger.ms", "2"),
            // Retries go on for as long as all the restarts take.
            ("message.timeout.ms", "600000"),
            ("reconnect.backoff.ms", "20"),
            ("reconnect.backoff.max.ms", "200"),
            ("retry.backoff.ms", "20"),
            ("queue.buffering.max.messages", "2000"),
        ];
        let producer = TestProducer::new(broker, &settings);
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let timestamp_ms = timestamp_ms(broker);
        let (topic, stopped, counted) = (topic.to_string(), stop.clone(), sent.clone());
        let thread = std::thread::spawn(move || {
            let mut number = 0;
            while !stopped.load(Ordering::Relaxed) {
                let partition = number % PARTITIONS;
                let value = Some(value_of(partition, number / PARTITIONS));
                let record = Record { value, timestamp_ms, ..Record::default() };
                producer.send(&topic, Some(partition as i32), &record, number);
                number += 1;
                counted.store(number, Ordering::Relaxed);
            }
            producer.flush();
            producer.deliveries.take()
        });
        Load { stop, sent, thread }
    }

    /// Stops sending, waits for what is under way; (records sent, delivery reports).
    fn finish(self) -> (usize, Vec<(usize, Delivered)>) {
        self.stop.store(true, Ordering::Relaxed);
        let reports = self.thread.join().expect("the producer's thread");
        (self.sent.load(Ordering::Relaxed), reports)
    }

    /// Waits until the producer gets on again: some more records went through its bounded queue.
    fn wait_for_progress(&self) {
        let before = self.sent.load(Ordering::Relaxed);
        let deadline = Instant::now() + PATIENCE;
        while self.sent.load(Ordering::Relaxed) < before + 2_500 {
            assert!(Instant::now() < deadline, "the producer does not get on after the restart");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Holds what is in the log against what was sent and acknowledged; the number of acknowledged records, or the fault.
fn check(
    sent: usize,
    reports: &[(usize, Delivered)],
    log: &[Vec<(i64, Record)>],
) -> Result<usize, String> {
    let mut found = HashMap::new();
    for (partition, records) in log.iter().enumerate() {
        let mut last = None;
        for (index, (offset, record)) in records.iter().enumerate() {
            let here = format!("{partition}/{offset}");
            if *offset != index as i64 {
                return Err(format!("{here}: offsets are not dense"));
            }
            let value = record.value.as_deref().unwrap_or_default();
            let (home, number) = number_of(value).ok_or(format!("{here}: never sent"))?;
            let global = number * PARTITIONS + partition;
            if home != partition || global >= sent {
                return Err(format!("{here}: holds {home}:{number}, not sent there"));
            }
            if last >= Some(number) {
                return Err(format!("{here}: {number} comes after {last:?}"));
            }
            last = Some(number);
            found.insert(global, (partition as i32, *offset));
        }
    }
    let mut acknowledged = 0;
    for (number, delivered) in reports {
        let Ok(place) = delivered else { continue };
        acknowledged += 1;
        if found.get(number) != Some(place) {
            let is = found.get(number);
            return Err(format!("record {number}: acknowledged at {place:?}, found at {is:?}"));
        }
    }
    Ok(acknowledged)
}

fn kills() -> usize {
    let text = std::env::var("CORELANE_KILLS").ok();
    text.map_or(5, |text| text.parse().expect("CORELANE_KILLS is a number"))
}

fn killed_under_load(durability: &'static str, codec: &'static str, kills: usize, seed: u64) {
    let mut random = Random::from_environment(seed);
    let options = Options { durability, shards: SHARDS[0], ..Options::default() };
    let mut broker = Broker::start(options);
    let topic = fresh_topic("killed");
    Admin::new(&broker).create(&topic, PARTITIONS as i32, &[]).expect("created");
    let load = Load::start(&broker, &topic, codec);
    load.wait_for_progress();
    for kill in 1..=kills {
        std::thread::sleep(Duration::from_millis(random.below(1_200)));
        broker.kill();
        broker.options.shards = SHARDS[kill % SHARDS.len()];
        let restarted = Instant::now();
        broker.start_again();
        println!(
            "kill {kill}: {} records sent, serves again after {:?} with {} shards",
            load.sent.load(Ordering::Relaxed),
            restarted.elapsed(),
            broker.options.shards
        );
        // Every other time the next kill may hit recovery's own first writes.
        if kill % 2 == 1 {
            load.wait_for_progress();
        }
    }
    let (sent, reports) = load.finish();
    let failed = reports.iter().filter(|(_, delivered)| delivered.is_err()).count();
    let log = read_all(&broker, &topic, PARTITIONS as i32);
    let acknowledged = check(sent, &reports, &log).unwrap_or_else(|fault| panic!("{fault}"));
    println!(
        "{durability}: {kills} kills, {sent} sent, {acknowledged} acknowledged, {failed} failed"
    );
    assert_eq!(
        failed, 0,
        "the producer gave up on records, though the broker came back every time"
    );
    assert_eq!(acknowledged, sent);
    // Once more, after one more kill with nothing under way: what is read does not depend on the process that wrote it.
    broker.kill();
    broker.options.shards = 2;
    broker.start_again();
    assert!(read_all(&broker, &topic, PARTITIONS as i32) == log, "another log after a quiet kill");
}

#[test]
fn acknowledged_records_survive_kills_under_load() {
    if Broker::must_skip("acknowledged_records_survive_kills_under_load") {
        return;
    }
    killed_under_load("default", "none", kills(), 11);
}

#[test]
fn acknowledged_records_survive_kills_under_load_with_strict_durability() {
    if Broker::must_skip("acknowledged_records_survive_kills_under_load_with_strict_durability") {
        return;
    }
    killed_under_load("strict", "lz4", kills(), 12);
}

/// The checker itself: it must see a lost, a doubled, a swapped, a foreign and a misplaced record.
#[test]
fn the_checker_sees_every_fault() {
    let record = |partition, number| Record {
        value: Some(value_of(partition, number)),
        timestamp_ms: 1,
        ..Record::default()
    };
    let log = |numbers: &[usize]| {
        let of_0 = numbers.iter().enumerate().map(|(at, number)| (at as i64, record(0, *number)));
        let mut log = vec![Vec::new(); PARTITIONS];
        log[0] = of_0.collect();
        log
    };
    let reports: Vec<(usize, Delivered)> =
        (0..3).map(|number| (number * PARTITIONS, Ok((0, number as i64)))).collect();
    let sent = 3 * PARTITIONS;
    assert_eq!(check(sent, &reports, &log(&[0, 1, 2])), Ok(3));
    let mut foreign = log(&[0, 1, 2]);
    foreign[0][1].1.value = Some(b"0 1 something else".to_vec());
    let mut elsewhere = log(&[0, 1, 2]);
    elsewhere[1] = vec![(0, record(0, 2))];
    let mut gap = log(&[0, 1, 2]);
    gap[0][2].0 = 3;
    for (fault, log) in [
        ("lost", log(&[0, 1])),
        ("lost in the middle", log(&[0, 2])),
        ("doubled", log(&[0, 1, 1, 2])),
        ("swapped", log(&[0, 2, 1])),
        ("never sent", log(&[0, 1, 2, 3])),
        ("foreign bytes", foreign),
        ("another partition's", elsewhere),
        ("a gap", gap),
    ] {
        assert!(check(sent, &reports, &log).is_err(), "the checker does not see: {fault}");
    }
}
