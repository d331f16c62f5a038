//! Offsets by time, and limits of timestamps.

use super::*;
use crate::batch::tests::compressed::{compress, with_records};
use crate::batch::{BatchBuilder, BatchHeader, Compression, HEADER_BYTES};
use crate::log::{AppendError, ReadError, TimestampOffset};
use crate::sim::Rng;

/// Timestamps of the records of all batches, in order.
type Records = Vec<i64>;

fn batch_of(timestamps: &[i64], bytes: usize, codec: Compression) -> Vec<u8> {
    let builder = timestamps
        .iter()
        .fold(BatchBuilder::new(), |b, &timestamp_ms| b.value(timestamp_ms, vec![3; bytes]));
    compress(&builder.build(), codec)
}

/// Where a batch's header has it.
const BASE_TIMESTAMP: std::ops::Range<usize> = 27..35;

const CODECS: [Compression; 3] = [Compression::None, Compression::Zstd, Compression::Snappy];

/// Batches that roughly, but not strictly, follow each other in time.
async fn append_some(broker: &Broker, rng: &Rng, records: &mut Records, batches: u64) {
    for _ in 0..batches {
        let about = 10_000 + 100 * records.len() as i64;
        let count = rng.within(1..5);
        let late = |_| about + rng.within(0..2_000) as i64;
        let timestamps: Vec<i64> = (0..count).map(late).collect();
        let codec = CODECS[rng.within(0..3) as usize];
        broker.append(&batch_of(&timestamps, rng.within(1..9_000) as usize, codec)).await;
        records.extend(timestamps);
    }
}

/// What a look through all records finds.
fn first_at_or_after(records: &Records, log_start: i64, timestamp_ms: i64) -> Option<(i64, i64)> {
    let all = (0..).zip(records.iter().copied());
    all.skip(log_start as usize).find(|&(_, t)| t >= timestamp_ms)
}

fn highest(records: &Records, log_start: i64) -> Option<(i64, i64)> {
    let all = (0..).zip(records.iter().copied()).skip(log_start as usize);
    all.max_by_key(|&(offset, t)| (t, std::cmp::Reverse(offset)))
}

fn place(found: Option<TimestampOffset>) -> Option<(i64, i64)> {
    found.map(|f| (f.offset, f.timestamp_ms))
}

async fn compare(broker: &Broker, rng: &Rng, records: &Records) {
    let log_start = broker.log.offsets().log_start;
    let found = place(broker.log.max_timestamp().await.unwrap());
    assert_eq!(found, highest(records, log_start));
    let newest = 12_000 + 100 * records.len() as u64;
    for _ in 0..30 {
        let timestamp_ms = rng.within(9_000..newest + 500) as i64;
        let found = place(broker.log.offset_for_timestamp(timestamp_ms).await.unwrap());
        assert_eq!(found, first_at_or_after(records, log_start, timestamp_ms), "{timestamp_ms}");
    }
}

#[test]
fn a_time_is_found_wherever_its_record_lies() {
    for (seed, end) in (1..).zip(ENDS.into_iter().cycle().take(12)) {
        let rng = Rng::new(seed);
        let mut records = Records::new();
        let sim = Simulation::new(seed);
        let flushed = LogConfig { durability: crate::log::Durability::Flushed, ..small_segments() };
        for life in 0..3 {
            sim.run_until(async {
                let broker = Broker::start(&sim, flushed.clone()).await;
                compare(&broker, &rng, &records).await;
                append_some(&broker, &rng, &mut records, 60).await;
                compare(&broker, &rng, &records).await;
                if life == 1 {
                    let before = rng.within(0..records.len() as u64) as i64;
                    broker.log.delete_records(Some(before)).await.unwrap();
                    compare(&broker, &rng, &records).await;
                }
                if rng.coin() {
                    broker.sleep_s(100).await;
                    compare(&broker, &rng, &records).await;
                }
                if end.is_none() {
                    broker.stop().await;
                }
            });
            sim.crash(end.unwrap_or(Crash::Kill));
        }
    }
}

