//! What is read from closed segments, by the kernel out of their files, while the log goes on beneath it: appended to,
//! rolled, deleted from, compacted.

mod harness;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use corelane_net::messages::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};

use harness::batch::Batch;
use harness::broker::Broker;
use harness::http::Samples;
use harness::options::Options;
use harness::rdkafka_client::fresh_topic;
use harness::requests::{FetchLimits, error, fetch, fetched, produce_one};
use harness::typed::{create_topic_with, typed};
use harness::wire::{Connection, Decoder, Encoder};

/// Records of a batch.
const RECORDS: i64 = 4;
/// Batches that differ; then they come again, with the keys that they had.
const DIFFERENT: i64 = 61;
const VALUE_BYTES: usize = 8 << 10;
const BATCHES: i64 = 300;

/// The value of the record at `offset`.
fn value(offset: i64) -> Vec<u8> {
    let seed = (offset % (RECORDS * DIFFERENT)) as u64 + 1;
    let byte =
        |n: usize| (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ (n as u64 / 8)) >> (n % 8)) as u8;
    (0..VALUE_BYTES).map(byte).collect()
}

/// The key of the record at `offset`, in the topic that has keys.
fn key(offset: i64) -> Vec<u8> {
    (offset % (RECORDS * DIFFERENT)).to_be_bytes().to_vec()
}

/// The batch that is appended at `base_offset`.
fn batch(base_offset: i64, has_keys: bool) -> Vec<u8> {
    let mut records = Encoder::new();
    for delta in 0..RECORDS {
        let value = value(base_offset + delta);
        let record = Encoder::new().i8(0).varint(0).varint(delta);
        let record = match has_keys {
            true => record.varint(8).raw(&key(base_offset + delta)),
            false => record.varint(-1),
        };
        let record = record.varint(value.len() as i64).raw(&value).varint(0).0;
        records = records.varint(record.len() as i64).raw(&record);
    }
    let values = vec![Vec::new(); RECORDS as usize];
    Batch { values, raw_records: Some(records.0), ..Batch::of(&[]) }.encode()
}

/// One topic and what is known of it.
struct Topic {
    name: String,
    has_keys: bool,
    /// Every batch that differs, as it is sent.
    batches: Vec<Vec<u8>>,
    log_start: AtomicI64,
    is_done: AtomicBool,
}

impl Topic {
    fn new(connection: &mut Connection, name: &str, cleanup: &str, has_keys: bool) -> Topic {
        let configs = [
            ("cleanup.policy", cleanup),
            ("internal.segment.bytes", "400000"),
            ("min.cleanable.dirty.ratio", "0.01"),
        ];
        let name = fresh_topic(name);
        create_topic_with(connection, &name, 1, &configs);
        let batches = (0..DIFFERENT).map(|number| batch(number * RECORDS, has_keys)).collect();
        let (log_start, is_done) = (AtomicI64::new(0), AtomicBool::new(false));
        Topic { name, has_keys, batches, log_start, is_done }
    }

    fn append(&self, connection: &mut Connection) {
        for number in 0..BATCHES {
            let batch = &self.batches[(number % DIFFERENT) as usize];
            assert_eq!(produce_one(connection, &self.name, 0, batch), number * RECORDS);
        }
        self.is_done.store(true, Ordering::SeqCst);
    }

