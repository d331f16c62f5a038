use corelane_storage::log::LogOffsets;

use super::{EpochEnd, PartitionError, batches, check_leader_epoch, diverges, epoch_end};
use crate::seeded::Rng;

#[test]
fn leader_epochs_fence() {
    assert!(check_leader_epoch(-1, 5).is_ok());
    assert!(check_leader_epoch(5, 5).is_ok());
    assert!(matches!(
        check_leader_epoch(4, 5),
        Err(PartitionError::FencedLeaderEpoch { asked: 4, current: 5 })
    ));
    assert!(matches!(
        check_leader_epoch(6, 5),
        Err(PartitionError::UnknownLeaderEpoch { asked: 6, current: 5 })
    ));
}

#[test]
fn a_log_diverges_where_its_epoch_ended() {
    let end = |epoch, end_offset| EpochEnd { epoch, end_offset };
    assert_eq!(diverges(3, 100, end(3, 100)), None);
    assert_eq!(diverges(3, 40, end(3, 100)), None);
    assert_eq!(diverges(3, 101, end(3, 100)), Some(end(3, 100)), "it has more than we kept");
    assert_eq!(diverges(3, 50, end(2, 60)), Some(end(2, 60)), "we never had that epoch");
    assert_eq!(diverges(3, 50, end(3, 20)), Some(end(3, 20)), "older than all that is kept");
}

#[test]
fn an_epoch_ends_where_the_next_begins() {
    let offsets = LogOffsets { log_start: 20, high_watermark: 90, log_end: 100, flushed: 90 };
    let ends = |asked, known| epoch_end(asked, 7, known, &offsets);
    let end = |epoch, end_offset| Some(EpochEnd { epoch, end_offset });
    assert_eq!(ends(7, Some((7, 100))), end(7, 100));
    assert_eq!(ends(7, Some((5, 100))), end(7, 100), "ours, without a record yet");
    assert_eq!(ends(7, None), end(7, 100));
    assert_eq!(ends(6, Some((5, 60))), end(5, 60));
    assert_eq!(ends(1, None), end(1, 20), "older than all that is kept");
    assert_eq!(ends(8, Some((7, 100))), None, "never ours");
    assert_eq!(ends(-1, None), None);
}

fn batch(body_bytes: usize) -> Vec<u8> {
    let mut batch = vec![0; 8];
    batch.extend_from_slice(&(body_bytes as u32).to_be_bytes());
    batch.resize(12 + body_bytes, 7);
    batch
}

#[test]
fn batches_are_cut_whole_wherever_they_straddle() {
    let mut rng = Rng::new(4);
    for _ in 0..5_000 {
        let lengths: Vec<usize> =
            (0..1 + rng.below(6)).map(|_| 12 + rng.below(60) as usize).collect();
        let bytes: Vec<u8> = lengths.iter().flat_map(|len| batch(len - 12)).collect();
        let mut parts = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (part, after) = rest.split_at(1 + rng.below(rest.len() as u64) as usize);
            parts.push(part);
            rest = after;
        }
        let (max, one) = (rng.below(bytes.len() as u64 + 20) as usize, rng.below(2) == 0);
        let mut expected = 0;
        for len in &lengths {
            if expected + len > max && !(expected == 0 && one) {
                break;
            }
            expected += len;
        }
        assert_eq!(batches::whole(&parts, max, one), expected, "{lengths:?} {max} {one}");
    }
}

#[test]
fn a_length_that_leads_out_of_the_bytes_cuts_there() {
    let mut bytes = batch(10);
    bytes.extend(batch(10));
    bytes[22 + 8..22 + 12].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(batches::whole(&[&bytes[..]], 30, false), 22);
    assert_eq!(batches::whole(&[&bytes[..]], 5, true), 22);
    assert_eq!(batches::whole(&[&bytes[..5]], 4, true), 0);
}

#[test]
fn the_offset_after_the_last_whole_batch() {
    let mut bytes = Vec::new();
    for base_offset in [100i64, 105] {
        let mut batch = batch(50);
        batch[..8].copy_from_slice(&base_offset.to_be_bytes());
        batch[23..27].copy_from_slice(&4i32.to_be_bytes());
        bytes.extend(batch);
    }
    assert_eq!(batches::next_offset(&[&bytes[..]]), Some(110));
    assert_eq!(batches::next_offset(&[&bytes[..30], &bytes[30..70], &bytes[70..]]), Some(110));
    assert_eq!(batches::next_offset(&[&bytes[..100]]), Some(105), "the second is not whole");
    assert_eq!(batches::next_offset::<&[u8]>(&[]), None);
    assert_eq!(batches::next_offset(&[&bytes[..20]]), None);
}