#[test]
fn what_is_not_acknowledged_has_no_time() {
    let sim = Simulation::new(1);
    sim.run_until(async {
        let broker = Broker::start(&sim, small_segments()).await;
        assert_eq!(broker.log.max_timestamp().await.unwrap(), None);
        assert_eq!(broker.log.offset_for_timestamp(0).await.unwrap(), None);
        broker.append(&batch_of(&[10, 30, 20], 1, Compression::Gzip)).await;
        broker.log.append(&batch_of(&[99], 1, Compression::None)).unwrap();
        let at =
            |offset, timestamp_ms| Some(TimestampOffset { offset, timestamp_ms, leader_epoch: 0 });
        assert_eq!(broker.log.max_timestamp().await.unwrap(), at(1, 30));
        assert_eq!(broker.log.offset_for_timestamp(31).await.unwrap(), None);
        broker.log.acknowledged(4).await.unwrap();
        assert_eq!(broker.log.max_timestamp().await.unwrap(), at(3, 99));
        assert_eq!(broker.log.offset_for_timestamp(31).await.unwrap(), at(3, 99));
        assert_eq!(broker.log.offset_for_timestamp(11).await.unwrap(), at(1, 30));
    });
}

#[test]
fn a_header_that_lies_hides_nothing() {
    let sim = Simulation::new(1);
    sim.run_until(async {
        let broker = Broker::start(&sim, small_segments()).await;
        broker.append(&batch_of(&[10, 20], 1, Compression::None)).await;
        let liar = batch_of(&[900], 1, Compression::None);
        let honest = batch_of(&[5], 1, Compression::None);
        // The records of one, under the header of the other.
        let mut bytes = [&liar[..HEADER_BYTES], &honest[HEADER_BYTES..]].concat();
        bytes[BASE_TIMESTAMP].copy_from_slice(&honest[BASE_TIMESTAMP]);
        broker.append(&with_records(&bytes, Compression::None, &honest[HEADER_BYTES..])).await;
        broker.append(&batch_of(&[15], 1, Compression::None)).await;
        assert_eq!(place(broker.log.max_timestamp().await.unwrap()), Some((1, 20)));
        assert_eq!(broker.log.offset_for_timestamp(30).await.unwrap(), None);
        assert_eq!(place(broker.log.offset_for_timestamp(15).await.unwrap()), Some((1, 20)));
    });
}

#[test]
fn records_that_are_none_are_an_error() {
    let sim = Simulation::new(1);
    sim.run_until(async {
        let broker = Broker::start(&sim, small_segments()).await;
        let good = batch_of(&[5], 1, Compression::None);
        broker.append(&with_records(&good, Compression::Zstd, b"no frame of zstd")).await;
        let error = broker.log.offset_for_timestamp(5).await.unwrap_err();
        assert!(matches!(error, ReadError::Records { base_offset: 0, .. }), "{error}");
    });
}