    /// Moves the log start up behind the appender, for as long as it appends.
    fn delete(&self, connection: &mut Connection) {
        while !self.is_done.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(20));
            let limits = FetchLimits { max_wait_ms: 0, min_bytes: 0, max_bytes: 1 };
            let offset = self.log_start.load(Ordering::SeqCst);
            let answer =
                connection.call(&fetch(&self.name, &[(0, offset)], limits)).expect("an answer");
            let end = fetched(&answer).expect("Fetch v4")[0].high_watermark;
            let partition =
                DeleteRecordsPartition { partition_index: 0, offset: (end - 400).max(0) };
            let topic =
                DeleteRecordsTopic { name: self.name.as_str().into(), partitions: vec![partition] };
            let request = DeleteRecordsRequest { topics: vec![topic], timeout_ms: 30_000 };
            let answer = typed!(connection, 1, DeleteRecords, request);
            self.log_start.store(answer.topics[0].partitions[0].low_watermark, Ordering::SeqCst);
        }
    }

    /// Reads from the log start to the end, again and again, and once more when all is appended.
    fn read(&self, connection: &mut Connection, max_bytes: i32) {
        loop {
            let is_last = self.is_done.load(Ordering::SeqCst);
            let mut offset = self.log_start.load(Ordering::SeqCst);
            loop {
                let limits = FetchLimits { max_wait_ms: 0, min_bytes: 0, max_bytes };
                let answer = connection.call(&fetch(&self.name, &[(0, offset)], limits));
                let answer = fetched(&answer.expect("an answer")).expect("Fetch v4").remove(0);
                if answer.error == error::OFFSET_OUT_OF_RANGE {
                    offset = offset.max(self.log_start.load(Ordering::SeqCst));
                    continue;
                }
                assert_eq!(answer.error, error::NONE);
                let next = self.check(&answer.records, offset);
                assert!(next <= answer.high_watermark, "{next} is above {}", answer.high_watermark);
                if answer.records.is_empty() {
                    assert!(offset >= answer.high_watermark, "nothing at {offset}");
                    break;
                }
                assert!(next > offset, "no progress at {offset}");
                offset = next;
            }
            if is_last {
                assert_eq!(offset, BATCHES * RECORDS);
                return;
            }
        }
    }

    /// Checks every byte of an answer; the offset behind it.
    fn check(&self, mut records: &[u8], asked: i64) -> i64 {
        let mut next = asked;
        while !records.is_empty() {
            let length = i32::from_be_bytes(records[8..12].try_into().unwrap()) as usize;
            let (batch, rest) = records.split_at(12 + length);
            records = rest;
            let base = i64::from_be_bytes(batch[..8].try_into().unwrap());
            let last = base + i64::from(i32::from_be_bytes(batch[23..27].try_into().unwrap()));
            assert!(last >= next && (base <= next || self.has_keys), "{base}..={last} at {next}");
            next = last + 1;
            let sent = &self.batches[(base / RECORDS % DIFFERENT) as usize];
            if batch.len() == sent.len() {
                assert!(batch[16..] == sent[16..], "the batch at {base} is not what was sent");
            } else {
                assert!(self.has_keys, "the batch at {base} has changed");
                self.check_compacted(&mut Decoder(&batch[61..]), base);
            }
        }
        next
    }

    fn check_compacted(&self, records: &mut Decoder<'_>, base: i64) {
        while !records.0.is_empty() {
            let len = varint(records) as usize;
            let mut record = Decoder(records.take(len).unwrap());
            record.i8().unwrap();
            varint(&mut record);
            let offset = base + varint(&mut record);
            let key_len = varint(&mut record) as usize;
            assert_eq!(record.take(key_len).unwrap(), key(offset));
            let value_len = varint(&mut record) as usize;
            assert!(record.take(value_len).unwrap() == value(offset), "the value at {offset}");
        }
    }
}

fn varint(decoder: &mut Decoder<'_>) -> i64 {
    let (mut value, mut shift) = (0_u64, 0);
    loop {
        let byte = decoder.i8().unwrap() as u8;
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return (value >> 1) as i64 ^ -((value & 1) as i64);
        }
    }
}

#[test]
fn every_byte_of_closed_segments_is_right_while_the_log_goes_on() {
    let options = Options {
        // Less than a segment: nearly everything comes from files.
        cache_bytes: 1 << 20,
        http_listen: Some("127.0.0.1:0"),
        more: vec!["--set".into(), "log.cleaner.backoff.ms=100".into()],
        ..Options::default()
    };
    let broker = Broker::any(options);
    let mut connection = broker.connect();
    let deleted = Topic::new(&mut connection, "deleted", "delete", false);
    let compacted = Topic::new(&mut connection, "compacted", "compact", true);
    std::thread::scope(|scope| {
        scope.spawn(|| deleted.delete(&mut broker.connect()));
        for topic in [&deleted, &compacted] {
            scope.spawn(|| topic.append(&mut broker.connect()));
            for max_bytes in [1 << 20, 200_000, 70_000] {
                let broker = &broker;
                scope.spawn(move || topic.read(&mut broker.connect(), max_bytes));
            }
        }
    });
    if broker.is_corelane() {
        let samples = Samples::of(&broker);
        let reads = |source: &str| {
            let of =
                |shard| format!("corelane_reads_total{{shard=\"{shard}\",source=\"{source}\"}}");
            samples.value(&of(0)) + samples.value(&of(1))
        };
        assert!(reads("file") > 100.0, "{} were sent from files", reads("file"));
        assert!(reads("disk") > 0.0, "none was read");
    }
}
