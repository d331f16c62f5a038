use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::batch::BatchBuilder;

const DAY: i64 = DEFAULT_EXPIRATION_MS;

fn header(id: i64, epoch: i16, sequence: i32, count: usize) -> BatchHeader {
    let mut batch = BatchBuilder::new().producer(id, epoch, sequence);
    for _ in 0..count {
        batch = batch.value(5, "v");
    }
    *BatchHeader::read(&batch.build()).unwrap()
}

/// Checks and, if new, records at `base_offset`.
fn send(states: &mut ProducerStates, header: &BatchHeader, base_offset: i64) -> &'static str {
    match states.check(header, 0, DAY) {
        Ok(Check::New) => {
            states.record(header, base_offset, 0);
            "new"
        }
        Ok(Check::Duplicate(_)) => "duplicate",
        Err(SequenceError::OutOfOrder { .. }) => "out of order",
        Err(SequenceError::StaleEpoch { .. }) => "stale",
    }
}

#[test]
fn an_unknown_producer_may_begin_anywhere_and_then_leaves_no_gap() {
    let mut states = ProducerStates::default();
    assert_eq!(send(&mut states, &header(1, 0, 500, 10), 0), "new");
    assert_eq!(send(&mut states, &header(1, 0, 511, 1), 10), "out of order");
    assert_eq!(send(&mut states, &header(1, 0, 509, 1), 10), "out of order");
    assert_eq!(send(&mut states, &header(1, 0, 510, 1), 10), "new");
    assert_eq!(
        states.check(&header(1, 0, 512, 1), 0, DAY),
        Err(SequenceError::OutOfOrder {
            producer_id: 1,
            producer_epoch: 0,
            found_sequence: 512,
            expected_sequence: 511
        })
    );
}

#[test]
fn the_last_five_batches_are_known_again_with_their_offsets() {
    let mut states = ProducerStates::default();
    for i in 0..6 {
        assert_eq!(send(&mut states, &header(1, 0, i * 2, 2), i64::from(i) * 100), "new");
    }
    assert_eq!(send(&mut states, &header(1, 0, 0, 2), 0), "out of order", "below the window");
    for i in 1..6 {
        let expected = RememberedBatch {
            first_sequence: i * 2,
            last_sequence: i * 2 + 1,
            base_offset: i64::from(i) * 100,
            last_offset: i64::from(i) * 100 + 1,
            timestamp_ms: 5,
        };
        let found = states.check(&header(1, 0, i * 2, 2), 0, DAY);
        assert_eq!(found, Ok(Check::Duplicate(expected)));
    }
    assert_eq!(send(&mut states, &header(1, 0, 10, 1), 0), "out of order", "half a batch again");
}

#[test]
fn a_new_epoch_begins_at_zero_and_fences_the_old_one() {
    let mut states = ProducerStates::default();
    assert_eq!(send(&mut states, &header(1, 3, 0, 1), 0), "new");
    assert_eq!(send(&mut states, &header(1, 4, 1, 1), 1), "out of order");
    assert_eq!(send(&mut states, &header(1, 4, 0, 1), 1), "new");
    assert_eq!(send(&mut states, &header(1, 3, 1, 1), 2), "stale");
    assert_eq!(send(&mut states, &header(1, 3, 0, 1), 2), "stale", "no duplicate of a dead epoch");
    assert_eq!(send(&mut states, &header(1, 4, 1, 1), 2), "new");
}

#[test]
fn sequences_wrap_to_zero() {
    let mut states = ProducerStates::default();
    assert_eq!(send(&mut states, &header(1, 0, i32::MAX - 1, 2), 0), "new");
    assert_eq!(send(&mut states, &header(1, 0, 0, 1), 2), "new");
    let mut states = ProducerStates::default();
    assert_eq!(send(&mut states, &header(1, 0, i32::MAX, 3), 0), "new");
    assert_eq!(send(&mut states, &header(1, 0, i32::MAX, 3), 0), "duplicate");
    assert_eq!(send(&mut states, &header(1, 0, 2, 1), 3), "new");
}

#[test]
fn idle_ids_expire_and_a_clock_that_goes_back_expires_none() {
    let mut states = ProducerStates::default();
    states.record(&header(1, 5, 0, 1), 0, 1_000);
    states.record(&header(2, 5, 0, 1), 1, 2_000);
    let stale = header(1, 4, 9, 1);
    assert!(states.check(&stale, 1_999, 1_000).is_err());
    assert_eq!(states.check(&stale, 2_000, 1_000), Ok(Check::New));
    assert!(states.check(&stale, i64::MIN, 1_000).is_err());
    assert_eq!(states.expire(-5_000, 1_000), 0);
    assert_eq!(states.expire(2_000, 1_000), 1);
    assert_eq!(states.len(), 1);
}

