//! Batches that are appended in steps.

use std::future::poll_fn;
use std::pin::pin;

use super::*;
use crate::batch::{BatchBuilder, BatchError, BatchHeader, HEADER_BYTES};
use crate::log::{APPENDED_AT_ONCE_BYTES_MAX, AppendError, Lease};
use zerocopy::IntoBytes;

const MEBIBYTE: usize = 1 << 20;

fn config() -> LogConfig {
    LogConfig { max_message_bytes: 64 << 20, retention_ms: -1, ..LogConfig::default() }
}

fn batch_of(bytes: usize) -> Vec<u8> {
    let value = (0..bytes).map(|at| (at * 7 + at / 251) as u8);
    BatchBuilder::new().value(0, value.collect::<Vec<u8>>()).build()
}

/// As it lies in the log.
fn stamped(mut batch: Vec<u8>, base_offset: i64) -> Vec<u8> {
    let mut header = *BatchHeader::read(&batch).unwrap();
    header.stamp(base_offset, 0);
    batch[..HEADER_BYTES].copy_from_slice(header.as_bytes());
    batch
}

async fn read_all(broker: &Broker) -> Vec<u8> {
    let (mut bytes, mut offset) = (Vec::new(), 0);
    while offset < broker.log.offsets().high_watermark {
        let leases = broker.log.read(offset, 64 << 20).await.unwrap().leases;
        let mut slices = Vec::new();
        for lease in leases {
            slices.extend(Lease::load(lease).await.unwrap());
        }
        let begin = bytes.len();
        slices.iter().for_each(|slice| bytes.extend_from_slice(slice));
        let mut rest = &bytes[begin..];
        assert!(!rest.is_empty());
        while !rest.is_empty() {
            let header = BatchHeader::read(rest).unwrap();
            offset = header.last_offset() + 1;
            rest = &rest[header.total_bytes()..];
        }
    }
    bytes
}

/// Appends `batch` in steps; between the first two of them `meanwhile` happens.
async fn append_with(
    broker: &Broker,
    batch: &[u8],
    meanwhile: impl FnOnce(),
) -> Result<i64, AppendError> {
    let mut appending = pin!(broker.log.append_in_steps(batch));
    let mut meanwhile = Some(meanwhile);
    let appended = poll_fn(|cx| {
        let polled = appending.as_mut().poll(cx);
        if polled.is_pending()
            && let Some(meanwhile) = meanwhile.take()
        {
            meanwhile();
        }
        polled
    });
    let appended = appended.await?;
    assert!(meanwhile.is_none(), "it took steps");
    broker.log.acknowledged(appended.last_offset + 1).await.unwrap();
    Ok(appended.base_offset)
}

#[test]
fn a_very_large_batch_is_appended_as_it_came_wherever_the_log_ends() {
    for (seed, end) in ENDS.into_iter().enumerate() {
        // An empty log; within a block; a chunk with just no room for a header; and so on.
        let sizes = [
            2 * MEBIBYTE,
            1_000,
            3 * MEBIBYTE + 4_321,
            60_000,
            APPENDED_AT_ONCE_BYTES_MAX,
            2 * MEBIBYTE - 77 - seed,
            512 << 10,
            5 * MEBIBYTE,
            3,
        ];
        let expected: Vec<Vec<u8>> =
            sizes.iter().enumerate().map(|(n, size)| stamped(batch_of(*size), n as i64)).collect();
        let expected = expected.concat();
        let before = async |_: &Simulation, broker: &Broker| {
            for (number, size) in sizes.into_iter().enumerate() {
                let batch = batch_of(size);
                let appended = match batch.len() > APPENDED_AT_ONCE_BYTES_MAX {
                    true => append_with(broker, &batch, || ()).await.unwrap(),
                    false => broker.append(&batch).await,
                };
                assert_eq!(appended, number as i64);
            }
            assert!(read_all(broker).await == expected, "the same bytes");
            broker.sleep_s(3).await;
        };
        let after = async |_: &Simulation, broker: &Broker| {
            assert!(read_all(broker).await == expected, "the same bytes after {end:?}");
        };
        two_lives(seed as u64, &config(), end, before, after);
    }
}

#[test]
fn the_log_may_become_another_one_between_the_steps() {
    let sim = Simulation::new(5);
    sim.run_until(async {
        let broker = Broker::start(&sim, config()).await;
        let (small, large) = (batch_of(9_000), batch_of(3 * MEBIBYTE));
        broker.append(&small).await;
        let now_ms = broker.runtime.now_ms();
        let roll = || broker.log.with_state(|state| broker.log.roll(state, now_ms));
        assert_eq!(append_with(&broker, &large, roll).await.unwrap(), 1);
        assert_eq!(broker.append(&small).await, 2);
        let expected =
            [stamped(small.clone(), 0), stamped(large.clone(), 1), stamped(small, 2)].concat();
        assert!(read_all(&broker).await == expected);
    });
}

#[test]
fn a_very_large_batch_that_is_damaged_anywhere_is_refused() {
    let sim = Simulation::new(6);
    sim.run_until(async {
        let broker = Broker::start(&sim, config()).await;
        let good = batch_of(3 * MEBIBYTE);
        for at in [HEADER_BYTES - 1, 600_000, MEBIBYTE, 2 * MEBIBYTE, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            let refused = append_with(&broker, &bad, || ()).await.unwrap_err();
            let is_corrupt = matches!(refused, AppendError::Batch(BatchError::Corrupt(_)));
            assert!(is_corrupt, "{at}: {refused:?}");
        }
        let short = broker.log.append_in_steps(&good[..good.len() - 1]).await.unwrap_err();
        assert!(matches!(short, AppendError::Batch(BatchError::Corrupt(_))), "{short:?}");
        let long = broker.log.append_in_steps(&[&good[..], &[0]].concat()).await.unwrap_err();
        assert!(matches!(long, AppendError::Batch(BatchError::Invalid(_))), "{long:?}");
        let small = LogConfig { max_message_bytes: 2 << 20, ..config() };
        broker.log.set_config(small);
        let large = broker.log.append_in_steps(&good).await.unwrap_err();
        assert!(matches!(large, AppendError::TooLarge { .. }), "{large:?}");
        assert_eq!(broker.log.offsets().log_end, 0, "nothing was appended");
    });
}
