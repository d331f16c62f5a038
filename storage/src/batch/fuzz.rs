//! Any bytes as a batch.

use zerocopy::IntoBytes;

use super::{
    BatchHeader, CRC_START, HEADER_BYTES, LENGTH_OVERHEAD_BYTES, MAGIC_V2, RecordWalk, Step,
};

/// Steps of 64 KiB that a walk may take.
const PAUSES_MAX: usize = 32;

/// Bytes from a producer: what is accepted is one whole batch, and stays one when it is stamped.
pub fn batch(data: &[u8]) {
    let _ = BatchHeader::read(data);
    check(data);
    if let Some(sealed) = sealed(data) {
        check(&sealed);
    }
}

fn check(bytes: &[u8]) {
    let Ok(mut header) = BatchHeader::validate_from_producer(bytes) else { return };
    assert_eq!(header.total_bytes(), bytes.len());
    assert!(header.last_offset() >= header.base_offset());
    header.stamp(i64::MAX - i64::from(header.last_offset_delta()), 7);
    header.stamp_log_append_time(1 << 41);
    let mut stamped = bytes.to_vec();
    stamped[..HEADER_BYTES].copy_from_slice(header.as_bytes());
    header.verify_crc(&stamped).expect("a stamped batch keeps a right checksum");
    assert_eq!(BatchHeader::read(&stamped), Ok(&header));
}

/// A batch whose records are anything, compressed or not: there are as many as it says, or an
/// error; and the walk comes to its end in bounded steps.
pub fn records(data: &[u8]) {
    let Some(bytes) = sealed(data) else { return };
    let header = BatchHeader::read(&bytes).expect("sealed");
    let Ok(mut walk) = RecordWalk::new(header, &bytes[HEADER_BYTES..]) else { return };
    let (mut found, mut pauses) = (0, 0);
    while pauses < PAUSES_MAX {
        match walk.step() {
            Ok(Step::Record(record)) => {
                assert_eq!(record.index, found);
                assert!((header.base_offset()..=header.last_offset()).contains(&record.offset));
                found += 1;
            }
            Ok(Step::Paused) => pauses += 1,
            Ok(Step::End) => return assert_eq!(found, header.records_count()),
            Err(_) => return,
        }
    }
}

/// With the magic byte, the length and the checksum that a batch of these bytes has.
fn sealed(data: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = data.to_vec();
    let mut header: BatchHeader = *zerocopy::FromBytes::ref_from_prefix(data).ok()?.0;
    header.magic = MAGIC_V2;
    header.batch_length.set((bytes.len() - LENGTH_OVERHEAD_BYTES) as i32);
    bytes[..HEADER_BYTES].copy_from_slice(header.as_bytes());
    header.crc.set(crc_fast::crc32_iscsi(&bytes[CRC_START..]));
    bytes[..HEADER_BYTES].copy_from_slice(header.as_bytes());
    Some(bytes)
}