#[test]
fn the_ids_idle_longest_make_room() {
    let mut states = ProducerStates::with_limit(32);
    for id in 0..1_000 {
        states.record(&header(id, 0, 0, 1), id, id);
        assert!(states.len() <= 32);
    }
    for id in 990..1_000 {
        assert_eq!(send(&mut states, &header(id, 0, 0, 1), 0), "duplicate");
    }
}

#[test]
fn truncation_forgets_what_is_not_in_the_log() {
    let mut states = ProducerStates::default();
    for i in 0..3 {
        send(&mut states, &header(1, 0, i * 2, 2), i64::from(i) * 2);
    }
    send(&mut states, &header(2, 0, 0, 1), 6);
    states.truncate(5);
    assert_eq!(states.len(), 1);
    assert_eq!(send(&mut states, &header(1, 0, 2, 2), 0), "duplicate");
    assert_eq!(send(&mut states, &header(1, 0, 4, 2), 4), "new");
}

#[test]
fn damaged_snapshots_are_refused() {
    let mut states = ProducerStates::default();
    for i in 0..7 {
        states.record(&header(i64::from(i % 2), 0, i / 2, 1), i64::from(i), 10);
    }
    let good = states.encode();
    assert_eq!(ProducerStates::decode(&good), Ok(states));
    for end in 0..good.len() {
        assert!(ProducerStates::decode(&good[..end]).is_err(), "cut at {end}");
    }
    for at in (0..good.len()).filter(|at| !(6..8).contains(at)) {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        assert!(ProducerStates::decode(&flipped).is_err(), "byte {at}");
    }
    assert!(ProducerStates::decode(&[&good[..], &[0]].concat()).is_err());
    let mut newer = good;
    newer[4] = 2;
    assert_eq!(
        ProducerStates::decode(&newer),
        Err(SnapshotError::NewerVersion { found: 2, supported: 1 })
    );
}

/// Every batch ever recorded, per (id, epoch): the rules said again, without a window of state.
#[derive(Default)]
struct Model {
    epochs: BTreeMap<i64, i16>,
    batches: BTreeMap<(i64, i16), Vec<(i32, i32)>>,
}

impl Model {
    fn send(&mut self, h: &BatchHeader) -> &'static str {
        let (id, epoch) = (h.producer_id(), h.producer_epoch());
        let last = (i64::from(h.base_sequence()) + i64::from(h.records_count()) - 1) % (1 << 31);
        let range = (h.base_sequence(), last as i32);
        if let Some(&current) = self.epochs.get(&id) {
            if epoch < current {
                return "stale";
            }
            let sent = self.batches.get(&(id, epoch)).map_or(&[][..], |b| b);
            if sent.iter().rev().take(5).any(|b| *b == range) {
                return "duplicate";
            }
            let expected = sent.last().map_or(0, |b| ((i64::from(b.1) + 1) % (1 << 31)) as i32);
            if range.0 != expected {
                return "out of order";
            }
        }
        self.epochs.insert(id, epoch);
        self.batches.entry((id, epoch)).or_default().push(range);
        "new"
    }
}

proptest! {
    #[test]
    fn agrees_with_the_model(
        start in prop_oneof![Just(0), Just(i32::MAX - 6)],
        sends in prop::collection::vec((0i64..2, 0i16..3, 0i32..12, 1usize..3, any::<bool>()), 1..120),
    ) {
        let (mut states, mut model) = (ProducerStates::default(), Model::default());
        for (i, (id, epoch, step, count, follow)) in sends.into_iter().enumerate() {
            // Half the time the sequence that fits, else one near by: both new and refused occur.
            let next = model.batches.get(&(id, epoch)).and_then(|b| b.last());
            let fits = next.map_or(0, |b| b.1.wrapping_add(1) & i32::MAX);
            let sequence = if follow { fits } else { start.wrapping_add(step) & i32::MAX };
            let h = header(id, epoch, sequence, count);
            let offset = i as i64 * 10;
            prop_assert_eq!(send(&mut states, &h, offset), model.send(&h));
            prop_assert_eq!(&ProducerStates::decode(&states.encode()).unwrap(), &states);
        }
    }

    #[test]
    fn garbage_gets_an_answer(mut bytes in prop::collection::vec(any::<u8>(), 0..200), right_head: bool) {
        if right_head && bytes.len() >= 16 {
            bytes[..8].copy_from_slice(b"CLPS\x01\0\0\0");
            let crc = {
                let mut hasher = crc32fast::Hasher::new();
                hasher.update(&bytes[8..12]);
                hasher.update(&bytes[16..]);
                hasher.finalize()
            };
            bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        }
        let _ = ProducerStates::decode(&bytes);
    }
}