/// The indexes of the records that are refused, `now` being the broker's clock.
async fn refused(broker: &Broker, ages_ms: &[i64], codec: Compression) -> Vec<i32> {
    let now_ms = broker.runtime.now_ms();
    let timestamps: Vec<i64> = ages_ms
        .iter()
        .map(|&age_ms| if age_ms == i64::MAX { -1 } else { now_ms - age_ms })
        .collect();
    match broker.log.check_records(&batch_of(&timestamps, 1, codec)).await {
        Ok(()) => Vec::new(),
        Err(AppendError::InvalidTimestamp { records }) => {
            records.iter().map(|r| r.batch_index).collect()
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn timestamps_too_far_from_the_clock_are_refused_one_by_one() {
    let sim = Simulation::new(1);
    sim.run_until(async {
        let broker = Broker::start(&sim, small_segments()).await;
        const HOUR_MS: i64 = 3_600_000;
        for codec in CODECS {
            let ages = [0, -HOUR_MS, -HOUR_MS - 5_000, 1 << 40, -2 * HOUR_MS];
            assert_eq!(refused(&broker, &ages, codec).await, [2, 4]);
            assert_eq!(refused(&broker, &[i64::MAX], codec).await, [], "no timestamp");
        }
        let limits = LogConfig {
            timestamp_before_max_ms: 10_000,
            timestamp_after_max_ms: 10_000,
            ..small_segments()
        };
        broker.log.set_config(limits.clone());
        for codec in CODECS {
            let ages = [0, 20_000, 9_000, i64::MAX, -20_000, -9_000];
            assert_eq!(refused(&broker, &ages, codec).await, [1, 4]);
            assert_eq!(refused(&broker, &[20_000], codec).await, [0]);
            assert_eq!(refused(&broker, &[9_000], codec).await, []);
        }
        let many = [20_000; 1_000];
        assert_eq!(refused(&broker, &many, Compression::Zstd).await.len(), 100, "a bound");
        broker.log.set_config(LogConfig { log_append_time: true, ..limits });
        assert_eq!(refused(&broker, &[20_000], Compression::None).await, []);
    });
}

#[test]
fn the_words_are_those_that_clients_know() {
    let sim = Simulation::new(1);
    sim.run_until(async {
        let broker = Broker::start(&sim, small_segments()).await;
        let limits = LogConfig { timestamp_before_max_ms: 1_000, ..small_segments() };
        broker.log.set_config(limits);
        let now_ms = broker.runtime.now_ms();
        let batch = batch_of(&[now_ms - 1_001], 1, Compression::None);
        assert_eq!(BatchHeader::read(&batch).unwrap().records_count(), 1);
        let error = broker.log.check_records(&batch).await.unwrap_err();
        let expected = "One or more records have been rejected due to invalid timestamp";
        assert_eq!(error.to_string(), expected);
        let AppendError::InvalidTimestamp { records } = error else { panic!("{error}") };
        let (found, earliest, latest) = (now_ms - 1_001, now_ms - 1_000, now_ms + 3_600_000);
        let expected = format!(
            "Timestamp {found} of message with offset 0 is out of range. The timestamp should be \
             within [{earliest}, {latest}]"
        );
        assert_eq!((records[0].batch_index, &*records[0].message), (0, &*expected));
    });
}

#[test]
fn a_batch_that_is_refused_is_not_worth_gigabytes_to_decompress() {
    let sim = Simulation::new(1);
    sim.run_until(async {
        let broker = Broker::start(&sim, small_segments()).await;
        let now_ms = broker.runtime.now_ms();
        let late_ms = now_ms + 7_200_000;
        let bomb =
            BatchBuilder::new().value(now_ms, vec![0; 8 << 20]).value(late_ms, b"x".to_vec());
        let bomb = compress(&bomb.build(), Compression::Zstd);
        assert!(bomb.len() < 64 << 10, "{} bytes", bomb.len());
        let error = broker.log.check_records(&bomb).await.unwrap_err();
        let AppendError::InvalidTimestamp { records } = error else { panic!("{error}") };
        assert_eq!(records, [], "the late record is never reached");
    });
}

#[test]
fn records_are_looked_at_only_where_the_header_does_not_do() {
    let sim = Simulation::new(1);
    sim.run_until(async {
        let broker = Broker::start(&sim, small_segments()).await;
        let now_ms = broker.runtime.now_ms();
        let of = |ages_ms: &[i64]| {
            let timestamps: Vec<_> = ages_ms.iter().map(|age_ms| now_ms - age_ms).collect();
            broker.log.must_check_records(&batch_of(&timestamps, 1, Compression::None))
        };
        assert!(!of(&[0, 9]));
        assert!(of(&[0, -7_200_000]), "too late");
        broker.log.set_config(LogConfig { timestamp_before_max_ms: 1_000, ..small_segments() });
        assert!(!of(&[9]), "one record is of the header's time");
        assert!(of(&[0, 9]));
        broker.log.set_config(LogConfig {
            timestamp_before_max_ms: 1_000,
            max_message_bytes: 70,
            ..small_segments()
        });
        assert!(!of(&[0, 9]), "too large in any case");
    });
}

#[test]
fn an_index_is_not_read_while_another_reader_repairs_it() {
    let sim = Simulation::new(1);
    sim.run_until(async {
        let broker = Broker::start(&sim, small_segments()).await;
        let rng = Rng::new(1);
        append_some(&broker, &rng, &mut Records::new(), 60).await;
        broker.sleep_s(100).await;
        let damaged = broker.files(".index").await.remove(0);
        broker.runtime.remove_file(&log_dir().join(damaged)).await.unwrap();
        let reads = (0..20).map(async |i| {
            broker.runtime.sleep(Duration::from_micros(100 * i)).await;
            broker.log.read(0, 1).await.unwrap();
        });
        futures_util::future::join_all(reads).await;
    });
}
